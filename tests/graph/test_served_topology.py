"""What a server serves is what `autodata run` runs: one builder draws both, and every node and edge is the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from langgraph.graph import StateGraph

from autodata.domains.domain import DOMAINS, SERVED
from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.graphs.optimizer import build_optimizer
from autodata.graphs.self_instruct import build_self_instruct
from autodata.serving.exports import compiled

Edges = set[tuple[str, str, Any, bool]]
FRAME = {"intake", "result", "unseal"}
SEARCH: Edges = {("unseal", "result", None, False)}


def topology(graph: Any, *, xray: bool = False) -> tuple[set[str], Edges]:
    drawn = graph.get_graph(xray=xray)
    return set(drawn.nodes), {(e.source, e.target, e.data, e.conditional) for e in drawn.edges}


def renamed(edges: Edges, start: str, end: str) -> Edges:
    """Put in what stands for a loop's start and end; the label of an edge follows where it is a node's name."""
    ends = {"__start__": start, "__end__": end}
    found = {(ends.get(a, a), ends.get(b, b), data, kind) for a, b, data, kind in edges}
    return {(a, b, None if data in {b, "__end__"} else data, kind) for a, b, data, kind in found}


@pytest.mark.parametrize(
    ("name", "build", "end"),
    [
        *((f"self_instruct_{n}", partial(build_self_instruct, DOMAINS[n], review=True), "result") for n in SERVED),
        ("cot_baseline", partial(build_cot_baseline, DOMAINS["cs"]), "result"),
        ("optimizer", build_optimizer, "unseal"),
    ],
)
def test_a_served_graph_is_the_builders_own_within_its_frame(
    name: str, build: Callable[[], StateGraph[Any, Any, Any, Any]], end: str
) -> None:
    nodes, edges = topology(build().compile())
    served_nodes, served_edges = topology(compiled(name))
    assert served_nodes - FRAME == nodes
    around: Edges = {("__start__", "intake", None, False), ("result", "__end__", None, False)}
    around |= SEARCH if end == "unseal" else set()
    # A router's answer "__end__" is the label of its edge to what stands for the end.
    plain = {(a, b, None if data == "__end__" else data, kind) for a, b, data, kind in served_edges}
    assert plain == renamed(edges, "intake", end) | around


@pytest.mark.parametrize("domain", SERVED)
def test_a_loop_within_a_dataset_is_the_builders_own(domain: str) -> None:
    nodes, edges = topology(build_self_instruct(DOMAINS[domain], review=True).compile())
    whole: Any = compiled("dataset")
    loop = dict(whole.get_subgraphs())[f"self_instruct_{domain}"]
    served_nodes, served_edges = topology(loop)
    assert served_nodes - {"result"} == nodes
    plain = {(a, b, None if data == "__end__" else data, kind) for a, b, data, kind in served_edges}
    assert plain == renamed(edges, "__start__", "result") | {("result", "__end__", None, False)}
