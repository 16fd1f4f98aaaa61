"""Budgets: never more calls than allowed, whoever asks at once; and what a call costs."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult

from autodata.checkpoints.errors import BudgetSpent, CallFailed, Drained, EndpointDown, RunFailed
from autodata.checkpoints.ledger import Ledger, MemoryLedger
from autodata.models.budget import ceiling, reported_details, reported_usage
from autodata.models.caller import Caller, Reply
from autodata.models.config import ModelSettings
from autodata.models.endpoint import Endpoint
from autodata.models.role_model import RoleModel
from autodata.runner.config import RunConfig
from autodata.runner.run_folder import spent_budget
from tests.unit.scripted import ASK, SITE, Scripted, Status, bench, calls, usage


@pytest.mark.parametrize("allowed", [1, 7, 20])
async def test_max_calls_is_never_exceeded_by_calls_side_by_side(allowed: int) -> None:
    reasons: list[str] = []
    caller, chat = bench("", "Yes.", budget={"max_calls": allowed}, on_spent=reasons.append)
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(30)]
    results = await asyncio.gather(*(caller.text(site, ASK) for site in sites), return_exceptions=True)
    spent = [result for result in results if isinstance(result, BudgetSpent)]
    assert len(chat.asked) == caller.budget.spent_calls == allowed
    assert len(spent) == len(reasons) == 31 - allowed  # one reply was empty, and its second try is a call too
    assert f"--max-calls {allowed} is spent" in str(spent[0])
    assert set(reasons) == {str(spent[0])}


async def test_what_the_journal_holds_counts_towards_the_budget_and_replays_do_not() -> None:
    journal = MemoryLedger()
    caller, chat = bench("Yes.", journal=journal, budget={"max_calls": 5})
    caller.budget.spent_calls = 4
    await caller.text(SITE, ASK)
    await caller.text(SITE, ASK)
    with pytest.raises(BudgetSpent):
        await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    assert len(chat.asked) == 1


@pytest.mark.parametrize("failure", [Status(400), Status(401), Status(503)])
async def test_a_request_without_a_reply_is_not_paid_for(failure: Exception) -> None:
    caller, _ = bench(failure, budget={"max_calls": 1})
    with pytest.raises((CallFailed, EndpointDown)):
        await caller.text(SITE, ASK)
    assert (caller.budget.spent_calls, caller.budget.in_flight) == (0, 0)


async def test_a_cancelled_call_gives_its_reservation_back() -> None:
    caller, chat = bench("Yes.", budget={"max_calls": 1})
    task = asyncio.create_task(caller.text(SITE, ASK))
    for _ in range(100):
        await asyncio.sleep(0)
        if chat.asked:
            break
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await caller.text(SITE, ASK)).text == "Yes."


async def test_money_is_spent_until_what_is_left_does_not_cover_a_call() -> None:
    caller, chat = bench("Yes.", budget={"max_usd": 0.0007}, settings={"max_tokens": 20})
    for n in range(2):
        await caller.text(dataclasses.replace(SITE, index=str(n)), ASK)
    with pytest.raises(BudgetSpent, match=r"--max-usd 0\.0007 has 0\.0001 left, and the next call can cost"):
        await caller.text(dataclasses.replace(SITE, index="3"), ASK)
    assert len(chat.asked) == 2  # at 0.0003 each
    assert caller.budget.spent_usd == pytest.approx(0.0006)


async def test_a_bound_below_one_call_sends_nothing_and_says_why() -> None:
    caller, chat = bench("Yes.", budget={"max_usd": 0.01})
    with pytest.raises(BudgetSpent, match=r"can cost 0\.04098: raise it, or lower the role's max_tokens"):
        await caller.text(SITE, ASK)
    assert (chat.asked, caller.budget.in_flight, caller.budget.reserved_usd) == ([], 0, 0.0)


@pytest.mark.parametrize("at_once", [16, 64])
@pytest.mark.parametrize("bound", [{"max_usd": 0.01}, {"max_tokens": 2000}, {"max_calls": 9}])
async def test_calls_side_by_side_reserve_before_they_are_sent_and_wait_for_one_another(
    bound: dict[str, Any], at_once: int
) -> None:
    """Each reply costs far less than it could have: a call that finds no room waits for those in flight."""
    caller, chat = bench("Yes.", budget=bound, settings={"max_tokens": 100, "max_concurrency": at_once})
    sites = [dataclasses.replace(SITE, index=str(n)) for n in range(80)]
    results = await asyncio.gather(*(caller.text(site, ASK) for site in sites), return_exceptions=True)
    budget = caller.budget
    assert {type(result) for result in results} == {Reply, BudgetSpent}
    assert len(chat.asked) == budget.spent_calls
    most = ceiling(caller.roles["solver"].settings, ASK)
    assert budget.spent_usd <= bound.get("max_usd", 1)
    assert budget.spent_tokens <= bound.get("max_tokens", 10**6)
    assert (  # it went on until not one more could be paid for
        budget.spent_calls == bound.get("max_calls")
        or budget.spent_usd + (most.usd or 0) > bound.get("max_usd", 1)
        or budget.spent_tokens + most.tokens > bound.get("max_tokens", 10**6)
    )
    assert (budget.in_flight, budget.reserved_tokens, budget.reserved_usd) == (0, 0, 0.0)


async def test_a_drain_wakes_who_waits_for_room_in_the_budget() -> None:
    chat = Forever(script=[])
    caller, _ = bench("Yes.", budget={"max_calls": 1})
    caller.roles = {"solver": dataclasses.replace(caller.roles["solver"], chat=chat)}
    tasks = [asyncio.create_task(caller.text(dataclasses.replace(SITE, index=str(n)), ASK)) for n in range(3)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(chat.asked) == 1
    caller.drain()
    async with asyncio.timeout(300):
        with pytest.raises(Drained):
            await tasks[1]
        with pytest.raises(Drained):
            await tasks[2]
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert caller.budget.in_flight == 0


class Forever(Scripted):
    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.asked.append(([], kwargs))
        await asyncio.Event().wait()
        raise AssertionError("never")


async def test_a_request_that_timed_out_counts_as_the_most_it_can_have_cost_and_is_kept() -> None:
    journal = MemoryLedger()
    caller, _ = bench("Yes.", journal=journal, budget={"max_usd": 1.0}, settings={"timeout": 0.001})
    chat = Forever(script=[])
    caller.roles = {"solver": dataclasses.replace(caller.roles["solver"], chat=chat)}
    with pytest.raises(CallFailed, match=r"timed out: no whole reply within 0\.001 s"):
        await caller.text(SITE, ASK)
    most = ceiling(caller.roles["solver"].settings, ASK)
    assert (caller.budget.spent_calls, caller.budget.spent_tokens) == (0, 2 * most.tokens)
    assert caller.budget.spent_usd == pytest.approx(2 * (most.usd or 0))
    rows = list(journal.tables["timeouts"].values())
    assert [(row["role"], row["charged_out"]) for row in rows] == [("solver", 4096)] * 2
    assert rows[0]["charged_usd"] == pytest.approx(most.usd)


@pytest.mark.parametrize(
    ("usage", "text", "cut", "found"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, "x", False, (10, 5)),
        ({"input_tokens": 0, "output_tokens": 0}, "x", False, (None, None)),
        ({"input_tokens": 0, "output_tokens": 0}, "", False, (None, None)),
        ({"input_tokens": 0, "output_tokens": 7}, "x", False, (None, 7)),
        ({"input_tokens": 10, "output_tokens": 0}, "x", False, (10, None)),
        ({"input_tokens": 10, "output_tokens": 0}, "", False, (10, 0)),
        ({"input_tokens": 10, "output_tokens": 0}, "", True, (10, None)),
        ({"output_tokens": 7}, "x", False, (None, 7)),
        ({"input_tokens": -3, "output_tokens": True}, "x", False, (None, None)),
        ({}, "x", False, (None, None)),
    ],
)
def test_zeros_and_gaps_in_a_count_are_unknown(usage: Any, text: str, cut: bool, found: Any) -> None:
    assert reported_usage(usage, text=text, truncated=cut) == found


@pytest.mark.parametrize(
    ("usage", "raw", "found"),
    [
        ({"input_token_details": {"cache_read": 4}, "output_token_details": {"reasoning": 3}}, {}, (4, 3)),
        ({"input_token_details": {"cache_read": 0}, "output_token_details": {"reasoning": 0}}, {}, (0, 0)),
        (
            {"input_token_details": {"flex_cache_read": 4, "flex": 6}, "output_token_details": {"flex_reasoning": 3}},
            {},
            (4, 3),
        ),
        (
            {},
            {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}},
            (4, 3),
        ),
        ({"input_token_details": {}}, {"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6}, (4, None)),
        ({}, {"prompt_tokens_details": None, "completion_tokens_details": None}, (None, None)),
        ({"input_token_details": {"cache_read": 11}}, {}, (None, None)),
        ({"input_token_details": {"cache_read": -1}, "output_token_details": {"reasoning": True}}, {}, (None, None)),
        ({}, {}, (None, None)),
    ],
)
def test_cached_and_reasoning_tokens_are_read_under_every_name(usage: Any, raw: Any, found: Any) -> None:
    assert reported_details(usage, raw, 10) == found
    assert reported_details(usage, raw, None) == (None, found[1])


async def test_cached_and_reasoning_tokens_are_kept_with_a_call_and_count_once() -> None:
    reported = usage(100, 10) | {"input_token_details": {"cache_read": 60}, "output_token_details": {"reasoning": 7}}
    journal, used = MemoryLedger(), []
    caller, chat = bench(
        AIMessage("Yes.", usage_metadata=reported),
        journal=journal,
        on_call=lambda site, reply: used.append(reply.usage),
    )
    first = await caller.text(SITE, ASK)
    again = await caller.text(SITE, ASK)
    assert (again.replayed, len(chat.asked)) == (True, 1)
    assert used == [first.usage] == [again.usage]
    assert (first.usage.cached_share, first.usage.tokens_reasoning) == (0.6, 7)
    (row,) = calls(journal)
    assert (row["tokens_cached"], row["tokens_reasoning"]) == (60, 7)


async def test_what_an_endpoint_does_not_report_of_its_tokens_is_unknown_and_not_zero() -> None:
    journal = MemoryLedger()
    caller, _ = bench(AIMessage("Yes.", usage_metadata=usage(100, 10)), journal=journal)
    assert (await caller.text(SITE, ASK)).usage.cached_share is None
    (row,) = calls(journal)
    assert (row["tokens_cached"], row["tokens_reasoning"]) == (None, None)


async def cancelled_in_flight(caller: Caller, chat: Scripted) -> None:
    task = asyncio.create_task(caller.text(SITE, ASK))
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(chat.asked) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caller.budget.in_flight == 0


async def test_a_request_called_off_in_flight_counts_as_the_most_it_can_have_cost_and_is_kept() -> None:
    journal = MemoryLedger()
    caller, _ = bench("Yes.", journal=journal, budget={"max_usd": 1.0})
    chat = Forever(script=[])
    caller.roles = {"solver": dataclasses.replace(caller.roles["solver"], chat=chat)}
    await cancelled_in_flight(caller, chat)
    most = ceiling(caller.roles["solver"].settings, ASK)
    assert (caller.budget.spent_calls, caller.budget.spent_tokens) == (0, most.tokens)
    (row,) = journal.tables["timeouts"].values()
    assert (row["role"], row["cause"], row["charged_out"]) == ("solver", "cancelled", 4096)
    assert row["charged_usd"] == pytest.approx(most.usd)


async def test_what_was_not_sent_or_is_free_is_not_billed_when_it_is_called_off() -> None:
    journal = MemoryLedger()
    caller, _ = bench("Yes.", journal=journal, settings={"provider": "local"})
    chat = Forever(script=[])
    caller.roles = {"solver": dataclasses.replace(caller.roles["solver"], chat=chat)}
    await cancelled_in_flight(caller, chat)
    assert not journal.tables["timeouts"]
    caller, _ = bench("Yes.", journal=journal, budget={"max_calls": 1})
    caller.roles = {"solver": dataclasses.replace(caller.roles["solver"], chat=chat)}
    tasks = [asyncio.create_task(caller.text(dataclasses.replace(SITE, index=str(n)), ASK)) for n in range(2)]
    for _ in range(50):
        await asyncio.sleep(0)
    tasks[1].cancel()  # it waits for room in the budget
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert not journal.tables["timeouts"]
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert len(journal.tables["timeouts"]) == 1


async def test_a_ledger_that_cannot_be_written_hides_no_cancellation() -> None:
    class Full(MemoryLedger):
        async def save(self, **tables: Any) -> None:
            raise RunFailed("run.db: the disk is full")

    caller, _ = bench("Yes.", journal=Full())
    chat = Forever(script=[])
    caller.roles = {"solver": dataclasses.replace(caller.roles["solver"], chat=chat)}
    await cancelled_in_flight(caller, chat)


@pytest.mark.parametrize(
    ("tokens", "each"),
    [
        (None, (8 * 2.0 + 4096 * 10.0) / 1e6),  # the question has 23 characters
        (usage(100, 10), (100 * 2.0 + 10 * 10.0) / 1e6),
    ],
)
async def test_a_reply_without_usage_counts_as_the_most_it_can_have_cost(tokens: Any, each: float) -> None:
    assert len(ASK[0]["content"]) == 23
    journal = MemoryLedger()
    most = (8 * 2.0 + 4096 * 10.0) / 1e6
    bound = 1.5 * each + most
    caller, chat = bench(AIMessage("Yes.", usage_metadata=tokens), journal=journal, budget={"max_usd": bound})
    for n in range(2):
        await caller.text(dataclasses.replace(SITE, index=str(n)), ASK)
    assert caller.budget.spent_usd == pytest.approx(2 * each)
    assert [row["charged_usd"] for row in calls(journal)] == [pytest.approx(each)] * 2
    with pytest.raises(BudgetSpent, match="--max-usd"):
        await caller.text(dataclasses.replace(SITE, index="2"), ASK)
    assert len(chat.asked) == 2
    costs = [row["cost_usd"] for row in calls(journal)]
    assert costs == [None if tokens is None else pytest.approx(each)] * 2


async def test_what_is_made_up_for_a_budget_is_no_cost_of_the_call() -> None:
    journal = MemoryLedger()
    caller, _ = bench(AIMessage("Yes."), journal=journal)
    assert (await caller.text(SITE, ASK)).cost_usd is None
    (row,) = calls(journal)
    assert (row["tokens_in"], row["tokens_out"], row["cost_usd"]) == (None, None, None)
    assert (row["charged_in"], row["charged_out"]) == (8, 4096)


@pytest.mark.slow
async def test_what_was_spent_before_counts_the_same_when_a_folder_is_opened_again(tmp_path: Path) -> None:
    """Without a price at the time, at the price of now; a request that timed out counts, and is no call."""
    row = {"model": "m", "response": "x", "created_at": "now", "charged_in": 10, "charged_out": 1000}
    async with Ledger.open(tmp_path / "run.db") as ledger:
        await ledger.save(
            calls=[
                {**row, "key": "priced", "role": "verifier", "charged_usd": 0.5},
                {**row, "key": "unpriced", "role": "verifier"},
                {**row, "key": "unknown", "role": "analyst"},
            ],
            timeouts=[
                {"timeout_id": "t", "role": "verifier", "model": "m", "created_at": "now"}
                | {"charged_in": 1, "charged_out": 1000, "charged_usd": 0.25}
            ],
        )
        config = RunConfig.model_validate({"models": {"default": {"model": "m"}}})
        settings = {"verifier": ModelSettings(model="m", price_in=0.0, price_out=1000.0)}
        budget = await spent_budget(config, ledger, settings)
    assert (budget.spent_calls, budget.spent_tokens) == (3, 3 * 1010 + 1001)
    assert budget.spent_usd == pytest.approx(0.5 + 1.0 + 0.25)


async def test_time_is_a_budget_too() -> None:
    caller, chat = bench("Yes.", budget={"max_seconds": 60})
    caller.budget.started = time.monotonic() - 61
    with pytest.raises(BudgetSpent, match="--max-seconds 60"):
        await caller.text(SITE, ASK)
    assert chat.asked == []


@pytest.mark.parametrize(
    ("prices", "tokens", "cost"),
    [
        ((2.0, 10.0), (1_000_000, 100_000), 3.0),
        ((2.0, 10.0), (0, 0), 0.0),
        ((0.0, 0.0), (5, 5), 0.0),
        ((0.5, 1.5), (3, 7), 12e-6),
        ((None, 10.0), (1, 1), None),
        ((2.0, None), (1, 1), None),
        ((2.0, 10.0), (None, 1), None),
        ((2.0, 10.0), (1, None), None),
    ],
)
def test_what_a_call_costs(prices: Sequence[Any], tokens: Sequence[Any], cost: float | None) -> None:
    settings = ModelSettings(model="m", price_in=prices[0], price_out=prices[1])
    found = RoleModel(settings, Scripted(script=[]), Endpoint("m", 1)).cost(*tokens)
    assert found == (None if cost is None else pytest.approx(cost))


async def test_unknown_usage_is_unknown_not_nothing() -> None:
    journal = MemoryLedger()
    caller, _ = bench(AIMessage("Yes."), journal=journal)
    reply = await caller.text(SITE, ASK)
    assert (reply.tokens_in, reply.tokens_out, reply.cost_usd) == (None, None, None)
    (row,) = calls(journal)
    assert (row["tokens_in"], row["tokens_out"], row["cost_usd"]) == (None, None, None)


async def test_a_token_budget_counts_prompts_and_replies() -> None:
    reply = AIMessage("Yes.", usage_metadata=usage(30, 20))
    caller, chat = bench(reply, budget={"max_tokens": 130}, settings={"max_tokens": 30})
    await caller.text(SITE, ASK)
    await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    with pytest.raises(BudgetSpent, match="--max-tokens 130"):
        await caller.text(dataclasses.replace(SITE, index="2"), ASK)
    assert len(chat.asked) == 2
