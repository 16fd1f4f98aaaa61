"""The whole job in one call: `generate` and `agenerate`, and `open_run` for what an earlier one left behind."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from autodata.checkpoints.errors import DiskFailed, UserError
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.places import has_ledger, ledger_place
from autodata.jobs.arguments import Options, configuration_of, models_of, sources_of
from autodata.jobs.blocking import run_blocking
from autodata.jobs.console import PlainConsole
from autodata.jobs.inputs import Inputs, as_folder_began
from autodata.jobs.progress import Progress
from autodata.jobs.result import GenerationResult, read_result
from autodata.jobs.run_ledger import ledger_of
from autodata.jobs.session import work

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from autodata.jobs.standing import Standing
    from autodata.runner.chat_models import Model
    from autodata.runner.config import RunConfig

LOG = logging.getLogger("autodata")

Documents = str | Path | Mapping[str, Any] | Iterable[str | Path | Mapping[str, Any]]
"""What documents are given as: a path, a text, `{"text": ..., "id": ..., "title": ...}`, or an iterable of these."""


# The parameters stand here and at `agenerate`, written out: so editors, type checkers and the docs show them.
def generate(
    documents: Documents | None = None,
    *,
    domain: str | Path | None = None,
    models: Mapping[str, Model] | Model | None = None,
    target: int | None = None,
    out: Path | str | None = None,
    config: RunConfig | Mapping[str, Any] | Path | str | None = None,
    progress: bool | Callable[[Standing], None] = True,
    **options: Unpack[Options],
) -> GenerationResult:
    """Make examples from documents: the whole job of `autodata run` in one call, which waits until it has ended.

    `documents` are files and folders (a Path, or a string of one line), addresses (`https://`, `hf://`), texts
    (longer strings), `{"text": ...}` with perhaps `id` and `title`, or an iterable of these; None goes on with those of
    the run folder. `domain` is `cs`, `facts`, `legal`, `science` or a folder of one's own. `models` gives, by role
    or as `default`, `"provider:model"`, settings as a configuration's table has them, or a LangChain chat model;
    one alone plays every role. None leaves the configuration's: `config` is a file, a dictionary of the same keys,
    or a RunConfig. No file is read unasked.

    `target` stops at so many accepted examples. With `out` all lies in a run folder, and the same call again goes on
    where it was and pays for nothing twice. Without it a temporary folder is used, and removed at the end; when
    something failed after calls were paid for, it is kept and the logger `autodata` names it. `progress=False`
    shows nothing, and a function in its place is called with a `Standing` every second or so while things happen, and
    at the end; where documents go is always logged. Further keywords: see `Options`.

    A failure amid the run (a dead endpoint, errored documents) does not raise: the examples made so far are returned,
    with `status` "failed"; `raise_for_status()` raises for those who want it. Works where an event loop runs, too, as
    in a notebook, but holds that loop up: `agenerate` does not.

    Raises UserError for documents, keywords or a configuration that cannot work, a missing key, a folder of another
    configuration or one in use; RunFailed for a failing disk.
    """
    return run_blocking(
        lambda: agenerate(
            documents,
            domain=domain,
            models=models,
            target=target,
            out=out,
            config=config,
            progress=progress,
            **options,
        )
    )


async def agenerate(
    documents: Documents | None = None,
    *,
    domain: str | Path | None = None,
    models: Mapping[str, Model] | Model | None = None,
    target: int | None = None,
    out: Path | str | None = None,
    config: RunConfig | Mapping[str, Any] | Path | str | None = None,
    progress: bool | Callable[[Standing], None] = True,
    **options: Unpack[Options],
) -> GenerationResult:
    """Make examples from documents, as `generate` does, in the running event loop. Raises as `generate`.

    When the task is cancelled, a run folder stays as one that was killed: the same call again goes on.
    """
    from autodata.runner.chat_models import chat_models

    folder = _folder(out)
    settings = configuration_of(domain=domain, models=models, target=target, out=folder, config=config, options=options)
    settings = await as_folder_began(settings, folder)
    inputs = _inputs(settings, documents, folder)
    console = PlainConsole(stderr=True, markup=False, highlight=False, emoji=False) if progress is True else None
    shown = Progress(console, target=settings.target, reported=progress if callable(progress) else None)
    chats = chat_models(models_of(models))
    if folder is not None:
        return await _job(settings, inputs, folder, shown, chats, folder)
    return await _in_temporary_folder(settings, inputs, shown, chats)


def open_run(path: Path | str) -> GenerationResult:
    """Read what a run folder holds, also while a run works in it; nothing in it is changed and nothing is sent.

    Raises UserError when there is no run folder, or one of a search for prompts.
    """
    folder = Path(path).expanduser()

    async def read() -> GenerationResult:
        async with ledger_of(folder) as ledger:
            return await read_result(ledger, folder)

    return run_blocking(read)


def _folder(out: Path | str | None) -> Path | None:
    return None if out is None else Path(out).expanduser()


def _inputs(settings: RunConfig, documents: Documents | None, folder: Path | None) -> Inputs:
    """Look at the documents before a run folder is made. Raises UserError."""
    sources = sources_of(documents)
    if not sources and (folder is None or not has_ledger(folder)):
        raise UserError("generate: no documents were given, and there is no run folder that holds some")
    if folder is None and settings.review != "none":
        raise UserError("generate: review needs a run folder, where a person answers: give out=")
    return Inputs(settings, sources)


async def _job(
    settings: RunConfig,
    inputs: Inputs,
    folder: Path,
    progress: Progress,
    chats: Mapping[str, BaseChatModel],
    shown: Path | None,
) -> GenerationResult:
    """Work in a run folder and read what it holds; `shown` is the folder that the result names."""
    session = await work(settings, inputs, folder, progress, models=chats, kept=shown is not None)
    outcome = session.outcome
    notes = [*session.notes, *outcome.notes, *(f"errored: {line}" for line in outcome.errored)]
    async with open_readonly(ledger_place(folder)) as ledger:
        result = await read_result(
            ledger,
            shown,
            stopped=outcome.stopped,
            failed=outcome.failed or bool(outcome.errored),
            notes=tuple(notes),
        )
    if result.status == "failed":
        LOG.warning("%r", result)
    return result


async def _in_temporary_folder(
    settings: RunConfig, inputs: Inputs, progress: Progress, chats: Mapping[str, BaseChatModel]
) -> GenerationResult:
    """Work in a folder that is removed at the end, but for one that holds what was paid for and is not ended."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="autodata-"))
    except OSError as error:
        raise DiskFailed(f"no temporary folder can be made: {error.strerror}: give out=") from error
    paid = True
    try:
        result = await _job(settings, inputs, folder, progress, chats, None)
        paid = result.status == "failed" and progress.calls > 0
    except BaseException:
        paid = progress.calls > 0
        raise
    finally:
        if paid:
            LOG.warning("kept, for calls were paid for: %s: the same call with out= this folder goes on", folder)
        else:
            with suppress(OSError):
                shutil.rmtree(folder)
    return replace(result, run_folder=folder) if paid else result
