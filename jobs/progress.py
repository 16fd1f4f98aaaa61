"""What a person sees while a run works, from its events: where documents are, pace, money, endpoints."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.asked import asked_key
from autodata.checkpoints.errors import cause_of
from autodata.checkpoints.records import Decision, DocumentStatus
from autodata.checkpoints.usage import Usage
from autodata.jobs.standing import ENDED, STAGES, EndpointStanding, Standing, duration
from autodata.jobs.watching import LOG, Watching
from autodata.nodes.events import (
    AcceptedEvent,
    AttemptEvent,
    CandidateEvent,
    ConfirmingEvent,
    DraftsEvent,
    ExtractEvent,
    FeedbackEvent,
    GraphEvent,
    JudgementEvent,
    MarkEvent,
    QualityEvent,
    RejectedEvent,
    ReviewEvent,
    ScreenEvent,
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

if TYPE_CHECKING:
    from autodata.models.endpoint import Endpoint

__all__ = ["Progress", "duration", "endpoint_standings"]

SHOWN = 8
"""Documents in work that a terminal shows at once."""
REPORT_EVERY_SECONDS = 1.0
"""A caller's function is called at most this often, and once at the end."""

_WORDS = {
    "extract": "document read",
    "candidate": "question written",
    "quality": "quality checked",
    "attempt": "solving",
    "mark": "marking",
    "verdict": "judged",
    "judgement": "pattern judged",
    "audit": "audited",
    "confirming": "confirming",
    "confirmed": "confirmed",
    "feedback": "new question",
    "review": "waiting for a person",
    "reviewed": "answered",
}


class Progress(Watching):
    """Follows a runner's events."""

    def __init__(
        self,
        console: Console | None,
        *,
        total: int = 0,
        target: int | None = None,
        reported: Callable[[Standing], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        **timing: Any,
    ) -> None:
        """Show on `console`; `reported` is called with how the run stands. `clock` and `sleep`: as `Watching`."""
        super().__init__(console, clock=clock, **timing)
        self._target, self._reported = target, reported
        self.total = total
        """Documents that this session is to work on."""
        self._before: Mapping[str, int] = {}
        self._asked: set[str] = set()
        self._repeated = [0, 0]  # accepted examples that repeat another one, of earlier sessions and of this one
        self._spent_before = Usage()
        self._quality = True
        self._endpoints: Sequence[Endpoint] = ()
        self._begun = self._last_report = clock()
        self._ended: Counter[str] = Counter()
        self._working: dict[str, dict[str, Any]] = {}
        self._used, self._rounds = Usage(), 0
        self._cause = ""  # of the last document that errored, until another one ends well
        self._note = "starting"
        self._fetched: tuple[int, int] = (0, 0)

    def __exit__(self, *why: Any) -> None:
        self._report()
        super().__exit__(*why)

    @property
    def calls(self) -> int:
        """Calls that were completed in this session."""
        return self._used.calls

    def began(
        self,
        *,
        statuses: Mapping[str, int],
        spent: Usage,
        quality: bool = True,
        endpoints: Sequence[Endpoint] = (),
        asked: Collection[str] | None = None,
    ) -> None:
        """Note what earlier sessions did, by status of documents, and that the work begins.

        `quality`: whether the domain checks questions before they are attempted. `asked` are the `asked_key` of what
        earlier sessions accepted, given where a target counts distinct examples.
        """
        if asked is not None:
            self._asked = set(asked)
            self._repeated[0] = statuses.get("accepted", 0) - len(self._asked)
        self._before = {name: statuses.get(name, 0) for name in ("accepted", "rejected", "skipped")}
        self._spent_before, self._quality, self._endpoints = spent, quality, endpoints
        self._begun = self._clock()

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show what is being fetched or loaded; `done` and `total` in bytes, 0 when not known."""
        if self._live is None and what != self._note:
            self.say(f"[{self._elapsed()}] {what}")
        self._note, self._fetched = what, (done, total)

    def standing(self) -> Standing:
        """Return how the run stands."""
        working = Counter(work["place"] for work in self._working.values())
        ended = {name: count for name, count in self._ended.items() if name != "drained"}
        left = max(0, self.total - sum(ended.values()) - sum(working.values()))
        funnel = dict.fromkeys(STAGES, 0) | {"waiting": left}
        for counts in (working, self._before):
            for stage, count in counts.items():
                funnel[stage] += count
        for outcome, count in ended.items():
            funnel["review" if outcome == "waiting" else outcome] += count
        return Standing(
            funnel,
            self._clock() - self._begun,
            ended=sum(count for name, count in ended.items() if name in ENDED),
            made=ended.get("accepted", 0),
            used=self._used,
            spent=self._spent_before + self._used,
            target=self._target,
            repeated=sum(self._repeated),
            repeated_made=self._repeated[1],
            endpoints=endpoint_standings(self._endpoints),
        )

    def share_done(self) -> float:
        """Return how much of the work is done, from 0 to 1."""
        return self.standing().share_done

    def figures(self) -> list[str]:
        """Return how the run stands, in lines."""
        return self.standing().lines()

    def on_event(self, event: RunEvent) -> None:
        """Take note of one event of the runner."""
        work = self._working.get(event.document_id, {})
        self._note, self._fetched = "", (0, 0)
        match event:
            case CallEvent(reply=reply):
                self._used += reply.usage
            case StartedEvent():
                stage = "resuming" if event.resumed else "new"
                self._working[event.document_id] = {"name": event.name, "n": 0, "stage": stage, "place": "challenge"}
            case EndedEvent() | DrainedEvent() | ErroredEvent() | WaitingEvent():
                self._left(self._working.pop(event.document_id, {}), event)
            case AcceptedEvent(example=example):
                self._accepted(asked_key(example.candidate["question"], example.candidate.get("context") or ""))
                self._closed(work, event.event)
            case RejectedEvent():
                self._closed(work, event.event)
            case CollectedEvent():
                work.update(n=event.n, stage=event.event, detail="")
                if event.asked:
                    self._accepted(event.asked)
                if event.status in {DocumentStatus.ACCEPTED, DocumentStatus.REJECTED}:
                    self._closed(work, event.status.value)
            case FeedbackEvent():
                detail = event.failure_mode.replace("_", " ")
                work.update(n=event.n, stage=_WORDS[event.event], place="challenge", detail=detail)
                self._closed(work, "rejected" if event.last else "")
            case _:
                work.update(n=event.n, stage=_WORDS.get(event.event, event.event), detail=_detail(event))
                work["place"] = self._place(event) or work.get("place", "challenge")
        self.tick()
        if self._clock() - self._last_report >= REPORT_EVERY_SECONDS:
            self._report()

    def _place(self, event: GraphEvent) -> str:
        """Return the stage that an event leaves its document in; empty where it stays in the one that it is in."""
        match event:
            case CandidateEvent() | QualityEvent() | JudgementEvent() if event.rejection:
                return "challenge"
            case ExtractEvent() | DraftsEvent() | ScreenEvent():
                return "challenge"
            case CandidateEvent():
                return "quality" if self._quality else "weak"
            case QualityEvent():
                return "weak"
        return _place_of_solvers(event)

    def _report(self) -> None:
        """Call the caller's function; one that raises is logged once, and no run fails by it."""
        if self._reported is None:
            return
        self._last_report = self._clock()
        try:
            self._reported(self.standing())
        except Exception:  # noqa: BLE001 - a caller's own function may raise anything
            LOG.warning("the progress function failed, and is not called again", exc_info=True)
            self._reported = None

    def _accepted(self, asked: str) -> None:
        """Count an accepted example by its `asked_key`; where there is a target, one that repeats another as such."""
        if self._target is not None and asked in self._asked:
            self._repeated[1] += 1
        self._asked.add(asked)

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

    def _render(self) -> Group:
        headline, funnel, *endpoints = self.figures()
        head = Table.grid(padding=(0, 1))
        head.add_row(Spinner("dots"), Text(f"{self._elapsed()}  {headline}", style="bold"))
        head.add_row("", Text(funnel))
        for line in endpoints:
            failing = "failed" in line
            head.add_row("", Text(line, style="yellow" if failing else "dim", no_wrap=True, overflow="ellipsis"))
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


def _place_of_solvers(event: GraphEvent) -> str:
    match event:
        case AttemptEvent(attempt=attempt):
            return attempt.stage.value
        case MarkEvent(stage=stage):
            return stage.value
        case VerdictEvent(verdict=verdict) if verdict.decision is Decision.STRONG:
            return "strong"
        case ReviewEvent():
            return "review"
        case ConfirmingEvent():
            return "confirm"
    return ""


def endpoint_standings(endpoints: Sequence[Endpoint]) -> tuple[EndpointStanding, ...]:
    """Return how endpoints do, each in a value of its own."""
    return tuple(
        EndpointStanding(
            one.name,
            one.health.in_flight,
            one.health.waiting,
            one.health.errors,
            one.down or one.health.last_error,
            one.slots.limit if one.slots.limit < one.slots.most else None,
            probing=one.probes is not None,
        )
        for one in endpoints
    )


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
