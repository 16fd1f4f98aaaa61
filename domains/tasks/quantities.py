"""Numbers in plain text: those written in digits with all they can mean, and those written in words.

Nothing here decides anything: `grounded` and `same_fact` do. Every scanner is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def any_of(words: Iterable[str]) -> str:
    """Return a pattern of any of some ASCII words as a whole, in any case: the longest that fits.

    It begins with a set of letters, so that a search skips all other signs at once; a text may be a megabyte.
    """
    by_first: dict[str, list[str]] = {}
    for word in sorted({word.lower() for word in words}, key=len, reverse=True):
        by_first.setdefault(word[0], []).append(word[1:])
    firsts = "".join(f"{first}{first.upper()}" for first in sorted(by_first))
    ways = "|".join(f"(?<=[{first}{first.upper()}])(?:{'|'.join(rests)})" for first, rests in sorted(by_first.items()))
    return rf"[{firsts}](?<!\w.)(?i:{ways})\b"


def _words(text: str) -> list[str]:
    return text.split()


MONTHS: Mapping[str, int] = {
    name: n
    for n, names in enumerate(
        (
            *("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul"),
            *("august aug", "september sept sep", "october oct", "november nov", "december dec"),
        ),
        1,
    )
    for name in names.split()
}
UNITS = {
    word: value
    for value, word in enumerate(
        _words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
            " seventeen eighteen nineteen"
        )
    )
}
TENS = {
    word: value * 10 for value, word in enumerate(_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}
TENS["fourty"] = 40
SCALES: Mapping[str, int] = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "lakh": 10**5,
    "crore": 10**7,
}
SHORT_SCALES: Mapping[str, int] = {
    **{"k": 10**3, "m": 10**6, "mn": 10**6, "mln": 10**6, "mio": 10**6, "b": 10**9, "bn": 10**9},
    **{"mrd": 10**9, "t": 10**12, "tn": 10**12},
}
ORDINALS: dict[str, int] = {
    **{
        word: value
        for value, word in enumerate(
            _words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"), 1
        )
    },
    **{f"{word}th": value for word, value in UNITS.items() if value > 12},
    **{f"{word[:-1]}ieth": value for word, value in TENS.items()},
    **{"hundredth": 100, "thousandth": 1000, "millionth": 10**6},
}
LOOSE: Mapping[str, tuple[Fraction, ...]] = {
    word: values
    for words, values in (
        ("a an single once sole only", (Fraction(1),)),
        ("no none nil nothing never without neither", (Fraction(0),)),
        ("both pair pairs twice double doubled doubles couple twin twins", (Fraction(2),)),
        ("triple tripled thrice trio", (Fraction(3),)),
        ("dozen dozens", (Fraction(12),)),
        ("decade decades", (Fraction(10),)),
        ("century centuries", (Fraction(100),)),
        ("half halves halved halfway", (Fraction(1, 2), Fraction(50))),
        ("quarter quarters", (Fraction(1, 4), Fraction(25), Fraction(4))),
    )
    for word in words.split()
}
"""Words that say a number by the way, with what they can stand for."""

_SEPARATED = r"\d{1,3}(?:[ ,.']\d{2,3}){0,12}[ ,.']\d{3}(?:[.,]\d{1,30})?"
DIGITS = rf"(?<![A-Za-z0-9])(?:{_SEPARATED}(?!\d)|\d+(?:[.,]\d+)?)"
"""A number in digits, with its separators; for a pattern in ASCII."""
_DIGITS = re.compile(DIGITS, re.ASCII)
_WORDS = re.compile(r"[A-Za-z]+")
_TOKEN = re.compile(r"[^\W_]+")
_LETTERS_AFTER = re.compile(r" ?([A-Za-z]+)")
_PERCENT = re.compile(r" ?(?:%|per[ -]?cent\b|percent\b|pct\b)", re.IGNORECASE)
_GROUPED = re.compile(r"\d{1,3}(?:\D\d{3})+|\d{1,2}(?:\D\d{2})*\D\d{3}", re.ASCII)
_AMOUNT = re.compile(rf"{DIGITS}(?: ?(?:%|[A-Za-z]{{1,13}}))?(?:[ -]?[A-Za-z]{{1,13}})?[0-9]?", re.ASCII)
"""A number, a scale and a unit behind it, with the sign that ends the unit's word; longer words are neither."""
_RANGE = re.compile(
    r"(\d(?<![\w.,]\d)\d{0,11}(?:[.,]\d{1,12})?)\s?(?:to|and|or|-|\u2013)\s?\d{1,12}(?:[.,]\d{1,12})? ?"
    rf"({'|'.join(SCALES)})\b",
    re.IGNORECASE,
)
NUMBER_WORDS = frozenset({*UNITS, *TENS, *SCALES, *ORDINALS, "hundred"})
_NUMBER_WORD = any_of(NUMBER_WORDS)
_RUN = re.compile(rf"{_NUMBER_WORD}(?:(?:\s{{1,3}}|-)(?:[aA][nN][dD]\s{{1,3}})?{_NUMBER_WORD}){{0,24}}")
_OF_DIGITS = re.compile(rf"(?<=\d[ -])(?:{any_of([*SCALES, 'hundred'])})")
"""A word that belongs to the digits before it, as in 5 million."""
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


def in_words(text: str) -> list[Number]:
    """Return the numbers written in English words, in order; two pairs in a row are a year too, as nineteen thirty."""
    return [number for run in _runs(text) for number in _spelled(run[0], run.start())]


def _runs(text: str) -> Iterator[re.Match[str]]:
    """Yield number words in a row, without one at their beginning that belongs to digits."""
    at = 0
    while run := _RUN.search(text, at):
        of_digits = _OF_DIGITS.match(text, run.start()) if run.start() > 1 else None
        at = of_digits.end() if of_digits else run.end()
        if not of_digits:
            yield run


def _spelled(run: str, at: int) -> Iterator[Number]:
    """Split number words in a row, which begin at a place of their text, into numbers."""
    groups: list[tuple[int, int, int]] = []  # start, end, value
    total, now, start, end, open_ = 0, -1, 0, 0, False
    last = 10**18

    def close() -> None:
        nonlocal total, now, open_, last
        if open_:
            groups.append((start, end, total + max(now, 0)))
        total, now, open_, last = 0, -1, False, 10**18

    for match in _WORDS.finditer(run):
        word = match[0].lower()
        if word == "and":
            continue
        value = UNITS.get(word, TENS.get(word, ORDINALS.get(word, -1)))
        if word == "hundred" and not (0 < now < 100):
            if now >= 0:
                close()
            now = 1
        if value >= 0 and now >= 0 and not _adds(now, value):
            close()
        if word in SCALES and SCALES[word] >= last:
            close()
        if not open_:
            start, open_ = match.start(), True
        end = match.end()
        if word == "hundred":
            now *= 100
        elif word in SCALES:
            total, now, last = total + (now if now > 0 else 1) * SCALES[word], -1, SCALES[word]
        else:
            now = value if now < 0 else now + value
        if word in ORDINALS:
            close()
    close()
    spans = [(first, last, Fraction(value)) for first, last, value in groups]
    spans += [
        (one[0], two[1], Fraction(one[2] * 100 + two[2]))
        for one, two in pairwise(groups)
        if 10 <= one[2] < 100 and 0 <= two[2] < 100
    ]
    for first, last, number in spans:
        yield Number(at + first, at + last, frozenset({number}), run[first:last], in_digits=False)


def _adds(now: int, value: int) -> bool:
    """Whether a word goes on with a number: forty-one, hundred and twelve; not nineteen thirty."""
    if now % 100 == 0:
        return now > 0 and 0 < value < 100
    return now % 100 >= 20 and now % 10 == 0 and 0 < value < 10


def _parts_of_one() -> Mapping[str, int]:
    names = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4}
    for word, value in ORDINALS.items():
        if value > 2:
            names |= {word: value, f"{word}s": value}
    return names


_PART = _parts_of_one()
_HOW_MANY = {"a": 1, "an": 1, **{word: value for word, value in UNITS.items() if value}}
_PARTS = re.compile(rf"({any_of(_HOW_MANY)})[ -]({any_of(_PART)})")
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
    for run in _runs(text):
        if behind := _AND_PARTS.match(text, run.end()):
            *_, last = _spelled(run[0], run.start())
            values = frozenset(value + _and_parts(behind[0]) for value in last.values)
            found.append(Number(last.start, behind.end(), values, text[last.start : behind.end()], False))
    return found


def _fractions_stated(text: str, lower: Set[str]) -> set[Fraction]:
    """Return the values of a source's fractions but for those behind number words. Each spelling is read once."""
    written = set(_ANY_DIVIDED.findall(text)) if "/" in text else ()
    found = [_divided(match.groups("")) for match in map(_DIVIDED.fullmatch, written) if match]
    for pattern, read in _FRACTIONS[1:] if not lower.isdisjoint(_PART) else ():
        found += map(read, set(pattern.findall(text)))
    return {value for value in found if value is not None}


def _divided(parts: Sequence[str]) -> Fraction | None:
    whole, above, below = parts
    return int(whole or 0) + Fraction(int(above), int(below)) if int(below) else None


def _in_words(parts: Sequence[str]) -> Fraction:
    return Fraction(_HOW_MANY[parts[0].lower()], _PART[parts[1].lower()])


def _with_whole(parts: Sequence[str]) -> Fraction:
    return int(parts[0]) + _and_parts(parts[1])


_FRACTIONS: tuple[tuple[re.Pattern[str], Callable[[Sequence[str]], Fraction | None]], ...] = (
    (_DIVIDED, _divided),
    (_PARTS, _in_words),
    (_WHOLE_AND_PARTS, _with_whole),
)


def _part_behind(text: str, at: int) -> str:
    behind = _AND_PARTS.match(text, at)
    return behind[0] if behind else ""


def _and_parts(text: str) -> Fraction:
    words = text.lower().split()
    return Fraction({"two": 2, "three": 3}.get(words[-2], 1), _PART[words[-1]])


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
    return frozenset(word for token in tokens(text) for word in _WORDS.findall(token))


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
    more = not lower.isdisjoint(_PART)
    runs = _runs(text) if lower & NUMBER_WORDS else ()
    for run, behind in {(run[0], _part_behind(text, run.end()) if more else "") for run in runs}:
        numbers = list(_spelled(run, 0))
        found |= {value for number in numbers for value in number.values}
        found |= {value + _and_parts(behind) for value in numbers[-1].values} if behind else set()
    for digits, scale in set(_RANGE.findall(text)) if lower & SCALES.keys() else ():  # 5 to 6 million
        found |= {value * SCALES[scale.lower()] for value in readings(digits)}
    for word in lower & LOOSE.keys():
        found |= set(LOOSE[word])
    found |= _fractions_stated(text, lower)
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
