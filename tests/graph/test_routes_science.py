"""Every route of the inner loop in domain `science`: challengers side by side, screen, queue, counts, probe."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from autodata.checkpoints.errors import InfrastructureError, UnusableReply
from autodata.domains.domain import SCIENCE
from autodata.models.seeds import seed_for
from autodata.nodes.grounding import sample_grounding
from tests.graph.support import Answer, Bench, Call, Cut, Script, problem, screened, solution
from tests.support.stages import first_quick

pytest.importorskip("mpmath")

WRONG = "So\nAnswer: sqrt(2)/99"
CHALLENGERS = SCIENCE.challengers
SOLVED = {"challenger": 4, "screen": 1, "weak_solver": 4, "strong_solver": 4}


def right(call: Call) -> str:
    return f"So\nAnswer: {solution(call.fenced('question'))}"


def pattern(letters: str) -> Script:
    """Return a solver that answers by letters: right, wrong, truncated, empty."""

    def answer(call: Call) -> Answer:
        given: dict[str, Answer] = {"r": right(call), "w": WRONG, "t": Cut(), "e": ""}
        return given[letters[call.number - 1]]

    return answer


def bench(scripts: dict[str, Script] | None = None, **more: Any) -> Bench:
    return Bench(scripts or {}, domain="science", **more)


def questions(made: Bench) -> list[str]:
    rows = sorted(made.rows("rounds"), key=lambda row: row["n"])
    by_id = {row["candidate_id"]: row["question"] for row in made.rows("candidates")}
    return [by_id.get(row["candidate_id"], "") for row in rows]


async def test_challengers_side_by_side_differ_in_angle_and_seed() -> None:
    made = bench()
    state = await made.run()
    assert state["status"] == "accepted"
    assert made.counts() == SOLVED
    assert len({call.seed for call in made.of("challenger")}) == CHALLENGERS
    angles = made.services.pack["challenger"].front.angles
    prompts = [call.prompt for call in made.of("challenger")]
    assert sorted(angle for prompt in prompts for angle in angles if angle in prompt) == sorted(angles)
    assert {row["idx"] for row in made.rows("calls") if row["role"] == "challenger"} == {"0", "1", "2", "3"}


async def test_the_screen_picks_in_order_and_the_ledger_keeps_what_it_left() -> None:
    made = bench({"screen": [screened(False, True, False, True)]})
    state = await made.run()
    assert questions(made) == ["What is the exact period of pendulum 2?"]
    assert [item["question"] for item in state["queue"]] == ["What is the exact period of pendulum 4?"]
    [row] = made.rows("rounds")
    kept = json.loads(row["screen"])
    assert [(item["promising"], item["reason"]) for item in kept] == [
        (False, "looked at 1"),
        (True, "looked at 2"),
        (False, "looked at 3"),
        (True, "looked at 4"),
    ]
    assert kept[2]["question"] == "What is the exact period of pendulum 3?"
    assert kept[2]["reference_answer"] == "sqrt(2)*3/7"


async def test_with_none_promising_the_round_is_rejected_and_new_drafts_are_asked_for() -> None:
    made = bench({"screen": [screened(*[False] * 4), screened(*[True] * 4)]})
    state = await made.run()
    assert made.modes() == ["failed_quality_check", None]
    assert state["rounds"][0]["reason"].startswith("screened out: 1: looked at 1; 2:")
    assert made.counts() == SOLVED | {"challenger": 8, "screen": 2}
    assert "screened out" in made.of("challenger")[4].prompt


async def test_the_queue_is_used_up_before_anybody_writes_again() -> None:
    twice = [screened(True, False, True, False), screened(*[True] * 4)]
    made = bench({"screen": twice, "weak_solver": lambda call: right(call) if call.number <= 8 else WRONG})
    state = await made.run()
    assert made.modes() == ["too_easy", "too_easy", None]
    assert questions(made) == [f"What is the exact period of pendulum {k}?" for k in (1, 3, 5)]
    assert made.counts() == SOLVED | {"challenger": 8, "screen": 2, "weak_solver": 12}
    assert state["example"]["rounds"] == 3
    screens = [row["screen"] is not None for row in sorted(made.rows("rounds"), key=lambda row: row["n"])]
    assert screens == [True, False, True]
    assert "TOO EASY" in made.of("challenger")[-1].prompt


@pytest.mark.parametrize(
    ("weak", "strong", "mode"),
    first_quick(
        ("wwww", "rrrr", None),
        ("rwww", "rrrw", None),
        ("rrww", "", "too_easy"),
        ("rrrr", "", "too_easy"),
        ("wwww", "rrww", "failed_on_strong"),
        ("tttt", "rrtr", None),
        ("wwww", "tttt", "failed_on_strong"),
        quick=2,
    ),
)
async def test_exact_counts_decide(weak: str, strong: str, mode: str | None) -> None:
    made = bench({"weak_solver": pattern(weak), "strong_solver": pattern(strong)}, max_rounds=1)
    state = await made.run()
    assert made.modes() == [mode]
    assert state["status"] == ("rejected" if mode else "accepted")
    assert (len(made.of("weak_solver")), len(made.of("strong_solver"))) == (4, len(strong))
    assert not made.of("verifier"), "the library decides all of these"
    decided = {row["decided_by"] for row in made.rows("attempts")}
    assert decided <= {"code", "truncated"}
    assert ("truncated" in decided) is ("t" in weak + strong)


async def test_a_judge_decides_only_where_the_library_cannot() -> None:
    made = bench({"weak_solver": ["Answer: one of Delft", "I give up.\nReally.", WRONG, WRONG]})
    await made.run()
    rows = sorted((row for row in made.rows("attempts") if row["stage"] == "weak"), key=lambda row: row["idx"])
    assert [row["decided_by"] for row in rows] == ["judge", "judge", "code", "code"]
    assert [row["score"] for row in rows] == ["1", "0", "0", "0"]
    assert len(made.of("verifier")) == 2


async def test_cut_off_before_its_answer_an_attempt_scores_nothing_and_no_judge_is_asked() -> None:
    def weak(call: Call) -> Answer:
        texts = (
            "So the period is",
            "The period, to begin with,\nis sqrt",
            f"{right(call)}\nTo check",
            "Answer: that of Leiden\nor",
        )
        return Cut(texts[call.number - 1])

    made = bench({"weak_solver": weak})
    state = await made.run()
    assert made.modes() == [None], "two of four weak attempts would be too many"
    rows = sorted((row for row in made.rows("attempts") if row["stage"] == "weak"), key=lambda row: row["idx"])
    found = [(row["score"], row["decided_by"], row["answered"], row["truncated"]) for row in rows]
    assert found == [("0", "truncated", 0, 1)] * 2 + [("1", "code", 1, 1), ("0", "judge", 1, 1)]
    assert all(row["answer"] for row in rows), "what was said is kept"
    assert not {row["attempt_id"] for row in made.rows("marks")} & {row["attempt_id"] for row in rows[:2]}
    assert len(made.of("verifier")) == 1
    assert state["example"]["weak_scores"] == ["0", "0", "1", "0"]


async def test_what_code_refuses_never_reaches_the_screen() -> None:
    drafts = [
        problem(1, answer="42"),
        problem(2),
        problem(2, answer="sqrt(2)"),
        problem(3, question="What is x of pendulum 3? And what is y?"),
    ]
    made = bench({"challenger": drafts})
    await made.run()
    [call] = made.of("screen")
    assert call.prompt.count("Question: ") == 1
    assert questions(made) == ["What is the exact period of pendulum 2?"]
    [event] = [event for event in made.events if event["event"] == "drafts"]
    assert event["dropped"] == ["the answer is a bare integer: 42", "more than one question is asked"]


async def test_without_a_sound_draft_the_round_is_rejected_unscreened() -> None:
    bad = [problem(k, answer="3.14") for k in range(4)]
    made = bench({"challenger": [*bad, *(problem(k) for k in range(5, 9))]})
    state = await made.run()
    assert made.modes() == ["failed_quality_check", None]
    assert "bound to a precision" in state["rounds"][0]["reason"]
    assert made.counts() == SOLVED | {"challenger": 8}


@pytest.mark.slow
async def test_questions_tried_before_are_dropped() -> None:
    made = bench(
        {
            "challenger": lambda call: problem(1 if call.number != 6 else 6),
            "weak_solver": lambda call: right(call) if call.number <= 4 else WRONG,
        }
    )
    await made.run()
    assert questions(made) == ["What is the exact period of pendulum 1?", "What is the exact period of pendulum 6?"]
    assert [call.prompt.count("Question: ") for call in made.of("screen")] == [1, 1]


async def test_other_documents_are_shown_as_examples_and_stay_the_same() -> None:
    made = bench({"screen": [screened(*[False] * 4), screened(*[True] * 4)]})
    others = {f"{k:016x}": f"Document number {k} is about springs. " + "word " * 400 for k in range(9)}
    await made.ledger.save(documents=[{"document_id": k, "name": k, "text": text} for k, text in others.items()])
    state = await made.run()
    assert len(state["grounding"]) == SCIENCE.grounding
    assert set(state["grounding"]) <= set(others)
    for call in made.of("challenger"):
        shown = [number for number in range(9) if f"Document number {number} is about" in call.prompt]
        assert [f"{number:016x}" for number in shown] == sorted(state["grounding"])
        assert call.prompt.count("word ") < 3 * 140


@pytest.mark.parametrize(("count", "known"), [(0, True), (1, True), (5, True), (5, False), (40, True), (40, False)])
async def test_grounding_is_the_sample_of_all_other_documents(count: int, known: bool) -> None:
    """As if all ids but the document's own were listed: a run begun before goes on with the same ones."""
    for own in ("0" * 16, "7" * 16, "f" * 16):
        ids = [f"{k:016x}" for k in range(10**14, 10**14 * (count + 1), 10**14)]
        blobs = SimpleNamespace(documents=AsyncMock(return_value=sorted([*ids, *[own] * known])))
        services = SimpleNamespace(blobs=blobs, run_seed=3, domain=SCIENCE)
        found = await sample_grounding(SimpleNamespace(services=services, document_id=own))  # type: ignore[arg-type]
        rng = random.Random(seed_for(3, "grounding", own))
        assert found == rng.sample(sorted(ids), min(SCIENCE.grounding, count))


@pytest.mark.parametrize("own", ["0" * 16, "7" * 16, "f" * 16])
async def test_parts_of_one_document_are_no_examples_for_one_another(own: str) -> None:
    others = sorted(f"{k:016x}" for k in range(10**15, 10**16, 10**15))
    parts = [f"{own}#{n}" for n in range(1, 12)]
    services = SimpleNamespace(run_seed=3, domain=SCIENCE)
    services.blobs = SimpleNamespace(documents=AsyncMock(return_value=sorted([*others, *parts])))
    for part in parts:
        found = await sample_grounding(SimpleNamespace(services=services, document_id=part))  # type: ignore[arg-type]
        assert found == random.Random(seed_for(3, "grounding", part)).sample(others, SCIENCE.grounding)


async def test_an_empty_answer_counts_as_wrong_once_the_endpoint_has_answered() -> None:
    def weak(call: Call) -> Answer:
        return "It is 4." if "2 + 2" in call.prompt else ""

    made = bench({"weak_solver": weak})
    state = await made.run()
    assert state["status"] == "accepted"
    rows = [row for row in made.rows("attempts") if row["stage"] == "weak"]
    assert [(row["score"], row["decided_by"], row["answered"], row["truncated"]) for row in rows] == [
        ("0", "probe", 0, 0)
    ] * 4
    probes = [row for row in made.rows("calls") if row["node"] == "probe"]
    assert sorted((row["role"], row["idx"]) for row in probes) == [("weak_solver", f"weak/{k}") for k in range(4)]


@pytest.mark.parametrize("probe", first_quick("", "5", "I cannot say."))
async def test_an_endpoint_that_answers_nothing_discards_the_evaluation(probe: str) -> None:
    def broken(call: Call) -> Answer:
        return probe if "2 + 2" in call.prompt else ""

    made = bench({"weak_solver": [WRONG] * 4, "strong_solver": broken})
    with pytest.raises(UnusableReply, match=r"the evaluation is discarded") as raised:
        await made.run()
    assert isinstance(raised.value, InfrastructureError)
    assert [row["stage"] for row in made.rows("attempts")] == ["weak"] * 4, "no score was invented"
    assert sum("2 + 2" in call.prompt for call in made.of("strong_solver")) == 4, "one probe an attempt"
    before = len(made.of("weak_solver"))
    made.script("strong_solver", right)
    state = await made.run(resume=True, epoch=1)
    assert state["status"] == "accepted"
    assert len(made.of("weak_solver")) == before, "what was paid for is not asked for again"
    assert made.modes() == [None]


async def test_an_empty_answer_that_counted_still_counts_after_another_attempt_failed() -> None:
    """Attempt 0 is empty and its probe passes; attempt 1 is empty and its probe fails: the document is errored."""
    passed: list[str] = []

    def weak(call: Call) -> Answer:
        if "2 + 2" not in call.prompt:
            return ""
        passed.append(call.prompt)
        return "4" if len(passed) == 1 else ""

    made = bench({"weak_solver": weak})
    with pytest.raises(UnusableReply):
        await made.run()
    made.script("weak_solver", lambda call: WRONG)
    state = await made.run(resume=True, epoch=1)
    assert state["status"] == "accepted"
    decided = sorted(row["decided_by"] for row in made.rows("attempts") if row["stage"] == "weak")
    assert decided == ["code", "code", "code", "probe"]


async def test_a_restarted_round_asks_nobody_twice() -> None:
    made = bench({"screen": [RuntimeError("killed"), screened(*[True] * 4)]})
    with pytest.raises(RuntimeError):
        await made.run()
    state = await made.run(resume=True)
    assert state["status"] == "accepted"
    assert made.counts() == SOLVED | {"screen": 2}


@pytest.mark.slow
async def test_state_stays_small() -> None:
    long = {k: problem(k, question=f"What is the period of pendulum {k}? " + "It swings. " * 30) for k in range(1, 99)}
    made = bench({"challenger": lambda call: long[call.number], "weak_solver": right}, max_rounds=15)
    state = await made.run()
    assert state["status"] == "rejected"
    assert len(json.dumps(state)) <= 16 * 1024
