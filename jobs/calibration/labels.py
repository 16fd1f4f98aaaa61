"""What people found in attempts: as they reviewed, or in a CSV file with `attempt_id`, `criterion` and `met`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.jobs.calibration.agreement import alike
from autodata.jobs.calibration.sample import Sampled

COLUMNS = ("attempt_id", "criterion", "met")
_SAID: Mapping[str, bool] = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Label:
    """A person's finding on one criterion, by its number from 1, of one attempt."""

    attempt_id: str
    criterion: int
    met: bool


def read_labels(path: Path) -> tuple[Label, ...]:
    """Return the labels of a file; a line whose `met` is open is none.

    Raises UserError naming the line that cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
                raise UserError(f"{path}: no column {missing[0]}: the first line must name {', '.join(COLUMNS)}")
            return tuple(_label(path, number, row) for number, row in enumerate(rows, 2) if (row["met"] or "").strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def _label(path: Path, number: int, row: Mapping[str, str | None]) -> Label:
    attempt, criterion, met = ((row[name] or "").strip() for name in COLUMNS)
    if not attempt or not criterion.isdecimal() or met.lower() not in _SAID:
        raise UserError(f"{path}, line {number}: write an attempt's id, a criterion's number from 1, and yes or no")
    return Label(attempt, int(criterion), _SAID[met.lower()])


def labels_of_review(rows: Sequence[Mapping[str, Any]]) -> tuple[Label, ...]:
    """Return what people found as they reviewed; `rows` are those of `queries.calibration.findings_of_people`."""
    return tuple(Label(row["attempt_id"], row["criterion"], met=row["met"]) for row in rows)


def agreement_with(
    known: Mapping[str, Sequence[bool]], labels: Sequence[Label], seed: int = 0
) -> dict[str, Any] | None:
    """Return how far a run's findings agree with people's, on what both have looked at; None without labels.

    `known` are the run's findings by attempt, in the order of criteria. `unknown` counts labels of other attempts, or
    of criteria that there are none of.
    """
    if not labels:
        return None
    pairs: dict[str, list[tuple[bool, bool]]] = {}
    for label in labels:
        met = known.get(label.attempt_id, ())
        if 1 <= label.criterion <= len(met):
            pairs.setdefault(label.attempt_id, []).append((label.met, met[label.criterion - 1]))
    found = alike(list(pairs.values()), seed)
    return {"attempts": len(pairs), "unknown": len(labels) - found.findings, **asdict(found)}


def write_sheet(path: Path, rows: Sequence[Sampled], criteria: Callable[[Sampled], Sequence[tuple[str, int]]]) -> int:
    """Write a CSV file for people to fill in, a line a criterion; return how many. Raises RunFailed.

    What the judge found does not stand in it: who sees a finding tends to agree with it.
    """
    lines = [
        {
            "attempt_id": one.attempt_id,
            "criterion": number,
            "met": "",
            "text": text,
            "question": one.candidate.get("question", ""),
            "answer": one.answer,
        }
        for one in rows
        for number, (text, _) in enumerate(criteria(one), 1)
    ]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*COLUMNS, "text", "question", "answer"])
            writer.writeheader()
            writer.writerows(lines)
    except OSError as error:
        raise RunFailed(f"{path}: cannot be written: {error.strerror}") from error
    return len(lines)
