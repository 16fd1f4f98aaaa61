"""Questions that say the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from autodata.corpus.exporters.rows import ExampleRow
from autodata.corpus.near_duplicates import clusters


def doubles(rows: Sequence[ExampleRow]) -> dict[str, Any]:
    """Return exact and near duplicates: groups of ids, and the share of rows beyond the first of each group."""
    exact = [" ".join(row["question"].split()) for row in rows]
    return {"exact": grouped(rows, exact), "near": grouped(rows, clusters([row["question"] for row in rows]))}


def grouped(rows: Sequence[ExampleRow], keys: Iterable[Hashable]) -> dict[str, Any]:
    """Return the groups of more than one row that have a key in common."""
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for row, key in zip(rows, keys, strict=True):
        groups[key].append(row["id"])
    several = [ids for ids in groups.values() if len(ids) > 1]
    beyond = sum(len(ids) - 1 for ids in several)
    return {"groups": several, "beyond_first": beyond, "share": beyond / len(rows) if rows else None}
