"""Attempts are marked as they arrive: what comes of it, what is paid and what is traced are as with a barrier."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autodata.checkpoints.errors import CallFailed
from autodata.checkpoints.records import Attempt, Stage
from autodata.nodes.early_marks import EarlyMarks, Found
from tests.graph.support import DEFAULTS, Answer, Bench, Call, judge, scored
from tests.support.stages import first_quick

TABLES = ("rounds", "attempts", "marks", "verdicts", "examples", "candidates")


def keys(bench: Bench) -> dict[str, str]:
    return {row["key"]: row["response"] for row in bench.rows("calls")}


@pytest.mark.parametrize("domain", first_quick("cs", "facts", "science", quick=2))
@pytest.mark.parametrize("good", [True, False])
async def test_decisions_rows_and_calls_are_those_of_a_barrier(domain: str, good: bool) -> None:
    found = []
    for early in (False, True):
        scripts: dict[str, Any] = {} if good else {"strong_solver": DEFAULTS[domain]["weak_solver"]}
        bench = Bench(scripts, domain=domain, max_rounds=2, early=early)
        state = await bench.run()
        found.append((state, bench.counts(), keys(bench), [bench.rows(table) for table in TABLES]))
    assert found[0] == found[1]
    assert found[0][1]["weak_solver"] > 0


async def test_a_mark_is_asked_for_while_another_attempt_is_being_made() -> None:
    marked = asyncio.Event()

    def mark(call: Call) -> Answer:
        marked.set()
        return judge(call)

    bench = Bench({"verifier": mark}, early=True)
    solver = bench.services.caller.roles["weak_solver"]
    send, sent = solver.send, []

    async def late(*args: Any, **more: Any) -> Any:
        sent.append(args)
        if len(sent) == 2:
            async with asyncio.timeout(60):  # reached only where nothing is marked before all have answered
                await marked.wait()
        return await send(*args, **more)

    object.__setattr__(solver, "send", late)
    assert (await bench.run())["status"] == "accepted"


async def test_an_attempt_that_fails_costs_no_mark_twice() -> None:
    answers: list[Any] = [scored("3/10")[0], scored("3/10")[0], CallFailed("the server is gone", refused=True)]
    bench = Bench({"weak_solver": answers}, early=True)
    with pytest.raises(CallFailed):
        await bench.run()
    paid = len(bench.of("verifier"))
    assert paid <= 2
    bench.script("weak_solver", DEFAULTS["cs"]["weak_solver"])
    assert (await bench.run(resume=True, epoch=1))["status"] == "accepted"
    made = len(bench.rows("attempts"))
    assert len(bench.of("verifier")) == made == len({row["attempt_id"] for row in bench.rows("marks")})


async def test_a_mark_that_fails_is_the_verifiers_error_and_the_attempts_stand() -> None:
    bench = Bench({"verifier": lambda call: CallFailed("no judge", refused=True)}, early=True)
    with pytest.raises(CallFailed, match="no judge"):
        await bench.run()
    assert len(bench.rows("attempts")) == bench.services.domain.weak_attempts
    assert (await bench.graph.aget_state(bench.config)).next == ("verifier",)
    bench.script("verifier", judge)
    assert (await bench.run(resume=True, epoch=1))["status"] == "accepted"
    assert bench.counts()["weak_solver"] == bench.services.domain.weak_attempts


ATTEMPT = Attempt(
    attempt_id="a", candidate_id="c", stage=Stage.WEAK, index=0, answer_ref="answer/a", preview="", chars=0
)


async def never() -> Found:
    await asyncio.Event().wait()
    raise AssertionError


async def test_only_exactly_the_attempt_has_the_mark() -> None:
    async with EarlyMarks() as early:
        early.begin(ATTEMPT, never)
        assert early.take(ATTEMPT.model_copy(update={"candidate_id": "edited"})) is None
        begun = early.take(ATTEMPT)
        assert begun is not None
        assert early.take(ATTEMPT) is None
        begun.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun


async def test_a_walk_that_is_cancelled_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()

    async def walk() -> None:
        async with EarlyMarks() as early:
            early.begin(ATTEMPT, never)
            await asyncio.Event().wait()

    task = asyncio.create_task(walk())
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks() - before) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
