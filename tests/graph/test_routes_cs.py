"""Every route of the inner loop in domain `cs`, through the real graph with scripted models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autodata.checkpoints.errors import UnusableReply
from tests.graph.support import DOCUMENT_TEXT, Bench, Call, Cut, Script, candidate, review, scored
from tests.support.stages import first_quick

SOLVED = {"challenger": 1, "quality_verifier": 2, "weak_solver": 3, "strong_solver": 3, "verifier": 6}
"""Calls of a document accepted in its first round, the final check included."""


async def test_a_first_round_can_be_accepted() -> None:
    bench = Bench()
    state = await bench.run()
    assert (state["status"], state["status_reason"], state["n"]) == ("accepted", "", 1)
    assert bench.counts() == SOLVED
    example = state["example"]
    assert example["candidate"]["question"] == candidate(1)["question"]
    assert example["weak_scores"] == ["3/10"] * 3
    assert example["strong_scores"] == ["4/5"] * 3
    assert (example["weak_mean"], example["strong_mean"], example["gap"]) == ("3/10", "4/5", "1/2")
    assert [check["bound"] for check in example["checks"]] == ["< 0.50", ">= 0.65", ">= 0.20"]
    [row] = bench.rows("examples")
    assert json.loads(row["example"]) == example
    [document] = bench.rows("documents")
    assert (document["status"], document["rounds"], document["text"]) == ("accepted", 1, DOCUMENT_TEXT)
    assert [row["outcome"] for row in bench.rows("rounds")] == ["accepted"]
    assert [row["decision"] for row in bench.rows("verdicts")] == ["strong", "accept"]


@pytest.mark.parametrize(
    ("findings", "reason"),
    first_quick(
        ({"leaks": True, "leak_reason": "the context says it"}, "leakage: the context says it; ask deeper"),
        ({"question_quality": "TOO_EASY"}, "question quality TOO_EASY; ask deeper"),
        ({"question_quality": "RECALL"}, "question quality RECALL; ask deeper"),
        ({"single_question": False}, "more than one question is asked; ask deeper"),
        (
            {"every_positive_needs_reasoning": False},
            "a positive criterion needs no reasoning beyond the context; ask deeper",
        ),
        ({"every_negative_names_an_error": False}, "a negative criterion names no specific error; ask deeper"),
        ({"no_item_tests_format": False}, "a criterion tests format; ask deeper"),
        ({"type_matches": False}, "the question does not match its stated type; ask deeper"),
        (
            {"single_question": False, "type_matches": False},
            "more than one question is asked; the question does not match its stated type; ask deeper",
        ),
        quick=2,
    ),
)
async def test_a_failed_quality_check_pays_no_solver(findings: dict[str, Any], reason: str) -> None:
    bench = Bench({"quality_verifier": [review(**findings), review(), review()]})
    state = await bench.run()
    assert (state["status"], state["n"]) == ("accepted", 2)
    assert bench.counts() == SOLVED | {"challenger": 2, "quality_verifier": 3}
    assert bench.modes() == ["failed_quality_check", None]
    assert state["rounds"][0]["reason"] == reason
    second = bench.of("challenger")[1].prompt
    assert "## FAILED QUALITY CHECK: 1" in second
    assert reason in second
    assert candidate(1)["question"] in second


def too_few_errors(call: Call) -> dict[str, Any]:
    draft = candidate(call.number)
    return draft | {"rubric": draft["rubric"][:-1]} if call.number == 1 else draft


async def test_a_rubric_outside_the_quality_verifiers_limits_fails_although_the_model_is_content() -> None:
    bench = Bench({"challenger": too_few_errors})
    state = await bench.run()
    assert bench.modes() == ["failed_quality_check", None]
    assert "the rubric has 2 negative items, at least 3 allowed" in state["rounds"][0]["reason"]


TRIES = Bench().retries.unusable_tries


@pytest.mark.parametrize(
    ("fault", "why"),
    first_quick(
        ({"rubric": [{"criterion": "One", "weight": -3}]}, "no weight is positive"),
        ({"rubric": [{"criterion": "One", "weight": 0}, {"criterion": "Two", "weight": 1}]}, "a weight of 0"),
        ({"rubric": [{"criterion": "One", "weight": 11}]}, "less than or equal to 10"),
        ({"rubric": [{"criterion": "One", "weight": 1}, {"criterion": "one ", "weight": 2}]}, "say the same"),
        ({"question": ""}, "at least 1 character"),
        quick=2,
    ),
)
async def test_a_malformed_candidate_after_all_repairs_is_a_rejected_round(fault: dict[str, Any], why: str) -> None:
    wrong = [candidate(1) | fault for _ in range(TRIES)]
    bench = Bench({"challenger": [*wrong, candidate(2)]})
    state = await bench.run()
    assert (state["status"], bench.modes()) == ("accepted", ["malformed_candidate", None])
    assert bench.counts() == SOLVED | {"challenger": TRIES + 1}
    assert why in state["rounds"][0]["reason"]
    assert "## MALFORMED: 1" in bench.of("challenger")[-1].prompt
    first = bench.rows("rounds")[0]
    assert (first["candidate_id"], first["round_id"]) == (None, f"main/{bench.document_id}/1/malformed")


async def test_a_candidate_repaired_in_time_is_no_rejection() -> None:
    bench = Bench({"challenger": [candidate(1) | {"rubric": []}, candidate(2)]})
    await bench.run()
    assert bench.modes() == [None]
    repair = bench.of("challenger")[1]
    assert [role for role, _ in repair.messages] == ["system", "human", "ai", "human"]
    assert "rubric" in repair.messages[-1][1]


@pytest.mark.parametrize("reply", ["I would rather not.", '{"question": "What', ""])
async def test_an_unreadable_candidate_is_an_error_and_no_round(reply: str) -> None:
    bench = Bench({"challenger": [reply] * TRIES})
    with pytest.raises(UnusableReply):
        await bench.run()
    assert bench.rows("rounds") == []
    assert (await bench.state())["n"] == 0
    assert bench.counts() == {"challenger": TRIES}


@pytest.mark.parametrize("again", first_quick("{}", "  {}  ", "{}?!"))
async def test_a_question_tried_before_counts_as_a_round_and_pays_nobody(again: str) -> None:
    first = candidate(1)["question"]
    drafts = [candidate(1), candidate(2, question=again.format(first.upper())), candidate(3)]
    bench = Bench({"challenger": drafts, "quality_verifier": [review(leaks=True), review(), review()]})
    state = await bench.run()
    assert bench.modes() == ["failed_quality_check", "duplicate_question", None]
    assert state["n"] == 3
    assert bench.counts() == SOLVED | {"challenger": 3, "quality_verifier": 3}
    assert "## ALREADY TRIED: 1" in bench.of("challenger")[2].prompt


GATES: list[tuple[str | dict[str, Any], list[str], list[str] | None, str, str]] = [
    ("paper", ["5/10"] * 3, None, "too_easy", "weak mean 0.50, needed < 0.50"),
    ("paper", ["3/10"] * 3, ["6/10"] * 3, "failed_on_strong", "strong mean 0.60, needed >= 0.65"),
    ({"preset": "paper", "gap": ">= 0.40"}, ["4/10"] * 3, ["7/10"] * 3, "gap_too_small", "gap 0.30, needed >= 0.40"),
    ("deployed", ["8/10", "1/10", "1/10"], None, "too_easy", "weak best 0.80, needed <= 0.75"),
    ("deployed", ["0/10", "3/10", "3/10"], None, "degenerate_weak", "weak worst 0.00, needed > 0.00"),
    ("deployed", ["3/10"] * 3, ["10/10"] * 3, "saturated_strong", "strong mean 1.00, needed < 0.95"),
    ("deployed", ["1/10"] * 3, ["0/10", "9/10", "9/10"], "failed_on_strong", "strong worst 0.00, needed > 0.00"),
    ("deployed", ["6/10"] * 3, ["7/10"] * 3, "gap_too_small", "gap 0.10, needed >= 0.20"),
    ("meta", ["0/10", "3/10", "3/10"], ["10/10"] * 3, "saturated_strong", "strong mean 1.00, needed <= 0.95"),
    ("majority", ["6/10", "6/10", "0/10"], None, "too_easy", "weak right 2 of 3, needed <= 1"),
    ("majority", ["6/10", "0/10", "0/10"], ["10/10", "5/10", "5/10"], "failed_on_strong", "strong right 1 of 3"),
]
TITLES = {
    "too_easy": "TOO EASY",
    "degenerate_weak": "NO SIGNAL FROM THE WEAK SOLVER",
    "failed_on_strong": "FAILED ON STRONG",
    "gap_too_small": "FAILED ON STRONG",
    "saturated_strong": "SATURATED",
}


@pytest.mark.parametrize(("acceptance", "weak", "strong", "mode", "reason"), first_quick(*GATES, quick=3))
async def test_each_gate_sends_the_document_back(
    acceptance: str | dict[str, Any], weak: list[str], strong: list[str] | None, mode: str, reason: str
) -> None:
    scripts: dict[str, Script] = {
        "weak_solver": [*scored(*weak), *scored(*["3/10"] * 3)],
        "strong_solver": [*scored(*(strong or [])), *scored(*["8/10"] * 3)],
    }
    bench = Bench(scripts, acceptance=acceptance)
    state = await bench.run()
    assert (state["status"], bench.modes()) == ("accepted", [mode, None])
    assert reason in state["rounds"][0]["reason"]
    assert len(bench.of("strong_solver")) == (6 if strong else 3)
    assert f"## {TITLES[mode]}" in bench.of("challenger")[1].prompt
    first = [row for row in bench.rows("verdicts") if row["round_id"] == state["rounds"][0]["round_id"]]
    assert [row["decision"] for row in first] == (["strong", "reject"] if strong else ["reject"])
    assert first[-1]["failure_mode"] == mode


@pytest.mark.parametrize("max_rounds", [1, 3])
async def test_a_document_ends_rejected_after_its_last_round(max_rounds: int) -> None:
    bench = Bench({"weak_solver": lambda call: scored("9/10")[0]}, max_rounds=max_rounds)
    state = await bench.run()
    assert (state["status"], state["status_reason"], state["n"]) == ("rejected", "max_rounds", max_rounds)
    assert state.get("example") is None
    assert bench.modes() == ["too_easy"] * max_rounds
    [document] = bench.rows("documents")
    assert (document["status"], document["status_reason"], document["rounds"]) == ("rejected", "max_rounds", max_rounds)
    assert bench.rows("examples") == []
    assert bench.counts() == {name: max_rounds * k for name, k in SOLVED.items() if name != "strong_solver"} | {
        "quality_verifier": max_rounds,
        "verifier": 3 * max_rounds,
    }
    assert [event["last"] for event in bench.events if event["event"] == "feedback"] == [
        *[False] * (max_rounds - 1),
        True,
    ]


@pytest.mark.parametrize(
    ("broken", "reason"),
    first_quick(
        (candidate(1, context="Too short."), "the context has 10 characters"),
        (candidate(1, question="What does Table 3 imply?"), "refers to its source: 'Table 3'"),
        (
            candidate(1, context=f"In this paper, {'a relay loses power at times. ' * 4}"),
            "refers to its source: 'this paper'",
        ),
        (candidate(1) | {"rubric": candidate(1)["rubric"][:9]}, "the rubric has 9 items, at least 10 allowed"),
    ),
)
async def test_what_code_checks_at_the_end_is_checked_before_anybody_is_paid(
    broken: dict[str, Any], reason: str
) -> None:
    bench = Bench({"challenger": [broken, candidate(2)]})
    state = await bench.run()
    assert (state["status"], state["n"]) == ("accepted", 2)
    assert bench.modes() == ["failed_quality_check", None]
    assert reason in state["rounds"][0]["reason"]
    assert bench.counts() == SOLVED | {"challenger": 2, "quality_verifier": 2}
    assert reason in bench.of("challenger")[1].prompt


async def test_a_failed_last_review_ends_the_document_without_feedback() -> None:
    bench = Bench({"quality_verifier": [review(), review(leaks=True)]})
    state = await bench.run()
    assert (state["status"], state["status_reason"], state["n"]) == ("rejected", "final_check", 1)
    assert bench.modes() == ["final_check"]
    assert "leakage: read both" in state["rounds"][0]["reason"]
    assert (state["feedback"], state.get("example"), bench.rows("examples")) == ("", None, [])
    assert bench.counts() == SOLVED | {"quality_verifier": 2}
    assert bench.rows("rounds")[0]["feedback"] == ""
    assert bench.rows("documents")[0]["status"] == "rejected"
    assert bench.events[-1]["event"] == "rejected"


async def test_quotes_that_the_document_lacks_are_noted_beside_the_quality_check() -> None:
    context = f'It is "the pump of station 1", and "no pump ever stops". {candidate(1)["context"]}'
    bench = Bench({"challenger": [candidate(1, context=context)]})
    state = await bench.run()
    assert state["status"] == "accepted"
    quality = json.loads(bench.rows("rounds")[0]["quality"])
    assert quality["quotes_not_in_source"] == [{"where": "context", "quote": "no pump ever stops"}]


async def test_an_answer_cut_off_before_anything_was_said_scores_nothing_and_is_not_judged() -> None:
    weak: Script = [Cut(), Cut("<think>a long thought that never ends"), scored("3/10")[0]]
    bench = Bench({"weak_solver": weak})
    state = await bench.run()
    assert state["example"]["weak_scores"] == ["0", "0", "3/10"]
    assert bench.counts() == SOLVED | {"verifier": 4}
    rows = [row for row in bench.rows("attempts") if row["stage"] == "weak"]
    assert [(row["decided_by"], row["answered"], row["truncated"]) for row in rows] == [
        ("truncated", 0, 1),
        ("truncated", 0, 1),
        ("judge", 1, 0),
    ]
    assert {row["attempt_id"] for row in bench.rows("marks")}.isdisjoint(row["attempt_id"] for row in rows[:2])


async def test_an_answer_cut_off_in_its_middle_is_judged() -> None:
    bench = Bench({"weak_solver": [Cut("It is worth 2/10 and"), *scored("3/10", "3/10")]})
    state = await bench.run()
    assert state["example"]["weak_scores"] == ["1/5", "3/10", "3/10"]
    first = bench.rows("attempts")[0]
    assert (first["decided_by"], first["truncated"], first["answered"]) == ("judge", 1, 1)


@pytest.mark.slow
async def test_marks_are_stored_criterion_by_criterion() -> None:
    bench = Bench()
    await bench.run()
    of_first = [row for row in bench.rows("marks") if row["attempt_id"].endswith("/weak/0")]
    assert [row["met"] for row in of_first] == [1, 1, 1, *[0] * 10]
    assert [row["weight"] for row in of_first] == [*[1] * 10, *[-1] * 3]
    assert (of_first[0]["text"], of_first[0]["reason"]) == ("Criterion 1 of rubric 1", "seen 1")
