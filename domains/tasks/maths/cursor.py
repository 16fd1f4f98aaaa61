"""A place in the tokens of one expression: what comes next, and the numbers and names that tokens are."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from autodata.domains.tasks.maths.meanings import Met, Reading
from autodata.domains.tasks.maths.tokens import NAMES, WORDS, Token, Unreadable
from autodata.domains.tasks.maths.trees import Tree

DEEPEST = 30
"""Brackets, powers and functions inside one another."""
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


class Cursor:
    """A place in tokens, with what is known so far of their meaning."""

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

    def _starts_name(self) -> bool:
        return self._kind == "letters" or self._next.removeprefix("\\") in NAMES

    def _starts_factor(self) -> bool:
        piece = self._next
        if piece == "|":
            return not self._bars
        known = piece.startswith("\\") and piece[1:] in (*WORDS, "frac", "binom", "mathrm", "lfloor", "lceil")
        return known or self._kind in {"number", "letters"} or (piece != "" and piece in "([√")


def _is_index(found: list[Token], at: int) -> bool:
    before = [token.text for token in found[max(0, at - 2) : at]]
    return before[-1:] == ["_"] or before == ["_", "{"] or before in ([r"\mathrm", "{"],)


def numbers_apart(token: Token) -> list[Token]:
    """Take numbers with a comma between them apart, as the arguments of a function, where they cannot be one number."""
    if token.kind != "number" or "," not in token.text:
        return [token]
    parts = token.text.split(",")
    if "{" in token.text or any(len(part.partition(".")[0]) == 3 for part in parts[1:]):
        raise Unreadable("a comma between digits")
    found = [Token("number", part, False) for part in parts]
    return [piece for part in found for piece in (Token("sign", ",", False), part)][1:]


def number_of(text: str) -> Tree:
    """Return the tree of a number as written. Raises Unreadable where its signs may mean something else."""
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
