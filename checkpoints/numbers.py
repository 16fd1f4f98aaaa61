"""The numbers that are particular to a text, and whether a question holds one of its document's."""

from __future__ import annotations

import re
from decimal import Decimal

_NUMBER = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\d)")


def particular_numbers(text: str) -> set[Decimal]:
    """Return the numbers of a text with at least two significant digits: 1,250 and 0.35, but neither 300 nor 0.05."""
    found = (match.group(0).replace(",", "") for match in _NUMBER.finditer(text))
    return {Decimal(number).normalize() for number in found if _significant(number) >= 2}


def tied_to_numbers(question: str, text: str) -> bool:
    """Return whether a question holds a number of at least two significant digits that stands in its document."""
    numbers = particular_numbers(question)
    return bool(numbers) and bool(numbers & particular_numbers(text))


def _significant(number: str) -> int:
    whole, point, _ = number.partition(".")
    return len(number.replace(".", "").lstrip("0") if point else whole.strip("0"))
