"""A search for better prompts in one call: `optimize` and `aoptimize`, and `open_search` for what one left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from typing_extensions import Unpack

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.places import has_ledger
from autodata.jobs.arguments import KEYS, Asked, configuration_of, models_of, sources_of
from autodata.jobs.blocking import run_blocking
from autodata.jobs.console import PlainConsole
from autodata.jobs.generate import Documents
from autodata.jobs.search_result import OptimizeResult, result_of

if TYPE_CHECKING:
    from autodata.nodes.optimizer.acceptance import Acceptance
    from autodata.nodes.optimizer.estimate import Estimator
    from autodata.nodes.optimizer.proposer import Proposer
    from autodata.nodes.optimizer.selectors import Selector
    from autodata.runner.chat_models import Model
    from autodata.runner.config import RunConfig
    from autodata.runner.optimization.callbacks import SearchCallback
    from autodata.runner.optimization.session import OptimizeRunConfig
    from autodata.runner.optimization.stopping import Stopper
    from autodata.runner.optimization.trackers import Tracker


class SearchOptions(TypedDict, total=False):
    """Further keywords of `optimize`; each is a setting of the table `[optimize]`, or as said."""

    iterations: int
    """Iterations in all."""
    parallel: int
    """Iterations at once; only 1 is reproducible to the bit."""
    confirm: int
    """Fresh blocks before a new incumbent is believed."""
    patience: int
    """Iterations in a row without a new leader after which the search ends."""
    reach: float
    """The estimated pass rate at which it ends."""
    stop_file: Path | str
    """A file; while it is there, the search stops and can go on later."""
    track: Sequence[str]
    """Where figures are sent: `mlflow`, `wandb`."""
    minibatch: int
    """Training documents of an iteration."""
    max_rounds: int
    """Rounds after which a document counts as not passed, `optimize.max_rounds`."""
    preset: str | Mapping[str, Any]
    """When an example counts, `acceptance` in a configuration."""
    seed: int
    """Seed of everything random."""
    text_field: str
    """As of `generate`."""
    title_field: str
    """As of `generate`."""
    id_field: str
    """As of `generate`."""
    max_usd: float
    """US dollars the search may cost in all, `budget.max_usd`."""
    max_calls: int
    """Model calls it may make, `budget.max_calls`."""
    max_tokens: int
    """Tokens it may use, in and out, `budget.max_tokens`."""
    max_seconds: float
    """Seconds this call may take, `budget.max_seconds`."""


_OF_SEARCH = ("iterations", "parallel", "confirm", "patience", "reach", "stop_file", "track", "minibatch", "max_rounds")
_AS_GENERATE = ("preset", "seed", "text_field", "title_field", "id_field", *(n for n in KEYS if n.startswith("max_")))
OPTIMIZE = Asked(
    "optimize",
    {name: KEYS[name] for name in _AS_GENERATE} | {name: f"optimize.{name}" for name in _OF_SEARCH},
    (
        "train",
        "validate",
        "test",
        "domain",
        "models",
        "out",
        "config",
        "progress",
        "estimator",
        "selector",
        "acceptance",
        "proposer",
        "stoppers",
        "callbacks",
        "trackers",
    ),
    kind="optimize",
)
"""What `optimize` is given."""


# The parameters stand here and at `aoptimize`, written out: so editors, type checkers and the docs show them.
def optimize(
    train: Documents | None = None,
    validate: Documents | None = None,
    *,
    out: Path | str,
    test: Documents | None = None,
    domain: str | Path | None = None,
    models: Mapping[str, Model] | Model | None = None,
    config: RunConfig | Mapping[str, Any] | Path | str | None = None,
    progress: bool = True,
    estimator: Estimator | None = None,
    selector: Selector | None = None,
    acceptance: Acceptance | None = None,
    proposer: Proposer | None = None,
    stoppers: Sequence[Stopper] = (),
    callbacks: Sequence[SearchCallback] = (),
    trackers: Sequence[Tracker] = (),
    **options: Unpack[SearchOptions],
) -> OptimizeResult:
    """Search for better prompts: the whole job of `autodata optimize` in one call, which waits until it has ended.

    Documents, `domain`, `models` and `config` are as those of `generate`; failures are read on `train`, `validate`
    decides, and `test` is looked at once, at the end. The same call again goes on in the folder `out` and pays for
    nothing twice; without documents it goes on with those of the folder.

    `estimator`, `selector`, `acceptance` and `proposer` are rules of your own in place of those that the settings name:
    a folder goes on with the same ones alone. `stoppers` end a search between two iterations, `callbacks` watch it, and
    `trackers` are sent its figures. Further keywords: see `SearchOptions`.

    A failure amid the search does not raise: see `status`. Raises UserError for documents, keywords or a configuration
    that cannot work, and for a folder of another search or one in use; RunFailed for a failing disk.
    """
    return run_blocking(
        lambda: aoptimize(
            train,
            validate,
            out=out,
            test=test,
            domain=domain,
            models=models,
            config=config,
            progress=progress,
            estimator=estimator,
            selector=selector,
            acceptance=acceptance,
            proposer=proposer,
            stoppers=stoppers,
            callbacks=callbacks,
            trackers=trackers,
            **options,
        )
    )


async def aoptimize(
    train: Documents | None = None,
    validate: Documents | None = None,
    *,
    out: Path | str,
    test: Documents | None = None,
    domain: str | Path | None = None,
    models: Mapping[str, Model] | Model | None = None,
    config: RunConfig | Mapping[str, Any] | Path | str | None = None,
    progress: bool = True,
    estimator: Estimator | None = None,
    selector: Selector | None = None,
    acceptance: Acceptance | None = None,
    proposer: Proposer | None = None,
    stoppers: Sequence[Stopper] = (),
    callbacks: Sequence[SearchCallback] = (),
    trackers: Sequence[Tracker] = (),
    **options: Unpack[SearchOptions],
) -> OptimizeResult:
    """Search for better prompts, as `optimize` does, in the running event loop. Raises as `optimize`."""
    from autodata.jobs.search_progress import OptimizeProgress
    from autodata.jobs.search_session import read_splits, work
    from autodata.runner.chat_models import chat_models
    from autodata.runner.optimization.own import Own

    folder = _folder(out)
    settings = await configured(folder, domain, models, config, options)
    sources = {"train": sources_of(train), "validate": sources_of(validate), "test": sources_of(test)}
    for split in ("train", "validate"):
        if not sources[split] and not has_ledger(folder):
            raise UserError(f"optimize: no documents to {split} with: give {split}=")
    inputs = read_splits(settings, sources, folder)
    console = PlainConsole(stderr=True, markup=False, highlight=False, emoji=False) if progress else None
    outcome, report = await work(
        settings,
        inputs,
        folder,
        OptimizeProgress(console, settings.optimize.iterations),
        models=chat_models(models_of(models)),
        own=Own(estimator, selector, acceptance, proposer, stoppers, callbacks, trackers),
    )
    return result_of(report, folder, outcome)


async def configured(
    folder: Path,
    domain: str | Path | None,
    models: Mapping[str, Model] | Model | None,
    config: RunConfig | Mapping[str, Any] | Path | str | None,
    options: SearchOptions,
) -> OptimizeRunConfig:
    """Return the configuration that a call asks for, as the folder was begun. Raises UserError."""
    from autodata.jobs.inputs import as_folder_began
    from autodata.runner.optimization.session import OptimizeRunConfig

    given = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    settings = configuration_of(
        domain=domain, models=models, target=None, out=folder, config=config, options=given, asked=OPTIMIZE
    )
    return await as_folder_began(OptimizeRunConfig.of(settings), folder)


def _folder(path: Path | str) -> Path:
    return Path(path).expanduser()


def open_search(path: Path | str, *, estimator: Estimator | None = None) -> OptimizeResult:
    """Read what the folder of a search holds, also while a search works in it; nothing is changed and nothing is sent.

    `estimator` is the one of your own that the search was made with. Raises UserError when there is no search.
    """
    from autodata.jobs.search_report import SearchReport

    folder = _folder(path)

    async def read() -> OptimizeResult:
        return result_of(await SearchReport.of(folder, estimator=estimator), folder)

    return run_blocking(read)
