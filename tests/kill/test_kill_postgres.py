"""The kill test with checkpoints, or all of a run, at a Postgres server: the same losses, ledger and rounds kept.

The server outlives the run that is killed, and may still commit what the dead process sent last.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.places import Shared, place_of
from autodata.checkpoints.postgres import open_postgres
from autodata.runner.checkpointer import run_prefix
from tests.kill.test_kill import Line, Reference, campaign, check, killed_often, rounds_in, undisturbed
from tests.support.postgres import Server, postgres
from tests.support.runs import Tables, read_tables

VARIABLE = "AUTODATA_POSTGRES_DSN"
DOCUMENTS = 16
KILLS = 10


def without_ids(tables: Tables) -> Tables:
    """A run's id is drawn once for each folder, and only runs that share a server have one, or keep all settings."""
    return {**tables, "meta": [row for row in tables["meta"] if row[0] not in {"run_id", "run_file", "config"}]}


few = partial(campaign, splits={"": DOCUMENTS})


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return asyncio.run(undisturbed(few, tmp_path_factory.mktemp("reference")))


async def test_ten_kills_lose_and_double_nothing(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def same_rounds(run: Path, server: Server, rounds: dict[str, list[int]]) -> None:
    place = place_of(run)
    assert isinstance(place, Shared)
    async with open_postgres(server.dsn, VARIABLE, f"{place.run}/") as saver:
        assert await rounds_in(saver) == rounds


async def test_kills_of_a_run_whose_ledger_is_at_the_server(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres() as server:
        monkeypatch.setenv(VARIABLE, server.dsn)
        campaigns = await killed_often(
            reference, tmp_path / "killed", 6, partial(few, ledger={"store": "postgres"}), KILLS
        )
        assert sum(life.killed for one in campaigns for life in one.lives) >= KILLS
        for one in campaigns:
            check(one, reference, without_ids)
            assert not (one.run / "run.db").exists()
            await same_rounds(one.run, server, reference.rounds)


async def test_a_server_that_cuts_and_restarts_costs_a_run_nothing(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One life, through cut connections and two restarts: no call is made twice, and none is missing."""
    with postgres() as server:
        monkeypatch.setenv(VARIABLE, server.dsn)
        replies, cuts = 0, 0

        def disturb(line: Line) -> None:
            nonlocal replies, cuts
            replies += line["what"] == "replied"
            if line["what"] != "replied":
                return
            if replies in {60, 150}:
                server.restart(0.5)
            elif replies % 40 == 0 and not 60 <= replies < 80 and not 150 <= replies < 170:
                cuts += server.cut()

        async with few(tmp_path / "run", ledger={"store": "postgres"}) as one:
            life = await one.live("life", seen=disturb)
        assert not life.killed
        assert replies > 170
        assert cuts > 2
        assert life.after == reference.calls
        assert sum(map(len, one.server.asked.values())) == reference.calls.total()
        assert without_ids(read_tables(one.run)) == without_ids(reference.tables)
        await same_rounds(one.run, server, reference.rounds)
