"""Whether what an example says stands in its source: numbers, dates and names of an answer, and quoted words.

A check by code sees spellings only, so it looks for what certainly is missing: every way in which the source may say
the same counts as saying it (41 and forty-one, 3 May 1931 and 1931-05-03, Lind's and Lind).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from autodata.domains.tasks.quantities import (
    MONTHS,
    amounts,
    any_of,
    in_digits,
    in_words,
    letters,
    plain_text,
    stated,
    tokens,
    word_set,
)

MAX_QUOTES = 5
QUOTE_CHARS = 160
"""What is kept of the quotes that a document lacks: so many, each cut to so many characters."""

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
_MAY_BE_DATE = re.compile(r"\d[-/.]\d{1,2}[-/.]\d")
_TIME = re.compile(r"(\d(?<!\w\d)\d?)[:.](\d{2})(?!\d)")

_NAME = re.compile(r"[^\W_]+(?:['.&][^\W_]+)*\.?")
_NAME_AND_NUMBER = re.compile(r"([A-Za-z](?<!\w.)[A-Za-z]*)[- ](\d+)\b")
_NAMES_IN_A_ROW = re.compile(r"[A-Z](?<!\w.)[A-Za-z]+(?:[ -](?:(?:of|the|for|and|on|in) )*[A-Z][A-Za-z]+){1,7}")
_BETWEEN = re.compile(r"[\s\-]*")
_NO_NAME = word_set(
    "a an the this that these those it its he she they we you i his her their our my your who what which when where"
    " there here yes no not true false unknown in on at by of from for to with without within near under over between"
    " before after since until during about around and or but as is was were are be been has had have did does do can"
    " could will would may might must if because so both all each every some any most more less one two mr mrs ms miss"
    " dr prof professor sir lady lord st saint mount mt lake river street road avenue city town county university the"
    " company inc ltd co corp answer reference because approximately exactly only even"
) | {*MONTHS}
_DERIVED = re.compile(r"(?:(?:ish|ese|ian|ean|can)s?|^(?:french|dutch|swiss|greeks?|czechs?|thai|welsh))$")
"""Words made from a country's name, which need not look like it."""
_SENTENCE_END = re.compile(r"[.!?:\n\"(\u201c]\s*$")
_CAPITAL_NOUNS = word_set("der die das und ist wurde eine einen dem den")
_SHORT = {"st": "saint", "mt": "mount", "ft": "fort", "nr": "number", "no": "number"}

_QUOTED = re.compile(
    r"\u201c([^\u201c\u201d]{1,2000})\u201d|\u00ab([^\u00ab\u00bb]{1,2000})\u00bb|(?<![\w\"])\"(?=\S)([^\"]{1,2000})(?<=\S)\"(?!\w)"
)
_LEFT_OUT = re.compile(r"\[?(?:\u2026|\.\.\.)\]?")
_LETTERS = re.compile(r"[^\W_]+")


def unfounded(answer: str, question: str, sources: Sequence[str]) -> list[str]:
    """Return the numbers, dates and names of an answer that stand neither in a source nor in the question.

    Each is returned as the answer writes it. `sources` are the passage and what was shown with it, as its title.
    """
    text = plain_text(answer)
    known = plain_text("\n".join([*sources, question]))
    found = [*_dates_missing(text, known), *_numbers_missing(text, known), *_names_missing(text, question, known)]
    return list(dict.fromkeys(found))


def quotes_missing(parts: Mapping[str, str], document: str) -> list[dict[str, str]]:
    """Return the quoted words, two or more in a row, that a document does not hold, and the part each stands in.

    White space, case, punctuation and quotation marks do not matter; what is left out of a quote by three dots may be
    anything. At most MAX_QUOTES are returned, cut to QUOTE_CHARS characters.
    """
    held, seen = "", set[str]()
    found: list[dict[str, str]] = []
    for where, text in parts.items():
        for match in _QUOTED.finditer(text):
            quote = next(group for group in match.groups() if group is not None)
            pieces = [piece for piece in map(_bare, _LEFT_OUT.split(quote)) if piece]
            if sum(len(piece.split()) for piece in pieces) < 2:
                continue
            if seen.issuperset(pieces):
                continue
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
    times = [match for match in _TIME.finditer(text) if ":" in match[0]]
    minutes = {_minutes(*parts) for parts in set(_TIME.findall(known))} if times else set()
    in_time = [match.span() for match in times if _minutes(match[1], match[2]) in minutes]
    spelled = in_words(text)
    years = [(one.start, one.end) for one in spelled if len(in_words(one.text)) > 1 and one.values & values]
    dated = [match.span() for pattern in _DATES for match in pattern.finditer(text)]
    for number in (*in_digits(text), *spelled):
        if any(start <= number.start < end for start, end in (*in_time, *years, *dated)):
            continue
        if number.text.lower() in {"one", "first", "second"}:
            continue  # words of other meanings too
        shares = (
            {value / 100 for value in number.values} if re.match(r" ?(?:%|per ?cent)", text[number.end :]) else set()
        )
        behind = _UNIT_BEHIND.match(text, number.end)
        unit = _UNIT.get(behind[1]) if behind else None
        written = text[number.start : behind.end() if behind and unit else number.end].strip()
        if number.values and not (number.values | shares) & (values | _ALWAYS):
            if number.in_digits or len(in_words(number.text)) == 1:  # a year's two halves are there by themselves
                yield written
        elif unit and not _has_unit(unit, number.values, known):
            yield written


_ALWAYS = frozenset({Fraction(1)})
"""A source says one without a word for it."""


def _minutes(hours: str, minutes: str) -> int:
    """Return a time in minutes of half a day: 2:30 and 14:30 may be one."""
    return (int(hours) * 60 + int(minutes)) % 720


def _has_unit(unit: str, values: frozenset[Fraction], known: str) -> bool:
    """Whether a source writes a unit at all, and does not write the number with other units only."""
    if unit not in _units_of(known):
        return False
    beside = {one for number, one in _amounts(known) if number & values}
    return not beside or None in beside or unit in beside


@lru_cache(maxsize=32)
def _amounts(text: str) -> frozenset[tuple[frozenset[Fraction], str | None]]:
    """Return every number in digits and the unit behind it, None for another word or none. Each spelling once."""
    found = set()
    for spelling in amounts(text):
        for number in in_digits(spelling)[:1]:
            behind = _UNIT_BEHIND.match(spelling, number.end)
            found.add((number.values, _UNIT.get(behind[1]) if behind else None))
    return frozenset(found)


@lru_cache(maxsize=32)
def _units_of(text: str) -> frozenset[str]:
    return frozenset(_UNIT[word] for word in letters(text) if word in _UNIT)


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


def _fits(date: _Date, there: Iterable[_Date]) -> bool:
    day, month, year = date
    return any(
        month == month_there and (day is None or day_there == day) and (year is None or year_there in {year, None})
        for day_there, month_there, year_there in there
    )


def _months_of(text: str) -> set[int]:
    return {MONTHS[word] for word in {token.lower() for token in tokens(text)} if word in MONTHS}


# Names


def _names_missing(text: str, question: str, known: str) -> Iterator[str]:
    if _names_are_unclear(text, known):
        return
    words, initials = _words_of(known)
    names = list(_NAME.finditer(text))
    at = 0
    while at < len(names):
        run = [names[at]]
        while at + 1 < len(names) and _is_name(run[-1][0]) and _is_name(names[at + 1][0]):
            ends = run[-1][0].endswith(".") and len(run[-1][0]) > 4
            if ends or not _BETWEEN.fullmatch(text[run[-1].end() : names[at + 1].start()]):
                break
            at += 1
            run.append(names[at])
        at += 1
        if not _is_name(run[0][0]) or (len(run) == 1 and _begins(text, run[0]) and not _alone(text, run[0], question)):
            continue
        if _follows_number(text, run[0].start()):
            continue  # a unit
        parts = [part for match in run for part in _parts(match[0])]
        if "".join(part[:1] for part in parts) in words or "".join(parts) in words:
            continue  # written out here, by its letters there; or as one word
        missing = [part for part in parts if not _there(part, words, initials)]
        if missing:
            yield text[run[0].start() : run[-1].end()].rstrip(".")


def _names_are_unclear(text: str, known: str) -> bool:
    """Whether capitals say nothing: all of them, headlines, or a language that gives them to nouns."""
    words = [word for word in _LETTERS.findall(text) if word.isalpha()]
    capitals = sum(word[0].isupper() for word in words)
    small = [word for word in words if len(word) > 3 and word[0].islower()]
    if (text.isupper() and len(words) > 2) or (len(words) > 5 and not small and capitals > 3):
        return True
    return len(_CAPITAL_NOUNS & _small_words(known)) > 1


@lru_cache(maxsize=32)
def _small_words(text: str) -> frozenset[str]:
    return frozenset(word for word in tokens(text) if word.islower())


@lru_cache(maxsize=32)
def _words_of(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return a source's words as names are compared, and the first letters of its names in a row."""
    words = {part for token in set(_NAME.findall(text)) for part in _parts(token)}
    words |= {"".join(pair) for pair in set(_NAME_AND_NUMBER.findall(_plain(text)))}
    initials = set()
    for run in set(_NAMES_IN_A_ROW.findall(text)):
        initials.add("".join(word[0] for word in re.findall(r"[A-Z][A-Za-z]+", run)).lower())
    return frozenset(words), frozenset(initials)


def _plain(text: str) -> str:
    """Return a text in lower case without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFD", text.lower())
    return apart.translate({ord(sign): None for sign in {*apart} if unicodedata.combining(sign)})


def _parts(token: str) -> list[str]:
    """Return a name's words as they are compared: lower case, no accents, no possessive, no dots."""
    whole = re.sub(r"'s?$", "", token.rstrip("."))
    if whole.endswith("s'"):
        whole = whole[:-1]
    plain = _plain(whole).replace(".", "")
    parts = [part for part in re.split(r"[&]", plain) if part]
    return [_SHORT.get(part, part) for part in parts] if token[:1].isupper() else parts


def _is_name(token: str) -> bool:
    """Whether a word is written as a name: with a capital, or letters and digits together."""
    bare = token.rstrip(".")
    if bare.lower() in _NO_NAME or bare.replace(".", "").lower() in _NO_NAME:
        return False
    if len(bare) == 1 or bare.isdecimal() or bare[0].isdecimal():
        return False
    return any(sign.isupper() for sign in bare) or (
        any(sign.isdecimal() for sign in bare) and not re.fullmatch(r"[a-z]{1,2}\d", bare)
    )


def _begins(text: str, match: re.Match[str]) -> bool:
    before = text[: match.start()].rstrip(" *_'")
    return not before or bool(_SENTENCE_END.search(before))


_ASKS_NAME = re.compile(
    r"\b(?:who|whom|whose|where)\b"
    r"|\b(?:what|which|name(?: of)?)(?: the| a)? (?:\w+ )?(?:city|town|village|country|river|island|person|engineer"
    r"|company|firm|port|author|inventor|architect|king|queen|president|scientist)\b",
    re.IGNORECASE,
)


def _alone(text: str, match: re.Match[str], question: str) -> bool:
    """Whether a first word that may have its capital from the sentence is the name that the question asks for."""
    if any(sign.isdecimal() for sign in match[0]) or match[0][1:] != match[0][1:].lower():
        return True
    rest = text[match.end() :].strip(" .!'\"*_")
    plural = match[0].lower().endswith("s")
    return not rest and not plural and bool(_ASKS_NAME.search(question))


def _follows_number(text: str, start: int) -> bool:
    before = text[:start].rstrip(" -")
    return bool(before) and (before[-1].isdecimal() or before[-1] in "\u00b0/")


def _there(part: str, words: frozenset[str], initials: frozenset[str]) -> bool:
    """Whether a source has a name's word: as it is, as a plural or another form of it, or by its first letters."""
    if part in words or part in initials or part in _NO_NAME or _DERIVED.search(part):
        return True
    stem = part[:-2] if part.endswith("es") else part.removesuffix("s")
    if len(stem) < 4:
        return stem in words
    return any(word.startswith(stem) or (len(word) >= 4 and part.startswith(word)) for word in words)
