"""The nodes that a served graph has beside those of its loop: one takes the document in, one sums up.

They also give the loop's own nodes what a run of the command line gives them: a server's caller brings no services.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.channels import EphemeralValue
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from autodata.checkpoints.errors import Effect, InfrastructureError, UnusableReply, effect_of
from autodata.checkpoints.ids import PART
from autodata.checkpoints.queries.rounds import round_of
from autodata.checkpoints.queries.usage import usage_by_role
from autodata.checkpoints.queries.whole import history
from autodata.checkpoints.records import Document
from autodata.checkpoints.writes import record_opened
from autodata.domains.domain import Domain
from autodata.nodes.context import Context
from autodata.nodes.solver_modes import attempts_alike
from autodata.nodes.state import State, new_state
from autodata.nodes.state_check import NEEDED, readable, workable
from autodata.nodes.step import Step
from autodata.runner.brief import SIMULATED_NOTE
from autodata.runner.chunks import Parts, chunked
from autodata.runner.ingest import read_pasted, too_short
from autodata.serving.context import ServedContext
from autodata.serving.errors import in_server_errors
from autodata.serving.pinned import keep, kept
from autodata.serving.runtime import ServerRuntime, server_runtime

Node = Callable[[Any, Runtime[Context]], Awaitable[dict[str, Any]]]


class Paste(BaseModel):
    """A document, as a person pastes it."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, EphemeralValue] = Field(
        description="The document's text, plain or Markdown. Later states hold a reference to it."
    )
    title: Annotated[str, EphemeralValue] = Field(default="", description="Its title; empty: its name or first line.")
    name: Annotated[str, EphemeralValue] = Field(default="", description="What to call it, such as a file's name.")


@with_config(ConfigDict(use_attribute_docstrings=True))
class ServedState(State, total=False):
    """State of a loop's thread on a server."""

    pinned: str
    """Refers to what the thread began with: context, acceptance, rounds, review, models and prompts."""


class Begun(Paste):
    """A pasted document, and what the thread it comes to holds already."""

    document: Any = None
    pinned: Any = None


@with_config(ConfigDict(use_attribute_docstrings=True))
class Result(TypedDict, total=False):
    """What became of a document: whole, so that nothing has to be looked up on the server."""

    document: dict[str, Any]
    """document_id, name, title, chars and the first 300 characters."""
    status: str
    """accepted, rejected or skipped; empty while the run goes on."""
    status_reason: str
    """Why it was rejected or skipped."""
    example: dict[str, Any] | None
    """The accepted example, whole: candidate, scores, checks, and where it came from."""
    rounds: list[dict[str, Any]]
    """The closed rounds, each in brief."""
    history: list[dict[str, Any]]
    """The closed rounds, each whole: candidate, what the quality verifier found, scores, verdicts, feedback."""
    usage: list[dict[str, Any]]
    """By role: model calls paid for in this thread, tokens in and out, US dollars where prices are known."""
    models: dict[str, str]
    """Who played each role: provider and model."""
    note: str
    """What a reader must know of this run, for instance that its models are simulated."""


def served(schema: type[ServedContext], domain: Domain, node: Node) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Return a node of a loop as a server calls it: its runtime context is made from what the thread began with."""

    async def run(state: ServedState, config: RunnableConfig, runtime: Runtime[ServedContext]) -> dict[str, Any]:
        with in_server_errors():
            server = await server_runtime()
            queue = server.queue(thread_of(config))
            document = readable(state)["document"]["document_id"]
            await queue.require(document)
            pinned = await kept(server.ledger, schema, state.get("pinned"))
            services = await server.services(domain, pinned, queue)
            for last in (False, True):
                epoch = await queue.taken_up(document)
                context = Context(services, evaluation=queue.evaluation, epoch=epoch)
                inner: Any = runtime.override(context=context)  # type: ignore[arg-type]
                read = await workable(node.__name__, state, inner)
                if node.__name__ in NEEDED and node.__name__ != "screen":
                    await _require_round(server, Step(read, inner))
                try:
                    return await node(read, inner)
                except InfrastructureError as error:
                    if effect_of(error) is Effect.ERRORED:
                        brief = " ".join(str(error).split())[:300]
                        await queue.record_failure(document, epoch, error.kind, str(error), brief)
                    # A run that was called off before it could record this failure: the next epoch asks anew.
                    if last or not (isinstance(error, UnusableReply) and error.replayed):
                        raise
            raise AssertionError("unreachable: the second walk returns or raises")

    run.__name__, run.__doc__ = node.__name__, node.__doc__
    return run


async def _require_round(server: ServerRuntime, step: Step) -> None:
    """Open the round that the state is in, where somebody has written another number or candidate into it."""
    if await round_of(server.ledger, step.round_id) is None:
        await record_opened(step.services.store, step.opening())


def thread_of(config: RunnableConfig) -> str:
    """Return the server's thread that a run belongs to."""
    return str(config.get("configurable", {}).get("thread_id", "none"))


def read_paste(given: Paste, most_chars: int | None, instead: str = "shorten or split it") -> Document:
    """Return the document of a pasted text. Raises UserError as `read_pasted`."""
    return read_pasted(given.text, most_chars, title=given.title, name=given.name, instead=instead)


def read_one(server: ServerRuntime, domain: Domain, given: Paste) -> Document:
    """Return the document of a graph that takes one. Raises UserError as `read_paste`, also for one that is too long.

    One answer for one of many parts would be about a part that nobody chose.
    """
    whole = "shorten it, or send it to the graph 'dataset', which takes long documents in parts"
    parted = server.config.chunks_of(domain)
    return read_paste(given, most_of(server, domain), *([whole] if parted else []))


def read_parts(server: ServerRuntime, domain: Domain, given: Paste) -> Parts:
    """Return a pasted text as documents: itself, or its parts where it is long and long documents are parted.

    Raises UserError as `read_paste`, and for a long one where they are not.
    """
    most = most_of(server, domain)
    if most is None or most < 1 or not server.config.chunks_of(domain):
        return Parts((read_paste(given, most),))
    found = chunked(read_paste(given, None), most, server.config.documents.max_chunks)
    return replace(found, parts=tuple(part for part in found.parts if not too_short(part.text)))


def most_of(server: ServerRuntime, domain: Domain) -> int | None:
    """Return how many characters a document may have that is used whole; None for any number."""
    return None if domain.passage_words else server.config.max_chars


def parted_note(found: Parts) -> str:
    """Return what must be said of a document that was parted; empty for one that is whole."""
    if not found.parts or (len(found.parts) == 1 and not found.left_out):
        return ""
    name = found.parts[0].name.partition(PART)[0]
    left = f", {found.left_out:,} more are left out (documents.max_chunks)" if found.left_out else ""
    return f"{name} is long: taken in {len(found.parts):,} parts{left}"


async def add_to_queue(server: ServerRuntime, documents: Sequence[Document], config: RunnableConfig) -> None:
    """Add documents to the server's ledger and to the thread's queue."""
    await server.add_documents(*documents)
    await server.queue(thread_of(config)).add([document.document_id for document in documents])


def fresh(document: Document) -> dict[str, Any]:
    """Return the state in which a thread begins a document, nothing left of one that it had before."""
    cleared: dict[str, Any] = dict.fromkeys(State.__annotations__)
    return {
        **cleared,
        "candidate_id": "",
        "attempts": [],
        "queue": [],
        "reviews": 0,
        "status_reason": "",
        **new_state(document),
    }


async def begin(
    server: ServerRuntime,
    domain: Domain,
    schema: type[ServedContext],
    context: ServedContext | None,
    config: RunnableConfig,
    before: Any = None,
) -> dict[str, Any]:
    """Return what a thread's state keeps of what it begins with, and who plays the roles.

    `before` is the reference that the thread holds for the same input: without a context of its own, the input goes on
    with that. Raises UserError for what cannot be kept.
    """
    chosen = (context or schema()).model_dump(exclude_defaults=True)
    if before is not None and not chosen:
        pinned, reference = await kept(server.ledger, schema, before), str(before)
    else:
        pinned = server.pin(domain, context or schema())
        reference = await keep(server.ledger, pinned)
    await server.services(domain, pinned, server.queue(thread_of(config)))
    return {"pinned": reference, **who(server, domain, pinned.context)}


def who(server: ServerRuntime, domain: Domain, context: ServedContext) -> dict[str, Any]:
    """Return who plays the roles of a run, and what a reader must know of these models. Raises UserError."""
    roles = server.roles(domain, context)
    simulated = any(settings.provider == "simulated" for settings in roles.values())
    models = {role: f"{settings.provider}:{settings.model}" for role, settings in roles.items()}
    return {"models": models, "note": SIMULATED_NOTE if simulated else attempts_alike(domain, roles)}


def intake_node(schema: type[ServedContext], domain: Domain) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Return the first node of a graph that takes one document."""

    async def intake(state: Begun, config: RunnableConfig, runtime: Runtime[ServedContext]) -> dict[str, Any]:
        """Take the document in: its text goes to the server's ledger, the thread keeps a reference."""
        with in_server_errors():
            server = await server_runtime()
            document = read_one(server, domain, state)
            known = isinstance(state.document, dict) and state.document.get("document_id") == document.document_id
            before = state.pinned if known else None
            begun = await begin(server, domain, schema, runtime.context, config, before)
            await add_to_queue(server, [document], config)
            return {**fresh(document), **begun, "history": [], "usage": []}

    return intake


async def result(state: State, config: RunnableConfig) -> dict[str, Any]:
    """Sum up: every round whole, and what it cost, so that nobody has to look into the server's ledger."""
    with in_server_errors():
        server, state = await server_runtime(), readable(state)
        thread = f"{server.queue(thread_of(config)).evaluation}/{state['document']['document_id']}"
        ids = [row["round_id"] for row in state.get("rounds") or []]  # those of abandoned branches are not among them
        return {"history": await history(server.ledger, ids), "usage": await usage_by_role(server.ledger, thread)}


def entry_node(schema: type[ServedContext], domain: Domain) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Return the last node of a loop that is one of many in a larger graph: it hands over one result."""

    async def entry(state: ServedState, config: RunnableConfig) -> dict[str, Any]:
        """Sum up one document of several: every round whole, and what it cost."""
        with in_server_errors():
            server = await server_runtime()
            pinned = await kept(server.ledger, schema, state.get("pinned"))
            whole = {**await result(state, config), **who(server, domain, pinned.context)}
        names = ("document", "status", "status_reason", "example", "rounds")
        return {"results": [{**{name: state.get(name) for name in names}, **whole}]}

    return entry
