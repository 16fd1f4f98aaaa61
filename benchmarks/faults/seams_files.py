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

    def inside(path: Any) -> bool:
        return str(path).startswith(str(seams.root))

    def write(original: Any) -> Any:
        def writing(self: Path, data: Any, *args: Any, **kwargs: Any) -> Any:
            if not inside(self):
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

    def move(original: Any) -> Any:
        def moving(self: Path, target: Any) -> Any:
            fault = seams.at(f"rename {named(self)}") if inside(self) else ""
            seams.general(fault)
            if fault in DISK:
                raise _os_error(fault)
            result = original(self, target)
            if fault == AFTER:
                kill()
            return result

        return moving

    def flush(original: Any) -> Any:
        def flushing(file: int) -> None:
            fault = seams.at("fsync") if inside(os.readlink(f"/proc/self/fd/{file}")) else ""
            seams.general(fault)
            if fault in DISK:
                raise _os_error(fault)
            original(file)
            if fault == AFTER:
                kill()

        return flushing

    def opened(original: Any) -> Any:
        def opening(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            writes = inside(self) and set(mode) & set("wax+")
            fault = seams.at(f"open {named(self)}") if writes else ""
            seams.general(fault)
            if fault in DISK:
                raise _os_error(fault)
            return original(self, mode, *args, **kwargs)

        return opening

    put(Path, "write_bytes", write)
    put(Path, "write_text", write)
    put(Path, "replace", move)
    put(Path, "rename", move)
    put(Path, "open", opened)
    put(os, "fsync", flush)


def named(path: Path) -> str:
    """Return a file's name without what is of this process alone."""
    return path.name.replace(str(os.getpid()), "PID")
