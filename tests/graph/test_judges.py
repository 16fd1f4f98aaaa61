"""Further judges in a run: who is asked how often, and what stands in the ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from autodata.checkpoints.ledger_file import connect, read_rows
from autodata.checkpoints.records import Document
from tests.graph.test_runner import QUICK, settings
from tests.support.runs import run_session

DOCUMENTS = [item for item in QUICK if isinstance(item, Document)]


def recorded(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the attempts and the marks of a folder."""
    with closing(connect(folder / "run.db", "ro")) as db:
        return list(read_rows(db, "SELECT * FROM attempts")), list(read_rows(db, "SELECT * FROM marks"))


async def test_a_panel_marks_every_attempt_and_a_larger_judge_those_in_doubt(tmp_path: Path) -> None:
    judges = {"panel": [{"model": "second"}, {"model": "third"}], "larger": {"model": "large"}}
    session = await run_session(tmp_path, settings(judges=judges, max_rounds=1), DOCUMENTS)
    assert session.outcome.errored == []
    calls = Counter(row["role"] for row in session.calls)
    attempts, marks = await asyncio.to_thread(recorded, tmp_path)
    marked = [row for row in attempts if row["decided_by"] == "judge"]
    assert calls["verifier"] == calls["judge_2"] == calls["judge_3"] == len(marked)
    assert 0 < calls["judge_larger"] <= len(marked)
    assert any(row["reason"].startswith("the larger judge: ") for row in marks)
    again = await run_session(tmp_path, settings(judges=judges, max_rounds=1), DOCUMENTS)
    assert again.calls == session.calls


async def test_asked_twice_the_verifier_sees_the_criteria_in_another_order(tmp_path: Path) -> None:
    session = await run_session(tmp_path, settings(judges={"asks": 2}, max_rounds=1), DOCUMENTS)
    assert session.outcome.errored == []
    indices = [row["idx"] for row in session.calls if row["role"] == "verifier"]
    assert 2 * sum("/ask1" in index for index in indices) == len(indices)
    _, marks = await asyncio.to_thread(recorded, tmp_path)
    assert any("[1 of 2 findings: met]" in row["reason"] for row in marks)
