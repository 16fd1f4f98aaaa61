"""Asynchronous work for callers that wait, also where an event loop runs already, as in a notebook."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from autodata.jobs.event_loop import run_long

T = TypeVar("T")


def run_blocking(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end and return its result; what it raises is raised here.

    Where an event loop runs in this thread, the work has a thread and a loop of its own, and the caller's loop stands
    still meanwhile. An interrupt (Ctrl-C) cancels the work, which closes what it opened, before it is raised.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run_long(work())
    done: Future[T] = Future()
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def noted() -> T:
        task = asyncio.current_task()
        assert task is not None
        begun.set_result((asyncio.get_running_loop(), task))
        return await work()

    def elsewhere() -> None:
        try:
            done.set_result(run_long(noted()))
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            done.set_exception(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(elsewhere,), name="autodata")
    thread.start()
    try:
        return done.result()
    except BaseException:
        if not done.done():  # it was the waiting that was interrupted
            loop, task = begun.result()
            with suppress(RuntimeError):  # the loop has just closed
                loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        thread.join()
