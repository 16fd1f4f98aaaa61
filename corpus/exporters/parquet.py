"""Parquet: columns with the types that a row's TypedDict names, so that no reader has to guess them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from autodata.checkpoints.errors import UserError
from autodata.corpus.exporters.columns import without_null

if TYPE_CHECKING:
    import pyarrow

NEEDED = "Parquet needs pyarrow: pip install 'autodata-langgraph[export]'"


def parquet_bytes(rows: Sequence[Mapping[str, Any]], row_type: Any) -> bytes:
    """Return rows as a Parquet file: the same bytes for the same rows. Raises UserError without pyarrow."""
    pyarrow = _pyarrow()
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    schema = schema_of(row_type)
    stream = io.BytesIO()
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        if rows:  # without rows no group of them, for `datasets` cannot read an empty one
            writer.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows], schema=schema))
    return stream.getvalue()


def schema_of(row_type: Any) -> pyarrow.Schema:
    """Return the columns of a TypedDict."""
    pyarrow = _pyarrow()
    return pyarrow.schema([pyarrow.field(name, _column(kind)) for name, kind in get_type_hints(row_type).items()])


def _column(kind: Any) -> Any:
    pyarrow, kind = _pyarrow(), without_null(kind)
    plain = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    if kind in plain:
        return plain[kind]
    if get_origin(kind) is list:
        return pyarrow.list_(_column(get_args(kind)[0]))
    return pyarrow.struct([pyarrow.field(name, _column(one)) for name, one in get_type_hints(kind).items()])


def _pyarrow() -> Any:
    try:
        import pyarrow  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(NEEDED) from error
    return pyarrow
