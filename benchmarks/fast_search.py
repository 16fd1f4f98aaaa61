"""Searches in the simulated worlds, in memory: the product's own choice, comparison and acceptance, without a ledger.

Nodes, estimators, selectors and acceptances are the real ones; in place of SQLite there are tables in memory, in place
of prompts an editor with the simulated one's tastes, and documents are drawn from plays made beforehand by
`benchmarks/world_fast.py`: of each set of rules PLAYS of every document of the search, TRUE fresh ones for the truth.
"""

from __future__ import annotations

import operator
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, cast

from langgraph.runtime import Runtime

from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes import NewPack, record_analysis, record_edit
from autodata.models.simulated.optimizer import MODES as NAMED
from autodata.models.simulated.optimizer import TASTES, editor_turn
from autodata.models.simulated.rules import Effects
from autodata.models.simulated.world import World
from autodata.nodes.optimizer.acceptance import Acceptance, Ask, Comparison, Ruling, Side
from autodata.nodes.optimizer.edit_sandbox import EditSandbox, Refused
from autodata.nodes.optimizer.estimate import Estimates, Estimator, Evidence, NormalEstimates, leader_of
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Trial
from autodata.nodes.optimizer.propose import merge
from autodata.nodes.optimizer.schemas import Edit
from autodata.nodes.optimizer.select import evaluate_parent, merge_of, plan_of, select_parent
from autodata.nodes.optimizer.selectors import Selector
from autodata.nodes.optimizer.settings import OptimizeConfig
from autodata.nodes.optimizer.state import OptContext, OptState, Search
from autodata.nodes.optimizer.strategies import acceptance_of, estimator_of, selector_of
from autodata.nodes.optimizer.validate import decide, record, validate
from autodata.prompts import PromptPack, fence, load_pack
from benchmarks.memory_archive import MemoryArchive
from benchmarks.world_fast import MODES, Many, play
from benchmarks.world_twin import Obeyed

PLAYS = {"train": 24, "validate": 96}
"""Plays of each document under each set of rules, by split: a trial is one of them, by its seed block."""
TRUE = 8_000
"""Fresh documents that a true rate is measured on: its standard error is 0.006 at most."""
SIZES = {"train": 50, "validate": 25}
OWN_CALLS = {"analyse": 1, "edit": 1}
SIDES: tuple[Side, Side] = ("mutant", "parent")


class Worlds:
    """What prompts of each set of rules do, played once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rates: dict[Any, float] = {}
        self._plays: dict[Any, Many] = {}

    def rate(self, rules: Obeyed) -> float:
        """Return the true pass rate, on fresh documents."""
        key = _key(rules)
        if key not in self._rates:
            many = play(self.world, rules, Effects(), [f"true/{k}" for k in range(TRUE)], 1)
            self._rates[key] = float(many.passed.mean())
        return self._rates[key]

    def forget(self) -> None:
        """Forget the plays of a search that is over. True rates are kept."""
        self._plays.clear()

    def plays(self, rules: Obeyed, seed: int, documents: Mapping[str, Sequence[str]]) -> Many:
        """Return PLAYS plays of each of a search's documents, which are given by split, in their order."""
        key = (_key(rules), seed)
        if key not in self._plays:
            ids = [name for split, names in documents.items() for name in names for _ in range(PLAYS[split])]
            own = random.Random(str(key)).getrandbits(40)
            self._plays[key] = play(self.world, rules, Effects(), ids, own)
        return self._plays[key]


def _key(rules: Obeyed) -> Any:
    return tuple(sorted(rule.name for rule in rules.first)), tuple(sorted(r.name for r in rules.later)), rules.review


@dataclass
class PlayedEvaluator:
    """`Evaluator` that draws trials from plays made beforehand."""

    worlds: Worlds
    seed: int
    documents: Mapping[str, tuple[str, ...]]
    """By split."""
    curtail: bool
    calls: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Failure modes of the latest training evaluation."""

    def __post_init__(self) -> None:
        split_of = [(name, split) for split, names in self.documents.items() for name in names]
        firsts = accumulate((PLAYS[split] for _, split in split_of), initial=0)
        self._first = {name: first for (name, _), first in zip(split_of, firsts, strict=False)}
        self._rules: dict[str, Obeyed] = {}
        self._made: dict[tuple[str, str], Trial] = {}

    def rules(self, pack: PromptPack) -> Obeyed:
        """Return what a pack's prompts do."""
        if pack.version not in self._rules:
            self._rules[pack.version] = Obeyed.of(pack, "meta")
        return self._rules[pack.version]

    async def evaluate(self, request: EvaluationRequest) -> tuple[Trial, ...]:
        """Return the trials, batch by batch until `lost`."""
        many = self.worlds.plays(self.rules(request.pack), self.seed, self.documents)
        if request.split == "train":
            self.failed = Counter()
        trials: list[Trial] = []
        for document in request.documents:
            trials.append(self._trial(request, document, many))
            if request.lost and len(trials) % request.batch == 0 and request.lost(trials):
                break
        return tuple(trials)

    def _trial(self, request: EvaluationRequest, document: str, many: Many) -> Trial:
        key = random.Random(f"{self.seed}/{request.split}/{request.block}/{document}/{request.pack.version}")
        at = self._first[document] + key.randrange(PLAYS[request.split])
        if request.split == "train":
            self.failed.update(mode.value for code in many.modes[at] if code > 0 and (mode := MODES[code]))
        calls = int((many.settled if self.curtail else many.calls)[at])
        paid = (request.evaluation, document)
        if paid not in self._made:
            self.calls += calls
            status = DocumentStatus.ACCEPTED if many.passed[at] else DocumentStatus.REJECTED
            self._made[paid] = Trial(document, status, 1, calls)
        return self._made[paid]

    def drain(self, reason: str, *, failed: bool = False, keep_reserved: bool = False) -> None:
        """Nothing is in work."""


@dataclass(frozen=True)
class Point:
    """The leader after an iteration."""

    calls: int
    true: float
    reported: float


class Remembering:
    """An estimator that answers at once where the evidence is what it was asked about last."""

    def __init__(self, estimator: Estimator) -> None:
        self.name, self._estimator = estimator.name, estimator
        self._last: tuple[list[Evidence], Estimates] | None = None

    def estimate(self, evidence: Sequence[Evidence]) -> Estimates:
        """Return what the estimator says."""
        if self._last is None or not _same(self._last[0], evidence):
            self._last = list(evidence), self._estimator.estimate(evidence)
        return self._last[1]


def _same(some: Sequence[Evidence], others: Sequence[Evidence]) -> bool:
    return len(some) == len(others) and all(map(operator.is_, some, others))


@dataclass
class Found:
    """What a search found, and how it decided."""

    points: list[Point] = field(default_factory=list)
    interval: tuple[float, float] | None = None
    """The 95% interval of the last leader's rate, where its estimator gives one."""
    decided: list[tuple[float, bool]] = field(default_factory=list)
    """Of each mutant that was compared: its true rate minus its parent's, and whether it was accepted."""


@dataclass(frozen=True)
class Blind:
    """An acceptance that takes every sound edit after one batch, whatever came of it."""

    name: str = "blind"
    shared: bool = False

    def rule(self, seen: Comparison) -> Ask | Ruling:
        """Ask for a batch, then accept."""
        return Ruling("accepted", "blind") if seen.mutant else Ask("mutant", documents=5)


@dataclass(frozen=True)
class At:
    """A selector that always takes the first pack of the population, or the last."""

    place: int

    def probabilities(self, packs: Sequence[str], estimates: Any, seed: int) -> list[float]:
        """Return 1 for that pack."""
        return [float(at == self.place % len(packs)) for at in range(len(packs))]


class Latest:
    """An estimator by which the youngest pack is the best: that of a search which accepts blindly."""

    name = "latest"

    def estimate(self, evidence: Sequence[Evidence]) -> NormalEstimates:
        """Return rates that rise with the iteration, around 0: nothing is known, so nothing is reported."""
        places = range(len(evidence))
        square = [[float(a == b) for b in places] for a in places]
        return NormalEstimates(tuple(one.pack for one in evidence), [one.iteration / 1e6 for one in evidence], square)


async def search_in(
    worlds: Worlds,
    settings: OptimizeConfig,
    seed: int,
    budget: int,
    *,
    selector: Selector | None = None,
    acceptance: Acceptance | None = None,
    estimator: Estimator | None = None,
) -> Found:
    """Run one search until its calls are spent; `points` has the leader after each iteration."""
    documents = {split: tuple(f"{seed}/{split}/{k}" for k in range(count)) for split, count in SIZES.items()}
    baseline = load_pack("cs")
    archive = MemoryArchive(baseline, documents, settings.wave)
    evaluator = PlayedEvaluator(worlds, seed, documents, settings.curtail)
    search = Search(
        settings=settings,
        archive=archive,
        evaluator=evaluator,
        trajectories=cast("Any", None),
        caller=cast("Any", None),
        prompts=baseline,
        baseline=baseline,
        protected=cast("Any", None),
        run_seed=seed,
        estimator=Remembering(estimator or estimator_of(settings)),
        selector=selector or selector_of(settings),
        acceptance=acceptance or acceptance_of(settings, SIZES["validate"]),
    )
    runtime: Any = Runtime(context=OptContext(search))
    found = Found()
    while evaluator.calls < budget:
        state = cast("OptState", {"lane": 0})
        for node in (select_parent, evaluate_parent):
            state |= cast("Any", await node(state, runtime))
        if state.get("over"):
            break
        if not state["outcome"]:
            state |= cast(
                "Any", await (_merging(search, state, runtime) if state["partner"] else _proposed(search, state))
            )
        if not state["outcome"]:
            state |= cast("Any", await validate(state, runtime))
            state |= cast("Any", await decide(state, runtime))
        await record(state, runtime)
        if state["outcome"] in {"accepted", "rejected"}:
            mutant, parent = (worlds.rate(evaluator.rules(archive.texts[state[side]])) for side in SIDES)
            found.decided.append((mutant - parent, state["outcome"] == "accepted"))
        await _lead(search, archive, worlds, found)
    return found


async def _lead(search: Search, archive: MemoryArchive, worlds: Worlds, found: Found) -> None:
    """Note who leads."""
    evaluator = cast("PlayedEvaluator", search.evaluator)
    if search.settings.confirm:
        leader = await archive.incumbent()
        reported = (await archive.member(leader)).reported
        true = worlds.rate(evaluator.rules(archive.texts[leader]))
        found.points.append(Point(evaluator.calls, true, float(reported or 0)))
        return
    evidence = await archive.evidence()
    estimates = search.estimator.estimate(evidence)
    leader = leader_of(evidence, estimates)
    true = worlds.rate(evaluator.rules(archive.texts[leader]))
    found.points.append(Point(evaluator.calls, true, estimates.rate(leader)))
    found.interval = estimates.interval(leader)


async def _merging(search: Search, state: OptState, runtime: Any) -> dict[str, Any]:
    archive = cast("MemoryArchive", search.archive)
    mutant = await merge_of(search, await archive.evidence(), state["parent"], state["partner"])
    made = await merge(state, runtime)
    if mutant is not None:
        archive.texts[mutant.version] = mutant
    return made


async def _proposed(search: Search, state: OptState) -> dict[str, Any]:
    """Return what analyst and editor, with the simulated ones' tastes, make of the parent's failures."""
    archive = cast("MemoryArchive", search.archive)
    evaluator = cast("PlayedEvaluator", search.evaluator)
    n, parent = state["n"], await archive.pack(state["parent"])
    rng = random.Random(f"{search.run_seed}/propose/{n}")
    named = state.get("analysis")
    if not named:
        if not evaluator.failed:
            return {"outcome": "unchanged", "reason": "nothing failed on the minibatch"}
        evaluator.calls += OWN_CALLS["analyse"]
        found = [mode for mode, _ in evaluator.failed.most_common(3)]
        said = [rng.choice(NAMED) if rng.random() < TASTES.misreads else mode for mode in found]
        named = {"summary": ", ".join(dict.fromkeys(said)), "causes": []}
        await record_analysis(archive.store, n, named)
    evaluator.calls += OWN_CALLS["edit"]
    mutant, summary = edited(parent, named["summary"], rng)
    made = None if mutant.version in archive.texts else NewPack(mutant.version, parent.version, n, "", summary)
    archive.texts.setdefault(mutant.version, mutant)
    row = await archive.iteration(n)
    await record_edit(archive.store, n, {**plan_of(row), "summary": summary}, made)
    unchanged = mutant.version == parent.version
    return {"mutant": mutant.version, "summary": summary} | (
        {"outcome": "unchanged", "reason": ""} if unchanged else {}
    )


def edited(parent: PromptPack, analysis: str, rng: random.Random) -> tuple[PromptPack, str]:
    """Return what the simulated editor makes of a pack and an analysis, and its summary."""
    sandbox = EditSandbox(parent)
    prompt = "\n\n".join(sandbox.view(file) for file in sandbox.files) + "\n" + fence("analysis", analysis)
    turn = editor_turn(prompt, rng)
    if not turn["done"]:  # something forbidden, which code refuses; its next turn is an edit
        turn = editor_turn(prompt + '\n"thought": "simulated: trying', rng)
    for edit in turn["edits"]:
        try:
            sandbox.act(Edit.model_validate(edit))
        except Refused:
            continue
    return sandbox.pack(), str(turn["summary"])
