"""Every number that a source can be said to state. A source may be long: each spelling is looked at once."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache

from autodata.domains.tasks.quantities.digits import DIGITS, in_digits, readings
from autodata.domains.tasks.quantities.spelled import ASCII_WORD, spelled_numbers, word_runs
from autodata.domains.tasks.quantities.vocabulary import LOOSE, NUMBER_WORDS, SCALES
from autodata.domains.tasks.quantities.written_fractions import (
    PARTS_OF_ONE,
    fractions_stated,
    parts_behind,
    value_of_parts,
)

_TOKEN = re.compile(r"[^\W_]+")
_PERCENT = re.compile(r" ?(?:%|per[ -]?cent\b|percent\b|pct\b)", re.IGNORECASE)
_AMOUNT = re.compile(rf"{DIGITS}(?: ?(?:%|[A-Za-z]{{1,13}}))?(?:[ -]?[A-Za-z]{{1,13}})?[0-9]?", re.ASCII)
"""A number, a scale and a unit behind it, with the sign that ends the unit's word; longer words are neither."""
_RANGE = re.compile(
    r"(\d(?<![\w.,]\d)\d{0,11}(?:[.,]\d{1,12})?)\s?(?:to|and|or|-|\u2013)\s?\d{1,12}(?:[.,]\d{1,12})? ?"
    rf"({'|'.join(SCALES)})\b",
    re.IGNORECASE,
)


_SHORT_YEAR = re.compile(r"(?<!\w)'(\d\d)(?!\w)", re.ASCII)
_SHORT_RANGE = re.compile(r"(\d(?<!\w\d)\d)\d\d[-\u2013/](\d\d)(?![\w/.-])", re.ASCII)


def _short_years(text: str) -> set[Fraction]:
    """Return the years that two digits stand for, as in '29 and 1874-81."""
    years = set(_SHORT_YEAR.findall(text)) if "'" in text else ()
    found = {Fraction(century + int(year)) for year in years for century in (1800, 1900, 2000)}
    for first, last in set(_SHORT_RANGE.findall(text)):
        found.add(Fraction(int(first + last)))
    return found


@lru_cache(maxsize=32)
def amounts(text: str) -> frozenset[str]:
    """Return the different spellings of numbers in digits, each with up to two words behind it: a scale, a unit."""
    return frozenset(_AMOUNT.findall(text))


@lru_cache(maxsize=32)
def tokens(text: str) -> frozenset[str]:
    """Return the different words of a text, as they are written: letters and digits in a row."""
    return frozenset(_TOKEN.findall(text))


@lru_cache(maxsize=32)
def letters(text: str) -> frozenset[str]:
    """Return the different words of English letters alone, as they are written; digits end a word."""
    return frozenset(word for token in tokens(text) for word in ASCII_WORD.findall(token))


@lru_cache(maxsize=32)
def stated(text: str) -> frozenset[Fraction]:
    """Return every value that a source can be said to state: digits, words, shares, parts of ranges, numerals.

    `text` is what `plain_text` returns. Different spellings are looked at once each: a source may be long.
    """
    found: set[Fraction] = set()
    for spelling in amounts(text):
        for number in in_digits(spelling, unlikely=False):
            found |= number.values
            if _PERCENT.match(spelling, number.end):
                found |= {value / 100 for value in number.values}
            if re.search(r"\d \d", number.text):  # 10 200 may be two numbers
                parts = re.findall(r"\d+(?:[.,]\d+)?", number.text)
                found |= {value for part in parts for value in readings(part, unlikely=False)}
    lower = {word.lower() for word in letters(text)}
    more = not lower.isdisjoint(PARTS_OF_ONE)
    runs = word_runs(text) if lower & NUMBER_WORDS else ()
    for run, behind in {(run[0], parts_behind(text, run.end()) if more else "") for run in runs}:
        numbers = list(spelled_numbers(run, 0))
        found |= {value for number in numbers for value in number.values}
        found |= {value + value_of_parts(behind) for value in numbers[-1].values} if behind else set()
    for digits, scale in set(_RANGE.findall(text)) if lower & SCALES.keys() else ():  # 5 to 6 million
        found |= {value * SCALES[scale.lower()] for value in readings(digits)}
    for word in lower & LOOSE.keys():
        found |= set(LOOSE[word])
    found |= fractions_stated(text, lower)
    found |= _numerals(text) | _short_years(text)
    found |= {
        Fraction(unicodedata.numeric(sign)).limit_denominator(10**6)
        for sign in (() if text.isascii() else {*text})
        if not sign.isascii() and unicodedata.numeric(sign, None) is not None
    }
    return frozenset(found)


_NUMERAL = re.compile(r"[IVXLCDM]{1,15}")
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def _numerals(text: str) -> set[Fraction]:
    """Return the values of Roman numerals."""
    found = set()
    for numeral in tokens(text):
        if _NUMERAL.fullmatch(numeral):
            digits = [_ROMAN[sign] for sign in numeral]
            pairs = zip(digits, [*digits[1:], 0], strict=True)
            found.add(Fraction(sum(-one if one < after else one for one, after in pairs)))
    return found
