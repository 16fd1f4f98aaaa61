"""Whether documents, searches and the journal of a ledger add up to one another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.corrections import dropped_documents
from autodata.checkpoints.queries.documents import document_ids
from autodata.checkpoints.queries.soundness import (
    attempts_without_call,
    batches,
    called_of_trials,
    evaluation_sums,
    fork_folders,
    lessons_of_no_batch,
    paid_twice,
    rounds_left,
    spans_without_reply,
    standing_in_search,
    standing_of_run,
    wrong_charges,
)
from autodata.checkpoints.records import DocumentStatus
from autodata.jobs.check_problems import Problem
from autodata.jobs.check_rows import again

Row = Mapping[str, Any]
_ENDED = frozenset({DocumentStatus.ACCEPTED, DocumentStatus.REJECTED})

_MAY_BE_ASKED = frozenset(
    {DocumentStatus.WAITING, DocumentStatus.SKIPPED, DocumentStatus.DROPPED, DocumentStatus.PENDING}
)
"""Pending: a death may come between a question and the status that follows it."""


async def run_standing(ledger: Reader) -> list[Problem]:
    """Return documents of a run that do not stand where their rounds, examples and questions say."""
    dropped = await dropped_documents(ledger)
    return [
        problem
        for row in await standing_of_run(ledger)
        for problem in _standing(row, str(row["name"]), dropped=row["document_id"] in dropped)
    ]


async def search_standing(ledger: Reader) -> list[Problem]:
    """Return documents of a search's evaluations, and evaluations, that do not add up."""
    found = [
        problem
        for row in await standing_in_search(ledger)
        for problem in _standing(row, f"{row['name']} in {row['evaluation']}", dropped=False)
        if problem.kind != "lost_round"
    ]
    found = [Problem(one.kind, one.where, one.what) for one in found]
    for row in await evaluation_sums(ledger):
        found += _sums(row)
    for row in await called_of_trials(ledger):
        if row["calls"] > row["journalled"]:
            what = f"{row['calls']} calls of {row['document_id']} were counted, the journal holds {row['journalled']}"
            found.append(Problem("lost_reply", f"evaluation {row['evaluation']}", what))
    return found


def _standing(row: Row, where: str, *, dropped: bool) -> Iterator[Problem]:
    status, examples, latest = row["status"], row["examples"], row["latest"] or 0
    if examples > 1:
        what = f"it has {examples} examples: leave one out with 'autodata drop'"
        yield Problem("doubled_example", where, what)
    if status == DocumentStatus.ACCEPTED and not examples:
        yield again(row, "lost_example", where, "it was accepted, and has no example")
    if status in {DocumentStatus.REJECTED, DocumentStatus.SKIPPED} and examples and not row.get("replaced_by"):
        yield again(row, "wrong_status", where, f"it is {status}, and has an example")
    if status == DocumentStatus.DROPPED and not dropped:
        yield Problem("wrong_status", where, "it is dropped, and nothing says what it was before")
    if status in _ENDED and row["rounds"] != latest:
        yield again(row, "wrong_rounds", where, f"{row['rounds']} rounds were counted, its latest is {latest}")
    if row.get("asked") and status not in _MAY_BE_ASKED:
        yield again(row, "wrong_status", where, f"a person is asked about it, and it is {status}")
    if status == DocumentStatus.ERRORED and "failures" in row and not row["failures"]:
        yield again(row, "wrong_status", where, "it is errored, and no failure is recorded")
    if row["settled"] and status in {DocumentStatus.PENDING, DocumentStatus.ERRORED, DocumentStatus.WAITING}:
        yield again(row, "wrong_status", where, f"nothing is left to do for it, and it is {status}")


def _sums(row: Row) -> Iterator[Problem]:
    where = f"evaluation {row['evaluation']}"
    if row["state"] not in {"done", "stopped"}:
        return
    pairs = {"passed": "accepted", "errored": "failed", "calls": "called"}
    if row["state"] == "done":
        pairs["documents"] = "tried"
    for stated, real in pairs.items():
        if row[stated] != row[real]:
            what = f"{stated} is {row[stated]}, its documents come to {row[real]}"
            yield Problem("wrong_total", where, what)


async def round_order(ledger: Reader) -> list[Problem]:
    """Return threads in which a round is missing between others, or was left open behind a closed one."""
    found = []
    for row in await rounds_left(ledger):
        where = f"thread {row['thread_id']}"
        if row["numbers"] != row["latest"]:
            what = f"its latest round is {row['latest']}, and {row['numbers']} are there"
            found.append(again(row, "lost_round", where, what))
        if row["open_before"]:
            found.append(again(row, "lost_round", where, "a round was left open behind a closed one"))
    return found


async def journal(ledger: Reader, *, local: bool) -> list[Problem]:
    """Return what the journal lacks, holds twice or charges wrongly. `local`: the calls were made by this folder."""
    found = [
        Problem(
            "lost_reply", f"call {row['name']} of {row['thread_id']}", "it was traced to its end; its reply is lost"
        )
        for row in await spans_without_reply(ledger)
    ]
    if local:
        found += [
            Problem("lost_reply", f"attempt {row['attempt_id']}", "the journal holds no call of its solver")
            for row in await attempts_without_call(ledger)
        ]
    for row in await paid_twice(ledger):
        where = f"call {row['node']} {row['idx']} of {row['thread_id']}, round {row['n']}"
        found.append(Problem("paid_twice", where, f"the journal holds it {row['paid']} times"))
    for row in await wrong_charges(ledger):
        what = (
            f"it counts for {row['charged_in']} + {row['charged_out']} tokens, its endpoint reported"
            f" {row['tokens_in']} + {row['tokens_out']}"
        )
        found.append(Problem("wrong_charge", f"call {row['key'][:16]} of {row['role']}", what))
    return found


async def outer_loop(ledger: Reader) -> list[Problem]:
    """Return batches of documents, lessons and forks whose other end is not there."""
    known = await document_ids(ledger)
    found = []
    for row in await batches(ledger):
        missing = [one for one in json.loads(row["documents"]) if one not in known]
        if missing:
            found.append(Problem("orphan_row", f"batches {row['batch']}", f"document {missing[0]} is not there"))
    for row in await lessons_of_no_batch(ledger):
        where = f"lessons {row['lesson_id']} {row['version']}"
        found.append(Problem("orphan_row", where, f"batch {row['batch']} is in no row of batches"))
    return found + [
        Problem("missing_file", f"fork {row['fork']}", f"its folder {row['folder']} is not there")
        for row in await fork_folders(ledger)
        if not (ledger.folder / row["folder"]).is_dir()
    ]
