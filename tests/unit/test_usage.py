"""What calls took adds up, and what nobody counted adds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.usage import usage_by_role, usage_of_all
from autodata.checkpoints.usage import Usage


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Usage(), Usage(), Usage()),
        (Usage(), Usage(3, 4, 0.5, calls=1), Usage(3, 4, 0.5, calls=1)),
        (Usage(3, None, 0.5, calls=1), Usage(2, 5, None, calls=2), Usage(5, 5, 0.5, calls=3)),
        (Usage(0, 0, 0.0), Usage(), Usage(0, 0, 0.0)),
        (
            Usage(8, tokens_cached=2, tokens_reasoning=5, cache_known_in=8, unanswered=1),
            Usage(10, tokens_cached=None, unanswered=2),
            Usage(18, tokens_cached=2, tokens_reasoning=5, cache_known_in=8, unanswered=3),
        ),
    ],
)
def test_what_is_not_known_adds_nothing_and_stays_unknown_only_with_its_like(
    one: Usage, other: Usage, both: Usage
) -> None:
    assert one + other == other + one == both
    assert both.tokens == one.tokens + other.tokens


def test_a_row_of_the_ledger_is_a_usage() -> None:
    row = {"role": "judge", "calls": 2, "tokens_in": 10, "tokens_out": None, "cost_usd": 0.25}
    assert Usage.of_row(row) == Usage(10, None, 0.25, calls=2)
    assert Usage.of_row({}) == Usage()
    counted = {"tokens_cached": 4, "tokens_reasoning": 3, "cache_known_in": 8, "timed_out": 2, "cancelled": 1}
    assert Usage.of_row(row | counted) == Usage(10, None, 0.25, 2, 4, 3, 8, unanswered=3)


def test_the_cached_share_is_of_the_prompts_whose_cache_is_known() -> None:
    counted, silent = Usage(100, tokens_cached=25, cache_known_in=100), Usage(900)
    assert (counted + silent).cached_share == counted.cached_share == 0.25
    assert silent.cached_share is None
    assert Usage(100, tokens_cached=0, cache_known_in=100).cached_share == 0.0
    assert Usage(0, tokens_cached=0, cache_known_in=0).cached_share is None


async def test_usage_by_role_counts_calls_and_what_may_be_billed_of_one_thread(tmp_path: Path) -> None:
    call = {"role": "judge", "model": "m", "response": "x", "created_at": "now", "tokens_out": 1}
    asked = {"role": "judge", "model": "m", "created_at": "now"}
    async with Ledger.open(tmp_path / "run.db") as ledger:
        await ledger.save(
            calls=[
                call | {"key": "a", "thread_id": "t", "tokens_in": 10, "tokens_cached": 4},
                call | {"key": "b", "thread_id": "t", "tokens_in": 90},
                call | {"key": "c", "thread_id": "other", "tokens_in": 7, "tokens_reasoning": 2},
            ],
            timeouts=[
                asked | {"timeout_id": "1", "thread_id": "t"},
                asked | {"timeout_id": "2", "thread_id": "t", "role": "weak_solver", "cause": "cancelled"},
            ],
        )
        judge, solver = await usage_by_role(ledger, "t")
        assert Usage.of_row(judge) == Usage(100, 2, calls=2, tokens_cached=4, cache_known_in=10, unanswered=1)
        assert (judge["cached_share"], judge["tokens_reasoning"]) == (0.4, None)
        assert (solver["calls"], solver["timed_out"], solver["cancelled"], solver["tokens_in"]) == (0, 0, 1, None)
        every = await usage_of_all(ledger)
        assert Usage.of_row(every) == sum(map(Usage.of_row, await usage_by_role(ledger)), Usage())
        assert (every["calls"], every["tokens_in"], every["timed_out"], every["cancelled"]) == (3, 107, 1, 1)
