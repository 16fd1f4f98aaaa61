"""The ledger of a search in memory: what the nodes of the optimiser's graph read and save, without SQLite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.optimizer.estimate import Evidence
from autodata.nodes.optimizer.evaluator import Trial
from autodata.nodes.optimizer.population import CONFIRM, Member
from autodata.nodes.optimizer.select import plan_of
from autodata.nodes.optimizer.state import Result
from autodata.prompts import PromptPack
from autodata.runner.optimization.archive import changed_lines, gathered


@dataclass
class MemoryStore:
    """Tables in memory: rows by their key, later values over earlier ones."""

    iterations: dict[int, dict[str, Any]] = field(default_factory=dict)
    packs: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluations: dict[str, dict[str, Any]] = field(default_factory=dict)
    trials: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    of_pack: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Evaluations by pack."""
    changed: Counter[str] = field(default_factory=Counter)
    """How often anything of a pack was saved."""

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Save rows as a ledger does."""
        begun = {"outcome": "open", "edits": "[]", "confirmed": None, "analysis": None, "led": None, "leader": None}
        for row in tables.get("iterations", ()):
            self.iterations.setdefault(row["iteration"], {**begun, "block": 0, "record": 0}).update(row)
        for row in tables.get("packs", ()):
            self.packs.setdefault(row["pack"], {"parent": None}).update(row)
            self.changed[row["pack"]] += 1
        for row in tables.get("evaluations", ()):
            if row["evaluation"] not in self.evaluations:
                self.evaluations[row["evaluation"]] = {"state": "open", "calls": 0}
                self.of_pack.setdefault(row["pack"], []).append(self.evaluations[row["evaluation"]])
            self.evaluations[row["evaluation"]].update(row)
            self.changed[self.evaluations[row["evaluation"]]["pack"]] += 1
        if trials := tables.get("trials"):
            evaluation = str(trials[0]["evaluation"])
            rows = self.trials.setdefault(evaluation, [])
            rows[:] = [dict(row) for row in trials]
            self.changed[self.evaluations[evaluation]["pack"]] += 1


class MemoryArchive:
    """`Archive` over tables in memory, one worker."""

    def __init__(self, baseline: PromptPack, documents: Mapping[str, tuple[str, ...]], batch: int) -> None:
        """`documents` by split; `batch`: documents that an evaluation takes between two looks."""
        self.memory = MemoryStore()
        self.baseline, self._documents, self._batch = baseline, documents, batch
        self.texts: dict[str, PromptPack] = {baseline.version: baseline}
        self._evidence: dict[str, tuple[int, Evidence]] = {}
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
        """Return a pack's changes, its trials by document, how many validated, and its scores."""
        known = self._counted.get(pack)
        if known is None or known[0] != self.memory.changed[pack]:
            heads = [head for head in self.memory.of_pack.get(pack, ()) if head["state"] != "open"]
            rows = [
                {**head, **row, "state": head["state"]}
                for head in heads
                for row in self.memory.trials[head["evaluation"]]
            ]
            found = gathered(rows, self._batch, {split: len(names) for split, names in self._documents.items()})
            blocks = {
                head["block"]: Fraction(head["passed"], head["documents"])
                for head in heads
                if head["split"] == "validate" and head["state"] == "done"
            }
            member = Member(pack, self.memory.packs[pack]["iteration"], blocks)
            counts, validated = found.counts.get(pack, {}), found.validated.get(pack, 0)
            known = (self.memory.changed[pack], counts, validated, member)
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
        """Return every pack with its trials: the same object as before where nothing of a pack was saved since."""
        return [self._evidence_on(pack) for pack in self._by_iteration()]

    def _by_iteration(self) -> list[str]:
        return sorted(self.memory.packs, key=lambda pack: self.memory.packs[pack]["iteration"])

    def _evidence_on(self, pack: str) -> Evidence:
        row = self.memory.packs[pack]
        known = self._evidence.get(pack)
        if known is None or known[0] != self.memory.changed[pack]:
            changes, counts, validated, member = self._counts(pack)
            plan = plan_of(self.memory.iterations[row["iteration"]]) if row["iteration"] else {}
            made = Evidence(
                pack=pack,
                iteration=row["iteration"],
                parents=tuple(name for name in (row["parent"], plan.get("merged")) if name),
                member=row["state"] in {"baseline", "member"},
                lines=changed_lines(self.baseline, self.texts[pack]),
                counts=counts,
                score=member.score,
                validated=validated,
            )
            known = (changes, made)
            self._evidence[pack] = known
        return known[1]

    async def next_block(self, pack: str) -> int:
        """Return the first block behind a pack's."""
        heads = self.memory.of_pack.get(pack, ())
        blocks = [h["block"] for h in heads if h["split"] == "validate" and h["block"] < CONFIRM]
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
