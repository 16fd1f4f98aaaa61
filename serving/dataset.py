"""Many documents at once: each walks its domain's loop as a subgraph, and their examples are collected.

START -> intake -> (Send, once a document) self_instruct_NAME, for each domain that is served -> collect.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.channels import EphemeralValue
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Overwrite, Send
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from autodata.checkpoints.records import DocumentStatus, UserError
from autodata.domains.domain import SERVED, Domain
from autodata.graphs.frame import Frame
from autodata.graphs.self_instruct import build_self_instruct
from autodata.serving.context import GatedContext, ServedContext, union_schema
from autodata.serving.errors import Errored, telling
from autodata.serving.nodes import Paste, begin, enter, fresh, read_pastes
from autodata.serving.runtime import workshop
from autodata.serving.wrap import AnyGraph, add_described, part

_NAMES = tuple(SERVED)  # a client may write anything into a state: what has no hash is in no mapping


class Documents(BaseModel):
    """Documents, as a person pastes them."""

    model_config = ConfigDict(extra="forbid")

    texts: Annotated[list[Paste], EphemeralValue] = Field(
        min_length=1, description="The documents: text, and if you like a title and a name of each."
    )
    domain: Literal[_NAMES] = Field(  # type: ignore[valid-type]  # a checker cannot know the names
        default="cs", description="What kind of examples to make."
    )


class _Begun(Documents):
    """Pasted documents, and what the thread that they come to holds already."""

    documents: Any = None
    pinned: Any = None


@with_config(ConfigDict(use_attribute_docstrings=True))
class Dataset(TypedDict, total=False):
    """What became of the documents."""

    domain: str
    """The domain they were taken through."""
    documents: list[dict[str, Any]]
    """The documents, each once: document_id, name, title, chars, preview."""
    examples: list[dict[str, Any]]
    """The accepted examples, whole."""
    results: Annotated[list[dict[str, Any]], operator.add]
    """One entry a document: its status, its example, its rounds whole, what it cost."""
    counts: dict[str, int]
    """Documents by status."""
    models: dict[str, str]
    """Who played each role: provider and model."""
    pinned: str
    """Refers to what the thread began with: context, acceptance, rounds, review, models and prompts."""
    note: str
    """What a reader must know of this run, for instance that its models are simulated."""


class _Collected(TypedDict, total=False):
    results: Annotated[list[dict[str, Any]], operator.add]


def _loop_of(name: str) -> str:
    return f"self_instruct_{name}"


def build_dataset() -> AnyGraph:
    """Return the graph: one loop of each served domain, of which a request walks one."""
    domains = dict(SERVED)
    schema = union_schema(domains, GatedContext)
    graph: AnyGraph = StateGraph(Dataset, context_schema=schema, input_schema=Documents)
    add_described(graph, "intake", _intake(schema, domains))
    add_described(graph, "collect", collect)
    graph.add_edge(START, "intake")
    graph.add_conditional_edges("intake", fan_out, [*(_loop_of(name) for name in SERVED), "collect"])
    for name, domain in domains.items():
        build = partial(_loop, domain)
        loop = part(build, domain, schema, _Collected).compile()
        add_described(graph, _loop_of(name), _walk(loop, name))
        graph.add_edge(_loop_of(name), "collect")
    graph.add_edge("collect", END)
    return graph


def _loop(domain: Domain, frame: Frame) -> AnyGraph:
    return build_self_instruct(domain, review=True, frame=frame)


def _intake(schema: type[ServedContext], domains: dict[str, Domain]) -> Any:
    async def intake(state: _Begun, config: RunnableConfig, runtime: Runtime[ServedContext]) -> dict[str, Any]:
        """Take the documents in, each once: texts go to the server's ledger, the thread keeps references."""
        with telling():
            shop, domain = await workshop(), domains[state.domain]
            if len(state.texts) > shop.config.serve.max_documents:
                raise UserError(
                    f"texts: {len(state.texts)} documents where the server takes {shop.config.serve.max_documents}:"
                    " send fewer, or set serve.max_documents in the server's configuration"
                )
            documents = read_pastes(shop, domain, state.texts)
            briefs = [fresh(document)["document"] for document in documents]
            before = state.pinned if state.documents == briefs else None
            begun = await begin(shop, domain, schema, runtime.context, config, before)
            await enter(shop, documents, config)
            cleared = {"results": Overwrite([]), "examples": [], "counts": {}}
            return {"domain": state.domain, "documents": briefs, **cleared, **begun}

    return intake


def fan_out(state: Dataset) -> Sequence[Send | str]:
    """Send every document through the loop of its domain; what is none of either is for `collect` to refuse."""
    domain, documents = state.get("domain"), state.get("documents")
    if domain is None or domain not in _NAMES or not isinstance(documents, list) or not documents:
        return ["collect"]
    start: dict[str, Any] = {"pinned": state.get("pinned"), "n": 0, "rounds": [], "feedback": "", "status": ""}
    return [Send(_loop_of(domain), {"document": document, **start}) for document in documents]


def _walk(loop: Any, name: str) -> Any:
    async def walk(state: Any) -> dict[str, Any]:
        """Walk one document through its domain's loop; what the plumbing does to it does not end the others."""
        try:
            entry: dict[str, Any] = await loop.ainvoke(state)
        except Errored as error:  # a dead endpoint, a spent budget or a mistake in the context ends them all
            reason = " ".join(str(error).split())[:300]
            ended: dict[str, Any] = {"status": DocumentStatus.ERRORED.value, "status_reason": reason, "example": None}
            ended |= {"document": state["document"], "rounds": [], "history": [], "usage": []}
            return {"results": [ended]}
        return entry

    walk.__name__ = _loop_of(name)
    return walk


async def collect(state: Dataset) -> dict[str, Any]:
    """Collect the accepted examples of all documents, in the documents' order, and count how they ended."""
    with telling():
        try:
            results = _RESULTS.validate_python(state.get("results") or [])
            briefs = _RESULTS.validate_python(state.get("documents") or [])
        except ValidationError:
            raise UserError(
                "state.results, state.documents: lists of objects are needed: send the input again"
            ) from None
        if len(results) != len(briefs) or not briefs or state.get("domain") not in _NAMES:
            raise UserError("state.documents: there are not as many results as documents: send the input again")
    counts: dict[str, int] = {}
    for entry in results:
        status = str(entry.get("status"))
        counts[status] = counts.get(status, 0) + 1
    return {"examples": [entry["example"] for entry in results if entry.get("example")], "counts": counts}


_RESULTS: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(list[dict[str, Any]])
