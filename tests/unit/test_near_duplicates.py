"""Near duplicates are grouped with work in proportion to the texts: what is counted is what is compared."""

from __future__ import annotations

from typing import Any

import pytest

from autodata.corpus import near_duplicates
from autodata.corpus.near_duplicates import clusters


class Counting:
    """The library, its index and hashes counting how often two texts are compared."""

    def __init__(self) -> None:
        self.compared = self.hashed = 0
        self._rensa = pytest.importorskip("rensa")

    def RMinHashLSH(self, *arguments: Any) -> Any:
        index = self._rensa.RMinHashLSH(*arguments)

        class Index:
            def query(self, found: Any) -> list[int]:
                return list(index.query(found.inner))

            def insert(self, number: int, found: Any) -> None:
                index.insert(number, found.inner)

        return Index()

    def RMinHash(self, *arguments: Any) -> Any:
        counts, inner_hash = self, self._rensa.RMinHash(*arguments)
        self.hashed += 1

        class Hash:
            inner = inner_hash

            def update(self, words: list[str]) -> None:
                self.inner.update(words)

            def jaccard(self, other: Any) -> float:
                counts.compared += 1
                return float(self.inner.jaccard(other.inner))

        return Hash()


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    found = Counting()
    monkeypatch.setattr(near_duplicates, "_rensa", lambda: found)
    return found


def text(number: int) -> str:
    return " ".join(f"word{number}x{k}" for k in range(12))


def test_the_same_text_many_times_is_hashed_once_and_compared_with_nothing(counting: Counting) -> None:
    assert clusters([text(1)] * 400) == [0] * 400
    assert (counting.hashed, counting.compared) == (1, 0)


def test_different_texts_are_hardly_compared(counting: Counting) -> None:
    texts = [text(number) for number in range(300)]
    assert clusters(texts) == list(range(300))
    assert counting.hashed == 300
    assert counting.compared < 300


def test_pairs_are_compared_within_their_cluster_alone(counting: Counting) -> None:
    texts = [f"{text(number)} {end}" for number in range(100) for end in ("one", "two")]
    found = clusters(texts)
    assert all(found[at] == at - at % 2 for at in range(200))
    assert 100 <= counting.compared < 300
