"""Pictures of graphs, drawn on this machine: layers from top to bottom, ways back on the right.

A graph reads downwards along its middle column. A node that only leads back, and far, stands on the right, one that
only leads back to the node above it on the left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.runnables.graph import Graph

from autodata.checkpoints.errors import UserError

SUFFIXES = (".svg", ".png", ".mmd")
WIDE, HIGH = 1.05, 0.28
"""Half the width and half the height of a node's box."""
ACROSS, DOWN = 3.0, 1.15
"""From column to column, from layer to layer."""
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


def lay_out(graph: Graph) -> Layout:
    """Return a graph's layout; the same graph always gets the same one."""
    edges = sorted({(edge.source, edge.target, edge.conditional) for edge in graph.edges})
    after: dict[str, list[str]] = defaultdict(list)
    for source, target, _ in edges:
        after[source].append(target)
    layers = _sunk(after, _layers(after))
    columns = _columns(after, layers)
    places = {node: (columns[node] * ACROSS, layers[node] * DOWN) for node in layers}
    right = max(x for x, _ in places.values()) + WIDE
    left = min(x for x, _ in places.values()) - WIDE
    lines: list[Line] = []
    margins = {"left": left - 0.45, "right": right + 0.45}
    for source, target, conditional in edges:
        back = layers[target] <= layers[source]
        (x, y), (to_x, to_y) = places[source], places[target]
        free = x == to_x and not any(at_x == x and y < at_y < to_y for at_x, at_y in places.values())
        points = _route((x, y), (to_x, to_y), margins, back=back, free=free)
        lines.append(Line(points, conditional, back))
    return Layout(places, lines)


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


def _route(source: Point, target: Point, margins: Mapping[str, float], *, back: bool, free: bool) -> list[Point]:
    """Return an edge's corners, so that no line crosses a box; `free`: none is straight between them."""
    return _up(source, target, margins["right"]) if back else _down(source, target, margins["left"], free=free)


def _up(source: Point, target: Point, margin: float) -> list[Point]:
    (x, y), (to_x, to_y) = source, target
    if abs(y - to_y) > DOWN * 1.5:  # far back: up the margin on the right
        return [(x + WIDE, y), (margin, y), (margin, to_y - 0.12), (to_x + WIDE, to_y - 0.12)]
    if x == to_x:  # one back, in the same column: close by on the left
        near = x - WIDE - 0.3
        return [(x - WIDE, y - 0.14), (near, y - 0.14), (near, to_y + 0.14), (to_x - WIDE, to_y + 0.14)]
    # one back, to the middle: up, then across
    return [(x + WIDE / 2, y - HIGH), (x + WIDE / 2, to_y + 0.14), (to_x - WIDE, to_y + 0.14)]


def _down(source: Point, target: Point, margin: float, *, free: bool) -> list[Point]:
    (x, y), (to_x, to_y) = source, target
    side = 1 if to_x > x else -1
    if free:
        return [(x, y + HIGH), (to_x, to_y - HIGH)]
    if x == to_x:  # a long way down the same column: by the margin on the left
        return [(x - WIDE, y), (margin, y), (margin, to_y), (to_x - WIDE, to_y)]
    if abs(to_x) > abs(x):  # outwards: across, then down
        return [(x + side * WIDE, y), (to_x, y), (to_x, to_y - HIGH)]
    return [(x, y + HIGH), (x, to_y), (to_x - side * WIDE, to_y)]  # inwards: down, then across


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
