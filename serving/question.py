"""One question for an agent: the graph that answers in at most 4 KB, in words where other graphs end with an error.

A server's MCP endpoint sends an agent all that a graph puts out, and of an error nothing but its kind. So this graph
puts out a brief, and says there what is wrong with a document. It never asks a person: no agent could answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from pydantic import ConfigDict, Field, with_config

from autodata.checkpoints.errors import BadState, UserError
from autodata.domains.domain import SERVED, Domain
from autodata.graphs.dataset import build_dataset
from autodata.runner.brief import Brief, brief, without
from autodata.serving.context import BoundsContext, ServedContext, union_schema
from autodata.serving.dataset import added, loop_node, read_results
from autodata.serving.errors import in_server_errors
from autodata.serving.nodes import Paste, add_to_queue, begin, fresh, read_one
from autodata.serving.runtime import server_runtime
from autodata.serving.wrap import AnyGraph

_NAMES = tuple(SERVED)
REFUSED = "refused"


class Wish(Paste):
    """A document to be asked about."""

    domain: Literal[_NAMES] = Field(  # type: ignore[valid-type]  # a checker cannot know the names
        default="cs", description="What kind of question to write."
    )


class _Begun(Wish):
    """A document, and what the thread that it comes to holds already."""

    documents: Any = None
    pinned: Any = None


@with_config(ConfigDict(use_attribute_docstrings=True))
class Question(Brief, total=False):
    """State of a wish for one question."""

    domain: str
    """The domain that the document is taken through."""
    documents: list[dict[str, Any]]
    """The document in brief; none where it was refused."""
    results: Annotated[list[dict[str, Any]], added]
    """What became of the document, whole."""
    pinned: str
    """Refers to what the thread began with: context, acceptance, rounds, models and prompts."""


def build_served_question() -> AnyGraph:
    """Return the graph of one question: a loop of each served domain, of which a request walks one."""
    domains = dict(SERVED)
    schema = union_schema(domains, BoundsContext)
    return build_dataset(
        Question,
        intake=_intake(schema, domains),
        loops={name: loop_node(name, domain, schema, review=False) for name, domain in domains.items()},
        collect=collect,
        context_schema=schema,
        input_schema=Wish,
        output_schema=Brief,
    )


def _intake(schema: type[ServedContext], domains: Mapping[str, Domain]) -> Any:
    async def intake(state: _Begun, config: RunnableConfig, runtime: Runtime[ServedContext]) -> dict[str, Any]:
        """Take the document in, or say what is wrong with it."""
        with in_server_errors():
            server, domain = await server_runtime(), domains[state.domain]
            cleared = {"domain": state.domain, "results": Overwrite([])}
            try:
                document = read_one(server, domain, state)
            except UserError as error:
                return {**cleared, "documents": [], **without(REFUSED, str(error))}
            documents = [fresh(document)["document"]]
            before = state.pinned if state.documents == documents else None
            begun = await begin(server, domain, schema, runtime.context, config, before)
            await add_to_queue(server, [document], config)
            kept = {name: begun[name] for name in ("pinned", "note")}
            return {**cleared, "documents": documents, **without("", ""), **kept}

    return intake


async def collect(state: Question) -> dict[str, Any]:
    """Say in at most 4 KB what became of the document."""
    if state.get("documents") == [] and state.get("status") == REFUSED:
        return {}
    with in_server_errors():
        results = read_results(state)
        if len(results) != 1:
            raise BadState("state.documents: one is needed: send the input again")
    return {**brief(results[0].model_dump(mode="json"), note=str(state.get("note") or ""))}
