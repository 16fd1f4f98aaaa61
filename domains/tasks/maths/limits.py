"""How much work one question of mathematics may take, and what is raised where there is no value or no sure one."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

MOST_BITS = 60_000
"""Longest number that is worked with."""
MOST_PRECISION = 20_000
"""Bits to which an expression of roots is worked out at most; one with other functions, a fifth of it."""
MOST_WORK = 60_000
"""Operations of one question, each counted by its precision in 256 bits."""


class TooMuch(Exception):
    """A value that is too large, or too long to work out."""


class NoValue(Exception):
    """An expression without a value, such as a division by zero."""


class Doubtful(Exception):
    """An expression whose value is a matter of convention, such as an odd root of a negative number."""


@dataclass
class Work:
    """The work that is left for one question."""

    left: int = MOST_WORK
    seed: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - fixed points

    def take(self, precision: int = 0) -> None:
        """Count one operation at a precision in bits. Raises TooMuch when no work is left."""
        self.left -= 1 + precision // 256
        if self.left < 0:
            raise TooMuch("work")


Point = Mapping[str, Fraction]
