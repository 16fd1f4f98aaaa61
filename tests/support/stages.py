"""Which stage a test belongs to: `make test` leaves out what is marked slow, `make slow` runs it."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest.mark import ParameterSet


def first_quick(*values: Any, quick: int = 1) -> list[Any]:
    """Return values for a parameter of which the first `quick` are for every stage and the others are slow.

    A tuple stands for the values of several parameters. The ids are those of the bare values.
    """
    return [*values[:quick], *(_slow(value) for value in values[quick:])]


def _slow(value: Any) -> Any:
    if isinstance(value, ParameterSet):
        return pytest.param(*value.values, marks=[*value.marks, pytest.mark.slow], id=value.id)
    return pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.slow)
