"""Searches in the simulated worlds, in memory: the product's own choice, comparison and acceptance, without a ledger.

Nodes, estimators, selectors and acceptances are the real ones; in place of SQLite there are tables in memory, in place
of prompts an editor with the simulated one's tastes, and documents are drawn from plays made beforehand by
`benchmarks/world_fast.py`: of each set of rules PLAYS of every document of the search, TRUE fresh ones for the truth.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

from langgraph.runtime import Runtime

from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes import NewPack, record_analysis, record_edit
from autodata.models.simulated.optimizer import MODES as NAMED
from autodata.models.simulated.optimizer import TASTES, editor_turn
from autodata.models.simulated.rules import Effects
from autodata.models.simulated.world import World
from autodata.nodes.optimizer.acceptance import Acceptance, Ask, Comparison, Ruling
from autodata.nodes.optimizer.edit_sandbox import EditSandbox, Refused
from autodata.nodes.optimizer.estimate import Estimator, Evidence, NormalEstimates
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Trial
from autodata.nodes.optimizer.population import CONFIRM, Member
from autodata.nodes.optimizer.propose import merge
from autodata.nodes.optimizer.schemas import Edit
from autodata.nodes.optimizer.select import evaluate_parent, merge_of, plan_of, select_parent
from autodata.nodes.optimizer.selectors import Selector
from autodata.nodes.optimizer.settings import OptimizeConfig
from autodata.nodes.optimizer.state import OptContext, OptState, Result, Search
from autodata.nodes.optimizer.strategies import acceptance_of, estimator_of, selector_of
from autodata.nodes.optimizer.validate import decide, record, validate
from autodata.prompts import PromptPack, fence, load_pack
from autodata.runner.optimization.archive import changed_lines, gathered
from benchmarks.world_fast import MODES, Many, play
from benchmarks.world_twin import Obeyed

PLAYS = 24
"""Plays of each document under each set of rules: a trial is one of them, by its seed block."""
TRUE = 4_000
SIZES = {"train": 50, "validate": 25}
OWN_CALLS = {"analyse": 1, "edit": 1}


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

    def plays(self, rules: Obeyed, seed: int, documents: Sequence[str]) -> Many:
        """Return PLAYS plays of each of a search's documents, in their order."""
        key = (_key(rules), seed)
        if key not in self._plays:
            ids = [document for document in documents for _ in range(PLAYS)]
            own = random.Random(str(key)).getrandbits(40)
            self._plays[key] = play(self.world, rules, Effects(), ids, own)
        return self._plays[key]


def _key(rules: Obeyed) -> Any:
    return tuple(sorted(rule.name for rule in rules.first)), tuple(sorted(r.name for r in rules.later)), rules.review


@dataclass
class MemoryStore:
    """Tables in memory: rows by their key, later values over earlier ones."""

    iterations: dict[int, dict[str, Any]] = field(default_factory=dict)
    packs: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)
    trials: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Save rows as a ledger does."""
        begun = {"outcome": "open", "edits": "[]", "confirmed": None, "analysis": None, "led": None, "leader": None}
        for row in tables.get("iterations", ()):
            self.iterations.setdefault(row["iteration"], {**begun, "block": 0, "record": 0}).update(row)
        for row in tables.get("packs", ()):
            self.packs.setdefault(row["pack"], {"parent": None}).update(row)
        for row in tables.get("evaluations", ()):
            self.evaluations.setdefault(row["evaluation"], {"state": "open", "calls": 0}).update(row)
        if trials := tables.get("trials"):
            rows = self.trials.setdefault(str(trials[0]["evaluation"]), [])
            rows[:] = [dict(row) for row in trials]


class MemoryArchive:
    """`Archive` over tables in memory, one worker."""

    def __init__(self, baseline: PromptPack, documents: Mapping[str, tuple[str, ...]], batch: int) -> None:
        self.memory = MemoryStore()
        self.baseline, self._documents, self._batch = baseline, documents, batch
        self.texts: dict[str, PromptPack] = {baseline.version: baseline}
        self._lines: dict[str, frozenset[str]] = {}
        self._done: dict[str, Result] = {}
        self._counted: dict[str, tuple[int, Mapping[str, tuple[int, int]], int, Member]] = {}
        self.memory.packs[baseline.version] = {"state": "baseline", "iteration": 0, "parent": None}

    @property
    def store(self) -> Any:
        """Where rows go."""
        return self.memory

    async def members(self) -> list[Member]:
        """Return the population."""
        packs = self.memory.packs.items()
        found = [await self.member(pack) for pack, row in packs if row["state"] in {"baseline", "member"}]
        return sorted(found, key=lambda one: one.iteration)

    async def member(self, pack: str) -> Member:
        """Return a pack with its scores."""
        return self._counts(pack)[3]

    def _counts(self, pack: str) -> tuple[int, Mapping[str, tuple[int, int]], int, Member]:
        heads = [head for head in self.memory.evaluations.values() if head["pack"] == pack and head["state"] != "open"]
        size = sum(len(self.memory.trials[head["evaluation"]]) for head in heads)
        iteration = self.memory.packs[pack]["iteration"]
        known = self._counted.get(pack)
        if known is None or known[0] != size or known[3].iteration != iteration:
            rows = [
                {**head, **row, "state": head["state"]}
                for head in heads
                for row in self.memory.trials[head["evaluation"]]
            ]
            found = gathered(rows, self._batch, SIZES)
            blocks = {
                head["block"]: Fraction(head["passed"], head["documents"])
                for head in heads
                if head["split"] == "validate" and head["state"] == "done"
            }
            known = (size, found.counts.get(pack, {}), found.validated.get(pack, 0), Member(pack, iteration, blocks))
            self._counted[pack] = known
        return known

    async def pack(self, version: str) -> PromptPack:
        """Return a pack."""
        return self.texts[version]

    async def result(self, evaluation: str) -> Result | None:
        """Return a finished or stopped evaluation."""
        head = self.memory.evaluations.get(evaluation)
        if head is None or head["state"] == "open":
            return None
        trials = tuple(
            Trial(row["document_id"], DocumentStatus(row["status"]), row["rounds"], row["calls"])
            for row in self.memory.trials[evaluation]
        )
        done = head["state"] == "done"
        return Result(evaluation, head["pack"], head["split"], head["block"], trials, complete=done)

    async def open_iteration(self, worker: int) -> dict[str, Any] | None:
        """Return None: every iteration is gone through to its end."""
        return None

    async def begun(self) -> int:
        """Return how many iterations were begun."""
        return len(self.memory.iterations)

    async def evidence(self) -> list[Evidence]:
        """Return every pack with its trials."""
        found = []
        rows = sorted(self.memory.packs.items(), key=lambda item: item[1]["iteration"])
        for pack, row in rows:
            _, counts, validated, member = self._counts(pack)
            if pack not in self._lines:
                self._lines[pack] = changed_lines(self.baseline, self.texts[pack])
            plan = plan_of(self.memory.iterations[row["iteration"]]) if row["iteration"] else {}
            found.append(
                Evidence(
                    pack=pack,
                    iteration=row["iteration"],
                    parents=tuple(name for name in (row["parent"], plan.get("merged")) if name),
                    member=row["state"] in {"baseline", "member"},
                    lines=self._lines[pack],
                    counts=counts,
                    score=member.score,
                    validated=validated,
                )
            )
        return found

    async def next_block(self, pack: str) -> int:
        """Return the first block behind a pack's."""
        heads = self.memory.evaluations.values()
        blocks = [h["block"] for h in heads if h["pack"] == pack and h["split"] == "validate" and h["block"] < CONFIRM]
        return max(blocks, default=-1) + 1

    async def last_of(self, worker: int) -> dict[str, Any] | None:
        """Return the latest iteration."""
        return self.memory.iterations.get(len(self.memory.iterations))

    async def sharing(self, n: int) -> int:
        """Return how many iterations use an analysis."""
        return 1 + sum(plan_of(row).get("analysis_of") == n for row in self.memory.iterations.values())

    async def sampled(self, pack: str) -> int:
        """Return how often a pack was sampled for failures of its own."""
        rows = self.memory.iterations.values()
        return sum(row["parent"] == pack and not plan_of(row) for row in rows)

    async def documents(self, split: str) -> tuple[str, ...]:
        """Return the documents of a split."""
        return self._documents[split]

    async def latest(self, most: int) -> list[int]:
        """Return nothing: the simulated editor reads no history."""
        return []

    async def history(self, iterations: Sequence[int]) -> list[str]:
        """Return nothing."""
        return []

    async def iteration(self, n: int) -> dict[str, Any]:
        """Return an iteration."""
        return self.memory.iterations[n]

    async def leads(self) -> int:
        """Return how often the lead was taken."""
        return max((row["led"] or 0 for row in self.memory.iterations.values()), default=0)

    async def incumbent(self) -> str:
        """Return the pack that took the lead last."""
        led = [row for row in self.memory.iterations.values() if row["led"]]
        return max(led, key=lambda row: row["led"])["mutant"] if led else self.baseline.version


@dataclass
class PlayedEvaluator:
    """`Evaluator` that draws trials from plays made beforehand."""

    worlds: Worlds
    seed: int
    documents: tuple[str, ...]
    curtail: bool
    calls: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Failure modes of the latest training evaluation."""

    def __post_init__(self) -> None:
        self._place = {document: at for at, document in enumerate(self.documents)}
        self._rules: dict[str, Obeyed] = {}
        self._made: dict[tuple[str, int], Trial] = {}

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
        place = self._place[document]
        key = random.Random(f"{self.seed}/{request.split}/{request.block}/{document}/{request.pack.version}")
        at = place * PLAYS + key.randrange(PLAYS)
        if request.split == "train":
            self.failed.update(mode.value for code in many.modes[at] if code > 0 and (mode := MODES[code]))
        calls = int((many.settled if self.curtail else many.calls)[at])
        paid = (request.evaluation, place)
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
) -> list[Point]:
    """Run one search until its calls are spent; return the leader after each iteration."""
    documents = {split: tuple(f"{seed}/{split}/{k}" for k in range(count)) for split, count in SIZES.items()}
    baseline = load_pack("cs")
    archive = MemoryArchive(baseline, documents, settings.wave)
    evaluator = PlayedEvaluator(worlds, seed, documents["train"] + documents["validate"], settings.curtail)
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
        estimator=estimator or estimator_of(settings),
        selector=selector or selector_of(settings),
        acceptance=acceptance or acceptance_of(settings, SIZES["validate"]),
    )
    runtime: Any = Runtime(context=OptContext(search))
    points: list[Point] = []
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
        points.append(await _point(search, archive, worlds, evaluator))
    return points


async def _point(search: Search, archive: MemoryArchive, worlds: Worlds, evaluator: PlayedEvaluator) -> Point:
    if search.settings.confirm:
        leader = await archive.incumbent()
        reported = (await archive.member(leader)).reported
        return Point(evaluator.calls, worlds.rate(evaluator.rules(archive.texts[leader])), float(reported or 0))
    evidence = await archive.evidence()
    estimates = search.estimator.estimate(evidence)
    members = [one for one in evidence if one.member and one.validated]
    leader = max(members, key=lambda one: (estimates.rate(one.pack), -one.iteration)).pack
    return Point(evaluator.calls, worlds.rate(evaluator.rules(archive.texts[leader])), estimates.rate(leader))


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
