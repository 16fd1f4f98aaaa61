"""How alike questions are: by meaning where there are vectors of an embedding model, else by the words they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any, Final

from autodata.corpus import vectors
from autodata.corpus.analysis.coverage import spread
from autodata.corpus.analysis.doubles import grouped
from autodata.corpus.exporters.rows import ExampleRow

SIMILAR: Final = 0.9
"""From this cosine on two questions are semantic duplicates, unless another is given: models differ in it."""
WORDS: Final = "words"


@dataclass(frozen=True)
class Embedded:
    """What an embedding model made of questions."""

    model: str
    vectors: Mapping[str, bytes]
    """By the question, as float32. An example that was accepted since has none, and is left out."""


def likeness(rows: Sequence[ExampleRow], embedded: Embedded | None, similar: float) -> dict[str, Any]:
    """Return `semantic` duplicates, None without vectors, and `clusters` with the under-covered ones.

    Raises UserError without numpy.
    """
    if embedded:
        rows = [row for row in rows if row["question"] in embedded.vectors]
    questions = [row["question"] for row in rows]
    if embedded and rows:
        matrix = vectors.from_bytes([embedded.vectors[question] for question in questions])
    else:
        matrix = vectors.lexical(questions)
    labels = vectors.groups(matrix)
    called = vectors.names(questions, labels)
    near = vectors.nearest(matrix)
    semantic = None
    if embedded:
        semantic = {
            "model": embedded.model,
            "threshold": similar,
            "nearest": median(near) if near else None,
            **grouped(rows, vectors.alike(matrix, similar)),
        }
    return {
        "semantic": semantic,
        "clusters": {
            "by": embedded.model if embedded else WORDS,
            "nearest": mean(near) if near else None,
            **spread(called[label] for label in labels),
        },
    }
