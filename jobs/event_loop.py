"""The event loop that long work runs on: uvloop where it is installed, else asyncio's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

from autodata.checkpoints.errors import UserError

T = TypeVar("T")

VARIABLE = "AUTODATA_EVENT_LOOP"
"""The environment variable that chooses: `uvloop`, or `asyncio` where uvloop is installed and not wanted."""
UVLOOP = "uvloop"


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop; None for asyncio's own.

    Raises UserError for a value of the variable that is neither, and where uvloop is asked for and not installed.
    """
    chosen = os.environ.get(VARIABLE, "").strip().lower()
    if chosen not in {"", "asyncio", UVLOOP}:
        raise UserError(f"{VARIABLE}={chosen}: write asyncio or uvloop, or leave it out")
    if chosen == "asyncio":
        return None
    if find_spec(UVLOOP) is None:
        if chosen:
            raise UserError(f"{VARIABLE}=uvloop: it is not installed: pip install 'autodata-langgraph[fast]'")
        return None
    import uvloop

    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made


def run_long(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on the chosen event loop, as `asyncio.run` does. Raises as `loop_factory`."""
    try:
        factory = loop_factory()
    except BaseException:
        work.close()
        raise
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)
