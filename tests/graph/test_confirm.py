"""Fresh attempts at what is to be accepted: the node `confirm`, in every domain, with and without a requirement."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from autodata.checkpoints.errors import BadState, CallFailed
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.queries.confirmed import confirmed_rounds
from autodata.checkpoints.records import Document, Example
from autodata.corpus.summary import summarise
from autodata.domains.acceptance.confirming import ConfirmConfig
from autodata.graphs.self_instruct import build_self_instruct
from autodata.nodes.events import ConfirmedEvent, parse_event
from tests.graph.legal import judgement
from tests.graph.support import Answer, Bench, Call, scored
from tests.graph.test_runner import EXAMPLES, QUICK, settings
from tests.support.runs import run_session


def confirming(attempts: int = 2, *, require: bool = False, **more: Any) -> Bench:
    """Return a bench whose graph has the node, and its services so many fresh attempts."""
    bench = Bench(**more)
    config = ConfirmConfig(attempts=attempts, require=require)
    bench.services = replace(bench.services, confirm=config)
    bench.graph = build_self_instruct(bench.services.domain, review=bench.review != "none", confirm=True).compile()
    bench.graph.checkpointer = bench.saver
    return bench


def fresh(bench: Bench) -> list[dict[str, Any]]:
    return [row for row in bench.rows("calls") if row["node"] == "confirm"]


@pytest.mark.parametrize("domain", ["cs", "facts", "legal", "science"])
async def test_an_accepted_example_has_fresh_attempts_of_both_solvers(domain: str) -> None:
    bench = confirming(3, domain=domain)
    state = await bench.run()
    assert state["status"] == "accepted"
    example = Example.model_validate(state["example"])
    assert example.confirmed is not None
    assert (len(example.confirmed.weak_scores), len(example.confirmed.strong_scores)) == (3, 3)
    assert example.confirmed.gap == example.confirmed.strong_mean - example.confirmed.weak_mean
    roles = [row["role"] for row in fresh(bench)]
    assert (roles.count("weak_solver"), roles.count("strong_solver")) == (3, 3)


async def test_fresh_calls_have_seeds_of_their_own_and_mix_with_no_selecting_figure() -> None:
    bench = confirming(3)
    state = await bench.run()
    for role in ("weak_solver", "strong_solver", "verifier"):
        seeds = [call.seed for call in bench.of(role)]
        assert len(set(seeds)) == len(seeds)
    assert len(bench.rows("attempts")) == 6
    assert len(state["attempts"]) == 6
    [confirmed] = [row for row in bench.rows("verdicts") if row["stage"] == "confirm"]
    assert (confirmed["planned"], confirmed["made"], confirmed["decision"]) == (3, 6, "accept")


async def test_confirmed_and_selecting_scores_stand_apart() -> None:
    weak = scored("1/10", "1/10", "1/10", "5/10", "7/10")
    strong = scored("9/10", "9/10", "9/10", "7/10", "8/10")
    bench = confirming(2, scripts={"weak_solver": weak, "strong_solver": strong})
    example = Example.model_validate((await bench.run())["example"])
    assert (example.weak_mean, example.strong_mean) == (Fraction(1, 10), Fraction(9, 10))
    assert example.confirmed is not None
    assert (example.confirmed.weak_mean, example.confirmed.strong_mean) == (Fraction(6, 10), Fraction(15, 20))
    assert not example.confirmed.required
    [event] = [found for one in bench.events if isinstance(found := parse_event(one), ConfirmedEvent)]
    assert event.confirmation == example.confirmed


async def test_what_fresh_attempts_do_not_bear_out_is_sent_back_where_it_is_required() -> None:
    weak = scored(*["1/10"] * 3, *["8/10"] * 2, *["1/10"] * 5)
    bench = confirming(2, require=True, scripts={"weak_solver": weak})
    state = await bench.run()
    assert bench.modes() == ["not_confirmed", None]
    assert "NOT CONFIRMED" in bench.of("challenger")[1].prompt
    assert "confirmed weak mean 0.80, needed < 0.50" in state["rounds"][0]["reason"]
    decisions = [row["decision"] for row in bench.rows("verdicts") if row["stage"] == "confirm"]
    assert decisions == ["reject", "accept"]


async def test_a_loop_judges_verdict_is_borne_out_by_a_gap_above_nothing() -> None:
    """Where a judge decides there are no gates: fresh attempts must show that the strong solver is ahead at all."""

    def weak(call: Call) -> Answer:
        return scored("9/10" if call.number in {6, 7} else f"{call.number % 5}/10")[0]

    bench = confirming(2, require=True, domain="legal", scripts={"weak_solver": weak})
    state = await bench.run()
    assert bench.modes() == ["not_confirmed", None]
    assert "confirmed gap -0.10, needed > 0" in state["rounds"][0]["reason"]
    assert [call.role for call in bench.calls].count("loop_judge") == 2


async def test_what_a_loop_judge_refuses_is_not_confirmed() -> None:
    def judging(call: Call) -> Answer:
        return judgement(verdict="improve", suggestion_for_writer="Ask more.") if call.number == 1 else judgement()

    bench = confirming(2, domain="legal", scripts={"loop_judge": judging})
    await bench.run()
    assert {row["n"] for row in fresh(bench)} == {2}


async def test_a_verifiable_answer_is_scored_by_code_when_it_is_confirmed() -> None:
    bench = confirming(3, domain="science")
    state = await bench.run()
    example = Example.model_validate(state["example"])
    assert example.confirmed is not None
    assert example.confirmed.strong_scores == (Fraction(1),) * 3
    assert example.confirmed.weak_scores == (Fraction(0),) * 3
    assert not [row for row in fresh(bench) if row["role"] == "verifier"]


@pytest.mark.slow
@pytest.mark.parametrize("curtail", ["exact", "adaptive"])
async def test_confirmed_attempts_are_whole_where_selecting_ones_stop_early(curtail: str, tmp_path: Path) -> None:
    values = settings("facts", concurrency=1, curtail=curtail, confirm={"attempts": 3, "require": True})
    session = await run_session(tmp_path, values, EXAMPLES[:3])
    async with open_readonly(tmp_path / "run.db") as ledger:
        examples = [json.loads(row["example"]) for row in await ledger.read("SELECT example FROM examples")]
        [made] = await ledger.read("SELECT count(*) AS n FROM attempts")
        [rounds] = await ledger.read("SELECT count(DISTINCT round_id) AS n FROM attempts WHERE stage = 'weak'")
        rows = await confirmed_rounds(ledger)
    assert made["n"] < 8 * rounds["n"], "nothing stopped early"
    assert len(examples) == session.statuses.count("accepted") > 0
    for example in examples:
        assert len(example["confirmed"]["weak_scores"]) == len(example["confirmed"]["strong_scores"]) == 3
    assert all(row["attempts"] == 3 for row in rows)
    assert [row["selecting_gap"] is None for row in rows] == [curtail == "exact"] * len(rows)


async def test_a_target_is_reached_by_what_was_confirmed(tmp_path: Path) -> None:
    easy = {"weak_mean": "<= 1", "strong_mean": ">= 0", "gap": ">= -1"}
    values = settings(confirm={"attempts": 2}, acceptance=easy, target=1, concurrency=1)
    session = await run_session(tmp_path, values, [item for item in QUICK if isinstance(item, Document)])
    assert session.outcome.stopped == "target of 1 accepted reached"
    assert len(session.tables["examples"]) == 1
    confirming_calls = [row for row in session.calls if row["node"] == "confirm"]
    assert len([row for row in confirming_calls if row["role"] != "verifier"]) == 4
    again = await run_session(tmp_path, values, [])
    assert again.calls == session.calls


async def test_a_failed_fresh_call_errors_the_document_and_nothing_is_paid_twice() -> None:
    broken = {"down": True}

    def strong(call: Call) -> str | Exception:
        if call.number > 3 and broken["down"]:
            return ValueError("the endpoint broke")
        return scored("8/10")[0]

    bench = confirming(2, scripts={"strong_solver": strong})
    with pytest.raises(CallFailed):
        await bench.run()
    paid = len(bench.rows("calls"))
    weak = len(bench.of("weak_solver"))
    broken["down"] = False
    state = await bench.run(resume=True, epoch=1)
    assert state["status"] == "accepted"
    assert len(bench.of("weak_solver")) == weak
    assert len(bench.rows("calls")) == paid + 2 + 2 + 1  # the strong attempts, their marks, the final check
    assert len(bench.of("quality_verifier")) == 2


async def test_only_the_exact_candidate_that_was_confirmed_can_be_accepted() -> None:
    bench = confirming(1)
    async with aclosing(cast("AsyncGenerator[dict[str, Any]]", bench.stream())) as stream:
        async for event in stream:
            if event["event"] == "confirmed":
                break
    edited = {"confirmation": {**json.loads(json.dumps(event["confirmation"])), "candidate_id": "another"}}
    await bench.graph.aupdate_state(bench.config, edited, as_node="confirm")
    with pytest.raises(BadState, match="fresh attempts confirmed"):
        await bench.run(resume=True)


async def test_a_graph_without_the_node_refuses_to_accept_unconfirmed() -> None:
    bench = Bench()
    bench.services = replace(bench.services, confirm=ConfirmConfig(attempts=1))
    with pytest.raises(BadState, match="confirm=True"):
        await bench.run()


async def test_a_run_confirms_resumes_and_reports(tmp_path: Path) -> None:
    config = settings(confirm={"attempts": 2})
    documents = [item for item in QUICK if isinstance(item, Document)]
    session = await run_session(tmp_path, config, documents)
    assert sorted(session.statuses) == ["accepted", "rejected"]
    again = await run_session(tmp_path, config, documents)
    assert again.calls == session.calls
    async with open_readonly(tmp_path / "run.db") as ledger:
        [row] = await confirmed_rounds(ledger)
        found = (await summarise(ledger))["confirmed"]
    assert (row["attempts"], row["passed"], row["accepted"]) == (2, True, True)
    assert (found["attempts"], found["candidates"], found["refused"]) == (2, 1, 0)
    assert found["gap"]["confirmed"] == pytest.approx(row["gap"])
    assert found["shrinkage"]["value"] == pytest.approx(row["selecting_gap"] - row["gap"])
