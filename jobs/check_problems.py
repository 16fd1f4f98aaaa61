"""What can be wrong with a run folder, each kind by its name, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Repair(StrEnum):
    """What `autodata check --repair` does about a problem."""

    WALK_AGAIN = "walk again"
    """The document is pending again, without checkpoints: the next session walks it from its start by the replies that
    the journal holds, and writes its rows anew. Only what the journal lacks is paid for."""
    FORGET_THREAD = "forget checkpoints"
    """The checkpoints of a thread go: nothing refers to them, or they cannot be read."""
    SET_ASIDE = "set aside"
    """A file is renamed: what was in it is made again from the journal."""
    DELETE = "delete"
    """A file that a death left half written goes."""


KINDS: Mapping[str, str] = {
    "damaged_file": "a database file is spoilt, or ends too soon",
    "missing_file": "a file of the folder is not there",
    "leftover_file": "a file was half written when its process died",
    "other_configuration": "config.toml and the ledger disagree about what the run's results depend on",
    "orphan_row": "a row refers to another that is not there",
    "altered_document": "a document's text is not the one that its id or its length was made of",
    "altered_candidate": "a candidate is not the one that its id was made of",
    "altered_attempt": "an answer is not of the length that was recorded, or stands under another id",
    "altered_score": "a score is not what its marks come to",
    "altered_mean": "a round's or a verdict's mean is not that of its attempts",
    "altered_example": "an example is not what its round, candidate and attempts say",
    "lost_example": "a round was accepted and its example is not there, or the other way round",
    "doubled_example": "a document has more than one example",
    "wrong_status": "a document's status is not what its rounds, examples and questions say",
    "wrong_rounds": "a document's count of rounds is not the number of its latest one",
    "lost_round": "a round is missing between others, or was left open behind a closed one",
    "lost_reply": "a call was traced to its end, or an attempt made, and the journal does not hold its reply",
    "paid_twice": "the journal holds one call twice",
    "wrong_charge": "a call counts for other tokens or money than its endpoint reported",
    "wrong_total": "an evaluation's sums are not those of its documents",
    "unreadable_checkpoint": "a thread's checkpoint cannot be read",
    "orphan_checkpoint": "a thread of checkpoints belongs to no document",
    "checkpoint_ahead": "a thread's checkpoint knows of a round or an end that the ledger does not",
}
"""Kind -> what it means."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a folder."""

    kind: str
    """One of `KINDS`."""
    where: str
    """The file, table or document."""
    what: str
    """What is wrong, in a line."""
    repair: Repair | None = None
    """What mends it; None where only a person can."""
    subject: str = ""
    """What the repair is of: a document's id, a thread or a file."""
    repaired: str = ""
    """What was done about it, empty where nothing was."""

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        shown = asdict(self)
        del shown["subject"]
        return shown


@dataclass(frozen=True)
class Looked:
    """What was looked at, in numbers."""

    documents: int = 0
    rounds: int = 0
    attempts: int = 0
    examples: int = 0
    calls: int = 0
    threads: int = 0
    """Threads of checkpoints."""
