"""`autodata prune`: a smaller folder, out of which nothing is lost that a run, an export or a figure needs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from autodata.checkpoints.ledger import run_lock
from tests.graph.test_corrections import closed, go_on, keys
from tests.support.commands import invoke, printed, refusal
from tests.support.runs import read_tables

ALL = '[checkpoints]\nkeep = "all"'


def checkpoints(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / "run" / "checkpoints.db")) as file:
        query = "SELECT count(*) FROM checkpoints GROUP BY thread_id ORDER BY thread_id"
        return [count for (count,) in file.execute(query)]


def test_a_pruned_run_is_smaller_and_goes_on_without_paying_again(tmp_path: Path) -> None:
    go_on(tmp_path, more=ALL)
    before, tables, paid = checkpoints(tmp_path), read_tables(tmp_path / "run"), keys(tmp_path)
    size = (tmp_path / "run" / "checkpoints.db").stat().st_size
    assert "pruned 2 documents" in printed("prune", tmp_path / "run")
    assert read_tables(tmp_path / "run") == tables
    assert checkpoints(tmp_path) == [1, 1] < before, "more rounds go on behind the last checkpoint"
    assert (tmp_path / "run" / "checkpoints.db").stat().st_size < size / 2
    rounds = closed(tmp_path)
    go_on(tmp_path, rounds=3, more=ALL)
    assert paid < keys(tmp_path)
    assert [row for row in closed(tmp_path) if row["n"] <= 2] == rounds
    assert len(closed(tmp_path)) == 6


def test_what_cannot_be_pruned_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refusal("prune", tmp_path / "none")
    go_on(tmp_path)
    with run_lock(tmp_path / "run"):
        assert "in use" in refusal("prune", tmp_path / "run")
    (tmp_path / "run" / "checkpoints.db").unlink()
    assert invoke("prune", tmp_path / "run").exit_code == 0
    assert not (tmp_path / "run" / "checkpoints.db").exists()
