"""Chats for supervised fine-tuning: the question, and the best answer that there is to it."""

from __future__ import annotations

from pathlib import Path

from autodata.checkpoints.records import Stage
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.jsonl import carded_files
from autodata.corpus.exporters.judged import Message
from autodata.corpus.exporters.provenance import Provenance, provenance
from autodata.corpus.exporters.rows import ExampleRow, ExportSet, best, prompt_text

HALF = 0.5


class Chat(Provenance):
    """A question and an answer to it, as a chat."""

    id: str
    messages: list[Message]
    answer_from: str
    """`strong_solver` or `reference`."""
    score: float | None
    """The attempt's, in 0..1; null for a reference."""
    reasoning: str


def chat(row: ExampleRow, *, answers: bool = False) -> Chat | None:
    """Return a row's chat. The answer is the strong solver's best one that scored more than 0.5, else the reference.

    `answer_from` says which, `score` is the attempt's, null for a reference. None where there is neither.
    """
    attempt = best(row, Stage.STRONG)
    if attempt and (attempt["score"] or 0.0) > HALF:
        answer, reasoning = attempt["answer"], attempt["reasoning"]
        origin, score = "strong_solver", attempt["score"]
    elif row["reference_answer"]:
        answer, reasoning, origin, score = row["reference_answer"], "", "reference", None
    else:
        return None
    said: list[Message] = [{"role": "user", "content": prompt_text(row)}, {"role": "assistant", "content": answer}]
    return {
        "id": row["id"],
        "messages": said,
        "answer_from": origin,
        "score": score,
        "reasoning": reasoning,
        **provenance(row, answers=answers),
    }


def export_messages(data: ExportSet, out: Path | None) -> int:
    """Write a file of chats for each split, and a card. Returns how many chats there were; raises as `write_folder`."""
    splits = {
        name: [found for row in rows if (found := chat(row, answers=data.answers))]
        for name, rows in data.splits.items()
    }
    write_folder(out, "messages", carded_files(data, splits, Chat))
    return sum(map(len, splits.values()))
