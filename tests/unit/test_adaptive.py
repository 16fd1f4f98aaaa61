"""Adaptive stopping: what a chance is, when a round ends by it, and that acceptance never comes early."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.stopping import finished_candidates, losses_of_stopping
from autodata.checkpoints.records import Decision, Stage
from autodata.domains.acceptance.adaptive import Fit, Level, _completions, adaptive_ruling, chance
from autodata.domains.acceptance.adaptive_fit import Finished, _quantile, due, fitted, would_stop
from autodata.domains.acceptance.policies import PRESETS, AcceptancePolicy, Planned, Ruling
from autodata.nodes.adaptive import AdaptiveStopping
from autodata.runner.config import BaselineConfig, RunConfig, read_config
from autodata.runner.fingerprint import fingerprint
from benchmarks import curtailing
from benchmarks.curtailing import BEGIN, DOCS, END, ROWS, SLICE, measured, rendered
from benchmarks.curtailing_bound import Way, bounded, least
from tests.unit.test_settled import scores, thresholds

LEVEL = Level(0.6, 0.05, 0.5)
FIT = Fit(LEVEL, LEVEL, 0.5, 0.02)
BINARY = Level(0.5, 0.25, 2 / 3)
PLANNED = Planned(3, 3)


def exact(text: str) -> list[Fraction]:
    return [Fraction(part) for part in text.split()]


def play(
    policy: AcceptancePolicy, weak: Sequence[Fraction], strong: Sequence[Fraction], planned: Planned, fit: Fit
) -> tuple[Ruling, int, int]:
    """Make the attempts that are asked for until the round is decided; return the ruling and how many were made."""
    made = {Stage.WEAK: 0, Stage.STRONG: 0}
    while True:
        ruling = adaptive_ruling(policy, weak[: made[Stage.WEAK]], strong[: made[Stage.STRONG]], planned, fit)
        if ruling.decision in {Decision.ACCEPT, Decision.REJECT}:
            return ruling, made[Stage.WEAK], made[Stage.STRONG]
        stage = Stage.STRONG if ruling.decision is Decision.STRONG else ruling.stage
        assert ruling.more > 0
        made[stage] += ruling.more
        assert made[Stage.WEAK] <= planned.weak
        assert made[Stage.STRONG] <= planned.strong


@given(st.data(), thresholds(), st.floats(0, 1))
def test_acceptance_never_comes_early_and_is_never_invented(data: st.DataObject, policy: Any, least: float) -> None:
    weak, strong = data.draw(scores(3)), data.draw(scores(3))
    ruling, *made = play(policy, weak, strong, PLANNED, replace(FIT, least=least))
    if ruling.decision is Decision.ACCEPT:
        assert made == [3, 3]
        assert policy.rule(weak, strong, PLANNED).decision is Decision.ACCEPT
    assert all(made) or made[1] == 0


@given(st.data(), thresholds())
def test_without_an_error_only_settled_failures_end_a_round(data: st.DataObject, policy: Any) -> None:
    weak, strong = data.draw(scores(3)), data.draw(scores(3))
    ruling, *_ = play(policy, weak, strong, PLANNED, replace(FIT, least=0.0))
    full = policy.rule(weak, strong if policy.rule(weak, [], PLANNED).decision is not Decision.REJECT else [], PLANNED)
    assert (ruling.decision, ruling.failure_mode) == (full.decision, full.failure_mode)


@pytest.mark.parametrize("level", [LEVEL, BINARY, Level(0.9, 0.02, 0.3), Level(0.05, 0.01, 0.9)])
@pytest.mark.parametrize("made", ["", "1", "1/2 1/4"])
def test_completions_are_a_distribution(level: Level, made: str) -> None:
    found = _completions(level, tuple(exact(made)), 2)
    assert sum(share for share, _ in found) == pytest.approx(1)
    assert {len(rest) for _, rest in found} == {2}
    assert [sum(rest) for _, rest in (found[0], found[-1])] == [0, 2]


def test_right_or_wrong_attempts_are_one_trial_each() -> None:
    assert BINARY.trials == pytest.approx(1, abs=0.05)
    # Of a uniform probability, after one right attempt, the next is right with two thirds.
    (wrong, _), (right, _) = _completions(BINARY, (Fraction(1),), 1)
    assert right == pytest.approx(2 / 3, abs=0.02)
    assert wrong + right == pytest.approx(1)


def test_a_high_weak_score_leaves_little_chance() -> None:
    low, high = (chance(PRESETS["paper"], (Fraction(score),), (), PLANNED, FIT)[0] for score in ("0.3", "0.9"))
    assert low > 10 * high
    ruling = adaptive_ruling(PRESETS["paper"], exact("0.9"), [], PLANNED, FIT)
    assert (ruling.decision, ruling.stage) == (Decision.REJECT, Stage.WEAK)
    assert [check.name for check in ruling.checks if not check.passed] == ["chance of acceptance"]
    assert adaptive_ruling(PRESETS["paper"], exact("0.3"), [], PLANNED, FIT).decision is Decision.MORE


def test_no_stage_is_left_without_an_attempt() -> None:
    hopeless = replace(FIT, least=1.0)
    assert adaptive_ruling(PRESETS["paper"], [], [], PLANNED, hopeless).decision is Decision.MORE
    assert adaptive_ruling(PRESETS["paper"], exact("0.4 0.4 0.4"), [], PLANNED, hopeless).decision is Decision.STRONG


@pytest.mark.parametrize(
    ("share", "bound"), [(0.0, 0.1), (0.24, 0.1), (0.25, 0.2), (0.5, 0.3), (0.99, 0.4), (1.0, 0.0)]
)
def test_no_more_than_the_share_lies_below_the_bound(share: float, bound: float) -> None:
    assert _quantile([(0.3, 1.0), (0.1, 1.0), (0.4, 1.0), (0.2, 1.0)], share) == bound


def finished(walked: bool = False, lost: bool = False) -> list[Finished]:
    fine, lucky = tuple(exact("0.3 0.4 0.3")), tuple(exact("0.9 0.1 0.2"))
    strong = tuple(exact("0.9 0.8 0.9"))
    kept = [Finished(fine, strong, walked, would_stop=False, accepted=True)] * 40
    return [*kept, *([Finished(lucky, strong, walked=True, would_stop=True, accepted=True)] if lost else [])]


@pytest.mark.slow
def test_what_walking_to_the_end_shows_lowers_the_bound() -> None:
    without, seen = (
        fitted(PRESETS["paper"], PLANNED, finished(lost=lost), error=0.01, walked=0.1) for lost in (False, True)
    )
    assert seen.least < without.least
    assert fitted(PRESETS["paper"], PLANNED, finished(lost=True), error=0.01, walked=0.1) == seen
    assert would_stop(
        PRESETS["paper"], exact("0.9 0.1 0.2"), exact("0.9 0.8 0.9"), PLANNED, replace(without, least=0.1)
    )


def test_a_fit_is_renewed_in_steps_that_grow() -> None:
    assert [due(n) for n in (0, 9, 10, 19, 20, 61, 62, 76, 77)] == [0, 0, 10, 10, 20, 50, 62, 62, 77]


async def test_a_round_keeps_to_what_it_was_begun_with(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        await _keeps(ledger)


async def _keeps(ledger: Ledger) -> None:
    await ledger.save(documents=[{"document_id": "d", "name": "d"}])
    rows = [{"round_id": r, "document_id": "d", "thread_id": "main/d", "n": n} for n, r in enumerate(("r1", "r2"), 1)]
    await ledger.save(rounds=rows)

    def service(walked: float) -> AdaptiveStopping:
        counts = PRESETS["counts"]
        return AdaptiveStopping(ledger, ledger, counts, Planned(4, 4), error=0.01, walked=walked, seed=0)

    first = await service(0.01).basis_of("r1", "c")
    assert not first.walked
    await service(0.01).note("r1", first, exact("0 0 0 1"), exact("1 1 1 1"), Decision.ACCEPT)
    again = await service(1.0).basis_of("r1", "c")
    assert again.fit == first.fit
    assert not again.walked
    [one] = await finished_candidates(ledger)
    assert (one["walked"], one["accepted"], one["would_stop"]) == (False, True, False)
    assert await losses_of_stopping(ledger) == {"candidates": 1, "walked": 0, "accepted": 0, "lost": 0}
    other = await service(1.0).basis_of("r2", "c")
    assert other.walked
    await service(1.0).note("r2", other, exact("0 0 0 1"), exact("1 1 1 0"), Decision.ACCEPT)
    assert (await losses_of_stopping(ledger))["accepted"] == 1
    assert (await service(1.0).basis_of("r2", "edited")).candidate_id == "edited"


def configured(**changes: Any) -> RunConfig:
    models = {"default": {"provider": "simulated", "model": "m"}}
    return RunConfig.model_validate({"models": models, **changes})


def test_curtail_is_a_setting_of_a_run_that_its_results_depend_on() -> None:
    assert [configured(domain="facts", curtail=mode).chosen_domain.curtail for mode in (None, "off", "exact")] == [
        True,
        False,
        True,
    ]
    assert configured(curtail="exact").chosen_domain.planned == Planned(3, 3, curtail=True)
    kept = [fingerprint(configured(**own).resolved("v")) for own in ({}, {"curtail": "exact"}, {"curtail": "adaptive"})]
    assert len({json.dumps(one, sort_keys=True) for one in kept}) == 3
    assert BaselineConfig.of(configured(curtail="adaptive")).curtail is None


@pytest.mark.parametrize("mode", ["exact", "adaptive"])
def test_a_loop_judge_reads_all_attempts(mode: str) -> None:
    with pytest.raises(Exception, match="curtail: a loop judge reads all attempts"):
        read_config(f'domain = "legal"\ncurtail = "{mode}"', "test")


def test_the_page_holds_the_table_of_its_json() -> None:
    table = json.loads((DOCS / "curtailing.json").read_text("utf-8"))
    page = (DOCS / "tables.md").read_text("utf-8")
    assert page.split(BEGIN)[1].split(END)[0].strip() == rendered(table).strip()
    assert [*table["rows"]] == [*ROWS]
    for name, row in table["rows"].items():
        preset, mode, _ = ROWS[name]
        off = table["rows"][f"{preset}, off"]
        if mode == "exact":
            assert {**row, "calls": 0, "settled": 0, "foreseen": 0} == {**off, "calls": 0, "settled": 0, "foreseen": 0}
            assert row["calls"]["weak_solver"] + row["calls"]["strong_solver"] == off["settled"]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if mode != "adaptive" else [pytest.mark.slow]) for name, (_, mode, _) in ROWS.items()],
)
def test_the_first_documents_come_out_again(name: str) -> None:
    table = json.loads((DOCS / "curtailing.json").read_text("utf-8"))
    preset, mode, probe = ROWS[name]
    assert measured(preset, mode, SLICE, probe=probe) == table["slice"][name]


@pytest.mark.parametrize("preset", curtailing.PLANNED)
def test_the_bound_of_the_first_documents_comes_out_again(preset: str) -> None:
    table = json.loads((DOCS / "curtailing.json").read_text("utf-8"))
    assert bounded(preset, SLICE) == table["bound"]["slice"][preset]


STOOD = st.lists(st.integers(0, 1), max_size=2).map(lambda made: tuple(tuple(made[: k + 1]) for k in range(len(made))))


@given(st.lists(st.builds(Way, STOOD, st.booleans()), max_size=30), st.floats(0, 1))
def test_no_rule_makes_fewer_attempts_than_the_bound(ways: list[Way], error: float) -> None:
    """Tried against every rule that there is for so few standings."""
    allowed, found = error * sum(way.accepted for way in ways), least(Counter(ways), error)
    standings = sorted({standing for way in ways for standing in way.stood}, key=str)
    for stops in itertools.product((True, False), repeat=len(standings)):
        stopping = {standing for standing, stop in zip(standings, stops, strict=True) if stop}
        ends = [next((k for k, one in enumerate(way.stood, 1) if one in stopping), None) for way in ways]
        lost = sum(way.accepted for way, end in zip(ways, ends, strict=True) if end)
        if lost <= allowed:
            assert found <= sum(end or way.attempts for way, end in zip(ways, ends, strict=True)) + 1e-6


def test_the_bound_is_what_the_best_rule_does() -> None:
    """Of ten that stand well all are accepted, of ten that stand badly none: these are stopped after one attempt."""
    ways = Counter({Way(("well", "well, too"), accepted=True): 10, Way(("badly", "badly, too"), accepted=False): 10})
    assert least(ways, 0.0) == 10 * 3 + 10 * 1
    assert least(Counter({Way(("alike",), accepted=True): 1, Way(("alike",), accepted=False): 9}), 0.0) == 20
