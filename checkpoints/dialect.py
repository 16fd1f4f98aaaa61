"""The ledger's SQL as Postgres reads it: one translation of statements that are written once, and the tables.

Statements are written for SQLite. What differs is put right here: placeholders, the schema of tables, and functions of
SQLite's that Postgres has under other names or not at all; those are made once in a run's own schema. Tables get a
column `rowid`, which orders rows as they were first written, and texts are compared byte by byte, as SQLite does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from autodata.checkpoints.ids import digest
from autodata.checkpoints.schema import TABLES, Table

_BUILT_IN = {
    "json_group_array": "json_agg",
    "json_group_object": "json_object_agg",
    "json_object": "json_build_object",
}
_OWN = ("json_extract", "json_array_length", "json_each", "json", "total", "julianday")
_TOKENS = re.compile(
    r"(?P<text>'(?:[^']|'')*')"
    rf"|\b(?P<before>from|join|into|update)\s+(?P<quote>\"?)(?P<table>{'|'.join(TABLES)})\b(?P=quote)"
    rf"|\b(?P<function>{'|'.join((*_BUILT_IN, *_OWN))})(?=\()"
    r"|(?P<value>\?)|(?<![:\w]):(?P<name>[a-z_]+)|(?P<percent>%)",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def translated(sql: str, schema: str) -> str:
    """Return a statement of the ledger as psycopg sends it to a run's schema.

    Wherever a table stands behind FROM, JOIN, INTO or UPDATE its schema is put before it, so that nothing hangs on a
    session's search path: a pool between here and the server may give each transaction another session.
    """

    def put(found: re.Match[str]) -> str:
        parts = found.groupdict()
        if parts["text"]:
            return str(parts["text"]).replace("%", "%%")
        if parts["table"]:
            return f'{parts["before"]} "{schema}"."{parts["table"].lower()}"'
        if parts["function"]:
            name = parts["function"].lower()
            return _BUILT_IN.get(name) or f'"{schema}".{name}'
        if parts["name"]:
            return f"%({parts['name']})s"
        return "%s" if parts["value"] else "%%"

    return _TOKENS.sub(put, sql)


def creation(schema: str) -> Iterator[str]:
    """Yield what makes a run's tables, and what lacks of them where some are there. Nothing that is there changes."""
    yield f'CREATE SCHEMA IF NOT EXISTS "{schema}"'
    for name, table in TABLES.items():
        yield f'CREATE TABLE IF NOT EXISTS "{schema}"."{name}" ({_columns(table, schema)})'
        for column, kind in table.columns.items():
            yield f'ALTER TABLE "{schema}"."{name}" ADD COLUMN IF NOT EXISTS {_column(table, column, kind)}'
        for columns in (*table.indexes, ("rowid",)):
            listed = ", ".join(f'"{column}"' for column in columns)
            index = f"{name}_{digest([name, *columns], 8)}"
            yield f'CREATE INDEX IF NOT EXISTS "{index}" ON "{schema}"."{name}" ({listed})'
    yield from (statement.replace("RUN.", f'"{schema}".') for statement in _FUNCTIONS)


def _columns(table: Table, schema: str) -> str:
    lines = [_column(table, column, kind) for column, kind in table.columns.items()]
    lines.append("rowid bigint GENERATED ALWAYS AS IDENTITY")
    lines.append(f"PRIMARY KEY ({', '.join(table.pk)})")
    lines += [f'FOREIGN KEY ("{column}") REFERENCES "{schema}"."{of}"' for column, of in table.foreign.items()]
    return ", ".join(lines)


def _column(table: Table, column: str, kind: type) -> str:
    sql = f'"{column}" ' + {str: 'text COLLATE "C"', int: "bigint", float: "double precision"}[kind]
    if column in table.pk or column in table.required or column in table.defaults:
        sql += " NOT NULL"
    if column in table.defaults:
        default = table.defaults[column]
        sql += f" DEFAULT {default}" if isinstance(default, int) else f" DEFAULT '{default}'"
    return sql


_FUNCTIONS = (
    # A JSON text may hold the escape of a NUL, which no text of Postgres can: it becomes what `stored` makes of a NUL.
    r"""
    CREATE OR REPLACE FUNCTION RUN._readable(source text) RETURNS json LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE WHEN strpos(source, '\u00') = 0 THEN source ELSE
            regexp_replace(
                regexp_replace(source, '(?<!\\)((?:\\\\)*)\\u001a', '\1\\u001a1', 'g'),
                '(?<!\\)((?:\\\\)*)\\u0000', '\1\\u001a0', 'g')
            END::json
    $$""",
    # '$.a.b' is a path of keys alone.
    """
    CREATE OR REPLACE FUNCTION RUN.json_extract(source text, path text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
        SELECT RUN._readable(source) #>> string_to_array(substr(path, 3), '.')
    $$""",
    """
    CREATE OR REPLACE FUNCTION RUN.json_array_length(source text, path text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
        SELECT CASE json_typeof(found) WHEN 'array' THEN json_array_length(found)
            ELSE CASE WHEN found IS NOT NULL THEN 0 END END
        FROM (SELECT RUN._readable(source) #> string_to_array(substr(path, 3), '.') AS found) AS it
    $$""",
    """
    CREATE OR REPLACE FUNCTION RUN.json_each(source text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE AS $$
        SELECT it FROM json_array_elements_text(source::json) AS it
    $$""",
    "CREATE OR REPLACE FUNCTION RUN.json(source json) RETURNS json LANGUAGE sql IMMUTABLE AS 'SELECT source'",
    """
    CREATE OR REPLACE FUNCTION RUN.julianday(moment text) RETURNS double precision LANGUAGE sql STABLE AS $$
        SELECT round(extract(epoch FROM moment::timestamptz) * 1000 + 210866760000000)::double precision / 86400000
    $$""",
    """
    CREATE OR REPLACE FUNCTION RUN._added(so_far double precision, value double precision) RETURNS double precision
        LANGUAGE sql IMMUTABLE AS 'SELECT so_far + coalesce(value, 0)'
    """,
    """
    CREATE OR REPLACE AGGREGATE RUN.total(double precision) (
        SFUNC = RUN._added, STYPE = double precision, INITCOND = '0')
    """,
)
"""Functions of SQLite's in a run's schema, which stands as RUN. CREATE OR REPLACE AGGREGATE is of Postgres 12."""


_ESCAPE, _NUL = "\x1a1", "\x1a0"


def stored(value: object) -> object:
    """Return a value as Postgres can hold it: a NUL, and the sign that stands for one, in two characters."""
    if isinstance(value, str) and ("\0" in value or "\x1a" in value):
        return value.replace("\x1a", _ESCAPE).replace("\0", _NUL)
    return value


def read_back(value: object) -> object:
    """Return what `stored` was given; a truth value as the number that SQLite has for it."""
    if isinstance(value, str):
        return re.sub("\x1a([01])", _meant, value) if "\x1a" in value else value
    return int(value) if isinstance(value, bool) else value


def _meant(found: re.Match[str]) -> str:
    return "\0" if found[1] == "0" else "\x1a"
