"""What people found in attempts, from a CSV file: `attempt_id`, `criterion` (its number, from 1), `met`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.jobs.calibration.agreement import cohens_kappa
from autodata.jobs.calibration.remark import Remarked

COLUMNS = ("attempt_id", "criterion", "met")
_SAID: Mapping[str, bool] = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Label:
    """A person's finding on one criterion, by its number from 1, of one attempt."""

    attempt_id: str
    criterion: int
    met: bool


def read_labels(path: Path) -> tuple[Label, ...]:
    """Return the labels of a file. Raises UserError naming the line that cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
                raise UserError(f"{path}: no column {missing[0]}: the first line must name {', '.join(COLUMNS)}")
            return tuple(_label(path, number, row) for number, row in enumerate(rows, 2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def _label(path: Path, number: int, row: Mapping[str, str | None]) -> Label:
    attempt, criterion, met = ((row[name] or "").strip() for name in COLUMNS)
    if not attempt or not criterion.isdecimal() or met.lower() not in _SAID:
        raise UserError(f"{path}, line {number}: write an attempt's id, a criterion's number from 1, and yes or no")
    return Label(attempt, int(criterion), _SAID[met.lower()])


def agreement_with(found: Sequence[Remarked], labels: Sequence[Label]) -> dict[str, Any] | None:
    """Return how far the run's findings agree with people's, on what both have looked at; None without labels.

    `unknown` counts labels of attempts, or criteria, that are not in the sample.
    """
    if not labels:
        return None
    known = {one.sampled.attempt_id: one.sampled.met for one in found}
    inside = [label for label in labels if 1 <= label.criterion <= len(known.get(label.attempt_id, ()))]
    pairs = [(label.met, known[label.attempt_id][label.criterion - 1]) for label in inside]
    return {
        "findings": len(pairs),
        "unknown": len(labels) - len(pairs),
        "agreement": sum(one == other for one, other in pairs) / len(pairs) if pairs else None,
        "kappa": cohens_kappa(pairs),
    }
