"""A power cut: the ledger keeps every commit, checkpoints may be back at an earlier one. Nothing is lost or paid twice.

`run.db` waits for the disk at each commit (`synchronous=FULL`), `checkpoints.db` does not (`NORMAL`): a cut may take
the latest of its commits, and leaves those before them. So a run that was cut off is taken back to earlier checkpoints.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.saver import FileSaver, open_saver
from autodata.checkpoints.sqlite_engine import SqliteEngine
from autodata.jobs.check import check_run
from tests.graph.test_runner import LATE, QUICK, settings
from tests.support.runs import Tables, read_tables, run_session
from tests.support.stages import first_quick

DOCUMENTS = [QUICK[1], LATE]
VALUES = settings("cs", max_rounds=4)
RESULTS = ("calls", "candidates", "rounds", "attempts", "marks", "examples")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """What an undisturbed run comes to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    asyncio.run(run_session(folder, VALUES, DOCUMENTS))
    return results(folder)


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ended in the midst: one document has its example, the other is in its third round."""
    folder = tmp_path_factory.mktemp("cut") / "run"
    verdicts = 0

    def drain(runner: Any, event: Any) -> None:
        nonlocal verdicts
        verdicts += event.event == "verdict"
        if verdicts == 3:
            runner.drain("the lights went out")

    asyncio.run(run_session(folder, VALUES, DOCUMENTS, drain))
    return folder


def results(folder: Path) -> Tables:
    tables = read_tables(folder)
    return {name: sorted(tables[name], key=repr) for name in RESULTS}


def taken_back(run: Path, share: float) -> tuple[int, int]:
    """Take the checkpoints back by a share of them, the latest first; return how many were there and how many are."""
    with closing(sqlite3.connect(run / "checkpoints.db")) as db, db:
        ids = [row[0] for row in db.execute("SELECT DISTINCT checkpoint_id FROM checkpoints ORDER BY checkpoint_id")]
        kept = ids[: round(len(ids) * (1 - share))]
        for table in ("checkpoints", "writes"):
            db.execute(f"DELETE FROM {table} WHERE checkpoint_id > ?", (kept[-1] if kept else "",))
    return len(ids), len(kept)


@pytest.mark.parametrize("share", first_quick(0.5, 1.0, 0.9, 0.75, 0.25, 0.1))
def test_checkpoints_of_an_earlier_commit_cost_nothing(
    share: float, cut_off: Path, whole: Tables, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(cut_off, tmp_path / "run"))
    there, left = taken_back(run, share)
    assert 0 <= left < there
    assert asyncio.run(check_run(run)).problems == []
    paid = len(results(run)["calls"])
    assert 0 < paid < len(whole["calls"])
    asyncio.run(run_session(run, VALUES, DOCUMENTS))
    assert results(run) == whole
    assert asyncio.run(check_run(run)).problems == []


def test_a_checkpoint_that_a_disk_spoilt_is_named_with_what_mends_it(cut_off: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(cut_off, tmp_path / "run"))
    with closing(sqlite3.connect(run / "checkpoints.db")) as db, db:
        db.execute("UPDATE checkpoints SET checkpoint = x'c1'")
    broken = asyncio.run(run_session(run, VALUES, DOCUMENTS))
    assert broken.outcome.errored
    assert all("checkpoint: it cannot be read" in one for one in broken.outcome.errored)
    assert all("type autodata check RUN --repair" in one for one in broken.outcome.errored)
    mended = asyncio.run(check_run(run, repair=True))
    assert mended.sound, mended.problems
    ended = asyncio.run(run_session(run, VALUES, DOCUMENTS))
    assert set(ended.statuses) <= {"accepted", "rejected"}
    assert asyncio.run(check_run(run)).problems == []
    assert broken.paid < ended.paid
    places = Counter((row["thread_id"], row["n"], row["node"], row["idx"], row["try"]) for row in ended.calls)
    assert set(places.values()) == {1}, "what was paid for is paid for once"


async def test_the_ledger_waits_for_the_disk_and_checkpoints_do_not(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "run.db")
    engine.open_writing()
    try:
        assert engine.write_db.execute("PRAGMA synchronous").fetchone() == (2,)
    finally:
        engine.close_writing()
    async with open_saver(tmp_path / "checkpoints.db") as saver:
        assert isinstance(saver, FileSaver)
        async with saver.conn.execute("PRAGMA synchronous") as cursor:
            assert await cursor.fetchone() == (1,)
