"""Many documents: side by side at a server, and in batches that learn from each other in a run with lessons.

At a server each walks its domain's loop, and what became of them is collected:

    START -> intake -> (Send, once a document) the loop of its domain -> collect -> END

In a run with lessons a batch walks the loop, an analyst writes lessons from it, and the next one is shown them:

    START -> choose_batch -> walk_batch -> analyse_batch -> choose_batch -> ... -> END
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from autodata.graphs.describe import add_described
from autodata.nodes.dataset.analyse import analyse_batch
from autodata.nodes.dataset.choose import choose_batch
from autodata.nodes.dataset.state import DatasetContext, DatasetState
from autodata.nodes.dataset.walk import walk_batch

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


def after_choose(state: DatasetState) -> str:
    """Walk the batch, look at one that has ended, or stop: on a target, a budget, no gain, or for want of documents."""
    return {"walk": "walk_batch", "analyse": "analyse_batch"}.get(state.get("next", ""), END)


def after_walk(state: DatasetState) -> str:
    """Look at what the batch made, unless the session stops or no document is left to learn for."""
    return "analyse_batch" if state.get("next") == "analyse" else END


def after_analyse(state: DatasetState) -> str:
    """Choose the next batch, unless the session stops."""
    return "choose_batch" if state.get("next") == "choose" else END


def build_lessons() -> StateGraph[DatasetState, DatasetContext, DatasetState, DatasetState]:
    """Return the uncompiled graph of the outer loop over a run's documents (the paper's data scientist).

    It needs no checkpointer: where a run stands is in its ledger, each node reads it there, and a session that is
    killed in any of them goes on with the same batch. The context carries the session (`DatasetContext`).
    """
    graph = StateGraph(DatasetState, context_schema=DatasetContext)
    add_described(graph, "choose_batch", choose_batch)
    add_described(graph, "walk_batch", walk_batch)
    add_described(graph, "analyse_batch", analyse_batch)
    graph.add_edge(START, "choose_batch")
    graph.add_conditional_edges("choose_batch", after_choose, ["walk_batch", "analyse_batch", END])
    graph.add_conditional_edges("walk_batch", after_walk, ["analyse_batch", END])
    graph.add_conditional_edges("analyse_batch", after_analyse, ["choose_batch", END])
    return graph


STEPS = 3
"""Nodes that a batch visits at most."""
