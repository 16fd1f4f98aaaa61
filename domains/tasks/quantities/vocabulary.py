"""The English words and abbreviations that stand for numbers and months, and patterns of words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction


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
NUMBER_WORDS = frozenset({*UNITS, *TENS, *SCALES, *ORDINALS, "hundred"})
