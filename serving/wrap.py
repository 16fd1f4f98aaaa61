"""A loop as a server runs it: the same nodes and edges, between a node before them and one behind them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph

from autodata.domains.domain import Domain
from autodata.graphs.describe import add_described
from autodata.nodes.state import Context, Output, State
from autodata.serving.context import ServedContext
from autodata.serving.nodes import Paste, Result, ServedState, entry_node, intake_node, result, served

AnyGraph = StateGraph[Any, Any, Any, Any]


def framed(loop: StateGraph[State, Context, State, Output], domain: Domain, schema: type[ServedContext]) -> AnyGraph:
    """Return a loop that starts with a pasted document and ends with its whole result."""
    graph: AnyGraph = StateGraph(ServedState, context_schema=schema, input_schema=Paste, output_schema=Result)
    add_described(graph, "intake", intake_node(schema, domain))
    add_described(graph, "result", result)
    graph.add_edge(START, "intake")
    graph.add_edge("result", END)
    redraw(graph, loop, partial(served, schema, domain), {START: "intake", END: "result"})
    return graph


def part(
    loop: StateGraph[State, Context, State, Output], domain: Domain, schema: type[ServedContext], output: type
) -> AnyGraph:
    """Return a loop that starts with a document's fresh state and hands over `results`: one of many in a graph."""
    graph: AnyGraph = StateGraph(ServedState, context_schema=schema, output_schema=output)
    add_described(graph, "result", entry_node(schema, domain))
    graph.add_edge("result", END)
    redraw(graph, loop, partial(served, schema, domain), {END: "result"})
    return graph


def redraw(
    graph: AnyGraph,
    loop: AnyGraph,
    serve: Callable[[Any], Callable[..., Any]],
    ends: dict[str, str],
) -> None:
    """Draw a loop's nodes and edges into a graph, each node as `serve` makes it.

    `ends` says what stands for the loop's start and its end there.
    """
    if loop.waiting_edges:
        raise ValueError("a loop with edges that wait for several nodes cannot be served")
    for name, spec in loop.nodes.items():
        runnable: Any = spec.runnable
        add_described(graph, name, serve(runnable.afunc))
    for source, target in loop.edges:
        graph.add_edge(ends.get(source, source), ends.get(target, target))
    for name, branches in loop.branches.items():
        for branch in branches.values():
            ways: dict[Hashable, str] = {key: ends.get(end, end) for key, end in (branch.ends or {}).items()}
            graph.add_conditional_edges(ends.get(name, name), branch.path, ways)
