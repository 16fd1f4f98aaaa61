"""Splits: shares of the examples, in which no document and no near duplicate stands on two sides."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from autodata.checkpoints.errors import UserError
from autodata.corpus.exporters.rows import ExampleRow, source_of
from autodata.corpus.exporters.turns import TurnRow
from autodata.corpus.near_duplicates import clusters

Row = TypeVar("Row", ExampleRow, TurnRow)

NAMES: Mapping[int, tuple[str, ...]] = {
    1: ("train",),
    2: ("train", "test"),
    3: ("train", "validation", "test"),
}


def parse_shares(text: str) -> tuple[Fraction, ...]:
    """Return the shares in a text such as `0.9/0.1` or `80/10/10`, which add up to 1.

    Raises UserError for anything but one to three positive numbers.
    """
    try:
        shares = [Fraction(part.strip()) for part in text.split("/")]
    except (ValueError, ZeroDivisionError):
        shares = []
    if len(shares) not in {2, 3} or min(shares) <= 0:
        raise UserError(f"--split {text}: two or three positive numbers are needed, such as 0.9/0.1 or 80/10/10")
    return tuple(share / sum(shares) for share in shares)


def split(rows: Sequence[Row], shares: Sequence[Fraction] = (Fraction(1),)) -> dict[str, list[Row]]:
    """Return examples, or a challenger's turns, by split, each split in the order of the rows.

    The same rows are split the same way every time. Rows of one document stay together, and so do near duplicates of a
    question, so a share is met as nearly as whole groups allow. Raises UserError where near duplicates cannot be
    found out.
    """
    names = NAMES[len(shares)]
    if len(shares) == 1:
        return {names[0]: list(rows)}
    groups = _groups(rows)
    found: dict[str, list[int]] = {name: [] for name in names}
    for group in sorted(groups, key=lambda group: min(_order(rows[number]) for number in group)):
        # The split that is the furthest behind its share takes the next group.
        behind = max(range(len(names)), key=lambda n: (shares[n] * len(rows) - len(found[names[n]])) / shares[n])
        found[names[behind]].extend(group)
    return {name: [rows[number] for number in sorted(numbers)] for name, numbers in found.items()}


def _groups(rows: Sequence[ExampleRow | TurnRow]) -> list[list[int]]:
    """Return the numbers of rows that must stay together."""
    near = clusters([row["question"] or row["id"] for row in rows])
    parent: dict[object, object] = {}

    def root(key: object) -> object:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for row, cluster in zip(rows, near, strict=True):
        parent[root(("source", source_of(row)))] = root(("cluster", cluster))
    groups: dict[object, list[int]] = defaultdict(list)
    for number, cluster in enumerate(near):
        groups[root(("cluster", cluster))].append(number)
    return list(groups.values())


def _order(row: ExampleRow | TurnRow) -> str:
    """Return what groups are ordered by: a hash, so that a split is no matter of the order of the documents."""
    return hashlib.sha256(row["id"].encode()).hexdigest()
