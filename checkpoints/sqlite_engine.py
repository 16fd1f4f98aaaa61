"""A ledger in one SQLite file: one connection that writes, another that reads."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger_file import (
    connect,
    damage,
    is_new,
    read_rows,
    refusal,
    reported_error,
    reporting,
    upgrade,
    version_of,
)
from autodata.checkpoints.migrations import MIGRATIONS
from autodata.checkpoints.schema import Rows, create_tables
from autodata.checkpoints.upserts import upsert


class SqliteEngine:
    """The file `run.db` of a run folder. Only one process writes calls into it: it holds the folder's lock."""

    readers = 1
    alone = True

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is opened yet."""
        self.place = path
        self.lease: int | None = None
        self.read_db: sqlite3.Connection
        self.write_db: sqlite3.Connection
        self._read_files = ExitStack()
        self._write_files = ExitStack()

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.place.parent

    def open_reading(self) -> None:
        """Open the file to be read. Raises UserError as `Engine.open_reading`."""
        path = self.place
        if not path.is_file():
            raise UserError(f"there is no ledger {path}: name a folder that `autodata run --out` made")
        with reporting(path, opening=True):
            # A connection that may not write leaves the file's side files lying about when it closes. In a folder that
            # nobody may write to SQLite cannot make them: there the file is read as one that does not change.
            frozen = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
            mode = "ro&immutable=1" if frozen else "rw"
            if not frozen:
                upgrade(path)
            self.read_db = self._read_files.enter_context(closing(connect(path, mode)))
            if frozen and version_of(self.read_db) in MIGRATIONS:
                raise UserError(
                    f"{path} was made by an earlier version: make its folder writable, or look at a copy of it"
                )
            self.read_db.execute("PRAGMA query_only = ON")
            if is_new(self.read_db, path):
                raise refusal(path, "it holds no tables")

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of a SELECT."""
        with reporting(self.place):
            return list(read_rows(self.read_db, sql, params))

    def close_reading(self) -> None:
        """Close the connection that reads."""
        self._read_files.close()

    def open_writing(self) -> None:
        """Open the file to be written, made if need be. Raises UserError as `Engine.open_writing`."""
        path = self.place
        with reporting(path, opening=True):
            if path.is_file():
                upgrade(path)
            db = self.write_db = self._write_files.enter_context(closing(connect(path, "rwc")))
            is_new(db, path)
            problem = damage(db, path)
            if problem != "ok":
                raise refusal(path, " ".join(problem.split()))
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            with self._transaction():
                if is_new(db, path):  # another process may have begun it meanwhile
                    create_tables(db)

    def hold(self, *, together: bool) -> None:
        """Do nothing: whoever writes calls holds the folder's lock, and shares it with nobody."""

    def write(self, saves: Sequence[Rows]) -> Sequence[Exception | None]:
        """Write saves in one transaction. Returns the fault of each, None where it was written."""
        try:
            with self._transaction():
                return [self._write_one(rows) for rows in saves]
        except sqlite3.Error as error:
            if (reported := reported_error(self.place, error)) is not None:
                raise reported from error
            return [error] * len(saves)

    def close_writing(self) -> None:
        """Close the connection that writes."""
        self._write_files.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Hold the write lock, commit at the end."""
        db = self.write_db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        finally:
            db.rollback()  # after a commit there is nothing left to undo

    def _write_one(self, rows: Rows) -> Exception | None:
        """Write one save within the open transaction; return its own fault, which must not touch its neighbours."""
        connection = self.write_db
        try:
            connection.execute("SAVEPOINT one_save")
            try:
                upsert(connection, rows)
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK TO one_save")
                raise
            finally:
                if connection.in_transaction:
                    connection.execute("RELEASE one_save")
        except (ValueError, OverflowError) as error:
            return error
        except sqlite3.Error as error:
            lost = not connection.in_transaction  # SQLite may roll all of it back by itself
            if lost or reported_error(self.place, error) is not None:
                raise
            return error
        return None
