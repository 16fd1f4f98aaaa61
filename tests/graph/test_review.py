"""Human review in the real graph: every route behind the question, and what it leaves in state, ledger and prompts."""

from __future__ import annotations

from typing import Any

import pytest

from autodata.domains.acceptance.borderline import ReviewMode
from autodata.domains.domain import DOMAINS
from autodata.graphs import self_instruct
from autodata.graphs.self_instruct import build_self_instruct
from tests.graph.legal import improve, judgement, legal
from tests.graph.support import Bench, Script, candidate, review, scored
from tests.support.stages import first_quick

TOO_EASY: dict[str, Script] = {"weak_solver": lambda call: scored("9/10")[0]}
NEAR_MISS: dict[str, Script] = {"weak_solver": scored("5/10", "5/10", "5/10", *["1/10"] * 3)}


class Killed(Exception):
    """Stands for the end of the process."""


def labels(bench: Bench) -> list[tuple[Any, ...]]:
    names = ("n", "verdict", "decision", "reason", "reviewer")
    return [tuple(row[name] for name in names) for row in bench.rows("labels")]


def outcomes(bench: Bench) -> list[tuple[Any, ...]]:
    return [(row["n"], row["outcome"], row["failure_mode"]) for row in bench.rows("rounds")]


async def test_what_would_be_accepted_waits_and_is_accepted_when_approved() -> None:
    bench = Bench(review="accepted")
    state = await bench.run()
    assert (state["status"], state.get("example")) == ("", None)
    assert bench.rows("examples") == []
    assert labels(bench) == [(1, "accept", None, "", "")]
    question = await bench.question()
    assert question
    assert (question["verdict"], question["candidate"], question["rejection"]) == (
        "accept",
        candidate(1) | {"rubric": [{**item, "category": ""} for item in candidate(1)["rubric"]]},
        None,
    )
    assert [row["score"] for row in question["attempts"]] == [*["3/10"] * 3, *["4/5"] * 3]
    paid = len(bench.calls)
    state = await bench.answer(decision="approve", reviewer="Ada", at="2026-01-01T00:00:00+00:00")
    assert state["status"] == "accepted"
    assert len(bench.calls) == paid + 1, "the final check alone"
    assert labels(bench) == [(1, "accept", "approve", "", "Ada")]
    assert bench.rows("labels")[0]["created_at"] == "2026-01-01T00:00:00+00:00"
    assert [event["event"] for event in bench.events][-3:] == ["review", "reviewed", "accepted"]


async def test_the_next_challenger_sees_a_rejection_word_for_word() -> None:
    bench = Bench(review="accepted")
    await bench.run()
    words = "It asks for  a number.\n" + "Really. " * 60
    state = await bench.answer(decision="reject", reason=words)
    assert outcomes(bench) == [(1, "rejected", "rejected_by_reviewer"), (2, "open", None)]
    second_call = bench.of("challenger")[1]
    assert second_call.fenced("reviewer") == words.strip()
    assert (
        "## WHAT A REVIEWER SAID: 1\n- round 1: weak average 0.30, strong average 0.80, gap 0.50" in second_call.prompt
    )
    assert (await bench.question() or {})["round"] == 2
    await bench.answer(decision="reject", reason="Nor this.")
    last = bench.of("challenger")[2].prompt
    assert last.index("Nor this.") < last.index("It asks for")
    assert words.strip() not in last, "an older one is cut"
    state = await bench.answer(decision="approve")
    assert (state["status"], state["n"]) == ("accepted", 3)
    assert [row[2] for row in labels(bench)] == ["reject", "reject", "approve"]


async def test_the_last_round_that_a_person_rejects_ends_the_document() -> None:
    bench = Bench(review="accepted", max_rounds=1)
    await bench.run()
    state = await bench.answer(decision="reject", reason="No.")
    assert (state["status"], state["status_reason"]) == ("rejected", "max_rounds")
    assert bench.rows("documents")[0]["status"] == "rejected"


async def test_an_edit_is_verified_anew_and_asked_about_again() -> None:
    bench = Bench(review="accepted")
    await bench.run()
    before = bench.counts()
    state = await bench.answer(decision="edit", candidate={"question": "What fails first, and why?"}, reason="shorter")
    assert bench.counts() == {role: 2 * n for role, n in before.items() if role != "challenger"} | {"challenger": 1}
    assert state["candidate"]["question"] == "What fails first, and why?"
    assert state["candidate"]["rubric"][0]["criterion"] == "Criterion 1 of rubric 1"
    assert outcomes(bench) == [(1, "edited", None), (1, "open", None)]
    question = await bench.question()
    assert question
    assert question["candidate"]["question"] == "What fails first, and why?"
    assert {a["candidate_id"] for a in state["attempts"]} == {state["candidate_id"]}
    state = await bench.answer(decision="approve")
    assert state["status"] == "accepted"
    assert state["example"]["candidate"]["question"] == "What fails first, and why?"
    first, second = bench.rows("labels")
    assert first["edited_id"] == second["candidate_id"] == state["example"]["candidate_id"] != first["candidate_id"]
    assert [row["outcome"] for row in bench.rows("rounds")] == ["edited", "accepted"]
    assert bench.rows("rounds")[0]["reason"] == "shorter"


@pytest.mark.slow
async def test_an_edit_that_fails_a_check_or_a_gate_is_rejected_for_it() -> None:
    bench = Bench(
        {"quality_verifier": [review(), review(leaks=True), review(), review(), review()]},
        review="accepted",
        max_rounds=3,
    )
    await bench.run()
    await bench.answer(decision="edit", candidate={"question": "What leaks?"})
    assert outcomes(bench)[:2] == [(1, "edited", None), (1, "rejected", "failed_quality_check")]
    bench.script("weak_solver", lambda call: scored("9/10")[0])
    state = await bench.answer(decision="edit", candidate={"question": "What is two and two?"})
    assert outcomes(bench)[2:4] == [(2, "edited", None), (2, "rejected", "too_easy")]
    assert state["n"] == 3


async def test_a_rubric_that_is_edited_costs_no_answer_twice() -> None:
    bench = Bench(review="accepted")
    await bench.run()
    before = bench.counts()
    rubric = [*candidate(1)["rubric"][:10], {"criterion": "Another error", "weight": -1}, *candidate(1)["rubric"][11:]]
    await bench.answer(decision="edit", candidate={"rubric": rubric})
    grown = {role: n - before[role] for role, n in bench.counts().items()}
    assert grown == {"challenger": 0, "quality_verifier": 1, "weak_solver": 0, "strong_solver": 0, "verifier": 6}


@pytest.mark.parametrize(
    ("answer", "problem"),
    first_quick(
        ({"decision": "accept"}, "Input should be 'approve', 'edit' or 'reject'"),
        ({"decision": "reject"}, "a rejection needs a reason"),
        ({"decision": "reject", "reason": " \n"}, "a rejection needs a reason"),
        ({"decision": "edit"}, "an edit needs the candidate's changed fields"),
        ({"decision": "edit", "candidate": {"qestion": "Why?"}}, "unknown field qestion"),
        ({"decision": "edit", "candidate": {"question": ""}}, "question: String should have at least 1 character"),
        ({"decision": "edit", "candidate": {"rubric": []}}, "rubric: Tuple should have at least 1 item"),
        ({"decision": "edit", "candidate": {"question": candidate(1)["question"]}}, "nothing is changed"),
        ({"decision": "approve", "candidate": {"question": "Why?"}}, "candidate goes with the decision edit"),
        ({"decision": "approve", "score": 1}, "unknown key"),
        ({"decision": "nope", "reason": "x"}, "decision: Input should be 'approve', 'edit' or 'reject'"),
        ({"decision": "approve", "label_id": "main/other/1/x/review/1"}, "names another question"),
        ("approve", "an answer is a JSON object"),
        (5, "an answer is a JSON object"),
        (False, "an answer is a JSON object"),
        ([], "an answer is a JSON object"),
        ([{"decision": "approve"}], "an answer is a JSON object"),
        quick=4,
    ),
)
async def test_a_bad_answer_is_asked_for_again_with_what_is_wrong(answer: Any, problem: str) -> None:
    bench = Bench(review="accepted")
    await bench.run()
    before = (await bench.question(), bench.rows("labels"), len(bench.calls))
    await bench.say(answer)
    again = await bench.question()
    assert again
    assert problem in again["error"]
    assert "\n" not in again["error"]
    assert ({**again, "error": ""}, bench.rows("labels"), len(bench.calls)) == before
    assert (await bench.answer(decision="approve"))["status"] == "accepted"


async def test_the_question_says_what_an_answer_looks_like() -> None:
    bench = Bench(review="accepted")
    await bench.run()
    (interrupt,) = (await bench.graph.aget_state(bench.config)).interrupts
    schema: Any = interrupt.response_schema
    assert schema["title"] == "ReviewAnswer"
    assert schema["properties"]["decision"]["enum"] == ["approve", "edit", "reject"]
    assert set(schema["properties"]) == {"decision", "reason", "candidate", "reviewer", "at", "label_id"}
    assert all(field.get("description") for field in schema["properties"].values())


@pytest.mark.parametrize(
    ("mode", "scripts", "asked"),
    first_quick(
        ("none", {}, False),
        ("accepted", {}, True),
        ("accepted", NEAR_MISS, False),
        ("borderline", {}, False),
        ("borderline", {"weak_solver": scored("4/10", "5/10", "5/10")}, True),
        ("borderline", NEAR_MISS, True),
        ("borderline", TOO_EASY, False),
        ("all", {}, True),
        ("all", TOO_EASY, True),
        ("all", {"quality_verifier": lambda call: review(leaks=True)}, False),
        quick=4,
    ),
)
async def test_who_is_asked_about(mode: ReviewMode, scripts: dict[str, Script], asked: bool) -> None:
    fresh = {role: list(script) if isinstance(script, list) else script for role, script in scripts.items()}
    bench = Bench(fresh, review=mode, max_rounds=1)
    await bench.run()
    assert (await bench.question() is not None) is asked
    assert len(bench.rows("labels")) == asked


async def test_a_near_miss_can_be_labelled_but_not_accepted() -> None:
    bench = Bench(NEAR_MISS | {}, review="borderline")
    await bench.run()
    question = await bench.question()
    assert question
    assert (question["verdict"], question["why"]) == ("reject", "borderline: weak mean 0.50, needed < 0.50")
    state = await bench.answer(decision="approve", reason="worth keeping")
    assert labels(bench) == [(1, "reject", "approve", "worth keeping", "")]
    assert outcomes(bench) == [(1, "rejected", "too_easy"), (2, "accepted", None)]
    assert "worth keeping" not in bench.of("challenger")[1].prompt, "a label is no feedback"
    assert state["n"] == 2


async def test_a_reason_stands_beside_the_gates_verdict() -> None:
    bench = Bench({"weak_solver": scored("9/10", "9/10", "9/10", *["3/10"] * 3)}, review="all")
    await bench.run()
    await bench.answer(decision="reject", reason="It is only arithmetic.")
    second_call = bench.of("challenger")[1]
    assert "## TOO EASY (the weak solver did too well): 1" in second_call.prompt
    assert "## WHAT A REVIEWER SAID: 1" in second_call.prompt
    assert second_call.fenced("reviewer") == "It is only arithmetic."
    assert bench.modes()[0] == "too_easy"
    state = await bench.answer(decision="approve")
    assert state["rounds"][0]["reviewer"] == "It is only arithmetic."
    assert state["status"] == "accepted"


async def test_a_near_miss_can_be_rescued_by_an_edit() -> None:
    bench = Bench(NEAR_MISS | {}, review="borderline")
    await bench.run()
    state = await bench.answer(decision="edit", candidate={"question": "What fails first, and why exactly?"})
    assert (state["status"], state["n"]) == ("accepted", 1)
    assert outcomes(bench) == [(1, "edited", None), (1, "accepted", None)]


async def test_a_candidate_edited_in_state_is_verified_anew_without_a_question() -> None:
    """As in Studio: the state is changed while the question waits."""
    bench = Bench(review="accepted")
    await bench.run()
    state = await bench.state()
    changed = {**state["candidate"], "question": "What fails first?"}
    await bench.graph.aupdate_state(bench.config, {"candidate": changed}, as_node="verifier")
    state = await bench.run(resume=True)
    assert outcomes(bench) == [(1, "edited", None), (1, "open", None)]
    question = await bench.question()
    assert question
    assert question["candidate"]["question"] == "What fails first?"
    assert (await bench.answer(decision="approve"))["example"]["candidate"]["question"] == "What fails first?"


async def test_a_node_that_is_cut_off_behind_the_answer_ends_the_same() -> None:
    bench = Bench(review="accepted")
    await bench.run()
    save = bench.ledger.save

    async def dies(**tables: Any) -> None:
        await save(**tables)
        if any(row.get("decision") for row in tables.get("labels", ())):
            raise Killed

    object.__setattr__(bench.services, "store", type("Dying", (), {"save": staticmethod(dies)})())
    with pytest.raises(Killed):
        await bench.answer(decision="edit", candidate={"question": "What fails first?"}, at="now")
    paid, kept = len(bench.calls), bench.rows("labels")
    object.__setattr__(bench.services, "store", bench.ledger)
    state = await bench.answer(decision="edit", candidate={"question": "What fails first?"}, at="now")
    assert bench.rows("labels")[:1] == kept
    assert state["candidate"]["question"] == "What fails first?"
    assert outcomes(bench) == [(1, "edited", None), (1, "open", None)]
    assert len(bench.calls) == paid + 13, "the edited candidate's own calls, once"


@pytest.mark.slow
async def test_a_loop_judge_comes_before_the_person() -> None:
    bench = legal({"loop_judge": [improve("Ask for a remedy."), judgement(), judgement()]}, review="all")
    await bench.run()
    question = await bench.question()
    assert question
    assert (question["verdict"], question["rejection"]["failure_mode"]) == ("reject", "sent_back_by_judge")
    await bench.answer(decision="reject", reason="Ask for a remedy in money.")
    second_call = bench.of("challenger")[1]
    assert (second_call.fenced("suggestion"), second_call.fenced("reviewer")) == (
        "Ask for a remedy.",
        "Ask for a remedy in money.",
    )
    changed = "My neighbour cut a pear tree on my land. What can I ask for?"
    state = await bench.answer(decision="edit", candidate={"question": changed})
    assert bench.counts()["loop_judge"] == 3
    assert state["judgement"]["candidate_id"] == state["candidate_id"]
    state = await bench.answer(decision="approve")
    assert (state["status"], state["example"]["candidate"]["question"]) == ("accepted", changed)


@pytest.mark.slow
async def test_domains_without_a_quality_check_pay_the_solvers_next() -> None:
    bench = Bench(domain="science", review="accepted")
    await bench.run()
    before = bench.counts()
    state = await bench.answer(decision="edit", candidate={"question": "What is the exact period of pendulum 1, now?"})
    assert bench.counts()["screen"] == before["screen"]
    assert state["candidate_id"] == state["attempts"][0]["candidate_id"]
    assert (await bench.answer(decision="approve"))["status"] == "accepted"


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_the_node_is_drawn_between_verdict_and_ends(domain: str) -> None:
    drawn = build_self_instruct(DOMAINS[domain], review=True).compile().get_graph()
    edges = {(edge.source, edge.target) for edge in drawn.edges}
    anew = "quality_verifier" if DOMAINS[domain].quality_check else "weak_solver"
    assert {target for source, target in edges if source == "human_review"} == {
        *("accept", "feedback", anew),
        "human_review",
    }
    judge = "loop_judge" if DOMAINS[domain].loop_judge else "verifier"
    assert (judge, "human_review") in edges
    assert not {(judge, "accept"), (judge, "feedback")} & edges
    assert "human_review" not in build_self_instruct(DOMAINS[domain]).nodes


def test_the_router_answers_whatever_is_missing() -> None:
    states: list[Any] = [{}, {"verdict": None}, {"verdict": {"x": 1}}, {"verdict": {"x": 1}, "rejection": {"y": 1}}]
    assert [self_instruct.after_review(state) for state in states] == ["anew", "anew", "accept", "feedback"]
