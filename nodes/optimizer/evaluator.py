"""How a prompt pack is evaluated on documents, as the optimiser's nodes see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes import TriedDocument
from autodata.prompts import PromptPack


@dataclass(frozen=True)
class Trial(TriedDocument):
    """How one document came out in one evaluation. `status` is never `pending`."""

    @property
    def passed(self) -> bool:
        """Whether it counts as passed: an accepted candidate that the frozen checks passed too."""
        return self.status is DocumentStatus.ACCEPTED


Lost = Callable[[Sequence[Trial]], bool]
"""Whether an evaluation may stop, given the trials so far, in the order of the documents; asked before any, too."""


@dataclass(frozen=True)
class EvaluationRequest:
    """One evaluation: a pack on documents of a split, under the seeds of a block."""

    evaluation: str
    """Its id, which begins every thread of it: `<evaluation>/<document_id>`."""
    pack: PromptPack
    split: str
    """`train`, `validate` or `test`."""
    block: int
    """The seed block: it fixes all seeds of an evaluation (design, ids and seeds)."""
    documents: tuple[str, ...]
    """Ids, in the order in which they are taken."""
    lost: Lost | None = None
    """Asked after each batch of documents; None: never stop early."""
    batch: int = 5
    """Documents between two looks at `lost`. Fixed, so that where it stops does not depend on timing."""


class Evaluator(Protocol):
    """Runs evaluations. What was evaluated before is read back, never paid for again."""

    async def evaluate(self, request: EvaluationRequest) -> tuple[Trial, ...]:
        """Return the trials in the order of the documents; fewer than asked for when `lost` stopped it.

        Raises the errors that end a session (BudgetSpent, Drained, EndpointDown, RunFailed). A document that errored is
        a trial with that status.
        """

    def drain(self, reason: str, *, failed: bool = False, keep_reserved: bool = False) -> None:
        """Begin nothing more, and let what is in work stop where it can go on later."""
