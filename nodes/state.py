"""What travels through the graph, and what every node can reach.

State is small and whole (law 5): candidate, attempts with their marks, verdict, feedback and closed rounds are in it;
documents and raw answers are references into the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from autodata.checkpoints.records import (
    Attempt,
    Blobs,
    Candidate,
    Decision,
    Document,
    Record,
    Round,
    RunFailed,
    Stage,
    Store,
    UserError,
    canonical_json,
    document_id,
    is_blank,
    normalise_text,
    preview,
)
from autodata.domains.acceptance.borderline import NO_REVIEW, Reviewing
from autodata.domains.acceptance.policies import AcceptancePolicy, Ruling
from autodata.domains.domain import Domain
from autodata.models.caller import Caller, CallSite
from autodata.models.errors import BudgetSpent, Drained, EndpointDown
from autodata.prompts import PromptPack

T = TypeVar("T")


class BadState(ValueError):
    """A state that a node cannot work on, for a client may edit it: the key and what is wrong, in one line."""


class State(TypedDict, total=False):
    """State of one document's thread. Values are plain JSON; the records' names say what each holds."""

    document: dict[str, Any]
    """document_id, name, title, chars, preview."""
    n: int
    """Number of the current round, from 1."""
    passage: dict[str, str] | None
    """text and anchor, where the domain picks passages."""
    extract: dict[str, Any] | None
    """What the extractor made of the document, once."""
    grounding: list[str]
    """Ids of the documents shown as examples, fixed when the thread starts."""
    queue: list[dict[str, Any]]
    """Candidates that the screen found promising and that wait for their round."""
    candidate: dict[str, Any] | None
    candidate_id: str
    quality: dict[str, Any] | None
    attempts: list[dict[str, Any]]
    verdict: dict[str, Any] | None
    judgement: dict[str, Any] | None
    """What the loop judge found: its eight fields."""
    rejection: dict[str, Any] | None
    """failure_mode and reason of the current round, once it is rejected."""
    feedback: str
    """What the next challenger is told of the failures so far."""
    rounds: list[dict[str, Any]]
    reviews: int
    """How many answers people gave in this thread."""
    asked: dict[str, Any] | None
    """The question that is open, if one is: label_id, at (milliseconds since 1970), and why an answer was not taken."""
    answered: str
    """Identifies the last answer that counted."""
    status: str
    status_reason: str
    example: dict[str, Any] | None


class Output(TypedDict, total=False):
    """What a graph answers with: the example and how it came about, whole. Nothing in it refers to a ledger (law 5)."""

    status: str
    """A DocumentStatus: accepted, rejected or skipped."""
    status_reason: str
    example: dict[str, Any] | None
    """An Example as plain JSON; None unless the document was accepted."""
    rounds: list[dict[str, Any]]
    """Every closed round, a Round each, in order."""


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


@dataclass(frozen=True)
class Context:
    """The graph's runtime context: the services, and where this document stands."""

    services: Services
    evaluation: str = "main"
    epoch: int = 0
    """How often the document was taken up again after an error."""

    async def take(self, text: str, *, title: str = "", name: str = "") -> State:
        """Store a document and return the input of its thread, for a graph that is run without a document runner.

        The same text again is the same document: what its calls replied in this evaluation is replayed, not paid for.
        Raises UserError for a text without words.
        """
        whole = normalise_text(text)
        if is_blank(whole):
            raise UserError(f"the document {name or title} is empty: give one with text".replace("  ", " "))
        known = {"document_id": document_id(text), "name": name or title or "document", "title": title, "text": whole}
        await self.services.store.save(documents=[{**known, "chars": len(whole)}])
        return new_state(Document(**known))


def new_state(document: Document) -> State:
    """Return the input of a document's thread."""
    return State(
        document={
            "document_id": document.document_id,
            "name": document.name,
            "title": document.title,
            "chars": len(document.text),
            "preview": preview(document.text),
        },
        n=0,
        queue=[],
        rounds=[],
        reviews=0,
        feedback="",
        status="",
        status_reason="",
        example=None,
    )


class Desk:
    """A node's view of one step: the state read as records, and the services."""

    def __init__(self, state: State, runtime: Runtime[Context]) -> None:
        self.state = state
        self.context = runtime.context
        self.services = runtime.context.services
        self._emit = runtime.stream_writer
        self._read: tuple[object, Candidate, str] | None = None

    def _current(self) -> tuple[object, Candidate, str]:
        """Return what the candidate was read from, the candidate and its id: every attempt and mark asks for them."""
        data = self.state["candidate"]
        if self._read is None or self._read[0] is not data:
            candidate = self.services.domain.scorer.candidate(data or {})
            self._read = data, candidate, candidate.candidate_id
        return self._read

    @property
    def document_id(self) -> str:
        """The document's id."""
        return str(self.state["document"]["document_id"])

    @property
    def thread_id(self) -> str:
        """The thread: `evaluation/document_id`."""
        return f"{self.context.evaluation}/{self.document_id}"

    @property
    def n(self) -> int:
        """The current round's number."""
        return self.state["n"]

    @property
    def round_id(self) -> str:
        """The current round's id."""
        return f"{self.thread_id}/{self.n}/{self.candidate_id or 'malformed'}"

    @property
    def candidate(self) -> Candidate:
        """The current candidate."""
        return self._current()[1]

    @property
    def candidate_id(self) -> str:
        """The id of the candidate as it stands, which an edit of the state changes; empty without one."""
        return self._current()[2] if self.state.get("candidate") else ""

    @property
    def rounds(self) -> list[Round]:
        """The rounds closed so far."""
        return [Round.model_validate(item) for item in self.state.get("rounds", [])]

    @property
    def attempts(self) -> list[Attempt]:
        """Attempts at the current candidate; those of any other are ignored."""
        found = (Attempt.model_validate(item) for item in self.state.get("attempts", []))
        current = self.candidate_id
        return [attempt for attempt in found if attempt.candidate_id == current]

    def require_passed(self) -> None:
        """Raise BadState unless the quality verifier passed exactly the current candidate.

        In a domain without one it must be the candidate that its round was opened with, which code has checked.
        """
        if not self.services.domain.quality_check:
            if self.state.get("candidate_id") != self.candidate_id:
                raise BadState("only the exact candidate that its round was opened with goes on")
            return
        quality = self.state.get("quality") or {}
        if quality.get("candidate_id") != self.candidate_id or not quality.get("passed"):
            raise BadState("only the exact candidate that the quality verifier passed goes on")

    def opening(self) -> dict[str, list[dict[str, Any]]]:
        """The ledger's rows of the open round and of its candidate, if it has one."""
        candidate = self.candidate if self.state.get("candidate") else None
        rows: dict[str, list[dict[str, Any]]] = {
            "rounds": [
                {
                    "round_id": self.round_id,
                    "document_id": self.document_id,
                    "thread_id": self.thread_id,
                    "n": self.n,
                    "candidate_id": candidate.candidate_id if candidate else None,
                    "passage": (self.state.get("passage") or {}).get("text", ""),
                    "outcome": "open",
                    "prompt_version": self.services.pack.version,
                }
            ]
        }
        if candidate:
            rows["candidates"] = [
                {
                    "candidate_id": candidate.candidate_id,
                    "kind": self.services.domain.kind,
                    "question": candidate.question,
                    "context": candidate.context,
                    "reference_answer": candidate.reference_answer,
                    "candidate": canonical_json(candidate.model_dump(mode="json")),
                }
            ]
        return rows

    def scores(self, stage: Stage, attempts: Iterable[Attempt] | None = None) -> list[Fraction]:
        """The marked attempts' scores of one solver, in order of index."""
        of_stage = [a for a in (self.attempts if attempts is None else attempts) if a.stage is stage and a.mark]
        return [a.mark.score for a in sorted(of_stage, key=lambda a: a.index) if a.mark]

    def ruling(self, attempts: Iterable[Attempt] | None = None) -> Ruling:
        """What the policy says to the scores so far.

        Raises ValueError for a ruling that decides nothing and asks for no further attempt: solvers and verifier would
        take turns over the same attempts without end.
        """
        known = self.attempts if attempts is None else list(attempts)
        weak, strong = self.scores(Stage.WEAK, known), self.scores(Stage.STRONG, known)
        policy = self.services.policy
        ruling = policy.rule(weak, strong, self.services.domain.planned)
        if ruling.decision in {Decision.MORE, Decision.STRONG} and ruling.more < 1:
            raise ValueError(
                f"acceptance policy {policy.name!r} decides nothing on {len(weak)} weak and {len(strong)} strong scores"
                f" and asks for {ruling.more} more attempts: it must ask for one at least, or decide"
            )
        return ruling

    async def source(self) -> str:
        """The text that the challenger may see: the round's passage, or the whole document."""
        if passage := self.state.get("passage"):
            return passage["text"]
        return await self.services.blobs.get(f"document/{self.document_id}")

    def site(self, node: str, role: str | None = None, index: str = "0", n: int | None = None) -> CallSite:
        """Where a call of this step stands."""
        role = role or node
        return CallSite(
            thread_id=self.thread_id,
            document_id=self.document_id,
            n=self.n if n is None else n,
            node=node,
            role=role,
            index=index,
            epoch=self.context.epoch,
            prompt_version=self.services.pack[role].version,
        )

    def emit(self, event: str, **values: Any) -> None:
        """Stream an event (`stream_mode="custom"`): its name and values are those of a type in `nodes/events.py`."""
        self._emit({"event": event, "document_id": self.document_id, "n": self.n, **values})


def all_of(results: Sequence[T | BaseException]) -> list[T]:
    """Return the results of calls made side by side, or raise the gravest error among them.

    What stops the whole run comes before what ends one document as errored.
    """
    errors = [result for result in results if isinstance(result, BaseException)]
    for grave in (UserError, RunFailed, EndpointDown, BudgetSpent, Drained, BaseException):
        for error in errors:
            if isinstance(error, grave):
                raise error
    return [result for result in results if not isinstance(result, BaseException)]


def plain(record: Record) -> dict[str, Any]:
    """Return a record as plain JSON values, for state."""
    return record.model_dump(mode="json")
