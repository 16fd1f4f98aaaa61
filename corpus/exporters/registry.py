"""The formats of `autodata export --format`: the package's own, and those of entry points `autodata.exporters`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from autodata.checkpoints.registry import Registry
from autodata.corpus.exporters.challenger import export_challenger
from autodata.corpus.exporters.dpo import export_dpo
from autodata.corpus.exporters.hf import export_hf
from autodata.corpus.exporters.inspect_ai import export_inspect
from autodata.corpus.exporters.jsonl import export_jsonl
from autodata.corpus.exporters.llama_factory import export_llama_factory
from autodata.corpus.exporters.messages import export_messages
from autodata.corpus.exporters.nemo_gym import export_nemo_gym
from autodata.corpus.exporters.rows import ExportSet
from autodata.corpus.exporters.trl_grpo import export_trl_grpo
from autodata.corpus.exporters.verifiers import export_verifiers
from autodata.corpus.exporters.verl import export_verl

Exporter = Callable[[ExportSet, Path | None], int]
"""Writes examples to a file or folder, or for None or `-` to standard output, and returns how many there were.

It raises UserError for a place that cannot be written to and RunFailed when writing fails; `files.write_whole` and
`folder.write_folder` do.
"""

EXPORTERS: Registry[Exporter] = Registry(
    "autodata.exporters",
    "format",
    {
        "jsonl": export_jsonl,
        "hf": export_hf,
        "messages": export_messages,
        "dpo": export_dpo,
        "trl-grpo": export_trl_grpo,
        "verifiers": export_verifiers,
        "inspect": export_inspect,
        "verl": export_verl,
        "llama-factory": export_llama_factory,
        "nemo-gym": export_nemo_gym,
        "challenger": export_challenger,
    },
)
"""Each format by what `--format` calls it."""

_JUDGED: Final = frozenset({export_inspect, export_nemo_gym, export_trl_grpo, export_verifiers, export_verl})


def has_judge(exporter: Exporter) -> bool:
    """Whether a format brings the run's judge with it, to score what a model answers."""
    return exporter in _JUDGED


export_challenger.wants_turns = True  # type: ignore[attr-defined]  # a function holds what is said of it


def wants_turns(exporter: Exporter) -> bool:
    """Whether a format is made of the challenger's turns: an exporter says so by an attribute `wants_turns`."""
    return bool(getattr(exporter, "wants_turns", False))
