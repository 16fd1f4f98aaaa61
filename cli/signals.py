"""The signals of a ledger as lines for a person: the same in `autodata status` and `autodata compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodata.cli.figures import figure
from autodata.corpus.signals import BANDS
from autodata.prompts.roles import SOLVERS

ROUNDS: Sequence[tuple[int, int | None]] = ((1, 1), (2, 2), (3, 3), (4, 6), (7, 10), (11, None))
"""Rounds that are shown together, first and last."""


def signal_rows(signals: Mapping[str, Any]) -> dict[str, str]:
    """Return label -> text, always the same labels in the same order; an empty text where there is nothing to say."""
    rows = {
        f"failed on strong, {_span(span)}": _part(signals["failed_on_strong"], span, "failed", "closed")
        for span in ROUNDS
    }
    tied = signals["tied_to_numbers"]
    rows["questions with numbers of their document"] = _share(tied["tied"], tied["questions"])
    cut = signals["truncation"]
    for role in SOLVERS:
        whole = cut["by_role"][role]
        rows[f"{_named(role)} attempts cut off"] = _share(whole["cut"], whole["attempts"])
        scores = f"{figure(whole['score_cut'])} / {figure(whole['score_whole'])}"
        rows[f"{_named(role)} score, cut off / whole"] = scores if whole["cut"] else ""
        for span in ROUNDS:
            text = _part(cut["by_round"][role], span, "cut", "attempts") if whole["cut"] else ""
            rows[f"{_named(role)} attempts cut off, {_span(span)}"] = text
    for role in SOLVERS:
        bands = {band["from_chars"]: band for band in signals["attempts_by_length"][role]}
        attempts = sum(band["attempts"] for band in bands.values())
        for low, high in zip((0, *BANDS), (*BANDS, None), strict=True):
            label = f"{low}+" if high is None else f"{low}-{high - 1}"
            band = bands.get(low)
            text = f"{_share(band['attempts'], attempts)}, score {figure(band['score'])}" if band else ""
            rows[f"{_named(role)} answers of {label} characters"] = text
    return rows


def _part(rows: Sequence[Mapping[str, Any]], span: tuple[int, int | None], part: str, whole: str) -> str:
    first, last = span
    among = [row for row in rows if first <= row["n"] and (last is None or row["n"] <= last)]
    return _share(sum(row[part] for row in among), sum(row[whole] for row in among))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}% ({part:,} of {whole:,})" if whole else ""


def _span(span: tuple[int, int | None]) -> str:
    first, last = span
    if last is None:
        return f"round {first} on"
    return f"round {first}" if first == last else f"rounds {first}-{last}"


def _named(role: str) -> str:
    return role.partition("_")[0]
