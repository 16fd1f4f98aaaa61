"""A kind of candidate from outside the package: `module:attribute`, imported only where a domain.toml names it."""

from __future__ import annotations

import importlib
import re
from functools import lru_cache, reduce
from typing import cast

from pydantic import BaseModel
from typing_extensions import get_protocol_members

from autodata.checkpoints.records import UserError
from autodata.domains.tasks.base import Kind

SPEC = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)
"""What names a kind of one's own."""

_SCHEMAS = ("draft", "review")


@lru_cache(maxsize=16)
def load_kind(spec: str) -> Kind:
    """Import `module:attribute` and return the object, or an instance of the class, that it names.

    Raises UserError, in one line, when it cannot be imported or made, or lacks a part of the Protocol `Kind`.
    """
    module, _, attribute = spec.partition(":")
    try:
        found = reduce(getattr, attribute.split("."), importlib.import_module(module))
        kind = found() if isinstance(found, type) else found
    except ModuleNotFoundError as error:
        raise UserError(
            f"{spec}: cannot be imported ({error}): install the module, or put its folder on PYTHONPATH"
        ) from error
    except Exception as error:  # code of the user's own may raise anything while it loads
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{spec}: cannot be used ({what}): see to the module") from error
    if lacking := [name for name in sorted(get_protocol_members(Kind)) if not hasattr(kind, name)]:
        raise UserError(f"{spec}: is no kind of candidate: it lacks {', '.join(lacking)}")
    for name in sorted(get_protocol_members(Kind)):
        member = getattr(kind, name)
        if name in _SCHEMAS and not (isinstance(member, type) and issubclass(member, BaseModel)):
            raise UserError(f"{spec}: is no kind of candidate: {name} must be a pydantic model class")
        if name not in _SCHEMAS and not callable(member):
            raise UserError(f"{spec}: is no kind of candidate: {name} must be a method")
    return cast("Kind", kind)
