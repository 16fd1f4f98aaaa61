"""What a graph needs around it, for code of one's own: no document runner, no command, perhaps no folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import ValidationError

from autodata.checkpoints.ledger import Ledger, MemoryLedger, run_lock
from autodata.checkpoints.records import UserError
from autodata.models.caller import Budget, Caller
from autodata.models.config import ModelSettings
from autodata.models.endpoint import Endpoint, RoleModel
from autodata.models.factory import connect, require_keys
from autodata.models.local.serving import LocalServing, Progress
from autodata.models.validation import problems
from autodata.nodes.solver_modes import require_ready
from autodata.nodes.state import Context, Services
from autodata.runner.config import RunConfig
from autodata.runner.run_folder import bind, make_folder, note_known, require_prices, require_room, spent_budget

OWN = "own"
"""What stands as the provider of a chat model that the caller made."""


@asynccontextmanager
async def open_services(
    config: RunConfig | str = "cs",
    *,
    models: Mapping[str, BaseChatModel | Mapping[str, Any]] | None = None,
    folder: Path | str | None = None,
    progress: Progress | None = None,
) -> AsyncIterator[Context]:
    """Open what a graph's nodes need, and yield it as the value of `context=`. Nothing is spent yet.

    `config` is a whole configuration, or what its `domain` may be. `models` lies over its models: by role, or `default`
    for all roles that are not named, a LangChain chat model, or settings as a configuration's table has them. A chat
    model is called as it is: the domain's temperatures and token limits are for models given by settings, and so is
    the seed of an attempt. With a `folder` every reply is durable before it is used, and the folder is one that
    `autodata status`, `show` and `export` read; without one all is in memory and gone at the end.

    Raises UserError for a configuration that cannot work, a missing key, a folder of another configuration or one in
    use, and RunFailed for a failing disk.
    """
    own = {role: chat for role, chat in (models or {}).items() if isinstance(chat, BaseChatModel)}
    run = _configured(config, models or {})
    domain, roles = run.chosen_domain, run.roles()
    pack = domain.pack()
    require_ready(domain, roles)
    require_keys(roles)
    require_prices(run, roles)
    require_room(run, roles)
    async with AsyncExitStack() as stack:
        ledger: Ledger | MemoryLedger = MemoryLedger()
        budget = Budget(run.budget)
        if folder is not None:
            place = Path(folder)
            make_folder(place)
            stack.enter_context(run_lock(place))
            ledger = await stack.enter_async_context(Ledger.open(place / "run.db"))
            await bind(ledger, place, run.resolved(pack.version))
            budget = await spent_budget(run, ledger, roles)
        serving = LocalServing(progress=progress, n_parallel=run.local.n_parallel, ctx=run.local.ctx)
        stack.push_async_callback(serving.aclose)
        named = {role: settings for role, settings in roles.items() if settings.provider != OWN}
        connected = await connect(named, stack, serving=serving, world=run.simulated)
        connected |= _connected(own, {role: s for role, s in roles.items() if s.provider == OWN})
        if isinstance(ledger, Ledger):
            await note_known(connected, ledger)
        caller = Caller(ledger, connected, retries=run.retries, budget=budget, run_seed=run.seed)
        yield Context(
            Services(
                domain=domain,
                policy=run.policy,
                pack=pack,
                caller=caller,
                store=ledger,
                blobs=ledger,
                max_rounds=run.max_rounds,
                run_seed=run.seed,
                review=run.reviewing,
            )
        )


def _configured(config: RunConfig | str, models: Mapping[str, BaseChatModel | Mapping[str, Any]]) -> RunConfig:
    """Return the configuration with the given models laid over it."""
    shape: type[RunConfig] = RunConfig if isinstance(config, str) else type(config)
    values: dict[str, Any] = {"domain": config} if isinstance(config, str) else _set(config)
    tables: dict[str, dict[str, Any]] = dict(values.get("models", {}))
    for role, model in models.items():
        if isinstance(model, BaseChatModel):
            tables[role] = {"provider": OWN, "model": _name(model)}
        else:
            tables[role] = {**tables.get(role, {}), **model}
    try:
        return shape.model_validate({**values, "models": tables})
    except ValidationError as error:
        raise UserError(f"open_services: {problems(error, shape)}") from error


def _set(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_unset=True)


def _name(chat: BaseChatModel) -> str:
    """Return the name by which a chat model calls itself, which is part of a call's identity."""
    return str(getattr(chat, "model_name", None) or getattr(chat, "model", None) or chat._llm_type)


def _connected(own: Mapping[str, BaseChatModel], roles: Mapping[str, ModelSettings]) -> dict[str, RoleModel]:
    """Return the callers' own chat models by role. Roles that share one share its endpoint."""
    endpoints: dict[int, Endpoint] = {}
    connected: dict[str, RoleModel] = {}
    for role, settings in roles.items():
        chat = own.get(role) or own.get("default")
        if chat is None:
            raise UserError(f"models.{role}: provider {OWN!r} stands for a chat model: give one in open_services")
        if settings.model != _name(chat):
            raise UserError(f"models.{role}: model {settings.model!r} needs a provider: models.default is a chat model")
        endpoint = endpoints.setdefault(
            id(chat), Endpoint(f"{OWN}:{settings.model}", settings.max_concurrency, structured=False)
        )
        endpoint.slots.narrow(settings.max_concurrency)
        connected[role] = RoleModel(settings, chat, endpoint, sends_seed=False)
    return connected
