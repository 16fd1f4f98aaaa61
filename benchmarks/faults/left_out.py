"""Boundaries of the code that no broken run passes, each with the reason. A test wants every boundary here or there."""

from __future__ import annotations

from collections.abc import Mapping

SAVES: Mapping[str, str] = {
    "record_collected": "results of a LangGraph server: tests/e2e/test_remote.py",
    "record_document": "a server's document: tests/e2e/test_studio_kill.py kills one",
    "record_findings": "what a person finds of single criteria in a review",
    "record_invalid": "an edit that the sandbox refuses, which the editor of the simulated world does not write",
    "record_lead": "a mutant that takes the lead, which takes more iterations than these searches have",
    "record_leader": "as record_lead",
    "record_reopened": "documents that errored before their endpoint was down: two faults of different sorts",
    "record_skipped": "a document that no passage can be taken from",
    "record_stopping": "adaptive stopping of rounds, which these runs do not use",
}
"""Functions of `checkpoints/writes` and `checkpoints/corrections`."""

SAVER: Mapping[str, str] = {
    "aprune": "autodata prune and threads of servers: tests/unit/test_saver.py",
    "adelete_for_runs": "LangGraph's servers ask for it, Autodata does not",
    "acopy_thread": "LangGraph's servers ask for it, Autodata does not",
}
"""Methods of the checkpoint saver that write."""

_SHOWN = "what a command shows, written anew by typing it again"
FILES: Mapping[str, str] = {
    "checkpoints/places.py begin_shared": "a run at a Postgres server: tests/kill/test_kill_postgres.py",
    "cli/compare.py _write": _SHOWN,
    "cli/draw.py draw": _SHOWN,
    "cli/editing.py _edited": "a person's editor",
    "cli/list.py _is_held": "only looks whether a lock is held",
    "cli/new_domain.py write_domain": _SHOWN,
    "cli/run.py prompts_folder": "the prompts of a search's winner, made again from its ledger",
    "cli/trace.py _write": _SHOWN,
    "jobs/calibration/labels.py write_sheet": _SHOWN,
    "jobs/check.py _set_aside": "autodata check --repair of a spoilt file: tests/graph/test_check.py",
    "models/local/weights.py _fetch": "weights of local models, verified by their hash: tests/e2e/test_weights.py",
    "models/local/weights.py _unzip_at": "weights, as _fetch",
    "models/local/weights.py _verify": "weights, as _fetch",
    "prompts/patch.py write_pack": "prompts as files, made again from a ledger",
}
"""Functions that write, rename, flush or lock a file: the file's path and the function."""
