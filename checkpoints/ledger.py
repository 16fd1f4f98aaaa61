"""The ledger: what a run did, durable before anybody goes on.

`Ledger` is the ledger of a running command, `Reader` the same for a command that only looks, `MemoryLedger` the same
Protocols without a file. An `Engine` keeps the rows, in the file `RUN/run.db` or at a Postgres server. Rows are
mappings from column to value; the tables stand in `schema.py`. Times are texts in ISO 8601, latencies seconds, costs
US dollars, exact scores fractions in 0..1.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Self

from autodata.checkpoints.engine import Engine
from autodata.checkpoints.errors import DiskFailed, RunFailed, UserError
from autodata.checkpoints.known_calls import KnownCalls
from autodata.checkpoints.places import Place, Shared
from autodata.checkpoints.schema import TABLES, Rows, encode
from autodata.checkpoints.sqlite_engine import SqliteEngine
from autodata.checkpoints.upserts import incomplete

_TEXTS = {"document": ("documents", "text"), "answer": ("attempts", "answer")}


def engine_of(place: Place) -> Engine:
    """Return what keeps the ledger of a place. Raises UserError where its libraries are missing."""
    if isinstance(place, Path):
        return SqliteEngine(place)
    try:
        from autodata.checkpoints.postgres_engine import PostgresEngine  # noqa: PLC0415 - an extra, and few runs need it
    except ImportError as error:
        raise UserError(
            f"{place}: a ledger at a server needs libraries that are missing ({error}):"
            " pip install 'autodata-langgraph[postgres]'"
        ) from error
    return PostgresEngine(place)


class Reader:
    """A ledger that another process may be writing to; the owner's side of it is `Ledger`.

    All that waits for a file or a server is done by threads of its own, never on the event loop. Every method raises
    RunFailed when disk or server fail and UserError when a file turns out to be spoilt.
    """

    def __init__(self, place: Place) -> None:
        """Name the place; `open` opens it."""
        self._engine = engine_of(place)
        self._reading = ThreadPoolExecutor(self._engine.readers, "ledger-read")

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._engine.folder

    @property
    def shared(self) -> Shared | None:
        """The run at a server that this is, None for a file."""
        place = self._engine.place
        return place if isinstance(place, Shared) else None

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Place) -> AsyncIterator[Self]:
        """Open a ledger for as long as the context lasts.

        Raises UserError when there is none at `place`, or one that is corrupt, another program's or of another schema
        version, and RunFailed when it cannot be opened or (`Ledger`) written. `Ledger` creates a missing one.
        """
        ledger = cls(place)
        try:
            await ledger._start()
            yield ledger
        finally:
            await asyncio.to_thread(ledger._stop)

    async def read(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        """Return the rows of a SELECT. Everything that a `save` of this process has returned for is seen."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._engine.query, sql, params)

    async def get(self, ref: str) -> str:
        """Return the text behind a reference. Raises KeyError when there is none."""
        kind, _, key = ref.partition("/")
        table, column = _TEXTS[kind]
        rows = await self.read(f"SELECT {column} FROM {table} WHERE {TABLES[table].pk[0]} = ?", (key,))  # noqa: S608 - of the schema
        if not rows:
            raise KeyError(ref)
        return str(rows[0][column])

    async def documents(self) -> list[str]:
        """Return the ids of all documents that have a text and are no older version of another, in order."""
        rows = await self.read(
            "SELECT document_id FROM documents WHERE chars > 0 AND replaced_by = '' ORDER BY document_id"
        )
        return [row["document_id"] for row in rows]

    async def _start(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._reading, self._engine.open_reading)

    def _stop(self) -> None:
        self._reading.submit(self._engine.close_reading).result()
        self._reading.shutdown()


def open_readonly(place: Place) -> AbstractAsyncContextManager[Reader]:
    """Open a ledger to look into it, also while another process writes to it. Raises as `Reader.open`."""
    return Reader.open(place)


class _Save:
    """Rows on their way to the file. Not saved until proved saved."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.error: Exception | None = RunFailed("the ledger's writer stopped before these rows were saved")
        self.done: Future[None] = Future()
        # From here on a cancelled waiter cannot cancel the rows: they may be a reply that was paid for.
        self.done.set_running_or_notify_cancel()

    def resolve(self) -> None:
        if self.error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(self.error)


class Ledger(Reader):
    """The ledger of a running command: Store, Blobs and Journal in one place.

    Of a file only one process may have it open; of a run at a server several may. One thread writes: whatever was asked
    to be saved while it was busy goes into the next transaction together, so that many waiting coroutines cost one
    flush of the disk.
    """

    def __init__(self, place: Place) -> None:
        """Name the place; `open` opens it."""
        super().__init__(place)
        self.commits = 0
        """Transactions written since it was opened."""
        self._writing = ThreadPoolExecutor(1, "ledger-write")
        self._pending: deque[_Save] = deque()
        self._called = False
        """Whether the writer was called and has not begun yet."""
        self._carried: dict[tuple[str, tuple[Any, ...]], dict[str, Any]] = {}
        self._carrying = Lock()
        self._known = KnownCalls(self.read)
        self._broken: UserError | RunFailed | None = None
        self._texts_saved = 0
        self._ids: tuple[int, list[str]] = (-1, [])
        """The ids of the documents, and how many texts had been saved when they were read."""

    async def hold(self, *, together: bool = False) -> None:
        """Hold the ledger for a session until it is closed, alone or `together` with others. Raises UserError."""
        hold = partial(self._engine.hold, together=together)
        await asyncio.get_running_loop().run_in_executor(self._writing, hold)

    def write_under(self, lease: int) -> None:
        """Let nothing be written any more once a worker's lease is ended. Only at a server there are leases."""
        self._engine.lease = lease

    async def documents(self) -> list[str]:
        """Return the ids of all documents that have a text, in order. Read again only after a text was saved."""
        saved = self._texts_saved
        if self._ids[0] != saved:
            self._ids = (saved, await super().documents())
        return self._ids[1]

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Upsert rows by their primary keys, all tables in one transaction; return when they are on the disk.

        Only the columns given change. A row that exists may be given in part; a new row needs its table's `required`
        columns. Tables may come in any order. A cancelled call still saves its rows. Raises ValueError or TypeError
        for rows that do not fit their tables, IntegrityError of sqlite3 or psycopg for a foreign key that leads
        nowhere, and RunFailed when the disk is full, read-only or failing, or the server gone: then every other save
        fails with it.
        """
        rows = encode(tables)
        if not rows:
            return
        item = _Save(rows)
        if any("text" in row for row in rows.get("documents", ())):
            item.done.add_done_callback(self._text_saved)
        self._pending.append(item)
        if not self._called:  # else the writer has not begun to take what is pending, and takes this, too
            self._called = True
            self._writing.submit(self._commit)
        await asyncio.wrap_future(item.done)

    def _text_saved(self, _: Future[None]) -> None:
        self._texts_saved += 1

    def carry(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Save whole rows along with whatever is saved next, or when the ledger is closed; nobody waits for it.

        For rows whose loss would be no harm: a row that does not fit its table is lost, and so is what has not yet
        travelled when the process is killed.
        """
        encoded = encode(tables)
        with self._carrying:
            for name, rows in encoded.items():
                self._carried |= {(name, TABLES[name].key(row)): row for row in rows}

    async def find_call(self, key: str, thread: str | None = None) -> Mapping[str, Any] | None:
        """Return the stored row of table `calls` with this key, or None.

        With the `thread` that the call is of, a row that is not there costs nothing but one look at each thread's keys;
        where other machines write calls too, each is looked for.
        """
        if self._engine.alone and thread is not None and not await self._known.hold(key, thread):
            return None
        rows = await self.read("SELECT * FROM calls WHERE key = ?", (key,))
        return rows[0] if rows else None

    async def _start(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writing, self._engine.open_writing)
        await super()._start()

    def _stop(self) -> None:
        # The writer closes last: the last connection to close is the one that tidies a file's side files away.
        super()._stop()
        self._writing.submit(self._commit, closing=True).result()
        self._writing.submit(self._engine.close_writing).result()
        self._writing.shutdown()

    def _commit(self, *, closing: bool = False) -> None:
        self._called = False  # before anything is taken: what is pending from here on calls the writer again
        batch = [self._pending.popleft() for _ in range(len(self._pending))]
        if (batch or closing) and (carried := self._taken()):
            batch.append(_Save(carried))
        try:
            if batch and self._broken is None:
                self._write(batch)
        except (UserError, RunFailed) as error:
            self._broken = error
        finally:
            for item in batch:
                if self._broken is not None:
                    item.error = type(self._broken)(*self._broken.args)
                item.resolve()

    def _taken(self) -> Rows:
        """Take what is carried."""
        with self._carrying:
            taken, self._carried = self._carried, {}
        rows: Rows = {}
        for (name, _), row in taken.items():
            rows.setdefault(name, []).append(row)
        return rows

    def _write(self, batch: Sequence[_Save]) -> None:
        outcomes = self._engine.write([item.rows for item in batch])
        self.commits += 1
        for item, outcome in zip(batch, outcomes, strict=True):
            item.error = outcome
            if outcome is None:
                for row in item.rows.get("calls", ()):
                    self._known.note(row["key"], row.get("thread_id", ""))


class MemoryLedger:
    """The same Protocols over dicts, for a graph that runs without a run folder. Foreign keys are not looked at."""

    def __init__(self) -> None:
        """Start empty."""
        self.tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {name: {} for name in TABLES}
        """Table -> primary key -> row, as they would be read back from the file."""

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Upsert rows by their primary keys, all or none. Raises ValueError or TypeError as `Ledger.save`."""
        changed = {name: dict(rows) for name, rows in self.tables.items() if name in tables}
        for name, rows in encode(tables).items():
            spec = TABLES[name]
            for row in rows:
                old = changed[name].get(spec.key(row))
                if old is None:
                    if spec.missing(row):
                        raise incomplete(name, row)
                    old = dict.fromkeys(spec.columns) | dict(spec.defaults)
                changed[name][spec.key(row)] = old | row
        self.tables |= changed

    async def get(self, ref: str) -> str:
        """Return the text behind a reference. Raises KeyError when there is none."""
        kind, _, key = ref.partition("/")
        table, column = _TEXTS[kind]
        return str(self.tables[table][(key,)][column])

    async def documents(self) -> list[str]:
        """Return the ids of all documents that have a text and are no older version of another, in order."""
        rows = self.tables["documents"].values()
        return sorted(row["document_id"] for row in rows if row["text"] and not row.get("replaced_by"))

    async def find_call(self, key: str, thread: str | None = None) -> Mapping[str, Any] | None:
        """Return the stored row of table `calls` with this key, or None."""
        return self.tables["calls"].get((key,))


@contextmanager
def run_lock(folder: Path, name: str = "lock") -> Iterator[None]:
    """Hold a run folder for this process, so that no second one works in it. The lock dies with its process.

    Locks of other names are for work that may go on beside a run's.
    Raises UserError when another process holds it, RunFailed when the folder cannot be written.
    """
    path = folder / name
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("a+", encoding="utf-8", errors="replace"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(f"{folder} is in use by another process (pid {holder}): wait for it or stop it") from error
        except OSError as error:
            raise DiskFailed(f"{path}: {error.strerror}: make room and make the folder writable") from error
        yield
