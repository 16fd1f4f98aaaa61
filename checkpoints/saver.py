"""The checkpoint saver: where every document's graph stands, in one SQLite file.

Checkpoints are the truth about position only. What was paid for is in the journal, so that a lost checkpoint file
costs time, not money. Open one saver per file and share it between all graphs of the process: a second writer on the
same file has to wait for the first one's lock.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from autodata.checkpoints.errors import DiskFailed, RunFailed, UserError
from autodata.checkpoints.serializer import CompressedSerializer
from autodata.checkpoints.whole_writes import Together, WholeWrites

Keep = Literal["rounds", "all", "none"]
"""What stays of a document's checkpoints once it has ended: each round's last one, all of them, or none."""

BUSY_SECONDS = 60.0
"""How long a statement waits for another process's lock on the file before it fails."""

ROUND_KEY = "n"
"""The state key that holds the number of the round a checkpoint belongs to; a checkpoint without it is of round 0."""

_PUT = (
    "INSERT OR REPLACE INTO checkpoints"
    " (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PUT_WRITES = (
    "INSERT OR {} INTO writes"
    " (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NO_LABEL = "NULL"
_ROUND_LABEL = "round_of(type, checkpoint)"
_RUN_LABEL = "json_extract(CAST(metadata AS TEXT), '$.run_id')"


class Row(NamedTuple):
    """A checkpoint without its state, as far as deciding whether it may go needs it."""

    namespace: str
    checkpoint_id: str
    parent_id: str | None
    leans_on_parent: int
    """Whether some channel stores changes only (a `DeltaChannel`), to be applied to what the ancestors hold."""
    label: Hashable


@runtime_checkable
class KeepsRounds(Protocol):
    """A saver that can drop all but the last checkpoint of each round of a thread."""

    async def akeep_rounds(self, thread_id: str) -> None:
        """Delete every checkpoint of the thread that is not its round's last one, with its writes."""
        ...


class FileSaver(AsyncSqliteSaver):
    """LangGraph's asynchronous SQLite saver with pruning, deleting by run and copying added.

    Values are stored as `CompressedSerializer` has them. All deletions are one transaction each.

    A write that has begun is finished, whoever waits for it being cancelled or not: half a transaction would keep the
    file locked for everybody. Checkpoints and writes that come while another transaction is on its way are committed
    together, in the order in which they came.
    """

    def __init__(self, conn: aiosqlite.Connection) -> None:
        """Wrap an aiosqlite connection as `open_saver` prepares it. Must be called on the running event loop."""
        super().__init__(conn, serde=CompressedSerializer())
        self._writes = WholeWrites("the checkpoint file")
        self._together = Together(self._writes, self._commit)

    async def aclose(self) -> None:
        """Finish the writes that have begun and refuse all others; the connection stays open, without a transaction."""
        try:
            await self._writes.aclose()
        finally:
            await self.conn.rollback()

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint, whole even if the caller is cancelled."""
        place = config["configurable"]
        known = json.dumps(get_checkpoint_metadata(config, metadata), ensure_ascii=False).encode("utf-8", "ignore")
        row = (str(place["thread_id"]), place["checkpoint_ns"], checkpoint["id"], place.get("checkpoint_id"))
        await self._together.save(_PUT, [(*row, *self.serde.dumps_typed(checkpoint), known)])
        at = {"thread_id": place["thread_id"], "checkpoint_ns": place["checkpoint_ns"]}
        return {"configurable": {**at, "checkpoint_id": checkpoint["id"]}}

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task wrote, whole even if the caller is cancelled."""
        place = config["configurable"]
        at = (str(place["thread_id"]), str(place["checkpoint_ns"]), str(place["checkpoint_id"]), task_id, task_path)
        rows = [
            (*at, WRITES_IDX_MAP.get(channel, index), channel, *self.serde.dumps_typed(value))
            for index, (channel, value) in enumerate(writes)
        ]
        replaced = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        await self._together.save(_PUT_WRITES.format("REPLACE" if replaced else "IGNORE"), rows)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints of a thread, whole even if the caller is cancelled."""
        await self._writes.whole(super().adelete_thread(thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete old checkpoints of the given threads; unknown threads are no error.

        `keep_latest` keeps the newest checkpoint of each namespace (and those that it needs to be readable, where a
        graph uses `DeltaChannel`), `delete` keeps none. Any other strategy raises `ValueError`.
        """
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"unknown pruning strategy {strategy!r}: use 'keep_latest' or 'delete'")

        async def prune(cursor: aiosqlite.Cursor) -> None:
            for thread_id in thread_ids:
                if strategy == "delete":
                    await cursor.execute("DELETE FROM checkpoints WHERE thread_id = ?", (thread_id,))
                    await cursor.execute("DELETE FROM writes WHERE thread_id = ?", (thread_id,))
                else:
                    await _thin(cursor, thread_id, _NO_LABEL, last_of_each)

        await self._transaction(prune)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints, and their writes, whose metadata names one of the runs; unknown runs are no error.

        A checkpoint that one of another run needs to be readable (`DeltaChannel`) stays. Reads all metadata of the
        file, so it takes time in proportion to the file's size.
        """
        doomed = set(run_ids)

        def of_other_runs(rows: Sequence[Row]) -> list[Row]:
            return [row for row in rows if row.label not in doomed]

        async def delete(cursor: aiosqlite.Cursor) -> None:
            await cursor.execute(
                f"SELECT DISTINCT thread_id FROM checkpoints WHERE {_RUN_LABEL} IN (SELECT value FROM json_each(?))",  # noqa: S608 - of this module
                (json.dumps(sorted(doomed)),),
            )
            for (thread_id,) in await cursor.fetchall():
                await _thin(cursor, thread_id, _RUN_LABEL, of_other_runs)

        await self._transaction(delete)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another one; copying an unknown thread does nothing.

        Checkpoints keep their ids, so one that the target already has under the same id is replaced.
        """
        threads = (target_thread_id, source_thread_id)

        async def copy(cursor: aiosqlite.Cursor) -> None:
            await cursor.execute(
                "INSERT OR REPLACE INTO checkpoints"
                " (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)"
                " SELECT ?, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
                " FROM checkpoints WHERE thread_id = ?",
                threads,
            )
            await cursor.execute(
                "INSERT OR REPLACE INTO writes"
                " (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value)"
                " SELECT ?, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value"
                " FROM writes WHERE thread_id = ?",
                threads,
            )

        await self._transaction(copy)

    async def akeep_rounds(self, thread_id: str) -> None:
        """Delete every checkpoint of the thread that is not its round's last one, and all writes.

        The kept ones hold their state whole, so they can be read and resumed from, although their `parent_config`
        may name a checkpoint that is gone. What was written after one stands in the state of the next.
        """

        async def keep(cursor: aiosqlite.Cursor) -> None:
            await _thin(cursor, thread_id, _ROUND_LABEL, last_of_each)
            await cursor.execute(
                "DELETE FROM writes WHERE thread_id = ? AND NOT EXISTS (SELECT 1 FROM checkpoints c WHERE"
                " c.thread_id = writes.thread_id AND json_type(CAST(c.metadata AS TEXT),"
                " '$.counters_since_delta_snapshot') IS NOT NULL)",
                (thread_id,),
            )

        await self._transaction(keep)

    async def _commit(self, statements: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]) -> None:
        """Write rows by statements of this module, in one transaction."""

        async def write(cursor: aiosqlite.Cursor) -> None:
            for statement, rows in statements:
                await cursor.executemany(statement, rows)

        await self._changed(write)

    async def _transaction(self, change: Callable[[aiosqlite.Cursor], Coroutine[Any, Any, None]]) -> None:
        await self._writes.whole(self._changed(change))

    async def _changed(self, change: Callable[[aiosqlite.Cursor], Coroutine[Any, Any, None]]) -> None:
        await self.setup()
        async with self.lock, self.conn.cursor() as cursor:
            try:
                await change(cursor)
                await self.conn.commit()
            except BaseException:
                await self.conn.rollback()
                raise

    def round_of(self, type_: str, checkpoint: bytes) -> int:
        """Return the round of a stored checkpoint, 0 where its state names none. Thread-safe; SQL's `round_of`."""
        number = self.serde.loads_typed((type_, checkpoint))["channel_values"].get(ROUND_KEY)
        return number if isinstance(number, int) else 0


def last_of_each(rows: Sequence[Row]) -> list[Row]:
    """Return the newest row of each namespace and label; rows come oldest first."""
    return list({(row.namespace, row.label): row for row in rows}.values())


def unneeded(rows: Sequence[Row], choose: Callable[[Sequence[Row]], list[Row]]) -> list[tuple[str, str]]:
    """Return namespace and id of the checkpoints that may go: all but the chosen ones and those these lean on."""
    by_key = {row[:2]: row for row in rows}
    kept = {row[:2] for row in choose(rows)}
    for chosen in list(kept):
        row = by_key[chosen]
        while row.leans_on_parent and row.parent_id:
            parent = (row.namespace, row.parent_id)
            if parent in kept or parent not in by_key:
                break
            kept.add(parent)
            row = by_key[parent]
    return [key for key in by_key if key not in kept]


async def _thin(
    cursor: aiosqlite.Cursor, thread_id: str, label: str, choose: Callable[[Sequence[Row]], list[Row]]
) -> None:
    """Delete the thread's checkpoints but the chosen ones and those these lean on. `label` is an SQL expression."""
    # LangGraph counts in the metadata, per DeltaChannel, the steps since its value was last stored whole.
    await cursor.execute(
        "SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id,"  # noqa: S608 - an expression of this module
        " json_type(CAST(metadata AS TEXT), '$.counters_since_delta_snapshot') IS NOT NULL,"
        f" {label} FROM checkpoints WHERE thread_id = ? ORDER BY checkpoint_id",
        (thread_id,),
    )
    doomed = [(thread_id, *key) for key in unneeded([Row._make(row) for row in await cursor.fetchall()], choose)]
    for statement in (
        "DELETE FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
        "DELETE FROM writes WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
    ):
        await cursor.executemany(statement, doomed)


@asynccontextmanager
async def open_saver(path: Path) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """Open the checkpoint file, creating it where there is none, and close it at the end.

    The file is in WAL mode with `synchronous=NORMAL`: what was committed survives the death of the process; a power
    cut may lose the last steps, never the file. What it does not need at the end goes back to the disk. Raises
    `UserError` if the file cannot be opened or is not a readable SQLite database.
    """
    async with AsyncExitStack() as stack:
        try:
            # A connection that aiosqlite fails to open leaves its thread racing the end of the event loop.
            await asyncio.to_thread(_probe, path)
            stack.push_async_callback(asyncio.to_thread, _give_back, path)
            conn = await stack.enter_async_context(aiosqlite.connect(path, timeout=BUSY_SECONDS))
            saver = FileSaver(conn)
            # Decoding states inside SQL keeps that work on the connection's thread, off the event loop.
            await conn.create_function("round_of", 2, saver.round_of, deterministic=True)
            await conn.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a new file: later it changes nothing
            async with conn.execute("PRAGMA synchronous=NORMAL"):
                await saver.setup()
        except sqlite3.DatabaseError as error:
            raise UserError(_cannot_open(path, error)) from error
        # Closing the connection alone would keep the file locked by a transaction that is open for as long as anything,
        # a traceback for instance, holds its cursor.
        stack.push_async_callback(saver.aclose)
        yield saver


def checkpoint_error(path: Path, error: sqlite3.Error) -> UserError | RunFailed:
    """Return what a fault of the checkpoint file means to a person: a file to move away, or a disk to see to."""
    if isinstance(error, sqlite3.DatabaseError) and _is_spoilt(error):
        return UserError(_cannot_open(path, error))
    return DiskFailed(f"{path}: {error}: see to the disk, then type the same command again to go on")


async def keep_rounds(saver: BaseCheckpointSaver[str], thread_id: str, keep: Keep) -> None:
    """Drop what is no longer needed of the checkpoints of a document that has ended; doing it twice changes nothing.

    `all` drops nothing, `none` everything, `rounds` all but each round's last checkpoint. Raises `UserError` if
    `rounds` is asked of a saver that cannot distinguish rounds.
    """
    if keep == "none":
        await saver.adelete_thread(thread_id)
    elif keep == "rounds":
        if not isinstance(saver, KeepsRounds):
            raise UserError(f'{type(saver).__name__} cannot keep single rounds: set checkpoints.keep = "all" or "none"')
        await saver.akeep_rounds(thread_id)


def _probe(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as conn:
        conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()


def _give_back(path: Path) -> None:
    """Cut off the file what documents in work took of it and no longer need.

    A file in use by others, one from before pages could be given back, or a failing disk: then they stay.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0)) as conn:
        conn.executescript("PRAGMA incremental_vacuum")  # gives back a page a step, and this makes all steps


def _is_spoilt(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def _cannot_open(path: Path, error: sqlite3.DatabaseError) -> str:
    if _is_spoilt(error):
        aside = f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.bad')}"
        return (
            f"checkpoint file {path} cannot be read ({error}): type `{aside}` and repeat the command;"
            " unfinished documents start again with the replies already paid for"
        )
    if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"checkpoint file {path} is in use ({error}): end the process that uses it and repeat the command"
    return f"checkpoint file {path} cannot be opened ({error}): check that its folder exists and can be written to"
