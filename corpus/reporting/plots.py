"""Where the marks of a report's pictures stand. The template draws them; nothing here is text of a stranger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autodata.corpus.reporting.figures import GAP_BINS, Gate, Point, RoundColumn

SIDE = 320
"""Width and height of a plot's area, in units of its picture."""


@dataclass(frozen=True)
class Line:
    """A straight line between two points of a picture."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Dot:
    """A mark of a scatter plot, and the round it stands for."""

    x: float
    y: float
    kind: str
    """`yes` accepted, `no` rejected, `unasked` rejected before the strong solver was asked."""
    document: int
    n: int
    label: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar of a picture, from its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    label: str


@dataclass(frozen=True)
class Picture:
    """Lines, dots and bars in an area of `SIDE` by `SIDE`."""

    lines: Sequence[Line] = ()
    dots: Sequence[Dot] = ()
    bars: Sequence[Bar] = ()
    ticks_x: Sequence[tuple[float, str]] = ()
    ticks_y: Sequence[tuple[float, str]] = ()


def shares(count: int = 5) -> list[tuple[float, str]]:
    return [(n / count, f"{n / count:.1f}") for n in range(count + 1)]


def scatter(points: Sequence[Point], gates: Sequence[Gate]) -> Picture:
    """Lay out weak against strong: both means go from 0 to 1, gates are lines, unasked rounds stand below the axis."""
    dots = [
        Dot(
            x=at(point.weak),
            y=SIDE + 14 if point.strong is None else SIDE - at(point.strong),
            kind="yes" if point.accepted else "unasked" if point.strong is None else "no",
            document=point.document,
            n=point.n,
        )
        for point in points
    ]
    return Picture(
        lines=[line for gate in gates for line in _gate(gate)],
        dots=sorted(dots, key=lambda dot: dot.kind == "yes"),
        ticks_x=[(at(share), text) for share, text in shares()],
        ticks_y=[(SIDE - at(share), text) for share, text in shares()],
    )


def _gate(gate: Gate) -> list[Line]:
    place = at(gate.number)
    if gate.name == "weak mean":
        return [Line(place, 0, place, SIDE, str(gate))]
    if gate.name == "strong mean":
        return [Line(0, SIDE - place, SIDE, SIDE - place, str(gate))]
    if not -1 < gate.number < 1:
        return []
    low, high = max(0.0, -gate.number), min(1.0, 1 - gate.number)
    ends = [(at(weak), SIDE - at(weak + gate.number)) for weak in (low, high)]
    return [Line(*ends[0], *ends[1], str(gate))]


def gaps(histogram: Sequence[tuple[int, int]], gates: Sequence[Gate]) -> Picture:
    """Lay out the histogram of gaps: accepted rounds below, rejected ones upon them."""
    most = max((sum(pair) for pair in histogram), default=0) or 1
    width = SIDE / GAP_BINS
    bars = []
    for place, (accepted, rejected) in enumerate(histogram):
        low = -1 + 2 * place / GAP_BINS
        foot = float(SIDE)
        for kind, name, count in (("yes", "accepted", accepted), ("no", "rejected", rejected)):
            if count:
                height = SIDE * count / most
                foot -= height
                label = f"gap {low:.1f} to {low + 2 / GAP_BINS:.1f}: {count:,} {name}"
                bars.append(
                    Bar(round(place * width + 1, 1), round(foot, 1), round(width - 2, 1), round(height, 1), kind, label)
                )
    bounds = [
        Line((gate.number + 1) / 2 * SIDE, 0, (gate.number + 1) / 2 * SIDE, SIDE, str(gate))
        for gate in gates
        if gate.name == "gap" and -1 < gate.number < 1
    ]
    ticks = [(SIDE * n / 4, f"{-1 + n / 2:.1f}") for n in range(5)]
    return Picture(bounds, (), bars, ticks, _counts(most))


def modes(columns: Sequence[RoundColumn], names: Sequence[str]) -> Picture:
    """Lay out what became of the rounds by their number: accepted at the foot, failure modes upon it in their order."""
    most = max((column.closed for column in columns), default=0) or 1
    width = SIDE / max(1, len(columns))
    bars = []
    for place, column in enumerate(columns):
        foot = float(SIDE)
        parts = [("yes", "accepted", column.accepted)]
        parts += [(f"mode{n % 12}", name.replace("_", " "), column.modes.get(name, 0)) for n, name in enumerate(names)]
        for kind, name, count in parts:
            if count:
                height = SIDE * count / most
                foot -= height
                label = f"round {column.n}: {count:,} {name}"
                bars.append(
                    Bar(
                        round(place * width + width * 0.1, 1),
                        round(foot, 1),
                        round(width * 0.8, 1),
                        round(height, 1),
                        kind,
                        label,
                    )
                )
    ticks = [(round(place * width + width / 2, 1), str(column.n)) for place, column in enumerate(columns)]
    return Picture((), (), bars, ticks, _counts(most))


def _counts(most: int) -> list[tuple[float, str]]:
    """Return ticks of an axis of counts, at whole numbers."""
    found = sorted({round(most * n / 4) for n in range(5)})
    return [(SIDE - SIDE * count / most, f"{count:,}") for count in found]


def at(share: float) -> float:
    return round(share * SIDE, 1)
