"""The bounds of a budget by themselves, on both sides of each: what is sent, what waits, and in which words it ends."""

from __future__ import annotations

import time
from typing import Any

import pytest

from autodata.checkpoints.errors import BudgetSpent
from autodata.checkpoints.usage import Usage
from autodata.models.budget import Budget, ceiling, charged, price, reported_usage
from autodata.models.config import BudgetConfig, ModelSettings

ONE = Usage(60, 40, 0.25)
"""A request of 100 tokens and a quarter of a dollar."""


def budget(**values: Any) -> Budget:
    bounds = {name: value for name, value in values.items() if name.startswith("max_")}
    return Budget(BudgetConfig(**bounds), **{name: value for name, value in values.items() if name not in bounds})


def refused(of: Budget, most: Usage = ONE) -> str:
    """Return why no request of this size can be sent any more; empty when one can."""
    try:
        of.require(most)
    except BudgetSpent as error:
        return str(error)
    return ""


def test_a_new_budget_has_spent_and_reserved_nothing() -> None:
    new = budget()
    assert (new.spent_calls, new.spent_tokens, new.spent_usd) == (0, 0, 0.0)
    assert (new.in_flight, new.reserved_tokens, new.reserved_usd) == (0, 0, 0.0)
    assert 0 <= time.monotonic() - new.started < 3600


CALLS, TOKENS, USD = "the budget --max-calls", "the budget --max-tokens", "the budget --max-usd"
LOWER = "raise it, or lower the role's max_tokens"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, ""),
        ({"max_calls": 3, "spent_calls": 2}, ""),
        ({"max_calls": 3, "spent_calls": 3}, f"{CALLS} 3 is spent"),
        ({"max_calls": 3, "spent_calls": 4}, f"{CALLS} 3 is spent"),
        ({"max_calls": 1}, ""),
        ({"max_tokens": 100}, ""),
        ({"max_tokens": 99}, f"{TOKENS} 99 has 99 left, and the next call can take 100: {LOWER}"),
        ({"max_tokens": 300, "spent_tokens": 200}, ""),
        (
            {"max_tokens": 300, "spent_tokens": 201},
            f"{TOKENS} 300 has 99 left, and the next call can take 100: {LOWER}",
        ),
        ({"max_tokens": 300, "spent_tokens": 299}, f"{TOKENS} 300 has 1 left, and the next call can take 100: {LOWER}"),
        ({"max_tokens": 300, "spent_tokens": 300}, f"{TOKENS} 300 is spent"),
        ({"max_tokens": 300, "spent_tokens": 301}, f"{TOKENS} 300 is spent"),
        ({"max_usd": 0.25}, ""),
        ({"max_usd": 0.2}, f"{USD} 0.2 has 0.2 left, and the next call can cost 0.25: {LOWER}"),
        ({"max_usd": 1.0, "spent_usd": 0.75}, ""),
        ({"max_usd": 1.0, "spent_usd": 0.8}, f"{USD} 1 has 0.2 left, and the next call can cost 0.25: {LOWER}"),
        ({"max_usd": 1.0, "spent_usd": 1.0}, f"{USD} 1 is spent"),
        ({"max_usd": 1.0, "spent_usd": 1.5}, f"{USD} 1 is spent"),
    ],
)
def test_each_bound_on_both_sides_and_its_words(values: dict[str, Any], reason: str) -> None:
    assert refused(budget(**values)) == reason


def test_a_refusal_is_raised_and_reported() -> None:
    reasons: list[str] = []
    full = budget(max_calls=1, spent_calls=1, on_spent=reasons.append)
    with pytest.raises(BudgetSpent, match="is spent"):
        full.reserve(ONE)
    assert reasons == ["the budget --max-calls 1 is spent"]
    assert full.in_flight == 0


@pytest.mark.parametrize("cost", [None, 0.0])
def test_a_free_call_is_sent_until_the_money_is_spent_to_the_last(cost: float | None) -> None:
    free = Usage(60, 40, cost)
    assert refused(budget(max_usd=1.0, spent_usd=0.999), free) == ""
    assert refused(budget(max_usd=1.0, spent_usd=1.0), free) == f"{USD} 1 is spent"
    open_one = budget(max_usd=1.0)
    assert open_one.reserve(free) is None
    assert open_one.reserved_usd == 0.0
    open_one.settle(free, free, paid=True)
    assert (open_one.spent_usd, open_one.spent_tokens) == (0.0, 100)


def test_sums_of_fractions_that_are_off_by_a_little_spare_no_call() -> None:
    """Ten cents ten times come to a little less than a dollar, so a little less than a tenth is left for the next."""
    of_ten = budget(max_usd=0.3, spent_usd=0.1 + 0.1)
    assert 0.3 - of_ten.spent_usd < 0.1
    assert refused(of_ten, Usage(1, 1, 0.1)) == ""
    assert refused(of_ten, Usage(1, 1, 0.1 + 1e-6)) != ""


def test_the_time_of_a_session_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started = budget(max_seconds=90.0, started=1000.0)
    for now, reason in ((1000.0, ""), (1089.9, ""), (1090.0, "the budget --max-seconds 90 is spent")):
        monkeypatch.setattr("autodata.models.budget.time.monotonic", lambda now=now: now)
        found = refused(started)
        monkeypatch.undo()
        assert found == reason


@pytest.mark.parametrize(
    ("bounds", "fit"),
    [
        ({"max_calls": 3}, 3),
        ({"max_tokens": 300}, 3),
        ({"max_tokens": 299}, 2),
        ({"max_usd": 0.75}, 3),
        ({"max_usd": 0.74}, 2),
        ({"max_calls": 2, "spent_calls": 1}, 1),
        ({"max_tokens": 300, "spent_tokens": 100}, 2),
        ({"max_usd": 0.75, "spent_usd": 0.25}, 2),
        ({"max_calls": 9, "max_tokens": 9_999, "max_usd": 0.5}, 2),
        ({}, 5),
    ],
)
async def test_a_request_that_finds_no_room_waits_for_those_in_flight(bounds: dict[str, Any], fit: int) -> None:
    shared = budget(**bounds)
    before = (shared.spent_calls, shared.spent_tokens, shared.spent_usd)
    waits = [shared.reserve(ONE) for _ in range(5)]
    assert [wait is None for wait in waits] == [True] * fit + [False] * (5 - fit)
    assert (shared.in_flight, shared.reserved_tokens, shared.reserved_usd) == (fit, 100 * fit, 0.25 * fit)
    shared.settle(ONE, None, paid=False)
    assert all(wait.done() for wait in waits if wait)  # they try again
    assert (shared.in_flight, shared.reserved_tokens, shared.reserved_usd) == (
        fit - 1,
        100 * (fit - 1),
        0.25 * (fit - 1),
    )
    assert (shared.spent_calls, shared.spent_tokens, shared.spent_usd) == before
    assert shared.reserve(ONE) is None


async def test_a_reservation_is_returned_for_what_the_request_took() -> None:
    shared = budget(max_calls=9)
    for _ in range(3):
        assert shared.reserve(ONE) is None
    shared.settle(ONE, Usage(6, 4, 0.125), paid=True)
    assert (shared.in_flight, shared.reserved_tokens, shared.reserved_usd) == (2, 200, 0.5)
    assert (shared.spent_calls, shared.spent_tokens, shared.spent_usd) == (1, 10, 0.125)
    shared.settle(ONE, ONE, paid=False)  # no reply came, and it may be billed
    assert (shared.spent_calls, shared.spent_tokens, shared.spent_usd) == (1, 110, 0.375)
    shared.settle(ONE, Usage(1, 1), paid=True)
    assert (shared.spent_calls, shared.spent_tokens, shared.spent_usd) == (2, 112, 0.375)
    assert (shared.in_flight, shared.reserved_tokens, shared.reserved_usd) == (0, 0, 0.0)


async def test_with_nothing_in_flight_nothing_is_reserved() -> None:
    shared, odd = budget(), [Usage(1, 1, cost) for cost in (0.1, 0.2, 0.3)]
    for most in odd:
        shared.reserve(most)
    for most in odd:
        shared.settle(most, None, paid=False)
    assert shared.reserved_usd == 0.0
    assert (0.1 + 0.2 + 0.3) - 0.1 - 0.2 - 0.3 != 0.0


async def test_who_gave_up_waiting_is_passed_over() -> None:
    shared = budget(max_calls=1)
    shared.reserve(ONE)
    gone, patient = shared.reserve(ONE), shared.reserve(ONE)
    assert gone
    assert patient
    gone.cancel()
    shared.settle(ONE, None, paid=False)
    assert (gone.cancelled(), patient.done()) == (True, True)
    shared.reserve(ONE)
    shared.settle(ONE, None, paid=False)  # nobody waits any more


@pytest.mark.parametrize(
    ("content", "tokens"),
    [("", 0), ("a", 1), ("abc", 1), ("abcd", 2), ("\u4e2d", 1), ("\u4e2d\u6587", 2), ("\ud800", 1)],
)
def test_a_prompt_is_taken_for_a_token_every_three_bytes(content: str, tokens: int) -> None:
    settings = ModelSettings(model="m", max_tokens=50, price_in=1.0, price_out=2.0)
    found = ceiling(settings, [{"role": "user", "content": content}])
    assert (found.tokens_in, found.tokens_out) == (tokens, 50)
    assert found.usd == pytest.approx((tokens + 100) / 1e6)


def test_what_was_not_reported_is_charged_at_the_most_it_can_have_been() -> None:
    settings = ModelSettings(model="m", price_in=1.0, price_out=2.0)
    for known_in, known_out, tokens_in, tokens_out in (
        (None, None, 60, 40),
        (6, None, 6, 40),
        (None, 4, 60, 4),
        (0, 0, 0, 0),
    ):
        found = charged(known_in, known_out, ONE, settings)
        assert (found.tokens_in, found.tokens_out) == (tokens_in, tokens_out)
        assert found.usd == pytest.approx((tokens_in + 2 * tokens_out) / 1e6)
    assert price(settings, 1_000_000, 1_000_000) == 3.0


def test_a_count_that_no_column_could_hold_is_unknown() -> None:
    for count, known in ((2**63 - 1, True), (2**63, False), (0, False), (-1, False), (True, False), (1.0, False)):
        found, _ = reported_usage({"input_tokens": count, "output_tokens": 1}, text="x", truncated=False)
        assert found == (count if known else None)
