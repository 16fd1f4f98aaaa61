"""Which numbers, dates and names of an answer stand neither in a source nor in the question."""

from __future__ import annotations

from collections.abc import Sequence

from autodata.domains.tasks.grounding.dates import dates_missing, months_missing
from autodata.domains.tasks.grounding.numbers import numbers_missing
from autodata.domains.tasks.grounding.proper_names import formulas_missing, names_missing
from autodata.domains.tasks.quantities import plain_text

MAX_SOURCE_CHARS = 150_000
"""A longer source, of 25,000 words or so, states nearly every number somewhere: nothing is certainly missing from it.

It is that long as it is written, or with its signs for numbers written out. The quality verifier reads on.
"""
MAX_ANSWER_CHARS = 4_000
"""No task type takes a longer reference answer."""


def unfounded(answer: str, question: str, sources: Sequence[str]) -> list[str]:
    """Return the numbers, dates and names of an answer that stand neither in a source nor in the question.

    Each is returned as the answer writes it. `sources` are the passage and what was shown with it, as its title.
    Nothing is returned for a longer answer than MAX_ANSWER_CHARS, or longer sources than MAX_SOURCE_CHARS together.
    """
    if len(answer) > MAX_ANSWER_CHARS or sum(map(len, [*sources, question])) > MAX_SOURCE_CHARS:
        return []
    text = plain_text(answer)
    known = plain_text("\n".join([*sources, question]))
    if len(known) > MAX_SOURCE_CHARS:
        return []
    found = [
        *dates_missing(text, known),
        *months_missing(text, known),
        *numbers_missing(text, known),
        *names_missing(text, question, known),
        *formulas_missing(text, question, known),
    ]
    return list(dict.fromkeys(found))
