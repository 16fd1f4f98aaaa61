"""Numbers written in English words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from autodata.domains.tasks.quantities.digits import Number
from autodata.domains.tasks.quantities.vocabulary import NUMBER_WORDS, ORDINALS, SCALES, TENS, UNITS, any_of

ASCII_WORD = re.compile(r"[A-Za-z]+")
_NUMBER_WORD = any_of(NUMBER_WORDS)
_RUN = re.compile(rf"{_NUMBER_WORD}(?:(?:\s{{1,3}}|-)(?:[aA][nN][dD]\s{{1,3}})?{_NUMBER_WORD}){{0,24}}")
_OF_DIGITS = re.compile(rf"(?<=\d[ -])(?:{any_of([*SCALES, 'hundred'])})")
"""A word that belongs to the digits before it, as in 5 million."""


def in_words(text: str) -> list[Number]:
    """Return the numbers written in English words, in order; two pairs in a row are a year too, as nineteen thirty."""
    return [number for run in word_runs(text) for number in spelled_numbers(run[0], run.start())]


def word_runs(text: str) -> Iterator[re.Match[str]]:
    """Yield number words in a row, without one at their beginning that belongs to digits."""
    at = 0
    while run := _RUN.search(text, at):
        of_digits = _OF_DIGITS.match(text, run.start()) if run.start() > 1 else None
        at = of_digits.end() if of_digits else run.end()
        if not of_digits:
            yield run


def spelled_numbers(run: str, at: int) -> Iterator[Number]:
    """Split number words in a row, which begin at a place of their text, into numbers."""
    groups: list[tuple[int, int, int]] = []  # start, end, value
    total, now, start, end, open_ = 0, -1, 0, 0, False
    last = 10**18

    def close() -> None:
        nonlocal total, now, open_, last
        if open_:
            groups.append((start, end, total + max(now, 0)))
        total, now, open_, last = 0, -1, False, 10**18

    for match in ASCII_WORD.finditer(run):
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
