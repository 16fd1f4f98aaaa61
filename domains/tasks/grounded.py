"""Whether what an example says stands in its source: numbers, dates and names of an answer, and quoted words.

A check by code sees spellings only, so it looks for what certainly is missing: every way in which the source may say
the same counts as saying it (41 and forty-one, 3 May 1931 and 1931-05-03, Lind's and Lind).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from fractions import Fraction
from functools import lru_cache
from itertools import chain, product
from typing import Final

from autodata.domains.tasks.proper_names import names_missing
from autodata.domains.tasks.quantities import (
    MONTHS,
    SHORT_SCALES,
    UNITS,
    Number,
    amounts,
    any_of,
    in_digits,
    in_fractions,
    in_words,
    letters,
    plain_text,
    readings,
    stated,
    tokens,
    word_set,
)

MAX_SOURCE_CHARS = 150_000
"""A longer source, of 25,000 words or so, states nearly every number somewhere: nothing is certainly missing from it.

It is that long as it is written, or with its signs for numbers written out. The quality verifier reads on.
"""
MAX_ANSWER_CHARS = 4_000
"""No kind takes a longer reference answer."""
MAX_QUOTES = 5
MAX_LOOKED_FOR = 250
QUOTE_CHARS = 160
"""What is kept of the quotes that a document lacks: MAX_QUOTES, each cut to QUOTE_CHARS characters.

Of different quotes at most MAX_LOOKED_FOR are looked for, each in the whole document.
"""

_UNIT_SPELLINGS = (
    "m metre metres meter meters",
    "km kilometre kilometres kilometer kilometers",
    "cm centimetre centimetres centimeter centimeters",
    "mm millimetre millimetres millimeter millimeters",
    "ft foot feet",
    "mi mile miles",
    "g gram grams gramme grammes",
    "kg kilogram kilograms kilogramme kilogrammes kilo kilos",
    "lb lbs pound pounds",
    "ms millisecond milliseconds",
    "s sec secs second seconds",
    "min mins minute minutes",
    "h hr hrs hour hours",
    "Hz hertz",
    "kHz kilohertz",
    "MHz megahertz",
    "GHz gigahertz",
    "W watt watts",
    "kW kilowatt kilowatts",
    "MW megawatt megawatts",
    "V volt volts",
    "A amp amps ampere amperes",
    "J joule joules",
    "Pa pascal pascals",
    "bar bars",
    "K kelvin kelvins",
    "L l litre litres liter liters",
    "ml mL millilitre millilitres milliliter milliliters",
    "GB gigabyte gigabytes",
    "MB megabyte megabytes",
    "kB KB kilobyte kilobytes",
)
_UNIT: Mapping[str, str] = {word: row.split()[0] for row in _UNIT_SPELLINGS for word in row.split()}
_SIZES: Mapping[str, tuple[str, Fraction]] = {
    unit: (base, Fraction(str(size)))
    for base, units in (
        ("m", {"mm": "1/1000", "cm": "1/100", "m": 1, "km": 1000}),
        ("g", {"g": 1, "kg": 1000}),
        ("s", {"ms": "1/1000", "s": 1, "min": 60, "h": 3600}),
        ("Hz", {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}),
        ("W", {"W": 1, "kW": 10**3, "MW": 10**6}),
        ("L", {"ml": "1/1000", "L": 1}),
    )
    for unit, size in units.items()
}
"""Units of one kind, and how many of its base unit each is. Bytes are not here: a kilobyte is 1000 or 1024 of them."""
_UNIT_BEHIND = re.compile(r"[ -]?([A-Za-z]{1,12})(?![A-Za-z0-9])")

_MONTH = any_of(MONTHS)
_DATES = (
    re.compile(rf"(?P<d>\d(?<!\w\d)\d?)(?i:st|nd|rd|th)?(?i: of)?[ -](?P<m>{_MONTH})\.?(?:,?[ -](?P<y>\d{{4}})\b)?"),
    re.compile(rf"(?P<m>{_MONTH})\.? (?P<d>\d{{1,2}})(?i:st|nd|rd|th)?\b(?:,? (?P<y>\d{{4}})\b)?"),
    re.compile(rf"(?P<m>{_MONTH})\.?,?(?i: of)? (?P<y>\d{{4}})\b"),
    re.compile(r"(?P<y>\d(?<!\w\d)\d{3})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})\b"),
    re.compile(r"(?P<d>\d(?<!\w\d)\d?)[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})\b"),
    re.compile(r"(?P<m>\d(?<!\w\d)\d?)[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{4})\b"),
)
_ANY_DATE = re.compile("|".join(re.sub(r"\?P<\w>", "?:", pattern.pattern) for pattern in _DATES))
_A_MONTH = re.compile(rf"(?<=[a-z,] )(?=[A-Z]){any_of(word for word in MONTHS if len(word) > 3 or word == 'may')}")
"""A month within a sentence: at its beginning a capital says nothing of May or March."""
_MAY_BE_DATE = re.compile(r"\d[-/.]\d{1,2}[-/.]\d")
_TIME = re.compile(r"(\d(?<!\w\d)\d?)[:.](\d{2})(?!\d)")

_QUOTED = re.compile(
    r"\u201c([^\u201c\u201d]{1,2000})\u201d|\u00ab([^\u00ab\u00bb]{1,2000})\u00bb|(?<![\w\"])\"(?=\S)([^\"]{1,2000})(?<=\S)\"(?!\w)"
)
_LEFT_OUT = re.compile(r"\[?(?:\u2026|\.\.\.)\]?")
_LETTERS = re.compile(r"[^\W_]+")


def unfounded(answer: str, question: str, sources: Sequence[str]) -> list[str]:
    """Return the numbers, dates and names of an answer that stand neither in a source nor in the question.

    Each is returned as the answer writes it. `sources` are the passage and what was shown with it, as its title.
    Nothing is returned for a longer answer than MAX_ANSWER_CHARS, or longer sources than MAX_SOURCE_CHARS together.
    """
    if len(answer) > MAX_ANSWER_CHARS or sum(map(len, [*sources, question])) > MAX_SOURCE_CHARS:
        return []
    text = plain_text(answer)
    known = plain_text("\n".join([*sources, question]))
    if len(known) > MAX_SOURCE_CHARS:
        return []
    found = [
        *_dates_missing(text, known),
        *_months_missing(text, known),
        *_numbers_missing(text, known),
        *names_missing(text, question, known),
    ]
    return list(dict.fromkeys(found))


def quotes_missing(parts: Mapping[str, str], document: str) -> list[dict[str, str]]:
    """Return the quoted words, two or more in a row, that a document does not hold, and the part each stands in.

    White space, case, punctuation and quotation marks do not matter; what is left out of a quote by three dots may be
    anything. At most MAX_QUOTES are returned, cut to QUOTE_CHARS characters, of the first MAX_LOOKED_FOR that differ.
    """
    held, seen, looked_for = "", set[str](), 0
    found: list[dict[str, str]] = []
    for where, text in parts.items():
        for match in _QUOTED.finditer(text):
            quote = next(group for group in match.groups() if group is not None)
            pieces = [piece for piece in map(_bare, _LEFT_OUT.split(quote)) if piece]
            if sum(len(piece.split()) for piece in pieces) < 2:
                continue
            if seen.issuperset(pieces):
                continue
            if looked_for == MAX_LOOKED_FOR:
                return found
            looked_for += 1
            held = held or f" {_bare(document)} "
            if all(f" {piece} " in held for piece in pieces):
                seen.update(pieces)  # looked for once, however often it is quoted
            else:
                found.append({"where": where, "quote": " ".join(quote.split())[:QUOTE_CHARS]})
                if len(found) == MAX_QUOTES:
                    return found
    return found


def _bare(text: str) -> str:
    """Return a text's words alone, in lower case. Letters that brackets changed belong to their word."""
    plain = unicodedata.normalize("NFKC", text).lower()
    return " ".join(_LETTERS.findall(re.sub(r"['\u2018\u2019\[\]]", "", plain)))


# Numbers


def _numbers_missing(text: str, known: str) -> Iterator[str]:
    values = stated(known)
    always = values | _ALWAYS
    times = [match for match in _TIME.finditer(text) if ":" in match[0]]
    minutes = {_minutes(*parts) for parts in set(_TIME.findall(known))} | _spoken_times(known) if times else set()
    spelled = in_words(text)
    decided = _places(
        text,
        [match.span() for match in times if _minutes(match[1], match[2]) in minutes],
        [(one.start, one.end) for one in in_fractions(text) if one.values & values],
        [(one.start, one.end) for one in spelled if len(in_words(one.text)) > 1 and one.values & values],
        _dated(text),
    )
    for number in (*in_digits(text, unlikely=False), *spelled):
        if decided[number.start]:
            continue
        if not values.isdisjoint(_years_of(number, text)):
            continue  # a decade or a century of a year that stands there
        if number.text.lower() in {"one", "first", "second"}:
            continue  # words of other meanings too
        shares = {value / 100 for value in number.values} if _PERCENT.match(text, number.end) else set()
        behind = _UNIT_BEHIND.match(text, number.end)
        unit = _UNIT.get(behind[1]) if behind else None
        written = text[number.start : behind.end() if behind and unit else number.end].strip()
        if unit and _same_size(unit, number.values, known):
            continue
        if number.values and (number.values | shares).isdisjoint(always):
            if number.in_digits or len(in_words(number.text)) == 1:  # a year's two halves are there by themselves
                yield written
        elif unit and not _has_unit(unit, number.values, known):
            yield written


def _places(text: str, *spans: Iterable[tuple[int, int]]) -> bytearray:
    """Return for each place of a text whether it lies in one of some spans."""
    inside = bytearray(len(text))
    for start, end in chain(*spans):
        inside[start:end] = b"\1" * (end - start)
    return inside


def _dated(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the dates of a text stand."""
    return (match.span() for pattern in _DATES for match in pattern.finditer(text))


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


def _minutes(hours: str, minutes: str) -> int:
    """Return a time in minutes of half a day: 2:30 and 14:30 may be one."""
    return (int(hours) * 60 + int(minutes)) % 720


_SPOKEN = re.compile(rf"(?i:\b(half|quarter) (past|to|after)) ({any_of(UNITS)})")
_NOON = word_set("noon midday midnight")


def _spoken_times(text: str) -> set[int]:
    """Return the times that a source gives in words, as `_minutes` does: noon, half past five, quarter to nine."""
    found = {0} if {word.lower() for word in letters(text)} & _NOON else set()
    for part, side, hour in set(_SPOKEN.findall(text)):
        minutes = {"half": 30, "quarter": 15}[part.lower()]
        found.add((UNITS[hour.lower()] * 60 + (-minutes if side.lower() == "to" else minutes)) % 720)
    return found


def _has_unit(unit: str, values: frozenset[Fraction], known: str) -> bool:
    """Whether a source writes a unit at all, and does not write the number with other units only."""
    if unit not in _units_of(known):
        return False
    beside = _units_beside(known)
    there = {one for value in values for one in beside.get(value, ())}
    return not there or None in there or unit in there


def _same_size(unit: str, values: frozenset[Fraction], known: str) -> bool:
    """Whether a source gives the same amount in another unit, as 7.3 km for 7,300 m."""
    base, size = _SIZES.get(unit, ("", Fraction(0)))
    return bool(base) and not _sizes_of(known).isdisjoint((base, value * size) for value in values if value)


@lru_cache(maxsize=32)
def _sizes_of(text: str) -> frozenset[tuple[str, Fraction]]:
    """Return every amount of a source in base units, with its base unit."""
    known = ((number, *_SIZES[unit]) for number, unit in _amounts(text) if unit and unit in _SIZES)
    return frozenset((base, value * size) for number, base, size in known for value in number)


@lru_cache(maxsize=32)
def _units_beside(text: str) -> Mapping[Fraction, Set[str | None]]:
    """Return the units that stand behind each value of a source, None for another word or none."""
    found: dict[Fraction, set[str | None]] = {}
    for number, unit in _amounts(text):
        for value in number:
            found.setdefault(value, set()).add(unit)
    return found


@lru_cache(maxsize=32)
def _amounts(text: str) -> frozenset[tuple[frozenset[Fraction], str | None]]:
    """Return every number in digits and the unit behind it, None for another word or none. Each spelling once."""
    found: set[tuple[frozenset[Fraction], str | None]] = set()
    for spelling in amounts(text):
        for number in in_digits(spelling)[:1]:
            behind = _UNIT_BEHIND.match(spelling, number.end)
            unit = _UNIT.get(behind[1]) if behind else None
            if unit and behind and behind[1].lower() in SHORT_SCALES:  # 3.5m is a length, or money in millions
                plain = readings(number.text)
                found.add((number.values - plain, None))
                found.add((plain, unit))
            else:
                found.add((number.values, unit))
    return frozenset(found)


@lru_cache(maxsize=32)
def _units_of(text: str) -> frozenset[str]:
    units = {_UNIT[word] for word in letters(text) if word in _UNIT}
    return frozenset(units | {"lb"} if "\u00a3" in text else units)  # pounds are money too


# Dates


_Date = tuple[int | None, int, int | None]
"""Day, month and year."""


def _dates(text: str) -> list[tuple[_Date, str]]:
    """Return the dates of a text, and how each is written. A date in digits may be two."""
    matches = (match for pattern in _DATES for match in pattern.finditer(text))
    return [(date, match[0]) for match in matches if (date := _date(match.groupdict()))]


def _date(parts: Mapping[str, str | None]) -> _Date | None:
    """Return the date that a pattern has found; None for a month or a day that no calendar has."""
    day, name, year = parts.get("d"), parts["m"] or "", parts.get("y")
    month = MONTHS.get(name.lower(), 0) or (int(name) if name.isdecimal() else 0)
    date = (int(day) if day else None, month, int(year) if year else None)
    return date if 1 <= month <= 12 and (date[0] is None or 1 <= date[0] <= 31) else None


@lru_cache(maxsize=32)
def _dates_of(text: str) -> tuple[frozenset[_Date], str]:
    """Return the dates of a source, and the source without them. Each spelling is looked at once."""
    found = set()
    for pattern in (*(_DATES[:3] if _months_of(text) else ()), *(_DATES[3:] if _MAY_BE_DATE.search(text) else ())):
        names = list(pattern.groupindex)
        spelled = set(pattern.findall(text))
        found |= {date for parts in spelled if (date := _date(dict(zip(names, parts, strict=True))))}
    return frozenset(found), _ANY_DATE.sub(" ", text) if found else text


def _dates_missing(text: str, known: str) -> Iterator[str]:
    dates = _dates(text)
    if not dates:
        return
    there, rest = _dates_of(known)
    readable = _queries(there)
    values, months = stated(rest), {month for _, month, _ in there} | _months_of(known)
    spelled = {written for date, written in dates if date[0] is not None}
    for (day, month, year), written in dates:
        if written.replace("/", "").replace("-", "").replace(".", "").isdecimal() and any(
            _fits(other, readable) for other, as_written in dates if as_written == written
        ):
            continue  # one of the two ways to read it stands there
        if day is None and any(written in longer for longer in spelled):
            continue
        fits = _fits((day, month, year), readable)
        day_apart = day is None or Fraction(day) in values  # as in: from 9 to 12 June 1931
        year_apart = year is None or Fraction(year) in values
        in_year = _fits((None, month, year), readable) if day is not None else False
        if not fits and not (day_apart and (in_year or (month in months and year_apart))):
            yield written.strip()


def _months_missing(text: str, known: str) -> Iterator[str]:
    """Yield the months that an answer names outside of a date, and that its source has in no form."""
    named = list(_A_MONTH.finditer(text))
    if not named:
        return
    months = _months_of(known) | {there for _, there, _ in _dates_of(known)[0]}
    dated = _places(text, _dated(text))
    yield from (match[0] for match in named if not dated[match.start()] and MONTHS[match[0].lower()] not in months)


_ANY: Final = -1
"""In a query for a date: any day, or any year."""


@lru_cache(maxsize=32)
def _queries(there: frozenset[_Date]) -> frozenset[_Date]:
    """Return all queries that one of some dates answers."""
    return frozenset(query for day, month, year in there for query in product({day, _ANY}, {month}, {year, _ANY}))


def _fits(date: _Date, readable: Set[_Date]) -> bool:
    """Whether a date is one of those whose queries are given; what either leaves out may be anything."""
    day, month, year = date
    years = {_ANY} if year is None else {year, None}
    return any((_ANY if day is None else day, month, one) in readable for one in years)


@lru_cache(maxsize=32)
def _months_of(text: str) -> frozenset[int]:
    return frozenset(MONTHS[word] for word in {token.lower() for token in tokens(text)} if word in MONTHS)
