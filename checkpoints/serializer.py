"""How values stand in checkpoints: plain data, never pickled; compressed in a file."""

from __future__ import annotations

import zlib
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from autodata.checkpoints.errors import UnreadableCheckpoint

_COMPRESSED = "+zlib"
"""Behind the type of a stored value: its bytes are compressed."""
_WORTH_COMPRESSING = 256
"""Bytes from which a value is compressed."""


class PlainSerializer(JsonPlusSerializer):
    """LangGraph's serializer for plain data and the few types that LangGraph itself lists as safe.

    An object of any other type comes back as the data it was made from, and nothing is ever pickled.
    """

    def __init__(self) -> None:
        super().__init__(pickle_fallback=False, allowed_msgpack_modules=None)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value of a type and bytes. Raises UnreadableCheckpoint for bytes that are none."""
        try:
            return self._loaded(*data)
        except Exception as error:
            raise UnreadableCheckpoint(f"{type(error).__name__}: {' '.join(str(error).split())[:100]}") from error

    def _loaded(self, kind: str, stored: bytes) -> Any:
        return super().loads_typed((kind, stored))


class CompressedSerializer(PlainSerializer):
    """The same with zlib behind it: states are mostly text, and repeat themselves. Reads both forms."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return a value's type and bytes."""
        kind, data = super().dumps_typed(obj)
        if len(data) < _WORTH_COMPRESSING:
            return kind, data
        return kind + _COMPRESSED, zlib.compress(data, 1)

    def _loaded(self, kind: str, stored: bytes) -> Any:
        if kind.endswith(_COMPRESSED):
            kind, stored = kind.removesuffix(_COMPRESSED), zlib.decompress(stored)
        return super()._loaded(kind, stored)
