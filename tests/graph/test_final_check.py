"""Checks that need only code: before anybody is paid and again at the final check; failing either sends back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langgraph.graph import END

from autodata.checkpoints.records import Candidate
from autodata.domains.domain import DOMAINS
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.graphs.self_instruct import after_accept, build_self_instruct
from tests.graph import legal
from tests.graph.support import Bench
from tests.support.stages import first_quick

pytest.importorskip("mpmath")

WHY = "code has found a fault"


def refusing(bench: Bench, monkeypatch: pytest.MonkeyPatch, when: Callable[[Candidate], bool]) -> None:
    """Let the code of the bench's kind find a fault in every candidate for which `when` holds."""
    kind: Any = TASK_TYPES[DOMAINS[bench.domain].kind]
    before = kind.problems
    monkeypatch.setattr(kind, "problems", lambda one: [WHY] if when(one) else before(one))


@pytest.mark.parametrize("domain", first_quick(*DOMAINS))
async def test_what_code_refuses_at_the_final_check_is_sent_back(domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(domain=domain)
    first: list[str] = []

    def after_payment(one: Candidate) -> bool:
        if bench.of("strong_solver") and not first:
            first.append(one.candidate_id)
        return one.candidate_id in first

    refusing(bench, monkeypatch, after_payment)
    state = await bench.run()
    assert (state["status"], state["n"]) == ("accepted", 2)
    assert bench.modes() == ["failed_quality_check", None]
    assert WHY in state["rounds"][0]["reason"]
    assert WHY in state["feedback"] or domain == "facts", "facts shows no texts of rejected rounds"
    assert state["rejection"] is None
    [closed] = [event for event in bench.events if event["event"] == "feedback"]
    assert (closed["failure_mode"], closed["last"]) == ("failed_quality_check", False)
    assert len(bench.rows("examples")) == 1


@pytest.mark.parametrize("domain", first_quick(*DOMAINS))
async def test_a_document_ends_rejected_when_code_refuses_the_last_round(
    domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(domain=domain, max_rounds=1)
    refusing(bench, monkeypatch, lambda one: bool(bench.of("strong_solver")))
    state = await bench.run()
    assert (state["status"], state["status_reason"], state["n"]) == ("rejected", "max_rounds", 1)
    assert (bench.modes(), bench.rows("examples")) == (["failed_quality_check"], [])


@pytest.mark.parametrize("domain", DOMAINS)
async def test_what_code_refuses_at_once_is_paid_to_nobody_but_the_challenger(
    domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(domain=domain, max_rounds=2)
    refusing(bench, monkeypatch, lambda one: True)
    state = await bench.run()
    assert (state["status"], state["status_reason"], state["n"]) == ("rejected", "max_rounds", 2)
    assert bench.counts().keys() <= {"challenger", "extractor"}


@pytest.mark.parametrize("domain", ["legal", "science"])
async def test_a_candidate_edited_before_the_solvers_is_looked_at_by_code(
    domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No quality verifier stands there; a candidate of the queue comes the same way."""
    bench = Bench(domain=domain)
    bench.graph.interrupt_before_nodes = ["weak_solver"]
    await bench.run()
    refusing(bench, monkeypatch, lambda one: True)
    bench.graph.interrupt_before_nodes, bench.graph.interrupt_after_nodes = [], ["feedback"]
    state = await bench.run(resume=True)
    assert "weak_solver" not in bench.counts()
    assert WHY in state["rounds"][0]["reason"]


@pytest.mark.parametrize("domain", DOMAINS)
def test_accept_leads_back_or_to_the_end(domain: str) -> None:
    for graph in (build_self_instruct(DOMAINS[domain]), build_cot_baseline(DOMAINS[domain])):
        [branch] = graph.branches["accept"].values()
        assert set((branch.ends or {}).values()) == {"feedback", END}
    assert after_accept({"rejection": {"failure_mode": "post_filter", "reason": "x"}, "status": ""}) == "feedback"
    assert after_accept({"rejection": None, "status": "accepted"}) == END


async def test_a_broken_fixed_rule_at_the_final_check_is_sent_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = legal.legal()
    kind: Any = TASK_TYPES["legal"]
    monkeypatch.setattr(
        kind, "post_filters", lambda one: {"rule": "broken"} if "number 1 " in one.question and judged() else {}
    )

    def judged() -> bool:
        return bool(bench.of("loop_judge"))

    state = await bench.run()
    assert (state["status"], bench.modes()) == ("accepted", ["post_filter", None])
    assert "REFUSED BY A FIXED RULE" in bench.of("challenger")[1].prompt


async def test_an_edit_of_a_person_that_code_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = legal.legal(review="accepted")
    await bench.run()
    await bench.answer(decision="edit", candidate={"question": "What follows on appeal, if my tree is cut?"})
    question = await bench.question()
    assert question
    assert "on_appeal" in question["error"]
    assert len(bench.of("weak_solver")) == 5, "nobody is paid for what code refuses"
