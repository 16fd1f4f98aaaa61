"""A loop as a server runs it: what its builder draws, between a node before it and one behind it.

The builder is that of `autodata run`, so nodes and edges cannot differ. What a server adds is each node's context, and
that is made around the node: it depends on the thread's state (what the thread began with, which document), which a
factory of `langgraph.json` does not get, and the context that a request brings is the caller's words, not services.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph

from autodata.domains.domain import Domain
from autodata.graphs.describe import add_described
from autodata.graphs.frame import Frame
from autodata.serving.context import ServedContext
from autodata.serving.nodes import Paste, Result, ServedState, entry_node, intake_node, result, served

AnyGraph = StateGraph[Any, Any, Any, Any]
Builder = Callable[[Frame], AnyGraph]
"""Draws a loop into a frame and returns the frame's graph."""


def _as_it_is(node: Callable[..., Any]) -> Callable[..., Any]:
    return node


@dataclass(frozen=True)
class ServedFrame(Frame):
    """A frame that puts something around each node, and describes it on the canvas."""

    serve: Callable[[Any], Callable[..., Any]] = _as_it_is

    def add_node(self, name: str, node: Callable[..., Any]) -> None:
        """Draw a node as it is served."""
        add_described(self.graph, name, self.serve(node))


def framed(build: Builder, domain: Domain, schema: type[ServedContext]) -> AnyGraph:
    """Return a loop that starts with a pasted document and ends with its whole result."""
    graph: AnyGraph = StateGraph(ServedState, context_schema=schema, input_schema=Paste, output_schema=Result)
    add_described(graph, "intake", intake_node(schema, domain))
    add_described(graph, "result", result)
    graph.add_edge(START, "intake")
    graph.add_edge("result", END)
    return build(ServedFrame(graph, start="intake", end="result", serve=partial(served, schema, domain)))


def part(build: Builder, domain: Domain, schema: type[ServedContext], output: type) -> AnyGraph:
    """Return a loop that starts with a document's fresh state and hands over `results`: one of many in a graph."""
    graph: AnyGraph = StateGraph(ServedState, context_schema=schema, output_schema=output)
    add_described(graph, "result", entry_node(schema, domain))
    graph.add_edge("result", END)
    return build(ServedFrame(graph, end="result", serve=partial(served, schema, domain)))
