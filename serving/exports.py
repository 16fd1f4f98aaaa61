"""The graphs that `langgraph.json` names: the loops with all that a server's caller cannot bring (docs/studio.md).

Nothing is compiled when this module is imported. Each export is a factory: the same nodes and edges for every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph_sdk.runtime import ServerRuntime

from autodata.domains.domain import DOMAINS, SERVED, Domain, one_shot
from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.graphs.self_instruct import build_self_instruct, steps_for
from autodata.serving.context import (
    GatedContext,
    LoopContext,
    ServedContext,
    context_schema,
    read_context,
    with_profiles,
)
from autodata.serving.dataset import build_served_dataset
from autodata.serving.errors import in_server_errors
from autodata.serving.graph import compile_served
from autodata.serving.optimizer import MOST_STEPS, build_served_optimizer
from autodata.serving.question import build_served_question
from autodata.serving.runtime import saver, server_config
from autodata.serving.wrap import framed

__all__ = ["EXPORTS", "saver"]

Graph = CompiledStateGraph[Any, Any, Any, Any]
Factory = Callable[[RunnableConfig, ServerRuntime[Any]], Awaitable[Graph]]


def build_served(domain: Domain) -> StateGraph[Any, Any, Any, Any]:
    """Return a domain's loop between a node that takes a pasted document in and one that sums up."""
    schema = context_schema(domain, LoopContext if domain.loop_judge else GatedContext)
    return framed(lambda frame: build_self_instruct(domain, review=True, frame=frame), domain, schema)


def build_served_baseline(domain: Domain) -> StateGraph[Any, Any, Any, Any]:
    """Return a domain's baseline as a server serves it."""
    once = one_shot(domain)
    schema = context_schema(once, ServedContext)
    return framed(lambda frame: build_cot_baseline(domain, frame=frame), once, schema)


BUILDERS: Mapping[str, Callable[[], StateGraph[Any, Any, Any, Any]]] = {
    **{f"self_instruct_{name}": partial(build_served, domain) for name, domain in SERVED.items()},
    "cot_baseline": lambda: build_served_baseline(DOMAINS["cs"]),
    "dataset": build_served_dataset,
    "optimizer": build_served_optimizer,
    "hard_question": build_served_question,
}
"""What is served, by the name in `langgraph.json`: how to build it. A further graph is one line here and one there."""

EXPORTS = tuple(BUILDERS)


PASTED = frozenset({"text", "title", "name", "texts", "train", "held_out", "test"})
"""Channels of the input that a state no longer holds."""

BRIEF = frozenset({"hard_question"})
"""Those that put out their output alone, which an agent pays for by the token."""


@cache
def compiled(name: str) -> Graph:
    """Return an export, compiled without a checkpointer: the server brings its own. Raises KeyError."""
    graph = compile_served(BUILDERS[name](), name=name)
    if name not in BRIEF:
        # A server streams what a graph puts out: with the output schema's keys alone, most nodes would stream nothing.
        graph.output_channels = [key for key in graph.stream_channels_list if key not in PASTED]
    steps = steps_for(100, max(domain.weak_attempts + domain.strong_attempts for domain in DOMAINS.values()))
    return graph.with_config(recursion_limit=max(steps, MOST_STEPS))


@cache
def offered(name: str) -> Graph:
    """Return an export as this process's server offers it: its context lists the model profiles that there are.

    Raises KeyError, and UserError for a configuration that is missing or wrong.
    """
    graph = compiled(name)
    schema: Any = graph.context_schema  # every builder above sets one
    profiles = tuple(server_config()[0].serve.profiles)
    return graph.copy({"context_schema": with_profiles(schema, profiles)})


def exported(name: str) -> Factory:
    """Return the factory of an export: it builds the graph once, and refuses a context that is not a caller's."""

    async def factory(config: RunnableConfig, runtime: ServerRuntime[Any]) -> Graph:
        with in_server_errors():
            graph = await asyncio.to_thread(offered, name)
        # A server drops unknown fields of a context before a graph sees them: what is refused is refused here.
        if running := runtime.execution_runtime:
            schema: type[ServedContext] = graph.context_schema  # type: ignore[assignment]
            with in_server_errors():
                read_context(schema, running.context)
        return graph

    factory.__name__ = name
    return factory


globals().update({name: exported(name) for name in EXPORTS})  # a server looks for them among the module's names
