"""What a person sees while a run works: live on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import cause_of
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.usage import Usage
from autodata.jobs.printable import printable
from autodata.nodes.events import (
    AcceptedEvent,
    AttemptEvent,
    CandidateEvent,
    FeedbackEvent,
    GraphEvent,
    MarkEvent,
    RejectedEvent,
    VerdictEvent,
)
from autodata.runner.events import (
    CallEvent,
    CollectedEvent,
    DrainedEvent,
    EndedEvent,
    ErroredEvent,
    RunEvent,
    StartedEvent,
    WaitingEvent,
)

LOG = logging.getLogger("autodata")
LOG_EVERY_SECONDS = 15.0
"""Longest silence of a log while calls come back."""
SHOWN = 8
"""Documents in work that a terminal shows at once."""

_STAGES = {
    "extract": "document read",
    "candidate": "question written",
    "quality": "quality checked",
    "attempt": "solving",
    "mark": "marking",
    "verdict": "judged",
    "judgement": "pattern judged",
    "feedback": "new question",
    "review": "waiting for a person",
    "reviewed": "answered",
}


def duration(seconds: float) -> str:
    """Return seconds as a short text, for instance `2m05s`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Watching(ABC):
    """What is live on a terminal or in a notebook, and a line now and then elsewhere; around the work, as a context.

    All lines that stay go to the logger `autodata` too, and to it alone without a console.
    """

    def __init__(self, console: Console | None) -> None:
        self._console = console
        self._started = self._last_line = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console is not None and _can_redraw(self._console):
            self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=8, transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.__exit__(kind, error, at)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._last_line = time.monotonic()
        LOG.info("%s", printable(text))
        if self._console is not None:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _elapsed(self) -> str:
        return duration(time.monotonic() - self._started)

    @abstractmethod
    def _render(self) -> RenderableType:
        """Return what is live."""


def _can_redraw(console: Console) -> bool:
    """Whether what is shown can be drawn over: on a terminal, and in a notebook that has widgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)


class Progress(Watching):
    """Follows a runner's events."""

    def __init__(self, console: Console | None, *, total: int = 0, target: int | None = None) -> None:
        super().__init__(console)
        self._target = target
        self.total = total
        self._ended: Counter[str] = Counter()
        self._working: dict[str, dict[str, Any]] = {}
        self._used, self._rounds = Usage(), 0
        self._cause = ""  # of the last document that errored, until another one ends well
        self._note = "starting"
        self._fetched: tuple[int, int] = (0, 0)

    @property
    def calls(self) -> int:
        """Calls that were completed in this session."""
        return self._used.calls

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show what is being fetched or loaded; `done` and `total` in bytes, 0 when not known."""
        if self._live is None and what != self._note:
            self.say(f"[{self._elapsed()}] {what}")
        self._note, self._fetched = what, (done, total)

    def on_event(self, event: RunEvent) -> None:
        """Take note of one event of the runner."""
        work = self._working.get(event.document_id, {})
        self._note, self._fetched = "", (0, 0)
        match event:
            case CallEvent(reply=reply):
                self._used += reply.usage
            case StartedEvent():
                stage = "resuming" if event.resumed else "new"
                self._working[event.document_id] = {"name": event.name, "n": 0, "stage": stage}
            case EndedEvent() | DrainedEvent() | ErroredEvent() | WaitingEvent():
                self._left(self._working.pop(event.document_id, {}), event)
            case AcceptedEvent() | RejectedEvent():
                self._closed(work, event.event)
            case CollectedEvent():
                work.update(n=event.n, stage=event.event, detail="")
                if event.status in {DocumentStatus.ACCEPTED, DocumentStatus.REJECTED}:
                    self._closed(work, event.status.value)
            case FeedbackEvent():
                work.update(n=event.n, stage=_STAGES[event.event], detail=event.failure_mode.replace("_", " "))
                self._closed(work, "rejected" if event.last else "")
            case _:
                work.update(n=event.n, stage=_STAGES.get(event.event, event.event), detail=_detail(event))
        if self._live is None and time.monotonic() - self._last_line > LOG_EVERY_SECONDS:
            self.say(f"[{self._elapsed()}] {self._headline()}")

    def _closed(self, work: dict[str, Any], outcome: str) -> None:
        work["outcome"] = outcome
        self._rounds += 1

    def _left(self, work: Mapping[str, Any], event: EndedEvent | DrainedEvent | ErroredEvent | WaitingEvent) -> None:
        if not work:
            return
        outcome = work.get("outcome") or "skipped" if isinstance(event, EndedEvent) else event.event
        self._ended[outcome] += 1
        rounds = f" after {work['n']} round{'s' if work['n'] != 1 else ''}" if work["n"] else ""
        reason = ""
        if isinstance(event, ErroredEvent):
            before, self._cause = self._cause, cause_of("", event.reason)
            reason = ": the same cause" if self._cause == before else f": {event.reason}"
        elif not isinstance(event, DrainedEvent):
            self._cause = ""
        self.say(f"[{self._elapsed()}] {outcome}: {work['name']}{rounds}{reason}")

    def _headline(self) -> str:
        accepted = f"{self._ended['accepted']}" + (f" of {self._target}" if self._target else "")
        ended = sum(count for outcome, count in self._ended.items() if outcome != "drained")
        parts = [f"accepted {accepted}", f"documents {ended}/{self.total}", f"rounds {self._rounds}"]
        parts += [
            f"{name} {count}" for name, count in sorted(self._ended.items()) if name not in {"accepted", "drained"}
        ]
        return ", ".join([*parts, f"calls {self._used.calls:,}", f"tokens {self._used.tokens:,}"])

    def _render(self) -> Group:
        head = Table.grid(padding=(0, 1))
        head.add_row(Spinner("dots"), Text(f"{self._elapsed()}  {self._headline()}", style="bold"))
        done, whole = self._fetched
        if self._note:
            size = f"  {done / 1e6:,.0f} of {whole / 1e6:,.0f} MB" if whole else ""
            head.add_row("", Text(f"{self._note}{size}", style="cyan"))
            if whole:
                head.add_row("", ProgressBar(total=whole, completed=done, width=40))
        rows = Table.grid(padding=(0, 2))
        for work in list(self._working.values())[:SHOWN]:
            rows.add_row(
                Text("  " + work["name"][-36:]),
                Text(f"round {work['n']}" if work["n"] else ""),
                Text(work["stage"], style="cyan"),
                Text(work.get("detail", "")[:60], style="dim", no_wrap=True, overflow="ellipsis"),
            )
        more = len(self._working) - SHOWN
        return Group(head, rows, Text(f"  and {more} more" if more > 0 else "", style="dim"))


def _detail(event: GraphEvent) -> str:
    """Return the few words that say where a document stands."""
    match event:
        case CandidateEvent(candidate=dict(candidate)):
            return str(candidate["question"])
        case AttemptEvent(attempt=attempt):
            return f"{attempt.stage.value} attempt {attempt.index + 1}"
        case MarkEvent():
            return f"{event.stage.value} score {event.mark.score}"
        case VerdictEvent():
            return event.verdict.summary
    return ""
