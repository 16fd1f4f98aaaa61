"""Near-duplicate texts, by MinHash over their words in threes (the library rensa, of the extra `export`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.shingles import THRESHOLD, shingles

PERMUTATIONS: Final = 128
BANDS: Final = 32
"""Pairs of 0.7 or more share one of 32 bands of 4 values with a probability of 0.9999; of 0.3, with 0.23."""


def clusters(texts: Sequence[str], threshold: float = THRESHOLD) -> list[int]:
    """Return for each text the index of the first one of its cluster: near duplicates of near duplicates are in one.

    Raises UserError without rensa.
    """
    rensa = _rensa()
    index = rensa.RMinHashLSH(threshold, PERMUTATIONS, BANDS)
    hashes: list[Any] = []
    first = list(range(len(texts)))
    for number, text in enumerate(texts):
        found = rensa.RMinHash(PERMUTATIONS, 42)
        found.update(sorted(shingles(text)))
        for other in sorted(index.query(found)):
            if hashes[other].jaccard(found) >= threshold:
                _join(first, other, number)
        index.insert(number, found)
        hashes.append(found)
    return [_root(first, number) for number in range(len(texts))]


def _root(first: list[int], number: int) -> int:
    while first[number] != number:
        first[number] = number = first[first[number]]
    return number


def _join(first: list[int], one: int, other: int) -> None:
    small, large = sorted((_root(first, one), _root(first, other)))
    first[large] = small


def _rensa() -> Any:
    try:
        import rensa  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError("near duplicates need rensa: pip install 'autodata-langgraph[export]'") from error
    return rensa
