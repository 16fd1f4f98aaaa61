"""What a graph needs around it, for code of one's own: no document runner, no command, perhaps no folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autodata.checkpoints.errors import UserError
from autodata.models.local.serving import Progress
from autodata.models.validation import problems
from autodata.nodes.context import Context
from autodata.runner.chat_models import Model, chat_models, laid_over
from autodata.runner.config import RunConfig
from autodata.runner.run_folder import open_resources


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
    run = configured(config, models or {})
    place = None if folder is None else Path(folder)
    async with open_resources(run, place, models=own, progress=progress) as resources:
        yield Context(resources.services(run, resources.ledger, resources.caller(run)))


def configured(config: RunConfig | str, models: Mapping[str, Model]) -> RunConfig:
    """Return a configuration, or a domain's, with the given models laid over it. Raises UserError."""
    shape: type[RunConfig] = RunConfig if isinstance(config, str) else type(config)
    values: dict[str, Any] = {"domain": config} if isinstance(config, str) else _set(config)
    try:
        return shape.model_validate({**values, "models": laid_over(models, values.get("models", {}))})
    except ValidationError as error:
        raise UserError(f"open_services: {problems(error, shape)}") from error


def _set(config: RunConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_unset=True)
