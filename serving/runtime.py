"""What all runs of a server share: its configuration, its folder with ledger and checkpoints, its models.

The folder is opened when the server starts, or else at the first node that needs it, off the event loop. A process has
one server runtime, for one event loop; a second process on the same folder is refused.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from pydantic import ValidationError

from autodata.checkpoints.document_queue import ThreadQueue
from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.writes import record_meta
from autodata.domains.acceptance.borderline import Reviewing
from autodata.domains.acceptance.policies import AcceptancePolicy, Measure
from autodata.domains.domain import Domain
from autodata.models.budget import Budget
from autodata.models.caller import Caller
from autodata.models.config import ModelsConfig, ModelSettings
from autodata.models.factory import Pool, connect, require_keys
from autodata.models.local.serving import LocalServing
from autodata.models.role_model import RoleModel
from autodata.models.validation import problems
from autodata.nodes.context import Services
from autodata.nodes.solver_modes import cautions, require_ready
from autodata.prompts import PromptPack
from autodata.runner.checkpointer import open_run_saver
from autodata.runner.config import RunConfig, load_config, read_config
from autodata.runner.destinations import destinations
from autodata.runner.fences import fences_of
from autodata.runner.ingest import add_documents
from autodata.runner.outcome import InARow
from autodata.runner.run_folder import note_known, open_ledger, require_prices, spent_budget
from autodata.runner.serve_config import CONFIGURED
from autodata.serving.context import LoopContext, RoundsContext, ServedContext, pack_for, policy_for
from autodata.serving.pinned import Pinned
from autodata.serving.searches import SEARCHES, Searches
from autodata.tracing.config import TracingConfig

logger = logging.getLogger(__name__)

CONFIG_VARIABLE = "AUTODATA_CONFIG"
"""Names the server's configuration file. Not set: `autodata.toml` in the current folder, if there is one."""
FOLDER_VARIABLE = "AUTODATA_SERVER_DIR"
"""Names the server's folder."""
FOLDER = Path(".autodata/server")
KIND = "server"

SIMULATED = """
[models.default]
provider = "simulated"
model = "judge"

[models.weak_solver]
model = "weak"

[models.strong_solver]
model = "strong"

[serve.profiles.simulated-weak]
model = "weak"

[serve.profiles.simulated-strong]
model = "strong"
"""
"""What a server without a configuration works with."""


class ServedQueue(ThreadQueue):
    """The documents of one server thread."""

    async def require(self, document_id: str) -> None:
        """Raise UserError for a document that is none of the thread's."""
        if document_id not in await self.documents():
            raise UserError("state.document: it is none of this thread's: send the input again")


@dataclass
class ServerRuntime:
    """An open server folder and the models of its configuration."""

    config: RunConfig
    folder: Path
    ledger: Ledger
    saver: BaseCheckpointSaver[str]
    budget: Budget
    stack: AsyncExitStack
    serving: LocalServing
    simulated: bool
    searches: Searches
    fences: int
    """How the server's folder fences answers for judges."""
    pool: Pool = field(default_factory=Pool)
    in_a_row: dict[str, InARow] = field(default_factory=dict)
    """By thread: its latest documents, as long as they errored for the same cause."""
    _models: dict[str, RoleModel] = field(default_factory=dict)
    _packs: dict[str, PromptPack] = field(default_factory=dict)
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def queue(self, thread_id: str) -> ServedQueue:
        """Return the document queue of a server's thread: two threads on one document share nothing but its text."""
        return ServedQueue(self.ledger, f"server-{thread_id}", ())

    def policy(self, domain: Domain, context: ServedContext) -> AcceptancePolicy:
        """Return the acceptance policy of a run. Raises UserError."""
        mine = self.config.chosen_domain.name == domain.name
        return policy_for(domain, context, self.config.acceptance if mine else None)

    async def pack(self, domain: Domain, context: ServedContext) -> PromptPack:
        """Return the prompts of a run. Raises UserError."""
        if domain.name not in self._packs:
            self._packs[domain.name] = await asyncio.to_thread(domain.pack)
        return pack_for(domain, self._packs[domain.name], context.prompts(), self.config.serve.prompts)

    def roles(self, domain: Domain, context: ServedContext) -> dict[str, ModelSettings]:
        """Return the model settings of a run's roles, profiles put in. Raises UserError for one that is not known."""
        return self.chosen_models(domain.roles, context).resolve(domain.role_defaults, domain.roles)

    def chosen_models(self, roles: Collection[str], context: ServedContext) -> ModelsConfig:
        """Return the server's models, the profiles chosen for these roles put in. Raises UserError."""
        tables = self.config.models.model_dump(exclude_unset=True)
        for role, name in context.profiles().items():
            if role not in roles:
                continue
            if name not in self.config.serve.profiles:
                known = ", ".join([CONFIGURED, *self.config.serve.profiles])
                raise UserError(f"context.{role}_model: no such model profile on this server: use one of {known}")
            tables[role] = self.config.serve.profiles[name].model_dump(exclude_unset=True)
        try:
            return ModelsConfig.model_validate(tables)
        except ValidationError as error:
            raise UserError(f"context: {problems(error, ModelsConfig, 'models')}") from None

    async def models(self, roles: Mapping[str, ModelSettings]) -> dict[str, RoleModel]:
        """Connect roles, each once; one whose endpoint was given up is connected anew. Raises UserError."""
        async with self._connecting:
            self.pool.forget_down()
            connected: dict[str, RoleModel] = {}
            for role, settings in roles.items():
                key = canonical_json([role, settings.model_dump(mode="json")])
                model = self._models.get(key)
                if model is None or model.endpoint.down is not None:
                    require_keys({role: settings})
                    require_prices(self.config, {role: settings})
                    one = partial(connect, {role: settings}, self.stack, serving=self.serving, pool=self.pool)
                    model = (await one(world=self.config.simulated))[role]
                    await self._report(role, model)
                    self._models[key] = model
                connected[role] = model
            return connected

    async def _report(self, role: str, model: RoleModel) -> None:
        """Say in the server's log what is known of an endpoint, and what will be; it begins with what was kept of it.

        As warnings: a server whose log is not set up shows nothing below them.
        """
        if model.endpoint.found.on_found is None:
            await note_known({role: model}, self.ledger)
            model.endpoint.found.report_to(logger.warning)

    def pin(self, domain: Domain, context: ServedContext) -> Pinned:
        """Return what a thread that begins with this context keeps to. Raises UserError for what cannot be kept."""
        loop = isinstance(context, RoundsContext)  # else the baseline: one round, no gate
        return Pinned(
            context=context,
            policy=self.policy(domain, context) if loop else Measure(),
            max_rounds=(context.max_rounds or self.config.max_rounds) if isinstance(context, RoundsContext) else 1,
            seed=context.seed or self.config.seed,
            review=self.reviewing(domain, context),
        )

    async def services(self, domain: Domain, pinned: Pinned, queue: ServedQueue) -> Services:
        """Return what a run's nodes share. Raises UserError for a context that cannot be kept."""
        roles = self.roles(domain, pinned.context)
        require_ready(domain, roles)
        return Services(
            domain=domain,
            policy=pinned.policy,
            pack=await self.pack(domain, pinned.context),
            caller=Caller(
                self.ledger,
                await self.models(roles),
                retries=self.config.retries,
                budget=self.budget,
                run_seed=pinned.seed,
            ),
            store=queue,
            blobs=queue,
            max_rounds=pinned.max_rounds,
            run_seed=pinned.seed,
            review=pinned.review,
            checks=self.config.checks,
            fences=self.fences,
        )

    def reviewing(self, domain: Domain, context: ServedContext) -> Reviewing:
        """Return which candidates of a run wait for a person. Raises UserError for what a domain cannot say."""
        mode = context.review if isinstance(context, LoopContext) else "none"
        if mode == "borderline" and domain.loop_judge:
            raise UserError("context.review: a loop judge draws no line to be near: use accepted or all")
        return Reviewing(mode, Fraction(str(self.config.review_margin)))

    async def add_documents(self, *documents: Any) -> None:
        """Add documents to the server's ledger, each once."""
        await add_documents(self.ledger, documents)


def require_servable(config: RunConfig, where: object) -> None:
    """Raise UserError, naming `where`, for settings whose nodes and judges the graphs of a server do not have.

    Passed over in silence they would leave examples that nobody confirmed or audited, though it was asked for.
    """
    asked = {
        "confirm.attempts": config.confirm.attempts > 0,
        "checks.canaries": config.checks.canaries != "off",
        "checks.closed_context": config.checks.closed_context,
        "judges": config.judges.several,
    }
    if wanted := ", ".join(name for name, is_asked in asked.items() if is_asked):
        raise UserError(
            f"{where}: {wanted}: a server's graphs make neither fresh attempts nor audits, and have one judge: leave it"
            f" out, name another file in {CONFIG_VARIABLE}, or use 'autodata run'"
        )


def server_config() -> tuple[RunConfig, bool]:
    """Return the server's configuration, and whether it is the simulated one that stands in for none.

    Raises UserError for a file that is missing or wrong, or asks for what a server does not do.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    path = Path(named or "autodata.toml")
    if named or path.exists():
        config = load_config(path)
        require_servable(config, path)
        return config, False
    return read_config(SIMULATED, "simulated models"), True


@asynccontextmanager
async def open_server_runtime() -> AsyncIterator[ServerRuntime]:
    """Open the server's folder. Raises UserError for a wrong configuration or a folder in use, RunFailed for a disk."""
    config, simulated = await asyncio.to_thread(server_config)
    folder = Path(os.environ.get(FOLDER_VARIABLE) or FOLDER)
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(open_ledger(folder, f"set {FOLDER_VARIABLE} to another"))
        await _bind(ledger, folder)
        saver = await stack.enter_async_context(open_run_saver(config.checkpoints, folder, ledger))
        local = config.local
        serving = LocalServing(n_parallel=local.n_parallel, ctx=local.ctx, python=local.python)
        stack.push_async_callback(serving.aclose)
        budget = await spent_budget(config, ledger)
        searches = Searches(await asyncio.to_thread((folder / SEARCHES).absolute), config, budget)
        await searches.count_spent()
        stack.push_async_callback(searches.aclose)
        server_traces = TracingConfig(langsmith=None)  # a server sends what LangGraph's own variables ask for
        logger.info(destinations(_all_models(config), server_traces))
        for warning in cautions(config.chosen_domain, config.roles()):
            logger.warning(warning)
        fences = await fences_of(ledger)
        yield ServerRuntime(config, folder, ledger, saver, budget, stack, serving, simulated, searches, fences)


def _all_models(config: RunConfig) -> list[ModelSettings]:
    """Return the settings of every role, and of a role with each profile that callers may choose for it."""
    found: list[ModelSettings] = []
    tables = config.models.model_dump(exclude_unset=True)
    for profile in (None, *config.serve.profiles.values()):
        own = {} if profile is None else {"challenger": profile.model_dump(exclude_unset=True)}
        with suppress(UserError, ValidationError):  # a role without a model, or a profile that does not fit it
            domain = config.chosen_domain
            roles = ModelsConfig.model_validate({**tables, **own}).resolve(domain.role_defaults, domain.roles)
            found += roles.values() if profile is None else [roles["challenger"]]
    return found


async def _bind(ledger: Ledger, folder: Path) -> None:
    kind = await meta_value(ledger, "kind")
    if kind not in {None, KIND}:
        raise UserError(f"{folder} holds a {kind}: set {FOLDER_VARIABLE} to a folder of the server's own")
    await record_meta(ledger, {"kind": KIND})


class _Door:
    """The process's one server runtime, opened by whoever comes first."""

    def __init__(self) -> None:
        self.stack: AsyncExitStack | None = None
        self.server: ServerRuntime | None = None
        self.opening: asyncio.Lock | None = None


_DOOR = _Door()


async def server_runtime() -> ServerRuntime:
    """Return the process's server runtime, opened if it was not yet. Raises as `open_server_runtime`."""
    if _DOOR.opening is None:
        _DOOR.opening = asyncio.Lock()
    async with _DOOR.opening:
        if _DOOR.server is None:
            stack = AsyncExitStack()
            _DOOR.server = await stack.enter_async_context(open_server_runtime())
            _DOOR.stack = stack
        return _DOOR.server


async def shut() -> None:
    """Close the process's server runtime, if it is open."""
    stack, _DOOR.stack, _DOOR.server, _DOOR.opening = _DOOR.stack, None, None, None
    if stack is not None:
        await stack.aclose()


@asynccontextmanager
async def saver() -> AsyncIterator[BaseCheckpointSaver[str]]:
    """Open the server runtime for a server's lifetime; yield its checkpoint saver. Named in `langgraph.json`."""
    try:
        yield (await server_runtime()).saver
    finally:
        await shut()
