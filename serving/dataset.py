"""Many documents at once: each walks its domain's loop as a subgraph, and their examples are collected.

START -> intake -> (Send, once a document) self_instruct_cs | self_instruct_legal | self_instruct_science -> collect.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.channels import EphemeralValue
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Overwrite, Send
from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from autodata.checkpoints.records import DocumentStatus, UserError
from autodata.domains.domain import DOMAINS, Domain
from autodata.graphs.self_instruct import build_self_instruct
from autodata.serving.context import GatedContext, ServedContext, union_schema
from autodata.serving.errors import Errored, telling
from autodata.serving.nodes import Paste, enter, fresh, thread_of, who
from autodata.serving.runtime import workshop
from autodata.serving.wrap import AnyGraph, add_described, part

SERVED: tuple[str, ...] = ("cs", "legal", "science")
"""The domains that the graph has a loop for."""


class Documents(BaseModel):
    """Documents, as a person pastes them."""

    model_config = ConfigDict(extra="forbid")

    texts: Annotated[list[Paste], EphemeralValue] = Field(
        min_length=1, description="The documents: text, and if you like a title and a name of each."
    )
    domain: Literal["cs", "legal", "science"] = Field(default="cs", description="What kind of examples to make.")


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
    note: str
    """What a reader must know of this run, for instance that its models are simulated."""


class _Collected(TypedDict, total=False):
    results: Annotated[list[dict[str, Any]], operator.add]


def _loop_of(name: str) -> str:
    return f"self_instruct_{name}"


def build_dataset() -> AnyGraph:
    """Return the graph: one loop of each served domain, of which a request walks one."""
    domains = {name: DOMAINS[name] for name in SERVED}
    schema = union_schema(domains, GatedContext)
    graph: AnyGraph = StateGraph(Dataset, context_schema=schema, input_schema=Documents)
    add_described(graph, "intake", _intake(schema, domains))
    add_described(graph, "collect", collect)
    graph.add_edge(START, "intake")
    graph.add_conditional_edges("intake", fan_out, [_loop_of(name) for name in SERVED])
    for name, domain in domains.items():
        loop = part(build_self_instruct(domain, review=True), domain, schema, _Collected).compile()
        add_described(graph, _loop_of(name), _walk(loop, name))
        graph.add_edge(_loop_of(name), "collect")
    graph.add_edge("collect", END)
    return graph


def _intake(schema: type[ServedContext], domains: dict[str, Domain]) -> Any:
    async def intake(state: Documents, config: RunnableConfig, runtime: Runtime[ServedContext]) -> dict[str, Any]:
        """Take the documents in, each once: texts go to the server's ledger, the thread keeps references."""
        with telling():
            shop, context, domain = await workshop(), runtime.context or schema(), domains[state.domain]
            if len(state.texts) > shop.config.serve.max_documents:
                raise UserError(
                    f"texts: {len(state.texts)} documents where the server takes {shop.config.serve.max_documents}:"
                    " send fewer, or set serve.max_documents in the server's configuration"
                )
            told = who(shop, domain, context)
            await shop.services(domain, context, shop.book(thread_of(config)))  # what cannot be kept ends here
            documents = await enter(shop, domain, state.texts, config)
            return {
                "domain": state.domain,
                "documents": [fresh(document)["document"] for document in documents],
                "results": Overwrite([]),
                "examples": [],
                "counts": {},
                **told,
            }

    return intake


def fan_out(state: Dataset) -> Sequence[Send]:
    """Send every document through the loop of its domain."""
    start = {"n": 0, "rounds": [], "feedback": "", "status": ""}
    return [Send(_loop_of(state["domain"]), {"document": document, **start}) for document in state["documents"]]


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
    results = state.get("results") or []
    counts: dict[str, int] = {}
    for entry in results:
        counts[entry["status"]] = counts.get(entry["status"], 0) + 1
    return {"examples": [entry["example"] for entry in results if entry.get("example")], "counts": counts}
