"""What can happen at a boundary of a run, and how a scenario says which."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

REFUSED, TIME_OUT = "refused", "time-out"
CALL = (
    *("no connection", "error that repeats the key", REFUSED, TIME_OUT, "delay"),
    *("corrupted reply", "truncated reply"),
)
DISK = ("disk full", "disk failing")
BEFORE, BETWEEN, AFTER = "SIGKILL before", "SIGKILL between", "SIGKILL after"
CLOCK = ("clock back a day", "clock on a day")
FAULTS = {
    "call": (*CALL, *CLOCK, "cancel", BEFORE, AFTER),
    "save": (*DISK, *CLOCK, "delay", "cancel", BEFORE, AFTER),
    "carry": (*CLOCK, BEFORE, AFTER),
    "commit": (*DISK, "delay", BEFORE, BETWEEN, AFTER),
    "checkpoint": (*DISK, *CLOCK, "delay", "cancel", BEFORE, AFTER),
    "write": (*DISK, "half written", BEFORE, BETWEEN, AFTER),
    "rename": (*DISK, BEFORE, AFTER),
    "fsync": (*DISK, BEFORE, AFTER),
    "open": (*DISK, BEFORE),
}
"""What can happen at a boundary of each sort."""

BEHIND = {"save record_failure": REFUSED, "save record_unanswered": TIME_OUT}
"""Boundaries that a session passes only behind a fault of a call."""

SAVER = ("aput", "aput_writes", "adelete_thread", "akeep_rounds", "aprune")
"""The methods of the checkpoint saver that write, as the product calls them."""


@dataclass(frozen=True)
class Break:
    """Where a session is broken: at the `count`th passing of a boundary, from 1, and by what."""

    seam: str
    count: int
    fault: str
    behind: tuple[str, str] | None = None
    """A boundary and a fault that come first, where only they lead to this one."""

    @property
    def kills(self) -> bool:
        """Whether it ends the process."""
        return self.fault.startswith("SIGKILL")


@dataclass
class Clock:
    """A wall clock that jumps, and with it the monotonic one, which never goes back."""

    wall: float = 0.0
    monotonic: float = 0.0

    def jump(self, fault: str) -> None:
        """Jump by a day; a machine that was asleep for an hour has a monotonic clock that went on."""
        self.wall += -86400 if "back" in fault else 86400
        self.monotonic += 3600


def kill() -> None:
    """End this process as the kernel does."""
    os.kill(os.getpid(), signal.SIGKILL)
