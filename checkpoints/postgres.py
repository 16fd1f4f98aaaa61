"""The checkpoint saver of a shared deployment: Postgres (extra `postgres`), one database for many runs.

Only this module imports the database's libraries; import it through `autodata.runner.checkpointer`. What goes into the
database is what the file saver keeps, and no more; where a run's ledger is, `[ledger]` says. The address, which may
hold a password, is in memory only: no error text, log or row contains it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from autodata.checkpoints.errors import LeaseLost, RunFailed, UserError
from autodata.checkpoints.saver import ROUND_KEY, Row, last_of_each, unneeded
from autodata.checkpoints.serializer import PlainSerializer
from autodata.checkpoints.server import (
    LEASE_LOST,
    LONGEST_PAUSE,
    REQUIRE_LEASE,
    connected,
    connection_arguments,
    passes,
    pauses,
    text_of,
)
from autodata.checkpoints.whole_writes import WholeWrites

CONNECTIONS = 4
"""Connections that one run holds at most."""

_T = TypeVar("_T")

_SETTING_UP = 0x6175746F64617461
"""Key of the advisory lock under which the tables are made: two runs may start at once."""

_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
_ROUND_LABEL = f"coalesce((checkpoint -> 'channel_values' ->> '{ROUND_KEY}')::int, 0)"
_RUN_LABEL = "metadata ->> 'run_id'"
_THREADS = (
    "SELECT thread_id FROM checkpoints WHERE starts_with(thread_id, %(prefix)s)"
    " UNION SELECT thread_id FROM checkpoint_writes WHERE starts_with(thread_id, %(prefix)s)"
)


class _Text:
    """A text that the database's JSON cannot hold, on its way into the table of binary values."""

    def __init__(self, text: str) -> None:
        self.text = text


class _Away(Exception):
    """The server cannot be reached just now. Inside this module alone: `_again` raises what it stands for."""


class PostgresSaver(AsyncPostgresSaver):
    """LangGraph's Postgres saver for one run among others, with thinning by rounds, deleting by run and copying added.

    Thread ids begin with `prefix` in the database, and without it everywhere else: runs over the same documents do not
    meet, and no namespace is needed, which LangGraph keeps for subgraphs. Values are stored as the file saver does:
    nothing is ever pickled. No lock is held: operations wait for each other only where the pool's connections are all
    in use. A server that went away is waited for; RunFailed is raised when it does not come back.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]], prefix: str) -> None:
        """Wrap an open pool as `open_postgres` prepares it. Must be called on the running event loop."""
        super().__init__(pool, serde=PlainSerializer())
        self._pool = pool
        self._writes = WholeWrites("the pool of connections")
        self.prefix = prefix
        self.lease: int | None = None
        """The lease of a worker that every write is made under; None without one."""

    async def aclose(self) -> None:
        """Finish the writes that have begun, and refuse all others; the pool stays open."""
        await self._writes.aclose()

    # What others call a thread, and what the database does

    def _inside(self, config: RunnableConfig) -> RunnableConfig:
        own = {**config["configurable"], "thread_id": self._own(config["configurable"]["thread_id"])}
        return {**config, "configurable": own}

    def _own(self, thread_id: str) -> str:
        return f"{self.prefix}{thread_id}"

    def _search_where(
        self,
        config: RunnableConfig | None,
        filter: dict[str, Any] | None,  # noqa: A002 - the base class's name
        before: RunnableConfig | None = None,
    ) -> tuple[str, list[Any]]:
        where, values = super()._search_where(self._inside(config) if config else None, filter, before)
        if not config:
            return f"{f'{where} AND' if where else 'WHERE'} starts_with(thread_id, %s) ", [*values, self.prefix]
        return where, values

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        return await super()._load_checkpoint_tuple(
            {**value, "thread_id": value["thread_id"].removeprefix(self.prefix)}
        )

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint of this run by thread, namespace and perhaps id; the latest without an id."""
        inherited = super().aget_tuple
        return await self._again(lambda: inherited(self._inside(config)))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - the base class's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints of this run, the newest first."""
        inherited = super().alist

        async def found() -> list[CheckpointTuple]:
            return [item async for item in inherited(config, filter=filter, before=before, limit=limit)]

        for item in await self._again(found):
            yield item

    async def thread_ids(self) -> list[str]:
        """Return the ids of this run's threads that have checkpoints, or writes, in order, be they readable or not."""

        async def found() -> list[str]:
            async with self._cursor() as cursor:
                await cursor.execute(_THREADS, {"prefix": self.prefix})
                return sorted(row["thread_id"].removeprefix(self.prefix) for row in await cursor.fetchall())

        return await self._again(found)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint, whole even if the caller is cancelled; return the configuration that names it."""
        values = checkpoint["channel_values"]
        # A short text stands in the checkpoint's JSON, where the database refuses a NUL; a reply may hold one.
        boxed = {name: _Text(v) if isinstance(v, str) and "\0" in v else v for name, v in values.items()}
        inherited = super().aput
        whole: Checkpoint = {**checkpoint, "channel_values": boxed}
        saved = await self._writes.whole(
            self._again(lambda: inherited(self._inside(config), whole, metadata, new_versions))
        )
        known: dict[str, Any] = {**saved["configurable"], "thread_id": config["configurable"]["thread_id"]}
        return {**saved, "configurable": known}

    def _dump_blobs(
        self, thread_id: str, checkpoint_ns: str, values: dict[str, Any], versions: ChannelVersions
    ) -> list[tuple[str, str, str, str, str, bytes | None]]:
        plain = {name: value.text if isinstance(value, _Text) else value for name, value in values.items()}
        return super()._dump_blobs(thread_id, checkpoint_ns, plain, versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task wrote before its step's checkpoint is there, whole even if the caller is cancelled."""
        inherited, inside = super().aput_writes, self._inside(config)
        await self._writes.whole(self._again(lambda: inherited(inside, writes, task_id, task_path)))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what a `DeltaChannel` is rebuilt from."""
        if not get_checkpoint_id(config):
            found = await self.aget_tuple(config)
            if found is None:
                return {channel: {"writes": []} for channel in channels}
            config = found.config
        inherited, inside = super().aget_delta_channel_history, self._inside(config)
        return await self._again(lambda: inherited(config=inside, channels=channels))

    # Deleting and copying

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread of this run."""
        inherited = super().adelete_thread
        await self._again(lambda: inherited(self._own(thread_id)))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete old checkpoints of threads of this run, as the base class does."""
        inherited, own = super().aprune, [self._own(thread_id) for thread_id in thread_ids]
        await self._again(lambda: inherited(own, strategy=strategy))

    async def akeep_rounds(self, thread_id: str) -> None:
        """Delete every checkpoint of the thread that is not its round's last one, with its writes and values."""
        await self._thin(self._own(thread_id), _ROUND_LABEL, last_of_each)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints, and their writes, whose metadata names one of the LangGraph runs."""
        doomed = set(run_ids)

        async def of_these() -> list[str]:
            async with self._cursor() as cursor:
                await cursor.execute(
                    "SELECT DISTINCT thread_id FROM checkpoints"  # noqa: S608 - an expression of this module
                    f" WHERE starts_with(thread_id, %s) AND {_RUN_LABEL} = ANY(%s)",
                    (self.prefix, sorted(doomed)),
                )
                return [row["thread_id"] for row in await cursor.fetchall()]

        for thread_id in await self._again(of_these):
            await self._thin(thread_id, _RUN_LABEL, lambda rows: [row for row in rows if row.label not in doomed])

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints, values and writes of a thread to another one; an unknown thread is no error."""
        columns = {
            "checkpoints": "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata",
            "checkpoint_blobs": "checkpoint_ns, channel, version, type, blob",
            "checkpoint_writes": "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob",
        }
        source, target = self._own(source_thread_id), self._own(target_thread_id)

        async def copy() -> None:
            async with self._cursor() as cursor, cursor.connection.transaction():
                for table, names in columns.items():
                    await cursor.execute(
                        f"INSERT INTO {table} (thread_id, {names}) SELECT %s, {names} FROM {table}"  # noqa: S608 - names of this function
                        " WHERE thread_id = %s ON CONFLICT DO NOTHING",
                        (target, source),
                    )

        await self._again(copy)

    async def _thin(self, own_id: str, label: str, choose: Callable[[Sequence[Row]], list[Row]]) -> None:
        """Delete a thread's checkpoints but the chosen ones and those these lean on. `label` is an SQL expression."""
        await self._again(lambda: self._thinned(own_id, label, choose))

    async def _thinned(self, own_id: str, label: str, choose: Callable[[Sequence[Row]], list[Row]]) -> None:
        async with self._cursor() as cursor, cursor.connection.transaction():
            await self._require_lease(cursor.connection)
            await cursor.execute(
                "SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id,"  # noqa: S608 - an expression of this module
                f" (metadata ? 'counters_since_delta_snapshot')::int AS leans, {label} AS label"
                " FROM checkpoints WHERE thread_id = %s ORDER BY checkpoint_id",
                (own_id,),
            )
            rows = [Row(*row.values()) for row in await cursor.fetchall()]
            doomed: dict[str, list[str]] = {}
            for namespace, checkpoint_id in unneeded(rows, choose):
                doomed.setdefault(namespace, []).append(checkpoint_id)
            for namespace, ids in doomed.items():
                for statement in (
                    "DELETE FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = ANY(%s)",
                    "DELETE FROM checkpoint_writes"
                    " WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = ANY(%s)",
                ):
                    await cursor.execute(statement, (own_id, namespace, ids))
            # A value is stored once a version, for all checkpoints that hold it: those that none holds any more go.
            await cursor.execute(
                "DELETE FROM checkpoint_blobs b WHERE b.thread_id = %s AND b.checkpoint_ns = ANY(%s) AND NOT EXISTS"
                " (SELECT 1 FROM checkpoints c WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = b.checkpoint_ns"
                " AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version)",
                (own_id, list(doomed)),
            )

    async def _again(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Do work that changes nothing when it is done twice, again where the server went away, for a while."""
        waits = pauses()
        while True:
            try:
                return await work()
            except _Away as away:
                if (pause := next(waits, None)) is None:
                    raise RunFailed(str(away)) from None
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        """Lend a cursor on a connection of its own; with `pipeline` its statements are one transaction."""
        try:
            async with self._pool.connection(timeout=LONGEST_PAUSE) as connection:
                cursor = connection.cursor(binary=True, row_factory=dict_row)
                if not pipeline:
                    async with cursor:
                        yield cursor
                elif self.supports_pipeline:
                    async with connection.pipeline(), cursor:
                        await self._require_lease(connection)
                        yield cursor
                else:
                    async with connection.transaction(), cursor:
                        await self._require_lease(connection)
                        yield cursor
        except psycopg.DataError:
            raise  # a value's fault, not the server's
        except psycopg.Error as error:
            if error.sqlstate == LEASE_LOST:
                raise LeaseLost(text_of(error)) from None
            raise (_Away if passes(error) else RunFailed)(
                f"the checkpoints in Postgres cannot be used any more ({text_of(error)}): see to the server, then type"
                " the same command again to go on: nothing paid for is lost"
            ) from None

    async def _require_lease(self, connection: AsyncConnection[DictRow]) -> None:
        """Let what follows in this transaction fail where the worker's lease was ended."""
        if self.lease is not None:
            await connection.execute(REQUIRE_LEASE, (self.lease,))


@asynccontextmanager
async def open_postgres(dsn: str, variable: str, prefix: str = "") -> AsyncIterator[PostgresSaver]:
    """Open the saver of one run at the server that `dsn` names; make LangGraph's tables where there are none.

    `variable` is the name of the environment variable that `dsn` came from, for error texts. Raises UserError when it
    is no address, the server cannot be reached, or the tables can neither be used nor made.
    """
    arguments = connection_arguments(dsn, variable)
    async with connected(arguments, variable) as connection:
        try:
            await _set_up(connection)
        except psycopg.Error as error:
            raise UserError(
                f"{variable}: the checkpoint tables cannot be made ({text_of(error, arguments)}): let the database's"
                " owner grant CREATE on its schema, or name another database"
            ) from None
    pool = AsyncConnectionPool[AsyncConnection[DictRow]](
        kwargs={**arguments, "row_factory": dict_row},
        min_size=1,
        max_size=CONNECTIONS,
        name="autodata",
        open=False,
    )
    async with pool:
        saver = PostgresSaver(pool, prefix)
        try:
            yield saver
        finally:
            await saver.aclose()


async def describe(dsn: str, variable: str) -> str:
    """Reach the server and say what is there. Nothing is changed. Raises UserError as `open_postgres`."""
    arguments = connection_arguments(dsn, variable)
    async with connected(arguments, variable) as connection:
        found = await connection.execute(
            "SELECT current_setting('server_version') AS version, current_database() AS name,"
            " coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may"
        )
        server = await found.fetchone()
        assert server is not None
        if await _ready(connection):
            tables = "tables ready"
        elif server["may"]:
            tables = "tables will be made"
        else:
            raise UserError(
                f"{variable}: the checkpoint tables are missing and may not be made: let the owner of database"
                f" {server['name']} grant CREATE on its schema"
            )
    return f"Postgres {server['version'].split()[0]}, database {server['name']}, {tables}"


async def _ready(connection: AsyncConnection[DictRow]) -> bool:
    """Whether the tables are there, of the version that the library knows."""
    found = await (await connection.execute("SELECT to_regclass('checkpoint_migrations') AS it")).fetchone()
    if not found or found["it"] is None:
        return False
    newest = await (await connection.execute("SELECT max(v) AS v FROM checkpoint_migrations")).fetchone()
    return bool(newest and newest["v"] is not None and newest["v"] >= len(AsyncPostgresSaver.MIGRATIONS) - 1)


async def _set_up(connection: AsyncConnection[DictRow]) -> None:
    """Make the tables, once, whoever comes first.

    The lock is asked for again and again: waiting for it inside one statement would block the index that is being made.
    """
    while not await _ready(connection):
        taken = await (await connection.execute("SELECT pg_try_advisory_lock(%s) AS it", (_SETTING_UP,))).fetchone()
        if taken and taken["it"]:
            try:
                await AsyncPostgresSaver(connection).setup()
            finally:
                await connection.execute("SELECT pg_advisory_unlock(%s)", (_SETTING_UP,))
        else:
            await asyncio.sleep(0.1)
