"""What a server reports to its callers when a run cannot go on.

A server hides the message of any error that is not one of Python's own kinds; these are, so that the one line that
says what is wrong, where, and what to do reaches whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autodata.checkpoints.errors import AutodataError, Effect, InfrastructureError, effect_of


class Refused(ValueError):
    """What was asked for cannot be: the caller's mistake, or the configuration's."""


class Stopped(RuntimeError):
    """The run cannot go on now: a dead endpoint, a spent budget, a full disk. Later it goes on where it was."""


class Errored(RuntimeError):
    """One document got no reply, or none that could be read. The next run of its thread asks for what is missing."""


@contextmanager
def in_server_errors() -> Iterator[None]:
    """Raise this module's errors in place of the package's own."""
    try:
        yield
    except AutodataError as error:
        effect = effect_of(error)
        if effect in {Effect.USER, Effect.BAD_STATE}:
            raise Refused(str(error)) from error
        if effect is Effect.ERRORED and isinstance(error, InfrastructureError):
            raise Errored(f"{error.kind}: {error}") from error
        raise Stopped(str(error)) from error
