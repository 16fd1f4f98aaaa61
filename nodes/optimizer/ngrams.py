"""Runs of words of documents that no prompt may hold: the optimiser sees no validation or test document (rule 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from autodata.checkpoints.folding import folded
from autodata.checkpoints.shingles import UNSPACED

_WORD = re.compile(rf"(?=\w)[{UNSPACED}]|[^\W_{UNSPACED}]+")


def words_of(text: str) -> list[str]:
    """Return the words and numbers of a text, folded; signs between them do not count.

    Where words are written without spaces between them, every character counts as one.
    """
    return _WORD.findall(folded(text))


class Shingles:
    """Every run of `n` words in a row of some texts, kept as hashes. A text of fewer words has none."""

    def __init__(self, texts: Iterable[str], n: int) -> None:
        self.n = n
        self._hashes = frozenset(_hash(run) for text in texts for run in _runs(words_of(text), n))

    def __len__(self) -> int:
        """Return how many different runs there are."""
        return len(self._hashes)

    def __contains__(self, run: Sequence[str]) -> bool:
        """Whether exactly these words stand in one of the texts in a row."""
        return _hash(run) in self._hashes

    def found_in(self, text: str, known: Shingles | None = None) -> list[str]:
        """Return the passages of a text, as folded words, that stand in these texts and not in the `known` ones.

        Runs that overlap are one passage.
        """
        words = words_of(text)
        passages: list[str] = []
        end = start = -1
        for at, run in enumerate(_runs(words, self.n)):
            if run not in self or (known is not None and run in known):
                continue
            if at > end:
                if end >= 0:
                    passages.append(" ".join(words[start:end]))
                start = at
            end = at + self.n
        if end >= 0:
            passages.append(" ".join(words[start:end]))
        return passages


def _runs(words: Sequence[str], n: int) -> Iterator[Sequence[str]]:
    return (words[at : at + n] for at in range(len(words) - n + 1))


def _hash(run: Sequence[str]) -> bytes:
    return blake2b("\x1f".join(run).encode(), digest_size=8).digest()
