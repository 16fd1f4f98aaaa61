"""The parser of mathematics: tokens of one plain scalar expression become a tree, under one reading of their notation.

What is not surely one scalar expression is refused: sets, lists, relations, vectors, matrices, units, conditions, and
notation that nobody could be sure of. Nothing is evaluated here.
"""

from __future__ import annotations

import re
from fractions import Fraction

from autodata.domains.tasks.maths.cursor import Cursor, number_of, numbers_apart
from autodata.domains.tasks.maths.tokens import (
    BRACKETED,
    JUXTAPOSED,
    NAMES,
    TRIGONOMETRIC,
    Token,
    Unreadable,
)
from autodata.domains.tasks.maths.trees import Tree, is_integer, is_plain, is_scalar, negated, product_of, times


class Parser(Cursor):
    """A descent over tokens: sum, product, factors, powers, atoms."""

    def whole(self) -> Tree:
        """Return the tree of all tokens. Raises Unreadable where they are not surely one expression."""
        tree = self._sum()
        if self._at < len(self._tokens):
            raise Unreadable(self._tokens[self._at].text)
        return tree

    def _sum(self) -> Tree:
        sign = self._take("+", "-")
        terms = [negated(self._product()) if sign == "-" else self._product()]
        while sign := self._take("+", "-"):
            term = self._product()
            terms.append(negated(term) if sign == "-" else term)
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
                if sign != "*" and not (is_scalar(tree, sign) or is_scalar(factor, sign)):
                    raise Unreadable("perhaps a product of vectors")
                tree = times(tree, factor)
            tree = negated(tree) if negative else tree
        return tree

    def _chain(self, first: Tree | None = None) -> Tree:
        """Factors joined without a sign."""
        tree = first or self._power()
        last = tree
        while self._starts_factor():
            if last[0] == "name" and last[1] in _OPERATORS and self._starts_name():
                raise Unreadable("perhaps a differential")
            if self._kind == "number" or (last[0] == "num" and not last[1]):
                raise Unreadable("a number after a factor, or a unit after zero")
            at = self._at
            factor = self._power()
            if last[0] == "num" and factor[0] == "quotient" and self._tokens[at].text == r"\frac" and is_plain(factor):
                raise Unreadable("perhaps a mixed number")
            tree, last = times(tree, factor), factor
        return tree

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
        if base in _E and not is_integer(exponent):
            return ("call", "exp", exponent)
        tree = ("power", base, exponent)
        return self._application(tree) if base[0] == "name" else tree

    def _exponent(self, base: Tree) -> Tree:
        if self._take("{"):
            if (
                base[0] == "name"
                and self._next == "("
                and [token.text for token in self._tokens[self._at + 2 : self._at + 4]] == [")", "}"]
            ):
                raise Unreadable("perhaps a derivative, or an index")
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
        return negated(tree) if negative else tree

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
        self._tokens[self._at :] = [part for token in self._tokens[self._at :] for part in numbers_apart(token)]
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
            return number_of(piece)
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
        if kind == "command" and word in JUXTAPOSED:
            return self._function(JUXTAPOSED[word])
        if kind == "command" and word in BRACKETED:
            return self._bracketed(word)
        if kind == "letters" or (kind == "command" and word in NAMES):
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
            return [number_of(digit) for digit in self._tokens[self._at - 1].text]
        return [self._argument(), self._argument()]

    def _argument(self) -> Tree:
        """What a LaTeX command takes: a group, one digit or one name."""
        if self._next == "{":
            return self._group()
        if (self._kind == "number" and len(self._next) == 1) or self._kind == "letters":
            self._at += 1
            return self._simple(self._tokens[self._at - 1])
        if self._next.removeprefix("\\") in NAMES:
            self._at += 1
            return self._simple(self._tokens[self._at - 1])
        raise Unreadable("the argument of a command")

    def _simple(self, token: Token) -> Tree:
        if token.kind == "number":
            return number_of(token.text)
        tree = self._named(token.text, token.kind)
        self._met.bare.add(str(tree[1]))
        return tree

    def _root(self, piece: str) -> Tree:
        degree: Tree = number_of("2")
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
            tree = number_of(self._tokens[self._at - 1].text)
            if self._starts_factor() and (piece == "√" or self._starts_name()):
                raise Unreadable("perhaps a longer root")
        else:
            tree = self._argument()
            if self._starts_name():
                raise Unreadable("perhaps a longer root")
        if not is_integer(degree):
            raise Unreadable("the degree of a root")
        return ("call", "root", tree, degree)

    def _bracketed(self, word: str) -> Tree:
        if word in {"binom"} or not self._take("("):
            raise Unreadable(f"{word} without brackets")
        args = self._arguments()
        if len(args) != BRACKETED[word] and (BRACKETED[word] or len(args) < 2):
            raise Unreadable(f"{word} of {len(args)}")
        if word in {"sqrt", "cbrt"}:
            return ("call", "root", args[0], number_of("2" if word == "sqrt" else "3"))
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
            if exponent == negated(number_of("1")) and name in TRIGONOMETRIC:
                name, exponent = f"a{name}", None
            elif not is_integer(exponent) or exponent[1] < 2:
                raise Unreadable("a power of a function")
        tree: Tree
        arg = self._function_argument(name)
        if name == "log":
            logarithm = (
                {"e": None, "10": number_of("10"), "2": number_of("2")}[self._reading.log] if base is None else base
            )
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
        return number_of(self._tokens[self._at - 1].text)

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
        if self._next.removeprefix("\\") in JUXTAPOSED:
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
                    return ("quotient", product_of(factors), self._power())
        return product_of(factors)

    def _may_join(self) -> bool:
        """Whether the next factor may belong to a function without brackets: functions and brackets never do."""
        return self._starts_name() or self._next in {r"\frac", r"\sqrt", "√"} or self._kind == "number"


_E = (("name", "e"), ("name", "e as a variable"))
_OPERATORS = frozenset({"d", "D", "delta", "Delta"})
"""Names that before another name may make a differential or a difference of it."""
