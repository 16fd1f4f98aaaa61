"""How evenly examples spread over skills, types of question and documents."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from autodata.corpus.exporters.rows import ExampleRow, source_of

SHARE: Final = 0.5
"""What has less than this part of an equal share is under-covered."""


def coverage(rows: Sequence[ExampleRow], without: Sequence[str]) -> dict[str, Any]:
    """Return the spread over each; `without` are the names of documents that have no example."""
    return {
        "skills": spread(skill for row in rows for skill in row["skills"] or row["target_capabilities"]),
        "types": spread(row["question_type"] for row in rows if row["question_type"]),
        "documents": spread(source_of(row) for row in rows),
        "documents_without": list(without),
    }


def spread(values: Iterable[str]) -> dict[str, Any]:
    """Return counts, the most frequent first, how even they are, and which are under-covered."""
    counts = Counter(" ".join(value.lower().split()) for value in values)
    equal = counts.total() / len(counts) if counts else 0
    ordered = sorted(counts.items(), key=lambda found: (-found[1], found[0]))
    return {
        "distinct": len(counts),
        "even": evenness(counts),
        "counts": dict(ordered),
        "under_covered": [name for name, count in reversed(ordered) if count < SHARE * equal],
    }


def evenness(counts: Mapping[str, int]) -> float | None:
    """Return the entropy of counts over the greatest they can have, in 0..1; None for fewer than two."""
    if len(counts) < 2:
        return None
    total = sum(counts.values())
    entropy = -sum(count / total * math.log(count / total) for count in counts.values())
    return entropy / math.log(len(counts))
