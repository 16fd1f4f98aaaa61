"""Writing a folder whole: all its files, or none, and never over what is not an export."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.texts import json_text

MANIFEST: Final = "autodata-export.json"
"""What a folder of an export is known by: its format and the hash of every file."""


def write_folder(out: Path | None, name: str, files: Mapping[str, str | bytes]) -> None:
    """Write files, each by its path within the folder, and the manifest; an older export there is replaced.

    The folder is whole or not there: it is written beside its place and then renamed. Raises UserError when there is
    no folder to write to or it holds something else, and RunFailed when writing fails on the way.
    """
    if out is None or str(out) == "-":
        raise UserError(f"format {name} is a folder: name one with --out FOLDER")
    target = out.resolve()
    if not target.parent.is_dir():
        raise UserError(f"{out}: no folder {target.parent}: make it first (--out FOLDER)")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise UserError(f"{out}: holds other files than an export: name a new folder with --out FOLDER")
    if target.exists() and not target.is_dir():
        raise UserError(f"{out}: is a file: name a folder with --out FOLDER")
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        _write(beside, name, files)
        _put(beside, target)
    except PermissionError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}): choose another --out FOLDER") from error
    except OSError as error:
        raise RunFailed(f"{out}: writing failed: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(folder: Path, name: str, files: Mapping[str, str | bytes]) -> None:
    hashed: dict[str, bytes] = {}
    for path, content in sorted(files.items()):
        whole = content.encode() if isinstance(content, str) else content
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as stream:
            stream.write(whole)
            stream.flush()
            os.fsync(stream.fileno())
        hashed[path] = whole
    (folder / MANIFEST).write_text(manifest_of(name, hashed), "utf-8")


def manifest_of(name: str, files: Mapping[str, bytes]) -> str:
    """Return the manifest of a format's files."""
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}
    return json_text({"format": name, "files": hashes}, indent=2) + "\n"


def _put(beside: Path, target: Path) -> None:
    """Put a folder in its place. A folder cannot replace a full one in one step: the old one steps aside first."""
    if not target.exists():
        beside.rename(target)
        return
    old = beside.with_suffix(".old")
    target.rename(old)
    try:
        beside.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
