"""`autodata drop`: documents and examples that a person does not want, left out and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import DocumentStatus
from autodata.cli.show import find_document
from autodata.cli.terminal import RunArgument
from autodata.jobs.printable import printable

if TYPE_CHECKING:
    from autodata.checkpoints.corrections import Ended

SHORTEST_ID = 6
"""Least number of characters by which an example's id is known."""


def drop(
    run: RunArgument,
    wanted: Annotated[
        list[str],
        typer.Argument(metavar="DOCUMENT|EXAMPLE...", help="A document's name or id, or an example's id."),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why, kept with it.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let them count again, as they did before.")] = False,
) -> None:
    """Leave documents or examples out of exports and counts; they stay in the folder, marked.

    A document goes with its example, and an example with its document. Nothing is deleted.

    Example: autodata drop runs/first concrete-curing.md --reason "answered by its own title"
    """
    for name, example in asyncio.run(_drop(run, wanted, " ".join(reason.split()), undo=undo)):
        what = "counts again" if undo else "dropped"
        typer.echo(f"{what}: {printable(name)}{' with its example' if example else ''}")


async def _drop(run: Path, wanted: Sequence[str], reason: str, *, undo: bool) -> list[tuple[str, bool]]:
    """Drop, or take back, all that is named or nothing; return each document's name and whether it has an example."""
    from autodata.checkpoints.corrections import record_dropped, record_taken_back
    from autodata.checkpoints.queries.corrections import dropped_documents, standing
    from autodata.jobs.run_ledger import ledger_of
    from autodata.runner.run_folder import open_ledger

    async with ledger_of(run) as look:
        rows = await standing(look)
        kept = await dropped_documents(look)
    found = {row["document_id"]: row for row in (_named(rows, one, run) for one in wanted)}
    for row in found.values():
        if (row["document_id"] in kept) is not undo:
            raise UserError(f"{row['name']} is {'not dropped' if undo else 'dropped already: --undo takes it back'}")
    async with open_ledger(run) as ledger:
        for row in found.values():
            if undo:
                await record_taken_back(ledger, row["document_id"], kept[row["document_id"]])
            else:
                await record_dropped(ledger, ended(row), reason)
    return [(row["name"], row["example_id"] is not None) for row in found.values()]


def _named(rows: Sequence[Mapping[str, Any]], wanted: str, run: Path) -> Mapping[str, Any]:
    """Return the document that is named, or whose example is. Raises UserError."""
    begins = [row for row in rows if len(wanted) >= SHORTEST_ID and (row["example_id"] or "").startswith(wanted)]
    found = begins[0] if len(begins) == 1 else find_document(rows, wanted, run)
    if found["status"] == DocumentStatus.SKIPPED:
        raise UserError(f"{found['name']} is skipped: it counts for nothing already")
    return found


def ended(row: Mapping[str, Any]) -> Ended:
    """Return where a document of `queries.standing` stands, as the writes of corrections take it."""
    from autodata.checkpoints.corrections import Ended

    return Ended(**{name: row[name] for name in Ended.__dataclass_fields__})
