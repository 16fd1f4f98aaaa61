"""Shares of an endpoint among workers, and the plan for many documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.workers.slots import fair
from autodata.jobs.queue_run import given_address
from autodata.jobs.scaling import machine, postgres, scaling_plan
from autodata.runner.config import RunConfig
from benchmarks import postgres_bytes
from benchmarks.calls import shipped

ROOT = Path(__file__).parents[2]
MODELS = {
    "default": {"model": "strong", "base_url": "http://a/v1", "price_in": 1.0, "price_out": 2.0},
    "weak_solver": {"model": "weak", "base_url": "http://a/v1", "price_in": 1.0, "price_out": 2.0},
}


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=6))
def test_shares_stay_within_the_limit_and_reach_it(limit: int, demands: list[tuple[int, int]]) -> None:
    """Workers ask in turn, with nothing in flight; in the end all is used that is wanted."""
    granted = [0] * len(demands)
    for _ in range(3):
        for worker, (wanted, _) in enumerate(demands):
            others = [(granted[k], demands[k][0]) for k in range(len(demands)) if k != worker]
            granted[worker] = fair(limit, 0, wanted, others)
            assert sum(granted) <= limit
    assert sum(granted) == min(limit, sum(wanted for wanted, _ in demands))


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1)), min_size=2, max_size=6))
def test_what_is_in_flight_is_never_taken_away(limit: int, workers: list[tuple[int, float]]) -> None:
    granted = [0] * len(workers)
    for _ in range(3):
        for worker, (wanted, share) in enumerate(workers):
            taken = int(granted[worker] * share)
            others = [(granted[k], workers[k][0]) for k in range(len(workers)) if k != worker]
            granted[worker] = fair(limit, taken, max(wanted, taken), others)
            assert granted[worker] >= taken
            assert sum(granted) <= limit


def test_workers_that_want_alike_get_alike() -> None:
    granted = [16, 0]
    granted[0] = fair(16, 3, 100, [(0, 100)])
    granted[1] = fair(16, 0, 100, [(granted[0], 100)])
    assert granted == [8, 8]


def config(**changes: object) -> RunConfig:
    return RunConfig.model_validate({"domain": "cs", "models": MODELS, **changes})


def test_a_plan_grows_with_its_documents() -> None:
    small, large = (scaling_plan(config(), count, 24, 4000) for count in (1_000, 100_000))
    assert large.calls == pytest.approx(100 * small.calls)
    assert large.database_gib == pytest.approx(100 * small.database_gib)
    assert small.usd is not None
    assert large.usd == pytest.approx(100 * small.usd)
    assert large.workers > small.workers == 1
    assert sum(one.calls for one in large.models) == pytest.approx(large.calls)
    assert [one.name for one in large.models] == ["strong at http://a/v1", "weak at http://a/v1"]


def test_half_the_hours_take_twice_the_requests_at_once() -> None:
    slow, fast = (scaling_plan(config(), 100_000, hours, 4000) for hours in (48, 24))
    assert fast.models[0].at_once == pytest.approx(2 * slow.models[0].at_once, rel=0.01)
    assert fast.calls == slow.calls


def test_a_plan_without_prices_names_no_money() -> None:
    models = {"default": {"model": "strong", "base_url": "http://a/v1"}}
    assert scaling_plan(config(models=models), 1_000, 24, 4000).usd is None


def test_what_is_shipped_of_the_machine_is_what_was_measured() -> None:
    measured = json.loads((ROOT / "docs" / "calls.json").read_text("utf-8"))
    assert dict(machine()) == shipped(measured), "type: make bench"


def test_what_is_shipped_of_postgres_is_what_was_measured() -> None:
    measured = json.loads((ROOT / "docs" / "postgres-bytes.json").read_text("utf-8"))
    assert dict(postgres()) == postgres_bytes.shipped(measured), "type: python -m benchmarks.postgres_bytes"
    kib = (measured["run_kib"] + measured["checkpoints_kib"]) / measured["rounds"]
    plan = scaling_plan(config(), 1_000, 24, 4000)
    assert plan.database_gib == pytest.approx(1_000 * plan.rounds * kib / 2**20, rel=0.01)


def test_an_address_is_given_by_its_variable_or_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_DSN", "postgresql://a")
    monkeypatch.delenv("AUTODATA_POSTGRES_DSN", raising=False)
    assert given_address("MY_DSN") == "MY_DSN"
    with pytest.raises(Exception, match="AUTODATA_POSTGRES_DSN is not set"):
        given_address(None)
    assert given_address("postgresql://b") == "AUTODATA_POSTGRES_DSN"
    assert given_address(None) == "AUTODATA_POSTGRES_DSN"
