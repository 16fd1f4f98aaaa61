"""The audit: canaries and the closed context, what they refuse, and what they cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from autodata.checkpoints.errors import BadState
from autodata.domains.acceptance.checks import ChecksConfig
from autodata.domains.acceptance.confirming import ConfirmConfig
from autodata.graphs.self_instruct import build_self_instruct
from tests.graph.support import Answer, Bench, Call, candidate, judge, scored


def auditing(checks: ChecksConfig, *, confirm: int = 0, **more: Any) -> Bench:
    """Return a bench whose graph has the nodes, and its services these checks."""
    bench = Bench(**more)
    bench.services = replace(bench.services, checks=checks, confirm=ConfirmConfig(attempts=confirm))
    drawn = build_self_instruct(bench.services.domain, audit=True, confirm=bool(confirm))
    bench.graph = drawn.compile(checkpointer=bench.saver)
    return bench


def strict(call: Call) -> Answer:
    """Mark real answers by what they are worth, and everything else as nothing."""
    if "worth " in call.fenced("answer"):
        return judge(call)
    return {"marks": [{"number": k, "reason": "nothing", "met": False} for k in range(1, 14)]}


def believes(*claims: str) -> Any:
    """Return a judge who gives full marks for some answers."""

    def mark(call: Call) -> Answer:
        if any(claim in call.fenced("answer") for claim in claims):
            return {"marks": [{"number": k, "reason": "it says so", "met": k <= 10} for k in range(1, 14)]}
        return strict(call)

    return mark


ALWAYS = ChecksConfig(canaries="always")


CANARIES: Mapping[str, Callable[[str], bool]] = {
    "an empty answer": lambda answer: answer == "",
    "a colon": lambda answer: answer == ":",
    "an announcement": lambda answer: answer == "Thought process:",
    "the rubric echoed": lambda answer: "Criterion 1 of rubric 1" in answer,
    "the question echoed": lambda answer: answer == candidate(1)["question"],
    "an answer off topic": lambda answer: "bake a plain loaf" in answer,
    "a claim": lambda answer: answer == "All criteria are met.",
}


def audits(bench: Bench) -> list[dict[str, Any]]:
    return [json.loads(row["quality"])["audit"] for row in bench.rows("rounds") if "audit" in (row["quality"] or "")]


async def test_a_sound_rubric_passes_and_each_canary_is_one_call() -> None:
    bench = auditing(ALWAYS, scripts={"verifier": strict}, confirm=1)
    state = await bench.run()
    assert state["status"] == "accepted"
    [audit] = audits(bench)
    assert audit["passed"]
    assert set(audit["canaries"].values()) == {"0"}
    assert [row["node"] for row in bench.rows("calls")].count("audit") == len(audit["canaries"]) == 7
    nodes = [row["node"] for row in bench.rows("calls")]
    assert nodes.index("confirm") > max(k for k, node in enumerate(nodes) if node == "audit")
    assert len(bench.rows("attempts")) == 6


async def test_a_judge_who_believes_a_claim_is_refused_with_that_reason() -> None:
    bench = auditing(ALWAYS, max_rounds=1, scripts={"verifier": believes("All criteria are met.")})
    state = await bench.run()
    assert state["status"] == "rejected"
    assert bench.modes() == ["failed_quality_check"]
    reason = bench.rows("rounds")[0]["reason"]
    assert reason.startswith("canary: a claim scores 1.00, at most 0.1 allowed")
    assert not audits(bench)[0]["passed"]
    assert [row["node"] for row in bench.rows("calls")].count("audit") == 8  # the claim was marked again


@pytest.mark.parametrize("name", list(CANARIES))
async def test_a_judge_who_marks_any_of_them_is_refused(name: str) -> None:
    """All seven: whoever gives marks for one of them alone is found."""

    def mark(call: Call) -> Answer:
        taken_in = CANARIES[name](call.fenced("answer"))
        answer: Answer = believes("")(call) if taken_in else strict(call)
        return answer

    bench = auditing(ALWAYS, max_rounds=1, scripts={"verifier": mark})
    assert (await bench.run())["status"] == "rejected"
    assert bench.rows("rounds")[0]["reason"].startswith(f"canary: {name} scores 1.00")
    scores = audits(bench)[0]["canaries"]
    assert {one for one, score in scores.items() if score != "0"} == {name}
    assert set(scores) == set(CANARIES)


async def test_one_slip_of_the_judge_refuses_nothing() -> None:
    slips = [True]

    def once(call: Call) -> Answer:
        if call.fenced("answer") == ":" and slips:
            slips.pop()
            answer: Answer = believes(":")(call)
            return answer
        return strict(call)

    bench = auditing(ALWAYS, scripts={"verifier": once})
    assert (await bench.run())["status"] == "accepted"
    assert audits(bench)[0]["canaries"]["a colon"] == "0"


async def test_the_next_challenger_is_shown_why() -> None:
    def first_rubric(call: Call) -> Answer:
        echoed = "rubric 1" in call.fenced("criteria") and "Criterion 1 of rubric 1" in call.fenced("answer")
        answer: Answer = believes("Criterion 1 of rubric 1")(call) if echoed else strict(call)
        return answer

    bench = auditing(ALWAYS, scripts={"verifier": first_rubric})
    assert (await bench.run())["status"] == "accepted"
    assert bench.modes() == ["failed_quality_check", None]
    assert "canary: the rubric echoed scores" in bench.of("challenger")[1].prompt


async def test_a_context_that_leaks_is_refused() -> None:
    def weak(call: Call) -> Answer:
        return scored("9/10" if "NOT IN THE CONTEXT" in call.prompt else "3/10")[0]

    bench = auditing(ChecksConfig(closed_context=True), max_rounds=1, scripts={"weak_solver": weak})
    assert (await bench.run())["status"] == "rejected"
    assert "closed_context: the weak model answers from the context alone" in bench.rows("rounds")[0]["reason"]
    assert len(bench.of("weak_solver")) == 4


async def test_a_context_that_does_not_is_not() -> None:
    bench = auditing(ChecksConfig(closed_context=True))
    assert (await bench.run())["status"] == "accepted"
    assert audits(bench)[0]["closed_context"] == "3/10"


async def test_a_graph_without_the_node_accepts_nothing_unaudited() -> None:
    bench = Bench()
    bench.services = replace(bench.services, checks=ALWAYS)
    with pytest.raises(BadState, match="audit=True"):
        await bench.run()


@pytest.mark.parametrize(("leakage", "mode"), [("note", None), ("refuse", "failed_quality_check"), ("off", None)])
async def test_leaks_are_noted_or_refused_before_anybody_is_paid(leakage: Any, mode: str | None) -> None:
    stated = candidate(
        1, context="It is known that the relay drops out once both feeders are switched within a cycle of it"
    )
    stated["reference_answer"] = "The relay drops out once both feeders are switched within a cycle"
    bench = Bench(max_rounds=1, scripts={"challenger": [stated]})
    bench.services = replace(bench.services, checks=ChecksConfig(leakage=leakage))
    await bench.run()
    assert bench.modes() == [mode]
    assert bool(bench.of("weak_solver")) is (mode is None)
    quality = json.loads(bench.rows("rounds")[0]["quality"] or "{}")
    assert ("leakage" in quality) is (leakage == "note")
