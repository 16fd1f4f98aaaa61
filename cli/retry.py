"""`autodata retry`: documents that ended errored or rejected, asked about again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import DocumentStatus
from autodata.cli.run import (
    Concurrency,
    MaxCalls,
    MaxSeconds,
    MaxTokens,
    MaxUsd,
    StatusJson,
    bounds,
    conclude,
    execute,
    find_settings,
)
from autodata.cli.show import find_document
from autodata.cli.terminal import RunArgument, console

AGAIN = (DocumentStatus.ERRORED, DocumentStatus.REJECTED)
"""What a document must have ended as to be asked about again."""


def retry(
    run: RunArgument,
    documents: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DOCUMENT]...", help="Names or ids, or beginnings of them.", show_default=False),
    ] = None,
    errored: Annotated[bool, typer.Option("--errored", help="All that ended errored.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="All that ended rejected.")] = False,
    concurrency: Concurrency = None,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    max_seconds: MaxSeconds = None,
    as_json: StatusJson = False,
) -> None:
    """Ask again about documents that ended errored or rejected, in a new epoch of their calls.

    An errored document goes on where it was, and only what is missing is paid for. A rejected one gets as many rounds
    as at first, behind those that it had: its challenger sees the failures of them all. No other document is worked on.

    Example: autodata retry runs/first --errored
    """
    flags = {
        "concurrency": concurrency,
        **bounds(max_calls, max_tokens, max_usd, max_seconds),
    }
    wanted = [status for status, chosen in zip(AGAIN, (errored, rejected), strict=True) if chosen]
    if not wanted and not documents:
        raise UserError("say which documents: name some, or give --errored or --rejected")
    rows = asyncio.run(_chosen(run, wanted, documents or []))
    settings = find_settings(run / "config.toml", run, flags)
    asyncio.run(_open_again(run, rows))
    again = f"'autodata run --config {run / 'config.toml'} --out {run}'"
    only = frozenset(row["document_id"] for row in rows)
    conclude(execute(settings, [], run, console(stderr=True), only=only), run, as_json=as_json, again=again)


async def _chosen(run: Path, statuses: Sequence[str], names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """Return the documents that are asked about again, each once. Raises UserError for one that has not ended so."""
    from autodata.checkpoints.queries.corrections import standing
    from autodata.jobs.run_ledger import ledger_of

    async with ledger_of(run) as look:
        rows = await standing(look)
    named = [find_document(rows, name, run) for name in names]
    for row in named:
        if row["status"] not in AGAIN:
            what = "only what ended errored or rejected is asked about again"
            raise UserError(f"{row['name']} is {row['status']}: {what}")
    chosen = {row["document_id"]: row for row in [*named, *(row for row in rows if row["status"] in statuses)]}
    if not chosen:
        raise UserError(f"{run} has no document that ended {' or '.join(statuses)}: 'autodata show {run}' lists all")
    return [*chosen.values()]


async def _open_again(run: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    from autodata.checkpoints.corrections import record_asked_again
    from autodata.cli.drop import ended
    from autodata.runner.run_folder import open_ledger

    async with open_ledger(run) as ledger:
        await record_asked_again(ledger, [ended(row) for row in rows])
