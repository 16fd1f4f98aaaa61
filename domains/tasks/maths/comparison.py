"""Whether two answers are the same value: the verdict of code, or none."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

from autodata.domains.tasks.maths.difference import Apart, difference, in_mpmath
from autodata.domains.tasks.maths.limits import Doubtful, NoValue, TooMuch, Work
from autodata.domains.tasks.maths.numeric import PIECEWISE
from autodata.domains.tasks.maths.readings import Side, readings
from autodata.domains.tasks.maths.sampling import Sampled
from autodata.domains.tasks.maths.tokens import TRIGONOMETRIC, Unreadable, alike
from autodata.domains.tasks.maths.trees import (
    CONSTANTS,
    Tree,
    has,
    holds_commutator,
    is_integer,
    may_not_commute,
    names,
    order,
)
from autodata.domains.tasks.maths.wrapping import unwrapped

Same = Literal["equal", "different"]
NEAR = Fraction(1, 100)
"""A decimal nearer than this to another value, relatively, may be a rounded one."""

_DATE_OR_RANGE = re.compile(r"\s*[\d.]+(?:\s*[-–−]\s*[\d./]+)+\s*|\s*\d+(?:\s*/\s*\d+){2,}\s*")
_UNCERTAIN = re.compile(r"\d\s*\(\s*\d+\s*\)")
"""Digits in brackets behind a number: an uncertainty as in 1.23(4), a footnote, or a product."""
_ARBITRARY = frozenset({"A", "B", "C", "D", "K", "c", "k"})
"""Names of constants that a solution leaves open: twice such a constant is another one."""
_COUNTERS = frozenset("jklmnKMN")
"""Names of integers that a family of values runs over."""


def answer_key(text: str) -> tuple[str, ...]:
    """Return what answers written alike have in common: their tokens without wrapping."""
    return alike(unwrapped(text))


def compare(reference: str, answer: str) -> Same | None:
    """Return whether two answers are the same value, or None when that takes a judge. Blocks; call it from a thread.

    Written alike is equal. Otherwise both must be plain scalar expressions, perhaps of one name (`x = 5/3`), and the
    verdict must hold under each meaning of their notation. Different is said only where the two can never agree,
    whatever values their names stand for.
    """
    sides = unwrapped(reference), unwrapped(answer)
    if (key := alike(sides[0])) and key == alike(sides[1]):
        return "equal"
    if any(_DATE_OR_RANGE.fullmatch(side) or _UNCERTAIN.search(side) for side in sides):
        return None
    work = Work()
    verdicts: set[Same | None] = set()
    try:
        for wanted, given in readings(*sides):
            verdicts.add(_compared(wanted, given, work))
            if None in verdicts or len(verdicts) > 1:
                return None
    except (Unreadable, TooMuch):
        return None
    return verdicts.pop() if verdicts else None


def _compared(wanted: Side, given: Side, work: Work) -> Same | None:  # noqa: PLR0911 - one reason a line
    if wanted.about and given.about and wanted.about != given.about:
        return None
    one, other = wanted.tree, given.tree
    held = names(one) | names(other)
    if (may_not_commute(held) and order(one) != order(other)) or holds_commutator(one) or holds_commutator(other):
        return None
    if any(_is_in_degrees(tree) for tree in (one, other)):
        return None
    free = sorted(held - CONSTANTS)
    rounded = has(one, _is_decimal) or has(other, _is_decimal)
    if not free:
        return _constants(one, other, rounded, work)
    found = Sampled(one, other, free, work)
    if found.agree:
        return None if any(has(tree, test) for tree in (one, other) for test in (_is_piecewise, _is_bent)) else "equal"
    if rounded or names(one) - CONSTANTS != names(other) - CONSTANTS:
        return None
    if has(one, _is_applied) or has(other, _is_applied) or has(one, _is_inverse) or has(other, _is_inverse):
        return None
    heads = {name.partition("_")[0] for name in free}
    if heads & _ARBITRARY or (heads & _COUNTERS and found.may_be_a_family()):
        return None
    return "different" if found.never_agree() else None


def _constants(one: Tree, other: Tree, rounded: bool, work: Work) -> Same | None:
    try:
        apart = difference(one, other, {}, work)
    except (NoValue, Doubtful):
        return None
    if apart is None or not apart.surely:
        return None
    if apart.zero:
        return "equal"
    if any(has(tree, test) for tree in (one, other) for test in (_is_inverse, _is_applied)):
        return None
    if rounded and (
        apart.relative < NEAR or apart.ratio in _GROUPED or _is_rounded(one, apart) or _is_rounded(other, apart)
    ):
        return None
    half_turn = {"pi"} & (names(one) ^ names(other))
    return None if half_turn and apart.in_degrees else "different"


def _is_decimal(tree: Tree) -> bool:
    return tree[0] == "num" and bool(tree[2])


_GROUPED = [Fraction(1000) ** power for power in (-3, -2, -1, 1, 2, 3)]
"""One value by the other where a dot that groups digits, as in 1.234, was read as a decimal point."""


def _is_rounded(tree: Tree, apart: Apart) -> bool:
    """Whether a side is one decimal, and the other side rounds to it."""
    if tree[0] != "num" or not tree[2]:
        return False
    size, unit = abs(tree[1]), Fraction(1)
    while (size / unit).denominator > 1:
        unit /= 10
    gap = in_mpmath(abs(apart.value))
    return bool(gap <= in_mpmath(unit / 2))


def _is_bent(tree: Tree) -> bool:
    """Whether a magnitude is taken of a sum: between two of its bends there may be no sample."""
    if tree[:2] == ("call", "abs"):
        return has(tree[2], _is_sum_with_names)
    even = tree[:2] == ("call", "root") and tree[2][0] == "power" and is_integer(tree[2][2]) and tree[2][2][1] % 2 == 0
    return even and has(tree[2][1], _is_sum_with_names)


def _is_sum_with_names(tree: Tree) -> bool:
    return bool(tree[0] == "sum" and names(tree) - CONSTANTS)


def _is_piecewise(tree: Tree) -> bool:
    return bool(tree[0] == "call" and tree[1] in PIECEWISE and names(tree) - CONSTANTS)


def _is_applied(tree: Tree) -> bool:
    return bool(tree[0] == "applied")


def _is_inverse(tree: Tree) -> bool:
    """An angle, which may be in degrees."""
    return tree[0] == "call" and tree[1].removeprefix("a") in TRIGONOMETRIC and tree[1][0] == "a"


def _is_in_degrees(tree: Tree) -> bool:
    """Whether a trigonometric function is taken of a number that looks like degrees."""
    return has(tree, lambda part: part[0] == "call" and part[1] in TRIGONOMETRIC and _whole(part[2]))


def _whole(tree: Tree) -> bool:
    return not names(tree) and has(tree, lambda part: part[0] == "num" and abs(part[1]) >= 10)
