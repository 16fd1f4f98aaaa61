"""What every node can reach: the services of an evaluation, and where one document stands in it."""

from __future__ import annotations

from dataclasses import dataclass

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import document_id, normalise_text
from autodata.checkpoints.protocols import Blobs, Store
from autodata.checkpoints.records import Document
from autodata.checkpoints.texts import is_blank
from autodata.checkpoints.writes import record_document
from autodata.domains.acceptance.borderline import NO_REVIEW, Reviewing
from autodata.domains.acceptance.checks import NO_CHECKS, ChecksConfig
from autodata.domains.acceptance.confirming import NO_CONFIRMING, ConfirmConfig
from autodata.domains.acceptance.policies import AcceptancePolicy
from autodata.domains.domain import Domain
from autodata.models.caller import Caller
from autodata.models.judges import VERIFIER_ALONE, JudgesConfig
from autodata.nodes.adaptive import AdaptiveStopping
from autodata.nodes.early_marks import EarlyMarks
from autodata.nodes.novelty import AcceptedQuestions
from autodata.nodes.state import State, new_state
from autodata.prompts import PromptPack

FENCED_BY_TEXT = 1
"""Answers are fenced for judges by the hash of their text alone, as in run folders from before there was another."""
FENCED_BY_PLACE = 2
"""By the hash of the text, the candidate and the place of the call."""


@dataclass(frozen=True)
class Services:
    """What the nodes of one evaluation share."""

    domain: Domain
    policy: AcceptancePolicy
    pack: PromptPack
    caller: Caller
    store: Store
    blobs: Blobs
    max_rounds: int = 15
    run_seed: int = 0
    frozen: PromptPack | None = None
    """The pack whose quality verifier makes the final check, where another one is being tried out. None: `pack`."""
    review: Reviewing = NO_REVIEW
    """Which candidates wait for a person, in a graph that has the node for it."""
    judges: JudgesConfig = VERIFIER_ALONE
    """Who marks attempts beside the verifier."""
    checks: ChecksConfig = NO_CHECKS
    """What is looked at besides the gates; what is paid for, in a graph that has the node for it."""
    confirm: ConfirmConfig = NO_CONFIRMING
    """Fresh attempts at accepted examples, in a graph that has the node for it."""
    fences: int = FENCED_BY_PLACE
    """How answers are fenced for judges: `FENCED_BY_TEXT` or `FENCED_BY_PLACE`."""
    novelty: AcceptedQuestions | None = None
    """What near-duplicates of accepted questions are known by; None where they are not refused."""
    stopping: AdaptiveStopping | None = None
    """What stops candidates that will most likely fail; None where all attempts are made, or exact stopping alone."""


@dataclass(frozen=True)
class ShownLessons:
    """What a document's challengers are shown lessons: the section of their prompt, and the versions in it."""

    text: str = ""
    """Empty where there is nothing to show: then the prompt is as it is without lessons, to the byte."""
    lessons: tuple[str, ...] = ()
    """As `Lesson.ref` names them."""

    def before(self, feedback: str) -> str:
        """Return what a challenger's prompt says of the past: the lessons, then the failures of its document."""
        return "\n\n".join(filter(None, (self.text, feedback)))


NOTHING = ShownLessons()


@dataclass(frozen=True)
class Context:
    """The graph's runtime context: the services, and where this document stands."""

    services: Services
    evaluation: str = "main"
    epoch: int = 0
    """How often the document was taken up again after an error."""
    rounds_before: int = 0
    """Rounds that the document had when it was asked about again: they do not count against `max_rounds`."""
    shown_lessons: ShownLessons = NOTHING
    """Lessons that its batch was begun with, in a run with lessons."""
    early_marks: EarlyMarks | None = None
    """Marks that solvers may begin; None where a person can edit the state before the verifier: then it marks all."""

    async def take(self, text: str, *, title: str = "", name: str = "") -> State:
        """Store a document and return the input of its thread, for a graph that is run without a document runner.

        The same text again is the same document: what its calls replied in this evaluation is replayed, not paid for.
        Raises UserError for a text without words.
        """
        whole = normalise_text(text)
        if is_blank(whole):
            raise UserError(f"the document {name or title} is empty: give one with text".replace("  ", " "))
        document = Document(document_id=document_id(text), name=name or title or "document", title=title, text=whole)
        await record_document(self.services.store, document)
        return new_state(document)
