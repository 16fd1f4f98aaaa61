"""An open run folder: its lock, ledger, checkpoints, models, budget and tracer, whatever is done with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langsmith.run_helpers import tracing_context

from autodata.checkpoints.document_queue import Book
from autodata.checkpoints.ledger import Ledger, Reader, run_lock
from autodata.checkpoints.records import UserError, canonical_json
from autodata.models.budget import Budget, price
from autodata.models.caller import Caller
from autodata.models.config import ModelSettings
from autodata.models.endpoint import RoleModel
from autodata.models.factory import connect, require_keys
from autodata.models.local.serving import LocalServing, Progress
from autodata.nodes.solver_modes import require_ready
from autodata.nodes.state import Services
from autodata.prompts import PromptPack
from autodata.runner.checkpointer import CHECKPOINTS, open_run_saver
from autodata.runner.config import CODE, RunConfig, bearing, changes, require_kind, with_newer_settings, write_resolved
from autodata.tracing.setup import open_tracing
from autodata.tracing.tracer import Tracer

CHARS_PER_TOKEN = 3
"""A careful estimate, for prose."""


@dataclass(frozen=True)
class House:
    """What an open run folder holds: everything a sitting needs, whatever it does there."""

    folder: Path
    pack: PromptPack
    ledger: Ledger
    saver: BaseCheckpointSaver[str]
    models: Mapping[str, RoleModel]
    budget: Budget
    tracer: Tracer

    def caller(self, config: RunConfig, block: int = 0) -> Caller:
        """Return what makes calls under the seeds of a block, on the folder's journal, models and budget."""
        return Caller(
            self.ledger,
            self.models,
            retries=config.retries,
            budget=self.budget,
            run_seed=config.seed,
            block=block,
            watch=self.tracer,
        )

    def services(
        self,
        config: RunConfig,
        book: Book,
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
            store=book,
            blobs=book,
            max_rounds=config.max_rounds,
            run_seed=config.seed,
            review=config.reviewing,
            frozen=frozen,
        )

    @property
    def checkpoints(self) -> Path:
        """The checkpoint file."""
        return self.folder / CHECKPOINTS


@asynccontextmanager
async def open_house(config: RunConfig, folder: Path, progress: Progress | None = None) -> AsyncIterator[House]:
    """Open or create a run folder. Nothing is spent yet.

    Raises UserError for a folder of another configuration, one in use, a missing key; RunFailed for a failing disk.
    """
    pack = config.pack()
    resolved = config.resolved(pack.version)
    roles = config.roles()
    require_ready(config.chosen_domain, roles)
    require_keys(roles)
    require_prices(config, roles)
    require_room(config, roles)
    make_folder(folder)
    async with AsyncExitStack() as stack:
        # LangChain's own tracing would send all twice, unredacted, and where the configuration says no.
        stack.enter_context(tracing_context(enabled=False))
        stack.enter_context(run_lock(folder))
        ledger = await stack.enter_async_context(Ledger.open(folder / "run.db"))
        await bind(ledger, folder, resolved)
        saver = await stack.enter_async_context(open_run_saver(config.checkpoints, folder, ledger))
        serving = LocalServing(progress=progress, n_parallel=config.local.n_parallel, ctx=config.local.ctx)
        stack.push_async_callback(serving.aclose)
        models = await connect(roles, stack, serving=serving, world=config.simulated)
        await note_known(models, ledger)
        tracing = open_tracing(
            config.tracing, ledger, folder, roles=roles, domain=config.chosen_domain.name, prompt_version=pack.version
        )
        tracer = await stack.enter_async_context(tracing)
        yield House(folder, pack, ledger, saver, models, await spent_budget(config, ledger, roles), tracer)


_SPENT = """
select role, sum(calls) as calls, coalesce(sum(charged_in), 0) as tokens_in,
    coalesce(sum(charged_out), 0) as tokens_out, sum(charged_usd) as usd, charged_usd is null as unpriced
from (select role, 1 as calls, charged_in, charged_out, charged_usd from calls
    union all select role, 0, charged_in, charged_out, charged_usd from timeouts)
group by role, charged_usd is null
"""


async def spent_budget(config: RunConfig, ledger: Reader, roles: Mapping[str, ModelSettings] | None = None) -> Budget:
    """Return the budget with what the folder's journal says was spent already, by the same count as in every session.

    Calls from before their role had a price count at the price that it has now, if `roles` are given.
    """
    budget = Budget(config.budget)
    for row in await ledger.read(_SPENT):
        budget.spent_calls += row["calls"]
        budget.spent_tokens += row["tokens_in"] + row["tokens_out"]
        settings = (roles or {}).get(row["role"])
        if not row["unpriced"]:
            budget.spent_usd += row["usd"]
        elif settings is not None:
            budget.spent_usd += price(settings, row["tokens_in"], row["tokens_out"]) or 0.0
    return budget


async def note_known(models: Mapping[str, RoleModel], ledger: Reader) -> None:
    """Tell the endpoints that a folder holds replies of: what they refuse now is not refused for the settings."""
    rows = await ledger.read("select distinct role, model from calls")
    known = {(row["role"], row["model"]) for row in rows}
    for role, model in models.items():
        model.endpoint.known |= (role, model.settings.model) in known


def require_prices(config: RunConfig, roles: Mapping[str, ModelSettings]) -> None:
    """Raise UserError when money is bounded and a paid model has no price."""
    if config.budget.max_usd is None:
        return
    for role, settings in roles.items():
        free = settings.provider in {"local", "simulated"}
        if not free and (settings.price_in is None or settings.price_out is None):
            raise UserError(f"max_usd cannot be kept without prices: set models.{role}.price_in and price_out")


def require_room(config: RunConfig, roles: Mapping[str, ModelSettings]) -> None:
    """Raise UserError when a document may be longer than the context that a local server is started with."""
    if config.chosen_domain.passage_words is not None:
        return
    for role in ("extractor", "challenger", "quality_verifier"):
        settings = roles.get(role)
        if settings is None or settings.provider != "local":
            continue
        most = (config.local.ctx - settings.max_tokens) * CHARS_PER_TOKEN
        if config.documents.max_chars > most:
            raise UserError(
                f"documents.max_chars {config.documents.max_chars} does not fit models.{role}: local.ctx"
                f" {config.local.ctx} less max_tokens {settings.max_tokens} leaves about {max(0, most)} characters:"
                " set a larger local.ctx, or less of the others"
            )


def make_folder(folder: Path) -> None:
    """Make a run folder that is not there yet. Raises UserError when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}: choose another --out") from error


async def bind(ledger: Ledger, folder: Path, resolved: Mapping[str, Any]) -> None:
    """Tie a run folder to its configuration, or refuse another. The ledger keeps it; `config.toml` is for people."""
    known = {row["key"]: row["value"] for row in await ledger.read("select key, value from meta")}
    if "bearing" in known:
        require_kind(known, resolved["kind"], folder)
        before, now = with_newer_settings(json.loads(known["bearing"]), resolved), bearing(resolved)
        if CODE in now:  # folders from before it was kept do not have it
            before.setdefault(CODE, now[CODE])
        if changed := changes(before, now):
            raise UserError(
                f"{folder} was made with another configuration ({'; '.join(changed[:5])}):"
                f" use another --out, the old values, or --config {folder / 'config.toml'}"
            )
    domain = resolved["domain_settings"]["name"]
    values = {"bearing": canonical_json(bearing(resolved)), "kind": resolved["kind"], "domain": domain}
    await ledger.save(meta=[{"key": key, "value": value} for key, value in values.items()])
    await asyncio.to_thread(write_resolved, folder / "config.toml", resolved)
