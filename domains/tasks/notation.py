"""The reader of mathematics: one text, plain or LaTeX, becomes tokens, and a plain scalar expression becomes a tree.

What is not surely one scalar expression is refused: sets, lists, relations, vectors, matrices, units, conditions, and
notation that nobody could be sure of. Where notation has a few meanings (`a/b c`, `log x`, `e`) each is a `Reading`,
and the reader says which of them matter. Nothing is evaluated here, and the work is linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import Any

LONGEST = 400
"""Longest text, in characters, that is taken for an expression."""
DEEPEST = 30
"""Brackets, powers and functions inside one another."""

Tree = tuple[Any, ...]
"""("num", Fraction, is_decimal), ("name", str), ("sum", *trees), ("product", *trees), ("quotient", tree, tree),
("power", tree, tree), ("call", function, *trees) or ("applied", name, *trees) for a function that nobody knows."""

_GREEK = """
    α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta κ kappa λ lambda μ mu µ mu ν nu ξ xi ρ rho σ sigma
    τ tau φ phi χ chi ψ psi ω omega π pi ϕ phi ℏ hbar ħ hbar ℓ ell Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Φ Phi Ψ Psi
    Ω Omega
"""  # noqa: RUF001
_NAMES = frozenset(_GREEK.split()[1::2]) | {"varepsilon", "varphi", "vartheta", "varrho", "kappa"}
_SIGNS = str.maketrans(
    {sign: f" \\{name} " for sign, name in zip(_GREEK.split()[::2], _GREEK.split()[1::2], strict=True)}
    | {"−": "-", "–": "-", "·": r" \cdot ", "⋅": r" \cdot ", "×": r" \times ", "÷": r" \div ", "∞": r" \infty "}  # noqa: RUF001
    | {"±": r" \pm ", "≤": r" \le ", "≥": r" \ge ", "≠": r" \ne ", "≈": r" \approx ", "∈": r" \in ", "°": r"^\circ "}
    | {"½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}"}
)
_RAISED, _LOWERED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "₀₁₂₃₄₅₆₇₈₉"
_DIGITS = str.maketrans(_RAISED + _LOWERED, "0123456789+-n0123456789")
_TOKEN = re.compile(
    r"""(?P<space> \s+ | \\[,;:!\ ] | \\(?:left|right|displaystyle|[bB]igg?[lr]?)(?![A-Za-z]) )
    | (?P<number> (?: [0-9]++ (?:(?:,|\{,\})[0-9]++)*+ (?:\.[0-9]++)? | \.[0-9]++ ) (?: [eE][+-]?[0-9]++ (?![\w.]) )? )
    | (?P<command> \\[A-Za-z]+ | \\. )
    | (?P<letters> [^\W\d_]+ )
    | (?P<sign> \*\* | . )""",
    re.VERBOSE | re.DOTALL,
)
_ALIKE = {r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\leq": r"\le", r"\geq": r"\ge", r"\neq": r"\ne", "**": "^"}
_ALIKE |= {r"\dbinom": r"\binom", r"\lbrace": r"\{", r"\rbrace": r"\}", r"\operatorname": r"\mathrm"}

_TRIGONOMETRIC = "sin cos tan cot sec csc sinh cosh tanh coth sech csch"
TRIGONOMETRIC = frozenset(_TRIGONOMETRIC.split())
_INVERSE = {f"{before}{name}": f"a{name}" for name in TRIGONOMETRIC for before in ("arc", "a", "ar")}
_JUXTAPOSED = {name: name for name in (*TRIGONOMETRIC, "exp", "ln", "log", "lg")} | _INVERSE
_BRACKETED = {"sqrt": 1, "cbrt": 1, "abs": 1, "floor": 1, "ceil": 1, "factorial": 1, "binomial": 2, "binom": 2}
_BRACKETED |= {"min": 0, "max": 0, "gcd": 0, "lcm": 0}
"""Functions written with brackets only, and how many arguments each takes (0: two or more)."""
_WORDS = frozenset(_JUXTAPOSED) | frozenset(_BRACKETED) | _NAMES | {"infty", "oo", "inf", "infinity", "pm"}
_ENGLISH = """
    and all any do if in is it no not odd of on one or to two arg cov deg det dim div erf im inf ker lim mod re rot sgn
    sup tr var
"""
_MEASURES = """
    mm cm dm km nm pm fm um kg mg ug ms ns ps us min hr day Hz kHz MHz GHz eV keV MeV GeV kW MW GW mW kJ MJ mJ Pa kPa
    MPa GPa mol cd lm lx Wb pF nF mF mL ml dL cl dB mV kV mA rad sr deg ft lb oz in yd mi kN mN MN Nm Ns Js Ws Wh kWh
    Bq Gy Sv ly pc au bar atm cal gal kph mph rpm kgm mps mT
"""
_NO_PRODUCT = frozenset(_ENGLISH.split())
_UNITS = frozenset(_MEASURES.split())


class Unreadable(ValueError):
    """A text that is not surely one plain scalar expression."""


@dataclass(frozen=True)
class Token:
    """A number, a name, a command or a sign, as written."""

    kind: str
    """`number`, `letters`, `command` or `sign`."""
    text: str
    spaced: bool
    """Whether space stands before it."""


@dataclass(frozen=True)
class Reading:
    """One meaning for each notation that has several."""

    slash: str = "one"
    """What a slash divides by: `one` factor, or `all` that is joined to it."""
    joined: str = "one"
    """What a function without brackets takes: `one` name, or `all` that is joined to it."""
    bracket: str = "group"
    """Square brackets `group`, or are a `function` of their own, such as the integer part."""
    applied: str = "product"
    """A name before a bracket that never stands alone is a factor (`product`) or a `function`."""
    log: str = "e"
    """The base of a logarithm without one: `e`, `10` or `2`."""
    e: str = "constant"
    i: str = "constant"


MEANINGS = {
    "slash": ("one", "all"),
    "joined": ("one", "all"),
    "bracket": ("group", "function"),
    "applied": ("product", "function"),
    "log": ("e", "10", "2"),
    "e": ("constant", "variable"),
    "i": ("constant", "variable"),
}


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text of any kind: what space separates stays apart, how it is spaced does not matter."""
    text = re.sub(f"[{_RAISED}]+", lambda match: f"^{{{match[0].translate(_DIGITS)}}}", text)
    text = re.sub(f"[{_LOWERED}]+", lambda match: f"_{{{match[0].translate(_DIGITS)}}}", text)
    found, spaced = [], True
    for match in _TOKEN.finditer(text.translate(_SIGNS)):
        kind, piece = str(match.lastgroup), match[0]
        if kind != "space":
            if kind == "letters" and piece in _WORDS:
                kind, piece = "command", "\\" + {"oo": "infty", "inf": "infty", "infinity": "infty"}.get(piece, piece)
            found.append(Token(kind, _ALIKE.get(piece, piece), spaced))
        spaced = kind == "space"
    return found


def alike(text: str) -> tuple[str, ...]:
    """Return a text's tokens, by which texts written alike are known: braces around one exponent or index are left out.

    Two texts with the same tokens say the same, whatever they are. A text of more than ten times LONGEST characters is
    alike to none but itself.
    """
    if len(text) > 10 * LONGEST:
        return (text,)
    found = [token.text for token in tokens(text)]
    kept: list[str] = []
    skip = -1
    for at, piece in enumerate(found):
        if piece == "{" and found[at - 1 : at] in (["^"], ["_"]) and found[at + 2 : at + 3] == ["}"]:
            skip = at + 2
        elif at != skip:
            kept.append(piece)
    return tuple(kept)


@dataclass
class Met:
    """What a text holds that has several meanings, or bears on which are possible."""

    choices: set[str] = field(default_factory=set)
    """Names of fields of Reading that matter."""
    bare: set[str] = field(default_factory=set)
    """Names that stand alone."""
    applied: set[str] = field(default_factory=set)
    """Names that stand before a bracket."""
    single: set[str] = field(default_factory=set)
    """Those of `applied` whose bracket holds one number or name, as a function's does."""


@dataclass(frozen=True)
class Side:
    """What an answer is about (`x` in `x = 5/3`, empty without) and its expression."""

    about: tuple[str, ...]
    tree: Tree


def readings(*texts: str) -> Iterator[tuple[Side, ...]]:
    """Return the sides that texts are under each reading that they leave open, one meaning for all of them at a time.

    Raises Unreadable where any text is not surely one scalar expression under any of them.
    """
    if any(len(text) > LONGEST or "\n" in text for text in texts):
        raise Unreadable("too long, or several lines")
    split = [tokens(text) for text in texts]
    met = Met()
    for each in split:
        _side(each, Reading(), met, frozenset())
    if met.single & met.bare:
        raise Unreadable("perhaps a function")
    functions = frozenset(met.applied - met.bare)
    if functions:
        met.choices.add("applied")
    open_choices = sorted(met.choices)
    for values in product(*(MEANINGS[name] for name in open_choices)):
        reading = replace(Reading(), **dict(zip(open_choices, values, strict=True)))
        called = functions if reading.applied == "function" else frozenset[str]()
        yield tuple(_side(each, reading, met, called) for each in split)


def _side(found: list[Token], reading: Reading, met: Met, functions: frozenset[str]) -> Side:
    equals = [at for at, token in enumerate(found) if token.text == "="]
    if not equals:
        return Side((), _Reader(found, reading, met, functions).whole())
    about = tuple(token.text for token in found[: equals[0]])
    if len(equals) > 1 or not _is_subject(found[: equals[0]]):
        raise Unreadable("an equation")
    inner = Met()
    tree = _Reader(found[equals[0] + 1 :], reading, inner, functions).whole()
    if "".join(piece.strip("\\{}") for piece in about).partition("(")[0] in inner.bare | inner.applied:
        raise Unreadable("an equation in what it is about")
    met.choices |= inner.choices
    met.bare |= inner.bare
    met.applied |= inner.applied
    met.single |= inner.single
    return Side(about, tree)


def _is_subject(found: list[Token]) -> bool:
    """Whether tokens are a name such as `x`, `v_0` or `f(x)`."""
    pieces = [token.text for token in found]
    if not pieces or not (found[0].kind == "letters" or pieces[0].removeprefix("\\") in _NAMES):
        return False
    rest = "".join(pieces[1:])
    return bool(re.fullmatch(r"(?:_(?:\w|\{\w+\}))?(?:\([A-Za-z](?:,[A-Za-z])*\))?", rest, re.ASCII))


class _Reader:
    """A descent over tokens: sum, product, factors, powers, atoms."""

    def __init__(self, found: list[Token], reading: Reading, met: Met, functions: frozenset[str]) -> None:
        self._tokens = self._split(found)
        self._at = 0
        self._reading = reading
        self._met = met
        self._functions = functions
        self._depth = 0
        self._bars = 0

    @staticmethod
    def _split(found: list[Token]) -> list[Token]:
        """Take runs of letters apart into names, save where a run could be a word or a unit."""
        apart: list[Token] = []
        for at, token in enumerate(found):
            run = token.text
            if token.kind != "letters" or (len(run) == 1 and run.isascii()) or _is_index(found, at):
                apart.append(token)
                continue
            if len(run) > 3 or not run.isascii() or run.lower() in _NO_PRODUCT or run[:2] in {"ln", "lg", "pi"}:
                raise Unreadable(f"the word {run}")
            if run in _UNITS and any(other.kind == "number" for other in found[:at]):
                raise Unreadable(f"the unit {run}")
            apart += [Token("letters", letter, token.spaced and not k) for k, letter in enumerate(run)]
        return apart

    def whole(self) -> Tree:
        tree = self._sum()
        if self._at < len(self._tokens):
            raise Unreadable(self._tokens[self._at].text)
        return tree

    @property
    def _next(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    @property
    def _kind(self) -> str:
        return self._tokens[self._at].kind if self._at < len(self._tokens) else ""

    def _take(self, *pieces: str) -> str:
        """Return the next token if it is one of these, and go past it; else nothing."""
        if self._next and self._next in pieces:
            self._at += 1
            return self._tokens[self._at - 1].text
        return ""

    def _need(self, piece: str) -> None:
        if not self._take(piece):
            raise Unreadable(f"{piece} is missing")

    def _deeper(self, part: Callable[[], Tree]) -> Tree:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unreadable("too deep")
        tree = part()
        self._depth -= 1
        return tree

    def _sum(self) -> Tree:
        sign = self._take("+", "-")
        terms = [_negative(self._product()) if sign == "-" else self._product()]
        while sign := self._take("+", "-"):
            term = self._product()
            terms.append(_negative(term) if sign == "-" else term)
        return terms[0] if len(terms) == 1 else ("sum", *terms)

    def _product(self) -> Tree:
        tree = self._chain()
        while sign := self._take("*", r"\cdot", r"\times", "/", r"\div"):
            negative = self._take("-")
            if sign in {"/", r"\div"}:
                by = self._chain() if self._reading.slash == "all" else self._power()
                tree = ("quotient", tree, by)
                if self._starts_factor():
                    self._met.choices.add("slash")
                    tree = self._chain(tree)
                elif self._reading.slash == "all" and by[0] == "product":
                    self._met.choices.add("slash")
            else:
                factor = self._chain()
                if sign != "*" and not (_is_scalar(tree, sign) or _is_scalar(factor, sign)):
                    raise Unreadable("perhaps a product of vectors")
                tree = _times(tree, factor)
            tree = _negative(tree) if negative else tree
        return tree

    def _chain(self, first: Tree | None = None) -> Tree:
        """Factors joined without a sign."""
        tree = first or self._power()
        last = tree
        while self._starts_factor():
            if last[0] == "name" and last[1] in _OPERATORS and self._starts_name():
                raise Unreadable("perhaps a differential")
            if self._kind == "number" or last == ("num", Fraction(0), False):
                raise Unreadable("a number after a factor")
            at = self._at
            factor = self._power()
            if last[0] == "num" and factor[0] == "quotient" and self._tokens[at].text == r"\frac" and _plain(factor):
                raise Unreadable("perhaps a mixed number")
            tree, last = _times(tree, factor), factor
        return tree

    def _starts_name(self) -> bool:
        return self._kind == "letters" or self._next.removeprefix("\\") in _NAMES

    def _starts_factor(self) -> bool:
        piece = self._next
        if piece == "|":
            return not self._bars
        known = piece.startswith("\\") and piece[1:] in (*_WORDS, "frac", "binom", "mathrm", "lfloor", "lceil")
        return known or self._kind in {"number", "letters"} or (piece != "" and piece in "([√")

    def _power(self) -> Tree:
        base = self._atom()
        while self._take("!"):
            if self._next == "!":
                raise Unreadable("a double factorial")
            base = ("call", "factorial", base)
        if not self._take("^"):
            return self._application(base) if base[0] == "name" else base
        exponent = self._exponent(base)
        if self._next in {"^", "_", "!"}:
            raise Unreadable("powers without brackets")
        if exponent == ("name", "T"):
            raise Unreadable("perhaps a transposed matrix")
        if exponent[0] == "product" and all(part[0] == "name" for part in exponent[1:]) and base not in _E:
            raise Unreadable("perhaps upper indices")
        if base in _E and not _is_integer(exponent):
            return ("call", "exp", exponent)
        tree = ("power", base, exponent)
        return self._application(tree) if base[0] == "name" else tree

    def _exponent(self, base: Tree) -> Tree:
        if self._take("{"):
            tree = self._deeper(self._sum)
            self._need("}")
            return tree
        negative = bool(self._take("-"))
        if self._next not in {"(", r"\frac", r"\sqrt", "√"} and self._kind != "number" and not self._starts_name():
            raise Unreadable("an exponent")
        tree = self._deeper(self._power)
        after_number = self._tokens[self._at - 1].kind == "number"
        joined = self._starts_factor() and not self._tokens[self._at].spaced and self._next != "("
        doubtful = base in _E or base[0] == "num" or not after_number
        if joined and doubtful and self._tokens[self._at - 1].text != ")":
            raise Unreadable("perhaps a longer exponent")
        if (
            self._next == "/"
            and self._tokens[self._at - 1].text != ")"
            and (negative or base in _E or tree[:2] == ("num", Fraction(1)))
        ):
            raise Unreadable("perhaps a fraction as the exponent")
        return _negative(tree) if negative else tree

    def _application(self, tree: Tree) -> Tree:
        """A name, perhaps with a power, before a bracket may be a function's."""
        name = str(tree[1] if tree[0] == "name" else tree[1][1])
        if self._next not in {"(", "["}:
            self._met.bare.add(name)
            return tree
        single = [token.text for token in self._tokens[self._at + 2 : self._at + 3]] in ([")"], ["]"])
        if name[:2] in {"pi", "e", "i", "e ", "i "} or self._next == "[":
            if single:
                raise Unreadable("perhaps a function")
            self._met.bare.add(name)
            return tree
        if name in {"O", "o", "Theta", "Omega"} or name.partition("_")[0] in {"Gamma", "zeta", "P", "E"}:
            raise Unreadable("a function that is not known here")
        self._met.applied.add(name)
        if single:
            self._met.single.add(name)
        if name not in self._functions:
            return tree
        self._need("(")
        args = self._arguments()
        return ("applied", repr(tree), *args)

    def _arguments(self) -> list[Tree]:
        """Trees up to the closing bracket, with commas between them."""
        self._tokens[self._at :] = [part for token in self._tokens[self._at :] for part in _apart(token)]
        args = [self._deeper(self._sum)]
        while self._take(","):
            args.append(self._deeper(self._sum))
        self._need(")")
        return args

    def _atom(self) -> Tree:  # noqa: PLR0911 - one answer a case
        piece, kind = self._next, self._kind
        if not piece:
            raise Unreadable("something is missing")
        self._at += 1
        if kind == "number":
            return _number(piece)
        if piece == "(":
            tree = self._deeper(self._sum)
            self._need(")")
            return tree
        if piece == "[":
            self._met.choices.add("bracket")
            tree = self._deeper(self._sum)
            self._need("]")
            return tree if self._reading.bracket == "group" else ("applied", "[", tree)
        if piece == "|":
            return self._absolute()
        if piece in {r"\frac", r"\binom"}:
            parts = self._two_groups()
            return ("quotient", *parts) if piece == r"\frac" else ("call", "binomial", *parts)
        if piece in {r"\sqrt", "√"}:
            return self._root(piece)
        if piece in {r"\lfloor", r"\lceil"}:
            tree = self._deeper(self._sum)
            self._need(piece.replace("l", "r", 1) if piece == r"\lfloor" else r"\rceil")
            return ("call", "floor" if piece == r"\lfloor" else "ceil", tree)
        if piece == r"\mathrm":
            return self._upright()
        return self._named(piece, kind)

    def _named(self, piece: str, kind: str) -> Tree:
        word = piece.removeprefix("\\")
        if kind == "command" and word in _JUXTAPOSED:
            return self._function(_JUXTAPOSED[word])
        if kind == "command" and word in _BRACKETED:
            return self._bracketed(word)
        if kind == "letters" or (kind == "command" and word in _NAMES):
            name = word + self._index()
            if self._next == "'":
                raise Unreadable("a prime")
            if name in {"e", "i"}:
                self._met.choices.add(name)
                if (self._reading.e == "variable" and name == "e") or (self._reading.i == "variable" and name == "i"):
                    return ("name", f"{name} as a variable")
            return ("name", name)
        raise Unreadable(piece)

    def _upright(self) -> Tree:
        r"""`\\mathrm{e}` is e; upright words are functions or units."""
        self._need("{")
        piece, kind = self._next, self._kind
        self._at += 1
        self._need("}")
        if kind == "letters" and len(piece) > 1:
            raise Unreadable("upright letters")
        return self._named(piece, kind)

    def _index(self) -> str:
        """The index of a name, as part of it."""
        if not self._take("_"):
            return ""
        if self._take("{"):
            start = self._at
            while self._next and self._next != "}":
                if self._next in {"{", "\\text", "\\mathrm", ","}:
                    raise Unreadable("an index")
                self._at += 1
            self._need("}")
            return "_" + " ".join(token.text for token in self._tokens[start : self._at - 1])
        piece, kind = self._next, self._kind
        self._at += 1
        joined = bool(self._tokens[self._at : self._at + 1]) and not self._tokens[self._at].spaced
        if (
            len(piece) > 1
            or kind not in {"letters", "number"}
            or (joined and kind == "letters" and self._starts_name())
        ):
            raise Unreadable("an index")
        return f"_{piece}"

    def _absolute(self) -> Tree:
        if self._bars:
            raise Unreadable("bars within bars")
        self._bars += 1
        start = self._at
        tree = self._deeper(self._sum)
        self._need("|")
        self._bars -= 1
        if any(token.kind == "letters" and token.text.isupper() for token in self._tokens[start : self._at]):
            raise Unreadable("perhaps a determinant")
        return ("call", "abs", tree)

    def _group(self) -> Tree:
        self._need("{")
        tree = self._deeper(self._sum)
        self._need("}")
        return tree

    def _two_groups(self) -> list[Tree]:
        if self._kind == "number" and re.fullmatch("[0-9]{2}", self._next):
            self._at += 1
            return [_number(digit) for digit in self._tokens[self._at - 1].text]
        return [self._argument(), self._argument()]

    def _argument(self) -> Tree:
        """What a LaTeX command takes: a group, one digit or one name."""
        if self._next == "{":
            return self._group()
        if (self._kind == "number" and len(self._next) == 1) or self._kind == "letters":
            self._at += 1
            return self._simple(self._tokens[self._at - 1])
        if self._next.removeprefix("\\") in _NAMES:
            self._at += 1
            return self._simple(self._tokens[self._at - 1])
        raise Unreadable("the argument of a command")

    def _simple(self, token: Token) -> Tree:
        if token.kind == "number":
            return _number(token.text)
        tree = self._named(token.text, token.kind)
        self._met.bare.add(str(tree[1]))
        return tree

    def _root(self, piece: str) -> Tree:
        degree: Tree = _number("2")
        if piece == r"\sqrt" and self._take("["):
            degree = self._deeper(self._sum)
            self._need("]")
        if self._take("("):
            tree = self._deeper(self._sum)
            self._need(")")
        elif self._next == "{":
            tree = self._group()
        elif self._kind == "number" and (piece == "√" or len(self._next) == 1 or self._tokens[self._at].spaced):
            self._at += 1
            tree = _number(self._tokens[self._at - 1].text)
            if self._starts_factor() and (piece == "√" or self._starts_name()):
                raise Unreadable("perhaps a longer root")
        else:
            tree = self._argument()
            if self._starts_name():
                raise Unreadable("perhaps a longer root")
        if not _is_integer(degree):
            raise Unreadable("the degree of a root")
        return ("call", "root", tree, degree)

    def _bracketed(self, word: str) -> Tree:
        if word in {"binom"} or not self._take("("):
            raise Unreadable(f"{word} without brackets")
        args = self._arguments()
        if len(args) != _BRACKETED[word] and (_BRACKETED[word] or len(args) < 2):
            raise Unreadable(f"{word} of {len(args)}")
        if word in {"sqrt", "cbrt"}:
            return ("call", "root", args[0], _number("2" if word == "sqrt" else "3"))
        return ("call", word, *args)

    def _function(self, name: str) -> Tree:
        """A function that may stand without brackets: `sin 2x`, `log_2(8)`, `sin^2 x`."""
        base: Tree | None = None
        if name in {"log", "lg"}:
            if self._take("_"):
                base = self._argument() if self._next == "{" else self._index_number()
            elif name == "lg":
                raise Unreadable("lg")
            else:
                self._met.choices.add("log")
        exponent: Tree | None = None
        if self._take("^"):
            exponent = self._exponent(("name", name))
            if exponent == _negative(_number("1")) and name in TRIGONOMETRIC:
                name, exponent = f"a{name}", None
            elif not _is_integer(exponent) or exponent[1] < 2:
                raise Unreadable("a power of a function")
        tree: Tree
        arg = self._function_argument(name)
        if name == "log":
            logarithm = {"e": None, "10": _number("10"), "2": _number("2")}[self._reading.log] if base is None else base
            tree = ("call", "ln", arg)
            if logarithm is not None:
                tree = ("quotient", tree, ("call", "ln", logarithm))
        else:
            tree = ("call", name, arg)
        return ("power", tree, exponent) if exponent else tree

    def _index_number(self) -> Tree:
        if self._kind != "number" or not self._next.isdigit():
            raise Unreadable("the base of a logarithm")
        self._at += 1
        return _number(self._tokens[self._at - 1].text)

    def _function_argument(self, name: str) -> Tree:  # noqa: PLR0912 - one case after another
        if self._take("("):
            arguments = self._arguments()
            if len(arguments) > 1:
                raise Unreadable(f"{name} of several")
            return arguments[0]
        if self._next == "{":
            return self._group()
        if self._next == "|" and not self._bars:
            return self._deeper(self._power)
        if self._next.removeprefix("\\") in _JUXTAPOSED:
            return self._deeper(self._power)
        factors: list[Tree] = []
        if self._kind == "number":
            factors.append(self._power())
        trigonometric = name in TRIGONOMETRIC or name.removeprefix("a") in TRIGONOMETRIC
        if self._next in {r"\pi"} and trigonometric:
            factors.append(self._power())
        if (not factors or trigonometric) and self._may_join():
            factors.append(self._power())
        if not factors:
            raise Unreadable(f"{name} of nothing")
        if self._next in {"(", "["}:
            raise Unreadable("perhaps a longer argument")
        if self._may_join() or self._next == "/":
            self._met.choices.add("joined")
            if self._reading.joined == "all":
                while self._may_join():
                    factors.append(self._power())
                if self._take("/"):
                    return ("quotient", _product(factors), self._power())
        return _product(factors)

    def _may_join(self) -> bool:
        """Whether the next factor may belong to a function without brackets: functions and brackets never do."""
        return self._starts_name() or self._next in {r"\frac", r"\sqrt", "√"} or self._kind == "number"


_E = (("name", "e"), ("name", "e as a variable"))
_OPERATORS = frozenset({"d", "D", "delta", "Delta"})
"""Names that before another name may make a differential or a difference of it."""


def _is_index(found: list[Token], at: int) -> bool:
    before = [token.text for token in found[max(0, at - 2) : at]]
    return before[-1:] == ["_"] or before == ["_", "{"] or before in ([r"\mathrm", "{"],)


def _apart(token: Token) -> list[Token]:
    """Take numbers with a comma between them apart, as the arguments of a function, where they cannot be one number."""
    if token.kind != "number" or "," not in token.text:
        return [token]
    parts = token.text.split(",")
    if "{" in token.text or any(len(part.partition(".")[0]) == 3 for part in parts[1:]):
        raise Unreadable("a comma between digits")
    found = [Token("number", part, False) for part in parts]
    return [piece for part in found for piece in (Token("sign", ",", False), part)][1:]


def _number(text: str) -> Tree:
    text = text.replace("{,}", ",")
    mantissa, mark, exponent = text.lower().partition("e")
    if "," in mantissa:
        whole = mantissa.partition(".")[0]
        if not re.fullmatch(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+", whole) or ",0" not in whole:
            raise Unreadable("a comma between digits")
    if len(exponent) > 6 or (
        mark and exponent[0] in "+-" and len(exponent) == 2 and mantissa.isdigit() and mantissa != "1"
    ):
        raise Unreadable("perhaps a number with an exponent, perhaps a product with e")
    value = Fraction(mantissa.replace(",", ""))
    if mark:
        value *= Fraction(10) ** int(exponent) if abs(int(exponent)) <= 9999 else _too_large()
    return ("num", value, "." in mantissa)


def _too_large() -> Fraction:
    raise Unreadable("too large")


def _negative(tree: Tree) -> Tree:
    return ("num", -tree[1], tree[2]) if tree[0] == "num" else ("product", ("num", Fraction(-1), False), tree)


def _times(one: Tree, other: Tree) -> Tree:
    return ("product", *(one[1:] if one[0] == "product" else (one,)), other)


def _product(factors: list[Tree]) -> Tree:
    return factors[0] if len(factors) == 1 else ("product", *factors)


def _plain(tree: Tree) -> bool:
    """Whether a quotient is one of two numbers."""
    return all(part[0] == "num" for part in tree[1:])


def _is_integer(tree: Tree) -> bool:
    return tree[0] == "num" and bool(tree[1].denominator == 1)


def _is_scalar(tree: Tree, sign: str) -> bool:
    """Whether a factor cannot be a vector: it holds no name, or, at a dot, it is the value of a function or power."""
    return not names(tree) - {"pi"} or (sign == r"\cdot" and tree[0] in {"call", "power", "num"})


def names(tree: Tree) -> frozenset[str]:
    """Return the names in a tree."""
    if tree[0] == "name":
        return frozenset({tree[1]})
    return frozenset[str]().union(*(names(part) for part in tree[1:] if isinstance(part, tuple)))


def order(tree: Tree) -> Tree:
    """Return in which order and grouping a tree multiplies names that may not commute: capitals, spins, quaternions.

    Two products are surely the same only if this is; terms of a sum come in any order.
    """
    if tree[0] == "num":
        return ()
    if tree[0] == "name":
        head = tree[1].partition("_")[0]
        return (tree[1],) if head.isupper() or head in _ORDERED else ()
    parts = [order(part) for part in tree[1:] if isinstance(part, tuple)]
    held = [part for part in parts if part]
    if tree[0] == "product":
        return tuple(name for part in held for name in part)
    if tree[0] == "quotient":
        return parts[0] + (parts[1] if len(parts[1]) < 2 else (("under", *parts[1]),))
    if len(held) < 2 and (tree[0] in {"sum", "power"} and sum(map(len, held)) < 2):
        return held[0] if held else ()
    return ((tree[0], *sorted(held, key=repr)) if tree[0] == "sum" else (tree[0], *held),)


def may_not_commute(held: frozenset[str]) -> bool:
    """Whether among names there are two that may not commute with one another."""
    heads = [name.partition("_")[0] for name in held]
    capitals, spins, units = (
        sum(test(head) for head in heads) for test in (str.isupper, _SPINS.__contains__, _is_unit)
    )
    return max(capitals, spins) > 1 or (units > 1 and "j" in heads)


def _is_unit(head: str) -> bool:
    return head in {"i", "i as a variable", "j", "k"}


_SPINS = frozenset({"sigma", "gamma"})
_ORDERED = _SPINS | {"i", "i as a variable", "j", "k"}
