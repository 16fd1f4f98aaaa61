"""Pairs for preference training: the strong solver's best answer over the weak one's worst."""

from __future__ import annotations

from pathlib import Path

from autodata.checkpoints.records import Stage
from autodata.corpus.exporters.folder import write_folder
from autodata.corpus.exporters.jsonl import carded_files
from autodata.corpus.exporters.judged import Message, asked
from autodata.corpus.exporters.provenance import Provenance, provenance
from autodata.corpus.exporters.rows import ExampleRow, ExportSet, best, worst


class Pair(Provenance):
    """An answer that is to be preferred over another. Scores are in 0..1."""

    id: str
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    chosen_score: float | None
    rejected_score: float | None
    margin: float
    chosen_reasoning: str
    rejected_reasoning: str


def pair(row: ExampleRow, *, answers: bool = False) -> Pair | None:
    """Return a row's pair, None where nothing is to be preferred; `margin` is the difference of the scores, in 0..1."""
    chosen, rejected = best(row, Stage.STRONG), worst(row, Stage.WEAK)
    if chosen is None or rejected is None or chosen["answer"] == rejected["answer"]:
        return None
    margin = (chosen["score"] or 0.0) - (rejected["score"] or 0.0)
    if margin <= 0:
        return None
    return {
        "id": row["id"],
        "prompt": asked(row),
        "chosen": [{"role": "assistant", "content": chosen["answer"]}],
        "rejected": [{"role": "assistant", "content": rejected["answer"]}],
        "chosen_score": chosen["score"],
        "rejected_score": rejected["score"],
        "margin": margin,
        "chosen_reasoning": chosen["reasoning"],
        "rejected_reasoning": rejected["reasoning"],
        **provenance(row, answers=answers),
    }


def export_dpo(data: ExportSet, out: Path | None) -> int:
    """Write a file of pairs for each split, and a card. Returns how many pairs there were; raises as `write_folder`."""
    splits = {
        name: [found for row in rows if (found := pair(row, answers=data.answers))]
        for name, rows in data.splits.items()
    }
    write_folder(out, "dpo", carded_files(data, splits, Pair))
    return sum(map(len, splits.values()))
