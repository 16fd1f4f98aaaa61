"""The child process in which expressions from outside are read and compared: a standalone script, never imported.

It reads one JSON request a line from its standard input and writes one JSON reply a line. It takes no text to `eval`:
plain expressions are read through Python's own grammar, node by node against a list of what is allowed, LaTeX through
a generated parser. The kernel bounds a request's processor time and the process's memory; a process that exceeds the
time dies, which its parent takes for "cannot say". It knows no key and no file of the run.
"""

from __future__ import annotations

import ast
import contextlib
import json
import random
import re
import resource
import signal
import sys
from typing import Any

import sympy
from latex2sympy2_extended import NormalizationConfig, latex2sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig
from math_verify import verify

MEMORY_BYTES = 2 << 30
LARGEST_EXPONENT = 10_000
POINTS = 4
"""Points at which two expressions are compared, of each sign."""
SAME, OTHER = sympy.Float("1e-12"), sympy.Float("1e-2")
"""Relative differences up to which two values are the same, and from which a decimal is another number."""
ROUNDED = sympy.Float("2e-6")
NOTHING = sympy.Float("1e-100")

_NAMED = """
    sqrt cbrt exp log sin cos tan cot sec csc asin acos atan acot sinh cosh tanh coth asinh acosh atanh
    factorial binomial gamma floor gcd lcm erf
"""
_FUNCTIONS: dict[str, Any] = {name: getattr(sympy, name) for name in _NAMED.split()}
_FUNCTIONS |= {"ln": sympy.log, "abs": sympy.Abs, "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan}
_FUNCTIONS |= {"ceil": sympy.ceiling, "min": sympy.Min, "max": sympy.Max}
_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo, "inf": sympy.oo, "infinity": sympy.oo}
_NAME = re.compile(r"[A-Za-z](?:[a-z]+|_[A-Za-z0-9]+)?", re.ASCII)
_BARE = re.compile(
    r"(?<![\\A-Za-z])(a?(?:sin|cos|tan)h?|arc(?:sin|cos|tan)|cot|sec|csc|exp|ln|log|sqrt|pi|infty|hbar|alpha|beta|gamma"
    r"|delta|epsilon|theta|lambda|mu|nu|rho|sigma|tau|phi|psi|omega)(?![A-Za-z])"
)
_EQUALS = re.compile(r"(?<![<>!\\:=])=(?!=)")
_SUBJECT = re.compile(r"\\?[A-Za-z]+(?:_\{?\w+\}?)?'*(?:\([a-z](?:, ?[a-z])*\))?", re.ASCII)
_TOWER = re.compile(r"\^\s*\{?[\d\s.(]+\}?\s*\^|\^\s*\{?\s*\d{5,}")
"""Powers of numbers in powers of numbers: nobody's answer, and without end to work out."""
_INTEGERS = frozenset("nmklNMj")
_NORMAL = NormalizationConfig(units=False, malformed_operators=True, nits=True, boxed="all", equations=False)
_CONVERSION = ConversionConfig(lowercase_symbols=False, interpret_as_mixed_fractions=False)


class Unreadable(ValueError):
    """A text that is no expression this process takes."""


class TooLarge(Unreadable):
    """An expression that is one, and without end to work out."""


def plain(text: str) -> Any:
    """Read an expression such as `2x^2 + sqrt(3)/4`. Raises Unreadable."""
    text = text.replace("^", "**")
    text = re.sub(r"(?<![A-Za-z_\d.])(\d+(?:\.\d+)?)\s*(?=[A-Za-z(])", r"\1*", text)
    text = re.sub(r"\)\s*(?=[A-Za-z0-9(])", ")*", text)
    text = re.sub(r"(?<![\w.)])(\w+)!(?!=)", r"factorial(\1)", text)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise Unreadable(text) from error
    return _built(tree.body)


def _built(node: ast.expr) -> Any:  # noqa: PLR0911 - one answer a case
    match node:
        case ast.Constant(value=bool()):
            raise Unreadable("a truth value")
        case ast.Constant(value=int(value)):
            return sympy.Integer(value)
        case ast.Constant(value=float(value)):
            return sympy.Float(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_built(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _built(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _operated(op, _built(left), _built(right))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Name(id=name) if _NAME.fullmatch(name) and name not in _FUNCTIONS:
            return sympy.Symbol(name)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS and 1 <= len(args) <= 8:
            return _called(name, [_built(arg) for arg in args])
    raise Unreadable(type(node).__name__)


def _called(name: str, args: list[Any]) -> Any:
    if name in {"factorial", "gamma", "binomial"} and any(abs(x) > LARGEST_EXPONENT for x in args if x.is_number):
        raise TooLarge(name)
    try:
        return _FUNCTIONS[name](*args)
    except (TypeError, ValueError) as error:
        raise Unreadable(name) from error


def _operated(op: ast.operator, left: Any, right: Any) -> Any:
    match op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.Mod():
            return sympy.Mod(left, right)
        case ast.Pow():
            size = abs(sympy.N(sympy.log(abs(left) + 1))) if left.is_number else 1
            if right.is_number and not sympy.N(abs(right)) * sympy.Max(size, 1) <= LARGEST_EXPONENT:
                raise TooLarge("a power")
            return left**right
    raise Unreadable(type(op).__name__)


def latex(text: str) -> Any:
    """Read LaTeX. Raises Unreadable."""
    text = _BARE.sub(r"\\\1 ", text)
    text = re.sub(r"_(\w)(?![\w}])", r"_{\1}", text)
    try:
        value = latex2sympy(text, convert_degrees=False, normalization_config=_NORMAL, conversion_config=_CONVERSION)
    except Exception as error:  # the parser raises bare exceptions
        raise Unreadable(text) from error
    if isinstance(value, list) or not hasattr(value, "free_symbols"):
        raise Unreadable(text)
    named = {symbol: _canonical(symbol.name) for symbol in value.free_symbols}
    if isinstance(value, sympy.MatrixBase):
        return value.xreplace(named)
    return value.xreplace(named).doit()


def _canonical(name: str) -> Any:
    name = re.sub(r"[{}\\]", "", name).strip()
    return sympy.I if name == "i" else sympy.Symbol(name)


def read(text: str) -> Any:
    """Return the value of a text: an expression, or a relation, set or matrix. Raises Unreadable."""
    if _TOWER.search(text.replace("**", "^")):
        raise TooLarge(text)
    if "\\" not in text and "{" not in text:
        try:
            return plain(text)
        except TooLarge:
            raise
        except Unreadable:
            if re.search(r"[A-Za-z]{2,}\(", _BARE.sub("", text)):
                raise
    return latex(text)


def read_side(text: str) -> tuple[str, Any]:
    """Return what an answer is about and its value: ("x", 5/3) for `x = 10/6 = 5/3`, ("", value) without a subject."""
    parts = [part.strip() for part in _EQUALS.split(text)]
    if len(parts) > 1 and _SUBJECT.fullmatch(parts[0]):
        return re.sub(r"[\\{} ]", "", parts[0]), read(parts[-1])
    if len(parts) == 2:
        return "", sympy.Eq(read(parts[0]), read(parts[1]), evaluate=False)
    return "", read(text)


def compare(reference: str, answer: str) -> str | None:
    """Return `equal`, `different`, or None when this cannot be said."""
    (about, wanted), (told_about, given) = read_side(reference), read_side(answer)
    if about and told_about and about != told_about:
        return None
    if not (isinstance(wanted, sympy.Expr) and isinstance(given, sympy.Expr)):
        exact = not any(value.atoms(sympy.Float) for value in (wanted, given))
        same_names = wanted.free_symbols == given.free_symbols
        return "equal" if exact and same_names and verify(wanted, given, timeout_seconds=None) else None
    if wanted.atoms(sympy.Function) and wanted == given:
        return "equal"
    if any(value.atoms(sympy.core.function.AppliedUndef) for value in (wanted, given)):
        return None
    return _compare_numbers(wanted, given)


def _compare_numbers(wanted: Any, given: Any) -> str | None:
    names = sorted(wanted.free_symbols | given.free_symbols, key=str)
    rng = random.Random(len(names))  # noqa: S311 - fixed points
    if not names:
        return _verdict(_difference(wanted, given), rounded=bool(wanted.atoms(sympy.Float) | given.atoms(sympy.Float)))
    found: dict[int, list[Any]] = {1: [], -1: []}
    for sign in (1, -1):
        for _ in range(POINTS):
            point = {name: sympy.Rational(sign * rng.randint(101, 3999), 1000) for name in names}
            found[sign].append(_difference(wanted.xreplace(point), given.xreplace(point)))
    known = [value for value in found[1] if value is not None]
    if len(known) < 2:
        return None
    if all(value <= SAME for value in known):
        return "equal" if all(value is None or value <= SAME for value in found[-1]) else None
    names_clear = wanted.free_symbols == given.free_symbols and sympy.Symbol("C") not in names
    if not names_clear or max(known) < OTHER:
        return None
    whole = {name: sympy.Integer(k + 2) for k, name in enumerate(names) if name.name in _INTEGERS}
    if whole:
        point = {name: sympy.Rational(rng.randint(101, 3999), 1000) for name in names} | whole
        at_integers = _difference(wanted.xreplace(point), given.xreplace(point))
        if at_integers is None or at_integers <= SAME:
            return None
    return "different"


def _verdict(difference: Any, *, rounded: bool) -> str | None:
    if difference is None:
        return None
    if difference <= (ROUNDED if rounded else SAME):
        return "equal"
    return "different" if not rounded or difference >= OTHER else None


def _difference(wanted: Any, given: Any) -> Any:
    """Return the relative difference of two constants; None when either has no value."""
    if wanted == given:
        return sympy.Float(0)
    one, other = sympy.N(wanted, 40), sympy.N(given, 40)
    size = sympy.Max(*(sympy.N(abs(value)) for value in (one, other)))
    apart = sympy.N(abs(one - other))
    if not (apart.is_Float or apart.is_Integer) or not size.is_finite or not apart.is_finite:
        infinite = any(value in {sympy.oo, -sympy.oo} for value in (wanted, given))
        return sympy.Float(1) if infinite and wanted.is_number and given.is_number else None
    return apart / size if size > NOTHING else sympy.Float(0)


def evaluate(text: str) -> str | None:
    """Return the value of an expression as a calculator shows it: exact, and as a decimal where that differs."""
    value = read(text)
    if not isinstance(value, sympy.Expr) or value.has(sympy.nan, sympy.zoo):
        raise Unreadable(text)
    exact = str(value)
    if not value.is_number or value.is_Integer or value.is_Float:
        return exact
    return f"{exact} = {sympy.N(value, 12)} (rounded)"


def answer(request: dict[str, Any]) -> str | None:
    """Answer one request; None when the texts cannot be read."""
    try:
        if request["op"] == "compare":
            return compare(request["reference"], request["answer"])
        return evaluate(request["expression"])
    except (Unreadable, ArithmeticError, AttributeError, MemoryError, NotImplementedError, RecursionError):
        return None
    except (TypeError, ValueError):  # sympy's own for what it cannot compare or print
        return None


def main() -> None:
    """Serve until standard input ends. The first argument is the processor time of a request, in seconds."""
    seconds = float(sys.argv[1])
    with contextlib.suppress(ValueError, OSError):  # not every system knows this limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, seconds)  # unhandled, its signal ends the process, whatever it is doing
        reply = answer(json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
