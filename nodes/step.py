"""One step of a node: the state read as records, the services it uses, and the calls that it makes side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import BadState, BudgetSpent, Drained, EndpointDown, RunFailed, UserError
from autodata.checkpoints.records import Attempt, Candidate, Decision, Round, Stage
from autodata.checkpoints.writes import OpenRound
from autodata.domains.acceptance.adaptive import Basis, adaptive_ruling
from autodata.domains.acceptance.policies import Ruling
from autodata.models.call import CallSite
from autodata.nodes.context import Context
from autodata.nodes.events import GraphEvent, Place, wire_form
from autodata.nodes.state import State

T = TypeVar("T")


class Step:
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
    def attempts_of(self) -> str:
        """What the ids of this step's attempts begin with."""
        return self.round_id

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

    @property
    def stopping(self) -> Basis | None:
        """What adaptive stopping goes by at the current candidate; None without it, and before the first attempt."""
        data = self.state.get("stopping")
        basis = Basis.model_validate(data) if data else None
        return basis if basis and basis.candidate_id == self.candidate_id else None

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

    def opening(self) -> OpenRound:
        """The open round as the ledger records it, with its candidate if it has one."""
        return OpenRound(
            round_id=self.round_id,
            document_id=self.document_id,
            thread_id=self.thread_id,
            n=self.n,
            prompt_version=self.services.pack.version,
            kind=self.services.domain.kind,
            candidate=self.candidate if self.state.get("candidate") else None,
            passage=(self.state.get("passage") or {}).get("text", ""),
            lessons=self.context.shown_lessons.lessons,
        )

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
        planned, basis = self.services.domain.planned, self.stopping
        if basis and not basis.walked:
            ruling = adaptive_ruling(policy, weak, strong, planned, basis.fit)
        else:
            ruling = policy.rule(weak, strong, planned)
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

    @property
    def place(self) -> Place:
        """Where an event of this step happens."""
        return {"document_id": self.document_id, "n": self.n}

    def emit(self, event: GraphEvent) -> None:
        """Stream an event (`stream_mode="custom"`), in its wire form."""
        self._emit(wire_form(event))


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
