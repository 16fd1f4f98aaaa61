"""A plan for many documents on many machines: requests at once, workers, database, money and hours.

Rounds, calls and tokens of a document are those of `known.json`; the processor time of a call is measured by `make
bench` and shipped as `machine.json`, and so are the kilobytes of a document in Postgres, as `postgres.json`. All
figures are means: of so many documents the sum hardly differs from run to run, but your models and documents may differ
from those that were measured.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from autodata.jobs.known import SECONDS_PER_CALL, TOKENS_PER_SECOND, known_documents
from autodata.models.budget import price
from autodata.models.slots import address_of
from autodata.runner.config import RunConfig

BUSY = 0.7
"""The share of a processor that a worker is planned to use, and of its slots that an endpoint is."""


@dataclass(frozen=True)
class ModelPlan:
    """What one model is sent."""

    name: str
    """The model and where it is."""
    roles: tuple[str, ...]
    calls: float
    tokens_in: float
    tokens_out: float
    usd: float | None
    """None without a price."""
    at_once: int
    """Requests that it must take at once for the run to end in time."""


@dataclass(frozen=True)
class ScalingPlan:
    """What a run of many documents takes."""

    documents: int
    hours: float
    accepted: float
    rounds: float
    """Of a document."""
    calls: float
    models: tuple[ModelPlan, ...]
    workers: int
    """Worker processes, one a processor."""
    documents_at_once: int
    """Documents in work at once in each worker."""
    database_gib: float
    """Ledger and checkpoints of documents that have ended."""
    source: str
    machine: str
    cpu_ms: float
    """Processor time of one call, all included."""
    in_flight: int
    """Requests at once of one process when that was measured: no worker is planned to have more."""

    @property
    def usd(self) -> float | None:
        """US dollars of all models, None where one has no price."""
        known = [model.usd for model in self.models if model.usd is not None]
        return sum(known) if len(known) == len(self.models) else None

    @property
    def calls_per_second(self) -> float:
        """Calls of all models that come to a second."""
        return self.calls / (self.hours * 3600)


def scaling_plan(config: RunConfig, documents: int, hours: float, chars: float) -> ScalingPlan:
    """Return what `documents` documents of `chars` characters take to be done in so many hours.

    `documents` is at least 1, `hours` above 0. Raises UserError where a role has no model.
    """
    found, source = known_documents(config, chars)
    roles, share = config.roles(), documents / len(found)
    calls: dict[str, float] = defaultdict(float)
    tokens_in: dict[str, float] = defaultdict(float)
    tokens_out: dict[str, float] = defaultdict(float)
    for one in found:
        for role, use in one.roles.items():
            calls[role] += use.calls * share
            tokens_in[role] += use.tokens_in * share
            tokens_out[role] += use.tokens_out * share
    models: dict[str, list[str]] = defaultdict(list)
    for role in (role for role in roles if calls[role]):
        settings = roles[role]
        where = address_of(settings.address, settings.query)
        models[f"{settings.model} at {where}" if where else f"{settings.provider}:{settings.model}"].append(role)
    planned = []
    for name, of_model in models.items():
        seconds = sum(calls[role] * SECONDS_PER_CALL + tokens_out[role] / TOKENS_PER_SECOND for role in of_model)
        costs = [price(roles[role], round(tokens_in[role]), round(tokens_out[role])) for role in of_model]
        planned.append(
            ModelPlan(
                name,
                tuple(of_model),
                sum(calls[role] for role in of_model),
                sum(tokens_in[role] for role in of_model),
                sum(tokens_out[role] for role in of_model),
                None if None in costs else sum(cost or 0.0 for cost in costs),
                math.ceil(seconds / (hours * 3600) / BUSY),
            )
        )
    all_calls, measured = sum(calls.values()), machine()
    rounds = sum(one.rounds for one in found) / len(found)
    by_processor = all_calls * measured["cpu_ms"] / 1000 / (hours * 3600) / BUSY
    workers = max(1, math.ceil(by_processor), math.ceil(sum(one.at_once for one in planned) / measured["in_flight"]))
    in_work = sum(one.seconds for one in found) * share / (hours * 3600)
    kept = postgres()  # workers share a ledger there
    kib = (kept["run_kib"] + kept["checkpoints_kib"]) * rounds / kept["rounds"]
    return ScalingPlan(
        documents,
        hours,
        sum(one.accepted for one in found) * share,
        rounds,
        all_calls,
        tuple(planned),
        workers,
        max(1, math.ceil(in_work / workers / BUSY)),
        documents * kib / 2**20,
        source,
        f"{measured['machine']}, {measured['date']}",
        measured["cpu_ms"],
        measured["in_flight"],
    )


@cache
def postgres() -> Mapping[str, Any]:
    """Return what a document takes of a Postgres server, as `python -m benchmarks.postgres_bytes` measured it."""
    found: dict[str, Any] = json.loads(files("autodata.jobs").joinpath("postgres.json").read_text("utf-8"))
    return found


@cache
def machine() -> Mapping[str, Any]:
    """Return what a call takes of a processor and a document of a disk, as `make bench` measured them."""
    found: dict[str, Any] = json.loads(files("autodata.jobs").joinpath("machine.json").read_text("utf-8"))
    return found
