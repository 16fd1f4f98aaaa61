"""A rubric in another order: a judge's finding on a criterion must not depend on where it stands."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from autodata.checkpoints.records import Candidate
from autodata.domains.tasks.base import Scored


def shuffled(candidate: Candidate, seed: int) -> tuple[Candidate, tuple[int, ...]]:
    """Return a candidate with its rubric in another order, and which criterion, from 0, stands at each place now.

    One without a rubric of several items is returned as it is, with an empty order.
    """
    rubric: Sequence[Any] = getattr(candidate, "rubric", ())
    if len(rubric) < 2:
        return candidate, ()
    order = list(range(len(rubric)))
    random.Random(seed).shuffle(order)  # noqa: S311 - a reproducible order, not a secret
    return candidate.model_copy(update={"rubric": tuple(rubric[k] for k in order)}), tuple(order)


def restored(found: Scored, order: Sequence[int]) -> Scored:
    """Return a finding on a shuffled candidate in the order of the candidate itself."""
    if not order:
        return found
    back = sorted(range(len(order)), key=order.__getitem__)
    met = tuple(found.met[k] for k in back)
    return Scored(found.score, met, tuple(found.reasons[k] if k < len(found.reasons) else "" for k in back))
