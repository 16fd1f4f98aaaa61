"""What travels through the optimiser's graph, and what every node of it can reach."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from typing_extensions import TypedDict

from autodata.checkpoints.protocols import Store
from autodata.models.call import CallSite
from autodata.models.caller import Caller
from autodata.nodes.optimizer.acceptance import Acceptance, Strict
from autodata.nodes.optimizer.estimate import Estimator, Evidence, MeanEstimator
from autodata.nodes.optimizer.evaluator import Evaluator, Trial
from autodata.nodes.optimizer.events import SearchEvent
from autodata.nodes.optimizer.ngrams import Shingles
from autodata.nodes.optimizer.population import Member
from autodata.nodes.optimizer.racing import score_of
from autodata.nodes.optimizer.selectors import Boltzmann, Selector
from autodata.nodes.optimizer.settings import OptimizeConfig
from autodata.nodes.optimizer.trajectories import Trajectories
from autodata.prompts import PromptPack


class OptState(TypedDict, total=False):
    """State of one worker: the iteration it is in. Packs, evaluations and traces are rows of the ledger."""

    lane: int
    """Which of the iterations made at once."""
    n: int
    """Number of the iteration, from 1."""
    parent: str
    """Version of the sampled pack."""
    sampled: int
    """How often it was sampled, this time included."""
    block: int
    """The seed block on which parent and mutant are compared."""
    training: str
    """The evaluation whose failures are read."""
    minibatch: list[str]
    partner: str
    """Version of the pack that the parent is merged with; empty where it is edited."""
    source: int
    """The iteration whose analysis is used again; 0 for one of its own."""
    history: list[int]
    """The iterations whose entries of the history log analyst and editor are shown."""
    analysis: dict[str, Any] | None
    """The analyst's root causes, with ids of attempts and rounds as evidence."""
    mutant: str
    """Version of the edited pack; empty without one."""
    summary: str
    """What the edit is for, in the editor's words."""
    refusals: list[str]
    """What the editor tried and was refused."""
    problems: list[str]
    """Why the edited pack may not be validated; empty when it may."""
    scores: dict[str, str]
    """Exact scores of `parent` and `mutant` on the block, or their estimated rates, as fractions."""
    record: bool
    """Whether the mutant is the new best pack."""
    outcome: str
    """`accepted`, `rejected`, `invalid` (refused before it cost anything), `unchanged`, `errored`; empty while open."""
    reason: str
    over: bool
    """Whether the worker has nothing left to do."""


@dataclass(frozen=True)
class Result:
    """A pack's evaluation on a split under one seed block."""

    evaluation: str
    pack: str
    split: str
    block: int
    trials: tuple[Trial, ...]
    complete: bool
    """False when it was stopped early: then it says that the pack lost, not its score."""

    @property
    def score(self) -> Fraction | None:
        """Accepted / (documents - errored); None when every document errored."""
        return score_of(self.trials)


class Archive(Protocol):
    """The search as it stands in the ledger."""

    async def members(self) -> list[Member]:
        """Return the population, in the order of iterations."""

    async def pack(self, version: str) -> PromptPack:
        """Return a pack, rebuilt from the baseline and its diff. Raises KeyError for an unknown one."""

    async def result(self, evaluation: str) -> Result | None:
        """Return a finished or stopped evaluation, or None."""

    async def open_iteration(self, worker: int) -> dict[str, Any] | None:
        """Return the row of the iteration that a worker has begun and not ended, or None."""

    async def begun(self) -> int:
        """Return how many iterations were begun."""

    async def evidence(self) -> list[Evidence]:
        """Return every pack that may be evaluated with its trials, each after its parents, the baseline first.

        A batch of an evaluation that is not over yet is left out.
        """

    async def next_block(self, pack: str) -> int:
        """Return the first seed block behind all that a pack was validated on, confirmations left out."""

    async def last_of(self, worker: int) -> dict[str, Any] | None:
        """Return the row of the iteration that a worker ended last, or None."""

    async def sharing(self, n: int) -> int:
        """Return how many iterations use the analysis of iteration `n`, itself included."""

    async def sampled(self, pack: str) -> int:
        """Return how often a pack was sampled as parent."""

    async def documents(self, split: str) -> tuple[str, ...]:
        """Return the ids of a split's documents, in order."""

    async def latest(self, most: int) -> list[int]:
        """Return the numbers of the iterations that ended last, in order."""

    async def history(self, iterations: Sequence[int]) -> list[str]:
        """Return the entries of the history log of some iterations."""

    async def iteration(self, n: int) -> dict[str, Any]:
        """Return the row of an iteration. Raises KeyError for one that was not begun."""

    async def member(self, pack: str) -> Member:
        """Return any pack with its scores, whether it is one of the population or not."""

    async def errored_in_a_row(self) -> int:
        """Return how many of the iterations that ended last errored, with none that did not between them."""

    async def text(self, document: str) -> str:
        """Return a document's text. Raises KeyError for an unknown one."""

    async def leads(self) -> int:
        """Return how often the lead was taken."""

    async def incumbent(self) -> str:
        """Return the version of the pack that is believed to be the best so far."""

    @property
    def store(self) -> Store:
        """What the search is recorded in, by the functions of `checkpoints.writes`."""


@dataclass(frozen=True)
class Search:
    """What the nodes of an optimisation share."""

    settings: OptimizeConfig
    archive: Archive
    evaluator: Evaluator
    trajectories: Trajectories
    caller: Caller
    prompts: PromptPack
    """The analyst's prompt and the editor's."""
    baseline: PromptPack
    protected: Shingles
    """N-grams of the search's documents, which no prompt may hold."""
    run_seed: int = 0
    estimator: Estimator = field(default_factory=MeanEstimator)
    selector: Selector = field(default_factory=Boltzmann)
    acceptance: Acceptance = field(default_factory=Strict)
    leading: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a mutant is compared with the leader, until it leads or does not."""
    selecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a parent is sampled: what one worker writes, the next must see."""
    on_event: Callable[[SearchEvent], None] = lambda event: None
    evaluating: dict[str, asyncio.Lock] = field(default_factory=dict)
    """One lock an evaluation: two workers that want the same one pay for it once."""

    def site(self, node: str, role: str, iteration: int) -> CallSite:
        """Where a call of an iteration stands."""
        return CallSite(
            thread_id=f"iteration/{iteration}",
            document_id="",
            n=iteration,
            node=node,
            role=role,
            prompt_version=self.prompts[role].version,
        )


@dataclass(frozen=True)
class OptContext:
    """The graph's runtime context."""

    search: Search
    workers: int = 1
    """Workers of this session: a worker beyond them ends with the iteration that it is in."""
