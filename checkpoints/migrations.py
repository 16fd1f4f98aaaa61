"""Ledgers of earlier versions, brought to the tables of this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from autodata.checkpoints.schema import SCHEMA_VERSION, TABLES, Table, create_table

if TYPE_CHECKING:
    from sqlite_utils import Database

_CHARGE = """
UPDATE calls SET
    charged_in = coalesce(nullif(tokens_in, 0),
        (SELECT (chars + 2) / 3 FROM documents WHERE documents.document_id = calls.document_id), 0),
    charged_out = coalesce(nullif(tokens_out, 0), json_extract(params, '$.max_tokens'), 0),
    charged_usd = CASE WHEN tokens_in > 0 AND tokens_out > 0 THEN cost_usd END
WHERE charged_out IS NULL
"""
"""What the calls of an older file count for: prompts are not kept, but few are shorter than their document."""


def _add_what_lacks(db: Database) -> None:
    """Add the tables, columns and indexes that a file lacks. Nothing that is there changes."""
    there = set(db.table_names())
    for name, table in TABLES.items():
        if name not in there:
            create_table(db, name)
            continue
        known = {column.name for column in db.table(name).columns}
        for column, kind in table.columns.items():
            if column not in known:
                db.execute(f"ALTER TABLE [{name}] ADD COLUMN [{column}] {_declared(table, column, kind)}")
        indexed = {tuple(index.columns) for index in db.table(name).indexes}
        for columns in table.indexes:
            if columns not in indexed:
                db.table(name).create_index(columns)


def _charge_calls(db: Database) -> None:
    """Add what lacks, and fill in what the calls that are there count for under a budget."""
    _add_what_lacks(db)
    db.execute(_CHARGE)


def _tell_tokens_apart(db: Database) -> None:
    """Add what lacks, and drop the index of calls that the one with cached and reasoning tokens stands in for."""
    _add_what_lacks(db)
    for index in db.table("calls").indexes:
        if not index.unique and tuple(index.columns) not in TABLES["calls"].indexes:
            db.execute(f"DROP INDEX [{index.name}]")


def _order_marks(db: Database) -> None:
    """Keep marks in the order of their key, without the index that held it, and drop indexes that serve no query."""
    _add_what_lacks(db)
    db.execute("ALTER TABLE marks RENAME TO marks_before")
    create_table(db, "marks")
    listed = ", ".join(f"[{column}]" for column in TABLES["marks"].columns)
    db.execute(f"INSERT INTO marks ({listed}) SELECT {listed} FROM marks_before")  # noqa: S608 - of the schema
    db.execute("DROP TABLE marks_before")
    for name, table in TABLES.items():
        for index in db.table(name).indexes:
            if not index.unique and tuple(index.columns) not in table.indexes:
                db.execute(f"DROP INDEX [{index.name}]")


MIGRATIONS: Mapping[str, Callable[[Database], None]] = {
    "1": _add_what_lacks,  # extracts, what a loop judge and a screen found
    "2": _add_what_lacks,  # people's labels, forks, the optimiser's tables, spans
    "3": _charge_calls,  # what a call counts for, and requests that timed out
    "4": _tell_tokens_apart,  # tokens by sort, requests called off, what a document is known by and what replaced it
    "5": _add_what_lacks,  # batches and lessons of the outer loop, and which of them a round was written under
    "6": _order_marks,  # marks by their key, indexes that are used
}
"""Version -> what brings a file of it to the next. Every version that ever was stands here, but for today's.

`_add_what_lacks` brings a file to today's tables at once, which is right as long as versions only add columns. The
first one that renames or drops one writes down what the tables were before it, for the steps that stand before its own.
"""


def upgrade_tables(db: Database) -> None:
    """Bring a ledger of an older version to this one, step by step, and note the version after each.

    For a file whose version is in `MIGRATIONS`, within the caller's transaction. Raises KeyError for any other.
    """
    [(version,)] = db.execute("SELECT value FROM meta WHERE key = 'schema_version'")
    while version != SCHEMA_VERSION:
        MIGRATIONS[version](db)
        version = str(int(version) + 1)
        db.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [version])


def _declared(table: Table, column: str, kind: type) -> str:
    """Return the type of a column that is added; one that may not be null has a default, or it could not be added."""
    sql = {str: "TEXT", int: "INTEGER", float: "REAL"}[kind]
    if column not in table.defaults:
        return sql
    default = table.defaults[column]
    return f"{sql} NOT NULL DEFAULT " + (str(default) if isinstance(default, int) else f"'{default}'")
