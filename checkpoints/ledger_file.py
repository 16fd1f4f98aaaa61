"""A ledger's file: how it is opened, which version it is of, and what the user reads of an error of file or disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import DiskFailed, RunFailed, UserError
from autodata.checkpoints.migrations import MIGRATIONS, upgrade_tables
from autodata.checkpoints.schema import SCHEMA_VERSION, TABLES

BUSY_SECONDS = 30.0
"""How long a write waits for another program that holds the file."""

CHECKED_WHOLE = 32 * 2**20
"""Bytes of the largest file that is looked through for damage when it is opened to be written."""

_SPOILT = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}
_UNWRITABLE = {
    sqlite3.SQLITE_FULL: "free some space",
    sqlite3.SQLITE_IOERR: "check the disk",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable",
    sqlite3.SQLITE_PERM: "make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "see that its folder exists and is writable",
    sqlite3.SQLITE_BUSY: "close the other program that is writing to it",
}


def refusal(path: Path, problem: object) -> UserError:
    """Return what the user reads of a file that is no ledger, or a spoilt one."""
    said = " ".join(str(problem).split())
    return UserError(
        f"{path} cannot be used as a ledger ({said}): move it away, or first save what can be saved with"
        f" `sqlite3 {path} .recover > saved.sql`"
    )


def reported_error(path: Path, error: sqlite3.Error, *, opening: bool = False) -> UserError | RunFailed | None:
    """Return what the user must hear of an error that is the file's or the disk's, None for the caller's own.

    While a file is opened nothing is asked that a sound one cannot answer, so a plain error is the file's too. One
    without a code is that a text in it is no UTF-8.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    unreadable = not code and isinstance(error, sqlite3.OperationalError)
    if code in _SPOILT or unreadable or (opening and code == sqlite3.SQLITE_ERROR):
        return refusal(path, error)
    if code in _UNWRITABLE:
        return DiskFailed(f"{path}: {error}: {_UNWRITABLE[code]}, then type the same command again to go on")
    return None


@contextmanager
def reporting(path: Path, *, opening: bool = False) -> Iterator[None]:
    """Raise the file's and the disk's errors as UserError and RunFailed; the caller's own pass as they are."""
    try:
        yield
    except UnicodeDecodeError as error:  # of a name in the file, as SQLite quotes it
        raise refusal(path, error) from error
    except sqlite3.Error as error:
        reported = reported_error(path, error, opening=opening)
        if reported is None:
            raise
        raise reported from error


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a file in a mode of SQLite's URIs: `ro`, `rw`, or `rwc`, which makes it."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_SECONDS)


def read_rows(
    connection: sqlite3.Connection, sql: str, params: Sequence[Any] | dict[str, Any] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a SELECT or a PRAGMA."""
    cursor = connection.execute(sql, params)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether a file holds nothing yet. Raises UserError when what it holds is no ledger of this version."""
    tables = {row["name"] for row in read_rows(db, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return True
    if not tables.issuperset({"meta", "documents", "calls"}):
        raise refusal(path, "it is another program's database")
    version = version_of(db)
    if version.isdecimal() and int(version) > int(SCHEMA_VERSION):
        raise UserError(
            f"{path} was made by a later version of Autodata (its schema version is {version}, this one's is"
            f" {SCHEMA_VERSION}): update with `pip install --upgrade autodata-langgraph`, or use another folder"
        )
    if version != SCHEMA_VERSION:
        raise refusal(path, f"its schema version is {version}, this Autodata's is {SCHEMA_VERSION}")
    if not tables.issuperset(TABLES):
        raise refusal(path, "it is another program's database")
    return False


def version_of(db: sqlite3.Connection) -> str:
    """Return the schema version of a file, `none` where it has none."""
    try:
        rows = list(read_rows(db, "SELECT value FROM meta WHERE key = 'schema_version'"))
    except sqlite3.OperationalError:  # no such table or column
        return "none"
    return str(rows[0]["value"]) if rows else "none"


def upgrade(path: Path) -> None:
    """Bring a file of an older schema version up to this one. Whoever comes first does it, all or nothing."""
    with closing(connect(path, "rw")) as connection:
        if version_of(connection) not in MIGRATIONS:
            return
        from sqlite_utils import Database  # noqa: PLC0415 - it takes a while to import, and few files are older ones

        db = Database(connection, execute_plugins=False)
        db.execute("BEGIN IMMEDIATE")
        try:
            if version_of(connection) in MIGRATIONS:  # another process may have done it meanwhile
                upgrade_tables(db)
            db.execute("COMMIT")
        finally:
            db.rollback()


def damage(connection: sqlite3.Connection, path: Path) -> str:
    """Return what is wrong with a file, `ok` where nothing is found.

    A large one is not read whole, which takes seconds a gigabyte: its length, its tables' names and the small table
    `meta` are looked at. Damage elsewhere is found by whoever reads the place.
    """
    size = path.stat().st_size
    of = "1" if size <= CHECKED_WHOLE else "meta"
    [[problem]] = connection.execute(f"PRAGMA quick_check({of})").fetchmany(1)
    log = Path(f"{path}-wal")
    # The header says how many pages there are; a kill may have left the last of them in the log beside the file.
    if problem == "ok" and size > CHECKED_WHOLE and not (log.exists() and log.stat().st_size):
        with path.open("rb") as file:
            head = file.read(32)
        page = int.from_bytes(head[16:18]) or 1
        if size < int.from_bytes(head[28:32]) * (65536 if page == 1 else page):
            return "malformed: the file ends too soon"
    return str(problem)
