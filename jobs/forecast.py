"""What documents still to come will take, from what measured ones took: figures with an interval.

The rest of the run is played many times over. Each time the measured documents are drawn anew, with replacement, and
then the documents to come are drawn from them, as many as the run would take up side by side, until the target is
reached or none is left. The interval is made of the percentiles of what these plays took: it holds both what few
measured documents leave open and how much documents differ.

- The share that is accepted is drawn from a beta distribution (Jeffreys' prior), so that five accepted of five are not
  taken for a promise.
- How many seconds a document takes a call is drawn from all measured documents, whether they were accepted or not. Of
  eight documents often one alone is rejected: drawn with its own, all rejected ones to come would be as fast or as slow
  as that one, and most of a run's time goes to them.
- The percentiles are those of the expanded interval, Phi(-t sqrt(n / (n - 1))) with Student's t of n - 1 degrees: plain
  percentiles are too narrow for few measured documents (Hesterberg 2015, "What Teachers Should Know About the
  Bootstrap").

Plain Python, seeded: the same documents give the same figures.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, median

from autodata.corpus.intervals import students_t

CONFIDENCE = 0.9
"""The share of runs whose figure is to lie within the interval."""
DRAWS = 1000
FEWEST_DRAWS = 200
MOST_DRAWN = 10_000
"""Documents that are drawn at most; of more, so many are drawn and the rest is counted in proportion."""
_EFFORT = 1_000_000  # documents drawn over all plays together

Price = Callable[[str, float, float], float | None]
"""Gives the US dollars of a role's tokens in and out, None where its model has no price."""


@dataclass(frozen=True)
class RoleUse:
    """What one role took."""

    calls: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def __mul__(self, share: float) -> RoleUse:
        """Return so many times as much."""
        return RoleUse(self.calls * share, self.tokens_in * share, self.tokens_out * share)

    def __add__(self, other: RoleUse) -> RoleUse:
        """Return both together."""
        return RoleUse(self.calls + other.calls, self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out)


@dataclass(frozen=True)
class Measured:
    """What one document took, whatever became of it."""

    accepted: bool
    rounds: float
    seconds: float
    """From its first call to its last, pauses between sessions left out."""
    roles: Mapping[str, RoleUse]

    @property
    def calls(self) -> float:
        """Calls of all roles."""
        return sum(use.calls for use in self.roles.values())

    def times(self, share: float, *, accepted: bool, rounds: float) -> Measured:
        """Return a document that took so many times as much."""
        roles = {role: use * share for role, use in self.roles.items()}
        return Measured(accepted, rounds, self.seconds * share, roles)


@dataclass(frozen=True)
class Plan:
    """What is still to come."""

    documents: int
    concurrency: int
    """Documents in work at once."""
    max_rounds: int
    target: int | None = None
    """Accepted examples that are still wanted; None: all documents are worked on."""


@dataclass(frozen=True)
class Range:
    """A figure with the bounds of its interval; None where too little was measured."""

    value: float
    low: float | None = None
    high: float | None = None

    def plus(self, known: float) -> Range:
        """Return the figure with what is known already added."""
        bounds = (None if bound is None else bound + known for bound in (self.low, self.high))
        return Range(self.value + known, *bounds)

    def times(self, share: float) -> Range:
        """Return so many times the figure."""
        bounds = (None if bound is None else bound * share for bound in (self.low, self.high))
        return Range(self.value * share, *bounds)


@dataclass(frozen=True)
class Forecast:
    """What the rest of a run will take."""

    documents: Range
    accepted: Range
    seconds: Range
    totals: Mapping[str, Range | None]
    """`calls`, `tokens_in`, `tokens_out` and `usd` of all roles; `usd` is None where a role has no price."""
    roles: Mapping[str, Mapping[str, Range | None]]
    """The same by role."""


FIGURES = ("calls", "tokens_in", "tokens_out", "usd")


@dataclass
class _Play:
    """One play of the rest of the run: how often each measured document came up."""

    whole: Counter[int] = field(default_factory=Counter)
    parts: dict[int, float] = field(default_factory=dict)
    """Documents that were in work when the target was reached: the share that was done of them."""
    accepted: int = 0
    seconds: float = 0.0


def forecast(measured: Sequence[Measured], plan: Plan, price: Price, seed: int = 0) -> Forecast:
    """Return what is still to come takes. Without bounds when fewer than two documents were measured.

    Raises ValueError when none was.
    """
    if not measured:
        raise ValueError("nothing was measured")
    accepted, others = _classes(measured, plan.max_rounds)
    rows = [*accepted, *others]
    rng = random.Random(seed)  # noqa: S311 - a reproducible estimate, not a secret
    drawn = min(plan.documents, MOST_DRAWN)
    scale = plan.documents / drawn if drawn else 1.0
    target = None if plan.target is None else max(1, round(plan.target / scale)) if plan.target > 0 else 0
    draws = max(FEWEST_DRAWS, min(DRAWS, _EFFORT // max(drawn, 1)))
    counts = sum(one.accepted for one in measured)
    paces = [one.seconds / one.calls for one in measured if one.calls]
    plays = []
    for _ in range(draws):
        share = rng.betavariate(counts + 0.5, len(measured) - counts + 0.5)
        pools = (
            rng.choices(range(len(accepted)), k=len(accepted)),
            [len(accepted) + k for k in rng.choices(range(len(others)), k=len(others))],
        )
        pace = rng.choices(paces, k=len(paces)) if any(paces) else []
        plays.append(_played(rows, pools, pace, share, drawn, plan.concurrency, target, rng))
    tail = _tail(len(measured))

    def ranged(values: list[float]) -> Range:
        return _range([value * scale for value in values], tail)

    columns = _columns(rows, price)
    figures = {
        key: None if column is None else ranged([_sum(play, column) for play in plays])
        for key, column in columns.items()
    }
    roles = list(dict.fromkeys(role for row in rows for role in row.roles))
    return Forecast(
        documents=ranged([float(play.whole.total()) for play in plays]),
        accepted=ranged([float(play.accepted) for play in plays]),
        seconds=ranged([play.seconds for play in plays]),
        totals={name: figures["", name] for name in FIGURES},
        roles={role: {name: figures[role, name] for name in FIGURES} for role in roles},
    )


def _classes(measured: Sequence[Measured], max_rounds: int) -> tuple[list[Measured], list[Measured]]:
    """Return accepted documents and others. Where one kind was not met, the other stands in for it.

    A document that is not accepted goes through all its rounds: one that was accepted counts as often as that takes.
    """
    accepted = [one for one in measured if one.accepted]
    others = [one for one in measured if not one.accepted]
    if not others:
        others = [one.times(max_rounds / max(one.rounds, 1), accepted=False, rounds=max_rounds) for one in accepted]
    if not accepted:
        accepted = [one.times(1.0, accepted=True, rounds=one.rounds) for one in others]
    return accepted, others


def _played(
    rows: Sequence[Measured],
    pools: tuple[list[int], list[int]],
    pace: Sequence[float],
    share: float,
    documents: int,
    concurrency: int,
    target: int | None,
    rng: random.Random,
) -> _Play:
    """Work on documents side by side, as the runner does, until the target is reached or none is left.

    `pace` holds seconds a call, of which each document has one; where it is empty, a call is the measure of time.
    """
    play, working = _Play(), list[tuple[float, int, float, int]]()
    if target == 0:
        return play
    taken = 0
    while working or taken < documents:
        while taken < documents and len(working) < concurrency:
            pool = pools[0] if rng.random() < share else pools[1]
            row = pool[int(rng.random() * len(pool))]
            length = rows[row].calls * (pace[int(rng.random() * len(pace))] if pace else 1.0)
            heapq.heappush(working, (play.seconds + length, taken, play.seconds, row))
            taken += 1
        play.seconds, _, _, row = heapq.heappop(working)
        play.whole[row] += 1
        play.accepted += rows[row].accepted
        if target is not None and play.accepted >= target:
            break
    for end, _, start, row in working:  # the target was reached
        done = (play.seconds - start) / (end - start) if end > start else 0.0
        play.parts[row] = play.parts.get(row, 0.0) + done
    if not pace:
        play.seconds = 0.0  # it counted calls
    return play


def _columns(rows: Sequence[Measured], price: Price) -> dict[tuple[str, str], list[float] | None]:
    """Return (role, figure) -> what each measured document took of it; the role is empty for all together."""
    roles = list(dict.fromkeys(role for row in rows for role in row.roles))
    columns: dict[tuple[str, str], list[float] | None] = {}
    for role in roles:
        uses = [row.roles.get(role, RoleUse()) for row in rows]
        columns[role, "calls"] = [use.calls for use in uses]
        columns[role, "tokens_in"] = [use.tokens_in for use in uses]
        columns[role, "tokens_out"] = [use.tokens_out for use in uses]
        prices = [price(role, use.tokens_in, use.tokens_out) for use in uses]
        columns[role, "usd"] = None if None in prices else [usd or 0.0 for usd in prices]
    for name in FIGURES:
        of_roles = [columns[role, name] for role in roles]
        known = [column for column in of_roles if column is not None]
        columns["", name] = None if None in of_roles else [sum(values) for values in zip(*known, strict=True)]
    return columns


def _sum(play: _Play, column: Sequence[float]) -> float:
    return sum(column[row] * count for row, count in play.whole.items()) + sum(
        column[row] * share for row, share in play.parts.items()
    )


def _tail(measured: int) -> float | None:
    """Return the share of plays beyond each bound; None for one document, which says nothing of how they differ."""
    if measured < 2:
        return None
    expanded = students_t(1 - (1 - CONFIDENCE) / 2, measured - 1) * math.sqrt(measured / (measured - 1))
    return NormalDist().cdf(-expanded)


def _range(values: list[float], tail: float | None) -> Range:
    values.sort()
    if tail is None:
        return Range(median(values))
    low, high = (round(share * (len(values) - 1)) for share in (tail, 1 - tail))
    return Range(median(values), values[low], values[high])
