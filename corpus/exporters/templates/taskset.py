"""The tasks and their reward for verifiers: a judge finds which criteria an answer meets, code adds up the weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import verifiers.v1 as vf

from . import scoring

HERE = Path(__file__).resolve().parent


class Data(vf.TaskData):
    """One question with what scores an answer to it."""

    question: str
    context: str
    reference_answer: str
    rubric: str
    """JSON: a list of {criterion, weight}."""


class QuestionConfig(vf.TaskConfig):
    """Settings of a task: the model that judges."""

    judge: vf.JudgeConfig = vf.JudgeConfig()


class CriteriaJudge(vf.Judge[float]):
    """Scores one answer: the judge says met or not met, the score is arithmetic."""

    def build_messages(self, **fields: Any) -> Any:
        """Return what the run's own judge was asked."""
        kinds = {"system": vf.SystemMessage, "user": vf.UserMessage}
        self.row = fields["row"]
        asked = scoring.messages(self.row, fields["answer"], scoring.judge_prompt(HERE))
        return [kinds[one["role"]](content=one["content"]) for one in asked]

    def parse(self, response: vf.JudgeResponse[float]) -> float:
        """Return the score in a reply. Raises Unreadable: a judge's slip is not held against the answer."""
        return scoring.read(self.row, response.text, scoring.judge_prompt(HERE))


class Question(vf.Task[Data, vf.State, QuestionConfig]):
    """One question."""

    @vf.reward(weight=1.0)
    async def criteria(self, trace: vf.Trace) -> float:
        """Return the weights of the criteria met over the positive weights, in 0..1."""
        row, answer = self.data.model_dump(), scoring.final_answer(trace.last_reply)
        if not answer:
            return 0.0
        if (exact := scoring.by_code(row, answer, scoring.judge_prompt(HERE))) is not None:
            return exact
        failed: Exception | None = None
        for _ in range(scoring.TRIES):
            try:
                found = await CriteriaJudge(self.config.judge).evaluate(trace=trace, row=row, answer=answer)
            except scoring.Unreadable as error:
                failed = error
                continue
            return float(found.parsed or 0.0)
        raise ValueError(f"the judge's replies cannot be read: {failed}")


class QuestionsConfig(vf.TasksetConfig):
    """Settings of the tasks: which split, and the task's own."""

    split: str = "train"
    task: QuestionConfig = QuestionConfig()


class Questions(vf.Taskset[Question, QuestionsConfig]):
    """The questions of a split."""

    def load(self) -> Iterator[Question]:
        """Yield them in the order of the data."""
        with (HERE / "data" / f"{self.config.split}.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                known = {name: row[name] for name in ("question", "context", "reference_answer", "rubric")}
                yield Question(Data(id=row["id"], prompt=row["input"], **known), self.config.task)
