"""Tables: each row is a record. CSV and TSV by the standard library, Parquet by pyarrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from autodata.checkpoints.records import Skipped
from autodata.checkpoints.texts import is_blank
from autodata.corpus.loaders.base import File, Loader, Raw, Reading, Unreadable, one_line
from autodata.corpus.loaders.records import raw_of

SNIFFED = 65_536
"""Characters of a table that are looked at to find what parts its cells."""
LONGEST_CELL = 2**31 - 1
_BEYOND = "\0beyond"
"""Where the cells of a row stand for which the first row has no name."""
BATCH = 500
"""Rows of a Parquet file in memory at once."""


def rows(
    found: Iterator[tuple[int, Mapping[str, Any]]], file: File, reading: Reading, delimiter: str = ""
) -> Iterator[Raw | Skipped]:
    """Yield numbered rows as records; one that cannot be used is skipped with its number."""
    for number, row in found:
        try:
            if beyond := row.get(_BEYOND) if reading.spelled else None:
                _require_empty(beyond, delimiter)
            yield raw_of(row, f"{file.name}:{number}", reading.fields)
        except Unreadable as error:
            yield Skipped(name=f"{file.name}:{number}", reason=f"row {number}: {error}")


def require_text(columns: Sequence[str], reading: Reading) -> None:
    """Raise Unreadable, naming the columns, for a table without one that is asked for: so is every row of it."""
    raw_of({name: "" if name == reading.fields.text else None for name in columns}, "", reading.fields)


def load_csv(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield the rows of a table whose first row names its columns. Their numbers are those of the file's lines."""
    text, note = file.text(reading)
    if is_blank(text):
        raise Unreadable("empty")
    delimiter = "\t" if file.suffix in {".tsv", ".tab"} else _delimiter(text)
    csv.field_size_limit(LONGEST_CELL)
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey=_BEYOND, restval="")
    try:
        require_text([name for name in table.fieldnames or () if name], reading)
        for raw in rows(_numbered(table), file, reading, delimiter):
            # What holds for the whole file is said once.
            yield replace(raw, note=note) if note and isinstance(raw, Raw) else raw
            note = "" if isinstance(raw, Raw) else note
    except csv.Error as error:
        raise Unreadable(f"not a table from line {table.line_num:,} on: {one_line(str(error))}") from error


def _numbered(table: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    start = table.line_num + 1
    for row in table:
        row.pop("", None)
        yield start, row
        start = table.line_num + 1


def _require_empty(beyond: Sequence[str], delimiter: str) -> None:
    """Raise Unreadable for cells behind the last column that hold text: what was not quoted would be read in part."""
    if not is_blank("".join(beyond)):
        sign = "a tab" if delimiter == "\t" else repr(delimiter)
        raise Unreadable(f"more cells than the first row names columns: put cells that hold {sign} in quotes")


def _delimiter(text: str) -> str:
    try:
        return csv.Sniffer().sniff(text[:SNIFFED].partition("\n")[0], ",;\t|").delimiter
    except csv.Error:
        return ","


def load_parquet(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield the rows of a Parquet file, a batch of them in memory at once."""
    import pyarrow  # noqa: PLC0415 - an optional extra
    from pyarrow import parquet  # noqa: PLC0415 - an extra

    try:
        with file.opened() as stream, parquet.ParquetFile(stream) as table:
            names = table.schema_arrow.names
            require_text(names, reading)
            wanted = [name for name in names if name in {*vars(reading.fields).values()}]
            batches = table.iter_batches(BATCH, columns=wanted)
            yield from rows(enumerate(chain.from_iterable(batch.to_pylist() for batch in batches), 1), file, reading)
    except pyarrow.ArrowException as error:
        raise Unreadable(f"damaged Parquet file: {one_line(str(error))}") from error


CSV = Loader(load_csv, "tables of text", "a row")
PARQUET = Loader(load_parquet, "Parquet", "a row", needs={"pyarrow": "docs"})
