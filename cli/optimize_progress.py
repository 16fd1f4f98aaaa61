"""What a person sees while a search works: a line for each step of an iteration, and live figures on a terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.usage import Usage
from autodata.jobs.progress import LOG_EVERY_SECONDS, Watching
from autodata.nodes.optimizer.events import EditedEvent, EvaluatedEvent, EvaluatingEvent, RecordedEvent
from autodata.runner.events import CallEvent, EndedEvent, ErroredEvent, OptimizationEvent, TrialEvent


class OptimizeProgress(Watching):
    """Follows a search's events."""

    def __init__(self, console: Console, iterations: int) -> None:
        super().__init__(console)
        self._iterations = iterations
        self._ended = self._accepted = 0
        self._used = Usage()
        self._working: dict[str, str] = {}
        self._documents: dict[str, list[int]] = {}

    def say(self, text: str) -> None:
        """Print a line that stays, with the time that it came after."""
        super().say(f"[{self._elapsed()}] {text}")

    def preparing(self, what: str, done: int, total: int) -> None:
        """Say what is being fetched or loaded."""
        if self._working.get("") != what:
            self._working = {"": what}
            self.say(what)

    def on_event(self, event: OptimizationEvent) -> None:
        """Take note of one event of the search or of a document in an evaluation."""
        match event:
            case TrialEvent():
                self._on_trial(event)
            case EvaluatingEvent():
                self._working.pop("", None)
                self._documents[event.evaluation] = [0, event.documents]
            case EvaluatedEvent():
                self._documents.pop(event.evaluation, None)
                early = "" if event.complete else ", stopped early"
                where = f"{event.split} block {event.block}"
                self.say(f"pack {event.pack} on {where}: {event.passed} of {event.made} passed{early}")
            case RecordedEvent():
                self._ended += 1
                self._accepted += event.outcome == "accepted"
                leads = ", leads now" if event.record else ""
                self.say(f"iteration {event.iteration}: {event.outcome}{leads}: {event.reason}")
            case EditedEvent() if event.refusals:
                self.say(f"iteration {event.n}: refused: {event.refusals[0]}")
        if self._live is None and time.monotonic() - self._last_line > LOG_EVERY_SECONDS:
            self.say(self._headline())

    def _on_trial(self, trial: TrialEvent) -> None:
        match trial.event:
            case CallEvent(reply=reply):
                self._used += reply.usage
            case EndedEvent() | ErroredEvent() if trial.evaluation in self._documents:
                self._documents[trial.evaluation][0] += 1

    def _headline(self) -> str:
        return (
            f"iterations {self._ended}/{self._iterations}, accepted {self._accepted},"
            f" calls {self._used.calls:,}, tokens {self._used.tokens:,}"
        )

    def _render(self) -> Table:
        rows = Table.grid(padding=(0, 1))
        rows.add_row(Spinner("dots"), Text(f"{self._elapsed()}  {self._headline()}", style="bold"))
        for evaluation, (done, total) in self._documents.items():
            rows.add_row("", Text(f"{evaluation}: {done} of {total} documents", style="cyan"))
        if what := self._working.get(""):
            rows.add_row("", Text(what, style="cyan"))
        return rows
