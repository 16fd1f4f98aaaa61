"""What a search found, as the terminal shows it: how it stands, and the origin of each line of its prompts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.cli.figures import calls_table, may_be_billed
from autodata.jobs.run_ledger import ledger_of
from autodata.jobs.search_report import SearchReport, archive_of, search_config
from autodata.nodes.optimizer.blame import Version, blame
from autodata.runner.optimization.archive import parents_of

SHOWN = 12
"""Latest iterations that the terminal shows."""


async def blamed(folder: Path, role: str = "") -> list[str]:
    """Return the winning prompts line by line, each with the iteration that wrote it and its score."""
    config = search_config(folder)
    async with ledger_of(folder, search=True) as ledger:
        archive = await archive_of(ledger, folder, config)
        rows = await archive.lineage(await archive.winner(config.optimize))
        figures = await archive.figures_of([row["pack"] for row in rows], config.optimize)
        versions = [
            Version(row["iteration"], figures[row["pack"]]["score"], await archive.pack(row["pack"]), parents_of(row))
            for row in rows
        ]
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
    for name in ("", "pack", "iteration", "validation", "95% interval", "blocks"):
        table.add_column(name)
    for name, row in (("baseline", baseline), ("winner", winner)):
        interval = "-" if row["interval"] is None else "{:.3f} to {:.3f}".format(*row["interval"])
        table.add_row(name, row["pack"], str(row["iteration"]), rate(row["score"]), interval, str(row["blocks"]))
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
