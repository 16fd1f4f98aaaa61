"""Many documents at once on a server: the nodes of the graph of `graphs/dataset.py`, its schemas and its state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self

from langchain_core.runnables import RunnableConfig
from langgraph.channels import EphemeralValue
from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator, with_config
from typing_extensions import TypedDict

from autodata.checkpoints.errors import BadState, UserError
from autodata.checkpoints.records import Document, DocumentStatus
from autodata.domains.domain import SERVED, Domain
from autodata.graphs.dataset import build_dataset, loop_of
from autodata.graphs.frame import Frame
from autodata.graphs.self_instruct import build_self_instruct
from autodata.models.validation import problems
from autodata.runner.outcome import InARow
from autodata.serving.context import GatedContext, ServedContext, union_schema
from autodata.serving.errors import Errored, Stopped, in_server_errors
from autodata.serving.nodes import Paste, add_to_queue, begin, fresh, parted_note, read_parts, thread_of
from autodata.serving.runtime import ServerRuntime, server_runtime
from autodata.serving.wrap import AnyGraph, part

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


def added(kept: Any, more: Any) -> Any:
    """Append results. What a client wrote and is no list stands as it is, for `collect` to refuse."""
    return [*kept, *more] if isinstance(kept, list) and isinstance(more, list) else more


@with_config(ConfigDict(use_attribute_docstrings=True))
class Dataset(TypedDict, total=False):
    """What became of the documents."""

    domain: str
    """The domain they were taken through."""
    documents: list[dict[str, Any]]
    """The documents, each once: document_id, name, title, chars, preview."""
    examples: list[dict[str, Any]]
    """The accepted examples, whole."""
    results: Annotated[list[dict[str, Any]], added]
    """One entry a document: its status, its example, its rounds whole, what it cost."""
    counts: dict[str, int]
    """Documents by status."""
    models: dict[str, str]
    """Who played each role: provider and model."""
    pinned: str
    """Refers to what the thread began with: context, acceptance, rounds, review, models and prompts."""
    note: str
    """What a reader must know of this run, for instance that its models are simulated."""


class Collected(TypedDict, total=False):
    """What a loop among several hands over."""

    results: Annotated[list[dict[str, Any]], added]


def build_served_dataset() -> AnyGraph:
    """Return the graph over many documents as a server serves it: one loop of each served domain."""
    domains = dict(SERVED)
    schema = union_schema(domains, GatedContext)
    loops = {name: loop_node(name, domain, schema) for name, domain in domains.items()}
    return build_dataset(
        Dataset,
        intake=_intake(schema, domains),
        loops=loops,
        collect=collect,
        context_schema=schema,
        input_schema=Documents,
    )


def loop_node(name: str, domain: Domain, schema: type[ServedContext], *, review: bool = True) -> Any:
    """Return the node that walks one document through a domain's loop; with `review` the loop can ask a person."""
    return _walk(part(partial(_drawn, domain, review), domain, schema, Collected).compile(), name)


def _drawn(domain: Domain, review: bool, frame: Frame) -> AnyGraph:
    return build_self_instruct(domain, review=review, frame=frame)


def _intake(schema: type[ServedContext], domains: dict[str, Domain]) -> Any:
    async def intake(state: _Begun, config: RunnableConfig, runtime: Runtime[ServedContext]) -> dict[str, Any]:
        """Take the documents in, each once: texts go to the server's ledger, the thread keeps references."""
        with in_server_errors():
            server, domain = await server_runtime(), domains[state.domain]
            documents, notes = _documents(server, domain, state.texts)
            briefs = [fresh(document)["document"] for document in documents]
            before = state.pinned if state.documents == briefs else None
            begun = await begin(server, domain, schema, runtime.context, config, before)
            await add_to_queue(server, documents, config)
            server.in_a_row.pop(thread_of(config), None)
            cleared = {"results": Overwrite([]), "examples": [], "counts": {}}
            begun["note"] = " ".join(filter(None, [begun["note"], *(f"{note}." for note in notes)]))
            return {"domain": state.domain, "documents": briefs, **cleared, **begun}

    return intake


def _documents(server: ServerRuntime, domain: Domain, texts: Sequence[Paste]) -> tuple[list[Document], list[str]]:
    """Return the documents of pasted texts, each once, long ones in parts, and what must be said of those.

    Raises UserError as `read_parts`, and for more documents than the server takes.
    """
    most = server.config.serve.max_documents
    if len(texts) > most:
        raise _too_many(f"{len(texts)} documents", most)
    found: dict[str, Document] = {}
    notes: list[str] = []
    for paste in texts:
        parts = read_parts(server, domain, paste)
        found |= {part.document_id: part for part in parts.parts}
        notes += filter(None, [parted_note(parts)])
    if len(found) > most:
        raise _too_many(f"{len(texts)} documents in {len(found)} parts", most)
    return list(found.values()), list(dict.fromkeys(notes))


def _too_many(sent: str, most: int) -> UserError:
    return UserError(
        f"texts: {sent} where the server takes {most}: send fewer, or set serve.max_documents in the server's"
        " configuration"
    )


def _walk(loop: Any, name: str) -> Any:
    async def walk(state: Any, config: RunnableConfig) -> dict[str, Any]:
        """Walk one document through its domain's loop; what the infrastructure does to it does not end the others."""
        try:
            entry: dict[str, Any] = await loop.ainvoke(state)
        except Errored as error:  # a dead endpoint, a spent budget or a mistake in the context ends them all
            reason = " ".join(str(error).split())[:300]
            await _note_errored(config, state["document"], reason)
            ended: dict[str, Any] = {"status": DocumentStatus.ERRORED.value, "status_reason": reason, "example": None}
            ended |= {"document": state["document"], "rounds": [], "history": [], "usage": []}
            return {"results": [ended]}
        (await server_runtime()).in_a_row.pop(thread_of(config), None)
        return entry

    walk.__name__ = loop_of(name)
    return walk


async def _note_errored(config: RunnableConfig, document: dict[str, Any], reason: str) -> None:
    """Raise Stopped once so many documents of a request in a row errored for one cause: the others would, too."""
    server, thread = await server_runtime(), thread_of(config)
    row = server.in_a_row.setdefault(thread, InARow(server.config.retries.pause_after_documents))
    kind, _, brief = reason.partition(": ")
    if why := row.errored(kind, brief, str(document.get("name"))):
        del server.in_a_row[thread]  # a run that goes on with the thread begins a row of its own
        raise Stopped(why)


class Entry(BaseModel):
    """What is looked at of a document's result before it is counted."""

    model_config = ConfigDict(extra="allow")

    document: dict[str, Any]
    status: DocumentStatus
    example: dict[str, Any] | None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.status is DocumentStatus.ACCEPTED) is not bool(self.example):
            raise ValueError("an accepted document has an example, and no other has one")
        return self


class _Results(BaseModel):
    model_config = ConfigDict(extra="ignore")

    domain: Literal[_NAMES]  # type: ignore[valid-type]  # a checker cannot know the names
    documents: list[dict[str, Any]] = Field(min_length=1)
    results: list[Entry]


def read_results(state: Mapping[str, Any]) -> list[Entry]:
    """Return the documents' results, in their order. Raises BadState for a state that somebody broke."""
    try:
        read = _Results.model_validate(state)
    except ValidationError as error:
        raise BadState(f"state.{problems(error, _Results, repeat=False)}: send the input again") from None
    if [entry.document for entry in read.results] != read.documents:
        raise BadState("state.results: they are not those of the documents: send the input again")
    return read.results


async def collect(state: Dataset) -> dict[str, Any]:
    """Collect the accepted examples of all documents, in the documents' order, and count how they ended."""
    with in_server_errors():
        results = read_results(state)
    counts = Counter(entry.status.value for entry in results)
    return {"examples": [entry.example for entry in results if entry.example], "counts": dict(counts)}
