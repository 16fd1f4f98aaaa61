"""What a search found, read from its folder: for the terminal, for programs, for pictures and the report.

Every view of a search reads its figures here, so that they say the same of the same prompts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries import searches
from autodata.checkpoints.queries.meta import own_parts
from autodata.checkpoints.queries.usage import usage_by_role, usage_of_all
from autodata.corpus.reporting.search import PackScore
from autodata.jobs.run_ledger import ledger_of
from autodata.nodes.optimizer.estimate import Estimator
from autodata.nodes.optimizer.settings import as_before
from autodata.prompts import PromptPack
from autodata.runner.config import read_resolved, stored_config
from autodata.runner.optimization.archive import LedgerArchive, parents_of
from autodata.runner.optimization.session import OptimizeRunConfig, held_out_results

_JSON = ("probabilities", "minibatch", "history", "analysis", "edits", "confirmed")
"""Columns of table `iterations` that hold JSON."""


@dataclass(frozen=True)
class SearchReport:
    """A search as it stands."""

    summary: dict[str, Any]
    """Its figures; `roles` holds a row a role, as `usage_by_role` has it."""
    iterations: list[dict[str, Any]]
    """Rows of table `iterations`, in order."""
    winner_pack: PromptPack
    winner_iteration: int
    packs: tuple[PackScore, ...] = ()
    """Every pack that was validated, with its estimated rate as of now, in the order of iterations."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values: the summary, every iteration as `log`, every validated pack as `packs`."""
        return {
            **self.summary,
            "log": [parsed(row) for row in self.iterations],
            "packs": [one.as_dict() for one in self.packs],
        }

    @classmethod
    async def of(cls, folder: Path, *, estimator: Estimator | None = None) -> Self:
        """Read the folder of a search; `estimator` is one of the caller's own. Raises UserError when it is none."""
        config = search_config(folder)
        async with ledger_of(folder, search=True) as ledger:
            return await cls.read(ledger, await archive_of(ledger, folder, config, estimator), config)

    @classmethod
    async def read(cls, ledger: Reader, archive: LedgerArchive, config: OptimizeRunConfig) -> Self:
        """Read an open search."""
        rows = await searches.iterations(ledger)
        members = await archive.members()
        winner = await archive.winner(config.optimize)
        member = await archive.member(winner)
        summary = {
            "iterations": config.optimize.iterations,
            "iterations_begun": len(rows),
            "iterations_ended": sum(row["outcome"] != "open" for row in rows),
            "outcomes": dict(sorted(Counter(row["outcome"] for row in rows).items())),
            "population": len(members),
            "baseline": await archive.figures(members[0].pack, config.optimize),
            "winner": {
                **await archive.figures(winner, config.optimize),
                "confirmed": bool(config.optimize.confirm) and member.iteration > 0,
            },
            "refused_edits": sum(
                len(json.loads(row["edits"]).get("refusals", ())) for row in rows if row["edits"] != "[]"
            ),
            **await usage_of_all(ledger),
            "roles": await usage_by_role(ledger),
            "own_parts": await own_parts(ledger),
            "test": [await archive.held_out_figures(result) for result in await held_out_results(archive, ledger)],
        }
        packs = await pack_scores(ledger, archive, config)
        return cls(summary, rows, await archive.pack(winner), member.iteration, packs)


async def archive_of(
    ledger: Reader, folder: Path, config: OptimizeRunConfig, estimator: Estimator | None = None
) -> LedgerArchive:
    """Return a search's archive, to read from. Raises UserError when the search has not begun."""
    return await LedgerArchive.of(ledger, str(folder), batch=config.optimize.wave, estimator=estimator)


async def pack_scores(ledger: Reader, archive: LedgerArchive, config: OptimizeRunConfig) -> tuple[PackScore, ...]:
    """Return every pack that was validated with its rate, by the estimator of the search."""
    winner, rows = await archive.winner(config.optimize), await searches.lineages(ledger)
    figures = await archive.figures_of([row["pack"] for row in rows], config.optimize)
    found = []
    for row in rows:
        of_pack = figures[row["pack"]]
        low, high = of_pack["interval"] or (None, None)
        if of_pack["score"] is not None:
            found.append(
                PackScore(
                    pack=row["pack"],
                    iteration=row["iteration"],
                    parents=parents_of(row),
                    score=of_pack["score"],
                    low=low,
                    high=high,
                    member=row["state"] in {"baseline", "member"},
                    winner=row["pack"] == winner,
                )
            )
    return tuple(found)


async def scores_for_report(folder: Path) -> tuple[PackScore, ...]:
    """Return the rates of a folder's packs; none where the folder holds a run, or a search that has not begun."""
    path = folder / "config.toml"
    if not path.exists() or read_resolved(path).get("kind") != OptimizeRunConfig.kind:
        return ()
    config = search_config(folder)
    async with ledger_of(folder, search=True) as ledger:
        if await searches.baseline_pack(ledger) is None:
            return ()
        return await pack_scores(ledger, await archive_of(ledger, folder, config), config)


def parsed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of table `iterations` with its JSON columns read."""
    return {name: json.loads(value) if name in _JSON and value else value for name, value in row.items()}


def search_config(folder: Path) -> OptimizeRunConfig:
    """Return the configuration that a search was made with. Raises UserError when the folder holds none."""
    path = folder / "config.toml"
    if not path.exists():
        raise UserError(f"{folder}: no such search: name the folder that 'autodata optimize --out' made")
    if read_resolved(path).get("kind") != OptimizeRunConfig.kind:
        raise UserError(f"{folder} holds no search: name the folder that 'autodata optimize --out' made")
    config = OptimizeRunConfig.of(stored_config(path, kind=OptimizeRunConfig.kind))
    if "estimator" in config.optimize.model_fields_set:
        return config
    return config.model_copy(update={"optimize": as_before(config.optimize)})
