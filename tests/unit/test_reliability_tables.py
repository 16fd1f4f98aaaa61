"""The tables of docs/reliability.md are what its JSON holds, and its JSON what the benchmarks find: a slice of each."""

from __future__ import annotations

import json
import random
from statistics import fmean

import pytest

from autodata.models.simulated.world import Criterion, Item, World
from benchmarks.confirmed_gaps import TABLE, expected_score, figures, fresh_mean
from benchmarks.judges import NOISES, SMALLS, calibrations, compared, rounds, ways
from benchmarks.reliability_page import PAGE, placed
from benchmarks.world_twin import RoundPlayed

KNOWN = json.loads(TABLE.read_text("utf-8"))


def test_the_page_holds_the_tables_of_the_json() -> None:
    page = PAGE.read_text("utf-8")
    assert page == placed(page, KNOWN), "type: python -m benchmarks.reliability_page"


def test_a_slice_of_the_calibrations_comes_out_again() -> None:
    assert calibrations(NOISES[0], 2) == KNOWN["noise_slice"]


def test_a_slice_of_the_ways_to_ask_comes_out_again() -> None:
    every = rounds(10)
    assert {name: compared(ask, every) for name, ask in ways(SMALLS[0]).items()} == KNOWN["ways_slice"]


def test_a_slice_of_the_gaps_comes_out_again() -> None:
    found, known = figures("paper", 1, 8), KNOWN["gaps_slice"]["paper"]
    assert found["held"] == known["held"]
    for name in ("true", "confirmed", "selecting"):
        assert found[name] == pytest.approx(known[name])


def test_the_truth_that_is_worked_out_is_the_one_that_attempts_come_to() -> None:
    world, item = World(), Item(d=0.2, a=0.9)
    rubric = (Criterion(0.3, 5), Criterion(-0.4, 8), Criterion(0.1, 3), Criterion(0.5, -6))
    played = RoundPlayed(None, item, rubric)
    rng = random.Random(5)
    sampled = fmean(fresh_mean(world, played, 1.6, rng) for _ in range(1500))
    assert expected_score(world, item, rubric, 1.6) == pytest.approx(sampled, abs=0.012)


def test_what_is_stated_of_the_tables_is_so() -> None:
    for row in KNOWN["gaps"].values():
        low, high = row["bias"][1:]
        assert low <= 0 <= high
        assert row["runs"] * row["examples"] >= 200
        assert row["held"]["confirmed"] >= 0.9 * row["runs"]
        assert row["held"]["selecting"] == 0
    for row in KNOWN["noise"].values():
        assert row["held"] >= 0.88 * row["runs"]
