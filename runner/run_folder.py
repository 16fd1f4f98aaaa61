"""An open run folder: its lock, ledger, checkpoints, models, budget and tracer, whatever is done with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langsmith.run_helpers import tracing_context

from autodata.checkpoints.corrections import record_more_rounds
from autodata.checkpoints.document_queue import DocumentQueue
from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.ledger import Ledger, MemoryLedger, Reader, run_lock
from autodata.checkpoints.places import LEDGER, Place, begin_shared, place_of
from autodata.checkpoints.queries.corrections import ended_for_rounds
from autodata.checkpoints.queries.meta import CONFIG, is_answered, meta
from autodata.checkpoints.queries.usage import answered_models, charged
from autodata.checkpoints.writes import record_meta
from autodata.models.budget import Budget, price
from autodata.models.call import Watch
from autodata.models.caller import Caller
from autodata.models.config import ModelSettings
from autodata.models.factory import require_keys
from autodata.models.local.serving import LocalServing, Progress
from autodata.models.local.weights import require_weights
from autodata.models.role_model import RoleModel
from autodata.nodes.context import FENCED_BY_PLACE, Services
from autodata.nodes.solver_modes import require_ready
from autodata.prompts import PromptPack
from autodata.runner.chat_models import connect_all, require_chat_models
from autodata.runner.checkpointer import CHECKPOINTS, open_run_saver
from autodata.runner.config import RunConfig, as_begun, at_defaults, require_kind, write_resolved
from autodata.runner.fences import fences_of
from autodata.runner.fingerprint import changed_since, fingerprint, kept_of, more_rounds
from autodata.runner.places import LedgerConfig
from autodata.runner.rooms import CHARS_PER_TOKEN, LEAST_CHARS, contexts
from autodata.tracing.config import TracingConfig
from autodata.tracing.setup import open_tracing
from autodata.tracing.tracer import Tracer


@dataclass(frozen=True)
class Resources:
    """What a graph's nodes need around them: prompts, journal, models and budget, in a folder or in memory."""

    pack: PromptPack
    ledger: Ledger | MemoryLedger
    models: Mapping[str, RoleModel]
    budget: Budget
    fences: int = field(default=FENCED_BY_PLACE, kw_only=True)
    """How the folder fences answers for judges."""

    def caller(self, config: RunConfig, block: int = 0) -> Caller:
        """Return what makes calls under the seeds of a block, on this journal, these models and this budget."""
        return self._caller(Caller, config, block, None)

    def services(
        self,
        config: RunConfig,
        queue: DocumentQueue | Ledger | MemoryLedger,
        caller: Caller,
        *,
        pack: PromptPack | None = None,
        frozen: PromptPack | None = None,
    ) -> Services:
        """Return what the nodes of one evaluation share; `pack` are its prompts, by default the folder's own."""
        return Services(
            domain=config.chosen_domain,
            policy=config.policy,
            pack=pack or self.pack,
            caller=caller,
            store=queue,
            blobs=queue,
            max_rounds=config.max_rounds,
            run_seed=config.seed,
            review=config.reviewing,
            judges=config.judges,
            checks=config.checks,
            confirm=config.confirm,
            fences=self.fences,
            frozen=frozen,
        )

    def _caller(self, kind: type[Caller], config: RunConfig, block: int, watch: Watch | None) -> Caller:
        return kind(
            self.ledger,
            self.models,
            retries=config.retries,
            budget=self.budget,
            run_seed=config.seed,
            block=block,
            watch=watch,
        )


@dataclass(frozen=True)
class RunFolder(Resources):
    """What an open run folder holds: everything a session needs, whatever it does there."""

    ledger: Ledger
    folder: Path
    saver: BaseCheckpointSaver[str]
    tracer: Tracer
    calls: type[Caller] = Caller
    """What makes its calls: a server's searches have one that leaves shared endpoints alone."""

    def caller(self, config: RunConfig, block: int = 0) -> Caller:
        """Return what makes calls under the seeds of a block, traced."""
        return self._caller(self.calls, config, block, self.tracer)

    @property
    def checkpoints(self) -> Path:
        """The checkpoint file."""
        return self.folder / CHECKPOINTS


@asynccontextmanager
async def open_ledger(
    folder: Path, hint: str = "choose another --out", *, config: LedgerConfig | None = None, together: bool = False
) -> AsyncIterator[Ledger]:
    """Take the lock of a folder, made if need be, and open its ledger. Every writer of a folder begins here.

    A new folder's ledger is where `config` says, in a file without it. One at a server is held for this session, alone
    or `together` with others, as workers do.
    Raises UserError, with the hint, for a folder that cannot be made, and for one in use; RunFailed for a failing disk.
    """
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(make_folder, folder, hint)
        await asyncio.to_thread(stack.enter_context, run_lock(folder))
        place = await asyncio.to_thread(_place, folder, config or LedgerConfig())
        ledger = await stack.enter_async_context(Ledger.open(place))
        await ledger.hold(together=together)
        yield ledger


@asynccontextmanager
async def open_resources(
    config: RunConfig,
    folder: Path | None,
    *,
    models: Mapping[str, BaseChatModel] | None = None,
    progress: Progress | None = None,
) -> AsyncIterator[Resources]:
    """Open what calls need, for a graph whose checkpoints and traces are the caller's; in memory without a folder.

    `models` are chat models of the caller's own, by role. Raises as `open_run_folder`.
    """
    pack, roles = require_openable(config, models or {})
    async with AsyncExitStack() as stack:
        ledger: Ledger | MemoryLedger = MemoryLedger()
        budget, fences = Budget(config.budget), FENCED_BY_PLACE
        if folder is not None:
            ledger = await stack.enter_async_context(open_ledger(folder, config=config.ledger))
            config = as_begun(config, await meta(ledger))
            await bind(ledger, folder, config.resolved(pack.version))
            budget, fences = await spent_budget(config, ledger, roles), await fences_of(ledger)
        connected = await _connected(config, roles, stack, models or {}, progress)
        if isinstance(ledger, Ledger):
            await note_known(connected, ledger)
        yield Resources(pack, ledger, connected, budget, fences=fences)


@asynccontextmanager
async def open_run_folder(
    config: RunConfig,
    folder: Path,
    *,
    models: Mapping[str, BaseChatModel] | None = None,
    progress: Progress | None = None,
    together: bool = False,
) -> AsyncIterator[RunFolder]:
    """Open or create a run folder. Nothing is spent yet. `models` are chat models of the caller's own, by role.

    `together`: other sessions may work on the run, which is at a server.

    Raises UserError for a folder of another configuration, one in use, a missing key; RunFailed for a failing disk.
    """
    pack, roles = require_openable(config, models or {})
    async with AsyncExitStack() as stack:
        # LangChain's own tracing would send all twice, unredacted, and where the configuration says no.
        stack.enter_context(tracing_context(enabled=False))
        ledger = await stack.enter_async_context(open_ledger(folder, config=config.ledger, together=together))
        config = as_begun(config, await meta(ledger))
        note = await bind(ledger, folder, config.resolved(pack.version))
        saver = await stack.enter_async_context(open_run_saver(config.checkpoints, folder, ledger))
        connected = await _connected(config, roles, stack, models or {}, progress)
        await note_known(connected, ledger)
        tracer = await stack.enter_async_context(traced(config, config.tracing, ledger, folder, pack))
        tracer.notes += filter(None, [note])
        budget, fences = await spent_budget(config, ledger, roles), await fences_of(ledger)
        yield RunFolder(pack, ledger, connected, budget, folder, saver, tracer, fences=fences)


def traced(
    config: RunConfig, tracing: TracingConfig, ledger: Ledger, folder: Path, pack: PromptPack
) -> AbstractAsyncContextManager[Tracer]:
    """Open the tracer of a session in a folder. Raises UserError as `open_tracing`."""
    return open_tracing(
        tracing,
        ledger,
        folder,
        roles=config.roles(),
        domain=config.chosen_domain.name,
        prompt_version=pack.version,
    )


def require_openable(
    config: RunConfig, models: Mapping[str, BaseChatModel]
) -> tuple[PromptPack, dict[str, ModelSettings]]:
    """Return prompts and roles of a configuration. Raises UserError for what would fail once something is spent."""
    pack, roles = require_workable(config)
    require_keys(roles)
    require_chat_models(roles, models)
    for role, settings in roles.items():
        require_weights(role, settings)
    return pack, roles


def require_workable(config: RunConfig) -> tuple[PromptPack, dict[str, ModelSettings]]:
    """Return prompts and roles of a configuration. Raises UserError for what no machine could work on, keys or not."""
    pack, roles = config.pack(), config.roles()
    require_ready(config.chosen_domain, roles, pack)
    require_prices(config, roles)
    require_room(config, roles)
    return pack, roles


async def _connected(
    config: RunConfig,
    roles: Mapping[str, ModelSettings],
    stack: AsyncExitStack,
    own: Mapping[str, BaseChatModel],
    progress: Progress | None,
) -> dict[str, RoleModel]:
    """Connect every role: to its endpoint, or to a chat model of the caller's own."""
    local = config.local
    serving = LocalServing(progress=progress, n_parallel=local.n_parallel, ctx=local.ctx, python=local.python)
    stack.push_async_callback(serving.aclose)
    return await connect_all(roles, own, stack, serving=serving, world=config.simulated)


async def spent_budget(config: RunConfig, ledger: Reader, roles: Mapping[str, ModelSettings] | None = None) -> Budget:
    """Return the budget with what the folder's journal says was spent already, by the same count as in every session.

    Calls from before their role had a price count at the price that it has now, if `roles` are given.
    """
    budget = Budget(config.budget)
    for row in await charged(ledger):
        budget.spent_calls += row["calls"]
        budget.spent_tokens += row["tokens_in"] + row["tokens_out"]
        settings = (roles or {}).get(row["role"])
        if not row["unpriced"]:
            budget.spent_usd += row["usd"]
        elif settings is not None:
            budget.spent_usd += price(settings, row["tokens_in"], row["tokens_out"]) or 0.0
    return budget


async def note_known(models: Mapping[str, RoleModel], ledger: Reader) -> None:
    """Inform the endpoints that a folder holds replies of, and what earlier sessions found out about them.

    What they refuse now is not refused for the settings.
    """
    known, kept = await answered_models(ledger), await meta(ledger)
    for role, model in models.items():
        model.endpoint.known |= (role, model.settings.model) in known
        model.endpoint.recall(kept)


def require_prices(config: RunConfig, roles: Mapping[str, ModelSettings]) -> None:
    """Raise UserError when money is bounded and a paid model has no price."""
    if config.budget.max_usd is None:
        return
    for role, settings in roles.items():
        if not settings.free and (settings.price_in is None or settings.price_out is None):
            raise UserError(f"max_usd cannot be kept without prices: set models.{role}.price_in and price_out")


def require_room(config: RunConfig, roles: Mapping[str, ModelSettings]) -> None:
    """Raise UserError when a document may be longer than the context of a model that reads it, where that is known."""
    if config.chosen_domain.passage_words is not None and not config.chunks:
        return
    for role, context, reply in contexts(roles, config.local.ctx):
        most = (context - reply) * CHARS_PER_TOKEN
        setting = "local.ctx" if roles[role].provider == "local" else f"models.{role}.context"
        left = f"{setting} {context} less max_tokens {reply} leaves about {max(0, most)} characters"
        advice = f"set a larger {setting}, or less of the others"
        if config.max_chars > most:
            raise UserError(f"documents.max_chars {config.max_chars} does not fit models.{role}: {left}: {advice}")
        if config.documents.max_chars is None and config.max_chars < LEAST_CHARS:
            raise UserError(f"models.{role} has no room for a document: {left}, and instructions take more: {advice}")


def make_folder(folder: Path, hint: str) -> None:
    """Make a folder that is not there yet, for its owner alone: documents and answers will lie in it.

    One that is there keeps its permissions. Raises UserError, with the hint, when it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}: {hint}") from error


def _place(folder: Path, config: LedgerConfig) -> Place:
    """Return where the ledger of a folder is, said in the folder for one at a server. Raises UserError, DiskFailed."""
    if config.store == "postgres":
        return begin_shared(folder, config.dsn_env)
    return place_of(folder) or folder / LEDGER


async def bind(ledger: Ledger, folder: Path, resolved: Mapping[str, Any]) -> str:
    """Tie a run folder to its configuration, or refuse another. The ledger keeps it; `config.toml` is for people.

    More rounds than before are no other configuration: documents that ended for want of rounds are open again. A folder
    in which nothing was answered yet takes another one, for instance a mended address; what to say of it is returned.
    """
    known = await meta(ledger)
    now = fingerprint(resolved)
    if "bearing" in known:
        require_kind(known, resolved["kind"], folder)
    of_run = resolved["kind"] == RunConfig.kind
    more = more_rounds(known, now) if of_run else {}
    changed = changed_since({**known, **more}, now, folder, later=at_defaults(resolved))
    if changed and not (of_run and await _may_change(ledger, changed)):
        raise UserError(
            f"{folder} was made with another configuration ({'; '.join(changed[:5])}):"
            f" use another --out, the old values, or --config {folder / 'config.toml'}"
        )
    if more:
        await record_more_rounds(ledger, await ended_for_rounds(ledger, int(now["max_rounds"])))
    values = {**kept_of(now), "kind": resolved["kind"], "domain": resolved["domain_settings"]["name"]}
    if ledger.shared is not None:
        values[CONFIG] = canonical_json(dict(resolved))  # for the folders of other machines
    # The file first: what only it says is taken as wanted by the next session, what only the ledger says would not be.
    await asyncio.to_thread(write_resolved, folder / "config.toml", resolved)
    await record_meta(ledger, values)
    return f"{folder} goes on with the changed configuration: nothing had been answered under the old" * bool(changed)


async def _may_change(ledger: Ledger, changed: Sequence[str]) -> bool:
    """Whether nothing in a folder came of the settings that changed: no reply, and no document where they shape it."""
    of_documents = any(line.startswith(("documents.", "domain.", "domain:")) for line in changed)
    return not await is_answered(ledger) and not (of_documents and await ledger.documents())
