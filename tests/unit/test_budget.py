"""Budgets: never more calls than allowed, whoever asks at once; and what a call costs."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.config import ModelSettings
from autodata.models.endpoint import Endpoint, RoleModel
from autodata.models.errors import BudgetSpent, CallFailed, EndpointDown
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


async def test_money_is_spent_until_the_bound_is_reached() -> None:
    caller, chat = bench("Yes.", budget={"max_usd": 0.0007})
    for n in range(3):
        await caller.text(dataclasses.replace(SITE, index=str(n)), ASK)
    with pytest.raises(BudgetSpent, match=r"--max-usd 0\.0007 is spent"):
        await caller.text(dataclasses.replace(SITE, index="3"), ASK)
    assert len(chat.asked) == 3  # at 0.0003 each; the third overshoots
    assert caller.budget.spent_usd == pytest.approx(0.0009)


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
    caller, chat = bench(AIMessage("Yes.", usage_metadata=tokens), journal=journal, budget={"max_usd": 1.5 * each})
    for n in range(2):
        await caller.text(dataclasses.replace(SITE, index=str(n)), ASK)
    assert caller.budget.spent_usd == pytest.approx(2 * each)
    with pytest.raises(BudgetSpent, match="--max-usd"):
        await caller.text(dataclasses.replace(SITE, index="2"), ASK)
    assert len(chat.asked) == 2
    costs = [row["cost_usd"] for row in calls(journal)]
    assert costs == [None if tokens is None else pytest.approx(each)] * 2


async def test_without_a_bound_on_money_nothing_is_made_up() -> None:
    caller, _ = bench(AIMessage("Yes."))
    await caller.text(SITE, ASK)
    assert caller.budget.spent_usd == 0.0


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
    caller, chat = bench(AIMessage("Yes.", usage_metadata=usage(30, 20)), budget={"max_tokens": 80})
    await caller.text(SITE, ASK)
    await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    with pytest.raises(BudgetSpent, match="--max-tokens 80"):
        await caller.text(dataclasses.replace(SITE, index="2"), ASK)
    assert len(chat.asked) == 2
