"""`autodata optimize show`: the iterations of a search, or one whole: parent, analysis, edit, documents, decision."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.documents import documents
from autodata.checkpoints.queries.searches import blocks_by, iterations
from autodata.cli.optimize_report import rate
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import ledger_of
from autodata.jobs.search_report import archive_of, parsed, search_config
from autodata.nodes.optimizer.evaluate import evaluation_id
from autodata.nodes.optimizer.population import CONFIRM
from autodata.runner.optimization.archive import LedgerArchive


@dataclass(frozen=True)
class Iteration:
    """One iteration as it is recorded, with what was edited and how the documents went."""

    row: dict[str, Any]
    """The row of table `iterations`, its JSON columns read; the number of the parent's iteration as `parent_iteration`,
    the probability (0..1) with which it was sampled as `parent_probability`."""
    diff: str
    """The edit as a unified diff over the files of the pack; empty where there is no mutant."""
    documents: list[dict[str, Any]]
    """A row a document and block of the comparison: (document_id, name, block, parent, mutant), the last two a status,
    None where it was not evaluated. A comparison in batches begins on a block and may go on to those behind it."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**self.row, "diff": self.diff, "documents": self.documents}


async def read_iterations(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all iterations, JSON columns read. Raises UserError when the folder holds no search."""
    search_config(folder)
    async with ledger_of(folder, search=True) as ledger:
        return [parsed(row) for row in await iterations(ledger)]


async def read_iteration(folder: Path, n: int) -> Iteration:
    """Return one iteration whole. Raises UserError for one that was not begun."""
    config = search_config(folder)
    async with ledger_of(folder, search=True) as ledger:
        archive = await archive_of(ledger, folder, config)
        rows = {row["iteration"]: parsed(row) for row in await iterations(ledger)}
        if n not in rows:
            known = f"they are 1 to {max(rows)}" if rows else "there is none yet"
            raise UserError(f"{folder} has no iteration {n}: {known}")
        return await _whole(ledger, archive, rows[n])


async def _whole(ledger: Reader, archive: LedgerArchive, row: dict[str, Any]) -> Iteration:
    parent, mutant = row["parent"], row["mutant"]
    diff = (await archive.pack(parent)).diff(await archive.pack(mutant)) if mutant not in (None, parent) else ""
    stands = {
        "parent_iteration": (await archive.member(parent)).iteration,
        "parent_probability": row["probabilities"].get(parent),
    }
    return Iteration(row | stands, diff, await _documents(ledger, archive, row))


async def _documents(ledger: Reader, archive: LedgerArchive, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the documents of the block that parent and mutant are compared on, and of those behind it, to a gap."""
    first, sides = row["block"], {side: row[side] for side in ("parent", "mutant") if row[side]}
    begun = {first}
    if row["mutant"]:
        begun |= await blocks_by(ledger, row["iteration"], [*sides.values()], first, CONFIRM)
    names = {document["document_id"]: document["name"] for document in await documents(ledger)}
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for block in takewhile(begun.__contains__, count(first)):
        for side, pack in sides.items():
            result = await archive.result(evaluation_id("validate", pack, block))
            for trial in result.trials if result else ():
                one = trial.document_id
                new = {"document_id": one, "name": names.get(one, one), "block": block, "parent": None, "mutant": None}
                found.setdefault((block, one), new)[side] = str(trial.status)
    return [*found.values()]


def show_iterations(out: Console, folder: Path, rows: list[dict[str, Any]]) -> None:
    """Print a line an iteration."""
    if not rows:
        out.print(f"{folder}: no iteration was begun yet")
        return
    for row in rows:
        edit = row["edits"].get("summary", "") if isinstance(row["edits"], dict) else ""
        scores = f"{rate(row['parent_score'])} -> {rate(row['mutant_score'])}"
        leads = "leads" if row["record"] else ""
        line = f"{row['iteration']:>4} {row['outcome']:<9} {scores} {leads:<5} {' '.join(edit.split())}"
        out.print(Text(printable(line)), no_wrap=True, overflow="ellipsis")


def show_iteration(out: Console, found: Iteration) -> None:
    """Print one iteration as a person reads it."""
    row = found.row
    out.print(Text(f"iteration {row['iteration']}: {row['outcome']}{', leads now' if row['record'] else ''}", "bold"))
    origin = f"of iteration {row['parent_iteration']}" if row["parent_iteration"] else "the baseline"
    chance = row["parent_probability"]
    sampled = "" if chance is None else f", sampled with probability {chance:.2f}"
    out.print(f"parent {row['parent']} ({origin}){sampled}")
    if analysis := row["analysis"]:
        out.print(Text("\nAnalysis", "bold"))
        _text(out, analysis["summary"])
        for cause in analysis["causes"]:
            _text(out, f"- {cause['cause']} [{', '.join(cause['evidence'])}]")
            _text(out, f"  advice: {cause['advice']}")
    _show_edit(out, found)
    if found.documents:
        last = max(one["block"] for one in found.documents)
        several = f"s {row['block']} to {last}" if last > row["block"] else f" {last}"
        out.print(Text(f"\nDocuments of block{several}", "bold"))
        out.print(_documents_table(found.documents))
    out.print(Text("\nDecision", "bold"))
    _text(out, f"{row['outcome']}: {row['reason']}" if row["reason"] else row["outcome"])


def _show_edit(out: Console, found: Iteration) -> None:
    edits = found.row["edits"]
    refused = edits.get("refusals", []) if isinstance(edits, dict) else []
    if not (found.diff or refused):
        return
    out.print(Text(f"\nEdit of {found.row['mutant'] or 'nothing'}", "bold"))
    if isinstance(edits, dict) and edits.get("summary"):
        _text(out, edits["summary"])
    for one in refused:
        _text(out, f"refused: {one['action']} {one['file']}: {one['reason']}")
    for line in found.diff.splitlines():
        out.print(Text(printable(line), _style(line)), soft_wrap=True)


def _style(line: str) -> str:
    if line.startswith(("---", "+++")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def _documents_table(documents: list[dict[str, Any]]) -> Table:
    """Return the documents, those first that parent and mutant did not end alike."""
    table = Table(box=None, pad_edge=False)
    for name in ("document", "block", "parent", "mutant", ""):
        table.add_column(name)
    for row in sorted(documents, key=lambda row: row["parent"] == row["mutant"]):
        change = {(False, True): "gained", (True, False): "lost"}.get(
            (row["parent"] == "accepted", row["mutant"] == "accepted"), ""
        )
        stated = [row["parent"] or "-", row["mutant"] or "-"]
        both = row["parent"] and row["mutant"]
        table.add_row(Text(printable(row["name"])), str(row["block"]), *stated, change if both else "")
    return table


def _text(out: Console, text: str) -> None:
    out.print(Text(printable(text)), soft_wrap=True)
