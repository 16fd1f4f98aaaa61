"""Whether code alone can say that a short answer gives the fact of its reference, or does not.

Right is only what says the same, whole; wrong is only another number in the same unit where a number is asked for.
Everything else is None: a judge reads both. Case, a full stop, quotation marks and emphasis around all are spelling;
signs, operators, units, currencies, separators and every word are meaning.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from autodata.domains.tasks.quantities import MONTHS, ORDINALS, SCALES, SHORT_SCALES, TENS, UNITS, in_digits, word_set

MAX_CHARS = 1000
"""A longer answer is no short fact: a judge reads it."""

_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2212": "-", "\u00a0": " "})
_AROUND = " \t\n\"'*_`"
_FUNCTION = word_set(
    "a an the it in is was of on at by and to for are were its from with as has had that this be been there"
    " he she they we i do did does or but who which when where what how during since"
)
_END_OF_UNIT = _FUNCTION | word_set(
    "above below according into onto than then while after before until because so if not no per"
)
_UNCLEAR_WORDS = frozenset(
    {*UNITS, *TENS, *SCALES, *ORDINALS, *(word for word in SHORT_SCALES if len(word) > 1)}
    | {f"{word}s" for word in (*SCALES, "hundred", *TENS)}
    | word_set(
        "hundred hundredth half halves quarter quarters third thirds percent percentage pct cent per dozen dozens score"
        " scores both pair pairs couple twice thrice double triple single none nil no never zero nought each every"
        " plus minus times over under about around approximately approx roughly nearly almost circa ca some more less"
        " fewer least most up between range before after later earlier ago since until decade decades century"
        " centuries millennium bc bce ad ce ah pm am noon midnight o'clock divided fraction ratio squared cubed power"
        " negative equivalent equals or another additional extra further total together combined either"
        " not cannot isn't wasn't aren't weren't don't doesn't didn't wrong incorrect false instead rather"
        " hourly daily nightly weekly monthly yearly annual annually"
    )
)
"""Words that give a number another meaning or another spelling: then a judge reads it."""

_UNCLEAR = re.compile(
    r"[^\x00-\x7f\u00b0\u00b2\u00b3\u00b5\u03bc\u03a9\u20ac\u00a3\u00a5\u2010-\u2015\u00c0-\u024f]"  # odd signs
    r"|[\^*=+~<>%#&|\\{}\[\]\u00d7]"  # operators, shares
    r"|\d\s*[/:\u2010-\u2015-]\s*\d|[-\u2010-\u2015]\s?\d"  # fractions, times, ranges, signs
    r"|(?<![a-z])x(?![a-z])|\d[eE][-+]?\d|'\d|\d['\"]"
    r"|\b[IVXLCDM]{2,}\b"  # numerals
    r"|\d[ ']\d"  # a space among digits may group them
    r"|\d\s+[A-Za-z]+\s+(?:[A-Za-z]+\s+)?an?\s"  # a rate, as 8 hours a day
)
_SCALED = frozenset(
    {*SCALES, *(f"{word}s" for word in SCALES)}
    | word_set("hundred hundreds percent percentage percentages cent share fraction ratio proportion rate odds")
)
"""In a question they say that the same amount may be written as another number."""
_ROUGHLY = re.compile(
    r"\b(?:approximately|approx|roughly|estimated?)\b|\b(?:about|around) (?:how|what|which|when)\b", re.I
)
"""In a question they say that a number near the reference is right."""
_ADJECTIVES = frozenset({"tall", "high", "long", "wide", "deep", "thick", "old"})
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_TOKEN = re.compile(r"\S+")
_LEAD_IN = re.compile(r"\A(?:it (?:is|was)|the answer is:?) (?=\S)", re.IGNORECASE)
"""Words before an answer that say nothing of their own; all that follows must still be the reference."""
_ASKS_NUMBER = re.compile(
    r"^(?:(?:in|on|by|since|until|from|for|at)\s+)?(?:when\b|(?:what|which)\s+(?:year|date|day|number)\b)"
    r"|\bhow\s+(?:many|much|old|tall|long|far|high|deep|wide|fast|big|large|heavy|often|hot|cold|thick|late|early)\b",
    re.IGNORECASE,
)
_ASKING = re.compile(r"\b(?:who|whom|whose|which|what|where|when|why|how)\b", re.IGNORECASE)


def same(reference: str, answer: str, question: str = "") -> bool | None:
    """Return True when an answer says its reference, whole; False when it certainly says another number; else None."""
    if len(answer) > MAX_CHARS or len(reference) > MAX_CHARS:
        return None
    wanted, given = _spelled_alike(reference), _spelled_alike(answer)
    if wanted and wanted == given:
        return True
    return False if _another_number(reference, answer, question) else None


def _spelled_alike(text: str) -> list[str]:
    """Return a text's tokens without what is only spelling; the empty list for a text without any."""
    plain = " ".join(unicodedata.normalize("NFC", text).translate(_QUOTES).split()).strip(_AROUND)
    plain = _LEAD_IN.sub("", plain)
    if plain.endswith((".", "!")) and not plain.endswith(("..", "!!")) and len(plain) > 1:
        plain = plain[:-1].rstrip(_AROUND)
    tokens: list[str] = []
    for at, token in enumerate(plain.split(" ")):
        before = tokens[-1].strip(",;:()") if tokens else ""
        tokens.append(_cased(token, before, first=at == 0))
    return [token for token in tokens if token]


def _cased(token: str, before: str, *, first: bool) -> str:
    """Return a word in lower case where its case is spelling: not in a unit or a symbol, as mW, MW, Co and CO."""
    word = token.strip("\"'*_`,;:().!?")
    if any(sign.isdigit() for sign in token):
        return token
    of_number = bool(before) and (before[-1].isdigit() or before.lower() in _NUMBER_WORDS or before.lower() == "per")
    if word.lower() in _FUNCTION and not of_number:
        return token.lower()
    if of_number:
        return token.lower() if len(word) >= 6 else token
    if len(word) >= 4 or (len(word) == 3 and (first or word.istitle()) and word[1:].islower()):
        return token.lower()
    return token.lower() if word.lower() in {"no", "yes", "not"} and word[1:].islower() else token


_NUMBER_WORDS = frozenset({*UNITS, *TENS, *SCALES, "hundred"})


@dataclass(frozen=True)
class _Quantity:
    """A number as it stands: all it can mean, what is written before and behind it, and its digits."""

    values: frozenset[Fraction]
    before: str
    unit: str
    digits: str
    dated: bool
    """It is a year or a day beside a month."""


def _another_number(reference: str, answer: str, question: str) -> bool:
    """Whether both give a plain number in one unit, the number is what is asked, and the answer has another one."""
    texts = [unicodedata.normalize("NFC", text).translate(_QUOTES) for text in (reference, answer)]
    if any(_UNCLEAR.search(text) or _unclear_word(text) for text in texts):
        return False
    if {word.lower() for word in _WORD.findall(question)} & _SCALED or _ROUGHLY.search(question):
        return False
    asked = {value for number in in_digits(question) for value in number.values}
    wanted, given = ([one for one in _quantities(text) if not one.values & asked] for text in texts)
    if not wanted or not given or not _number_is_asked(reference, question):
        return False
    if len({(one.before, one.unit) for one in (*wanted, *given)}) != 1:
        return False
    if len(given) > 1 and not all(one.dated for one in given):
        return False
    return not any(_may_be_same(one, other) for one in wanted for other in given)


def _unclear_word(text: str) -> bool:
    words = {word.lower() for word in _WORD.findall(text)}
    parts = {part for word in words for part in word.split("-")}
    return bool((words | parts) & _UNCLEAR_WORDS)


def _quantities(text: str) -> list[_Quantity]:
    numbers = in_digits(text)
    taken = sum(len(re.findall(r"\d+", one.text)) for one in numbers)
    found = []
    for one in numbers:
        before = text[: one.start].rstrip()
        glued = bool(before) and len(before) == one.start
        sign = before[-1] if before and not before[-1].isalnum() and before[-1] not in ".,;:!?\"'*_`" else ""
        words = _WORD.findall(before[-40:])
        last = words[-1] if words and before.endswith(words[-1]) else ""
        month_before = last.lower() in MONTHS
        name = last if last[:1].isupper() and last.lower() not in _END_OF_UNIT and not month_before else ""
        unit, month_behind = _unit(text[one.end :])
        year = one.text.isdecimal() and len(one.text) == 4 and "1000" <= one.text <= "2100" and not unit
        shape = f"{'glued' if glued else ''}{sign}{name}"
        found.append(_Quantity(one.values, shape, unit, one.text, year or month_before or month_behind))
    if taken != len(re.findall(r"\d+", text)):  # digits within a name: what they say is not for code
        return []
    return found


def _unit(behind: str) -> tuple[str, bool]:
    """Return what is counted: the words up to a stop or a small word, at most four. A month is none."""
    words: list[str] = []
    for match in _TOKEN.finditer(behind[:80]):
        glued = match.start() == 0
        token = match[0]
        bare = token.rstrip(".,;:!?\"'*_`)")
        if not bare or (not glued and bare.lower() in _END_OF_UNIT) or (words and bare.lower() in _ADJECTIVES):
            break
        if bare.lower() in MONTHS:
            return " ".join(words), True
        words.append(f"-{bare}" if glued else bare)
        if bare != token or len(words) == 4:
            break
    return " ".join(words).removeprefix("-"), False


def _number_is_asked(reference: str, question: str) -> bool:
    """Whether the number is the fact: the question asks for one alone, or the reference says nothing else."""
    if _ASKS_NUMBER.search(question) and len(_ASKING.findall(question)) == 1:
        return True
    known = {word.lower()[:4] for word in _WORD.findall(question)}
    units = {word.lower() for one in _quantities(reference) for word in _WORD.findall(one.unit)}
    rest = {word.lower() for word in _WORD.findall(reference)} - _END_OF_UNIT - units - MONTHS.keys()
    return not {word for word in rest if word[:4] not in known}


def _may_be_same(one: _Quantity, other: _Quantity) -> bool:
    """Whether two numbers can be meant to be one: equal, rounded, in another scale, or a year cut to two digits."""
    sizes = [(abs(left), abs(right)) for left in one.values for right in other.values]
    near = (_shifted(*pair) or _rounded(*pair) or _rounded(*pair[::-1]) for pair in sizes)
    if any(left == right for left, right in sizes) or any(near):
        return True
    short, long = sorted((one.digits, other.digits), key=len)
    return len(short) == 2 and len(long) == 4 and long.endswith(short)


def _shifted(left: Fraction, right: Fraction) -> bool:
    """Whether two numbers have the same digits in other places, as 0.5 and 50, or 41 and 41,000."""
    small, large = sorted((left, right))
    if not small:
        return False
    while small < large:
        small *= 10
    return small == large


def _rounded(exact: Fraction, given: Fraction) -> bool:
    """Whether a number is another one rounded or cut to the digits it has."""
    if not given:
        return exact < 1
    unit = Fraction(1)
    while (given / unit).denominator > 1:
        unit /= 10
        if unit < Fraction(1, 10**12):
            return False
    while given % (unit * 10) == 0:
        unit *= 10
    return abs(exact - given) < unit
