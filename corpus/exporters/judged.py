"""What formats with a reward of their own share: the scorer, the judge's prompt, and what they need of a row."""

from __future__ import annotations

from importlib.resources import files

from typing_extensions import TypedDict

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.texts import json_text
from autodata.corpus.exporters.rows import ExampleRow, ExportSet, prompt_text


class Message(TypedDict):
    """One message of a chat."""

    role: str
    content: str


def template(name: str) -> str:
    """Return a file that goes into an export as it stands."""
    return (files("autodata.corpus.exporters.templates") / name).read_text("utf-8")


def scorer_files(data: ExportSet, folder: str = "") -> dict[str, str | bytes]:
    """Return `scoring.py` and `judge.json`, each with `folder` before its name.

    Raises UserError for a run without the prompt of a judge.
    """
    judge = data.facts.judge
    if not judge.user:
        raise UserError("the run folder has no prompt of a judge, which this format needs: choose another --format")
    prompt = {
        "system": judge.system,
        "user": judge.user,
        "limits": dict(judge.limits),
        "verifiable": data.facts.verifiable,
        "verdict_alone": judge.verdict_alone,
    }
    return {f"{folder}scoring.py": template("scoring.py"), f"{folder}judge.json": json_text(prompt, indent=2) + "\n"}


def asked(row: ExampleRow) -> list[Message]:
    """Return what a model is asked, as a chat."""
    return [{"role": "user", "content": prompt_text(row)}]


def asked_about(row: ExampleRow) -> dict[str, str]:
    """Return the parts of a row that its score is about, but for the rubric."""
    return {
        "question": row["question"],
        "context": row["context"],
        "reference_answer": row["reference_answer"],
    }


def rubric_text(row: ExampleRow) -> str:
    """Return a row's criteria as JSON: text survives every trainer's columns, and means the same in each."""
    return json_text([{"criterion": item["criterion"], "weight": item["weight"]} for item in row["rubric"]])
