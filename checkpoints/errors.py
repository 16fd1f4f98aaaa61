"""Every error that Autodata raises for others to handle, as one tree, and what each means for the work it ends.

    AutodataError                    anything that is raised on purpose
    ├── UserError                    the user's mistake, said in one line               exit code 2
    ├── RunFailed                    the command could not do its work                  exit code 1
    │   ├── DiskFailed               a full, read-only or failing disk                  exit code 2
    │   └── LeaseLost                another worker has the documents now               they stay pending
    ├── BadState                     a graph's state that a node cannot work on         exit code 2
    ├── PatchError                   a diff of a prompt pack that cannot be applied     exit code 1
    └── InfrastructureError                a call could not be completed: never a score, a refinement or a rejection
        ├── CallFailed               no reply within the allowed requests, or refused   the document is errored
        ├── UnusableReply            replies came, and none could be read               the document is errored
        ├── NothingMadeOfSamples     of `nodes/solver_modes.py`: no one answer of many  the document is errored
        ├── UnreadableCheckpoint     a checkpoint holds bytes that cannot be read       the document is errored
        ├── EndpointDown             an endpoint failed too often, or refused the key   the run pauses
        ├── BudgetSpent              a budget is used up                                the run drains
        ├── Drained                  the session ends, and the call was not sent        the document stays pending
        └── Stopped                  a session is over before its work is               what was begun stays open

`effect_of` says of any exception what it means for a run, and `exit_code_of` with what a command ends. What is not of
this tree is a defect of this package, or of code that was given to it. A quality failure is no error: it is a round's
verdict. This module imports nothing of the package.
"""

from __future__ import annotations

import re
import sqlite3
from enum import Enum, auto
from typing import ClassVar


class AutodataError(Exception):
    """Base of every error that is raised on purpose. Its message is one line."""

    exit_code: ClassVar[int] = 1
    """What a command that it ends exits with."""


class UserError(AutodataError):
    """The user's mistake, said in one line: what is wrong, where, and what to type. Exit code 2."""

    exit_code = 2


class RunFailed(AutodataError):
    """The command could not do its work, said in one line. Exit code 1."""


class DiskFailed(RunFailed):
    """A full, read-only or failing disk: the run stops and loses nothing. Exit code 2, for the user must see to it."""

    exit_code = 2


class LeaseLost(RunFailed):
    """A worker was silent for longer than its lease: others have its documents, and nothing more of it is written."""


class BadState(AutodataError, ValueError):
    """A state that a node cannot work on, for a client may edit it: the key and what is wrong, in one line."""

    exit_code = 2


class PatchError(AutodataError, ValueError):
    """A diff that cannot be applied. The message is one line that says what is wrong and where."""


class InfrastructureError(AutodataError):
    """A call could not be completed. `kind` is stored with the document's failure."""

    kind: ClassVar[str] = "plumbing"


class CallFailed(InfrastructureError):
    """The endpoint did not give a reply within the allowed requests, or refused this one. The document is errored.

    `refused` is true when the endpoint answered, and would not take this very request.
    """

    kind = "call_failed"

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class UnusableReply(InfrastructureError):
    """Replies came and were paid for, but none could be read. The document is errored.

    `shape` is true when the last reply was JSON that broke the schema's rules rather than something unreadable.
    `replayed` is true when it came from the journal: nobody was asked, so the failure was not on record yet.
    """

    kind = "unusable_reply"

    def __init__(self, message: str, *, shape: bool = False, replayed: bool = False) -> None:
        super().__init__(message)
        self.shape, self.replayed = shape, replayed


class UnreadableCheckpoint(InfrastructureError):
    """A checkpoint holds bytes that cannot be read. Its document is errored."""

    kind = "checkpoint"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"it cannot be read ({why}): type autodata check RUN --repair, which forgets it, then the same command: the"
            " document starts again by the replies that are paid for"
        )
        self.why = why


class EndpointDown(InfrastructureError):
    """An endpoint failed too often in a row, or refused key or model. The run pauses; documents stay pending."""

    kind = "endpoint_down"


class BudgetSpent(InfrastructureError):
    """A budget is used up. The run drains; the document stays pending."""

    kind = "budget_spent"


class Drained(InfrastructureError):
    """The session is ending and the call was not sent. The document stays pending."""

    kind = "drained"


class Stopped(InfrastructureError):
    """A session is over before its work is: `failed` says whether that was a failure. What was begun stays open."""

    kind = "stopped"

    def __init__(self, reason: str, failed: bool = False) -> None:
        super().__init__(reason)
        self.failed = failed


class Effect(Enum):
    """What an exception means for the session of a run in which it was raised."""

    DRAINED = auto()
    """The work stopped at a checkpoint because it was asked to. It goes on in the next session."""
    BUDGET_SPENT = auto()
    """Nothing more may be paid for. What is in flight is kept."""
    STOPPED = auto()
    """The session is over, and the error says whether that is a failure."""
    PAUSED = auto()
    """An endpoint is down: nothing more is begun until somebody has seen to it."""
    ERRORED = auto()
    """One document got no usable reply. It is taken up again by the next session, and others go on."""
    BAD_STATE = auto()
    """Somebody edited one document's state into one that cannot be worked on. It ends that document, and no other."""
    USER = auto()
    """The user's mistake: the command ends and says what it is."""
    FAILED = auto()
    """The run's folder failed: the command ends."""
    DEFECT = auto()
    """Not foreseen. It ends one document, recorded whole, and no other."""


def effect_of(error: BaseException) -> Effect:
    """Return what an exception means for a run."""
    from langgraph.errors import GraphDrained  # noqa: PLC0415 - commands that only look start without LangGraph

    effects: dict[type[BaseException] | tuple[type[BaseException], ...], Effect] = {
        (GraphDrained, Drained, LeaseLost): Effect.DRAINED,
        BudgetSpent: Effect.BUDGET_SPENT,
        Stopped: Effect.STOPPED,
        EndpointDown: Effect.PAUSED,
        InfrastructureError: Effect.ERRORED,
        BadState: Effect.BAD_STATE,
        UserError: Effect.USER,
        (RunFailed, PatchError, sqlite3.Error): Effect.FAILED,
    }
    return next((effect for kinds, effect in effects.items() if isinstance(error, kinds)), Effect.DEFECT)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a command that ends with an error: 2 for the user to mend, 1 for all else."""
    return error.exit_code if isinstance(error, AutodataError) else 1


def cause_of(kind: str, message: str) -> str:
    """Return what two failures have in common that come of the same cause: numbers, ids and quoted words left out."""
    text = re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`|«[^«»]*»|“[^“”]*”", "_", " ".join(message.split()))
    text = re.sub(r"\b(?=\w*\d)[\w-]+\b", "_", text)
    return f"{kind}: {text[:300]}"
