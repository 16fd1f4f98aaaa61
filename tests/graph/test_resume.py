"""Failures of the infrastructure, resuming, running a node again, forks: what is paid, what is in the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from autodata.checkpoints.errors import BudgetSpent, CallFailed, Drained, EndpointDown, UnusableReply
from autodata.checkpoints.records import FailureMode
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.models.config import BudgetConfig
from autodata.nodes.context import Context
from autodata.nodes.step import all_of
from tests.graph.support import DEFAULTS, Answer, Bench, Call, Cut, Script, candidate, judge, review, scored
from tests.support.stages import first_quick

VARYING = {"latency_s", "created_at"}


class Unavailable(Exception):
    """A failure of the endpoint, as an HTTP client would raise it."""

    status_code = 503


def tables(bench: Bench) -> dict[str, dict[Any, dict[str, Any]]]:
    """Return all rows by table and key, apart from times."""
    return {
        name: {key: {k: v for k, v in row.items() if k not in VARYING} for key, row in rows.items()}
        for name, rows in bench.ledger.tables.items()
    }


def two_rounds(domain: str = "cs") -> Bench:
    """A document that is too easy once, with one repaired reply and one cut-off attempt, then accepted."""
    if domain == "facts":
        right: list[Answer] = ["The one of Delft."] * 2
        return Bench({"weak_solver": lambda call: right[0] if call.number <= 2 else "No."}, domain="facts")
    attempts: list[Answer] = [*scored("9/10", "9/10"), Cut()]
    return Bench(
        {
            "challenger": lambda call: (
                "{}"
                if call.messages[-1][0] == "human" and call.number == 1
                else candidate(1)
                if call.number == 2
                else candidate(2)
            ),
            "weak_solver": lambda call: attempts[call.number - 1] if call.number <= 3 else scored("3/10")[0],
        }
    )


@pytest.mark.parametrize(
    "reply", first_quick("no idea", "", '{"marks": []}', '{"marks": [{"number": 1, "met": true}]}', quick=2)
)
async def test_a_judge_that_cannot_be_read_is_an_error_and_never_a_score(reply: str) -> None:
    def bad_on_second(call: Call) -> Answer:
        return reply if "worth 2/10" in call.prompt else judge(call)

    bench = Bench({"weak_solver": scored("3/10", "2/10", "3/10"), "verifier": bad_on_second})
    with pytest.raises(UnusableReply):
        await bench.run()
    assert bench.counts() == {"challenger": 1, "quality_verifier": 1, "weak_solver": 3, "verifier": 4}
    assert [row["score"] for row in bench.rows("attempts")] == [None] * 3
    assert (bench.rows("marks"), bench.rows("verdicts"), bench.modes()) == ([], [], [None])

    with pytest.raises(UnusableReply):  # the same epoch replays even the useless replies
        await bench.run(resume=True)
    assert bench.counts()["verifier"] == 4

    bench.script("verifier", judge)
    state = await bench.run(resume=True, epoch=1)
    assert state["example"]["weak_scores"] == ["3/10", "1/5", "3/10"]
    assert bench.counts() == {
        "challenger": 1,
        "quality_verifier": 2,
        "weak_solver": 3,
        "strong_solver": 3,
        "verifier": 4 + 1 + 3,
    }
    assert {row["epoch"] for row in bench.rows("calls") if row["idx"] == "weak/1"} == {0, 1}


@pytest.mark.parametrize(
    "role", first_quick("challenger", "quality_verifier", "weak_solver", "strong_solver", "verifier", quick=2)
)
async def test_a_request_that_fails_is_no_score_and_is_made_again(role: str) -> None:
    reference = Bench()
    await reference.run()
    broken = True
    fine = DEFAULTS["cs"][role]
    assert callable(fine)

    def script(call: Call) -> Answer:
        return Unavailable("busy") if broken else fine(call)

    bench = Bench()
    bench.script(role, lambda call: script(Call(call.role, 1, call.messages, call.seed)))
    with pytest.raises((CallFailed, EndpointDown)):
        await bench.run()
    assert bench.rows("failures") == [], "recording failures is the runner's work"
    assert role not in {row["role"] for row in bench.rows("calls")}
    broken = False
    for model in bench.services.caller.roles.values():
        model.endpoint.down = None  # a new process
    state = await bench.run(resume=True)
    assert state["status"] == "accepted"
    assert tables(bench) == tables(reference)


def test_of_errors_side_by_side_what_ends_the_session_comes_first() -> None:
    errors = [CallFailed("one"), UnusableReply("two"), Drained("three"), EndpointDown("four")]
    with pytest.raises(EndpointDown):
        all_of(errors)
    with pytest.raises(Drained):
        all_of(errors[:3])


async def test_a_malformed_draft_stays_a_rejected_round_in_a_later_epoch() -> None:
    wrong: list[Answer] = [candidate(1) | {"rubric": []}] * 2
    bench = Bench({"challenger": wrong}, max_rounds=1)
    await bench.run()
    before = bench.rows("rounds")
    await bench.run(epoch=1)
    assert bench.modes() == ["malformed_candidate"]
    assert (bench.rows("rounds"), bench.counts()) == (before, {"challenger": 2})


async def test_an_endpoint_found_down_by_parallel_calls_pauses_the_run_and_errs_no_document() -> None:
    """Of three attempts made side by side the first only fails; the third finds the endpoint given up."""
    bench = Bench({"weak_solver": lambda call: Unavailable("busy")})
    with pytest.raises(EndpointDown):
        await bench.run()
    bench = Bench({"verifier": lambda call: Unavailable("busy")})
    with pytest.raises(EndpointDown):
        await bench.run()


@pytest.mark.slow
async def test_a_spent_budget_stops_before_the_call_and_resumes_with_more() -> None:
    reference = Bench()
    await reference.run()
    for most in range(1, 15):
        bench = Bench(budget=BudgetConfig(max_calls=most))
        with pytest.raises(BudgetSpent):
            await bench.run()
        assert len(bench.calls) == len(bench.rows("calls")) == most
        bench.services.caller.budget.config = BudgetConfig(max_calls=15)
        await bench.run(resume=True)
        assert len(bench.calls) == 15
        assert tables(bench) == tables(reference)


def by_identity(role: str, script: Any, numbered: dict[str, int]) -> Any:
    """Number calls by seed, so that the same call made again gets the same reply."""

    def answer(call: Call) -> Answer:
        first = numbered.setdefault(f"{role} {call.seed}", 1 + sum(key.startswith(role) for key in numbered))
        reply: Answer = script(Call(role, first, call.messages, call.seed))
        return reply

    return answer


@pytest.mark.parametrize("domain", first_quick("cs", "facts"))
async def test_a_node_that_runs_again_pays_nothing_and_adds_no_row(domain: str) -> None:
    bench = two_rounds(domain)
    await bench.run()
    before, paid = tables(bench), len(bench.calls)
    context = Context(bench.services)
    history = [snapshot async for snapshot in bench.graph.aget_state_history(bench.config)]
    ran: set[str] = set()
    for snapshot in history:
        if snapshot.next:
            ran |= set(snapshot.next)
            await bench.graph.ainvoke(None, snapshot.config, context=context, durability="sync")
            assert len(bench.calls) == paid
            assert tables(bench) == before
    assert ran >= {*bench.graph.get_graph().nodes} - {"__end__"}


@pytest.mark.slow
async def test_every_call_has_a_seed_of_its_own() -> None:
    bench = two_rounds()
    await bench.run()
    other = two_rounds()
    other_text = Bench(text=bench.text + " One more sentence.")
    await other.run()
    await other_text.run()
    seeds = [call.seed for call in bench.calls]
    assert len(set(seeds)) == len(seeds) == len(bench.calls)
    assert all(0 <= seed < 2**31 for seed in seeds)
    # Calls side by side are seen in the order in which they happen to begin.
    assert sorted(call.seed for call in other.calls) == sorted(seeds), "the same document, the same seeds"
    assert {call.seed for call in other_text.calls}.isdisjoint(seeds)
    by_prompt = {call.messages: set[int]() for call in bench.of("weak_solver")}
    for call in bench.of("weak_solver"):
        by_prompt[call.messages].add(call.seed)
    assert [len(group) for group in by_prompt.values()] == [3, 3], "equal prompts, distinct seeds"


async def fork(bench: Bench, before: str, values: dict[str, Any], as_node: str) -> Any:
    """Edit the state as it was before a node ran, and return the configuration of the fork."""
    history = [snapshot async for snapshot in bench.graph.aget_state_history(bench.config)]
    snapshot = next(item for item in history if item.next == (before,))
    return await bench.graph.aupdate_state(snapshot.config, values, as_node=as_node)


def edited() -> tuple[dict[str, Any], str]:
    item = TASK_TYPES["rubric"].candidate(candidate(7))
    return item.model_dump(mode="json"), item.candidate_id


async def test_attempts_at_another_candidate_are_ignored() -> None:
    bench = Bench()
    first = await bench.run()
    draft, identity = edited()
    config = await fork(bench, "strong_solver", {"candidate": draft}, "challenger")
    assert len((await bench.graph.aget_state(config)).values["attempts"]) == 3, "the old ones are still in state"
    await bench.graph.ainvoke(None, config, context=Context(bench.services), durability="sync")
    state = await bench.state()
    assert len(first["attempts"]) == len(state["attempts"]) == 6
    assert {attempt["candidate_id"] for attempt in state["attempts"]} == {identity}
    assert state["example"]["candidate_id"] == identity
    assert len(bench.of("weak_solver")) == 6
    assert first["example"]["example_id"] != state["example"]["example_id"]


@pytest.mark.parametrize("before", ["weak_solver", "strong_solver", "accept"])
async def test_an_edited_candidate_goes_no_further_until_the_quality_verifier_passed_it(before: str) -> None:
    bench = Bench()
    await bench.run()
    examples = bench.rows("examples")
    draft, _ = edited()
    node = {"weak_solver": "quality_verifier"}.get(before, "verifier")
    config = await fork(bench, before, {"candidate": draft}, node)
    with pytest.raises(
        ValueError, match=r"exact candidate that the quality verifier passed|no marked attempt .* at this candidate"
    ):
        await bench.graph.ainvoke(None, config, context=Context(bench.services), durability="sync")
    assert bench.rows("examples") == examples


async def test_a_candidate_edited_just_before_the_verifier_never_ends_the_thread_in_silence() -> None:
    bench = Bench()
    await bench.run()
    draft, _ = edited()
    config = await fork(bench, "verifier", {"candidate": draft}, "weak_solver")
    with pytest.raises(
        ValueError, match=r"exact candidate that the quality verifier passed|no marked attempt .* at this candidate"
    ):
        await bench.graph.ainvoke(None, config, context=Context(bench.services), durability="sync")


async def test_a_verdict_about_another_candidate_accepts_nothing() -> None:
    bench = Bench()
    await bench.run()
    draft, identity = edited()
    values = {"candidate": draft, "candidate_id": identity, "quality": {"candidate_id": identity, "passed": True}}
    config = await fork(bench, "accept", values, "verifier")
    with pytest.raises(
        ValueError, match=r"exact candidate that the verdict is about|no marked attempt .* at this candidate"
    ):
        await bench.graph.ainvoke(None, config, context=Context(bench.services), durability="sync")


async def test_a_candidate_edited_before_its_quality_check_runs_as_if_the_challenger_had_written_it() -> None:
    bench = Bench()
    await bench.run()
    draft, identity = edited()
    config = await fork(bench, "quality_verifier", {"candidate": draft}, "challenger")
    await bench.graph.ainvoke(None, config, context=Context(bench.services), durability="sync")
    state = await bench.state()
    assert (state["status"], state["candidate_id"], state["example"]["candidate_id"]) == ("accepted", *[identity] * 2)
    assert identity in {row["candidate_id"] for row in bench.rows("candidates")}
    assert f"main/{bench.document_id}/1/{identity}" in {row["round_id"] for row in bench.rows("rounds")}


async def test_a_duplicate_of_a_failed_question_is_known_after_resuming() -> None:
    drafts: Script = [candidate(1), candidate(2, question=candidate(1)["question"]), candidate(3)]
    bench = Bench({"challenger": drafts, "quality_verifier": [review(leaks=True), Unavailable("x"), Unavailable("x")]})
    with pytest.raises(CallFailed):
        await bench.run()
    bench.script("quality_verifier", lambda call: review())
    await bench.run(resume=True)
    assert bench.modes() == [FailureMode.QUALITY, FailureMode.DUPLICATE, None]
