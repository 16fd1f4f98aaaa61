"""A Postgres server as ledger and checkpoints reach it (extra `postgres`): its address in parts, its errors in a line.

The address, which may hold a password, is in memory only: no error text, log or row contains it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from autodata.checkpoints.errors import UserError

CONNECT_SECONDS: Final = 10
"""How long to wait for the server before it is said to be out of reach, where the address does not say."""

_NOTICES_SILENCE: Final = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""After about a minute without any sign of its machine a connection is taken for dead, where systems wait for hours: a
server that lost its power says nothing, and a firewall that forgot the connection does not either."""

ENDED: Final = """
SELECT pg_terminate_backend(pid) AS ended FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND pid != pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (classid::bigint << 32) | objid::bigint = hashtextextended({}, 0)
"""
"""Ends the connections that hold an advisory lock, which is named by a text: what they have under way goes back."""

RECONNECT_SECONDS: Final = 120.0
"""How long a session waits for a server that went away before it gives up: a restart takes less."""

LONGEST_PAUSE: Final = 2.0
"""Seconds between two tries at most."""

REQUIRE_LEASE: Final = "SELECT autodata.require_lease(%s)"
"""What a worker's transaction begins with: it fails where the worker's lease was ended."""

LEASE_LOST: Final = "ADLST"
"""The SQLSTATE of that failure."""

SHAPE: Final = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"

# The pool tries again by itself and says so on stderr, where progress is shown; what fails for good is raised.
logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())


def connection_arguments(dsn: str, variable: str) -> dict[str, Any]:
    """Return an address in parts. Raises UserError where it is none.

    The library's own complaint quotes the address, so it is not passed on. Statements are never prepared: a pool
    between here and the server may give each transaction another session.
    """
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.Error:
        raise UserError(f"{variable}: this is no Postgres address: use one like {SHAPE}") from None
    own = {"connect_timeout": CONNECT_SECONDS, "application_name": "autodata", **_NOTICES_SILENCE}
    return {**own, **parts, "autocommit": True, "prepare_threshold": None}


def text_of(error: Exception, arguments: Mapping[str, Any] | None = None) -> str:
    """Return an error's text on one line, without the password."""
    text = " ".join(str(error).split()) or type(error).__name__
    password = str((arguments or {}).get("password") or "")
    return text.replace(password, "***") if password else text


def unreachable(error: Exception, arguments: Mapping[str, Any], variable: str) -> UserError:
    """Return what the user reads of a server that could not be reached."""
    return UserError(
        f"{variable}: the Postgres server cannot be reached ({text_of(error, arguments)}): see that it runs, and that"
        f" {variable} names it: {SHAPE}"
    )


@asynccontextmanager
async def connected(arguments: Mapping[str, Any], variable: str) -> AsyncIterator[AsyncConnection[DictRow]]:
    """Open one connection. Raises UserError, which names the variable of the address, when there is no server."""
    try:
        connection = await AsyncConnection.connect(**arguments, row_factory=dict_row)
    except psycopg.Error as error:
        raise unreachable(error, arguments, variable) from None
    async with connection:
        yield connection


def pauses() -> Iterator[float]:
    """Yield the seconds to wait before each next try, from the first failure on; none more once it was too long."""
    given_up, pause = time.monotonic() + RECONNECT_SECONDS, 0.05
    while time.monotonic() < given_up:
        yield pause
        pause = min(LONGEST_PAUSE, 2 * pause)


def passes(error: psycopg.Error) -> bool:
    """Whether an error is one that the same statements may not meet again: a lost connection, a restart, a deadlock."""
    lasting = (psycopg.errors.InsufficientPrivilege, psycopg.errors.DiskFull, psycopg.errors.ConfigurationLimitExceeded)
    cut = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.IdleInTransactionSessionTimeout)
    return isinstance(error, cut) and not isinstance(error, lasting)


def of_the_statement(error: psycopg.Error) -> bool:
    """Whether an error is the statement's or its values' own fault, and no server's, owner's or vanished run's."""
    lasting = (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
    own = (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError, psycopg.NotSupportedError)
    return isinstance(error, own) and not isinstance(error, lasting)
