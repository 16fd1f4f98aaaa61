"""Two expressions at numbers in place of their names: numbers of both signs and of many magnitudes."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from fractions import Fraction

from autodata.domains.tasks.maths.difference import Apart, difference, in_mpmath, nearly_equal
from autodata.domains.tasks.maths.exact import rational
from autodata.domains.tasks.maths.limits import Doubtful, NoValue, Point, TooMuch, Work
from autodata.domains.tasks.maths.numeric import Numeric
from autodata.domains.tasks.maths.trees import Tree, names

ENOUGH_POINTS = 6


class Sampled:
    """Two expressions at numbers in place of their names."""

    def __init__(self, one: Tree, other: Tree, free: list[str], work: Work) -> None:
        self._one, self._other, self._free, self._work = one, other, free, work
        self._at: list[tuple[Point, Apart]] = []
        self._doubt = False
        for point in _points(free, (one, other), work.seed):
            apart = self._apart(point)
            if apart is not None:
                self._at.append((point, apart))

    @property
    def agree(self) -> bool:
        """Whether the two are the same wherever both have a value, and have one often enough."""
        between = sum(any(value.denominator > 1 for value in point.values()) for point, _ in self._at)
        same = between >= ENOUGH_POINTS and not self._doubt
        return same and all(apart.zero and apart.surely for _, apart in self._at)

    def never_agree(self) -> bool:
        """Whether the two differ, and by a product of powers of their names, or by a factor."""
        sure = [(point, apart) for point, apart in self._at if apart.surely]
        if self._doubt or len(sure) < ENOUGH_POINTS or any(apart.zero for _, apart in sure):
            return False
        ratios = [apart.ratio for _, apart in sure]
        if None not in ratios and all(nearly_equal(ratio, ratios[0]) for ratio in ratios):
            return True
        return all(self._goes_as_a_power(name, sure[:3]) for name in self._free)

    def _goes_as_a_power(self, name: str, points: list[tuple[Point, Apart]]) -> bool:
        factors = []
        for point, apart in points:
            doubled = self._apart({**point, name: 2 * point[name]})
            if doubled is None or not doubled.surely or doubled.zero:
                return False
            factors.append(in_mpmath(doubled.value) / in_mpmath(apart.value))
        return all(nearly_equal(factor, factors[0]) for factor in factors)

    def may_be_a_family(self) -> bool:
        """Whether both are linear in a name that counts: then they may name the same values one after another."""
        return all(_is_linear(tree, name) for tree in (self._one, self._other) for name in self._free)

    def _apart(self, point: Point) -> Apart | None:
        try:
            return difference(self._one, self._other, point, self._work)
        except NoValue:
            return None
        except Doubtful:
            self._doubt = self._doubt or not self._both_doubtful(point)
            return None

    def _both_doubtful(self, point: Point) -> bool:
        def doubtful(tree: Tree) -> bool:
            try:
                Numeric(256, point, self._work).value(tree)
            except Doubtful:
                return True
            except (NoValue, TooMuch):
                return False
            return False

        return doubtful(self._one) and doubtful(self._other)


def _is_linear(tree: Tree, name: str) -> bool:
    """Whether a name stands in a tree in sums and products alone, to the first power."""
    if name not in names(tree) or tree[0] == "name":
        return True
    if tree[0] == "sum":
        return all(_is_linear(part, name) for part in tree[1:])
    if tree[0] == "product":
        return sum(name in names(part) for part in tree[1:]) == 1 and all(_is_linear(part, name) for part in tree[1:])
    return tree[0] == "quotient" and name not in names(tree[2]) and _is_linear(tree[1], name)


def _points(free: list[str], trees: tuple[Tree, ...], rng: random.Random) -> Iterator[Point]:
    """Numbers for names: of both signs, small, large, beyond every number in the trees, and whole."""
    numbers: list[Fraction] = [abs(value) for tree in trees for value in _numbers(tree)]
    beyond = Fraction(2 * math.ceil(max([Fraction(1), *numbers])) ** 2)
    for first, second in ((1, 1), (1, 1), (-1, -1), (1, -1), (-1, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)):
        signs = [first, second, *rng.choices((1, -1) if first != second else (first,), k=len(free))]
        yield {
            name: sign * Fraction(rng.randrange(129, 8191, 2), 1024) for name, sign in zip(free, signs, strict=False)
        }
    for scale in (Fraction(1, 2**30), Fraction(2**30), beyond):
        for sign in (1, -1):
            yield {name: sign * scale * Fraction(rng.randrange(1025, 2047, 2), 1024) for name in free}
    for low in (2, 3, 4, 5):
        yield {name: Fraction(low + 2 * rng.randrange(3)) for name in free}


def _numbers(tree: Tree) -> Iterator[Fraction]:
    with contextlib.suppress(TooMuch, NoValue, Doubtful):
        if (value := rational(tree, {}, Work(2000))) is not None:
            if value.numerator.bit_length() < 2000:
                yield value
            return
    for part in tree[1:]:
        if isinstance(part, tuple):
            yield from _numbers(part)
