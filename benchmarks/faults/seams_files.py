"""The boundaries of a run's files: written, renamed, flushed, opened to be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.faults.breaks import AFTER, BETWEEN, DISK, kill

if TYPE_CHECKING:
    from benchmarks.faults.seams import Put, Seams


def _os_error(fault: str) -> OSError:
    number = errno.ENOSPC if fault == "disk full" else errno.EIO
    return OSError(number, os.strerror(number))


def put_files(seams: Seams, put: Put) -> None:
    """Files of the folder: written whole, renamed, flushed, opened to be written."""
    write, move = _writing(seams), _moving(seams)
    put(Path, "write_bytes", write)
    put(Path, "write_text", write)
    put(Path, "replace", move)
    put(Path, "rename", move)
    put(Path, "open", _opening(seams))
    put(os, "fsync", _flushing(seams))


def _inside(seams: Seams, path: Any) -> bool:
    return str(path).startswith(str(seams.root))


def _writing(seams: Seams) -> Any:
    def write(original: Any) -> Any:
        def writing(self: Path, data: Any, *args: Any, **kwargs: Any) -> Any:
            if not _inside(seams, self):
                return original(self, data, *args, **kwargs)
            fault = seams.at(f"write {named(self)}")
            seams.general(fault)
            if fault in {*DISK, "half written", BETWEEN}:
                original(self, data[: len(data) // 2], *args, **kwargs)
                if fault == BETWEEN:
                    kill()
                raise _os_error("disk full" if fault == "half written" else fault)
            result = original(self, data, *args, **kwargs)
            if fault == AFTER:
                kill()
            return result

        return writing

    return write


def _moving(seams: Seams) -> Any:
    def move(original: Any) -> Any:
        def moving(self: Path, target: Any) -> Any:
            fault = _before(seams, f"rename {named(self)}" if _inside(seams, self) else "")
            result = original(self, target)
            if fault == AFTER:
                kill()
            return result

        return moving

    return move


def _flushing(seams: Seams) -> Any:
    def flush(original: Any) -> Any:
        def flushing(file: int) -> None:
            fault = _before(seams, "fsync" if _inside(seams, os.readlink(f"/proc/self/fd/{file}")) else "")
            original(file)
            if fault == AFTER:
                kill()

        return flushing

    return flush


def _opening(seams: Seams) -> Any:
    def opened(original: Any) -> Any:
        def opening(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            writes = _inside(seams, self) and set(mode) & set("wax+")
            _before(seams, f"open {named(self)}" if writes else "")
            return original(self, mode, *args, **kwargs)

        return opening

    return opened


def _before(seams: Seams, boundary: str) -> str:
    """Do what is to happen at a boundary, empty for none, before its work is done; return what is left to do after."""
    fault = seams.at(boundary) if boundary else ""
    seams.general(fault)
    if fault in DISK:
        raise _os_error(fault)
    return fault


def named(path: Path) -> str:
    """Return a file's name without what is of this process alone."""
    return path.name.replace(str(os.getpid()), "PID")
