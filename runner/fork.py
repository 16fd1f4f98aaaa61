"""Time travel: a document taken back to one of its rounds, with something changed, and sent on from there.

A fork is a run folder of its own, `RUN/forks/<n>`, that holds one document: its rounds before the change, the replies
paid for so far, and what comes after. So the original stays as it is to the byte, no report of the run counts a fork,
and every command works on one: `show`, `export`, `review`, `run` to resume. The run's ledger marks it in table `forks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.ledger import Ledger, Reader, open_readonly
from autodata.checkpoints.places import ledger_place
from autodata.checkpoints.queries.documents import rows_of_documents
from autodata.checkpoints.queries.meta import FENCES
from autodata.checkpoints.queries.rounds import before_round, latest_round, round_numbers
from autodata.checkpoints.records import Candidate
from autodata.checkpoints.writes import (
    Fork,
    record_copied_documents,
    record_copied_rounds,
    record_fork,
    record_fork_of,
    record_fork_ready,
    record_meta,
)
from autodata.nodes.dataset.settings import LessonsConfig
from autodata.nodes.human_review import edited
from autodata.runner.checkpointer import open_kept
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.fences import fences_of

FORKS = "forks"
"""The folder within a run's folder that holds its forks, each named by its number."""


@dataclass(frozen=True)
class Moment:
    """Where a document stood at the end of one of its rounds, or stands in it now."""

    run: Path
    document_id: str
    n: int
    state: Mapping[str, Any]
    candidate: Candidate | None
    closed: bool
    """Whether the round ended in a rejection, so that a challenger saw it."""

    @property
    def thread_id(self) -> str:
        """The document's thread."""
        return f"main/{self.document_id}"


@dataclass(frozen=True)
class Change:
    """What a fork does otherwise: fields of the round's candidate, or the next challenger's feedback."""

    candidate: Mapping[str, Any] | None = None
    feedback: str | None = None

    @property
    def name(self) -> str:
        """`candidate`, `rubric` (nothing else of the candidate) or `feedback`."""
        if self.candidate is None:
            return "feedback"
        return "rubric" if set(self.candidate) == {"rubric"} else "candidate"


async def find_moment(config: RunConfig, run: Path, document_id: str, n: int) -> Moment:
    """Return a document as it stood at the end of round `n`, from the checkpoints that are left of it.

    Raises UserError when the document has no such round, or its checkpoint is gone.
    """
    thread: RunnableConfig = {"configurable": {"thread_id": f"main/{document_id}"}}
    found: dict[str, Any] | None = None
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(open_readonly(ledger_place(run)))
        numbers = await round_numbers(ledger, f"main/{document_id}")
        if n not in numbers:
            known = f"its rounds are 1 to {max(numbers)}" if numbers else "it has none yet"
            raise UserError(f"{document_id} has no round {n}: {known}")
        saver = await stack.enter_async_context(open_kept(config.checkpoints, run, ledger))
        if saver is not None:
            found = await _newest(saver, thread, n)
    if found is None:
        raise UserError(
            f"{run}: the checkpoint of round {n} of {document_id} is gone (checkpoints.keep ="
            f' "{config.checkpoints.keep}"): only a run with keep = "rounds" or "all" can be forked later'
        )
    candidate = config.chosen_domain.scorer.candidate(found["candidate"]) if found.get("candidate") else None
    closed = any(row["n"] == n and row["failure_mode"] for row in found.get("rounds", ()))
    return Moment(run, document_id, n, found, candidate, closed and found.get("status_reason") != "final_check")


async def _newest(saver: BaseCheckpointSaver[str], thread: RunnableConfig, n: int) -> dict[str, Any] | None:
    """Return the state of a round's last checkpoint, None without one."""
    async for item in saver.alist(thread):
        values = item.checkpoint["channel_values"]
        if values.get("n") == n:
            return dict(values)
    return None


def require_sound(config: RunConfig, moment: Moment, change: Change) -> None:
    """Raise UserError when a change cannot be made here: no candidate, an unsound one, no challenger behind it."""
    if change.candidate is None:
        if not moment.closed:
            raise UserError(
                f"no challenger saw feedback after round {moment.n}: it did not end in any; change its candidate,"
                " or the feedback of an earlier round"
            )
        if change.feedback == moment.state.get("feedback"):
            raise UserError("nothing is changed: the feedback is the one that was given")
        return
    if moment.candidate is None:
        raise UserError(f"round {moment.n} has no candidate: change the feedback of the round before it")
    try:
        edited(config.chosen_domain, config.chosen_domain.pack(), moment.candidate, change.candidate)
    except ValueError as error:
        raise UserError(f"the changed candidate cannot be used: {error}") from error


async def make_fork(config: RunConfig, moment: Moment, change: Change) -> Path:
    """Make a fork's folder, ready for a session, and return it. Nothing is spent yet. Raises as `require_sound`.

    The fork is one document, alone: it is shown no lesson, and makes none.
    """
    require_sound(config, moment, change)
    config = config.model_copy(update={"lessons": LessonsConfig()})
    folder = _new_folder(moment.run / FORKS)
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(Ledger.open(ledger_place(moment.run)))
        round_row = await latest_round(source, moment.thread_id, moment.n)
        assert round_row is not None, "a moment is one of a round"
        reported = change.feedback if change.candidate is None else canonical_json(dict(change.candidate))
        fork = Fork(
            fork=folder.name,
            document_id=moment.document_id,
            thread_id=moment.thread_id,
            round_id=round_row["round_id"],
            n=moment.n,
            folder=f"{FORKS}/{folder.name}",
            changed=change.name,
            change=reported,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        await record_fork(source, fork)
        runner = await stack.enter_async_context(open_runner(config, folder))
        state, after = await _state(config, source, moment, change)
        await record_fork_of(runner.ledger, fork, "../..")
        await record_meta(runner.ledger, {FENCES: str(await fences_of(source))})  # its replies are found as in the run
        await _copy(source, runner.ledger, moment, state)
        await runner.begin_at(moment.document_id, state, after)
        # Only now can a session take it up: one that is killed before leaves a folder without a document to work on.
        await record_fork_ready(runner.ledger, moment.document_id)
    return folder


async def _state(config: RunConfig, source: Reader, moment: Moment, change: Change) -> tuple[dict[str, Any], str]:
    """Return the state that a fork starts with, and the node that it then seems to come from."""
    state = {**moment.state, "status": "", "status_reason": "", "example": None}
    if change.candidate is None or moment.candidate is None:
        return {**state, "feedback": change.feedback}, "feedback"
    domain = config.chosen_domain
    candidate = edited(domain, domain.pack(), moment.candidate, change.candidate)
    before = await latest_round(source, moment.thread_id, moment.n - 1)
    state |= {
        "candidate": candidate.model_dump(mode="json"),
        "candidate_id": candidate.candidate_id,
        "rounds": [row for row in state.get("rounds", ()) if row["n"] < moment.n],
        "feedback": before["feedback"] if before else "",
        **dict.fromkeys(("quality", "verdict", "judgement", "rejection")),
        "attempts": [],
    }
    return state, "screen" if domain.challengers > 1 else "challenger"


async def _copy(source: Reader, target: Ledger, moment: Moment, state: Mapping[str, Any]) -> None:
    """Copy the document, what it was shown with, and its history; neither is open to a session yet."""
    wanted = [moment.document_id, *(item for item in state.get("grounding") or () if item != moment.document_id)]
    rows = await rows_of_documents(source, wanted)
    await record_copied_documents(target, rows, moment.document_id, len(state["rounds"]))
    closed = max((row["n"] for row in state["rounds"]), default=0)
    await record_copied_rounds(target, await before_round(source, moment.thread_id, closed + 1, moment.n))


def _new_folder(forks: Path) -> Path:
    number = 1
    while True:
        folder = forks / str(number)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise UserError(f"{folder}: cannot be made: {error.strerror}: make the run's folder writable") from error
        else:
            return folder
