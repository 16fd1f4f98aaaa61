"""How a run stands, in figures: where its documents are, how fast examples come, when it ends, what it costs.

`Progress` fills it in from a runner's events, `autodata status --watch` from a run folder; both show the same lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autodata.checkpoints.usage import Usage

STAGES = (
    "waiting",
    "challenge",
    "quality",
    "weak",
    "strong",
    "review",
    "confirm",
    "accepted",
    "rejected",
    "skipped",
    "errored",
)
"""Where a document can be, in the order in which it goes: to be taken up; a question is written; the question is
checked; weak attempts and their marks; strong ones; a person is asked; fresh ones of both; and how it ended."""
ENDED = ("accepted", "rejected", "skipped", "errored")


@dataclass(frozen=True)
class EndpointStanding:
    """How one endpoint does."""

    name: str
    in_flight: int
    """Requests that were sent and not answered yet."""
    waiting: int = 0
    """Calls that wait before they are tried again."""
    errors: int = 0
    """Requests that failed in this session."""
    last_error: str = ""
    limit: int | None = None
    """Requests at once, for now, where that is less than was asked for: the server said that it is asked too much."""
    probing: bool = False
    """Whether requests go out one at a time, to see whether it is back."""

    def line(self) -> str:
        """Return it in one line."""
        parts = [f"{self.in_flight} in flight"]
        if self.probing:
            parts.append("one request at a time until one is answered")
        elif self.limit is not None:
            parts.append(f"at most {self.limit} at once for now")
        parts += [f"{self.waiting} waiting for a retry"] if self.waiting else []
        if self.errors:
            parts.append(f"{self.errors} failed, the last: {' '.join(self.last_error.split())[:160]}")
        return f"{self.name}: {', '.join(parts)}"


@dataclass(frozen=True)
class Standing:
    """How a run stands."""

    funnel: Mapping[str, int]
    """Documents by stage, those of `STAGES`."""
    elapsed: float
    """Seconds of this session."""
    ended: int
    """Documents that ended in this session."""
    made: int
    """Examples accepted in this session."""
    used: Usage
    """What this session's calls took."""
    spent: Usage
    """What the calls of all sessions took, these included."""
    target: int | None = None
    repeated: int = 0
    """Accepted examples that ask what an earlier one asks: they do not count for a target."""
    repeated_made: int = 0
    """Those among them of this session."""
    endpoints: tuple[EndpointStanding, ...] = field(default=())

    @property
    def accepted(self) -> int:
        """Examples accepted in all sessions, but for repeats where there is a target."""
        return self.funnel.get("accepted", 0) - self.repeated

    @property
    def _counted(self) -> int:
        return self.made - self.repeated_made

    @property
    def left(self) -> int:
        """Documents that have not ended."""
        return sum(count for stage, count in self.funnel.items() if stage not in ENDED)

    @property
    def share_done(self) -> float:
        """How much of the work is done, from 0 to 1: of the documents, or of the target where more of it is."""
        documents = sum(self.funnel.values())
        shares = [(documents - self.left) / documents if documents else 0.0]
        if self.target:
            shares.append(self.accepted / self.target)
        return min(1.0, max(shares))

    @property
    def accepted_per_hour(self) -> float | None:
        """At this session's pace; None before it has accepted one."""
        return self._counted / self.elapsed * 3600 if self._counted and self.elapsed > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Until the target is reached or all documents have ended, at this session's pace; None while it has none."""
        shares = self._shares_left()
        return None if shares is None or self.elapsed <= 0 else self.elapsed * shares

    @property
    def usd_expected(self) -> float | None:
        """US dollars of all sessions by then; None while nothing has ended, or without a price."""
        shares = self._shares_left()
        if shares is None or self.spent.usd is None:
            return None
        return self.spent.usd + (self.used.usd or 0.0) * shares

    def _shares_left(self) -> float | None:
        """Return how many times as much is to come as this session has done; None while it has ended nothing."""
        shares = []
        if self.ended:
            shares.append(self.left / self.ended)
        if self.target is not None and self._counted:
            shares.append(max(0, self.target - self.accepted) / self._counted)
        return min(shares, default=None)

    def lines(self) -> list[str]:
        """Return it in lines for a person: pace and money, the funnel, each endpoint."""
        return [self.headline(), self.funnel_line(), *(endpoint.line() for endpoint in self.endpoints)]

    def headline(self) -> str:
        """Return pace, time and money in one line."""
        parts = [f"accepted {self.accepted:,}" + (f" of {self.target:,}" if self.target else "")]
        documents = sum(self.funnel.values())
        parts.append(f"documents {documents - self.left:,}/{documents:,}")
        if (pace := self.accepted_per_hour) is not None:
            parts.append(f"{pace:,.0f} accepted an hour")
        if (seconds := self.seconds_left) is not None and self.left:
            parts.append(f"{duration(seconds)} to go")
        parts += [f"calls {self.spent.calls:,}", f"tokens {self.spent.tokens:,}"]
        if self.spent.usd is not None:
            expected = "" if self.usd_expected is None else f" of about ${self.usd_expected:,.2f}"
            parts.append(f"${self.spent.usd:,.2f}{expected}")
        return ", ".join(parts)

    def funnel_line(self) -> str:
        """Return the stages that hold documents in one line; those that every run goes through always."""
        shown = {"waiting", "challenge", "quality", "weak", "strong", "accepted"}
        stages = [
            f"{stage} {self.funnel.get(stage, 0):,}" for stage in STAGES if stage in shown or self.funnel.get(stage)
        ]
        open_, closed = ([one for one in stages if (one.split()[0] in ENDED) is ended] for ended in (False, True))
        return f"{' > '.join(open_)} > {' / '.join(closed)}"


def bar(share: float, width: int = 40) -> str:
    """Return a share, from 0 to 1, as a bar of text `width` signs long; it is full only when all is done."""
    full = int(share * width)
    return f"{'█' * full}{'░' * (width - full)} {int(share * 100)}%"


def duration(seconds: float) -> str:
    """Return seconds as a short text, for instance `2m05s`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
