"""Every route of the inner loop in domain `facts`: curtailment, marks by code, passages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from autodata.graphs.self_instruct import build_self_instruct
from autodata.nodes.challenger import NO_ANCHOR
from autodata.prompts import fence
from tests.graph.support import Answer, Bench, Call, Cut, Script, fact
from tests.support.stages import first_quick

RIGHT, WRONG = "I think it was the one of Delft.", "I do not know."
SOLVED = {"challenger": 1, "quality_verifier": 1, "weak_solver": 3, "strong_solver": 3, "verifier": 6}


def bench(scripts: dict[str, Script] | None = None, **more: int | str) -> Bench:
    return Bench(scripts or {}, domain="facts", **more)  # type: ignore[arg-type]


def attempts(pattern: str) -> list[Answer]:
    """Return answers by a pattern such as "rwr": right or wrong to the default judge, `t` for cut off with nothing."""
    kinds: dict[str, Answer] = {"r": RIGHT, "w": WRONG, "t": Cut()}
    return [kinds[kind] for kind in pattern]


@pytest.mark.parametrize(
    ("weak", "strong", "accepted", "weak_text", "strong_text"),
    first_quick(
        ("rr", "", False, "2 of 2, 4 planned", ""),
        ("rwr", "", False, "2 of 3, 4 planned", ""),
        ("rwwr", "", False, "2 of 4", ""),
        ("www", "rrr", True, "0 of 3, 4 planned", "3 of 3, 4 planned"),
        ("rwww", "rrwr", True, "1 of 4", "3 of 4"),
        ("tww", "wrrr", True, "0 of 3, 4 planned", "3 of 4"),
        ("www", "ww", False, "0 of 3, 4 planned", "0 of 2, 4 planned"),
        ("www", "wrw", False, "0 of 3, 4 planned", "1 of 3, 4 planned"),
        ("www", "rrww", False, "0 of 3, 4 planned", "2 of 4"),
        quick=3,
    ),
)
async def test_attempts_stop_once_the_verdict_is_settled(
    weak: str, strong: str, accepted: bool, weak_text: str, strong_text: str
) -> None:
    """The scripts hold exactly the attempts that are needed: one more call would fail the test."""
    made = bench({"weak_solver": attempts(weak), "strong_solver": attempts(strong)}, max_rounds=1)
    state = await made.run()
    assert (state["status"] == "accepted") is accepted
    assert (len(made.of("weak_solver")), len(made.of("strong_solver"))) == (len(weak), len(strong))
    rows = {row["stage"]: row for row in made.rows("verdicts")}
    assert (rows["weak"]["planned"], rows["weak"]["made"]) == (4, len(weak))
    assert f"weak right {weak_text}, needed <= 1" in rows["weak"]["summary"]
    if strong:
        assert (rows["strong"]["planned"], rows["strong"]["made"]) == (4, len(strong))
        assert f"strong right {strong_text}, needed >= 3" in rows["strong"]["summary"]
    else:
        assert set(rows) == {"weak"}
    assert made.modes() == [None if accepted else "failed_on_strong" if strong else "too_easy"]


async def test_the_prompts_of_all_who_are_shown_the_passage_begin_alike() -> None:
    """What a server has read for the challenger it need not read again for the others."""
    made = bench()
    state = await made.run()
    passage = fence("document", state["example"]["passage"])
    prompts = [made.of(role)[0].prompt for role in ("challenger", "quality_verifier", "strong_solver")]
    assert len({prompt[: prompt.index(passage) + len(passage)] for prompt in prompts}) == 1
    judged = [call.prompt for call in made.of("verifier")]
    assert len(judged) > len({prompt[: prompt.index("<answer-")] for prompt in judged}) == 1


async def test_curtailed_counts_are_kept_out_of_means() -> None:
    made = bench({"weak_solver": attempts("www"), "strong_solver": attempts("rrwr")})
    state = await made.run()
    assert (state["example"]["weak_scores"], state["example"]["strong_scores"]) == (["0"] * 3, ["1", "1", "0", "1"])
    assert (state["example"]["weak_mean"], state["example"]["strong_mean"]) == (None, None)
    assert state["example"]["gap"] is None
    [example] = made.rows("examples")
    assert (example["weak_mean"], example["strong_mean"], example["gap"]) == (None, None, None)
    [row] = made.rows("rounds")
    assert (row["weak_mean"], row["strong_mean"], row["gap"]) == (None, None, None)


async def test_an_answer_that_is_the_reference_needs_no_judge() -> None:
    answers: list[Answer] = ["A copper pump.", "It was a copper pump.", "**A copper  pump**"]
    made = bench({"strong_solver": answers})
    state = await made.run()
    assert state["status"] == "accepted"
    assert made.counts() == SOLVED | {"verifier": 3}, "three weak attempts go to the judge, the strong ones do not"
    strong = [row for row in made.rows("attempts") if row["stage"] == "strong"]
    assert [(row["decided_by"], row["score"]) for row in strong] == [("code", "1")] * 3


@pytest.mark.parametrize(
    "answer",
    first_quick(
        "copper",
        "It was no copper pump.",
        "A copper pump or an iron pump.",
        "It may be a copper pump.",
        "a-copper pump",
        quick=2,
    ),
)
async def test_an_answer_with_more_or_less_than_the_reference_goes_to_the_judge(answer: str) -> None:
    made = bench({"weak_solver": [answer] * 3})
    await made.run()
    assert {row["decided_by"] for row in made.rows("attempts") if row["stage"] == "weak"} == {"judge"}


async def test_another_number_in_the_same_unit_needs_no_judge() -> None:
    asked = {"question": "How many litres did the pump of Delft move each minute?"}
    answers: list[Answer] = ["78 litres", "It moved 65 litres.", "99 litres"]

    def drafted(call: Call) -> Answer:
        moved = re.search(r"moved (\d+) litres", call.fenced("document"))
        assert moved
        return fact(1, **asked, reference_answer=f"{moved[1]} litres")

    made = bench({"challenger": drafted, "weak_solver": answers})
    await made.run()
    weak = [row for row in made.rows("attempts") if row["stage"] == "weak"]
    assert [(row["decided_by"], row["score"]) for row in weak] == [("code", "0")] * 3
    assert len(made.of("verifier")) == 3, "only the strong ones"


@pytest.mark.parametrize(
    ("answer", "lacks"),
    first_quick(
        ("It moved 4 Hz.", "'4 Hz'"),
        ("It moved 299 litres a minute.", "'299 litres'"),
        ("Anton Kessel and Bo Rask.", "'Bo Rask'"),
        ("On 3 May 1871.", "'3 May 1871'"),
        ("It moved seventy-nine litres.", "'seventy-nine litres'"),
        quick=2,
    ),
)
async def test_an_answer_that_its_passage_does_not_hold_pays_nobody(answer: str, lacks: str) -> None:
    made = bench({"challenger": [fact(1, reference_answer=answer), fact(2)]})
    state = await made.run()
    assert made.modes() == ["failed_quality_check", None]
    assert state["rounds"][0]["reason"] == f"the reference answer is not in the passage: it lacks {lacks}"
    assert made.counts() == SOLVED | {"challenger": 2}


async def test_without_a_quality_check_nobody_asks_whether_the_passage_holds_the_answer() -> None:
    made = bench({"challenger": [fact(1, reference_answer="It moved 299 litres a minute.")]})
    made.services = replace(made.services, domain=made.services.domain.model_copy(update={"quality_check": False}))
    made.graph = build_self_instruct(made.services.domain).compile(checkpointer=made.saver)
    assert (await made.run())["status"] == "accepted"


@pytest.mark.parametrize(
    ("question", "reason"),
    first_quick(
        ("Which pump does the text name for 1901?", "points at its source: 'the text'"),
        ("Which pump is named in this passage?", "points at its source: 'this passage'"),
        ("When was it built?", "dangling pronoun: 'it'"),
        ("Who built a copper pump in Delft?", "gives its answer away"),
    ),
)
async def test_a_question_that_code_refuses_pays_neither_verifier_nor_solvers(question: str, reason: str) -> None:
    made = bench({"challenger": [fact(1, question=question), fact(2)]})
    state = await made.run()
    assert made.modes() == ["failed_quality_check", None]
    assert reason in state["rounds"][0]["reason"]
    assert made.counts() == SOLVED | {"challenger": 2}
    assert made.rows("rounds")[0]["quality"] is None


async def test_an_unsupported_answer_pays_no_solver() -> None:
    reviews: Script = [{"reason": "not there", "supported": False}, {"reason": "there", "supported": True}]
    made = bench({"quality_verifier": reviews})
    state = await made.run()
    assert made.modes() == ["failed_quality_check", None]
    assert "not supported by the passage: not there" in state["rounds"][0]["reason"]
    assert made.counts() == SOLVED | {"challenger": 2, "quality_verifier": 2}


@pytest.mark.parametrize("text", ["No names here.\n\nnothing to see, and no digits.", "# Only 1 heading\n\n- item 1"])
async def test_a_document_without_an_anchor_is_skipped_unpaid(text: str) -> None:
    made = bench(text=text)
    state = await made.run()
    assert (state["status"], state["status_reason"]) == ("skipped", NO_ANCHOR)
    assert made.calls == []
    [document] = made.rows("documents")
    assert (document["status"], document["status_reason"], document["rounds"]) == ("skipped", NO_ANCHOR, 0)
    assert (made.rows("rounds"), made.rows("failures")) == ([], [])


def sources(calls: Sequence[Call]) -> list[str]:
    return [call.fenced("document") for call in calls]


async def test_each_round_has_a_passage_of_its_own_and_all_its_roles_see_it() -> None:
    made = bench({"weak_solver": lambda call: RIGHT}, max_rounds=8)
    state = await made.run()
    assert made.modes() == ["too_easy"] * 8
    seen = [(call.fenced("document"), call.fenced("sentence")) for call in made.of("challenger")]
    assert len(set(seen)) == 8
    stored = [row["passage"] for row in made.rows("rounds")]
    assert stored == sources(made.of("challenger")) == sources(made.of("quality_verifier"))
    assert state["passage"]["text"] == stored[-1]
    for passage, anchor in seen:
        assert anchor in passage
        assert len(passage.split()) <= 150
        assert re.search(r"\d|[a-z] [A-Z]", anchor)


async def test_the_strong_solver_sees_the_rounds_passage_and_the_example_keeps_it() -> None:
    made = bench({"weak_solver": [RIGHT, RIGHT, *attempts("www")]})
    state = await made.run()
    second = made.rows("rounds")[1]["passage"]
    assert sources(made.of("strong_solver")) == [second] * 3
    assert state["example"]["passage"] == second
    seen = [(row["stage"], json.loads(row["mode"])["privileged"]) for row in made.rows("attempts")]
    assert [privileged for stage, privileged in seen if stage == "strong"] == [True] * 3
    assert {privileged for stage, privileged in seen if stage == "weak"} == {False}


async def test_facts_have_no_final_check() -> None:
    made = bench()
    await made.run()
    assert made.counts() == SOLVED


async def test_a_reference_too_long_is_a_malformed_candidate() -> None:
    made = bench({"challenger": [fact(1, reference_answer="long " * 80)] * 2 + [fact(2)]})
    state = await made.run()
    assert made.modes() == ["malformed_candidate", None]
    assert "at most 300 characters" in state["rounds"][0]["reason"]
