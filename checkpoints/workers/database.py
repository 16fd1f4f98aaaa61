"""The database that workers meet in: a pool of connections, and the tables in its schema `autodata`.

A statement whose connection died is sent again on another one, so each statement here can be sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.server import (
    ENDED,
    LONGEST_PAUSE,
    connected,
    connection_arguments,
    passes,
    pauses,
    text_of,
)

T = TypeVar("T")
Connection = AsyncConnection[DictRow]

CONNECTIONS: Final = 4
"""Connections that one process holds for this at most; its ledger and its checkpoints have their own."""

_MAKING: Final = 0x6175746F776F726B
"""Key of the advisory lock under which the tables are made."""

_TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS autodata;
CREATE TABLE IF NOT EXISTS autodata.runs (
    run text PRIMARY KEY, version text NOT NULL, state text NOT NULL DEFAULT 'open', reason text NOT NULL DEFAULT '',
    failed boolean NOT NULL DEFAULT false, session integer NOT NULL DEFAULT 0, begun timestamptz NOT NULL DEFAULT now(),
    ends timestamptz, concurrency integer NOT NULL, target bigint,
    max_calls bigint, max_tokens bigint, max_usd numeric, max_seconds float8,
    calls bigint NOT NULL DEFAULT 0, tokens bigint NOT NULL DEFAULT 0, usd numeric NOT NULL DEFAULT 0,
    held_calls bigint NOT NULL DEFAULT 0, held_tokens bigint NOT NULL DEFAULT 0, held_usd numeric NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS autodata.workers (
    worker bigint PRIMARY KEY, run text NOT NULL, host text NOT NULL, session integer NOT NULL,
    began timestamptz NOT NULL DEFAULT now(), heartbeat timestamptz NOT NULL DEFAULT now(),
    lease float8 NOT NULL, state text NOT NULL DEFAULT 'working', reason text NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS autodata.reservations (
    id text PRIMARY KEY, run text NOT NULL, worker bigint NOT NULL, tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL, usd numeric, call_key text NOT NULL, document_id text NOT NULL, thread_id text NOT NULL,
    role text NOT NULL, model text NOT NULL
);
CREATE TABLE IF NOT EXISTS autodata.slots (
    endpoint text NOT NULL, worker bigint NOT NULL, granted integer NOT NULL, wanted integer NOT NULL,
    PRIMARY KEY (endpoint, worker)
);
CREATE OR REPLACE FUNCTION autodata.require_lease(bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('autodata.worker ' || $1, 0));
    PERFORM set_config('idle_in_transaction_session_timeout', coalesce(
        (SELECT least(10000, lease * 1000 / 3)::bigint::text FROM autodata.workers WHERE worker = $1), '10s'), true);
    PERFORM 1 FROM autodata.workers WHERE worker = $1 AND state = 'working' FOR SHARE;
    IF NOT FOUND THEN RAISE EXCEPTION 'the lease of worker % is lost', $1 USING ERRCODE = 'ADLST'; END IF;
END $$;
CREATE OR REPLACE FUNCTION autodata.cut_off(bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT count(*) FILTER (WHERE ended) FROM (@ENDED@) AS those);
EXCEPTION WHEN insufficient_privilege THEN RETURN 0;
END $$;
""".replace("@ENDED@", ENDED.format("'autodata.worker ' || $1"))
"""Whoever writes for a run holds its worker's row shared until the commit: once a lease is ended, nothing follows.

A process that hangs before its commit is cut off by the server, for others wait for the rows that it holds: well
within a lease, or they would lose their own meanwhile. That does not reach one that hangs between two statements of a
pipeline, nor one whose machine is gone then: to the server its statements are not at an end, so it is not idle. The
shared lock of its number says which connections those are, and `cut_off` ends them with the lease.
"""
CUT_AFTER = 10.0
"""Seconds after which the server cuts off a process that hangs within a transaction, a third of its lease at most."""


class Database:
    """Connections of one process, and procrastinate's own view of them."""

    def __init__(self, pool: AsyncConnectionPool[Connection], arguments: Mapping[str, Any]) -> None:
        """Wrap an open pool as `open_database` prepares it."""
        self._pool, self._arguments = pool, arguments
        self.cut_after = CUT_AFTER
        """Seconds that a transaction of this process may be idle."""
        self.app = App(connector=PsycopgConnector())
        """Whose `job_manager` defers and fetches jobs."""

    async def rows(self, sql: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[DictRow]:
        """Return the rows of one statement, committed; none where it has no result. Raises RunFailed."""

        async def run(connection: Connection) -> list[DictRow]:
            cursor = await connection.execute(sql.encode(), values)
            return await cursor.fetchall() if cursor.description else []

        return await self.again(run)

    async def transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Return what work within one transaction returned. It is done again where its connection dies."""

        async def run(connection: Connection) -> T:
            async with connection.transaction():
                limit = f"{self.cut_after * 1000:.0f}ms"
                await connection.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, true)", (limit,))
                return await work(connection)

        return await self.again(run)

    async def again(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do work on a connection, on another where that one dies, until the server was away for too long."""

        async def lent() -> T:
            async with self._pool.connection(timeout=LONGEST_PAUSE) as connection:
                return await work(connection)

        return await self.insist(lent)

    async def insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do work again for as long as the server may come back. Raises RunFailed when it does not."""
        waits = pauses()
        while True:
            try:
                return await work()
            except (psycopg.Error, ConnectorException) as error:
                found = error.__cause__ if isinstance(error, ConnectorException) else error
                cause = found if isinstance(found, psycopg.Error) else error
                gone = isinstance(cause, PoolTimeout) or (isinstance(cause, psycopg.Error) and passes(cause))
                if not gone or (pause := next(waits, None)) is None:
                    raise RunFailed(
                        f"the queue in Postgres cannot be used any more ({text_of(cause, self._arguments)}):"
                        " see to the server, then type the same command again to go on: nothing paid for is lost"
                    ) from None
            await asyncio.sleep(pause)


@asynccontextmanager
async def open_database(dsn: str, variable: str) -> AsyncIterator[Database]:
    """Open the database that `dsn` names, and make what is missing in it.

    `variable` is the environment variable that it came from, for error texts. Raises UserError when it is no address,
    the server cannot be reached, or the tables can neither be used nor made.
    """
    arguments = connection_arguments(dsn, variable)
    async with connected(arguments, variable) as first:
        try:
            await _make(first)
        except psycopg.Error as error:
            raise UserError(
                f"{variable}: the tables of the queue cannot be made ({text_of(error, arguments)}): let the database's"
                " owner grant CREATE on it and on its schema public"
            ) from None
    pool = AsyncConnectionPool[Connection](
        kwargs={**arguments, "row_factory": dict_row},
        min_size=1,
        max_size=CONNECTIONS,
        name="autodata-workers",
        open=False,
    )
    async with pool:
        database = Database(pool, arguments)
        await database.app.connector.open_async(pool)
        yield database


async def _make(connection: Connection) -> None:
    """Make the tables, ours and procrastinate's, once, whoever comes first."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MAKING,))
        found = await connection.execute(
            "SELECT to_regclass('procrastinate_jobs') AS theirs, to_regproc('autodata.cut_off') AS ours"
        )
        there = await found.fetchone()
        assert there is not None
        if there["theirs"] is None:
            from procrastinate.schema import SchemaManager  # noqa: PLC0415 - needed once a database

            await connection.execute(SchemaManager.get_schema())
        if there["ours"] is None:
            await connection.execute(_TABLES.encode())
