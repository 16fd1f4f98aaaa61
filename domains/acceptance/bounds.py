"""Bounds on figures: how they are written in a configuration, read, and held against an exact number."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer

Sign = Literal["<", "<=", ">", ">="]

_OPERATORS: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Bound:
    """One comparison against a number, for instance `< 0.50`."""

    sign: Sign
    number: Fraction

    def holds(self, value: Fraction) -> bool:
        """Whether a value lies within the bound."""
        return _OPERATORS[self.sign](value, self.number)

    def __str__(self) -> str:
        """Return the bound as it is written in a configuration, with every digit it has."""
        digits = f"{Decimal(self.number.numerator) / self.number.denominator:f}"
        whole, _, places = digits.partition(".")
        return f"{self.sign} {whole}.{places:0<2}"


def decimal(value: Fraction, places: int = 4) -> str:
    """Return a fraction as a short decimal, for people."""
    text = f"{float(value):.{places}f}".rstrip("0")
    return text + "0" * max(0, 2 - len(text.partition(".")[2]))


def _read_bound(value: object) -> object:
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*", value)):
        sign: Any = match.group(1)
        return Bound(sign, Fraction(Decimal(match.group(2))))
    if isinstance(value, Bound):
        return value
    raise ValueError(f"{value!r} is no bound: write for instance '< 0.50' or '>= 0.65'")


def read_bound(text: str) -> Bound:
    """Return the bound that a text such as `<= 0.65` or `>= 3` states. Raises ValueError when it states none."""
    bound = _read_bound(text)
    assert isinstance(bound, Bound)
    return bound


def _read_bounds(value: object) -> object:
    return tuple(_read_bound(item) for item in (value if isinstance(value, list | tuple) else [value]))


Bounds = Annotated[
    tuple[Bound, ...],
    BeforeValidator(_read_bounds),
    PlainSerializer(lambda bounds: [str(bound) for bound in bounds], return_type=list[str]),
]
