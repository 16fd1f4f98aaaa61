"""The columns of a row as a dataset card names them: lines hold no types, and a reader that guesses them guesses wrong.

`datasets` takes the types of JSON Lines from the first ten megabytes or so. A column that is empty up to there, such as
the lessons of a run's first documents, has none, and a later line that fills it is refused.
"""

from __future__ import annotations

import types
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

_PLAIN: Final = {str: "string", int: "int64", float: "float64", bool: "bool"}


def features(row_type: Any) -> list[dict[str, Any]]:
    """Return the columns of a TypedDict as the `features` of a card's head."""
    return [{"name": name, **_typed(kind)} for name, kind in get_type_hints(row_type).items()]


def without_null(kind: Any) -> Any:
    """Return a type without None, which every column may hold."""
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    return kind


def _typed(kind: Any) -> dict[str, Any]:
    kind = without_null(kind)
    if kind in _PLAIN:
        return {"dtype": _PLAIN[kind]}
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return {"list": _PLAIN.get(inner) or features(inner)}
    return {"struct": features(kind)}
