"""Numbers written as fractions, in signs or in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from fractions import Fraction

from autodata.domains.tasks.quantities.digits import Number
from autodata.domains.tasks.quantities.spelled import spelled_numbers, word_runs
from autodata.domains.tasks.quantities.vocabulary import ORDINALS, UNITS, any_of


def _parts_of_one() -> Mapping[str, int]:
    names = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4}
    for word, value in ORDINALS.items():
        if value > 2:
            names |= {word: value, f"{word}s": value}
    return names


PARTS_OF_ONE = _parts_of_one()
_HOW_MANY = {"a": 1, "an": 1, **{word: value for word, value in UNITS.items() if value}}
_PARTS = re.compile(rf"({any_of(_HOW_MANY)})[ -]({any_of(PARTS_OF_ONE)})")
_DIVIDED = re.compile(r"(?:(\d(?<![\w.,/]\d)\d{0,8})[ -])?(\d(?<![\w.,/]\d)\d{0,5}) ?/ ?(\d{1,6})(?![\d/])", re.ASCII)
_ANY_DIVIDED = re.compile(re.sub(r"\((?=\\d)", "(?:", _DIVIDED.pattern), re.ASCII)
_AND_PARTS = re.compile(r" and (?:(?:a |one )?(half|quarter|third)|(three) (quarters)|(two) (thirds))\b", re.IGNORECASE)
_WHOLE_AND_PARTS = re.compile(rf"(\d(?<![\w.,]\d)\d{{0,11}})({_AND_PARTS.pattern})", re.ASCII | re.IGNORECASE)


def in_fractions(text: str) -> list[Number]:
    """Return the numbers written as fractions: 2/3, 2 1/2, three quarters, two and a half, 2 and a half."""
    found = [
        Number(match.start(), match.end(), frozenset({value}), match[0])
        for pattern, read in _FRACTIONS
        for match in pattern.finditer(text)
        if (value := read(match.groups(""))) is not None
    ]
    for run in word_runs(text):
        if behind := _AND_PARTS.match(text, run.end()):
            *_, last = spelled_numbers(run[0], run.start())
            values = frozenset(value + value_of_parts(behind[0]) for value in last.values)
            found.append(Number(last.start, behind.end(), values, text[last.start : behind.end()], False))
    return found


def fractions_stated(text: str, lower: Set[str]) -> set[Fraction]:
    """Return the values of a source's fractions but for those behind number words. Each spelling is read once."""
    written = set(_ANY_DIVIDED.findall(text)) if "/" in text else ()
    found = [_divided(match.groups("")) for match in map(_DIVIDED.fullmatch, written) if match]
    for pattern, read in _FRACTIONS[1:] if not lower.isdisjoint(PARTS_OF_ONE) else ():
        found += map(read, set(pattern.findall(text)))
    return {value for value in found if value is not None}


def _divided(parts: Sequence[str]) -> Fraction | None:
    whole, above, below = parts
    return int(whole or 0) + Fraction(int(above), int(below)) if int(below) else None


def _in_words(parts: Sequence[str]) -> Fraction:
    return Fraction(_HOW_MANY[parts[0].lower()], PARTS_OF_ONE[parts[1].lower()])


def _with_whole(parts: Sequence[str]) -> Fraction:
    return int(parts[0]) + value_of_parts(parts[1])


_FRACTIONS: tuple[tuple[re.Pattern[str], Callable[[Sequence[str]], Fraction | None]], ...] = (
    (_DIVIDED, _divided),
    (_PARTS, _in_words),
    (_WHOLE_AND_PARTS, _with_whole),
)


def parts_behind(text: str, at: int) -> str:
    """Return the parts of one behind a place of a text, as in two and a half; empty without."""
    behind = _AND_PARTS.match(text, at)
    return behind[0] if behind else ""


def value_of_parts(text: str) -> Fraction:
    """Return the value of such parts."""
    words = text.lower().split()
    return Fraction({"two": 2, "three": 3}.get(words[-2], 1), PARTS_OF_ONE[words[-1]])
