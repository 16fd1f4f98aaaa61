"""Trackers: figures of a search sent to MLflow or Weights & Biases, or to something of the caller's own.

What is sent are settings and figures, never a document, a prompt or a reply. A tracker that fails is named in the notes
and left out from then on; the search goes on.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Protocol, get_args

from autodata.checkpoints.errors import UserError
from autodata.models.config import ModelSettings
from autodata.nodes.optimizer.events import RecordedEvent
from autodata.nodes.optimizer.settings import OptimizeConfig, TrackerName
from autodata.runner.optimization.callbacks import SearchCallback
from autodata.runner.optimization.stopping import SearchStanding

LOG = logging.getLogger("autodata")


class Tracker(Protocol):
    """Where figures of a search go. One of your own is a class with these parts.

    Its methods are called one after the other in a thread of their own, so they may wait for a network.
    """

    @property
    def name(self) -> str:
        """What it is called in notes."""

    def begin(self, run: str, settings: Mapping[str, str], earlier: str) -> str:
        """Begin a run, or go on with it; return its id there.

        `run` is the name of the search's folder, `settings` are text by dotted name, and `earlier` is what this method
        returned in an earlier session of the folder, empty in the first.
        """

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Take figures by name; `step` is the number of iterations that ended."""

    def end(self) -> None:
        """End this session; a later one may go on."""


class MLflowTracker:
    """MLflow, by its client: the server or folder that MLFLOW_TRACKING_URI names. Needs the extra `mlflow`."""

    name = "mlflow"

    def __init__(self, uri: str | None = None, experiment: str = "autodata") -> None:
        """`uri` in place of MLFLOW_TRACKING_URI. Raises UserError without MLflow."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        tracking = _imported("mlflow.tracking", "mlflow")
        self._uri, self._experiment, self._run = uri, experiment, ""
        self._client_of: Callable[[], Any] = lambda: tracking.MlflowClient(tracking_uri=self._uri)

    def begin(self, run: str, settings: Mapping[str, str], earlier: str) -> str:
        """Begin a run of the experiment, or go on with the earlier one. Raises as MLflow does."""
        self._client = self._client_of()
        if earlier:
            self._client.update_run(earlier, status="RUNNING")
            self._run = earlier
            return earlier
        found = self._client.get_experiment_by_name(self._experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(self._experiment)
        self._run = str(self._client.create_run(experiment, run_name=run).info.run_id)
        for name, value in settings.items():
            self._client.log_param(self._run, name, value[:500])
        return self._run

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Log metrics."""
        for name, value in figures.items():
            self._client.log_metric(self._run, name, value, step=step)

    def end(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)


_BARE = {
    **{"console": "off", "silent": True, "save_code": False, "disable_git": True, "disable_job_creation": True},
    **{"x_save_requirements": False, "x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True},
}
"""Settings of wandb by which it sends what it is given, and nothing of the program, its packages or the machine."""


class WandbTracker:
    """Weights & Biases, by its own settings (WANDB_PROJECT, WANDB_MODE). Needs the extra `wandb`."""

    name = "wandb"

    def __init__(self) -> None:
        """Raise UserError without wandb."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._wandb = _imported("wandb", "wandb")

    def begin(self, run: str, settings: Mapping[str, str], earlier: str) -> str:
        """Begin a run, or go on with the earlier one. Raises as wandb does."""
        self._run = self._wandb.init(
            id=earlier or None,
            name=run,
            config=dict(settings),
            resume="allow",
            settings=self._wandb.Settings(**_BARE),
        )
        return str(self._run.id)

    def log(self, figures: Mapping[str, float], step: int) -> None:
        """Log a row."""
        self._run.log(dict(figures), step=step)

    def end(self) -> None:
        """Finish the run."""
        self._run.finish()


def _imported(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"optimize.track {extra!r} needs it: pip install 'autodata-langgraph[{extra}]'") from error


def trackers_of(settings: OptimizeConfig) -> list[Tracker]:
    """Return the trackers that the settings name. Raises UserError for one that is not installed."""
    known: Mapping[TrackerName, Callable[[], Tracker]] = {"mlflow": MLflowTracker, "wandb": WandbTracker}
    assert set(known) == set(get_args(TrackerName))
    return [known[name]() for name in dict.fromkeys(settings.track)]


def places_of(settings: OptimizeConfig, own: Sequence[Tracker]) -> str:
    """Return the names of all trackers of a search, in one text; empty without any."""
    return ", ".join([*dict.fromkeys(settings.track), *(tracker.name for tracker in own)])


class Tracking(SearchCallback):
    """One tracker, fed from a search's events. Nothing here waits for it but `begin` and `close`."""

    def __init__(self, tracker: Tracker, notes: list[str]) -> None:
        """Report to `tracker`; what it raises goes into `notes`, once."""
        self.name = tracker.name
        self._tracker, self._notes = tracker, notes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"autodata-{tracker.name}")
        self._failed = False

    async def begin(self, run: str, settings: Mapping[str, str], earlier: str) -> str:
        """Begin a run there; return its id, or what it was before where that failed."""
        found: list[str] = []
        self._do(lambda: found.append(self._tracker.begin(run, settings, earlier)))
        await self._done()
        return found[0] if found else earlier

    def on_recorded(self, event: RecordedEvent) -> None:
        """Log the scores of an iteration."""
        scores = {"parent_score": event.parent_score, "mutant_score": event.mutant_score}
        figures = {name: value for name, value in scores.items() if value is not None}
        self._do(lambda: self._tracker.log(figures, event.iteration))

    def on_standing(self, standing: SearchStanding) -> None:
        """Log the leader's rate with its interval, and what was spent."""
        figures = figures_of(standing)
        self._do(lambda: self._tracker.log(figures, standing.ended))

    async def close(self) -> None:
        """End the session there, and wait until all is sent."""
        self._do(self._tracker.end)
        await self._done()
        await asyncio.to_thread(self._thread.shutdown)

    def _do(self, work: Callable[[], object]) -> None:
        self._thread.submit(self._guarded, work)

    def _guarded(self, work: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            work()
        except Exception as error:
            self._failed = True
            note = f"{self._tracker.name} failed and gets no more figures: {type(error).__name__}: {error}"
            self._notes.append(" ".join(note.split()))
            LOG.warning("%s", self._notes[-1], exc_info=error)

    async def _done(self) -> None:
        await asyncio.wrap_future(self._thread.submit(lambda: None))


def figures_of(standing: SearchStanding) -> dict[str, float]:
    """Return what trackers are sent of how a search stands; what is not known yet is left out."""
    low, high = standing.interval or (None, None)
    usage = standing.usage
    found = {
        "iterations": standing.ended,
        "accepted": standing.accepted,
        "rate": standing.rate,
        "rate_low": low,
        "rate_high": high,
        "baseline_rate": standing.baseline_rate,
        "calls": usage.calls,
        "tokens": usage.tokens,
        "usd": usage.usd,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def settings_of(resolved: Mapping[str, Any]) -> dict[str, str]:
    """Return what trackers are sent of a resolved configuration: names, numbers and choices, no address and no path."""
    models = {role: ModelSettings.model_validate(model) for role, model in resolved["models"].items()}
    search = {name: value for name, value in resolved["optimize"].items() if name not in {"stop_file", "track"}}
    found = {
        "domain": resolved["domain_settings"]["name"],
        "seed": resolved["seed"],
        "max_rounds": resolved["max_rounds"],
        "prompt_version": resolved["prompt_version"],
        **{f"models.{role}": f"{model.provider}:{model.shown}" for role, model in models.items()},
        **{f"optimize.{name}": value for name, value in search.items() if value is not None},
    }
    return {name: str(value) for name, value in found.items()}


@asynccontextmanager
async def tracking(
    trackers: Iterable[Tracker],
    notes: list[str],
    run: str,
    resolved: Mapping[str, Any],
    earlier: Mapping[str, str],
) -> AsyncIterator[tuple[list[Tracking], dict[str, str]]]:
    """Begin a run at each tracker; yield what feeds them, and each run's id by the tracker's name. End them behind it.

    `earlier` are the ids of an earlier session of the same search. Raises UserError for two trackers of one name.
    """
    found = [Tracking(tracker, notes) for tracker in trackers]
    names = [one.name for one in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"two trackers are called {min(twice)!r}: give each a name of its own")
    ids = {one.name: await one.begin(run, settings_of(resolved), earlier.get(one.name, "")) for one in found}
    try:
        yield found, {**earlier, **{name: kept for name, kept in ids.items() if kept}}
    finally:
        for one in found:
            await one.close()
