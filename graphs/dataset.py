"""Many documents at once: each walks its domain's loop, and what became of them is collected.

START -> intake -> (Send, once a document) the loop of its domain -> collect -> END.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from autodata.graphs.describe import add_described

AnyGraph = StateGraph[Any, Any, Any, Any]
Node = Callable[..., Awaitable[dict[str, Any]]]


def loop_of(domain: str) -> str:
    """Return the name of the node that walks a document through a domain's loop."""
    return f"self_instruct_{domain}"


def fan_out(schema: type[Any], domains: Sequence[str]) -> Callable[[Mapping[str, Any]], Sequence[Send | str]]:
    """Return what sends every document through the loop of its domain; `schema` is the state that it reads."""

    def route(state: Mapping[str, Any]) -> Sequence[Send | str]:
        """Send every document on its way; what is no list of documents is for `collect` to refuse."""
        domain, documents = state.get("domain"), state.get("documents")
        if domain not in domains or not isinstance(documents, list) or not documents:
            return ["collect"]
        start: dict[str, Any] = {"pinned": state.get("pinned"), "n": 0, "rounds": [], "feedback": "", "status": ""}
        return [Send(loop_of(str(domain)), {"document": document, **start}) for document in documents]

    # LangGraph reads the state by this hint; without it, by the schema of the node before, which may be an input's.
    route.__annotations__["state"] = schema
    return route


def build_dataset(
    state: type[Any],
    *,
    intake: Node,
    loops: Mapping[str, Node],
    collect: Node,
    context_schema: type[Any] | None = None,
    input_schema: type[Any] | None = None,
    output_schema: type[Any] | None = None,
) -> AnyGraph:
    """Return the uncompiled graph: one node of `loops` for each domain, by its name, of which a request walks one.

    `state` has the channels `domain`, `documents`, `pinned` and `results`; every loop's node takes one document's fresh
    state and returns `results` with one entry, so that channel needs a reducer that appends.
    """
    graph: AnyGraph = StateGraph(
        state, context_schema=context_schema, input_schema=input_schema, output_schema=output_schema
    )
    add_described(graph, "intake", intake)
    add_described(graph, "collect", collect)
    graph.add_edge(START, "intake")
    graph.add_conditional_edges("intake", fan_out(state, tuple(loops)), [*map(loop_of, loops), "collect"])
    for name, walk in loops.items():
        add_described(graph, loop_of(name), walk)
        graph.add_edge(loop_of(name), "collect")
    graph.add_edge("collect", END)
    return graph
