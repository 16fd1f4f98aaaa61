"""The outer loop in a run folder: batches of its documents, lessons between them (`graphs/dataset.py`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.lessons import Batch, Lesson, Steer
from autodata.checkpoints.queries.lessons import batches, lesson_versions
from autodata.checkpoints.records import DocumentStatus
from autodata.graphs.dataset import STEPS, build_lessons
from autodata.models.caller import Caller
from autodata.nodes.context import NOTHING, ShownLessons
from autodata.nodes.dataset.lessons import section_of
from autodata.nodes.dataset.settings import LessonsConfig
from autodata.nodes.dataset.state import DatasetContext
from autodata.prompts import PromptPack

if TYPE_CHECKING:
    from autodata.runner.document_runner import Runner

Rows = Sequence[Mapping[str, Any]]


class DatasetLoop:
    """The outer loop of one session, around its document runner. `Walker` of its graph's nodes."""

    def __init__(self, runner: Runner, settings: LessonsConfig, caller: Caller, prompts: PromptPack) -> None:
        self._runner, self._settings, self._caller, self._prompts = runner, settings, caller, prompts
        self._graph: Any = build_lessons().compile()
        self._left: dict[str, Mapping[str, Any]] = {}
        self._shown: dict[str, ShownLessons] = {}

    def of(self, document_id: str) -> ShownLessons:
        """Return what the challengers of a document are shown: what its latest batch was begun with."""
        return self._shown.get(document_id, NOTHING)

    async def work_on(self, rows: Rows) -> None:
        """Take open documents through the outer loop. Those whose review was answered go on alone, as do chosen ones.

        Without any, a batch is closed whose session died after its last document's end. Raises what ends the session,
        as the document runner does.
        """
        alone = [row for row in rows if self._runner.only is not None or row["status"] == DocumentStatus.WAITING]
        await self._runner.walk_all(alone)
        answered = {row["document_id"] for row in alone}
        self._left = {row["document_id"]: row for row in rows if row["document_id"] not in answered}
        if not self._left and (rows or not await self._is_batch_open()):
            return
        context = DatasetContext(self._settings, self._runner.ledger, self._caller, self._prompts, self)
        try:
            steps = {"recursion_limit": STEPS * (len(self._left) + 1) + 1}
            await self._graph.ainvoke({}, steps, context=context)
        except Exception as error:  # noqa: BLE001 - what a call of the analyst raises ends the session as any other does
            await self._runner.session_ended_by(error)

    async def _is_batch_open(self) -> bool:
        known = await batches(self._runner.ledger)
        return bool(known) and known[-1].state == "open"

    @property
    def stopped(self) -> str:
        """Why the session takes up nothing more."""
        return self._runner.outcome.stopped

    def left(self) -> Rows:
        """Return the rows that are open and were not taken up in this session."""
        return [*self._left.values()]

    async def walk(self, documents: Sequence[str]) -> None:
        """Take those of the documents that are open through the inner loop."""
        await self.look_up()
        rows = [self._left.pop(document) for document in documents if document in self._left]
        # The inner loop is a graph of its own, with its own threads: it must not take itself for a part of this one.
        alone = copy_context()
        alone.run(var_child_runnable_config.set, None)
        await asyncio.create_task(self._runner.walk_all(rows), context=alone)

    def stop(self, reason: str) -> None:
        """Take up nothing more."""
        self._runner.drain(reason)

    def note(self, line: str) -> None:
        """Say what a person must know at the end."""
        self._runner.outcome.notes.append(line)

    async def look_up(self) -> None:
        """Read what each document's latest batch was begun with."""
        self._shown = await shown_by_document(self._runner.ledger, self._settings, self._prompts)


async def shown_by_document(ledger: Reader, settings: LessonsConfig, prompts: PromptPack) -> dict[str, ShownLessons]:
    """Return what the challengers of each document are shown: what its latest batch was begun with."""
    versions = {lesson.ref: lesson for lesson in await lesson_versions(ledger)}
    shown: dict[str, ShownLessons] = {}
    for batch in await batches(ledger):
        counted = batch.steer if settings.steer else Steer()
        shown |= dict.fromkeys(batch.documents, section_of(prompts, _in_force(batch, versions), counted))
    return shown


def _in_force(batch: Batch, versions: Mapping[str, Lesson]) -> list[Lesson]:
    return [versions[ref] for ref in batch.lessons if ref in versions]
