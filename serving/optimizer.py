"""The meta-optimiser as a server serves it: its own nodes and edges, for documents that a person pastes.

START -> intake -> select_parent -> evaluate_parent -> analyse -> edit -> check -> validate -> decide -> record ->
select_parent, until no iteration is left -> unseal -> result. One iteration at a time in a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, Literal, cast

from langchain_core.runnables import RunnableConfig
from langgraph.channels import EphemeralValue
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError, with_config
from typing_extensions import TypedDict

from autodata.checkpoints.errors import BadState, UserError
from autodata.checkpoints.ids import whole_id
from autodata.checkpoints.queries.searches import log
from autodata.checkpoints.queries.usage import usage_by_role
from autodata.checkpoints.records import Document
from autodata.domains.domain import SERVED, Domain
from autodata.graphs.describe import add_described
from autodata.graphs.optimizer import STEPS, build_optimizer
from autodata.models.config import Settings
from autodata.models.validation import problems
from autodata.nodes.events import wire_form
from autodata.nodes.optimizer.edit_sandbox import EditSandbox
from autodata.nodes.optimizer.events import SearchEvent
from autodata.nodes.optimizer.state import OptContext, OptState
from autodata.nodes.solver_modes import require_ready
from autodata.prompts import load_pack
from autodata.prompts.roles import OPTIMIZER_ROLES
from autodata.runner.brief import SIMULATED_NOTE
from autodata.runner.config import RunConfig
from autodata.runner.optimization.session import OptimizeRunConfig, held_out_results
from autodata.runner.optimization.splits import SPLITS
from autodata.serving.context import SearchContext, optimizer_pack_for, read_context, search_schema
from autodata.serving.errors import in_server_errors
from autodata.serving.nodes import Paste, parted_note, read_parts, thread_of
from autodata.serving.runtime import ServerRuntime, server_runtime
from autodata.serving.searches import Order, Session
from autodata.serving.wrap import AnyGraph, ServedFrame

_NAMES = tuple(SERVED)

MOST_ITERATIONS = 200
"""Iterations of one thread at most."""
MOST_STEPS = STEPS * MOST_ITERATIONS + 20
"""Steps that a run takes at most."""

Node = Callable[[Any, Runtime[OptContext]], Awaitable[dict[str, Any]]]
Reporter = Callable[[SearchEvent], None]


class Splits(BaseModel):
    """What to search with. No document may be in two of the lists."""

    model_config = ConfigDict(extra="forbid")

    train: Annotated[list[Paste], EphemeralValue] = Field(
        min_length=1, description="Documents whose failures are read: text, and if you like a title and a name of each."
    )
    held_out: Annotated[list[Paste], EphemeralValue] = Field(
        min_length=1,
        description="Documents to validate with: they decide which prompts are better, and no agent sees them.",
    )
    test: Annotated[list[Paste], EphemeralValue] = Field(
        default=[], description="Held-out documents, looked at once, at the end. May be left empty."
    )
    domain: Literal[_NAMES] = Field(  # type: ignore[valid-type]  # a checker cannot know the names
        default="cs", description="Whose prompts to make better."
    )
    iterations: int = Field(
        default=3,
        ge=1,
        le=MOST_ITERATIONS,
        description="Iterations in all. The same input with more of them goes on with the search.",
    )

    def of_split(self) -> dict[str, list[Paste]]:
        """Return the documents by the name of their split."""
        return {"train": self.train, "validate": self.held_out, "test": self.test}


class _Begun(Splits):
    """What to search with, and the search that the thread it comes to holds already."""

    search: Any = None


FIELDS = {"train": "train", "validate": "held_out", "test": "test"}
"""The field of the input that holds a split's documents."""


@with_config(ConfigDict(use_attribute_docstrings=True))
class SearchState(OptState, total=False):
    """State of a thread: the iteration that it is in, and which search of the server it works on."""

    domain: str
    iterations: int
    search: str
    """The folder of the search, within `searches` of the server's."""


@with_config(ConfigDict(use_attribute_docstrings=True))
class Found(TypedDict, total=False):
    """What a search found: whole, so that nothing has to be looked up on the server."""

    domain: str
    """Whose prompts were to be made better."""
    documents: dict[str, list[dict[str, Any]]]
    """By split, each document once: document_id, name, title, chars."""
    baseline: dict[str, Any]
    """The prompts that the search started from: pack (a version), iteration 0, score, interval, mean, blocks. `score`
    is the estimated pass rate, `interval` its 95% interval, `mean` the plain mean over whole blocks."""
    winner: dict[str, Any]
    """The same of the best prompts, with the iteration that wrote them, and whether that was confirmed."""
    prompts: dict[str, str]
    """The winner's prompts by role, each a whole file."""
    diff: str
    """What was changed of the baseline to get there; empty if it won."""
    log: list[dict[str, Any]]
    """One row an iteration: n, parent, mutant, outcome, reason, parent_score, mutant_score, record, analysis, summary.
    """
    tested: list[dict[str, Any]]
    """Figures of the held-out documents, the baseline's first, with 95% intervals; empty without any."""
    usage: list[dict[str, Any]]
    """By role: model calls paid for by this search, tokens in and out, US dollars where prices are known."""
    models: dict[str, str]
    """Who played each role: provider and model."""
    note: str
    """What a reader must know of this run, for instance that its models are simulated."""


def build_served_optimizer() -> AnyGraph:
    """Return the graph: the optimiser's own, between a node that takes documents in and two that end a search."""
    schema = search_schema(SERVED, load_pack("optimizer"))
    graph: AnyGraph = StateGraph(_Whole, context_schema=schema, input_schema=Splits, output_schema=Found)
    add_described(graph, "intake", _intake(schema))
    add_described(graph, "unseal", _unseal(schema))
    add_described(graph, "result", _result(schema))
    graph.add_edge(START, "intake")
    graph.add_edge("unseal", "result")
    graph.add_edge("result", END)
    return build_optimizer(frame=ServedFrame(graph, start="intake", end="unseal", serve=partial(_in_session, schema)))


class _Whole(SearchState, Found, total=False):
    """All channels of a thread."""


async def order_for(
    server: ServerRuntime,
    domain: Domain,
    context: SearchContext,
    iterations: int,
    pinned: Mapping[str, Any] | None = None,
) -> Order:
    """Return what a search is made with, as the server's configuration and the caller have it. Raises UserError.

    `pinned` are the values of `PINNED` that a search began with: they stand for those of the configuration.
    """
    pack = await server.pack(domain, context)
    shipped = await asyncio.to_thread(load_pack, "optimizer")
    optimizer = optimizer_pack_for(shipped, context.prompts(OPTIMIZER_ROLES), server.config.serve.prompts)
    policy = server.policy(domain, context)
    roles = [*domain.roles, *OPTIMIZER_ROLES]
    values = server.config.model_dump(exclude_unset=True, exclude=NOT_OF_A_SEARCH)
    values["domain"] = domain.name
    if isinstance(policy, Settings):  # a judge's has no bounds
        values["acceptance"] = policy.model_dump(mode="json", exclude_none=True)
    values["models"] = server.chosen_models(roles, context).model_dump(exclude_unset=True)
    values["seed"] = context.seed or server.config.seed
    values["optimize"] = {**values.get("optimize", {}), **context.optimize(), "iterations": iterations, "parallel": 1}
    values["optimize"]["traces"] = "ledger"  # a server's traces are its own
    if pinned:
        own = {"iterations": iterations, "parallel": 1}
        values = {**values, **pinned, "optimize": {**pinned["optimize"], **own}}
    try:
        config = OptimizeRunConfig.of(RunConfig.model_validate(values))
    except ValidationError as error:
        raise UserError(f"context: {problems(error, RunConfig)}") from None
    require_ready(config.chosen_domain, config.roles(), pack)
    EditSandbox(pack)  # a baseline in which nothing can be edited ends here
    return Order(config, pack, optimizer, await server.models(config.roles()))


NOT_OF_A_SEARCH = {"acceptance", "limit", "target", "review", "review_margin", "prompts", "serve"}
"""Settings of the server that its searches do not take over."""
PINNED = ("acceptance", "seed", "optimize")
"""Settings that a search keeps from its beginning, whatever the server's configuration says later."""


def pinned_of(order: Order) -> dict[str, Any]:
    """Return the settings that a search keeps, as plain JSON values."""
    values = order.config.model_dump(mode="json", exclude_none=True)
    return {name: values[name] for name in PINNED if name in values}


def read_splits(server: ServerRuntime, domain: Domain, given: Splits) -> tuple[dict[str, list[Document]], list[str]]:
    """Return the documents of each split, each once, long ones in parts, and what must be said of those.

    Raises UserError for one that is in two splits, or is none.
    """
    splits: dict[str, list[Document]] = {}
    seen: dict[str, tuple[str, str]] = {}
    notes: list[str] = []
    for split, pasted in given.of_split().items():
        found: dict[str, Document] = {}
        for position, paste in enumerate(pasted):
            try:
                parts = read_parts(server, domain, paste)
            except UserError as error:
                raise UserError(f"{FIELDS[split]}[{position}].{error}") from error
            notes += filter(None, [parted_note(parts)])
            for document in parts.parts:
                other, name = seen.setdefault(whole_id(document.document_id), (split, document.name))
                if other != split:
                    raise UserError(
                        f"{FIELDS[split]}[{position}]: {document.name} is in {FIELDS[other]}, too (as {name}):"
                        " keep held-out documents out"
                    )
                found[document.document_id] = document
        splits[split] = list(found.values())
    total, most = sum(map(len, splits.values())), server.config.serve.max_documents
    if total > most:
        how = "send fewer, or set serve.max_documents in the server's configuration"
        raise UserError(f"train, held_out, test: {total} documents where the server takes {most}: {how}")
    return splits, list(dict.fromkeys(notes))


def _intake(schema: type[SearchContext]) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def intake(state: _Begun, config: RunnableConfig, runtime: Runtime[SearchContext]) -> dict[str, Any]:
        """Take the documents in, each into one split: texts go to the server's ledger, the thread keeps references."""
        with in_server_errors():
            server, domain, thread = await server_runtime(), SERVED[state.domain], thread_of(config)
            splits, notes = read_splits(server, domain, state)
            ids = {split: [document.document_id for document in splits[split]] for split in SPLITS}
            context, pinned = runtime.context or schema(), None
            if not context.model_dump(exclude_defaults=True):
                context, pinned = await _before(server, schema, state, thread, ids) or (context, None)
            order = await order_for(server, domain, context, state.iterations, pinned)
            key = order.key(thread, ids)
            chosen = context.model_dump(exclude_defaults=True)
            request = {"domain": domain.name, "context": chosen, "thread": thread, "splits": ids}
            await server.searches.begin(key, {**request, "pinned": pinned_of(order)})
            async with server.searches.working(key, thread) as opened:
                session = await opened.start_session(order, server.budget)
                added = {split: found for split, found in splits.items() if found}
                notes += await session.optimization.add_documents(added, FIELDS)
            roles = order.config.roles()
            simulated = any(one.provider == "simulated" for one in roles.values())
            return {
                **dict.fromkeys((*OptState.__annotations__, *Found.__annotations__)),
                **{"lane": 0, "domain": domain.name, "iterations": state.iterations, "search": key},
                "documents": {split: [_brief(document) for document in splits[split]] for split in SPLITS},
                "models": {role: f"{settings.provider}:{settings.model}" for role, settings in roles.items()},
                "note": " ".join([*([SIMULATED_NOTE] if simulated else []), *(f"{note}." for note in notes)]),
            }

    return intake


async def _before(
    server: ServerRuntime, schema: type[SearchContext], state: _Begun, thread: str, ids: Mapping[str, Any]
) -> tuple[SearchContext, dict[str, Any] | None] | None:
    """Return what the thread's search began with, if the input is that search's: without a context it goes on."""
    try:
        async with server.searches.working(str(state.search), thread) as opened:
            request = await opened.request()
    except UserError:  # none yet, or what a client wrote there: the input begins a search of its own
        return None
    if request.get("splits") != ids or request["domain"] != state.domain:
        return None
    context: Any = read_context(schema, request["context"])
    return context, request.get("pinned")


def _brief(document: Document) -> dict[str, Any]:
    known = {"document_id": document.document_id, "name": document.name, "title": document.title}
    return {**known, "chars": len(document.text)}


class _Seat(BaseModel):
    """What a search's thread must hold before any of its nodes is looked at."""

    model_config = ConfigDict(extra="ignore")

    search: StrictStr
    domain: Literal[_NAMES]  # type: ignore[valid-type]  # a checker cannot know the names
    iterations: StrictInt = Field(ge=1, le=MOST_ITERATIONS)
    lane: Literal[0] = 0


def readable(state: Mapping[str, Any]) -> SearchState:
    """Return a state as a server's nodes read it. Raises BadState for one that names no search."""
    filled = {**state, "lane": 0 if state.get("lane") is None else state["lane"]}
    try:
        _Seat.model_validate(filled)
    except ValidationError as error:
        raise BadState(f"state.{problems(error, _Seat, repeat=False)}: send the input again") from None
    return cast("SearchState", filled)


@asynccontextmanager
async def open_session(
    schema: type[SearchContext], state: SearchState, config: RunnableConfig
) -> AsyncIterator[Session]:
    """Open a thread's search for a node, on what it was asked for when it began. Raises UserError and BadState."""
    read, server = readable(state), await server_runtime()
    async with server.searches.working(read["search"], thread_of(config)) as opened:
        request = await opened.request()
        if request["domain"] != read["domain"]:
            raise BadState("state.domain: the search was begun with another: send the input again")
        if opened.session is None:
            context: Any = read_context(schema, request["context"])
            domain = SERVED[request["domain"]]
            order = await order_for(server, domain, context, read["iterations"], request.get("pinned"))
            await opened.start_session(order, server.budget)
        assert opened.session is not None
        yield opened.session


def _in_session(schema: type[SearchContext], node: Node) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Return a node of the optimiser as a server calls it: the search is the thread's own."""

    async def run(state: SearchState, config: RunnableConfig, runtime: Runtime[SearchContext]) -> dict[str, Any]:
        with in_server_errors():
            async with open_session(schema, state, config) as session:
                search = await session.search(state["iterations"], _reporter(runtime))
                inner: Any = runtime.override(context=OptContext(search))  # type: ignore[arg-type]
                return await node(state, inner)

    run.__name__, run.__doc__ = getattr(node, "__name__", "node"), node.__doc__
    return run


def _reporter(runtime: Runtime[Any]) -> Reporter:
    """Return what streams the events of a search, as plain JSON values."""

    def report(event: SearchEvent) -> None:
        runtime.stream_writer(wire_form(event))

    return report


def _unseal(schema: type[SearchContext]) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def unseal(state: SearchState, config: RunnableConfig, runtime: Runtime[SearchContext]) -> dict[str, Any]:
        """Open the held-out documents, once: the baseline and the winner are evaluated on them. Without any, go on."""
        with in_server_errors():
            async with open_session(schema, state, config) as session:
                await session.optimization.evaluate_held_out(
                    await session.search(state["iterations"], _reporter(runtime))
                )
        return {}

    return unseal


def _result(schema: type[SearchContext]) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def result(state: SearchState, config: RunnableConfig) -> dict[str, Any]:
        """Sum up: the winner's prompts whole, what was changed, every iteration, and what it cost."""
        with in_server_errors():
            async with open_session(schema, state, config) as session:
                found = await _found(session)
            await (await server_runtime()).searches.leave(state["search"])
            return found

    return result


async def _found(session: Session) -> dict[str, Any]:
    ledger, archive = session.optimization.ledger, session.optimization.archive
    settings = session.order.config.optimize
    members = await archive.members()
    version = await archive.winner(settings)
    winner = await archive.member(version)
    pack = await archive.pack(version)
    return {
        "baseline": await archive.figures(members[0].pack, settings),
        "winner": {
            **await archive.figures(version, settings),
            "confirmed": bool(settings.confirm) and winner.iteration > 0,
        },
        "prompts": {role: prompt.text for role, prompt in sorted(pack.prompts.items())},
        "diff": session.order.pack.diff(pack),
        "log": [_row(row) for row in await log(ledger)],
        "tested": [await archive.held_out_figures(one) for one in await held_out_results(archive, ledger)],
        "usage": await usage_by_role(ledger),
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    analysis = json.loads(row["analysis"])["summary"] if row["analysis"] else ""
    return {**row, "record": bool(row["record"]), "analysis": analysis}
