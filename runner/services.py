"""What a graph needs around it, for code of one's own: no document runner, no command, perhaps no folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autodata.checkpoints.ledger import Ledger, MemoryLedger, run_lock
from autodata.checkpoints.records import UserError
from autodata.models.caller import Budget, Caller
from autodata.models.factory import require_keys
from autodata.models.local.serving import LocalServing, Progress
from autodata.models.validation import problems
from autodata.nodes.solver_modes import require_ready
from autodata.nodes.state import Context, Services
from autodata.runner.chat_models import Model, chat_models, connect_all, laid_over
from autodata.runner.config import RunConfig
from autodata.runner.run_folder import bind, make_folder, note_known, require_prices, require_room, spent_budget


@asynccontextmanager
async def open_services(
    config: RunConfig | str = "cs",
    *,
    models: Mapping[str, Model] | None = None,
    folder: Path | str | None = None,
    progress: Progress | None = None,
) -> AsyncIterator[Context]:
    """Open what a graph's nodes need, and yield it as the value of `context=`. Nothing is spent yet.

    `config` is a whole configuration, or what its `domain` may be. `models` lies over its models: by role, or `default`
    for all roles that are not named, a LangChain chat model, settings as a configuration's table has them, or
    `provider:model`. A chat model is called as it is: the domain's temperatures and token limits are for models given
    by settings, and so is the seed of an attempt. With a `folder` every reply is durable before it is used, and the
    folder is one that `autodata status`, `show` and `export` read; without one all is in memory and gone at the end.

    Raises UserError for a configuration that cannot work, a missing key, a folder of another configuration or one in
    use, and RunFailed for a failing disk.
    """
    own = chat_models(models or {})
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
        connected = await connect_all(roles, own, stack, serving=serving, world=run.simulated)
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


def _configured(config: RunConfig | str, models: Mapping[str, Model]) -> RunConfig:
    """Return the configuration with the given models laid over it."""
    shape: type[RunConfig] = RunConfig if isinstance(config, str) else type(config)
    values: dict[str, Any] = {"domain": config} if isinstance(config, str) else _set(config)
    try:
        return shape.model_validate({**values, "models": laid_over(models, values.get("models", {}))})
    except ValidationError as error:
        raise UserError(f"open_services: {problems(error, shape)}") from error


def _set(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_unset=True)
