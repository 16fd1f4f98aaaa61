"""Values to a precision in bits, by the library of the extra `science`."""

from __future__ import annotations

import random
import threading
from importlib.util import find_spec
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.domains.tasks.maths.exact import rational
from autodata.domains.tasks.maths.limits import Doubtful, NoValue, Point, TooMuch, Work
from autodata.domains.tasks.maths.trees import Tree

PIECEWISE = frozenset({"floor", "ceil", "min", "max", "gcd", "lcm"})
_BRANCHES = frozenset({"acot", "asec", "acsc", "acoth", "asech", "acsch"})
"""Inverse functions whose values are a matter of convention."""


def require_installed() -> None:
    """Raise UserError, naming what to type, when the library of the extra `science` is missing."""
    if find_spec("mpmath") is None:
        raise UserError(
            "comparing and calculating needs a mathematics library: pip install 'autodata-langgraph[science]'"
        )


_arithmetics = threading.local()
"""For each thread its contexts of mpmath by precision: they keep constants and coefficients that are slow to find."""


def arithmetic(precision: int) -> Any:
    """Return this thread's context of mpmath of a precision in bits."""
    import mpmath  # noqa: PLC0415 - of the extra `science`

    known: dict[Any, Any] = _arithmetics.__dict__
    if precision not in known:
        known[precision] = mpmath.MPContext()
        known[precision].prec = precision
    return known[precision]


class Numeric:
    """Values to a precision in bits, of an arithmetic of its own; `largest` is the largest magnitude on the way.

    `deepest` is by how many bits a power or exponential on the way was away from 1: what it is added to may hide it.
    """

    def __init__(self, precision: int, point: Point, work: Work) -> None:
        precision = -(-precision // 256) * 256
        self.mp = arithmetic(precision)
        self.largest: Any = self.mp.mpf(0)
        self.deepest: Any = self.mp.mpf(0)
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
        exact = rational(tree, self._point, self._work)
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
        exponent: Any = rational(tree[2] if tree[0] == "power" else tree[3], self._point, self._work)
        if exponent is not None and tree[0] == "call":
            exponent = 1 / exponent
        if not base:
            raise NoValue("zero to a power")
        odd = exponent is not None and exponent.denominator > 1 and exponent.denominator % 2
        if odd and not (mp.im(base) == 0 and base > 0):
            raise Doubtful("an odd root")
        exact = exponent
        exponent = self.value(tree[2]) if exponent is None else mp.mpf(exponent.numerator) / exponent.denominator
        depth = abs(exponent * mp.log(base))
        if depth > 10**6:
            raise TooMuch("a power")
        self.deepest = max(self.deepest, depth * 1.5)
        return base ** int(exact) if exact is not None and exact.denominator == 1 else mp.power(base, exponent)

    def _called(self, name: str, args: list[Any]) -> Any:
        mp, first = self.mp, args[0]
        real = all(mp.im(arg) == 0 for arg in args)
        if name in {"factorial", "binomial"}:
            if max(map(abs, args)) > 50:
                raise TooMuch(name)
            return mp.factorial(first) if name == "factorial" else mp.binomial(*args)
        if name in PIECEWISE:
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
        if name == "exp" or name[-1] == "h":
            self.deepest = max(self.deepest, abs(first) * 1.5)
        return getattr(mp, name)(first)

    def _unknown(self, tree: Tree) -> Any:
        """A function that nobody knows: some number, always the same for the same function of the same values."""
        values = [self.mp.nstr(self.value(part), 20) for part in tree[2:]]
        return self.mp.mpf(random.Random(f"{tree[1]} {values}").randrange(1 << 60)) / (1 << 58)  # noqa: S311 - no secret
