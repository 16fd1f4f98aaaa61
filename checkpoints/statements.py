"""The SQL that makes the ledger's tables and writes rows into them, over the standard library alone.

Names are those of `schema.TABLES`, never a caller's; values are bound. Nothing here commits: callers hold transactions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodata.checkpoints.schema import Table

_SQL_TYPES = {str: "TEXT", int: "INTEGER", float: "REAL"}


def select(db: sqlite3.Connection, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> Iterator[dict[str, Any]]:
    """Yield the rows of a SELECT or a PRAGMA."""
    cursor = db.execute(sql, params)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def table_names(db: sqlite3.Connection) -> set[str]:
    """Return the names of all tables of a file."""
    return {row["name"] for row in select(db, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def column_names(db: sqlite3.Connection, name: str) -> set[str]:
    """Return the columns that a table of a file has."""
    return {row["name"] for row in select(db, "SELECT name FROM pragma_table_info(?)", (name,))}


def indexes(db: sqlite3.Connection, name: str) -> dict[str, tuple[str, ...]]:
    """Return the columns of each index of a table that was created as one, by its name."""
    made = select(db, "SELECT name FROM pragma_index_list(?) WHERE origin = 'c'", (name,))
    columns = "SELECT name FROM pragma_index_info(?) ORDER BY seqno"
    return {index["name"]: tuple(row["name"] for row in select(db, columns, (index["name"],))) for index in list(made)}


def create_table(db: sqlite3.Connection, name: str, table: Table) -> None:
    """Create a strict table with its indexes."""
    lines = [_column(table, column) for column in _in_order(table)]
    if len(table.pk) > 1:
        lines.append(f"PRIMARY KEY ({_listed(table.pk)})")
    db.execute(f"CREATE TABLE {_quoted(name)} (\n   " + ",\n   ".join(lines) + "\n) STRICT")
    for columns in table.indexes:
        create_index(db, name, columns)


def create_index(db: sqlite3.Connection, name: str, columns: Sequence[str]) -> None:
    """Create an index, called after its table and its columns."""
    index = "_".join(["idx", name, *columns])
    db.execute(f"CREATE INDEX {_quoted(index)}\n    ON {_quoted(name)} ({_listed(columns)})")


def add_column(db: sqlite3.Connection, name: str, table: Table, column: str) -> None:
    """Add a column that a table lacks; one that may not be null has a default, or it could not be added."""
    default = _default(table, column)
    kind = _SQL_TYPES[table.columns[column]] + (f" NOT NULL{default}" if default else "")
    db.execute(f"ALTER TABLE {_quoted(name)} ADD COLUMN {_quoted(column)} {kind}")


def upsert(db: sqlite3.Connection, name: str, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows that have the same columns: new ones are added, and of those that are there these columns change."""
    columns = tuple(rows[0])
    values = [tuple(row[column] for column in columns) for row in rows]
    db.executemany(_upsert(name, table.pk, columns), values)


def update(db: sqlite3.Connection, name: str, table: Table, row: Mapping[str, Any], columns: Collection[str]) -> bool:
    """Change some columns of the row that has the key of `row`; return whether there is such a row."""
    key = " AND ".join(f"{_quoted(column)} = ?" for column in table.pk)
    changed = sorted(columns) or table.pk  # a row of its key alone changes nothing, and is looked for all the same
    sets = ", ".join(f"{_quoted(column)} = ?" for column in changed)
    values = [*(row[column] for column in changed), *table.key(row)]
    return db.execute(f"UPDATE {_quoted(name)} SET {sets} WHERE {key}", values).rowcount > 0  # noqa: S608 - of the schema


@contextmanager
def savepoint(db: sqlite3.Connection) -> Iterator[None]:
    """Undo what the block wrote when it raises, and leave the rest of the open transaction as it is."""
    db.execute("SAVEPOINT one")
    try:
        yield
    except BaseException:
        if db.in_transaction:  # SQLite may have rolled all of it back by itself
            db.execute("ROLLBACK TO one")
            db.execute("RELEASE one")
        raise
    db.execute("RELEASE one")


def _in_order(table: Table) -> list[str]:
    return [*table.pk, *(column for column in table.columns if column not in table.pk)]


def _column(table: Table, column: str) -> str:
    key = " PRIMARY KEY" if table.pk == (column,) else ""
    null = " NOT NULL" if column in {*table.pk, *table.required, *table.defaults} else ""
    other = table.foreign.get(column)
    refers = f" REFERENCES {_quoted(other)}({_quoted(column)})" if other else ""
    return f"{_quoted(column)} {_SQL_TYPES[table.columns[column]]}{key}{null}{refers}{_default(table, column)}"


def _default(table: Table, column: str) -> str:
    if column not in table.defaults:
        return ""
    default = table.defaults[column]
    return f" DEFAULT {default}" if isinstance(default, int) else f" DEFAULT '{default}'"


@cache
def _upsert(name: str, pk: tuple[str, ...], columns: tuple[str, ...]) -> str:
    places = ", ".join("?" * len(columns))
    sets = ", ".join(f"{_quoted(one)} = excluded.{_quoted(one)}" for one in columns if one not in pk)
    then = f"DO UPDATE SET {sets}" if sets else "DO NOTHING"
    return f"INSERT INTO {_quoted(name)} ({_listed(columns)}) VALUES ({places}) ON CONFLICT ({_listed(pk)}) {then}"  # noqa: S608 - of the schema


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(_quoted, columns))


def _quoted(name: str) -> str:
    return f'"{name}"'
