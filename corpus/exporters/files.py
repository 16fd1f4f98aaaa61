"""Writing a text file whole, or to standard output: what every format needs."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

from autodata.checkpoints.errors import RunFailed, UserError

STDOUT: Final = Path("-")

Write = Callable[[TextIO], int]
"""Writes all there is to a stream, and returns how many examples there were."""


def write_whole(out: Path | None, write: Write) -> int:
    """Write to a file, or for None or `-` to standard output, and return what `write` returns.

    A file is whole or not there: it is written beside its place and then renamed, so an older one stays until the new
    one is complete. Raises UserError when it cannot be placed there, and RunFailed when writing fails on the way, for
    instance on a full disk.
    """
    if out is None or out == STDOUT:
        return _write_stdout(write)
    target = out.resolve()
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder: name a file in it" if target.is_dir() else f"no folder {target.parent}: make it first"
        raise UserError(f"{out}: {what} (--out FILE)")
    try:
        return _write_file(target, write)
    except PermissionError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}): choose another --out FILE") from error
    except OSError as error:
        raise RunFailed(f"{out}: writing failed: {error.strerror or error}") from error


def _write_file(target: Path, write: Write) -> int:
    if target.exists() and not target.is_file():  # a pipe or a device, which a rename would replace
        with target.open("w", encoding="utf-8") as stream:
            return write(stream)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as stream:
            count = write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    return count


def _write_stdout(write: Write) -> int:
    """Write in UTF-8, whatever the terminal's encoding is: the lines are data."""
    if not hasattr(sys.stdout, "buffer"):
        return write(sys.stdout)
    sys.stdout.flush()
    stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n", write_through=True)
    try:
        return write(stream)
    finally:
        stream.detach()  # standard output itself stays open
