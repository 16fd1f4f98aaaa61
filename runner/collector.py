"""Python's garbage collector during a run: what was there at its start is not looked through again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NEW_OBJECTS: Final = 50_000
"""Objects made, beyond those let go, before the newest are looked through; Python's own number is 700 to 2,000."""


@contextmanager
def calm_collector() -> Iterator[None]:
    """Leave the modules, settings and graphs that are there out of collections, and collect less often, meanwhile.

    What is garbage already is let go before, unless the process has not been due a full collection yet: looking through
    all modules takes an eighth of a second. Nothing is changed where a program has switched the collector off, or has
    frozen objects of its own.
    """
    if not gc.isenabled() or gc.get_freeze_count():
        yield
        return
    before = gc.get_threshold()
    if gc.get_stats()[-1]["collections"]:  # else the process is young: modules are nearly all it has made
        gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
