"""The kill test with checkpoints at a Postgres server: the same losses, the same ledger, the same rounds kept.

The server outlives the run that is killed, and may still commit what the dead process sent last.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.postgres import open_postgres
from autodata.runner.checkpointer import run_prefix
from tests.kill.test_kill import campaign, check, killed_often, rounds_in, undisturbed
from tests.support.postgres import postgres
from tests.support.runs import Tables

VARIABLE = "AUTODATA_POSTGRES_DSN"
DOCUMENTS = 16
KILLS = 10


def without_ids(tables: Tables) -> Tables:
    """A run's id is drawn once for each folder, and only runs that share a server have one."""
    return {**tables, "meta": [row for row in tables["meta"] if row[0] not in {"run_id", "run_file"}]}


async def test_ten_kills_lose_and_double_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = partial(campaign, splits={"": DOCUMENTS})
    reference = await undisturbed(few, tmp_path / "reference")
    with postgres() as server:
        monkeypatch.setenv(VARIABLE, server.dsn)
        at_the_server = partial(few, checkpoints={"saver": "postgres"})
        campaigns = await killed_often(reference, tmp_path / "killed", 5, at_the_server, KILLS)
        assert sum(life.killed for one in campaigns for life in one.lives) >= KILLS
        for one in campaigns:
            check(one, reference, without_ids)
            assert not (one.run / "checkpoints.db").exists()
            async with Ledger.open(one.run / "run.db") as ledger:
                prefix = await run_prefix(ledger)
            async with open_postgres(server.dsn, VARIABLE, prefix) as saver:
                assert await rounds_in(saver) == reference.rounds
