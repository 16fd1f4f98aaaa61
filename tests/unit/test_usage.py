"""What calls took adds up, and what nobody counted adds nothing."""

from __future__ import annotations

import pytest

from autodata.checkpoints.usage import Usage


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Usage(), Usage(), Usage()),
        (Usage(), Usage(3, 4, 0.5, calls=1), Usage(3, 4, 0.5, calls=1)),
        (Usage(3, None, 0.5, calls=1), Usage(2, 5, None, calls=2), Usage(5, 5, 0.5, calls=3)),
        (Usage(0, 0, 0.0), Usage(), Usage(0, 0, 0.0)),
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
