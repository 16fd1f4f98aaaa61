"""Acceptance: policies and presets, bounds, early stopping, rubric scores. All arithmetic is exact."""

from autodata.domains.acceptance.borderline import Reviewing, ReviewMode, borderline
from autodata.domains.acceptance.parse import policy_of
from autodata.domains.acceptance.policies import (
    PRESETS,
    AcceptancePolicy,
    Counts,
    LoopJudge,
    Majority,
    Planned,
    Ruling,
    Thresholds,
)
from autodata.domains.acceptance.rubric_score import rubric_figures, rubric_score

__all__ = [
    "PRESETS",
    "AcceptancePolicy",
    "Counts",
    "LoopJudge",
    "Majority",
    "Planned",
    "ReviewMode",
    "Reviewing",
    "Ruling",
    "Thresholds",
    "borderline",
    "policy_of",
    "rubric_figures",
    "rubric_score",
]
