"""Pictures of graphs, drawn on this machine: layers from top to bottom, ways back on the right.

A graph reads downwards along its middle column. A node that only leads back, and far, stands on the right, one that
only leads back to the node above it on the left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from langchain_core.runnables.graph import Graph

from autodata.checkpoints.errors import UserError

SUFFIXES = (".svg", ".png", ".mmd")
WIDE, HIGH = 1.05, 0.28
"""Half the width and half the height of a node's box."""
ACROSS, DOWN = 3.0, 1.15
"""From column to column, from layer to layer."""
LANES = 3
"""How many lines fit beside one another in a margin."""
COLOURS = {"end": "#eeeeee", "node": "#e8f0fb", "line": "#334155", "back": "#b45309"}

ASIDE = "feedback"
"""Stands on the right also where it does not lead back."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One edge as it is drawn: its corners, from source to target."""

    points: Sequence[Point]
    conditional: bool
    back: bool


@dataclass(frozen=True)
class Layout:
    """Where everything stands. y grows downwards."""

    places: Mapping[str, Point]
    lines: Sequence[Line]


@dataclass(frozen=True)
class _Way:
    """One edge that is to be routed."""

    source: str
    target: str
    conditional: bool
    back: bool

    def bundle(self, places: Mapping[str, Point]) -> tuple[object, ...]:
        """Return what the lines have in common that run into one: those from one column outwards to one node."""
        x, to_x = places[self.source][0], places[self.target][0]
        return (self.target, x) if not self.back and abs(to_x) > abs(x) else (self.target, x, self.source)


def lay_out(graph: Graph) -> Layout:
    """Return a graph's layout; the same graph always gets the same one."""
    edges = sorted({(edge.source, edge.target, edge.conditional) for edge in graph.edges})
    after: dict[str, list[str]] = defaultdict(list)
    for source, target, _ in edges:
        after[source].append(target)
    layers = _sunk(after, _layers(after))
    columns = _columns(after, layers)
    places = {node: (columns[node] * ACROSS, layers[node] * DOWN) for node in layers}
    ways: dict[tuple[object, ...], list[_Way]] = defaultdict(list)
    for source, target, conditional in edges:
        way = _Way(source, target, conditional, layers[target] <= layers[source])
        ways[way.bundle(places)].append(way)
    lines: list[tuple[_Way, Line]] = []
    # The short ones first: what is long goes round them.
    for bundle in sorted(ways.values(), key=lambda some: max(abs(layers[w.target] - layers[w.source]) for w in some)):
        choices = list(zip(*(_routes(way, places) for way in bundle), strict=True))
        best = min(choices, key=lambda routes: _faults(bundle, routes, places, lines))
        lines += [(way, Line(route, way.conditional, way.back)) for way, route in zip(bundle, best, strict=True)]
    return Layout(places, [line for _, line in sorted(lines, key=lambda pair: (pair[0].source, pair[0].target))])


def _layers(after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return each node's layer: the longest way to it from the start that never goes back."""
    forward: dict[str, list[str]] = defaultdict(list)
    done: list[str] = []
    seen: set[str] = set()

    def visit(node: str, above: frozenset[str]) -> None:
        seen.add(node)
        for target in sorted(after.get(node, ()), key=lambda name: (name == ASIDE, name)):
            if target in above | {node}:
                continue
            forward[node].append(target)
            if target not in seen:
                visit(target, above | {node})
        done.append(node)

    visit("__start__", frozenset())
    layers = dict.fromkeys(done, 0)
    for node in reversed(done):
        for target in forward[node]:
            layers[target] = max(layers[target], layers[node] + 1)
    return layers


def _sunk(after: Mapping[str, Sequence[str]], layers: Mapping[str, int]) -> dict[str, int]:
    """Return the layers with the last steps before the end, one behind the other, below everything else."""
    chain = ["__end__"]
    while True:
        before = [node for node in after if chain[-1] in after[node]]
        if len(before) != 1 or len(after[before[0]]) != 1:
            break
        chain += before
    deepest = max((layers[node] for node in layers if node not in chain), default=-1)
    if chain[-1] not in layers or layers[chain[-1]] > deepest:
        return dict(layers)
    return {**layers, **{node: deepest + 1 + k for k, node in enumerate(reversed(chain))}}


def _columns(after: Mapping[str, Sequence[str]], layers: Mapping[str, int]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for layer in range(max(layers.values()) + 1):
        here = sorted(node for node in layers if layers[node] == layer)
        steps = {node: [layers[target] - layer for target in after.get(node, ())] for node in here}
        right = [node for node in here if node == ASIDE or (min(steps[node], default=0) < -1 and max(steps[node]) < 1)]
        left = [node for node in here if steps[node] and all(step == -1 for step in steps[node])]
        middle = [node for node in here if node not in {*left, *right}]
        columns |= {node: -1 - k for k, node in enumerate(left)}
        columns |= {node: 1 + k for k, node in enumerate(right)}
        spread = len(middle) // 2 if not (left or right) and len(middle) % 2 else 0
        columns |= {node: k - spread for k, node in enumerate(middle)}
    return columns


def _routes(way: _Way, places: Mapping[str, Point]) -> list[list[Point]]:
    """Return the ways that an edge's line can go, as corners, the plainest first; the last ones never cross a box."""
    left = min(x for x, _ in places.values()) - WIDE - 0.45
    right = max(x for x, _ in places.values()) + WIDE + 0.45
    (x, y), (to_x, to_y) = source, target = places[way.source], places[way.target]
    lanes = [k * 0.3 for k in range(LANES)]
    margins = [right + lane for lane in lanes] if way.back else [left - lane for lane in lanes]
    plain = _up(source, target, margins) if way.back else _down(source, target, margins)
    below, above = y + DOWN / 2, to_y - DOWN / 2  # between two layers, where no box stands
    begin, end = [(x, y + HIGH), (x, below)], [(to_x, above), (to_x, to_y - HIGH)]
    if abs(below - above) < HIGH:  # one layer down: there is but one gap
        return plain + [begin + end] * LANES
    return plain + [[*begin, (margin, below), (margin, above), *end] for margin in margins]


def _up(source: Point, target: Point, margins: Sequence[float]) -> list[list[Point]]:
    (x, y), (to_x, to_y) = source, target
    if abs(y - to_y) > DOWN * 1.5:  # far back: up the margin on the right
        return [[(x + WIDE, y), (far, y), (far, to_y - 0.12), (to_x + WIDE, to_y - 0.12)] for far in margins]
    if x == to_x:  # one back, in the same column: close by on the left
        near = x - WIDE - 0.3
        return [[(x - WIDE, y - 0.14), (near, y - 0.14), (near, to_y + 0.14), (to_x - WIDE, to_y + 0.14)]]
    # one back, to the middle: up, then across
    return [[(x + WIDE / 2, y - HIGH), (x + WIDE / 2, to_y + 0.14), (to_x - WIDE, to_y + 0.14)]]


def _down(source: Point, target: Point, margins: Sequence[float]) -> list[list[Point]]:
    (x, y), (to_x, to_y) = source, target
    side = 1 if to_x > x else -1
    if x == to_x:  # down the same column, or, where a box stands between, by the margin on the left
        straight = [(x, y + HIGH), (to_x, to_y - HIGH)]
        return [straight, *([(x - WIDE, y), (far, y), (far, to_y), (to_x - WIDE, to_y)] for far in margins)]
    if abs(to_x) > abs(x):  # outwards: across, then down; where a box stands in between, down beside the column
        lane = to_x - side * ACROSS / 2
        return [
            [(x + side * WIDE, y), (to_x, y), (to_x, to_y - HIGH)],
            *(
                [(x + side * WIDE, y + lower), (lane, y + lower), (lane, to_y), (to_x - side * WIDE, to_y)]
                for lower in (0, 0.14)
            ),
        ]
    # inwards: down, then across; a little higher where a line leaves the target on that side
    return [[(x, y + HIGH), (x, to_y - higher), (to_x - side * WIDE, to_y - higher)] for higher in (0, 0.14)]


def _faults(
    bundle: Sequence[_Way],
    routes: Sequence[Sequence[Point]],
    places: Mapping[str, Point],
    lines: Sequence[tuple[_Way, Line]],
) -> tuple[int, int]:
    """Return how many boxes these routes cross, and how many lines they lie on that neither begin nor end with them."""
    crossed = sum(
        _meet(part, ((at_x - WIDE, at_y - HIGH), (at_x + WIDE, at_y + HIGH)))
        for route in routes
        for part in pairwise(route)
        for at_x, at_y in places.values()
    )
    hidden = sum(
        any(_along(part, other) for part in pairwise(route) for other in pairwise(line.points))
        for way, route in zip(bundle, routes, strict=True)
        for drawn, line in lines
        if way.source != drawn.source and way.target != drawn.target
    )
    return crossed, hidden


def _meet(part: tuple[Point, Point], box: tuple[Point, Point]) -> bool:
    """Return whether a straight line goes through the inside of a box."""
    return all(
        max(start, end) > low and min(start, end) < high for start, end, low, high in zip(*part, *box, strict=True)
    )


def _along(part: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Return whether two straight lines, each level or upright, lie on one another for a length."""
    for level in (0, 1):
        if len({round(point[level], 6) for point in (*part, *other)}) == 1:
            (low, high), (other_low, other_high) = (
                sorted(point[1 - level] for point in some) for some in (part, other)
            )
            return min(high, other_high) - max(low, other_low) > 1e-6
    return False


def draw(graph: Graph, path: Path) -> None:
    """Draw a graph into a file, by its suffix: .svg, .png or .mmd (mermaid text).

    Raises UserError for another suffix, a file that cannot be written, or without matplotlib.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"--out {path}: a picture is {', '.join(SUFFIXES[:-1])}, mermaid text {SUFFIXES[-1]}")
    try:
        if path.suffix == ".mmd":
            path.write_text(graph.draw_mermaid(), "utf-8")
        else:
            _paint(graph, path)
    except OSError as error:
        raise UserError(f"--out {path}: cannot be written: {error.strerror}: choose another file") from error


def _paint(graph: Graph, path: Path) -> None:
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("drawing pictures needs matplotlib: pip install 'autodata-langgraph[plot]'") from error
    layout = lay_out(graph)
    xs = [x for x, _ in layout.places.values()] + [x for line in layout.lines for x, _ in line.points]
    ys = [y for _, y in layout.places.values()]
    width, height = max(xs) - min(xs) + 2 * WIDE + 0.2, max(ys) - min(ys) + 4 * HIGH
    # The same graph gives the same bytes: no date, no random names.
    with mpl.rc_context({"svg.hashsalt": "autodata", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = Figure(figsize=(width * 0.8, height * 0.8))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(min(xs) - WIDE - 0.1, max(xs) + WIDE + 0.1)
        axes.set_ylim(max(ys) + 2 * HIGH, min(ys) - 2 * HIGH)
        axes.set_axis_off()
        for line in layout.lines:
            _line(axes, line)
        for node, (x, y) in layout.places.items():
            _box(axes, node, x, y)
        figure.savefig(path, dpi=150, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None)


def _line(axes: Any, line: Line) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    points, codes = [line.points[0]], [Curve.MOVETO]
    for before, corner, after in zip(line.points, line.points[1:], line.points[2:], strict=False):
        points += [_towards(corner, before), corner, _towards(corner, after)]
        codes += [Curve.LINETO, Curve.CURVE3, Curve.CURVE3]
    points.append(line.points[-1])
    codes.append(Curve.LINETO)
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(points, codes),
            arrowstyle="-|>",
            mutation_scale=11,
            linewidth=1.2,
            linestyle=(0, (4, 2.5)) if line.conditional else "solid",
            color=COLOURS["back" if line.back else "line"],
            shrinkA=0,
            shrinkB=0,
        )
    )


def _towards(corner: Point, other: Point, radius: float = 0.22) -> Point:
    """Return the point near a corner at which the line begins to bend."""
    length = ((other[0] - corner[0]) ** 2 + (other[1] - corner[1]) ** 2) ** 0.5 or 1.0
    share = min(radius, length / 2) / length
    return corner[0] + (other[0] - corner[0]) * share, corner[1] + (other[1] - corner[1]) * share


def _box(axes: Any, node: str, x: float, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    end = node.startswith("__")
    axes.add_patch(
        FancyBboxPatch(
            (x - WIDE, y - HIGH),
            2 * WIDE,
            2 * HIGH,
            boxstyle=f"round,pad=0,rounding_size={HIGH if end else 0.08}",
            facecolor=COLOURS["end" if end else "node"],
            edgecolor=COLOURS["line"],
            linewidth=1.2,
        )
    )
    axes.text(x, y, node.strip("_"), ha="center", va="center", fontsize=9.5, color=COLOURS["line"])
