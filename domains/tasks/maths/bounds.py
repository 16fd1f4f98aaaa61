"""To how many bits two values must be worked out before no difference means that they are the same.

For roots there is a bound below which a difference can only be zero (Burnikel, Funke, Mehlhorn, Schirra and Schmitt,
2009); other values are worked out to more digits than the expressions hold.
"""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction

from autodata.domains.tasks.maths.exact import rational
from autodata.domains.tasks.maths.limits import MOST_BITS, MOST_PRECISION, Doubtful, NoValue, Point, TooMuch, Work
from autodata.domains.tasks.maths.trees import Tree, has


def bits_needed(tree: Tree, point: Point, work: Work) -> int:
    """Return to how many bits a difference must be worked out before nothing means zero."""
    try:
        over, under, radicals = _bound(tree, point, work)
        degree = math.prod(radicals.values())
        bits, most = (degree - 1) * over + under, MOST_PRECISION
    except _Transcendental:
        bits, most = 128 + 4 * _size(tree, work), MOST_PRECISION // 5
    if bits > most:
        raise TooMuch("precision")
    return bits


class _Transcendental(Exception):
    """An expression with more than sums, products, quotients and roots."""


def _bound(  # noqa: PLR0912 - one case a kind
    tree: Tree, point: Point, work: Work
) -> tuple[int, int, dict[Tree, int]]:
    """Return bounds, as logarithms to base 2, on numerator and denominator of a number and all its conjugates.

    The third value names the roots in it, with their degrees: the number's own degree is at most their product.
    """
    work.take()
    if (value := rational(tree, point, work)) is not None:
        return value.numerator.bit_length(), value.denominator.bit_length(), {}
    if tree == ("name", "i"):
        return 0, 0, {tree: 2}
    if (tree[0] == "call" and tree[1] in {"root", "abs"}) or tree[0] == "power":
        over, under, radicals = _bound(tree[2 if tree[0] == "call" else 1], point, work)
        if tree[0] == "call" and tree[1] == "abs":
            if has(tree, lambda part: part == ("name", "i")):
                raise _Transcendental
            return over, under, radicals
        exponent = _exponent(tree, point, work)
        if exponent < 0:
            over, under, exponent = under, over, -exponent
        degree = exponent.denominator
        if degree > 1:
            radicals = {**radicals, (tree, degree): degree}
            low = min(over, under)
            high = -(-(max(over, under) + low * (degree - 1)) // degree)
            over, under = (high, low) if over >= under else (low, high)
        return over * exponent.numerator, under * exponent.numerator, radicals
    if tree[0] not in {"sum", "product", "quotient"}:
        raise _Transcendental
    over, under, radicals = _bound(tree[1], point, work)
    for part in tree[2:]:
        next_over, next_under, more = _bound(part, point, work)
        radicals = {**radicals, **more}
        if tree[0] == "sum":
            over, under = max(over + next_under, under + next_over) + 1, under + next_under
        elif tree[0] == "product":
            over, under = over + next_over, under + next_under
        else:
            over, under = over + next_under, under + next_over
        if over + under > 4 * MOST_PRECISION:
            raise TooMuch("a bound")
    return over, under, radicals


def _exponent(tree: Tree, point: Point, work: Work) -> Fraction:
    """The rational exponent of a power or root. Raises _Transcendental without one."""
    exponent = rational(tree[3] if tree[0] == "call" else tree[2], point, work)
    if exponent is None:
        raise _Transcendental
    if exponent == 0:
        raise NoValue("a root of degree zero") if tree[0] == "call" else _Transcendental
    if abs(exponent.numerator) > MOST_BITS or exponent.denominator > 64:
        raise _Transcendental  # or as good as
    return 1 / exponent if tree[0] == "call" else exponent


def _size(tree: Tree, work: Work) -> int:
    """Return the bits of all numbers in an expression."""
    work.take()
    with contextlib.suppress(NoValue, Doubtful):
        if (value := rational(tree, {}, work)) is not None:
            return value.numerator.bit_length() + value.denominator.bit_length()
    return sum(_size(part, work) for part in tree[1:] if isinstance(part, tuple))
