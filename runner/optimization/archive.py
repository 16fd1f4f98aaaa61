"""The search as it stands in the ledger: population, evaluations, iterations.

Its SQL is in `checkpoints/queries/searches.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import Any, Self

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.protocols import Store
from autodata.checkpoints.queries import searches as queries
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes import record_baseline
from autodata.nodes.optimizer.estimate import Evidence, leader_of
from autodata.nodes.optimizer.evaluator import Trial
from autodata.nodes.optimizer.population import CONFIRM, Member, wilson
from autodata.nodes.optimizer.settings import OptimizeConfig
from autodata.nodes.optimizer.state import Result
from autodata.nodes.optimizer.strategies import estimator_of
from autodata.prompts import PromptPack
from autodata.prompts.pack import parse_prompt
from autodata.prompts.patch import apply_diff


class LedgerArchive:
    """`Archive` over a ledger. `store` saves; without one it only reads."""

    def __init__(self, ledger: Reader, baseline: PromptPack, store: Store | None = None, *, batch: int = 1) -> None:
        """`batch`: documents that an evaluation takes between two looks; a batch that is not over is left out."""
        self._ledger, self._baseline, self._store, self._batch = ledger, baseline, store, batch
        self._lines: dict[str, frozenset[str]] = {}
        self._packs: dict[str, PromptPack] = {baseline.version: baseline}
        self._results: dict[str, Result] = {}

    @classmethod
    async def of(cls, ledger: Reader, where: str) -> Self:
        """Return the archive of a search, its baseline read from the ledger. Raises UserError when none has begun."""
        row = await queries.baseline_pack(ledger)
        if row is None:
            raise UserError(f"{where}: the search has not begun: go on with 'autodata optimize --out {where}'")
        texts = json.loads(row["texts"])
        prompts = {role: parse_prompt(role, text, f"{where}: {role}.md") for role, text in texts.items()}
        return cls(ledger, PromptPack("baseline", prompts))

    async def add_baseline(self) -> None:
        """Enter the baseline as the first of the population. Doing it twice changes nothing."""
        if await queries.baseline_pack(self._ledger) is None:
            texts = {role: prompt.text for role, prompt in self._baseline.prompts.items()}
            await record_baseline(self.store, self._baseline.version, texts)

    async def members(self) -> list[Member]:
        """Return the population, in the order of iterations."""
        return _scored(await queries.scores_of_members(self._ledger))

    async def member(self, pack: str) -> Member:
        """Return any pack with its scores, whether it is one of the population or not."""
        found = _scored(await queries.scores_of_pack(self._ledger, pack))
        if not found:
            raise KeyError(pack)
        return found[0]

    async def pack(self, version: str) -> PromptPack:
        """Return a pack, rebuilt from the baseline and its diff. Raises KeyError for an unknown one."""
        if version not in self._packs:
            diff = await queries.diff_of(self._ledger, version)
            if diff is None:
                raise KeyError(version)
            rebuilt = apply_diff(self._baseline, diff)
            if rebuilt.version != version:
                raise UserError(f"prompt pack {version} cannot be rebuilt: its diff gives {rebuilt.version}")
            self._packs[version] = rebuilt
        return self._packs[version]

    async def result(self, evaluation: str) -> Result | None:
        """Return a finished or stopped evaluation, or None."""
        if evaluation in self._results:
            return self._results[evaluation]
        head = await queries.ended_evaluation(self._ledger, evaluation)
        if head is None:
            return None
        rows = await queries.ended_trials(self._ledger, evaluation)
        trials = tuple(
            Trial(row["document_id"], DocumentStatus(row["status"]), row["rounds"], row["calls"]) for row in rows
        )
        complete = head["state"] == "done"
        if not complete:
            positions = [row["position"] for row in rows]
            trials = trials[: whole_batches(positions, self._batch, head["documents"])]
        found = Result(evaluation, head["pack"], head["split"], head["block"], trials, complete=complete)
        if complete:
            self._results[evaluation] = found
        return found

    async def open_iteration(self, worker: int) -> dict[str, Any] | None:
        """Return the row of the iteration that a worker has begun and not ended, or None."""
        return await queries.open_iteration(self._ledger, worker)

    async def begun(self) -> int:
        """Return how many iterations were begun."""
        return await queries.count_begun(self._ledger)

    async def evidence(self) -> list[Evidence]:
        """Return every pack that may be evaluated with its trials, each after its parents, the baseline first."""
        packs = await queries.lineages(self._ledger)
        trials = await queries.trials_of_packs(self._ledger)
        sizes = {split: len(await self.documents(split)) for split in ("train", "validate")}
        found = gathered(trials, self._batch, sizes)
        scores = {member.pack: member.score for member in _scored(await queries.scores_of_all(self._ledger))}
        return [
            Evidence(
                pack=row["pack"],
                iteration=row["iteration"],
                parents=tuple(name for name in (row["parent"], row["merged"]) if name),
                member=row["state"] in {"baseline", "member"},
                lines=await self._lines_of(row["pack"]),
                counts=found.counts.get(row["pack"], {}),
                score=scores.get(row["pack"]),
                validated=found.validated.get(row["pack"], 0),
            )
            for row in packs
        ]

    async def _lines_of(self, pack: str) -> frozenset[str]:
        if pack not in self._lines:
            self._lines[pack] = changed_lines(self._baseline, await self.pack(pack))
        return self._lines[pack]

    async def next_block(self, pack: str) -> int:
        """Return the first seed block behind all that a pack was validated on, confirmations left out."""
        last = await queries.last_block(self._ledger, pack, CONFIRM)
        return 0 if last is None else last + 1

    async def last_of(self, worker: int) -> dict[str, Any] | None:
        """Return the row of the iteration that a worker ended last, or None."""
        return await queries.last_iteration_of(self._ledger, worker)

    async def sharing(self, n: int) -> int:
        """Return how many iterations use the analysis of iteration `n`, itself included."""
        return 1 + await queries.count_sharing(self._ledger, n)

    async def sampled(self, pack: str) -> int:
        """Return how often a pack was sampled as parent."""
        return await queries.count_sampled(self._ledger, pack)

    async def documents(self, split: str) -> tuple[str, ...]:
        """Return the ids of a split's documents, in order."""
        return tuple(await queries.documents_of_split(self._ledger, split))

    async def latest(self, most: int) -> list[int]:
        """Return the numbers of the iterations that ended last, in order."""
        return await queries.latest_ended(self._ledger, most)

    async def history(self, iterations: Sequence[int]) -> list[str]:
        """Return the entries of the history log of some iterations."""
        return await queries.summaries(self._ledger, iterations)

    async def iteration(self, n: int) -> dict[str, Any]:
        """Return the row of an iteration. Raises KeyError for one that was not begun."""
        row = await queries.iteration_of(self._ledger, n)
        if row is None:
            raise KeyError(n)
        return row

    async def errored_in_a_row(self) -> int:
        """Return how many of the iterations that ended last errored, with none that did not between them."""
        return await queries.count_errored_last(self._ledger)

    async def text(self, document: str) -> str:
        """Return a document's text. Raises KeyError for an unknown one."""
        return await self._ledger.get(f"document/{document}")

    async def leads(self) -> int:
        """Return how often the lead was taken."""
        return max((led for led, _ in await queries.leaders(self._ledger)), default=0)

    async def incumbent(self) -> str:
        """Return the version of the pack that is believed to be the best so far."""
        leaders = await queries.leaders(self._ledger)
        return leaders[0][1] if leaders else self._baseline.version

    async def winner(self, settings: OptimizeConfig) -> str:
        """Return the pack to use: the last confirmed incumbent, else the member with the best estimate."""
        if settings.confirm:
            return await self.incumbent()
        evidence = await self.evidence()
        if not any(one.member and one.tried for one in evidence):
            return self._baseline.version
        return leader_of(evidence, estimator_of(settings).estimate(evidence))

    async def figures(self, pack: str, settings: OptimizeConfig) -> dict[str, Any]:
        """Return how a pack stands as plain values; `score` is its estimate, with a 95% interval.

        Under `mean` the score is the mean over confirming blocks where there are any. None before the first trial.
        """
        found = member_figures(await self.member(pack)) | {"interval": None}
        evidence = await self.evidence()
        if not any(one.pack == pack and one.tried for one in evidence):
            return found
        estimates = estimator_of(settings).estimate(evidence)
        if settings.estimator != "mean":
            found["score"] = estimates.rate(pack)
        return found | {"interval": list(estimates.interval(pack))}

    async def held_out_figures(self, result: Result) -> dict[str, Any]:
        """Return a held-out test's figures as plain values, with Wilson's 95% interval."""
        passed = sum(trial.passed for trial in result.trials)
        counted = sum(trial.status is not DocumentStatus.ERRORED for trial in result.trials)
        return {
            "pack": result.pack,
            "iteration": (await self.member(result.pack)).iteration,
            "passed": passed,
            "documents": counted,
            "rate": passed / counted if counted else None,
            "interval": list(wilson(passed, counted)) if counted else None,
        }

    async def lineage(self, pack: str) -> list[dict[str, Any]]:
        """Return the rows of table `packs` from the baseline to a pack, each the parent of the next."""
        rows = await queries.packs(self._ledger)
        line = []
        current: str | None = pack
        while current is not None:
            line.append(rows[current])
            current = rows[current]["parent"]
        return line[::-1]

    @property
    def store(self) -> Store:
        """What the search is recorded in. Raises RuntimeError for an archive that only reads."""
        if self._store is None:
            raise RuntimeError("this archive only reads")
        return self._store


@dataclass(frozen=True)
class Gathered:
    """Trials by pack: how they came out by document, and how many of them were validation."""

    counts: Mapping[str, Mapping[str, tuple[int, int]]]
    validated: Mapping[str, int]


def gathered(trials: Sequence[Mapping[str, Any]], batch: int, sizes: Mapping[str, int]) -> Gathered:
    """Count trials by pack and document; those that errored, and batches that are not over, are left out."""
    counts: dict[str, dict[str, tuple[int, int]]] = {}
    validated: Counter[str] = Counter()
    for _, group in groupby(trials, key=itemgetter("evaluation")):
        rows = list(group)
        if rows[0]["state"] != "done":
            rows = rows[: whole_batches([row["position"] for row in rows], batch, sizes[rows[0]["split"]])]
        for row in rows:
            if row["status"] == DocumentStatus.ERRORED:
                continue
            of_pack = counts.setdefault(row["pack"], {})
            passed, tried = of_pack.get(row["document_id"], (0, 0))
            of_pack[row["document_id"]] = (passed + (row["status"] == DocumentStatus.ACCEPTED), tried + 1)
            validated[row["pack"]] += row["split"] == "validate"
    return Gathered(counts, validated)


def whole_batches(positions: Sequence[int], batch: int, size: int) -> int:
    """Return how many of an evaluation's first trials are of batches that are over.

    `positions` are those of the documents that ended, in order; `size` counts the documents of the evaluation.
    """
    ended = next((at for at, position in enumerate(positions) if at != position), len(positions))
    return ended if ended >= size else ended - ended % batch


def changed_lines(baseline: PromptPack, pack: PromptPack) -> frozenset[str]:
    """Return what of a pack's lines differs from the baseline's: sign, role and line of each."""
    found: set[str] = set()
    for role, prompt in pack.prompts.items():
        before = baseline.prompts[role].text if role in baseline.prompts else ""
        if before != prompt.text:
            old, new = set(before.splitlines()), set(prompt.text.splitlines())
            found |= {f"+{role}:{line}" for line in new - old} | {f"-{role}:{line}" for line in old - new}
    return frozenset(found)


def member_figures(member: Member) -> dict[str, Any]:
    """Return how a pack stands as plain values; its scores are None before its first validation."""
    return {
        "pack": member.pack,
        "iteration": member.iteration,
        "score": None if member.reported is None else float(member.reported),
        "mean": None if member.score is None else float(member.score),
        "blocks": len(member.blocks),
    }


def _scored(rows: Sequence[Mapping[str, Any]]) -> list[Member]:
    blocks: dict[tuple[int, str], dict[int, Fraction]] = {}
    for row in rows:
        known = blocks.setdefault((row["iteration"], row["pack"]), {})
        if row["block"] is not None:
            known[row["block"]] = Fraction(row["passed"], row["documents"] - row["errored"])
    return [Member(pack, iteration, scores) for (iteration, pack), scores in blocks.items()]
