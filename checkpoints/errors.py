"""What can go wrong, as one tree, and the one function that says whose matter an error is.

    AutodataError                     anything this package raises on purpose
    ├── UserError                     the caller's mistake: a path, a key, a setting. Exit code 2
    ├── RunFailed                     the work could not be done. Exit code 1
    │   └── DiskFailed                a full, read-only or failing disk. Exit code 2
    ├── PlumbingError                 a model call could not be completed (`autodata.models.errors`). Exit code 1
    │   ├── CallFailed                no reply within the allowed requests, or this request was refused
    │   ├── UnusableReply             replies came, and none could be read
    │   ├── NothingMadeOfSamples      samples answer, and no one answer could be made of them (`autodata.nodes`)
    │   ├── EndpointDown              an endpoint failed too often in a row, or refused key or model
    │   ├── BudgetSpent               a budget is used up
    │   ├── Drained                   the session is ending and the call was not sent
    │   └── Stopped                   the session was over before its work was
    └── BadState                      a graph's state that a node cannot work on (`autodata.nodes.state`); a ValueError

Every message is one line that says what is wrong, where, and what to type. Anything else that is raised is a defect of
this package, or of code that was given to it. A quality failure is no error: it is a round's verdict.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Matter(StrEnum):
    """Whose matter an error is."""

    USER = "user"
    """What was asked for cannot be done: the caller changes something."""
    DOCUMENT = "document"
    """One document got no reply that could be used: the next session asks for what is missing."""
    RUN = "run"
    """The run cannot go on now: a dead endpoint, a spent budget, a full disk. Later it goes on where it was."""
    DEFECT = "defect"
    """Not of this tree."""


class AutodataError(Exception):
    """Base of every error that is raised on purpose. Its message is one line."""

    matter: ClassVar[Matter] = Matter.RUN
    exit_code: ClassVar[int] = 1


class UserError(AutodataError):
    """The user's mistake, told in one line: what is wrong, where, and what to type. Exit code 2."""

    matter = Matter.USER
    exit_code = 2


class RunFailed(AutodataError):
    """The command could not do its work, told in one line. Exit code 1."""


class DiskFailed(RunFailed):
    """A full, read-only or failing disk: the run stops and loses nothing. Exit code 2, for the user must see to it."""

    exit_code = 2


def matter_of(error: BaseException) -> Matter:
    """Return whose matter an error is."""
    return error.matter if isinstance(error, AutodataError) else Matter.DEFECT


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that ends with an error: 2 for the user to mend, 1 for all else."""
    return error.exit_code if isinstance(error, AutodataError) else 1
