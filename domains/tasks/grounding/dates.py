"""Whether the dates and months of an answer stand in its source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from fractions import Fraction
from functools import lru_cache
from itertools import chain, product
from typing import Final

from autodata.domains.tasks.quantities import MONTHS, any_of, stated, tokens

_MONTH = any_of(MONTHS)
DATES = (
    re.compile(rf"(?P<d>\d(?<!\w\d)\d?)(?i:st|nd|rd|th)?(?i: of)?[ -](?P<m>{_MONTH})\.?(?:,?[ -](?P<y>\d{{4}})\b)?"),
    re.compile(rf"(?P<m>{_MONTH})\.? (?P<d>\d{{1,2}})(?i:st|nd|rd|th)?\b(?:,? (?P<y>\d{{4}})\b)?"),
    re.compile(rf"(?P<m>{_MONTH})\.?,?(?i: of)? (?P<y>\d{{4}})\b"),
    re.compile(r"(?P<y>\d(?<!\w\d)\d{3})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})\b"),
    re.compile(r"(?P<d>\d(?<!\w\d)\d?)[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})\b"),
    re.compile(r"(?P<m>\d(?<!\w\d)\d?)[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{4})\b"),
)
_ANY_DATE = re.compile("|".join(re.sub(r"\?P<\w>", "?:", pattern.pattern) for pattern in DATES))
_A_MONTH = re.compile(rf"(?<=[a-z,] )(?=[A-Z]){any_of(word for word in MONTHS if len(word) > 3 or word == 'may')}")
"""A month within a sentence: at its beginning a capital says nothing of May or March."""
_MAY_BE_DATE = re.compile(r"\d[-/.]\d{1,2}[-/.]\d")


_Date = tuple[int | None, int, int | None]
"""Day, month and year."""


def _dates(text: str) -> list[tuple[_Date, str]]:
    """Return the dates of a text, and how each is written. A date in digits may be two."""
    matches = (match for pattern in DATES for match in pattern.finditer(text))
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
    for pattern in (*(DATES[:3] if _months_of(text) else ()), *(DATES[3:] if _MAY_BE_DATE.search(text) else ())):
        names = list(pattern.groupindex)
        spelled = set(pattern.findall(text))
        found |= {date for parts in spelled if (date := _date(dict(zip(names, parts, strict=True))))}
    return frozenset(found), _ANY_DATE.sub(" ", text) if found else text


def dates_missing(text: str, known: str) -> Iterator[str]:
    """Yield the dates of an answer, as written, that a source has in no form, nor their parts."""
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


def months_missing(text: str, known: str) -> Iterator[str]:
    """Yield the months that an answer names outside of a date, and that its source has in no form."""
    named = list(_A_MONTH.finditer(text))
    if not named:
        return
    months = _months_of(known) | {there for _, there, _ in _dates_of(known)[0]}
    decided = places(text, dated(text))
    yield from (match[0] for match in named if not decided[match.start()] and MONTHS[match[0].lower()] not in months)


def places(text: str, *spans: Iterable[tuple[int, int]]) -> bytearray:
    """Return for each place of a text whether it lies in one of some spans."""
    inside = bytearray(len(text))
    for start, end in chain(*spans):
        inside[start:end] = b"\1" * (end - start)
    return inside


def dated(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the dates of a text stand."""
    return (match.span() for pattern in DATES for match in pattern.finditer(text))


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
