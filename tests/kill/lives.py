"""Lives of the command, each a process of its own, forked from one that has done the imports.

    python -m tests.kill.lives

An order is a JSON line on standard input: the arguments of `autodata`, the folder to run in, variables to set, a file
for standard error. Each is answered by two lines: the life's `pid` at once, its exit `status` once it is dead, negative
for a signal. One life at a time; it is the same code as the command's own process, less seconds of imports.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from typing import Any

from autodata_launch import main as command

import autodata.checkpoints.postgres
import autodata.checkpoints.postgres_engine
import autodata.cli.run  # noqa: F401 - what every life needs


def live(order: dict[str, Any]) -> int:
    """Be the command: nothing of the forking process is shared but the modules."""
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    for path, flags, descriptor in (
        (os.devnull, os.O_RDONLY, 0),
        (os.devnull, os.O_WRONLY, 1),
        (order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 2),
    ):
        os.dup2(os.open(path, flags, 0o644), descriptor)
    sys.argv = ["autodata", *order["arguments"]]
    try:
        command()
    except SystemExit as ending:
        return int(ending.code or 0)
    except BaseException:  # noqa: BLE001 - printed, and then the process ends
        traceback.print_exc()
        return 70
    return 0


def main() -> None:
    """Take orders until standard input is closed."""
    assert threading.active_count() == 1, "a process with threads cannot be forked safely"
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            os._exit(live(json.loads(line)))
        say(pid=pid)
        say(status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def say(**values: int) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
