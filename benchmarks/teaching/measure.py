"""What a model can do: answers to held-out problems, right or wrong by code, whole or cut off."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import LlamaForCausalLM

from autodata import open_run
from autodata.domains.tasks.answers import final_answer
from autodata.domains.tasks.verifiable import VerifiableTask
from benchmarks.teaching.decoder import draw, tokenizer

K = 8
"""Answers to a problem."""
SIDE_BY_SIDE = 256

Asked = tuple[str, str]
"""A question and its answer."""


@dataclass(frozen=True)
class Answers:
    """Every answer to every problem of a set, in their order: the problem's, then the answer's number."""

    right: list[bool]
    cut: list[bool]

    @property
    def mean(self) -> float:
        """The share that is right: mean@k."""
        return sum(self.right) / len(self.right)

    @property
    def cut_off(self) -> float:
        """The share that the budget cut off."""
        return sum(self.cut) / len(self.cut)

    def packed(self) -> dict[str, str]:
        """Return both as strings of a digit each."""
        return {
            name: "".join(str(int(one)) for one in values)
            for name, values in (("right", self.right), ("cut", self.cut))
        }


def unpacked(found: Mapping[str, str]) -> Answers:
    """Return what `packed` gave."""
    return Answers(*([one == "1" for one in found[name]] for name in ("right", "cut")))


def answers(model: LlamaForCausalLM, asked: Sequence[Asked], seed: int, k: int = K) -> Answers:
    """Ask a model every question k times at temperature 1.0."""
    task, words = VerifiableTask(), tokenizer()
    every = [(question, answer, n) for question, answer in asked for n in range(k)]
    right, cut = [], []
    for begin in range(0, len(every), SIDE_BY_SIDE):
        some = every[begin : begin + SIDE_BY_SIDE]
        drawn = draw(model, words, [(question, _seed(seed, question, n)) for question, _, n in some])
        for (question, answer, _), one in zip(some, drawn, strict=True):
            right.append(_right(task, question, answer, one.text))
            cut.append(one.cut)
    return Answers(right, cut)


def _right(task: VerifiableTask, question: str, answer: str, given: str) -> bool:
    if final_answer(given) == answer:
        return True
    scored = task.scored_by_code(task.candidate({"question": question, "answer": answer}), given)
    return scored is not None and scored.score == 1


def _seed(seed: int, question: str, n: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {n} {question}".encode()).digest()[:7])


def examples_of(folder: Path) -> list[Asked]:
    """Return the questions and answers of a run's examples, each question once, in the order of their documents."""
    return [*{str(row["question"]): str(row["reference_answer"]) for row in open_run(folder)}.items()]


def read(path: Path) -> dict[str, list[Asked]]:
    """Return the held-out sets that a file holds."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return {name: [(question, answer) for question, answer in asked] for name, asked in found.items()}
