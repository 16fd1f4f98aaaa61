"""Whether the dates and months of an answer stand in its source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache

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
    values, months = stated(rest), {month for _, month, _ in there} | _months_of(known)
    spelled = {written for date, written in dates if date[0] is not None}
    for (day, month, year), written in dates:
        if written.replace("/", "").replace("-", "").replace(".", "").isdecimal() and any(
            _fits(other, there) for other, as_written in dates if as_written == written
        ):
            continue  # one of the two ways to read it stands there
        if day is None and any(written in longer for longer in spelled):
            continue
        fits = _fits((day, month, year), there)
        day_apart = day is None or Fraction(day) in values  # as in: from 9 to 12 June 1931
        year_apart = year is None or Fraction(year) in values
        in_year = _fits((None, month, year), there) if day is not None else False
        if not fits and not (day_apart and (in_year or (month in months and year_apart))):
            yield written.strip()


def months_missing(text: str, known: str) -> Iterator[str]:
    """Yield the months that an answer names outside of a date, and that its source has in no form."""
    dated = [match.span() for pattern in DATES for match in pattern.finditer(text)]
    for match in _A_MONTH.finditer(text):
        if not any(start <= match.start() < end for start, end in dated):
            month = MONTHS[match[0].lower()]
            if month not in _months_of(known) | {there for _, there, _ in _dates_of(known)[0]}:
                yield match[0]


def _fits(date: _Date, there: Iterable[_Date]) -> bool:
    day, month, year = date
    return any(
        month == month_there and (day is None or day_there == day) and (year is None or year_there in {year, None})
        for day_there, month_there, year_there in there
    )


def _months_of(text: str) -> set[int]:
    return {MONTHS[word] for word in {token.lower() for token in tokens(text)} if word in MONTHS}
