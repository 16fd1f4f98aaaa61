"""A task type from outside the package: `module:attribute`, imported only where a domain.toml names it."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from typing_extensions import get_protocol_members

from autodata.checkpoints.errors import UserError
from autodata.domains.tasks.base import TaskType

SPEC = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*+:[A-Za-z_][\w.]*", re.ASCII)
"""What names a task type of one's own."""

_SCHEMAS = ("draft", "review")


@lru_cache(maxsize=16)
def load_task_type(spec: str) -> TaskType:
    """Import `module:attribute` and return the object, or an instance of the class, that it names.

    Raises UserError, in one line, when it cannot be imported or made, or lacks a part of the Protocol `TaskType`.
    """
    module, _, attribute = spec.partition(":")
    try:
        found = reduce(getattr, attribute.split("."), importlib.import_module(module))
        task_type = found() if isinstance(found, type) else found
    except ModuleNotFoundError as error:
        raise UserError(
            f"{spec}: cannot be imported ({error}): install the module, or put its folder on PYTHONPATH"
        ) from error
    except Exception as error:  # code of the user's own may raise anything while it loads
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{spec}: cannot be used ({what}): see to the module") from error
    try:
        return checked_task_type(task_type)
    except ValueError as error:
        raise UserError(f"{spec}: is no task type: {error}") from error


def checked_task_type(found: Any) -> TaskType:
    """Return an object as a task type. Raises ValueError, saying what is wrong, when it is none."""
    if lacking := [name for name in sorted(get_protocol_members(TaskType)) if not hasattr(found, name)]:
        raise ValueError(f"it lacks {', '.join(lacking)}")
    for name in sorted(get_protocol_members(TaskType)):
        member = getattr(found, name)
        if name in _SCHEMAS and not (isinstance(member, type) and issubclass(member, BaseModel)):
            raise ValueError(f"{name} must be a pydantic model class")
        if name not in _SCHEMAS and not callable(member):
            raise ValueError(f"{name} must be a method")
    return cast("TaskType", found)


def code_of(spec: str) -> str:
    """Return what names the code of a task type of one's own, `SPEC HASH`; empty for a type of the package.

    The hash is over the file of its module and of all that this imports from its own folder or package. Raises
    UserError as `load_task_type`.
    """
    if not SPEC.fullmatch(spec):
        return ""
    load_task_type(spec)
    return hashed(spec)


def hashed(spec: str) -> str:
    """Return `SPEC HASH` of code that is named as `module:attribute`, or as a module alone."""
    whole = hashlib.sha256()
    for name, path in sorted(_files(spec.partition(":")[0]).items()):
        whole.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return f"{spec} {whole.hexdigest()[:16]}"


def _files(module: str) -> dict[str, Path]:
    """Return the source files of a module and of what it imports from where it lies, by module name."""
    top, files, left = module.partition(".")[0], dict[str, Path](), [module]
    own = _file(module)
    home = own.parent if own is not None and "." not in module and own.name != "__init__.py" else None
    if home is not None and home.name in {"site-packages", "dist-packages"}:
        home = None
    seen = set[str]()
    while left:
        name = left.pop()
        if name in seen or name.partition(".")[0] == "autodata":
            continue
        seen.add(name)
        path = _file(name)
        if path is None or not (name.partition(".")[0] == top or (home is not None and path.is_relative_to(home))):
            continue
        if home is not None and {"site-packages", "dist-packages"} & {*path.parts}:
            continue
        files[name] = path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        left += _imported(path, package)
    return files


def _imported(path: Path, package: str) -> Iterator[str]:
    """Yield the names of modules that a file may import; some are names within one."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            steps = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*filter(None, steps), *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _file(name: str) -> Path | None:
    """Return the source file of a module; None where there is none, or no such module."""
    origin = None
    with suppress(ImportError, ValueError, AttributeError):
        found = importlib.util.find_spec(name) if name else None
        origin = found.origin if found is not None else None
    path = Path(origin) if origin else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None
