"""What a job will take, before it begins, in one call: `estimate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from autodata.checkpoints.errors import UserError
from autodata.jobs.arguments import Options, configuration_of, models_of, sources_of
from autodata.jobs.blocking import run_blocking
from autodata.jobs.estimate import Estimate, estimate_of
from autodata.jobs.generate import Documents
from autodata.jobs.inputs import Inputs
from autodata.jobs.progress import Progress
from autodata.jobs.session import work
from autodata.runner.chat_models import Model, chat_models
from autodata.runner.config import RunConfig


def estimate(
    documents: Documents | None = None,
    *,
    domain: str | Path | None = None,
    models: Mapping[str, Model] | Model | None = None,
    target: int | None = None,
    out: Path | str | None = None,
    config: RunConfig | Mapping[str, Any] | Path | str | None = None,
    pilot: int | None = None,
    **options: Unpack[Options],
) -> Estimate:
    """Return what `generate` with the same arguments will take: calls, tokens, money and time, with intervals.

    Nothing is sent and nothing is written: the figures come from the documents of the run folder `out` that have ended,
    if there are some, else from what is known of the domain. With `pilot` the first so many documents are really run
    before, in `out`; they are kept, and `generate` goes on from them. Raises UserError as `generate` does; a pilot that
    fails raises RunFailed as `raise_for_status` of its result would.
    """
    folder = None if out is None else Path(out).expanduser()
    settings = configuration_of(domain=domain, models=models, target=target, out=folder, config=config, options=options)
    sources = sources_of(documents)

    async def reported() -> Estimate:
        if pilot is not None:
            await _piloted(settings, Inputs(settings, sources), folder, pilot, models)
        return await estimate_of(settings, Inputs(settings, sources), folder)

    return run_blocking(reported)


async def _piloted(
    settings: RunConfig,
    inputs: Inputs,
    folder: Path | None,
    pilot: int,
    models: Mapping[str, Model] | Model | None,
) -> None:
    if folder is None:
        raise UserError("estimate: a pilot is kept: give out=, and generate goes on from it")
    if pilot < 1:
        raise UserError("estimate: pilot: at least one document is needed")
    first = settings.model_copy(update={"limit": min(pilot, settings.limit or pilot)})
    chats = chat_models(models_of(models))
    session = await work(first, inputs, folder, Progress(None, target=settings.target), models=chats)
    session.raise_for_status()
