"""Which numbers, dates and names of an answer stand neither in a source nor in the question."""

from __future__ import annotations

from collections.abc import Sequence

from autodata.domains.tasks.grounding.dates import dates_missing, months_missing
from autodata.domains.tasks.grounding.numbers import numbers_missing
from autodata.domains.tasks.grounding.proper_names import names_missing
from autodata.domains.tasks.quantities import plain_text


def unfounded(answer: str, question: str, sources: Sequence[str]) -> list[str]:
    """Return the numbers, dates and names of an answer that stand neither in a source nor in the question.

    Each is returned as the answer writes it. `sources` are the passage and what was shown with it, as its title.
    """
    text = plain_text(answer)
    known = plain_text("\n".join([*sources, question]))
    found = [
        *dates_missing(text, known),
        *months_missing(text, known),
        *numbers_missing(text, known),
        *names_missing(text, question, known),
    ]
    return list(dict.fromkeys(found))
