"""What fresh attempts must pass, and what is reported of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from autodata.corpus.confirmed import confirmed_figures
from autodata.corpus.exporters.card import card_text
from autodata.corpus.exporters.rows import ExportSet, RunFacts, plain_row
from autodata.domains.acceptance.confirming import ConfirmConfig, require_confirmable, required_checks
from autodata.domains.acceptance.policies import PRESETS, Counts, Planned
from autodata.runner.config import RunConfig
from tests.unit.test_export import example

ONE, ZERO = Fraction(1), Fraction(0)


def scores(right: int, of: int) -> list[Fraction]:
    return [ONE] * right + [ZERO] * (of - right)


@pytest.mark.parametrize(
    ("weak", "strong", "passed", "failed"),
    [
        (["0.2"] * 4, ["0.9"] * 4, True, []),
        (["0.6"] * 4, ["0.9"] * 4, False, ["confirmed weak mean"]),
        (["0.2"] * 4, ["0.6"] * 4, False, ["confirmed strong mean"]),
    ],
)
def test_the_presets_gates_hold_for_fresh_scores(
    weak: list[str], strong: list[str], passed: bool, failed: list[str]
) -> None:
    config = ConfirmConfig(attempts=4, require=True)
    found, checks = required_checks(
        config, PRESETS["paper"], Planned(3, 3), [Fraction(s) for s in weak], [Fraction(s) for s in strong]
    )
    assert found is passed
    assert [check.name for check in checks if not check.passed] == failed


@pytest.mark.parametrize(("weak", "strong", "passed"), [(2, 6, True), (3, 6, False), (2, 5, False)])
def test_counts_ask_the_same_share_of_fresh_attempts(weak: int, strong: int, passed: bool) -> None:
    config = ConfirmConfig(attempts=8, require=True)
    found, checks = required_checks(config, PRESETS["counts"], Planned(4, 4), scores(weak, 8), scores(strong, 8))
    assert found is passed
    assert checks[0].bound == "<= 2"


@pytest.mark.parametrize(("gap", "bound", "passed"), [("0", "> 0.00", False), ("0.1", "> 0.00", True)])
def test_where_a_judge_decides_the_gap_must_be_above_zero(gap: str, bound: str, passed: bool) -> None:
    config = ConfirmConfig(attempts=1, require=True)
    half = Fraction(1, 2)
    found, checks = required_checks(config, PRESETS["loop_judge"], Planned(5, 3), [half], [half + Fraction(gap)])
    assert (found, checks[0].bound) == (passed, bound)


def test_a_bound_on_the_gap_stands_in_for_the_gates() -> None:
    config = ConfirmConfig.model_validate({"attempts": 1, "require": True, "gap": ">= 0.10"})
    found, [check] = required_checks(config, PRESETS["paper"], Planned(3, 3), [Fraction("0.8")], [Fraction("0.9")])
    assert (found, check.name, check.bound) == (True, "confirmed gap", ">= 0.10")


@pytest.mark.parametrize(
    ("confirm", "said"),
    [
        ({"require": True}, "require needs fresh attempts"),
        ({"attempts": 2, "gap": ">= 0.1"}, "gap is asked for only with require"),
        ({"attempts": 65}, "less than or equal to 64"),
        ({"attempts": True}, "attempts"),
    ],
)
def test_what_cannot_be_meant_is_refused(confirm: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RunConfig.model_validate({"confirm": confirm})


def test_a_requirement_that_nothing_could_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="no gate"):
        require_confirmable(
            ConfirmConfig(attempts=1, require=True), Counts(weak_right=4, strong_right=1), Planned(4, 4)
        )


def row(gap: float, selecting: float | None, *, passed: bool = True) -> dict[str, Any]:
    sides = {"weak": 0.25, "strong": 0.25 + gap, "gap": gap}
    chosen = {f"selecting_{name}": None if selecting is None else value for name, value in sides.items()}
    chosen["selecting_gap"] = selecting
    return {"document_id": "d", "attempts": 4, "passed": int(passed), "accepted": int(passed), **sides, **chosen}


def test_refused_candidates_count_in_the_confirmed_figures() -> None:
    found = confirmed_figures([row(0.5, 0.6), row(0.25, 0.6), row(0.0, 0.6, passed=False)])
    assert found is not None
    assert (found["candidates"], found["refused"], found["gap"]["confirmed"]) == (3, 1, 0.25)
    assert found["shrinkage"]["value"] == pytest.approx(0.35)
    assert found["gap"]["low"] < 0.25 < found["gap"]["high"]


def test_without_selecting_means_there_is_no_shrinkage() -> None:
    found = confirmed_figures([row(0.5, None), row(0.25, None)])
    assert found is not None
    assert found["shrinkage"] == {"value": None, "low": None, "high": None}
    assert (found["gap"]["selecting"], found["gap"]["confirmed"]) == (None, 0.375)
    assert confirmed_figures([]) is None


@pytest.mark.parametrize("required", [False, True])
def test_the_card_shows_both(required: bool) -> None:
    half, full = Fraction(1, 2), Fraction(3, 4)
    confirmed = {
        "candidate_id": "c",
        "weak_scores": (half,),
        "strong_scores": (full,),
        "weak_mean": half,
        "strong_mean": full,
        "gap": full - half,
        "required": required,
    }
    data = ExportSet({"train": [plain_row(example(confirmed=confirmed)), plain_row(example(2, confirmed=confirmed))]})
    if required:
        figures = {"confirmed": {"candidates": 7, "gap": {"confirmed": 0.125}}}
        data = ExportSet(data.splits, RunFacts(figures=figures))
    text = card_text(data)
    assert "| gap | 0.71 | 0.25 | 0.25 to 0.25 |" in text
    assert "| shrinkage of the gap | | 0.46 |" in text
    assert ("Over all 7 candidates" in text) is required
    assert "## Confirmed" not in card_text(ExportSet({"train": [plain_row(example())]}))
