"""What a person sees while a search works: a line for each step of an iteration, and live figures on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.usage import Usage
from autodata.jobs.progress import endpoint_standings
from autodata.jobs.standing import duration
from autodata.jobs.watching import Watching
from autodata.models.endpoint import Endpoint
from autodata.nodes.optimizer.events import EditedEvent, EvaluatedEvent, EvaluatingEvent, RecordedEvent
from autodata.runner.events import CallEvent, EndedEvent, ErroredEvent, OptimizationEvent, TrialEvent


class OptimizeProgress(Watching):
    """Follows a search's events."""

    def __init__(
        self, console: Console | None, iterations: int, *, clock: Callable[[], float] = time.monotonic, **timing: Any
    ) -> None:
        """Show on `console`. `clock` and `sleep`: as `Watching`."""
        super().__init__(console, clock=clock, **timing)
        self._iterations = iterations
        self._before = self._ended = self._accepted = 0
        self._begun = clock()
        self._spent_before, self._used = Usage(), Usage()
        self._endpoints: Sequence[Endpoint] = ()
        self._working: dict[str, str] = {}
        self._documents: dict[str, list[int]] = {}

    def began(self, *, ended: int, accepted: int, spent: Usage, endpoints: Sequence[Endpoint] = ()) -> None:
        """Note what earlier sessions did, and that the work begins."""
        self._before, self._accepted, self._spent_before, self._endpoints = ended, accepted, spent, endpoints
        self._begun = self._clock()

    def say(self, text: str) -> None:
        """Print a line that stays, with the time that it came after."""
        super().say(f"[{self._elapsed()}] {text}")

    def _say_figures(self, line: str) -> None:
        self.say(line)  # which has the time already

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
                early = "" if event.complete else " so far"
                where = f"{event.split} block {event.block}"
                self.say(f"pack {event.pack} on {where}: {event.passed} of {event.made} passed{early}")
            case RecordedEvent():
                self._ended += 1
                self._accepted += event.outcome == "accepted"
                leads = ", leads now" if event.record else ""
                self.say(f"iteration {event.iteration}: {event.outcome}{leads}: {event.reason}")
            case EditedEvent() if event.refusals:
                self.say(f"iteration {event.n}: refused: {event.refusals[0]}")
        self.tick()

    def _on_trial(self, trial: TrialEvent) -> None:
        match trial.event:
            case CallEvent(reply=reply):
                self._used += reply.usage
            case EndedEvent() | ErroredEvent() if trial.evaluation in self._documents:
                self._documents[trial.evaluation][0] += 1

    def figures(self) -> list[str]:
        """Return how the search stands, in lines."""
        done, spent = self._before + self._ended, self._spent_before + self._used
        left = max(0, self._iterations - done)
        parts = [f"iterations {done}/{self._iterations}", f"accepted {self._accepted}"]
        if self._ended and left:
            parts.append(f"{duration((self._clock() - self._begun) / self._ended * left)} to go")
        parts += [f"calls {spent.calls:,}", f"tokens {spent.tokens:,}"]
        if spent.usd is not None:
            whole = spent.usd + (self._used.usd or 0.0) / self._ended * left if self._ended else None
            parts.append(f"${spent.usd:,.2f}" + ("" if whole is None else f" of about ${whole:,.2f}"))
        return [", ".join(parts), *(one.line() for one in endpoint_standings(self._endpoints))]

    def _render(self) -> Table:
        rows = Table.grid(padding=(0, 1))
        headline, *endpoints = self.figures()
        rows.add_row(Spinner("dots"), Text(f"{self._elapsed()}  {headline}", style="bold"))
        for line in endpoints:
            style = "yellow" if "failed" in line else "dim"
            rows.add_row("", Text(line, style=style, no_wrap=True, overflow="ellipsis"))
        for evaluation, (done, total) in self._documents.items():
            rows.add_row("", Text(f"{evaluation}: {done} of {total} documents", style="cyan"))
        if what := self._working.get(""):
            rows.add_row("", Text(what, style="cyan"))
        return rows
