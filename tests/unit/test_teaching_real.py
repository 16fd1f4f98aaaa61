"""The arms of a real small model, without the model: what is asked about, how, and what is said of the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autodata import prompts
from autodata.domains.domain import FACTS
from autodata.domains.loader import load_domain
from benchmarks.teaching.real import figures
from benchmarks.teaching.real.examples import ROUNDS, Models, configuration, few_attempts, paragraphs
from benchmarks.teaching.summary import DOCS

PLAN = (DOCS / "teaching-plan-real.md").read_text("utf-8")


def test_half_of_every_documents_paragraphs_is_held_out_and_any_beginning_has_all_documents() -> None:
    every = paragraphs()
    assert len(every) == len({one.name for one in every}) == figures.PLANNED
    assert not any(one.text.startswith("#") for one in every)
    of = Counter((one.name.rpartition("-")[0], one.held_out) for one in every)
    assert len(of) == 10
    assert set(of.values()) == {4}
    assert [one.number for one in every[:11]] == [1] * 5 + [2] * 5 + [3]
    assert f"{figures.PLANNED} in all" in PLAN


def test_one_attempt_is_all_in_which_the_baselines_domain_differs(tmp_path: Path) -> None:
    few = few_attempts(tmp_path / "few")
    changed = {"weak_attempts": 1, "strong_attempts": 1, "curtail": False, "acceptance": {"weak_mean": [">= 0"]}}
    assert load_domain(few).model_dump() == FACTS.model_dump() | changed | {"name": "few"}
    shipped = Path(prompts.__file__).parent / "facts"
    assert {path.name: path.read_text("utf-8") for path in few.glob("*.md")} == {
        path.name: path.read_text("utf-8") for path in shipped.glob("*.md")
    }
    assert configuration("one-shot", few).kind == "baseline"
    loop = configuration("agentic", few)
    assert (loop.kind, loop.domain, loop.max_rounds) == ("run", "facts", ROUNDS)
    assert f"at most {ROUNDS} rounds" in PLAN


def test_only_the_weak_solver_is_the_model_that_is_trained() -> None:
    for models in (Models(), Models(strong="simulated:judge")):
        settings = models.settings()
        assert settings.pop("weak_solver") == {"provider": "local", "model": "smollm2-135m"}
        assert "smollm2-135m" not in str(settings)


def tables(base: str, scored: Mapping[str, list[str]], paragraphs: int = 40) -> dict[str, Any]:
    """Return tables in which an arm's answers to every set are right as the digits say, seed by seed."""

    def answers(digits: str) -> dict[str, dict[str, str]]:
        cut = "".join("10"[int(digit)] for digit in digits)
        of = ["own, closed book", *(f"{name}, {way}" for name in figures.SETS for way in figures.WAYS)]
        return {name: {"scored": digits, "holds": "1" * len(digits), "cut": cut} for name in of}

    made = {"paragraphs": paragraphs, "accepted": 4, "calls": {"weak_solver": 3, "verifier": 4}}
    arms = {
        name: {str(n): {"examples": 4, "answers": answers(one)} for n, one in enumerate(seeds, 1)}
        for name, seeds in scored.items()
    }
    return {
        "machine": "a machine",
        "scale": {"paragraphs": paragraphs, "steps": 2, "batch": 2, "seeds": [1, 2]},
        "made": {arm: {**made, "rounds": 1, "weak": 0.0, "strong": 1.0} for arm in ("one-shot", "agentic")},
        "base": answers(base),
        "arms": arms,
    }


def test_a_question_counts_once_with_its_mean_over_the_seeds() -> None:
    found = tables("0000", {"one-shot": ["0000"] * 2, "agentic": ["1100", "1000"], "both": ["1100", "1000"]})
    assert figures.by_question(found, "agentic", "one-shot, closed book", "scored") == [1, 0.5, 0, 0]
    assert figures.by_question(found, "base", "one-shot, closed book", "cut") == [1, 1, 1, 1]
    assert figures.difference(found, "agentic", "base", "accepted", figures.WAYS, "cut") == [-1, -0.5, 0, 0]
    assert figures.difference(found, "agentic", "both", "accepted", ["closed book"], "scored") == [0] * 4


@pytest.mark.parametrize(
    ("agentic", "verdict"),
    [("11110111", "holds"), ("00001100", "points the right way, not shown"), ("00000000", "does not hold")],
)
def test_a_sign_holds_only_with_its_whole_interval_over_the_questions(agentic: str, verdict: str) -> None:
    found = tables("0" * 8, {"one-shot": ["0" * 8] * 2, "agentic": [agentic] * 2, "both": [agentic] * 2})
    verdicts = {said: verdict for said, _, verdict in figures.signs(found)}
    assert len(verdicts) == 9
    for name in figures.SETS:
        for way in figures.WAYS:
            assert verdicts[f"(1) agentic teaches more than one-shot, set {name}, {way}"] == verdict
            assert verdicts[f"(2) agentic alone teaches more than both, set {name}, {way}"] == "does not hold"


def test_the_part_says_what_was_right_and_that_less_was_done_than_planned() -> None:
    arms = {"one-shot": ["0000"] * 2, "agentic": ["1100", "1000"], "both": ["0000"] * 2}
    whole, small = figures.part(tables("0000", arms)), figures.part(tables("0000", arms, paragraphs=20))
    assert "| agentic | 38 (100) | 38 (100) | 38 (100) | 38 (100) | 38 (100) | 62 % |" in whole
    assert "All 40 paragraphs of the plan" in whole
    assert "20 of 40 paragraphs were asked about" in small
    assert "$" not in whole + small
    assert "Not run yet" in figures.part(None)
