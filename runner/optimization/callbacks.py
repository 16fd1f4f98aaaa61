"""Callbacks: a class of the caller's own whose methods are called while a search works, each with one kind of event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import assert_never

from autodata.nodes.optimizer.events import (
    AnalysedEvent,
    EditedEvent,
    EvaluatedEvent,
    EvaluatingEvent,
    IterationEvent,
    RecordedEvent,
)
from autodata.runner.events import OptimizationEvent, TrialEvent
from autodata.runner.optimization.stopping import SearchStanding

LOG = logging.getLogger("autodata")


class SearchCallback:
    """Watches a search: override the methods you need.

    They are called in the search's own event loop, so they return at once and decide nothing. One that raises is named
    in the notes and not called again: whoever watches costs a search nothing.
    """

    def on_iteration(self, event: IterationEvent) -> None:
        """Take note of an iteration that begins, or is gone on with."""

    def on_evaluating(self, event: EvaluatingEvent) -> None:
        """Take note of an evaluation that begins, or is gone on with."""

    def on_evaluated(self, event: EvaluatedEvent) -> None:
        """Take note of an evaluation that ended."""

    def on_analysed(self, event: AnalysedEvent) -> None:
        """Take note of the causes that the analyst named."""

    def on_edited(self, event: EditedEvent) -> None:
        """Take note of an edit, and of what was refused."""

    def on_recorded(self, event: RecordedEvent) -> None:
        """Take note of an iteration that ended."""

    def on_trial(self, event: TrialEvent) -> None:
        """Take note of something that happened to one document of an evaluation, calls included."""

    def on_standing(self, standing: SearchStanding) -> None:
        """Take note of how the search stands: before each iteration, and before it ends."""


class Watchers:
    """Callbacks of one session. One that raises is left out from then on, and noted once."""

    def __init__(self, callbacks: Iterable[SearchCallback], notes: list[str]) -> None:
        self._callbacks, self._notes = list(callbacks), notes

    def __bool__(self) -> bool:
        """Return whether anybody watches."""
        return bool(self._callbacks)

    def add(self, callbacks: Iterable[SearchCallback]) -> None:
        """Let more watch."""
        self._callbacks += callbacks

    def event(self, event: OptimizationEvent) -> None:
        """Call the one method of each callback that an event is for."""
        for callback in tuple(self._callbacks):
            self._call(callback, partial(_given, callback, event))

    def standing(self, standing: SearchStanding) -> None:
        """Show every callback how the search stands."""
        for callback in tuple(self._callbacks):
            self._call(callback, partial(callback.on_standing, standing))

    def _call(self, callback: SearchCallback, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self._callbacks.remove(callback)
            note = f"{type(callback).__name__} is not called again: it raised {type(error).__name__}: {error}"
            self._notes.append(" ".join(note.split()))
            LOG.warning("%s", self._notes[-1], exc_info=error)


def _given(callback: SearchCallback, event: OptimizationEvent) -> None:
    match event:
        case IterationEvent():
            callback.on_iteration(event)
        case EvaluatingEvent():
            callback.on_evaluating(event)
        case EvaluatedEvent():
            callback.on_evaluated(event)
        case AnalysedEvent():
            callback.on_analysed(event)
        case EditedEvent():
            callback.on_edited(event)
        case RecordedEvent():
            callback.on_recorded(event)
        case TrialEvent():
            callback.on_trial(event)
        case _:
            assert_never(event)
