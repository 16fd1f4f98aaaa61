"""What the outer loop's graph carries, and what its nodes can reach. Where a run stands is in its ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from typing_extensions import TypedDict

from autodata.checkpoints.ledger import Ledger
from autodata.models.caller import Caller
from autodata.nodes.dataset.settings import LessonsConfig
from autodata.prompts import PromptPack

Next = Literal["walk", "analyse", "choose", "end"]


class DatasetState(TypedDict, total=False):
    """State of the outer loop. It is small, and made anew in each session: batches and lessons are in the ledger."""

    batch: int
    """The number of the current batch, from 1."""
    next: Next
    """What follows."""


class Walker(Protocol):
    """The session that takes documents through the inner loop."""

    @property
    def stopped(self) -> str:
        """Why the session takes up nothing more; empty while it does."""

    def left(self) -> Sequence[Mapping[str, Any]]:
        """Return (document_id, name) of what is open and was not taken up in this session, in order."""

    async def walk(self, documents: Sequence[str]) -> None:
        """Take those of the documents that are open through the inner loop, side by side, each to its end."""

    def stop(self, reason: str) -> None:
        """Take up nothing more, for this reason. It is no failure."""

    def note(self, line: str) -> None:
        """Say what a person must know at the end."""


@dataclass(frozen=True)
class DatasetContext:
    """The graph's runtime context: what the nodes of one session share."""

    settings: LessonsConfig
    ledger: Ledger
    caller: Caller
    prompts: PromptPack
    """The pack `dataset`: what the analyst is asked, and the section of a challenger's prompt."""
    walker: Walker
