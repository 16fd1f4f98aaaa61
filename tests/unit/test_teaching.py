"""The world of docs/teaching.md, the arithmetic of its signs, and that the page says what its JSON holds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from autodata.domains.loader import load_domain
from autodata.domains.tasks import maths
from autodata.domains.tasks.verifiable import VerifiableTask
from autodata.prompts import fence
from benchmarks.teaching import page, signs
from benchmarks.teaching.challenger import HABIT, Program, knobs, sheets
from benchmarks.teaching.problems import LEVELS, MOST, NEW, TRAINED, problem
from benchmarks.teaching.summary import DOCS

STALE = "type: python -m benchmarks.teaching.page"
PAGE = DOCS / "teaching.md"


# Problems


@pytest.mark.parametrize("family", TRAINED + NEW)
def test_a_problem_is_what_our_own_comparison_finds_it_to_be(family: str) -> None:
    task = VerifiableTask()
    for level in LEVELS:
        made = problem(family, level, random.Random(f"{family} {level}"))
        assert len(made.steps) == level
        candidate = task.candidate({"question": made.question, "answer": made.answer})
        assert not task.problems(candidate)
        for step, result in made.steps:
            assert maths.compare(step, result) == "equal"
            assert 1 <= int(result.removesuffix("a")) <= MOST
        left, _, right = made.question.removesuffix(",x=?").partition("=")
        if family == "equations":
            left = left.replace("x", f"({made.answer})")
        assert maths.compare(left, made.answer if right == "?" else right) == "equal", made.question
        for long in (False, True):
            scored = task.scored_by_code(candidate, made.working(long=long))
            assert scored
            assert scored.score == 1


def test_the_domain_of_the_arms_can_be_used() -> None:
    domain = load_domain(Path(page.__file__).parent / "sheets")
    assert (domain.kind, domain.weak_attempts, domain.strong_attempts) == ("verifiable", 4, 4)


# Challenger


def prompt_after(*failures: str) -> str:
    return fence("document", sheets(3, 1)[0]["text"]) + "\n\n" + "\n".join(failures)


def test_the_challenger_does_what_the_feedback_asks_for() -> None:
    family, level = knobs(prompt_after())
    assert level in HABIT
    easy = "## TOO EASY (the weak solver did too well): {}"
    strong = "## FAILED ON STRONG (the strong solver did not do well enough, or not enough better): {}"
    silent = "## NO SIGNAL FROM THE WEAK SOLVER (an attempt scored nothing): {}"
    assert knobs(prompt_after(easy.format(2))) == (family, level + 2)
    assert knobs(prompt_after(silent.format(1))) == (family, level - 1)
    other, lower = knobs(prompt_after(strong.format(1)))
    assert (other != family, lower) == (True, level - 1)
    assert knobs(prompt_after(easy.format(50)))[1] == LEVELS[-1]
    assert knobs(prompt_after(silent.format(50)))[1] == LEVELS[0]
    with pytest.raises(ValueError, match="no sheet"):
        knobs("Write a problem.")


def test_sheets_are_those_of_their_seed_and_the_challenger_asks_what_they_name() -> None:
    assert sheets(1, 4)[:2] == sheets(1, 2)
    assert sheets(1, 2) != sheets(2, 2)
    said = Program().reply(prompt_after())
    assert Program().reply(prompt_after()) == said
    assert '"correct": false' in Program().reply("Say whether the answer equals the reference.")


# Signs


def tables(**means: list[float]) -> dict[str, Any]:
    """Return tables in which each arm has these means on every set, by seed."""
    seeds = range(1, len(means["base"]) + 1)
    arms = {
        name.replace("_", " "): {
            str(seed): {
                "mean": dict.fromkeys(("one-shot", "accepted", "new families"), value),
                "cut": dict.fromkeys(("one-shot", "accepted", "new families"), 1 - value),
                "turned": {"one-shot": [10, 6], "accepted": [10, 4]},
            }
            for seed, value in zip(seeds, values, strict=True)
        }
        for name, values in means.items()
    }
    return {"seeds": [*seeds], "arms": arms}


def test_an_interval_is_students_t_over_the_seeds() -> None:
    found = signs.estimate([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.half == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert signs.estimate([0.5]).half is None


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.1, 0.11, 0.12], "holds"),
        ([0.3, -0.2, 0.1], "points the right way, not shown"),
        ([0.2], "points the right way, not shown"),
        ([-0.1, -0.11, -0.12], "does not hold"),
        ([0.0, 0.0], "does not hold"),
    ],
)
def test_a_sign_holds_only_with_its_whole_interval(values: list[float], verdict: str) -> None:
    assert signs.estimate(values).verdict(1) == verdict


def test_the_signs_are_the_four_of_the_paper() -> None:
    found = tables(
        base=[0.2, 0.2, 0.2],
        grpo_agentic=[0.5, 0.51, 0.52],
        grpo_both=[0.5, 0.52, 0.5],
        **{"grpo_one-shot": [0.3, 0.31, 0.33], "grpo_gate_too_easy": [0.25, 0.3, 0.2]},
        grpo_gate_too_hard=[0.6, 0.62, 0.66],
    )
    verdicts = {said: verdict for said, _, verdict in signs.signs(found)}
    assert verdicts["(1) agentic teaches more than one-shot, set accepted"] == "holds"
    assert verdicts["(2) agentic alone teaches more than both, set accepted"] == "points the right way, not shown"
    assert verdicts["(3) the trained model is cut off less often"] == "holds"
    assert verdicts["(3) about half of the gain is repaired truncation"] == "holds"
    assert verdicts["(4) a gate too easy teaches less than the paper's"] == "holds"
    assert verdicts["(4) a gate too hard teaches less than the paper's"] == "does not hold"
    assert signs.repaired(found, "grpo agentic", ["accepted"]) == pytest.approx(0.4)


# The page


def test_the_page_and_its_plots_say_what_the_json_holds() -> None:
    found = page.read()
    assert PAGE.read_text("utf-8") == page.rendered(found), STALE
    for name in ("teaching-curves.svg", "teaching-dial.svg") if found["seeds"] else ():
        assert page.digest(found) in (DOCS / name).read_text("utf-8"), STALE
