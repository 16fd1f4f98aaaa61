"""The reward for TRL's GRPOTrainer: `GRPOTrainer(reward_funcs=[reward], ...)`. `scoring.py` says what it needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import scoring

COLUMNS = ("question", "context", "reference_answer", "rubric")


def reward(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
    """Return each completion's score, in 0..1; None, which TRL leaves out, where the judge could not be read."""
    rows = [dict(zip(COLUMNS, values, strict=True)) for values in zip(*map(columns.get, COLUMNS), strict=True)]
    return scoring.scores(rows, [text_of(completion) for completion in completions])


def text_of(completion: Any) -> str:
    """Return a completion's text, of a chat or plain."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
