"""Mathematics on texts from outside: are two answers the same, what is an expression worth.

Code decides for texts written alike and for one plain scalar expression a side (`notation.py` reads it), under every
reading that their notation leaves open; everything else is left to a judge. Rational values are compared exactly, roots
of them too, by a bound below which a difference can only be zero (Burnikel, Funke, Mehlhorn, Schirra and Schmitt,
2009); other values to more digits than the expressions hold; names are replaced by numbers of both signs and of many
magnitudes. The work is bounded by its own count, not by a clock: a verdict is the same on any machine.
"""

from __future__ import annotations

import contextlib
import math
import random
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.util import find_spec
from typing import Any, Literal

from autodata.checkpoints.errors import UserError
from autodata.domains.tasks.notation import (
    TRIGONOMETRIC,
    Side,
    Tree,
    Unreadable,
    alike,
    may_not_commute,
    names,
    order,
    readings,
)

Same = Literal["equal", "different"]

MOST_BITS = 60_000
"""Longest number that is worked with."""
MOST_PRECISION = 20_000
"""Bits to which an expression of roots is worked out at most; one with other functions, a fifth of it."""
MOST_WORK = 60_000
"""Operations of one question, each counted by its precision in 256 bits."""
ENOUGH_POINTS = 6
NEAR = Fraction(1, 100)
"""A decimal nearer than this to another value, relatively, may be a rounded one."""

_DATE_OR_RANGE = re.compile(r"\s*[\d.]+(?:\s*[-–−]\s*[\d./]+)+\s*|\s*\d+(?:\s*/\s*\d+){2,}\s*")  # noqa: RUF001
_BRACE = re.compile(r"\\boxed\s*+\{|\\.|[{}]", re.DOTALL)
_PIECEWISE = frozenset({"floor", "ceil", "min", "max", "gcd", "lcm"})
_BRANCHES = frozenset({"acot", "asec", "acsc", "acoth", "asech", "acsch"})
"""Inverse functions whose values are a matter of convention."""
_CONSTANTS = frozenset({"pi", "e", "i"})
_ARBITRARY = frozenset({"A", "B", "C", "D", "K", "c", "k"})
"""Names of constants that a solution leaves open: twice such a constant is another one."""
_COUNTERS = frozenset("jklmnKMN")
"""Names of integers that a family of values runs over."""


def require_installed() -> None:
    """Raise UserError, naming what to type, when the library of the extra `science` is missing."""
    if find_spec("mpmath") is None:
        raise UserError(
            "comparing and calculating needs a mathematics library: pip install 'autodata-langgraph[science]'"
        )


def unwrapped(text: str) -> str:
    """Return an answer without its wrapping: dollar signs, a box, bold marks, a final full stop."""
    text = _without_marks(text.strip())
    if text.endswith((".", ",")) and not text.endswith(".."):
        text = _without_marks(text[:-1].rstrip())
    for left, right in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("`", "`")):
        inner = text[len(left) : -len(right)]
        if text.startswith(left) and text.endswith(right) and inner and left not in inner and right not in inner:
            text = inner.strip()
    if text.startswith(r"\boxed") and (found := boxes(text)) and found[0][::2] == (0, len(text) - 1):
        return text[found[0][1] : found[0][2]].strip()
    return text


def _without_marks(text: str) -> str:
    """Take off pairs of bold and italic marks: a star on one side alone is a sign of the text."""
    for mark in ("**", "__", "*", "_"):
        inner = text[len(mark) : -len(mark)]
        if text.startswith(mark) and text.endswith(mark) and inner and mark not in inner:
            return inner.strip()
    return text[2:].strip() if text.startswith("**") and text.count("**") == 1 else text.removesuffix("**").strip()


def boxes(text: str) -> list[tuple[int, int, int]]:
    r"""Return each `\boxed{...}`, in order: where it begins, where its content begins, where that ends."""
    opened: list[tuple[int, int] | None] = []
    found: list[tuple[int, int, int]] = []
    for sign in _BRACE.finditer(text):
        if sign[0].startswith(r"\boxed"):
            opened.append(sign.span())
        elif sign[0] == "{":
            opened.append(None)
        elif sign[0] == "}" and opened and (begun := opened.pop()):
            found.append((*begun, sign.start()))
    return sorted(found)


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
    if any(_DATE_OR_RANGE.fullmatch(side) for side in sides):
        return None
    work = _Work()
    verdicts: set[Same | None] = set()
    try:
        for wanted, given in readings(*sides):
            verdicts.add(_compared(wanted, given, work))
            if None in verdicts or len(verdicts) > 1:
                return None
    except (Unreadable, TooMuch):
        return None
    return verdicts.pop() if verdicts else None


def evaluate(expression: str) -> str | None:
    """Return the value of an expression as text, exact and as a decimal; None without one. Blocks, as `compare`."""
    work = _Work()
    found: set[str] = set()
    try:
        for (side,) in readings(expression):
            if side.about or names(side.tree) - _CONSTANTS:
                if any(name.endswith(" as a variable") for name in names(side.tree)):
                    continue  # a calculator knows no variables
                return None
            found.add(_shown(side.tree, work))
    except (Unreadable, TooMuch, NoValue):
        return None
    return found.pop() if len(found) == 1 else None


class TooMuch(Exception):
    """A value that is too large, or too long to work out."""


class NoValue(Exception):
    """An expression without a value, such as a division by zero."""


class Doubtful(Exception):
    """An expression whose value is a matter of convention, such as an odd root of a negative number."""


@dataclass
class _Work:
    """The work that is left for one question."""

    left: int = MOST_WORK
    seed: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - fixed points

    def take(self, precision: int = 0) -> None:
        self.left -= 1 + precision // 256
        if self.left < 0:
            raise TooMuch("work")


Point = Mapping[str, Fraction]


def _compared(wanted: Side, given: Side, work: _Work) -> Same | None:  # noqa: PLR0911 - one reason a line
    if wanted.about and given.about and wanted.about != given.about:
        return None
    one, other = wanted.tree, given.tree
    held = names(one) | names(other)
    if may_not_commute(held) and order(one) != order(other):
        return None
    if any(_is_in_degrees(tree) for tree in (one, other)):
        return None
    free = sorted(held - _CONSTANTS)
    rounded = _has(one, _is_decimal) or _has(other, _is_decimal)
    if not free:
        return _constants(one, other, rounded, work)
    found = _Sampled(one, other, free, work)
    if found.agree:
        return None if _has(one, _is_piecewise) or _has(other, _is_piecewise) else "equal"
    if rounded or names(one) - _CONSTANTS != names(other) - _CONSTANTS:
        return None
    if _has(one, _is_applied) or _has(other, _is_applied) or _has(one, _is_inverse) or _has(other, _is_inverse):
        return None
    heads = {name.partition("_")[0] for name in free}
    if heads & _ARBITRARY or (heads & _COUNTERS and found.may_be_a_family()):
        return None
    return "different" if found.never_agree() else None


def _constants(one: Tree, other: Tree, rounded: bool, work: _Work) -> Same | None:
    try:
        apart = _difference(one, other, {}, work)
    except (NoValue, Doubtful):
        return None
    if apart is None or not apart.surely:
        return None
    if apart.zero:
        return "equal"
    if any(_has(tree, test) for tree in (one, other) for test in (_is_inverse, _is_applied)):
        return None
    if rounded and apart.relative < NEAR:
        return None
    half_turn = {"pi"} & (names(one) ^ names(other))
    return None if half_turn and apart.in_degrees else "different"


def _has(tree: Tree, test: Any) -> bool:
    return bool(test(tree)) or any(_has(part, test) for part in tree[1:] if isinstance(part, tuple))


def _is_decimal(tree: Tree) -> bool:
    return tree[0] == "num" and bool(tree[2])


def _is_piecewise(tree: Tree) -> bool:
    return bool(tree[0] == "call" and tree[1] in _PIECEWISE and names(tree) - _CONSTANTS)


def _is_applied(tree: Tree) -> bool:
    return bool(tree[0] == "applied")


def _is_inverse(tree: Tree) -> bool:
    """An angle, which may be in degrees."""
    return tree[0] == "call" and tree[1].removeprefix("a") in TRIGONOMETRIC and tree[1][0] == "a"


def _is_in_degrees(tree: Tree) -> bool:
    """Whether a trigonometric function is taken of a number that looks like degrees."""
    return _has(tree, lambda part: part[0] == "call" and part[1] in TRIGONOMETRIC and _whole(part[2]))


def _whole(tree: Tree) -> bool:
    return not names(tree) and _has(tree, lambda part: part[0] == "num" and abs(part[1]) >= 10)


@dataclass(frozen=True)
class _Apart:
    """How two values lie to one another: the same (`zero`) or not, and whether that is sure."""

    zero: bool
    surely: bool
    value: Any = 0
    """The difference, a number of mpmath or a fraction."""
    ratio: Any = None
    relative: Fraction = Fraction(0)
    in_degrees: bool = False
    """Whether one value is the other in degrees."""


class _Sampled:
    """Two expressions at numbers in place of their names."""

    def __init__(self, one: Tree, other: Tree, free: list[str], work: _Work) -> None:
        self._one, self._other, self._free, self._work = one, other, free, work
        self._at: list[tuple[Point, _Apart]] = []
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
        if None not in ratios and all(_near(ratio, ratios[0]) for ratio in ratios):
            return True
        return all(self._goes_as_a_power(name, sure[:3]) for name in self._free)

    def _goes_as_a_power(self, name: str, points: list[tuple[Point, _Apart]]) -> bool:
        factors = []
        for point, apart in points:
            doubled = self._apart({**point, name: 2 * point[name]})
            if doubled is None or not doubled.surely or doubled.zero:
                return False
            factors.append(_approached(doubled.value) / _approached(apart.value))
        return all(_near(factor, factors[0]) for factor in factors)

    def may_be_a_family(self) -> bool:
        """Whether both are linear in a name that counts: then they may name the same values one after another."""
        return all(_is_linear(tree, name) for tree in (self._one, self._other) for name in self._free)

    def _apart(self, point: Point) -> _Apart | None:
        try:
            return _difference(self._one, self._other, point, self._work)
        except NoValue:
            return None
        except Doubtful:
            self._doubt = self._doubt or not self._both_doubtful(point)
            return None

    def _both_doubtful(self, point: Point) -> bool:
        def doubtful(tree: Tree) -> bool:
            try:
                _Numeric(256, point, self._work).value(tree)
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
        if (value := _exact(tree, {}, _Work(2000))) is not None:
            if value.numerator.bit_length() < 2000:
                yield value
            return
    for part in tree[1:]:
        if isinstance(part, tuple):
            yield from _numbers(part)


def _difference(one: Tree, other: Tree, point: Point, work: _Work) -> _Apart | None:
    """Return how two expressions lie to one another at a point; None where that is beyond what is worked out."""
    try:
        exact = _exact(one, point, work), _exact(other, point, work)
        if exact[0] is not None and exact[1] is not None:
            apart = exact[0] - exact[1]
            ratio = exact[0] / exact[1] if exact[1] else None
            size = max(abs(exact[0]), abs(exact[1]), key=abs)
            return _Apart(not apart, True, apart, ratio, abs(apart) / size if size else Fraction(0))
        both = ("sum", one, ("product", ("num", Fraction(-1), False), other))
        return _approximate(one, other, _bits(both, point, work), point, work)
    except TooMuch:
        if work.left < 0:
            raise
        return None


def _approximate(one: Tree, other: Tree, bits: int, point: Point, work: _Work) -> _Apart:
    found = []
    for precision in (bits + 128, 2 * bits + 256):
        numeric = _Numeric(precision, point, work)
        values = numeric.value(one), numeric.value(other)
        apart = values[0] - values[1]
        noise = numeric.largest * numeric.mp.mpf(2) ** (64 - numeric.mp.prec)
        found.append((apart, abs(apart) <= noise))
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
    return _Apart(zero, zero or (not nothing and stable), second, ratio, relative, degrees)


def _near(one: Any, other: Any) -> bool:
    """Whether two numbers, each a fraction or one of mpmath, are the same to 20 digits."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    one, other = _approached(one), _approached(other)
    return bool(abs(one - other) <= abs(other) * 1e-20)


def _approached(value: Any) -> Any:
    mp = _arithmetic(512)
    return mp.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else mp.convert(value)


def _bits(tree: Tree, point: Point, work: _Work) -> int:
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
    tree: Tree, point: Point, work: _Work
) -> tuple[int, int, dict[Tree, int]]:
    """Return bounds, as logarithms to base 2, on numerator and denominator of a number and all its conjugates.

    The third value names the roots in it, with their degrees: the number's own degree is at most their product.
    """
    work.take()
    if (value := _exact(tree, point, work)) is not None:
        return value.numerator.bit_length(), value.denominator.bit_length(), {}
    if tree == ("name", "i"):
        return 0, 0, {tree: 2}
    if (tree[0] == "call" and tree[1] in {"root", "abs"}) or tree[0] == "power":
        over, under, radicals = _bound(tree[2 if tree[0] == "call" else 1], point, work)
        if tree[0] == "call" and tree[1] == "abs":
            if _has(tree, lambda part: part == ("name", "i")):
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


def _exponent(tree: Tree, point: Point, work: _Work) -> Fraction:
    """The rational exponent of a power or root. Raises _Transcendental without one."""
    exponent = _exact(tree[3] if tree[0] == "call" else tree[2], point, work)
    if exponent is None:
        raise _Transcendental
    if exponent == 0:
        raise NoValue("a root of degree zero") if tree[0] == "call" else _Transcendental
    if abs(exponent.numerator) > MOST_BITS or exponent.denominator > 64:
        raise _Transcendental  # or as good as
    return 1 / exponent if tree[0] == "call" else exponent


def _size(tree: Tree, work: _Work) -> int:
    """Return the bits of all numbers in an expression."""
    work.take()
    with contextlib.suppress(NoValue, Doubtful):
        if (value := _exact(tree, {}, work)) is not None:
            return value.numerator.bit_length() + value.denominator.bit_length()
    return sum(_size(part, work) for part in tree[1:] if isinstance(part, tuple))


def _exact(tree: Tree, point: Point, work: _Work) -> Fraction | None:  # noqa: PLR0911 - one answer a case
    """Return the value of an expression where it is rational and that is easy to see, else None."""
    work.take()
    kind = tree[0]
    if kind == "num":
        return _bounded(tree[1])
    if kind == "name":
        return point.get(tree[1])
    values = [_exact(part, point, work) for part in tree[1:] if isinstance(part, tuple)]
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


def _called(name: str, args: list[Fraction]) -> Fraction | None:  # noqa: PLR0911
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


_arithmetics = threading.local()
"""For each thread its contexts of mpmath by precision: they keep constants and coefficients that are slow to find."""


def _arithmetic(precision: int) -> Any:
    import mpmath  # noqa: PLC0415 - of the extra `science`

    known: dict[Any, Any] = _arithmetics.__dict__
    if precision not in known:
        known[precision] = mpmath.MPContext()
        known[precision].prec = precision
    return known[precision]


class _Numeric:
    """Values to a precision in bits, of an arithmetic of its own; `largest` is the largest magnitude on the way."""

    def __init__(self, precision: int, point: Point, work: _Work) -> None:
        precision = -(-precision // 256) * 256
        self.mp = _arithmetic(precision)
        self.largest: Any = self.mp.mpf(0)
        self._point, self._work, self._precision = point, work, precision

    def value(self, tree: Tree) -> Any:
        """Return the value of a tree. Raises NoValue, Doubtful and TooMuch."""
        self._work.take(self._precision)
        try:
            found = self._value(tree)
        except (ZeroDivisionError, ValueError, OverflowError, TypeError) as error:
            raise NoValue(str(error)) from error
        if not self.mp.isfinite(found):
            raise NoValue("infinite")
        self.largest = max(self.largest, abs(found))
        return found

    def _value(self, tree: Tree) -> Any:  # noqa: PLR0911 - one answer a kind
        mp = self.mp
        exact = _exact(tree, self._point, self._work)
        if exact is not None:
            return mp.mpf(exact.numerator) / exact.denominator
        if tree[0] == "name":
            return {"pi": +mp.pi, "e": +mp.e, "i": mp.mpc(0, 1)}[tree[1]]
        if tree[0] == "applied":
            return self._unknown(tree)
        if tree[0] == "power" or tree[:2] == ("call", "root"):
            return self._raised(tree)
        values = [self.value(part) for part in tree[1:] if isinstance(part, tuple)]
        if tree[0] == "sum":
            return mp.fsum(values)
        if tree[0] == "product":
            return mp.fprod(values)
        if tree[0] == "quotient":
            if abs(values[1]) <= self.largest * mp.mpf(2) ** (32 - self._precision):
                raise NoValue("a division by zero")
            return values[0] / values[1]
        return self._called(tree[1], values)

    def _raised(self, tree: Tree) -> Any:
        mp = self.mp
        base = self.value(tree[1] if tree[0] == "power" else tree[2])
        exponent: Any = _exact(tree[2] if tree[0] == "power" else tree[3], self._point, self._work)
        if exponent is not None and tree[0] == "call":
            exponent = 1 / exponent
        if not base:
            raise NoValue("zero to a power")
        odd = exponent is not None and exponent.denominator > 1 and exponent.denominator % 2
        if odd and not (mp.im(base) == 0 and base > 0):
            raise Doubtful("an odd root")
        exact = exponent
        exponent = self.value(tree[2]) if exponent is None else mp.mpf(exponent.numerator) / exponent.denominator
        if abs(exponent * mp.log(base)) > 10**6:
            raise TooMuch("a power")
        return base ** int(exact) if exact is not None and exact.denominator == 1 else mp.power(base, exponent)

    def _called(self, name: str, args: list[Any]) -> Any:
        mp, first = self.mp, args[0]
        real = all(mp.im(arg) == 0 for arg in args)
        if name in {"factorial", "binomial"}:
            if max(map(abs, args)) > 50:
                raise TooMuch(name)
            return mp.factorial(first) if name == "factorial" else mp.binomial(*args)
        if name in _PIECEWISE:
            if not real or name in {"gcd", "lcm"}:
                raise NoValue(name)
            if name in {"floor", "ceil"}:
                if abs(first - mp.nint(first)) < mp.mpf(2) ** (-self._precision // 2) or abs(first) > 10**9:
                    raise TooMuch("too near to an integer")
                return mp.floor(first) if name == "floor" else mp.ceil(first)
            return min(args) if name == "min" else max(args)
        if name in _BRANCHES:
            raise Doubtful(name)
        if name in {"abs", "ln"}:
            if name == "ln" and not first:
                raise NoValue("the logarithm of zero")
            return abs(first) if name == "abs" else mp.log(first)
        if abs(first) > (10**6 if name == "exp" or name[-1] == "h" else 10**30):
            raise TooMuch(name)
        return getattr(mp, name)(first)

    def _unknown(self, tree: Tree) -> Any:
        """A function that nobody knows: some number, always the same for the same function of the same values."""
        values = [self.mp.nstr(self.value(part), 20) for part in tree[2:]]
        return self.mp.mpf(random.Random(f"{tree[1]} {values}").randrange(1 << 60)) / (1 << 58)  # noqa: S311


def _shown(tree: Tree, work: _Work) -> str:
    """Return a value as a calculator shows it."""
    try:
        exact = _exact(tree, {}, work)
        if exact is not None and exact.denominator == 1 and abs(exact) < 10**400:
            return str(exact.numerator)
        short = exact is not None and max(abs(exact.numerator), exact.denominator) < 10**40
        numeric = _Numeric(256, {}, work)
        value = numeric.value(tree)
        again = _Numeric(512, {}, work).value(tree)
    except (Doubtful, TooMuch) as error:
        raise NoValue("no value") from error
    noise = numeric.largest * numeric.mp.mpf(2) ** -200
    if max(abs(value), abs(again)) <= noise:
        return "0 (rounded)"
    if numeric.mp.im(value) != 0 or abs(value - again) > abs(again) * 1e-20:
        raise NoValue("no sure value")
    decimal: str = numeric.mp.nstr(numeric.mp.re(value), 12, strip_zeros=True).replace(".0e", "e").removesuffix(".0")
    if exact is None or not short:
        return f"{decimal} (rounded)"
    if Fraction(decimal) == exact:
        return decimal
    return f"{exact} = {decimal} (rounded)"
