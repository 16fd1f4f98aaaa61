"""A worker that hangs in the midst of what it writes: wherever that is, others end its lease, and wait for nothing.

It hangs as a stopped process does, with its connections open: the server sees no end of what it had begun.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint

from autodata.checkpoints import holders
from autodata.checkpoints.errors import LeaseLost, RunFailed
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.places import begin_shared
from autodata.checkpoints.postgres import PostgresSaver, open_postgres
from autodata.checkpoints.postgres_engine import PostgresEngine
from autodata.checkpoints.server import connection_arguments, passes
from autodata.checkpoints.workers import leases
from autodata.checkpoints.workers.database import Database, open_database
from tests.support.postgres import Server, postgres

VARIABLE = "AUTODATA_POSTGRES_DSN"
RUN, SCHEMA = "one", "autodata_one"
LEASE = 1.0
SECONDS = 30
THREAD: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
DOCUMENT = {"document_id": "d1", "name": "a.md", "text": "Once."}
numbers = itertools.count()


@dataclass
class Hang:
    """Where the worker stops, until it is let go on."""

    reached: threading.Event
    on: threading.Event

    def here(self) -> None:
        self.reached.set()
        assert self.on.wait(SECONDS)


class Slow(dict[str, Any]):
    """A row that the worker hangs at, after those before it were sent."""

    hang: Hang

    def values(self) -> Any:
        self.hang.here()
        return super().values()


def hanging_rows(hang: Hang) -> list[dict[str, Any]]:
    """Two rows, between which the writer hangs."""
    slow = Slow(DOCUMENT)
    slow.hang = hang
    return [{**DOCUMENT, "document_id": "d0"}, slow]


def engine_of(ledger: Ledger) -> PostgresEngine:
    engine = ledger._engine
    assert isinstance(engine, PostgresEngine)
    return engine


@dataclass
class Site:
    """A run, its one worker's lease, ledger and checkpoints, and the database as another worker has it."""

    database: Database
    worker: int
    ledger: Ledger
    saver: PostgresSaver

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.database.rows("SELECT state FROM autodata.workers ORDER BY worker")]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


@pytest.fixture
def dsn(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a new database."""
    made = server.database(f"hanging_{next(numbers)}")
    monkeypatch.setenv(VARIABLE, made)
    return made


@asynccontextmanager
async def site(dsn: str, folder: Path, lease: float = LEASE) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(dsn, VARIABLE))
        ledger = await stack.enter_async_context(Ledger.open(begin_shared(folder, VARIABLE, RUN)))
        saver = await stack.enter_async_context(open_postgres(dsn, VARIABLE, f"{RUN}/"))
        worker = await leases.register(database, RUN, "here", 1, lease)
        ledger.write_under(worker)
        saver.lease = worker
        yield Site(database, worker, ledger, saver)


async def ledger_write(one: Site, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hang between two statements of the ledger's pipeline."""
    [fault] = await asyncio.to_thread(engine_of(one.ledger).write, [{"documents": hanging_rows(hang)}])
    assert fault is None


async def checkpoint(one: Site, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hang between two statements of the saver's pipeline."""
    dump = PostgresSaver._dump_blobs

    def slowly(*given: Any) -> Any:
        hang.here()
        return dump(*given)

    monkeypatch.setattr(PostgresSaver, "_dump_blobs", slowly)
    made = empty_checkpoint()
    made["channel_values"] = {"log": ["kept"]}
    await one.saver.aput(THREAD, made, {}, {"log": "1"})


Write = Callable[[Site, Hang, pytest.MonkeyPatch], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("write", [ledger_write, checkpoint])
async def test_a_worker_that_hangs_in_a_pipeline_is_cut_off_with_its_lease(
    write: Write, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its statements are not at an end, so the server counts it as busy, and cuts nothing off by itself."""
    async with site(dsn, tmp_path) as one:
        hang = Hang(threading.Event(), threading.Event())
        other = await leases.register(one.database, RUN, "there", 1, SECONDS)
        writing = asyncio.create_task(write(one, hang, monkeypatch))
        try:
            assert await asyncio.to_thread(hang.reached.wait, SECONDS)
            async with asyncio.timeout(SECONDS):
                while await one.states() != ["lost", "working"]:
                    assert await leases.say_alive(one.database, other)
                    await leases.end_silent(one.database, RUN, SCHEMA)
                    await asyncio.sleep(0.1)
        finally:
            hang.on.set()
        with pytest.raises(LeaseLost):
            await writing
        assert await leases.say_alive(one.database, other)
        assert await one.database.rows(f"SELECT * FROM {SCHEMA}.documents") == []
        assert await one.saver.aget_tuple(THREAD) is None


async def test_a_session_that_hangs_in_a_pipeline_keeps_its_run_from_nobody(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that holds a run alone has no lease: whoever takes over after its silence cuts it off, and it ends."""
    for name in ("hung", "next"):
        (tmp_path / name).mkdir()
    hung, following = (begin_shared(tmp_path / name, VARIABLE, RUN) for name in ("hung", "next"))
    async with Ledger.open(hung) as ledger:
        await ledger.hold()
        hang = Hang(threading.Event(), threading.Event())
        writing = asyncio.create_task(asyncio.to_thread(engine_of(ledger).write, [{"documents": hanging_rows(hang)}]))
        try:
            assert await asyncio.to_thread(hang.reached.wait, SECONDS)
            monkeypatch.setattr(holders, "SILENT_SECONDS", 0.0)
            async with asyncio.timeout(SECONDS), Ledger.open(following) as taken:
                await taken.hold()
                await taken.save(documents=[{**DOCUMENT, "document_id": "d0", "name": "b.md"}])
                hang.on.set()
                with pytest.raises(RunFailed, match="another session works on the run"):
                    await writing
                assert [row["name"] for row in await taken.read("SELECT name FROM documents")] == ["b.md"]
        finally:
            hang.on.set()


async def test_one_whose_lease_holds_is_left_alone(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(dsn, tmp_path, lease=SECONDS) as one:
        hang = Hang(threading.Event(), threading.Event())
        writing = asyncio.create_task(ledger_write(one, hang, monkeypatch))
        try:
            assert await asyncio.to_thread(hang.reached.wait, SECONDS)
            await leases.end_silent(one.database, RUN, SCHEMA)
        finally:
            hang.on.set()
        await writing
        found = await one.database.rows(f"SELECT document_id FROM {SCHEMA}.documents ORDER BY document_id")
        assert [row["document_id"] for row in found] == ["d0", "d1"]


async def test_a_worker_that_hangs_before_its_commit_is_cut_off_within_its_lease(dsn: str, tmp_path: Path) -> None:
    """It holds its own row until it commits; the server cuts it off by itself, for then it is idle."""
    async with site(dsn, tmp_path) as one:
        arguments = connection_arguments(dsn, VARIABLE)
        async with await psycopg.AsyncConnection.connect(**{**arguments, "autocommit": False}) as hung:
            await hung.execute("SELECT autodata.require_lease(%s)", (one.worker,))
            async with asyncio.timeout(SECONDS):
                await one.database.rows("UPDATE autodata.workers SET state = 'lost'")
            with pytest.raises(psycopg.Error) as cut:
                await hung.execute("SELECT 1")
            assert passes(cut.value), "its work is tried again, and finds that the lease is lost"


async def test_a_database_of_before_gets_what_it_lacks(dsn: str, tmp_path: Path) -> None:
    async with site(dsn, tmp_path) as one:
        await one.database.rows("DROP FUNCTION autodata.cut_off")
        async with open_database(dsn, VARIABLE) as again:
            [row] = await again.rows("SELECT autodata.cut_off(%s) AS cut", (one.worker,))
            assert row == {"cut": 0}
        assert await one.states() == ["working"]
