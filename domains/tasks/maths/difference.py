"""The difference of two expressions at given numbers: nothing or something, and whether that is sure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata.domains.tasks.maths.bounds import bits_needed
from autodata.domains.tasks.maths.exact import rational
from autodata.domains.tasks.maths.limits import Point, TooMuch, Work
from autodata.domains.tasks.maths.numeric import Numeric, arithmetic
from autodata.domains.tasks.maths.trees import Tree


@dataclass(frozen=True)
class Apart:
    """How two values lie to one another: the same (`zero`) or not, and whether that is sure."""

    zero: bool
    surely: bool
    value: Any = 0
    """The difference, a number of mpmath or a fraction."""
    ratio: Any = None
    relative: Fraction = Fraction(0)
    in_degrees: bool = False
    """Whether one value is the other in degrees."""


def difference(one: Tree, other: Tree, point: Point, work: Work) -> Apart | None:
    """Return how two expressions lie to one another at a point; None where that is beyond what is worked out."""
    try:
        exact = rational(one, point, work), rational(other, point, work)
        if exact[0] is not None and exact[1] is not None:
            apart = exact[0] - exact[1]
            ratio = exact[0] / exact[1] if exact[1] else None
            size = max(abs(exact[0]), abs(exact[1]), key=abs)
            return Apart(not apart, True, apart, ratio, abs(apart) / size if size else Fraction(0))
        both = ("sum", one, ("product", ("num", Fraction(-1), False), other))
        return _approximate(one, other, bits_needed(both, point, work), point, work)
    except TooMuch:
        if work.left < 0:
            raise
        return None


def _approximate(one: Tree, other: Tree, bits: int, point: Point, work: Work) -> Apart:
    found = []
    for precision in (bits + 128, 2 * bits + 256):
        numeric = Numeric(precision, point, work)
        values = numeric.value(one), numeric.value(other)
        apart = values[0] - values[1]
        noise = numeric.largest * numeric.mp.mpf(2) ** (64 - numeric.mp.prec)
        found.append((apart, abs(apart) <= noise))
        if found[-1][1] and numeric.deepest > numeric.mp.prec / 2:
            raise TooMuch("perhaps no difference, perhaps one too small to see")
        if not found[-1][1] and abs(apart) > max(abs(values[0]), abs(values[1])) * numeric.mp.mpf(2) ** -20:
            found.append(found[-1])  # far apart: no second look
            break
    (first, _), (second, nothing) = found[0], found[-1]
    size = max(abs(values[0]), abs(values[1]))
    zero = all(none for _, none in found)
    stable = bool(abs(first - second) <= abs(second) / 1000)
    relative = Fraction(1) if not size else Fraction(int(min(abs(second) / size, 4) * 10**12), 10**12)
    ratio = values[0] / values[1] if values[1] else None
    turn = numeric.mp.pi / 180
    degrees = ratio is not None and any(abs(ratio * k - 1) < 1e-9 for k in (turn, 1 / turn))
    return Apart(zero, zero or (not nothing and stable), second, ratio, relative, degrees)


def nearly_equal(one: Any, other: Any) -> bool:
    """Whether two numbers, each a fraction or one of mpmath, are the same to 20 digits."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    one, other = in_mpmath(one), in_mpmath(other)
    return bool(abs(one - other) <= abs(other) * 1e-20)


def in_mpmath(value: Any) -> Any:
    """Return a fraction, or a number of mpmath, as a number of mpmath of 512 bits."""
    mp = arithmetic(512)
    return mp.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else mp.convert(value)
