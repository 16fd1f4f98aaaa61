"""What a search found, read from its folder: for the terminal, for programs, for the picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.searches import iterations
from autodata.checkpoints.queries.usage import usage_by_role, usage_of_all
from autodata.cli.figures import calls_table, may_be_billed
from autodata.jobs.run_ledger import ledger_of
from autodata.nodes.optimizer.blame import Version, blame
from autodata.nodes.optimizer.settings import as_before
from autodata.prompts import PromptPack
from autodata.runner.config import read_resolved, stored_config
from autodata.runner.optimization.archive import LedgerArchive
from autodata.runner.optimization.session import OptimizeRunConfig, held_out_results

SHOWN = 12
"""Latest iterations that the terminal shows."""
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

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values: the summary, and every iteration as `log`."""
        return {**self.summary, "log": [parsed(row) for row in self.iterations]}

    @classmethod
    async def of(cls, folder: Path) -> Self:
        """Read the folder of a search. Raises UserError when it is none."""
        config = search_config(folder)
        async with ledger_of(folder, search=True) as ledger:
            return await cls.read(ledger, await LedgerArchive.of(ledger, str(folder)), config)

    @classmethod
    async def read(cls, ledger: Reader, archive: LedgerArchive, config: OptimizeRunConfig) -> Self:
        """Read an open search."""
        rows = await iterations(ledger)
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
            "test": [await archive.held_out_figures(result) for result in await held_out_results(archive, ledger)],
        }
        return cls(summary, rows, await archive.pack(winner), member.iteration)


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


def _refusals(row: Mapping[str, Any]) -> int:
    edits = json.loads(row["edits"])
    return len(edits["refusals"]) if isinstance(edits, dict) else 0


async def blamed(folder: Path, role: str = "") -> list[str]:
    """Return the winning prompts line by line, each with the iteration that wrote it and its score."""
    config = search_config(folder)
    async with ledger_of(folder, search=True) as ledger:
        archive = await LedgerArchive.of(ledger, str(folder))
        winner = await archive.winner(config.optimize)
        versions = []
        for row in await archive.lineage(winner):
            score = (await archive.figures(row["pack"], config.optimize))["score"]
            versions.append(Version(row["iteration"], score, await archive.pack(row["pack"])))
    found = blame(versions)
    if role and role not in found:
        raise UserError(f"{folder}: no prompt for {role!r}: it has {', '.join(found)}")
    lines: list[str] = []
    for name, of_role in found.items():
        if role in ("", name):
            lines += [] if role else [f"==> {name}.md <=="]
            lines += [f"{_origin(line.iteration, line.score)} | {line.text}" for line in of_role]
    return lines


def _origin(iteration: int, score: float | None) -> str:
    if not iteration:
        return "baseline".ljust(14)
    shown = "" if score is None else f" {score:.3f}"
    return f"#{iteration}{shown}".ljust(14)


def show_search(out: Console, folder: Path, report: SearchReport) -> None:
    """Print a report."""
    summary = report.summary
    winner, baseline = summary["winner"], summary["baseline"]
    out.print(Text(f"{folder}: {summary['iterations_ended']} of {summary['iterations']} iterations done", style="bold"))
    counted = ", ".join(f"{name} {count}" for name, count in summary["outcomes"].items()) or "nothing yet"
    out.print(f"{counted}; population {summary['population']}, refused edits {summary['refused_edits']}")
    out.print(calls_table(summary, summary["roles"]))
    if billed := may_be_billed(summary):
        out.print(billed)
    table = Table(box=None, pad_edge=False)
    for name in ("", "pack", "iteration", "validation", "blocks"):
        table.add_column(name)
    for name, row in (("baseline", baseline), ("winner", winner)):
        table.add_row(name, row["pack"], str(row["iteration"]), rate(row["score"]), str(row["blocks"]))
    out.print(table)
    if not winner["confirmed"] and winner["iteration"]:
        out.print("not confirmed: the best of many noisy scores flatters itself; see --confirm and --test")
    for row in summary["test"]:
        low, high = row["interval"] or (0.0, 1.0)
        name = "baseline" if row["pack"] == baseline["pack"] else f"winner of iteration {row['iteration']}"
        passed = f"{row['passed']} of {row['documents']}, {rate(row['rate'])}"
        out.print(f"held-out test, {name}: {passed}, 95% interval {low:.3f} to {high:.3f}")
    if summary["test"] and winner["pack"] not in {row["pack"] for row in summary["test"]}:
        out.print("the present winner was not tested: the test split was opened before, and is opened once")
    for row in report.iterations[-SHOWN:]:
        out.print(Text(f"  {row['iteration']:>4} {row['outcome']:<9} {_scores(row)} {row['reason'] or ''}"[:160]))


def _scores(row: Mapping[str, Any]) -> str:
    return f"{rate(row['parent_score'])} -> {rate(row['mutant_score'])}"


def rate(value: float | None) -> str:
    """Return a rate of 0..1 with three digits, a dash for none."""
    return "    -" if value is None else f"{value:.3f}"
