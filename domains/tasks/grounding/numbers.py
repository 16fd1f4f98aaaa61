"""Whether the numbers and times of an answer stand in its source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from autodata.domains.tasks.grounding.dates import dated, places
from autodata.domains.tasks.grounding.units import UNIT_BEHIND, UNIT_OF_WORD, has_unit, same_size, signs_missing
from autodata.domains.tasks.quantities import (
    TENS,
    UNITS,
    Number,
    any_of,
    in_digits,
    in_fractions,
    in_words,
    letters,
    stated,
    tokens,
    word_set,
)

_TIME = re.compile(r"(\d(?<!\w\d)\d?)[:.](\d{2})(?!\d)")


def numbers_missing(text: str, known: str) -> Iterator[str]:
    """Yield the numbers of an answer that a source does not state, as written, and with their unit."""
    values = stated(known)
    always = values | _ALWAYS
    times = [match for match in _TIME.finditer(text) if ":" in match[0]]
    minutes = {_minutes(*parts) for parts in set(_TIME.findall(known))} | _spoken_times(known) if times else set()
    spelled = in_words(text)
    decided = places(
        text,
        [match.span() for match in times if _minutes(match[1], match[2]) in minutes],
        [(one.start, one.end) for one in in_fractions(text) if one.values & values],
        [(one.start, one.end) for one in spelled if len(in_words(one.text)) > 1 and one.values & values],
        dated(text),
    )
    for number in (*in_digits(text, unlikely=False), *spelled):
        if decided[number.start]:
            continue
        if not values.isdisjoint(_years_of(number, text)) or _decade_word(number, text) in letters(known):
            continue  # a decade or a century of a year that stands there, or a decade in words
        if number.text.lower() in {"one", "first", "second"}:
            continue  # words of other meanings too
        shares = {value / 100 for value in number.values} if _PERCENT.match(text, number.end) else set()
        behind = UNIT_BEHIND.match(text, number.end)
        unit = UNIT_OF_WORD.get(behind[1]) if behind else None
        written = text[number.start : behind.end() if behind and unit else number.end].strip()
        if unit and same_size(unit, number.values, known):
            continue
        if number.values and (number.values | shares).isdisjoint(always):
            name = _NAME_BEFORE.search(text[max(0, number.start - 30) : number.start])
            if name and f"{name[1]}{number.text}" in tokens(known):
                continue  # GPT-4 and GPT4
            if number.in_digits or len(in_words(number.text)) == 1:  # a year's two halves are there by themselves
                yield written
        elif unit and not has_unit(unit, number.values, known):
            yield written
    yield from signs_missing(text, known)


_ALWAYS = frozenset({Fraction(1)})
"""A source says one without a word for it."""


_PERCENT = re.compile(r" ?(?:%|per ?cent)")
_CENTURY = re.compile(r"(?:st|nd|rd|th)?[ -](?:century|centuries)\b", re.IGNORECASE)
_DECADE = re.compile(r"'?s\b")


def _years_of(number: Number, text: str) -> Iterator[Fraction]:
    """Yield the years of a decade or a century that a number of a text names: 1960s, 15th century."""
    value = max(number.values, default=Fraction(0))
    if len(number.text) == 4 and number.text.endswith("0") and _DECADE.match(text, number.end):
        yield from (value + year for year in range(100 if number.text.endswith("00") else 10))
    if 0 < value < 100 and _CENTURY.match(text, number.end):
        yield from (100 * value - year for year in range(101))


def _decade_word(number: Number, text: str) -> str:
    """Return the word for a decade that a number of a text names, as thirties for 1930s; else nothing."""
    if len(number.text) == 4 and number.text.endswith("0") and _DECADE.match(text, number.end):
        return _DECADES.get(int(number.text[2]), "")
    return ""


_NAME_BEFORE = re.compile(r"([A-Za-z](?<![A-Za-z].)[A-Za-z]{0,29})[- ]$")
_DECADES = {value // 10: f"{word[:-1]}ies" for word, value in TENS.items() if word != "fourty"}


def _minutes(hours: str, minutes: str) -> int:
    """Return a time in minutes of half a day: 2:30 and 14:30 may be one."""
    return (int(hours) * 60 + int(minutes)) % 720


_SPOKEN = re.compile(rf"(?i:\b(half|quarter) (past|to|after)) ({any_of(UNITS)})")
_FULL_HOUR = re.compile(r"(\d(?<![\w.:,]\d)\d?) ?(?:[aApP]\.?[mM]\b|[oO]'?clock\b|hrs?\b|Uhr\b)")
_NOON = word_set("noon midday midnight")


def _spoken_times(text: str) -> set[int]:
    """Return the times that a source gives in words, as `_minutes` does: noon, half past five, quarter to nine."""
    found = {0} if {word.lower() for word in letters(text)} & _NOON else set()
    found |= {_minutes(hour, "00") for hour in set(_FULL_HOUR.findall(text))}
    for part, side, hour in set(_SPOKEN.findall(text)):
        minutes = {"half": 30, "quarter": 15}[part.lower()]
        found.add((UNITS[hour.lower()] * 60 + (-minutes if side.lower() == "to" else minutes)) % 720)
    return found
