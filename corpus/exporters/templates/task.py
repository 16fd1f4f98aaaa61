"""The task for Inspect: `inspect eval task.py --model ... --model-role grader=...`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(HERE := Path(__file__).resolve().parent))

import scoring
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, json_dataset
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, get_model
from inspect_ai.scorer import Score, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState, generate

COLUMNS = ["question", "context", "reference_answer", "rubric", "domain"]
ORIGIN = [
    *("document_id", "document_name", "document_sha256", "chunk", "chunks", "round", "prompt_version", "models"),
    *("weak_scores", "strong_scores", "weak_mean", "strong_mean", "gap", "run"),
    *("confirmed_weak_mean", "confirmed_strong_mean", "confirmed_gap"),
]


@task
def autodata(split: str = "train") -> Task:
    """Return the task: every question of a split, each answered once."""
    fields = FieldSpec(input="input", target="target", id="id", metadata=[*COLUMNS, *ORIGIN])
    data = json_dataset(str(HERE / "data" / f"{split}.jsonl"), fields)
    return Task(dataset=data, solver=generate(), scorer=criteria())


@scorer(metrics=[mean(), stderr()])
def criteria() -> Any:
    """Return the scorer: met criteria by weight, in 0..1, as the role `grader` finds them."""

    async def score(state: TaskState, target: Target) -> Score:
        prompt, row = scoring.judge_prompt(HERE), state.metadata
        answer = scoring.final_answer(state.output.completion)
        if not answer:
            return Score(value=0.0, answer=answer, explanation="no answer")
        if (exact := scoring.by_code(row, answer, prompt)) is not None:
            return Score(value=exact, answer=answer, explanation="compared by code")
        kinds = {"system": ChatMessageSystem, "user": ChatMessageUser}
        asked = [kinds[one["role"]](content=one["content"]) for one in scoring.messages(row, answer, prompt)]
        reply = ""
        for _ in range(scoring.TRIES):
            reply = (await get_model(role="grader").generate(asked)).completion
            try:
                return Score(value=scoring.read(row, reply, prompt), answer=answer, explanation=reply)
            except scoring.Unreadable:
                continue
        raise ValueError(f"the grader's replies cannot be read: {reply[:200]!r}")

    return score
