"""How a session ended, whatever was done in it: a run, a search for better prompts, or documents at a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autodata.checkpoints.errors import RunFailed, UserError, cause_of

if TYPE_CHECKING:
    from autodata.nodes.optimizer.state import Result


@dataclass
class Outcome:
    """How a session ended. `stopped` says why it ended early, empty when its work was done; `failed`: a failure."""

    stopped: str = ""
    failed: bool = False
    ended: str = ""
    """Why a search ended before its last iteration, by a rule of its own; empty where it did not."""
    errored: list[str] = field(default_factory=list)
    """What errored in this session, a line each: the document, of a search its evaluation too, and the reason."""
    one_cause: list[str] = field(default_factory=list)
    """Those lines of `errored` whose cause stopped the session, and stands in `stopped`."""
    notes: list[str] = field(default_factory=list)
    """What else a person must know; complete once the folder is closed."""
    held_out: list[Result] = field(default_factory=list)
    """A search's test evaluations, of the baseline and of the winner, once they were made."""

    def stop(self, reason: str, *, failed: bool = False) -> None:
        """Note why the session ends early. The first reason counts."""
        if not self.stopped:
            self.stopped, self.failed = reason, failed

    def has_one_cause(self, lines: list[str]) -> bool:
        """Note documents whose common cause stops the session, and return whether it does.

        Those that were in work when it stopped join them; a session that something else has stopped is left as it is.
        """
        if not self.stopped or self.one_cause:
            self.one_cause = lines
        return bool(self.one_cause)


class InARow:
    """Documents that ended errored one after the other for the same cause: the next ones would, too."""

    def __init__(self, most: int) -> None:
        self._most, self._cause = most, ""
        self.lines: list[str] = []
        """What was reported of each of them, the first one first."""

    def errored(self, kind: str, brief: str, line: str) -> str:
        """Note one; return why to stop as soon as `most` stand in a row, else an empty text."""
        cause = cause_of(kind, brief)
        self.lines = [*self.lines, line] if cause == self._cause else [line]
        self._cause = cause
        if len(self.lines) < self._most:
            return ""
        return f"{len(self.lines)} documents in a row errored for the same cause: {kind}: {brief}"

    def ended(self) -> None:
        """Note a document that ended otherwise: it breaks the row."""
        self.lines, self._cause = [], ""


def first_failure(failures: ExceptionGroup) -> Exception:
    """Return the one failure of a task group that its session ends with: one that a person can act on, if any."""
    first: Exception = failures.subgroup((RunFailed, UserError)) or failures
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first
