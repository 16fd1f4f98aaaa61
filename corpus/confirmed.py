"""Confirmed figures: what fresh attempts scored, beside what selected, with how much the selecting gap flatters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from autodata.corpus.intervals import mean_interval

SIDES = ("weak", "strong", "gap")


def confirmed_figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the figures of a run's confirmed candidates, as `queries.confirmed.confirmed_rounds` has them.

    All that were confirmed are counted, those that were refused for it too: to leave them out would be to select by the
    fresh scores. Scores are in 0..1, gaps and shrinkage in -1..1. None where nothing was confirmed.
    """
    if not rows:
        return None
    both = [row for row in rows if row["selecting_gap"] is not None]
    shrinkage = mean_interval([row["selecting_gap"] - row["gap"] for row in both])
    return {
        "attempts": max(row["attempts"] for row in rows),
        "candidates": len(rows),
        "refused": sum(not row["passed"] for row in rows),
        **{side: _side(rows, both, side) for side in SIDES},
        "shrinkage": {"value": shrinkage.value, "low": shrinkage.low, "high": shrinkage.high},
    }


def _side(rows: Sequence[Mapping[str, Any]], both: Sequence[Mapping[str, Any]], side: str) -> dict[str, float | None]:
    fresh = mean_interval([row[side] for row in rows])
    selecting = fmean([row[f"selecting_{side}"] for row in both]) if both else None
    return {"selecting": selecting, "confirmed": fresh.value, "low": fresh.low, "high": fresh.high}
