"""Rational values: what an expression is worth, exactly, where that is easy to see."""

from __future__ import annotations

import math
from fractions import Fraction

from autodata.domains.tasks.maths.limits import MOST_BITS, Doubtful, NoValue, Point, TooMuch, Work
from autodata.domains.tasks.maths.trees import Tree


def rational(tree: Tree, point: Point, work: Work) -> Fraction | None:  # noqa: PLR0911 - one answer a case
    """Return the value of an expression where it is rational and that is easy to see, else None."""
    work.take()
    kind = tree[0]
    if kind == "num":
        return _bounded(tree[1])
    if kind == "name":
        return point.get(tree[1])
    values = [rational(part, point, work) for part in tree[1:] if isinstance(part, tuple)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    if kind == "sum":
        return _bounded(sum(known, Fraction(0)))
    if kind == "product":
        return _bounded(math.prod(known, start=Fraction(1)))
    if kind == "quotient":
        return _bounded(known[0] / known[1]) if known[1] else _nothing("a division by zero")
    if kind == "power":
        return _power(known[0], known[1])
    if kind == "call":
        return _called(tree[1], known)
    return None


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS:
        raise TooMuch("a number")
    return value


def _nothing(what: str) -> Fraction:
    raise NoValue(what)


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if not base:
        return Fraction(0) if exponent > 0 else _nothing("zero to a power that is not positive")
    if base < 0 and exponent.denominator % 2 and exponent.denominator > 1:
        raise Doubtful("an odd root of a negative number")
    if exponent.denominator > 64:
        return None
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(base) != 1 and abs(exponent) * size > MOST_BITS:
        raise TooMuch("a power")
    if exponent.denominator == 1:
        return base ** int(exponent) if abs(base) != 1 or abs(exponent) < MOST_BITS else base ** (int(exponent) % 2)
    roots = [_root(part, exponent.denominator) for part in (base.numerator, base.denominator)] if base > 0 else [None]
    if None in roots:
        return None
    return Fraction(*(part for part in roots if part is not None)) ** exponent.numerator


def _root(value: int, degree: int) -> int | None:
    """Return the root of a positive integer, if it is one."""
    if degree == 2:
        found = math.isqrt(value)
    else:
        found = 1 << -(-value.bit_length() // degree)  # Newton's steps from above
        while (lower := ((degree - 1) * found + value // found ** (degree - 1)) // degree) < found:
            found = lower
    return found if found**degree == value else None


def _called(name: str, args: list[Fraction]) -> Fraction | None:  # noqa: PLR0911 - one answer a function
    whole = [int(arg) for arg in args if arg.denominator == 1]
    if name == "root":
        return _power(args[0], 1 / args[1]) if args[1] else _nothing("a root of degree zero")
    if name == "abs":
        return abs(args[0])
    if name in {"floor", "ceil"}:
        return Fraction(math.floor(args[0]) if name == "floor" else math.ceil(args[0]))
    if name in {"min", "max"}:
        return min(args) if name == "min" else max(args)
    if name in {"gcd", "lcm"}:
        if len(whole) < len(args):
            raise NoValue(name)
        return Fraction(math.gcd(*whole) if name == "gcd" else math.lcm(*whole))
    if name == "factorial" and whole:
        if whole[0] < 0:
            raise NoValue("a factorial of a negative number")
        return Fraction(math.factorial(whole[0])) if whole[0] <= 3000 else _too_large(name)
    if name == "binomial" and len(whole) == 2 and whole[0] >= 0:
        if max(map(abs, whole)) > 3000:
            raise TooMuch(name)
        return Fraction(math.comb(whole[0], whole[1])) if whole[1] >= 0 else Fraction(0)
    return None


def _too_large(what: str) -> Fraction:
    raise TooMuch(what)
