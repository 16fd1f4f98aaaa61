"""What a real small model answers to held-out questions: with its paragraph and without, right or wrong by code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from autodata.checkpoints.records import Candidate
from autodata.domains.tasks.questions import contains_tokens
from autodata.domains.tasks.reference import ReferenceTask
from benchmarks.teaching.real.examples import Asked

BUDGET = 32
"""Tokens of an answer at most, its end included."""
SIDE_BY_SIDE = 8

Found = Mapping[str, str]
"""A string of a digit an answer, in the order of the questions: `scored`, `holds` and `cut`."""


def prompt(one: Asked, *, passage: bool) -> str:
    """Return what the model is asked: the question as exports have it, its paragraph before it or not."""
    return f"{one.paragraph.text}\n\n{one.question}" if passage else one.question


def answers(folder: Path, sets: Mapping[str, Sequence[Asked]]) -> dict[str, Found]:
    """Return what the model of a folder answers to each set, greedily: closed book, and but for `own` with the passage.

    The keys are the set's and how it was asked.
    """
    words = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
    found = {}
    for name, asked in sets.items():
        for way in ("closed book",) if name == "own" else ("closed book", "with passage"):
            texts = [prompt(one, passage=way == "with passage") for one in asked]
            found[f"{name}, {way}"] = packed(asked, _drawn(model, words, texts))
    return found


def _drawn(model: AutoModelForCausalLM, words: AutoTokenizer, texts: Sequence[str]) -> list[tuple[str, bool]]:
    """Return the answer to each prompt, and whether the budget ended it."""
    drawn = []
    for begin in range(0, len(texts), SIDE_BY_SIDE):
        chats = [[{"role": "user", "content": text}] for text in texts[begin : begin + SIDE_BY_SIDE]]
        given = words.apply_chat_template(
            chats, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
        )
        with torch.inference_mode():
            made = model.generate(**given, max_new_tokens=BUDGET, do_sample=False, pad_token_id=words.pad_token_id)
        for row in made[:, given["input_ids"].shape[1] :].tolist():
            whole = words.eos_token_id in row
            drawn.append((words.decode(row, skip_special_tokens=True), not whole))
    return drawn


def packed(asked: Sequence[Asked], drawn: Sequence[tuple[str, bool]]) -> dict[str, str]:
    """Return what the answers are, a digit each."""
    task = ReferenceTask()
    found: dict[str, list[bool]] = {"scored": [], "holds": [], "cut": []}
    for one, (answer, cut) in zip(asked, drawn, strict=True):
        candidate: Candidate = task.candidate({"question": one.question, "reference_answer": one.reference})
        scored = task.scored_by_code(candidate, answer)
        found["scored"].append(scored is not None and scored.score == 1)
        found["holds"].append(contains_tokens(answer, one.reference))
        found["cut"].append(cut)
    return {name: "".join(str(int(value)) for value in values) for name, values in found.items()}
