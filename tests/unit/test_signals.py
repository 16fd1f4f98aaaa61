"""Signals of a ledger made by hand: every number can be checked with the eye."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.numbers import particular_numbers
from autodata.cli.signals import signal_rows
from autodata.corpus.signals import BANDS, REFUSALS, signals
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.domains.tasks.schemas import RubricReview, SupportReview


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with Ledger.open(tmp_path / "run.db") as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It took 1,250 litres, 35 % of all.", {"1250", "35"}),
        ("From 1250.0 to 0.35, then .5 and 0.05", {"1250", "0.35"}),
        ("300 of 7 at 20, 0 and 000", set()),
        ("In 1900, pump K25 ran 12h at 3.10 bar.", {"1900", "12", "3.1"}),
        ("at 2.50", {"2.5"}),
        ("version 1.25.37", {"1.25"}),
        ("1,25 and 12,3456 and 1,2345", {"12"}),
        ("no number", set()),
    ],
)
def test_numbers_that_are_particular_to_a_text(text: str, numbers: set[str]) -> None:
    assert particular_numbers(text) == {Decimal(number) for number in numbers}


def a_round(n: int, number: int, outcome: str, failure_mode: str | None = None) -> dict[str, Any]:
    row = {"round_id": f"r{number}", "document_id": "d1", "thread_id": "main/d1", "n": n, "candidate_id": "c1"}
    return row | {"outcome": outcome, "failure_mode": failure_mode}


def an_attempt(
    number: int, of_round: str, stage: str, chars: int, score: str | None, cut: bool = False
) -> dict[str, Any]:
    row = {"attempt_id": f"a{number}", "round_id": of_round, "candidate_id": "c1", "stage": stage, "idx": number}
    return row | {"answer": "x", "chars": chars, "score": score, "truncated": cut}


def all_reasons() -> list[str]:
    """Every reason that code gives for a refusal, from the code itself."""
    rubric, reference = TASK_TYPES["rubric"], TASK_TYPES["reference"]
    draft = {"question_type": "t", "skills": ["s"], "reference_answer": "r", "context": "In this paper."}
    one = rubric.candidate({**draft, "question": "Q?", "rubric": [{"criterion": "c", "weight": 1}]})
    with_error = [{"criterion": "c", "weight": 1}, {"criterion": "d", "weight": -1}]
    two = rubric.candidate({**draft, "question": "Q?", "rubric": with_error})
    flags = ("every_positive_needs_reasoning", "every_negative_names_an_error", "no_item_tests_format", "type_matches")
    bad = {
        "leak_reason": "x",
        "leaks": True,
        "question_quality": "RECALL",
        "single_question": False,
        "feedback": "other",
    }
    review = RubricReview.model_validate(bad | dict.fromkeys(flags, False))
    pointing = reference.candidate({"question": "What does the text say of Delft?", "reference_answer": "Delft"})
    dangling = reference.candidate({"question": "When was it built?", "reference_answer": "1900"})
    unsupported = reference.findings(SupportReview(reason="x", supported=False), dangling, {})
    return [
        *rubric.findings(review, two, {"items_min": 5})[:-1],
        *rubric.final_problems(one),
        *reference.problems(pointing),
        *reference.problems(dangling),
        *unsupported,
        *reference.missing(dangling, ["It was built by 1901."]).problems,  # type: ignore[attr-defined]
    ]


async def test_refusals_are_counted_by_kind(ledger: Ledger) -> None:
    reasons = all_reasons()
    rounds = [a_round(1, k, "rejected", "failed_quality_check") | {"reason": text} for k, text in enumerate(reasons)]
    rounds += [
        a_round(2, 90, "rejected", "final_check") | {"reason": "leakage: a; b; the context has 3 characters"},
        a_round(2, 91, "rejected", "final_check") | {"reason": "the model disliked it"},
        a_round(2, 92, "rejected", "too_easy") | {"reason": "leakage: none of ours"},
    ]
    await ledger.save(
        documents=[{"document_id": "d1", "name": "a"}],
        candidates=[{"candidate_id": "c1", "question": "q", "reference_answer": "", "candidate": {}}],
        rounds=rounds,
    )
    found = (await signals(ledger))["refusals"]
    assert found["final_check"] == {"leakage": 1, "other": 1, "short_context": 1}
    assert set(found["failed_quality_check"]) == set(REFUSALS) - {"screened_out"}, "every reason of code has its kind"
    assert sum(found["failed_quality_check"].values()) == len(reasons)


async def test_rounds_that_failed_on_strong_by_number(ledger: Ledger) -> None:
    await ledger.save(
        documents=[{"document_id": "d1", "name": "a"}],
        candidates=[{"candidate_id": "c1", "question": "q", "reference_answer": "", "candidate": {}}],
        rounds=[
            a_round(1, 1, "rejected", "failed_on_strong"),
            a_round(1, 2, "rejected", "too_easy"),
            a_round(1, 3, "accepted"),
            a_round(1, 4, "open", "failed_on_strong"),
            a_round(2, 5, "rejected", "failed_on_strong"),
        ],
    )
    found = await signals(ledger)
    assert found["failed_on_strong"] == [
        {"n": 1, "closed": 3, "failed": 1, "share": pytest.approx(1 / 3)},
        {"n": 2, "closed": 1, "failed": 1, "share": 1.0},
    ]
    rows = signal_rows(found)
    assert rows["failed on strong, round 1"] == "33% (1 of 3)"
    assert rows["failed on strong, round 2"] == "100% (1 of 1)"
    assert rows["failed on strong, round 3"] == ""


async def test_attempts_by_length_and_cut_off(ledger: Ledger) -> None:
    await ledger.save(
        documents=[{"document_id": "d1", "name": "a"}],
        rounds=[a_round(1, 1, "rejected") | {"candidate_id": None}, a_round(4, 2, "open") | {"candidate_id": None}],
        attempts=[
            an_attempt(1, "r1", "weak", 0, "0", cut=True),
            an_attempt(2, "r1", "weak", 49, "1/2"),
            an_attempt(3, "r1", "weak", 50, "1/4"),
            an_attempt(4, "r2", "weak", 60, "3/4", cut=True),
            an_attempt(5, "r2", "weak", 199, None),
            an_attempt(6, "r2", "strong", 4000, "1"),
        ],
    )
    found = await signals(ledger)
    assert found["attempts_by_length"] == {
        "weak_solver": [
            {"from_chars": 0, "below_chars": 50, "attempts": 2, "score": 0.25},
            {"from_chars": 50, "below_chars": 200, "attempts": 3, "score": 0.5},
        ],
        "strong_solver": [{"from_chars": 4000, "below_chars": None, "attempts": 1, "score": 1.0}],
    }
    assert found["truncation"] == {
        "by_role": {
            "weak_solver": {"attempts": 5, "cut": 2, "share": 0.4, "score_cut": 0.375, "score_whole": 0.375},
            "strong_solver": {"attempts": 1, "cut": 0, "share": 0.0, "score_cut": None, "score_whole": 1.0},
        },
        "by_round": {
            "weak_solver": [
                {"n": 1, "attempts": 3, "cut": 1, "share": pytest.approx(1 / 3)},
                {"n": 4, "attempts": 2, "cut": 1, "share": 0.5},
            ],
            "strong_solver": [{"n": 4, "attempts": 1, "cut": 0, "share": 0.0}],
        },
    }
    shown = {label: text for label, text in signal_rows(found).items() if text}
    assert shown == {
        "failed on strong, round 1": "0% (0 of 1)",
        "weak attempts cut off": "40% (2 of 5)",
        "weak score, cut off / whole": "0.38 / 0.38",
        "weak attempts cut off, round 1": "33% (1 of 3)",
        "weak attempts cut off, rounds 4-6": "50% (1 of 2)",
        "strong attempts cut off": "0% (0 of 1)",
        "weak answers of 0-49 characters": "40% (2 of 5), score 0.25",
        "weak answers of 50-199 characters": "60% (3 of 5), score 0.50",
        "strong answers of 4000+ characters": "100% (1 of 1), score 1.00",
    }


async def test_questions_tied_to_the_numbers_of_their_document(ledger: Ledger) -> None:
    texts = ["It pumped 1,250 litres.", "It pumped 12500 litres.", "It pumped 300 litres.", "Nothing."]
    questions = ["Why 1250 litres?", "Why 1250 litres?", "Why 300 litres?", "Why?"]
    await ledger.save(
        documents=[{"document_id": f"d{k}", "name": f"{k}", "text": text} for k, text in enumerate(texts)],
        candidates=[
            {"candidate_id": f"c{k}", "question": question, "reference_answer": "", "candidate": {}}
            for k, question in enumerate(questions)
        ],
        rounds=[
            {"round_id": f"r{k}", "document_id": f"d{k}", "thread_id": "t", "n": 1, "candidate_id": f"c{k}"}
            for k in range(4)
        ],
        examples=[
            {"example_id": f"e{k}", "document_id": f"d{k}", "round_id": f"r{k}", "example": {}, "rounds": 1}
            for k in range(4)
        ],
    )
    found = await signals(ledger)
    assert found["tied_to_numbers"] == {"questions": 4, "tied": 1, "share": 0.25}
    assert signal_rows(found)["questions with numbers of their document"] == "25% (1 of 4)"


async def test_what_was_found_when_an_example_was_written_is_not_looked_for_again(ledger: Ledger) -> None:
    await ledger.save(
        documents=[{"document_id": "d", "name": "d", "text": "It pumped 1,250 litres."}],
        candidates=[{"candidate_id": "c", "question": "Why 77?", "reference_answer": "", "candidate": {}}],
        rounds=[{"round_id": "r", "document_id": "d", "thread_id": "t", "n": 1, "candidate_id": "c"}],
        examples=[
            {"example_id": "e", "document_id": "d", "round_id": "r", "example": {}, "rounds": 1, "tied": True},
        ],
    )
    assert (await signals(ledger))["tied_to_numbers"] == {"questions": 1, "tied": 1, "share": 1.0}


async def test_an_empty_ledger_has_every_signal_and_no_share(ledger: Ledger) -> None:
    found = await signals(ledger)
    nothing = {"attempts": 0, "cut": 0, "share": None, "score_cut": None, "score_whole": None}
    assert found == {
        "refusals": {"failed_quality_check": {}, "final_check": {}},
        "failed_on_strong": [],
        "tied_to_numbers": {"questions": 0, "tied": 0, "share": None},
        "attempts_by_length": {"weak_solver": [], "strong_solver": []},
        "truncation": {
            "by_role": {"weak_solver": nothing, "strong_solver": nothing},
            "by_round": {"weak_solver": [], "strong_solver": []},
        },
    }
    assert not any(signal_rows(found).values())
    assert len(signal_rows(found)) == 6 + 1 + 2 * (2 + 6) + 2 * (len(BANDS) + 1)
