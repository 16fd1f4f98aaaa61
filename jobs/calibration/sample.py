"""Which marked attempts are marked again: some of each solver and each height of score."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodata.checkpoints.ids import digest

BANDS = (1 / 3, 2 / 3)
"""Bounds of the heights of score, in 0..1."""


@dataclass(frozen=True)
class Sampled:
    """An attempt with what the run found in it."""

    attempt_id: str
    stage: str
    index: int
    n: int
    document_id: str
    answer: str
    candidate: Mapping[str, Any]
    met: tuple[bool, ...]
    stratum: str
    """Its solver and height of score, for instance `weak low`."""


def sampled(rows: Sequence[Mapping[str, Any]], count: int, seed: int) -> list[Sampled]:
    """Return at most `count` attempts, as many of each stratum as there are, chosen by their ids: always the same.

    `rows` are those of `queries.calibration.judged_attempts`. A larger sample holds every smaller one.
    """
    strata: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: digest([seed, row["attempt_id"]])):
        strata[stratum_of(row["stage"], row["score_value"])].append(row)
    chosen: list[Sampled] = []
    for turn in range(max(map(len, strata.values()), default=0)):
        for name in sorted(strata):
            if turn < len(strata[name]) and len(chosen) < count:
                chosen.append(_sampled(strata[name][turn], name))
    return chosen


def stratum_of(stage: str, score: float) -> str:
    """Return the stratum of an attempt: its solver, and whether its score is low, middling or high."""
    return f"{stage} {('low', 'middling', 'high')[sum(score >= bound for bound in BANDS)]}"


def _sampled(row: Mapping[str, Any], stratum: str) -> Sampled:
    return Sampled(
        attempt_id=row["attempt_id"],
        stage=row["stage"],
        index=row["idx"],
        n=row["n"],
        document_id=row["document_id"],
        answer=row["answer"],
        candidate=json.loads(row["candidate"]),
        met=row["met"],
        stratum=stratum,
    )
