"""Numbers written in digits, with every value that their separators leave open."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from autodata.domains.tasks.quantities.vocabulary import SCALES, SHORT_SCALES

_SEPARATED = r"\d{1,3}(?:[ ,.']\d{2,3}){0,12}[ ,.']\d{3}(?:[.,]\d{1,30})?"
DIGITS = rf"(?<![A-Za-z0-9])(?:{_SEPARATED}(?!\d)|\d+(?:[.,]\d+)?)"
"""A number in digits, with its separators; for a pattern in ASCII."""
_DIGITS = re.compile(DIGITS, re.ASCII)
_LETTERS_AFTER = re.compile(r" ?([A-Za-z]+)")
_GROUPED = re.compile(r"\d{1,3}(?:\D\d{3})+|\d{1,2}(?:\D\d{2})*\D\d{3}", re.ASCII)
_SAME_SIGN = {0x2212: "-", 0x2010: "-", 0x2011: "-", 0x2019: "'", 0x00A0: " ", 0x202F: " ", 0x2009: " "}
_MAX_DIGITS = 40


@dataclass(frozen=True)
class Number:
    """A number of a text: where it stands, all values that its spelling can mean, and how it is written."""

    start: int
    end: int
    values: frozenset[Fraction]
    text: str
    in_digits: bool = True


def plain_text(text: str) -> str:
    """Return a text in which signs for numbers are written out: fractions, superscripts, wide digits, dashes."""
    if text.isascii():
        return text
    written: dict[int, str] = {}
    for sign in {*text}:
        kind = unicodedata.decomposition(sign).split(" ")[0]
        if kind == "<super>" and sign.isdigit():
            written[ord(sign)] = f"^{unicodedata.digit(sign)}"
        elif kind == "<fraction>":
            written[ord(sign)] = f" {unicodedata.normalize('NFKC', sign).replace(chr(0x2044), '/')} "
    return unicodedata.normalize("NFKC", text.translate(written)).translate(_SAME_SIGN)


def readings(digits: str, *, unlikely: bool = True) -> frozenset[Fraction]:
    """Return every value that digits with separators can mean: 1.500 is 1500 or 1.5. Empty when far too long.

    `unlikely` readings are those of 5,000 as a decimal.
    """
    if len(digits) > _MAX_DIGITS:
        return frozenset()
    whole = re.sub(r"\D", "", digits)
    if whole == digits:
        return frozenset({Fraction(int(digits))})
    found = set()
    if _GROUPED.fullmatch(digits):
        found.add(Fraction(int(whole)))
        if not unlikely and digits.endswith(",000"):
            return frozenset(found)
    head, sign, tail = re.fullmatch(r"(.*)(\D)(\d+)", digits, re.DOTALL).groups()  # type: ignore[union-attr]
    if sign in ".,":
        found.add(Fraction(f"{re.sub(r'[^0-9]', '', head)}.{tail}"))
    return frozenset(found)


def in_digits(text: str, *, unlikely: bool = True) -> list[Number]:
    """Return the numbers written in digits, in order; `text` is what `plain_text` returns.

    Digits behind a letter, as in B52, are part of a name and no number. `unlikely` is that of `readings`.
    """
    found = []
    for match in _DIGITS.finditer(text):
        values, end = set(readings(match[0], unlikely=unlikely)), match.end()
        after = _LETTERS_AFTER.match(text, end)
        word = after[1] if after else ""
        if after and word.lower() in SCALES:
            values, end = {value * SCALES[word.lower()] for value in values}, after.end()
        elif after and word.lower() in SHORT_SCALES:
            values |= {value * SHORT_SCALES[word.lower()] for value in values}
        elif after and word.lower() == "hundred":
            values, end = {value * 100 for value in values}, after.end()
        elif after and word.lower() == "dozen":
            values |= {value * 12 for value in values}
        found.append(Number(match.start(), end, frozenset(values), text[match.start() : end]))
    return found
