"""The search as it stands in the ledger: population, evaluations, iterations.

Its SQL is in `checkpoints/queries/searches.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Self

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.protocols import Store
from autodata.checkpoints.queries import searches as queries
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes import record_baseline
from autodata.nodes.optimizer.evaluator import Trial
from autodata.nodes.optimizer.population import Member, best, wilson
from autodata.nodes.optimizer.state import Result
from autodata.prompts import PromptPack
from autodata.prompts.pack import parse_prompt
from autodata.prompts.patch import apply_diff


class LedgerArchive:
    """`Archive` over a ledger. `store` saves; without one it only reads."""

    def __init__(self, ledger: Reader, baseline: PromptPack, store: Store | None = None) -> None:
        self._ledger, self._baseline, self._store = ledger, baseline, store
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

    async def leads(self) -> int:
        """Return how often the lead was taken."""
        return max((led for led, _ in await queries.leaders(self._ledger)), default=0)

    async def incumbent(self) -> str:
        """Return the version of the pack that is believed to be the best so far."""
        leaders = await queries.leaders(self._ledger)
        return leaders[0][1] if leaders else self._baseline.version

    async def winner(self, *, confirmed: bool) -> str:
        """Return the pack to use: the last confirmed incumbent, else the one with the best mean score."""
        if confirmed:
            return await self.incumbent()
        members = [member for member in await self.members() if member.score is not None]
        return best(members).pack if members else self._baseline.version

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
