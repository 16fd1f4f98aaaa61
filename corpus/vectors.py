"""Texts as points: by the words that they share, or by vectors of an embedding model; groups, likeness, a plane.

A matrix has one row a text, float32, each of length 1 (or 0 for a text without a word); a similarity is the cosine of
two rows. All needs numpy, of the extras `export` and `report`; nothing here is drawn by chance that could differ.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.shingles import long_word, words_by

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]

TERMS: Final = 4_000
"""Words that lexical vectors know: those of the most texts."""
DIRECTIONS: Final = 64
"""Dimensions of lexical vectors after latent semantic analysis (LSA)."""
MOST_GROUPS: Final = 20
_ROUNDS: Final = 50
_BLOCK: Final = 1_024
_WORD = long_word(3)
# The words of English that say least; what nearly all texts share is left out of names whatever the language.
_EMPTY = frozenset(
    "about all also and any are but can could does each for from had has have how into its more most not one only other"
    " over should such than that the their them then there these they this those under use was were what when where"
    " which while who why will with would you your".split()
)


def words_of(text: str) -> list[str]:
    """Return a text's words of three letters and more, in small letters."""
    return words_by(_WORD, text)


def by_words(texts: Sequence[str]) -> Matrix:
    """Return TF-IDF rows over the words of the texts: two that share no word are at right angles."""
    np = _numpy()
    counted = [Counter(words_of(text)) for text in texts]
    spread = Counter(word for words in counted for word in words)
    known = sorted(spread, key=lambda word: (-spread[word], word))[:TERMS]
    place = {word: n for n, word in enumerate(known)}
    found = np.zeros((len(texts), max(1, len(known))), np.float32)
    for row, words in zip(found, counted, strict=True):
        for word, count in words.items():
            if word in place:
                row[place[word]] = (1 + math.log(count)) * (1 + math.log(len(texts) / spread[word]))
    return unit(found)


def lexical(texts: Sequence[str]) -> Matrix:
    """Return rows by the words that texts share, in at most `DIRECTIONS` dimensions (TF-IDF and LSA): no meaning."""
    found = by_words(texts)
    axes = _main_axes(found, DIRECTIONS)
    return unit(found @ axes.T)


def unit(matrix: Matrix) -> Matrix:
    """Return rows of length 1; a row of zeros stays."""
    np = _numpy()
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    found: Matrix = (matrix / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return found


def from_bytes(vectors: Sequence[bytes]) -> Matrix:
    """Return the rows of float32 vectors of one length, little-endian, as they are kept."""
    np = _numpy()
    return unit(np.array([np.frombuffer(one, "<f4") for one in vectors], np.float32).reshape(len(vectors), -1))


def plane(matrix: Matrix) -> list[tuple[float, float]]:
    """Return where rows stand on their two main axes (PCA), each in 0..1, to three places."""
    np = _numpy()
    if not len(matrix):
        return []
    centred = matrix - matrix.mean(axis=0)
    axes = _main_axes(centred, 2)
    found = np.zeros((len(matrix), 2))
    found[:, : len(axes)] = centred @ axes.T
    low, span = found.min(axis=0), np.ptp(found, axis=0)
    found = np.where(span > 1e-6, (found - low) / np.where(span > 1e-6, span, 1), 0.5)
    return [(round(float(x), 3), round(float(y), 3)) for x, y in found]


def groups(matrix: Matrix, count: int | None = None, most: int = MOST_GROUPS) -> list[int]:
    """Return the group of each row, by k-means on directions; groups are numbered, the largest first.

    Without `count` there are as many as the root of half the rows, at most `most`. Each begins at the row that is
    farthest from all before it.
    """
    np = _numpy()
    if not len(matrix):
        return []
    count = min(len(matrix), count or max(1, min(most, round(math.sqrt(len(matrix) / 2)))))
    centres = [int(np.argmin(matrix @ unit(matrix.mean(axis=0, keepdims=True))[0]))]
    nearest = matrix @ matrix[centres[0]]
    while len(centres) < count and nearest.min() < 1 - 1e-6:
        centres.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, matrix @ matrix[centres[-1]])
    middles = matrix[centres]
    labels = np.argmax(matrix @ middles.T, axis=1)
    for _ in range(_ROUNDS):
        middles = unit(
            np.array([matrix[labels == n].mean(axis=0) if (labels == n).any() else m for n, m in enumerate(middles)])
        )
        moved = np.argmax(matrix @ middles.T, axis=1)
        if (moved == labels).all():
            break
        labels = moved
    sizes = Counter(labels.tolist())
    number = {label: n for n, label in enumerate(sorted(sizes, key=lambda one: (-sizes[one], one)))}
    return [number[label] for label in labels.tolist()]


def names(texts: Sequence[str], labels: Sequence[int], most: int = 3) -> list[str]:
    """Return what to call each group: words that more of its texts have than of others, by that difference."""
    spread = [Counter(word for text in texts for word in set(words_of(text)))]
    inside = [Counter[str]() for _ in range(max(labels, default=-1) + 1)]
    sizes = Counter(labels)
    for text, label in zip(texts, labels, strict=True):
        inside[label].update(set(words_of(text)))
    found: list[str] = []
    for label, words in enumerate(inside):

        def difference(word: str, words: Counter[str] = words, label: int = label) -> tuple[float, str]:
            within = words[word] / sizes[label]
            elsewhere = (spread[0][word] - words[word]) / max(1, len(texts) - sizes[label])
            return -(within - elsewhere), word

        chosen = sorted((word for word in words if word not in _EMPTY), key=difference)[:most]
        name = ", ".join(chosen) or "no words"
        found.append(name if name not in found else f"{name} ({label + 1})")
    return found


def alike(matrix: Matrix, threshold: float) -> list[int]:
    """Return for each row the first one of its cluster: rows of a similarity from the threshold on are in one."""
    first = list(range(len(matrix)))

    def root(number: int) -> int:
        while first[number] != number:
            first[number] = number = first[first[number]]
        return number

    for start in range(0, len(matrix), _BLOCK):
        similar = matrix[start : start + _BLOCK] @ matrix.T >= threshold - 1e-6
        for one, other in zip(*similar.nonzero(), strict=True):
            if int(other) < start + int(one):
                low, high = sorted((root(int(other)), root(start + int(one))))
                first[high] = low
    return [root(number) for number in range(len(matrix))]


def nearest(matrix: Matrix) -> list[float]:
    """Return the similarity of each row to the one that is nearest to it; nothing for fewer than two rows."""
    np = _numpy()
    if len(matrix) < 2:
        return []
    found: list[float] = []
    for start in range(0, len(matrix), _BLOCK):
        similar = matrix[start : start + _BLOCK] @ matrix.T
        rows = np.arange(len(similar))
        similar[rows, start + rows] = -np.inf
        found += similar.max(axis=1).tolist()
    return found


def _main_axes(matrix: Matrix, count: int) -> Any:
    """Return at most so many directions, of length 1, along which rows differ most, each with a fixed sign.

    By subspace iteration from a fixed start (Halko, Martinsson and Tropp 2011, algorithm 4.4). What is decomposed is
    small: the factorisations of tall matrices wait for each other's threads where a machine is busy.
    """
    np = _numpy()
    rows = matrix.astype(np.float64)
    start = np.random.default_rng(7).standard_normal((rows.shape[1], min(*rows.shape, count + 8)))
    span = _orthonormal(rows @ start)
    for _ in range(6):
        span = _orthonormal(rows @ (rows.T @ span))
    found = span.T @ rows
    strength, turn = np.linalg.eigh(found @ found.T)
    kept = strength[::-1] > 1e-12
    axes = ((turn.T @ found)[::-1][kept] / np.sqrt(strength[::-1][kept])[:, None])[:count]
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]) if len(axes) else np.ones(0)
    return axes * signs[:, None]


def _orthonormal(columns: Any) -> Any:
    """Return an orthonormal basis of what columns span, without the directions that are lost in rounding."""
    np = _numpy()
    squares, turn = np.linalg.eigh(columns.T @ columns)
    kept = squares > max(1e-12, 1e-12 * squares.max(initial=0))
    return columns @ (turn[:, kept] / np.sqrt(squares[kept]))


def _numpy() -> Any:
    try:
        import numpy  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError("groups of texts need numpy: pip install 'autodata-langgraph[export,report]'") from error
    return numpy
