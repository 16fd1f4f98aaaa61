"""A map of a run's questions: like ones lie near each other, and are of one colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autodata.corpus import vectors
from autodata.corpus.reporting.figures import Documents, closed_rounds
from autodata.corpus.reporting.plots import SIDE, Dot, Picture

LEAST = 3
"""Questions that a map is drawn of."""
COLOURS = 12
"""Groups at most, each of a colour of its own."""
_MARGIN = 8


@dataclass(frozen=True)
class QuestionMap:
    """Where questions lie, and the groups that they are in."""

    picture: Picture
    groups: Sequence[tuple[str, int]]
    """What each group is called, and how many accepted questions it has."""
    model: str
    """The embedding model whose vectors place them; empty where the words that they share do."""
    rejected: bool
    """Whether rejected questions lie there, too."""


def question_map(documents: Documents, embedded: tuple[str, Mapping[str, bytes]] | None = None) -> QuestionMap | None:
    """Return the map of the accepted questions by their vectors, or by words of each document's last question.

    None for fewer than three questions. Raises UserError without numpy.
    """
    model, kept = embedded or ("", {})
    found: list[tuple[int, int, str, bool]] = []
    for place, document in enumerate(documents):
        rounds = [row for row in closed_rounds(document) if row["question"]]
        accepted = [row for row in rounds if row["outcome"] == "accepted"]
        shown = accepted or ([] if embedded else rounds[-1:])
        found += [
            (place, row["n"], row["question"], bool(accepted))
            for row in shown
            if not embedded or row["question"] in kept
        ]
    if len(found) < LEAST:
        return None
    questions = [question for _, _, question, _ in found]
    matrix = vectors.from_bytes([kept[one] for one in questions]) if embedded else vectors.lexical(questions)
    labels = vectors.groups(matrix, most=COLOURS)
    counts = Counter(label for label, (*_, accepted) in zip(labels, found, strict=True) if accepted)
    dots = [
        Dot(
            x=round(_MARGIN + x * (SIDE - 2 * _MARGIN), 1),
            y=round(SIDE - _MARGIN - y * (SIDE - 2 * _MARGIN), 1),
            kind=f"mode{label}" if accepted else "no",
            document=place,
            n=n,
        )
        for (x, y), label, (place, n, _, accepted) in zip(vectors.plane(matrix), labels, found, strict=True)
    ]
    return QuestionMap(
        Picture(dots=sorted(dots, key=lambda dot: dot.kind != "no")),
        [(name, counts[label]) for label, name in enumerate(vectors.names(questions, labels))],
        model,
        not all(accepted for *_, accepted in found),
    )
