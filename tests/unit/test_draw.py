"""Pictures of graphs: no line crosses a box, and the same graph gives the same bytes."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from autodata.cli.draw import HIGH, WIDE, draw, lay_out
from autodata.serving.exports import EXPORTS, compiled
from tests.support.commands import invoke, printed, refusal
from tests.support.stages import first_quick


@pytest.mark.parametrize("name", first_quick(*EXPORTS, quick=2))
def test_boxes_do_not_overlap_and_no_line_crosses_one(name: str) -> None:
    graph = compiled(name).get_graph()
    layout = lay_out(graph)
    assert set(layout.places) == set(graph.nodes)
    assert len(set(layout.places.values())) == len(graph.nodes)
    assert len(layout.lines) == len({(edge.source, edge.target) for edge in graph.edges})
    for line in layout.lines:
        for (x, y), (to_x, to_y) in pairwise(line.points):
            assert x == to_x or y == to_y, "a slanted line"
            for node, (at_x, at_y) in layout.places.items():
                apart = max(x, to_x) <= at_x - WIDE or min(x, to_x) >= at_x + WIDE
                apart |= max(y, to_y) <= at_y - HIGH or min(y, to_y) >= at_y + HIGH
                assert apart, (name, node, line)


@pytest.mark.slow
def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    graph = compiled("dataset").get_graph()
    for name in ("one.svg", "two.svg", "one.png"):
        draw(graph, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "one.svg").read_text("utf-8")
    assert all(f">{node.strip('_')}<" in svg for node in graph.nodes)


def test_the_command_draws_and_prints(tmp_path: Path) -> None:
    file = tmp_path / "graph.mmd"
    assert invoke("graph", "--graph", "cot_baseline", "--out", file).exit_code == 0
    assert file.read_text("utf-8") == printed("graph", "--graph", "cot_baseline").removesuffix("\n")
    assert "no such graph: use one of self_instruct_cs" in refusal("graph", "--graph", "unknown")
    assert "a picture is .svg, .png" in refusal("graph", "--out", tmp_path / "graph.gif")
    assert "give one of the two" in refusal("graph", "--graph", "dataset", "--domain", "cs")
    assert "choose another file" in refusal("graph", "--out", tmp_path / "missing" / "graph.mmd")
