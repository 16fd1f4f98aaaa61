"""The score for verl: `reward.custom_reward_function.path=.../compute_score.py`, `.name=compute_score`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import scoring


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **_: Any) -> float:
    """Return a solution's score, in 0..1. Raises ValueError where the judge's replies could not be read."""
    found = scoring.score(json.loads(ground_truth), solution_str)
    if found is None:
        raise ValueError(f"{(extra_info or {}).get('example_id', data_source)}: the judge's replies cannot be read")
    return found
