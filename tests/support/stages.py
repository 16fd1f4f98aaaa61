"""Which stage a test belongs to: `make test` leaves out what is marked slow, `make slow` runs it."""

from __future__ import annotations

from typing import Any

import pytest


def first_quick(first: Any, *others: Any) -> list[Any]:
    """Return values for a parameter of which the first is for every stage and the others are slow.

    A tuple stands for the values of several parameters. The ids are those of the bare values.
    """
    slow = [
        pytest.param(*(other if isinstance(other, tuple) else (other,)), marks=pytest.mark.slow) for other in others
    ]
    return [first, *slow]
