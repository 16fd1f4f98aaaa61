"""A ledger in a schema of a Postgres database (extra `postgres`), which several machines may work on at once.

Every save is an upsert by key, so to write it again changes nothing, unless somebody else has changed the row since. So
each transaction also carries the writer's name and a number that rises: one whose connection broke before the server's
answer came is tried again on another, and where the number is there already, nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from psycopg import Connection
from psycopg.adapt import Loader
from psycopg.rows import tuple_row
from psycopg.types.string import TextLoader
from psycopg_pool import ConnectionPool

from autodata.checkpoints.dialect import creation, read_back, stored, translated
from autodata.checkpoints.errors import LeaseLost, RunFailed, UserError
from autodata.checkpoints.holders import TABLE, Holder
from autodata.checkpoints.places import Shared
from autodata.checkpoints.schema import SCHEMA_VERSION, TABLES, Rows
from autodata.checkpoints.server import (
    LEASE_LOST,
    LONGEST_PAUSE,
    REQUIRE_LEASE,
    connection_arguments,
    of_the_statement,
    passes,
    pauses,
    text_of,
    unreachable,
)
from autodata.checkpoints.upserts import incomplete, insert_statement, update_statement

_T = TypeVar("_T")
_Rows = tuple[Any, ...]

_WRITERS = (
    "CREATE TABLE IF NOT EXISTS {} (writer text PRIMARY KEY, batch bigint NOT NULL,"
    " written timestamptz NOT NULL DEFAULT now())"
)
_NUMBERED = (
    "INSERT INTO {0} AS w (writer, batch) VALUES (%s, %s) ON CONFLICT (writer)"
    " DO UPDATE SET batch = excluded.batch, written = now() WHERE w.batch < excluded.batch"
)
_FORGOTTEN = "DELETE FROM {} WHERE writer = %s OR written < now() - interval '30 days'"
_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class _Number(Loader):
    """Sums of whole numbers are whole numbers, all else with a decimal point a float, as in SQLite."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdecimal() else float(text)


class PostgresEngine:
    """The schema of one run. Connections come from a pool, and one that died is replaced."""

    readers = 4
    alone = False

    def __init__(self, place: Shared) -> None:
        """Name the run; nothing is opened yet."""
        self.place = place
        self._arguments = connection_arguments(place.dsn, place.dsn_env)
        self._pool: ConnectionPool[Connection[_Rows]] | None = None
        self._users = 0
        self._opening = Lock()
        self._writer = uuid4().hex
        self._batch = 0
        self._writers = f'"{place.schema}".writers'
        self._holder: Holder | None = None
        self.lease: int | None = None
        """The lease that every transaction is written under, None without one: see `checkpoints/workers/leases.py`."""

    @property
    def folder(self) -> Path:
        """The folder that names the run."""
        return self.place.folder

    # Opening

    def open_reading(self) -> None:
        """See that the run is there. Raises UserError as `Engine.open_reading`."""
        with self._connected() as connection:
            version = self._version(connection)
            if version is None:
                raise UserError(
                    f"{self.place.dsn_env}: its database holds no run {self.place.run}: see that the variable names the"
                    f" database that {self.folder} was made with"
                )
            if version != SCHEMA_VERSION:
                self._prepare(connection)
        self._take_pool()

    def open_writing(self) -> None:
        """Make the run's tables where there are none. Raises UserError as `Engine.open_writing`."""
        with self._connected() as connection:
            self._prepare(connection)
        self._take_pool()

    def hold(self, *, together: bool) -> None:
        """Hold the run for a session, as `Engine.hold`."""
        holder = Holder(self._again, self.place.schema, self.folder)
        holder.take(together=together)
        self._holder = holder

    def close_reading(self) -> None:
        """Let go of the pool."""
        self._leave_pool()

    def close_writing(self) -> None:
        """Forget the writer's number, and let go of the run and of the pool."""
        if self._holder is not None:
            with suppress(RunFailed):  # who is silent holds it no more
                self._holder.release()
        if self._pool is not None and self._batch:
            try:
                with self._pool.connection(timeout=LONGEST_PAUSE) as connection:
                    connection.execute(_FORGOTTEN.format(self._writers), (self._writer,))
            except psycopg.Error:
                pass  # a row that nobody reads stays
        self._leave_pool()

    def _connected(self) -> Connection[_Rows]:
        try:
            connection = Connection.connect(**self._arguments, row_factory=tuple_row)
        except psycopg.Error as error:
            raise unreachable(error, self._arguments, self.place.dsn_env) from None
        _configure(connection)
        return connection

    def _version(self, connection: Connection[_Rows]) -> str | None:
        """Return the schema version of the run, None where there is no run. Raises UserError for a later one."""
        [[there]] = connection.execute("SELECT to_regclass(%s)", (f'"{self.place.schema}".meta',)).fetchall()
        if there is None:
            return None
        rows = connection.execute(
            translated("SELECT value FROM meta WHERE key = 'schema_version'", self.place.schema)
        ).fetchall()
        version = str(rows[0][0]) if rows else "none"
        if version.isdecimal() and int(version) > int(SCHEMA_VERSION):
            raise UserError(
                f"run {self.place.run} was made by a later version of Autodata (its schema version is {version}, this"
                f" one's is {SCHEMA_VERSION}): update with `pip install --upgrade autodata-langgraph`"
            )
        return version

    def _prepare(self, connection: Connection[_Rows]) -> None:
        """Make what lacks of the run's tables, once, whoever comes first."""
        try:
            with connection.transaction():
                connection.execute(_TURN, (self.place.schema,))
                if self._version(connection) != SCHEMA_VERSION:
                    self._create(connection)
        except psycopg.Error as error:
            raise UserError(
                f"{self.place.dsn_env}: the tables of run {self.place.run} cannot be made"
                f" ({text_of(error, self._arguments)}): let the database's owner grant CREATE on it"
            ) from None

    def _create(self, connection: Connection[_Rows]) -> None:
        for statement in creation(self.place.schema):
            connection.execute(statement.encode())
        connection.execute(_WRITERS.format(self._writers).encode())
        connection.execute(TABLE.format(f'"{self.place.schema}".holders').encode())
        version = {"key": "schema_version", "value": SCHEMA_VERSION}
        connection.execute(
            translated(insert_statement("meta", tuple(version)), self.place.schema), tuple(version.values())
        )

    def _take_pool(self) -> None:
        with self._opening:
            self._users += 1
            if self._pool is None:
                self._pool = ConnectionPool(
                    kwargs=self._arguments,
                    connection_class=Connection[_Rows],
                    configure=_configure,
                    min_size=1,
                    max_size=self.readers + 1,
                    name="autodata-ledger",
                    open=True,
                )

    def _leave_pool(self) -> None:
        with self._opening:
            self._users -= 1
            if self._users <= 0 and self._pool is not None:
                self._pool.close()
                self._pool = None

    # Reading and writing

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a SELECT."""
        statement = translated(sql, self.place.schema)
        values: Any = (
            {name: stored(value) for name, value in params.items()}
            if isinstance(params, dict)
            else tuple(map(stored, params))
        )
        return self._again(lambda connection: list(_read(connection, statement, values)))

    def write(self, saves: Sequence[Rows]) -> Sequence[Exception | None]:
        """Write saves in one transaction. Returns the fault of each, None where it was written."""
        if self._holder is not None and self._holder.lost:
            raise RunFailed(self._holder.lost)
        self._batch += 1
        number = self._batch
        try:
            self._again(lambda connection: self._transaction(connection, saves, number))
        except (ValueError, OverflowError, psycopg.Error) as error:
            if len(saves) == 1:
                return [error]
            # One of them does not fit: each has a transaction of its own.
            return [outcome for one in saves for outcome in self.write([one])]
        return [None] * len(saves)

    def _transaction(self, connection: Connection[_Rows], saves: Sequence[Rows], number: int) -> None:
        try:
            with connection.pipeline():
                connection.execute("BEGIN")
                held = None
                if self.lease is not None:
                    connection.execute(REQUIRE_LEASE, (self.lease,))
                elif self._holder is not None:
                    held = self._holder.still_held(connection)
                numbered = connection.execute(_NUMBERED.format(self._writers), (self._writer, number))
                if any("examples" in rows for rows in saves):
                    # Whoever reads examples behind a place must find all before it: they are written one by one.
                    connection.execute(_TURN, (f"{self.place.schema}.examples",))
                parts = [part for rows in saves for part in self._upsert(connection, rows)]
            if self._holder is not None and held is not None and not held.rowcount:
                raise RunFailed(self._holder.taken_over)
            for cursor, name, row in parts:
                if not cursor.rowcount:
                    raise incomplete(name, row)
            # A number that is there already: this very transaction was written, and its answer lost.
            connection.execute("COMMIT" if numbered.rowcount else "ROLLBACK")
        except BaseException:
            if not connection.closed:
                connection.rollback()
            raise

    def _upsert(self, connection: Connection[_Rows], rows: Rows) -> Iterator[tuple[Any, str, dict[str, Any]]]:
        """Send upserts. Yields the parts of rows, each with what says whether its row was there."""
        for name, of_table in rows.items():
            spec = TABLES[name]
            for columns, group in groupby(of_table, key=tuple):
                if spec.required <= set(columns):
                    statement = translated(insert_statement(name, columns), self.place.schema)
                    for row in group:
                        connection.execute(statement, tuple(map(stored, row.values())))
                    continue
                part, changed = update_statement(name, columns)
                statement = translated(part, self.place.schema)
                for row in group:
                    values = [*(row[column] for column in changed), *spec.key(row)]
                    yield connection.execute(statement, tuple(map(stored, values))), name, row

    def _again(self, work: Callable[[Connection[_Rows]], _T]) -> _T:
        """Do work on a connection, on another where that one dies, until the server was away for too long.

        Raises RunFailed then, and psycopg.Error for what is the work's own fault.
        """
        waits = pauses()
        while True:
            assert self._pool is not None, "a ledger that is read or written is open"
            try:
                with self._pool.connection(timeout=LONGEST_PAUSE) as connection:
                    return work(connection)
            except psycopg.Error as error:
                if of_the_statement(error):
                    raise
                if error.sqlstate == LEASE_LOST:
                    raise LeaseLost(text_of(error)) from None
                if not passes(error) or (pause := next(waits, None)) is None:
                    raise RunFailed(
                        f"the ledger in Postgres cannot be used any more ({text_of(error, self._arguments)}): see to"
                        " the server, then type the same command again to go on: nothing paid for is lost"
                    ) from None
            time.sleep(pause)


def _configure(connection: Connection[_Rows]) -> None:
    connection.adapters.register_loader("numeric", _Number)
    connection.adapters.register_loader("json", TextLoader)


def _read(connection: Connection[_Rows], statement: str, values: Any) -> Iterator[dict[str, Any]]:
    cursor = connection.execute(statement, values)
    names = [column.name for column in cursor.description or ()]
    for row in cursor:
        yield {name: read_back(value) for name, value in zip(names, row, strict=True) if name != "rowid"}
