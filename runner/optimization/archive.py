"""The search as it stands in the ledger: population, evaluations, iterations. All SQL of the optimiser is here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Self

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.records import DocumentStatus, Store, UserError, canonical_json
from autodata.nodes.optimizer.evaluator import Trial
from autodata.nodes.optimizer.population import Member, best
from autodata.nodes.optimizer.state import Result
from autodata.prompts import PromptPack
from autodata.prompts.pack import parse_prompt
from autodata.prompts.patch import apply_diff

BASELINE = "baseline"
"""State of the pack that the search started from; `member`, `rejected`, `invalid` and `candidate` are the others."""


class LedgerArchive:
    """`Archive` over a ledger. `store` saves; without one it only reads."""

    def __init__(self, ledger: Reader, baseline: PromptPack, store: Store | None = None) -> None:
        self._ledger, self._baseline, self._store = ledger, baseline, store
        self._packs: dict[str, PromptPack] = {baseline.version: baseline}
        self._results: dict[str, Result] = {}

    @classmethod
    async def of(cls, ledger: Reader, where: str) -> Self:
        """Return the archive of a search, its baseline read from the ledger. Raises UserError when none has begun."""
        rows = await ledger.read("select pack, texts from packs where state = ?", (BASELINE,))
        if not rows:
            raise UserError(f"{where}: the search has not begun: go on with 'autodata optimize --out {where}'")
        texts = json.loads(rows[0]["texts"])
        prompts = {role: parse_prompt(role, text, f"{where}: {role}.md") for role, text in texts.items()}
        return cls(ledger, PromptPack("baseline", prompts))

    async def enter_baseline(self) -> None:
        """Enter the baseline as the first of the population. Doing it twice is harmless."""
        if not await self._ledger.read("select pack from packs where state = ?", (BASELINE,)):
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            row = {"pack": self._baseline.version, "state": BASELINE, "diff": "", "iteration": 0, "created_at": now}
            texts = {role: prompt.text for role, prompt in self._baseline.prompts.items()}
            await self.save(packs=[{**row, "texts": texts}])

    async def members(self) -> list[Member]:
        """Return the population, in the order of iterations."""
        return await self._scored("p.state in ('baseline', 'member')")

    async def member(self, pack: str) -> Member:
        """Return any pack with its scores, whether it is one of the population or not."""
        found = await self._scored("p.pack = ?", pack)
        if not found:
            raise KeyError(pack)
        return found[0]

    async def _scored(self, which: str, *values: str) -> list[Member]:
        rows = await self._ledger.read(
            "select p.pack, p.iteration, e.block, e.passed, e.documents, e.errored from packs p left join evaluations e"  # noqa: S608
            " on e.pack = p.pack and e.split = 'validate' and e.state = 'done' and e.score is not null"
            f" where {which} order by p.iteration, p.pack, e.block",
            values,
        )
        blocks: dict[tuple[int, str], dict[int, Fraction]] = {}
        for row in rows:
            known = blocks.setdefault((row["iteration"], row["pack"]), {})
            if row["block"] is not None:
                known[row["block"]] = Fraction(row["passed"], row["documents"] - row["errored"])
        return [Member(pack, iteration, scores) for (iteration, pack), scores in blocks.items()]

    async def pack(self, version: str) -> PromptPack:
        """Return a pack, rebuilt from the baseline and its diff. Raises KeyError for an unknown one."""
        if version not in self._packs:
            rows = await self._ledger.read("select diff from packs where pack = ?", (version,))
            if not rows:
                raise KeyError(version)
            rebuilt = apply_diff(self._baseline, rows[0]["diff"])
            if rebuilt.version != version:
                raise UserError(f"prompt pack {version} cannot be rebuilt: its diff gives {rebuilt.version}")
            self._packs[version] = rebuilt
        return self._packs[version]

    async def result(self, evaluation: str) -> Result | None:
        """Return a finished or stopped evaluation, or None."""
        if evaluation in self._results:
            return self._results[evaluation]
        heads = await self._ledger.read(
            "select * from evaluations where evaluation = ? and state in ('done', 'stopped')", (evaluation,)
        )
        if not heads:
            return None
        rows = await self._ledger.read(
            "select * from trials where evaluation = ? and status != 'pending' order by position", (evaluation,)
        )
        trials = tuple(
            Trial(row["document_id"], DocumentStatus(row["status"]), row["rounds"], row["calls"]) for row in rows
        )
        head = heads[0]
        complete = head["state"] == "done"
        found = Result(evaluation, head["pack"], head["split"], head["block"], trials, complete=complete)
        if complete:
            self._results[evaluation] = found
        return found

    async def open_iteration(self, lane: int) -> dict[str, Any] | None:
        """Return the row of the iteration that a lane has begun and not ended, or None."""
        rows = await self._ledger.read("select * from iterations where outcome = 'open' and lane = ?", (lane,))
        return rows[0] if rows else None

    async def begun(self) -> int:
        """Return how many iterations were begun."""
        return int((await self._ledger.read("select count(*) as n from iterations"))[0]["n"])

    async def sampled(self, pack: str) -> int:
        """Return how often a pack was sampled as parent."""
        rows = await self._ledger.read("select count(*) as n from iterations where parent = ?", (pack,))
        return int(rows[0]["n"])

    async def documents(self, split: str) -> tuple[str, ...]:
        """Return the ids of a split's documents, in order."""
        rows = await self._ledger.read(
            "select document_id from splits where split = ? order by position, document_id", (split,)
        )
        return tuple(row["document_id"] for row in rows)

    async def latest(self, most: int) -> list[int]:
        """Return the numbers of the iterations that ended last, in order."""
        rows = await self._ledger.read(
            "select iteration from iterations where outcome != 'open' order by iteration desc limit ?", (most,)
        )
        return [row["iteration"] for row in reversed(rows)]

    async def history(self, iterations: Sequence[int]) -> list[str]:
        """Return the entries of the history log of some iterations."""
        rows = await self._ledger.read(
            "select summary from iterations where iteration in (select value from json_each(?)) order by iteration",
            (canonical_json(list(iterations)),),
        )
        return [row["summary"] for row in rows]

    async def iteration(self, n: int) -> dict[str, Any]:
        """Return the row of an iteration. Raises KeyError for one that was not begun."""
        rows = await self._ledger.read("select * from iterations where iteration = ?", (n,))
        if not rows:
            raise KeyError(n)
        return rows[0]

    async def leads(self) -> int:
        """Return how often the lead was taken."""
        return int((await self._ledger.read("select coalesce(max(led), 0) as n from iterations"))[0]["n"])

    async def record(self) -> str:
        """Return the version of the pack that is believed to be the best so far."""
        rows = await self._ledger.read("select mutant from iterations where led is not null order by led desc limit 1")
        return str(rows[0]["mutant"]) if rows else self._baseline.version

    async def winner(self, *, confirmed: bool) -> str:
        """Return the pack to use: the last confirmed record, else the one with the best mean score."""
        if confirmed:
            return await self.record()
        members = [member for member in await self.members() if member.score is not None]
        return best(members).pack if members else self._baseline.version

    async def lineage(self, pack: str) -> list[dict[str, Any]]:
        """Return the rows of table `packs` from the baseline to a pack, each the parent of the next."""
        rows = {row["pack"]: row for row in await self._ledger.read("select * from packs")}
        line = []
        current: str | None = pack
        while current is not None:
            line.append(rows[current])
            current = rows[current]["parent"]
        return line[::-1]

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        """Save rows; return when they are durable."""
        if self._store is None:
            raise RuntimeError("this archive only reads")
        await self._store.save(**tables)
