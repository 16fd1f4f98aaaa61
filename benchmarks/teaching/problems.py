"""The problems of docs/teaching.md: arithmetic in several steps over multiples of `a`, with their working written out.

The level of a problem is its number of steps. Every value on the way is a whole multiple of `a`, 1 to 60 of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MOST = 60
LEVELS = range(1, 9)
TRAINED = ("sums", "brackets", "equations")
"""Families of which the documents of all arms are."""
NEW = ("halves", "products")
"""Families in no arm's data."""


@dataclass(frozen=True)
class Problem:
    """A question, its answer, and each step towards it: what is worked out, and what comes out."""

    family: str
    level: int
    question: str
    answer: str
    steps: tuple[tuple[str, str], ...]

    def working(self, *, long: bool) -> str:
        """Return a whole answer: short working states what comes out of a step, long working the step itself."""
        lines = [f"{step}={result}" for step, result in self.steps] if long else [r for _, r in self.steps[:-1]]
        return "\n".join([*lines, f"Answer: {self.answer}"])


def problem(family: str, level: int, rng: random.Random) -> Problem:
    """Return a problem of a family at a level. Raises KeyError for a family that there is not."""
    return _FAMILIES[family](family, level, rng)


def _operations(signs: str, value: int, rng: random.Random) -> tuple[str, int]:
    """Return an operation that keeps a value in range, written as it is applied, and what it makes of it."""
    while True:
        sign = rng.choice(signs)
        n = rng.randint(2, 9) if sign in "+-" else rng.randint(2, 4)
        if sign == "+" and value + n <= MOST:
            return f"+{n}a", value + n
        if sign == "-" and value - n >= 1:
            return f"-{n}a", value - n
        if sign == "*" and value * n <= MOST:
            return f"*{n}", value * n
        if sign == "/" and n <= 3 and not value % n:
            return f"/{n}", value // n
        if all(one in "*/" for one in signs):
            raise ValueError(f"{signs}: no operation need fit")


def _chain(signs: str, begin: str, value: int, level: int, rng: random.Random) -> tuple[str, list[tuple[str, int]]]:
    """Return an expression of so many operations, from the inside out, and each operation with what it makes."""
    text, done = begin, list[tuple[str, int]]()
    for _ in range(level):
        written, value = _operations(signs, value, rng)
        if written[0] in "*/" and done and done[-1][0][0] in "+-":
            text = f"({text})"
        text += written
        done.append((written, value))
    return text, done


def _forward(signs: str) -> Callable[[str, int, random.Random], Problem]:
    def make(family: str, level: int, rng: random.Random) -> Problem:
        value = rng.randint(2, 20)
        text, done = _chain(signs, f"{value}a", value, level, rng)
        steps = []
        for written, after in done:
            steps.append((f"{value}a{written}", f"{after}a"))
            value = after
        return Problem(family, level, f"{text}=?", f"{value}a", tuple(steps))

    return make


_INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}


def _equation(family: str, level: int, rng: random.Random) -> Problem:
    unknown = rng.randint(2, 20)
    text, done = _chain("++--*", "x", unknown, level, rng)
    value, steps = done[-1][1], []
    before = [unknown, *(after for _, after in done[:-1])]
    for (written, after), result in zip(reversed(done), reversed(before), strict=True):
        steps.append((f"{after}a{_INVERSE[written[0]]}{written[1:]}", f"{result}a"))
    return Problem(family, level, f"{text}={value}a,x=?", f"{unknown}a", tuple(steps))


def _products(family: str, level: int, rng: random.Random) -> Problem:
    """Return a sum whose terms may be products: each product is a step, and each sum."""
    while True:
        text, total, steps = "", 0, list[tuple[str, str]]()
        while len(steps) < level:
            n, of, sign = rng.randint(2, 4), rng.randint(2, 9), rng.choice("++-") if text else ""
            # A product takes a step to work out and, behind the first term, another to add.
            product = n * of <= MOST and len(steps) + (2 if text else 1) <= level and (rng.random() < 0.6 or not text)
            term = n * of if product else rng.randint(2, 9)
            after = total - term if sign == "-" else total + term
            if not 1 <= after <= MOST:
                break
            if product:
                steps.append((f"{n}*{of}a", f"{term}a"))
            if text:
                steps.append((f"{total}a{sign}{term}a", f"{after}a"))
            text += f"{sign}{n}*{of}a" if product else f"{sign}{term}a"
            total = after
        else:
            return Problem(family, level, f"{text}=?", f"{total}a", tuple(steps))


_FAMILIES: Mapping[str, Callable[[str, int, random.Random], Problem]] = {
    "sums": _forward("+-"),
    "brackets": _forward("++--*"),
    "equations": _equation,
    "halves": _forward("+-//"),
    "products": _products,
}
