"""What an expression is worth, as a calculator shows it."""

from __future__ import annotations

from fractions import Fraction

from autodata.domains.tasks.maths.exact import rational
from autodata.domains.tasks.maths.limits import Doubtful, NoValue, TooMuch, Work
from autodata.domains.tasks.maths.numeric import Numeric
from autodata.domains.tasks.maths.readings import readings
from autodata.domains.tasks.maths.tokens import Unreadable
from autodata.domains.tasks.maths.trees import CONSTANTS, Tree, names


def evaluate(expression: str) -> str | None:
    """Return the value of an expression as text, exact and as a decimal; None without one. Blocks, as `compare`."""
    work = Work()
    found: set[str] = set()
    try:
        for (side,) in readings(expression):
            if side.about or names(side.tree) - CONSTANTS:
                if any(name.endswith(" as a variable") for name in names(side.tree)):
                    continue  # a calculator knows no variables
                return None
            found.add(_shown(side.tree, work))
    except (Unreadable, TooMuch, NoValue):
        return None
    return found.pop() if len(found) == 1 else None


def _shown(tree: Tree, work: Work) -> str:
    """Return a value as a calculator shows it."""
    try:
        exact = rational(tree, {}, work)
        if exact is not None and exact.denominator == 1 and abs(exact) < 10**400:
            return str(exact.numerator)
        short = exact is not None and max(abs(exact.numerator), exact.denominator) < 10**40
        numeric = Numeric(256, {}, work)
        value = numeric.value(tree)
        again = Numeric(512, {}, work).value(tree)
    except (Doubtful, TooMuch) as error:
        raise NoValue("no value") from error
    noise = numeric.largest * numeric.mp.mpf(2) ** -200
    settled = abs(value - again) <= abs(again) * 1e-20
    if max(abs(value), abs(again)) <= noise and not (settled and again):  # exp(-1000) is small, and not nothing
        return "0 (rounded)"
    if numeric.mp.im(value) != 0 or not settled:
        raise NoValue("no sure value")
    decimal: str = numeric.mp.nstr(numeric.mp.re(value), 12, strip_zeros=True).replace(".0e", "e").removesuffix(".0")
    if exact is None or not short:
        return f"{decimal} (rounded)"
    if Fraction(decimal) == exact:
        return decimal
    return f"{exact} = {decimal} (rounded)"
