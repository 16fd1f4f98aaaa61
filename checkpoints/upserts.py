"""Rows written into the tables of a ledger: one statement for each set of columns, prepared once by a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from autodata.checkpoints.schema import TABLES, Rows


def upsert(connection: sqlite3.Connection, rows: Rows) -> None:
    """Upsert encoded rows by their primary keys, within the caller's transaction.

    Raises ValueError for a part of a row that does not exist, sqlite3.Error as SQLite does.
    """
    for name, of_table in rows.items():
        spec = TABLES[name]
        # Rows of one statement share its columns: a column that one row lacks would be set to null by another's.
        for columns, group in groupby(of_table, key=tuple):
            if spec.required <= set(columns):
                connection.executemany(insert_statement(name, columns), [tuple(row.values()) for row in group])
                continue
            # SQLite looks at NOT NULL before it looks for the row to update, so a part of a row is not an upsert.
            statement, changed = update_statement(name, columns)
            for row in group:
                values = [*(row[column] for column in changed), *spec.key(row)]
                if not connection.execute(statement, values).rowcount:
                    raise incomplete(name, row)


def incomplete(name: str, row: Mapping[str, Any]) -> ValueError:
    """Return what is raised for a part of a row that does not exist."""
    table = TABLES[name]
    return ValueError(f"table {name} has no row {table.key(row)}, and a new one needs {', '.join(table.missing(row))}")


@lru_cache(maxsize=512)
def insert_statement(name: str, columns: tuple[str, ...]) -> str:
    """Return the upsert of whole rows with these columns."""
    spec = TABLES[name]
    changed = ", ".join(f'"{column}" = excluded."{column}"' for column in columns if column not in spec.pk)
    values = ", ".join("?" * len(columns))
    return (
        f'INSERT INTO "{name}" ({_listed(columns)}) VALUES ({values})'  # noqa: S608 - of the schema
        f" ON CONFLICT ({_listed(spec.pk)}) DO " + (f"UPDATE SET {changed}" if changed else "NOTHING")
    )


@lru_cache(maxsize=512)
def update_statement(name: str, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the update of a part of a row, and the columns that it changes: their values come first, then the key."""
    spec = TABLES[name]
    changed = tuple(column for column in columns if column not in spec.pk) or spec.pk[:1]
    found = " AND ".join(f'"{column}" = ?' for column in spec.pk)
    assigned = ", ".join(f'"{column}" = ?' for column in changed)
    return f'UPDATE "{name}" SET {assigned} WHERE {found}', changed  # noqa: S608 - of the schema


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
