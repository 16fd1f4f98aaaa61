"""Who works on a run at a Postgres server: one session alone, or workers that share it.

A file is held by the lock of its folder, which the system lets go of when its process dies. At a server a session is a
row that is renewed: it holds the run until it ends, or has been silent for a while by the server's clock. A session of
the same folder may take over at once, for it has that folder's lock. What a session that holds a run alone writes is
refused, within the very transaction, once somebody else took over, and what it hung in the midst of is cut off then.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol
from uuid import uuid4

from psycopg import Connection, Cursor
from psycopg.errors import InsufficientPrivilege

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.server import ENDED

RENEWED_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""How long a session may be silent before another one may hold its run."""

TABLE = (
    "CREATE TABLE IF NOT EXISTS {} (session text PRIMARY KEY, holder text NOT NULL, together boolean NOT NULL,"
    " seen timestamptz NOT NULL DEFAULT now())"
)
_OVER = "FROM {} WHERE holder = %s OR seen < now() - make_interval(secs => %s)"
_CUT_OFF = ENDED.format("%s")
_STILL_HELD = """
SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0)),
    set_config('idle_in_transaction_session_timeout', '20s', true) FROM {} WHERE session = %s FOR SHARE
"""
_OTHER = "SELECT holder FROM {} WHERE NOT (together AND %s) LIMIT 1"
_BEGUN = "INSERT INTO {} (session, holder, together) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_RENEWED = "UPDATE {} SET seen = now() WHERE session = %s"
_ENDED = "DELETE FROM {} WHERE session = %s"
_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


class Insists(Protocol):
    """Does work on a connection, again on another where that one dies."""

    def __call__(self, work: Any, /) -> Any:
        """Return what the work returned. Raises RunFailed when the server stays away."""


class Holder:
    """One session's hold of a run, renewed by a thread until `release`."""

    def __init__(self, insist: Insists, schema: str, folder: Path) -> None:
        """Hold nothing yet."""
        self._insist, self._table, self._schema = insist, f'"{schema}".holders', schema
        self._session, self._name = uuid4().hex, f"{socket.gethostname()}:{folder.absolute()}"
        self._together = False
        self._over = Event()
        self._renewing = Thread(target=self._renew, name="ledger-hold", daemon=True)
        self.lost = ""
        """Why the run is held no more; empty while it is."""

    def take(self, *, together: bool) -> None:
        """Hold the run, with others that hold it `together`. Raises UserError where somebody holds it otherwise."""
        self._together = together
        if other := self._insist(self._claim):
            raise UserError(
                f"{self._name} cannot work on its run: {other} does, and was heard of in the last"
                f" {SILENT_SECONDS:.0f} seconds: wait for it or stop it"
            )
        self._renewing.start()

    def _claim(self, connection: Connection[tuple[Any, ...]]) -> str:
        """Take the run if it is free; return who has it otherwise."""
        with connection.transaction():
            connection.execute(_TURN, (f"{self._schema}.holders",))
            self._end_others(connection)
            found = connection.execute(_OTHER.format(self._table), (self._together,)).fetchone()
            if found is None:
                connection.execute(_BEGUN.format(self._table), (self._session, self._name, self._together))
            return "" if found is None else str(found[0])

    def _end_others(self, connection: Connection[tuple[Any, ...]]) -> None:
        """End the sessions that are over. What one of them has under way would block whoever comes after it."""
        over, values = _OVER.format(self._table), (self._name, SILENT_SECONDS)
        for [session] in connection.execute(f"SELECT session {over}", values).fetchall():
            with suppress(InsufficientPrivilege), connection.transaction():
                connection.execute(_CUT_OFF, (session,))
        connection.execute(f"DELETE {over}", values)

    def still_held(self, connection: Connection[tuple[Any, ...]]) -> Cursor[tuple[Any, ...]] | None:
        """Begin a transaction with this: it finds no row once the run is somebody else's. None where it is shared."""
        if self._together:
            return None
        return connection.execute(_STILL_HELD.format(self._table), (self._session, self._session))

    @property
    def taken_over(self) -> str:
        """What is said once it is."""
        return f"another session works on the run of {self._name} now, for this session was silent for too long"

    def release(self) -> None:
        """Hold the run no more."""
        self._over.set()
        if self._renewing.ident is None:
            return
        self._renewing.join()
        if not self.lost:
            self._insist(lambda connection: connection.execute(_ENDED.format(self._table), (self._session,)))

    def _renew(self) -> None:
        while not self._over.wait(RENEWED_SECONDS):
            try:
                other = self._insist(self._renewed)
            except RunFailed as error:
                self.lost = str(error)
                return
            if other:
                self.lost = self.taken_over
                return

    def _renewed(self, connection: Connection[tuple[Any, ...]]) -> str:
        """Say that the session lives; return who has the run otherwise."""
        if connection.execute(_RENEWED.format(self._table), (self._session,)).rowcount:
            return ""
        # It was silent, and somebody came. Workers that share a run lose nothing by it: leases are theirs to keep.
        return self._claim(connection) if self._together else "another session"
