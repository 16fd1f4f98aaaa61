"""What the paper prints for its own runs (arXiv 2606.25996, sections 3 and 4), by the keys of `corpus/compare.py`.

Scores are in 0..1, shares too, the spread of the weak attempts in points of 100. What it does not print is not here.
"""

from __future__ import annotations

from collections.abc import Mapping

Column = Mapping[str, float]

PAPER: Mapping[str, Mapping[str, Column]] = {
    "cs": {
        "CoT Self-Instruct": {
            "weak_mean": 0.677,
            "strong_mean": 0.696,
            "gap": 0.019,
            "rounds_mean": 1.0,
            "question_chars": 723,
            "rubric_items": 13.2,
        },
        "Agentic": {
            "weak_mean": 0.458,
            "strong_mean": 0.772,
            "gap": 0.314,
            "rounds_mean": 6.59,
            "question_chars": 619,
            "rubric_items": 13.1,
            "failed:too_easy": 0.80,
            "failed:failed_on_strong": 0.13,
            "failed:failed_quality_check": 0.07,
        },
    },
    "legal": {
        "CoT Self-Instruct": {
            "weak_mean": 0.159,
            "strong_mean": 0.717,
            "gap": 0.558,
            "weak_std": 7.93,
            "rounds_mean": 1.0,
            "question_chars": 1569,
            "rubric_items": 18.6,
            "grpo:high": 0.048,
            "grpo:medium": 0.41,
            "grpo:low": 0.45,
        },
        "Agentic": {
            "accepted_share": 2.8 / 7.8,
            "weak_mean": 0.283,
            "strong_mean": 0.698,
            "gap": 0.415,
            "weak_std": 12.63,
            "rounds_mean": 4.98,
            "rounds_median": 4,
            "rounds_max": 19,
            "question_chars": 900,
            "rubric_items": 17.3,
            "grpo:high": 0.52,
            "grpo:medium": 0.43,
            "grpo:low": 0.02,
        },
    },
}
"""Domain -> method -> figures."""
