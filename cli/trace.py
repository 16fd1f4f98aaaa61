"""`autodata trace`: one document's run tree as a waterfall, from the spans in the ledger."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.documents import documents
from autodata.checkpoints.queries.rounds import means_of_rounds, scores_of_thread, spans_of_thread
from autodata.checkpoints.records import UserError
from autodata.cli.show import find_document
from autodata.cli.terminal import AsJson, RunFolder, console, ledger_of, print_json
from autodata.cli.waterfall import draw

HTML_WIDTH = 140
"""Columns of the page that `--html` writes."""


def trace(
    run: RunFolder,
    document: Annotated[str, typer.Argument(help="A document's name or id, or the beginning of one.")],
    only: Annotated[int | None, typer.Option("--round", help="Show this round only.", min=1)] = None,
    calls: Annotated[bool, typer.Option("--calls", help="Show every call, not only how many a node made.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write it to this file instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw what a document's run did, and when: rounds, nodes and calls with time, tokens, cost and verdicts.

    Example: autodata trace runs/first concrete-curing.md --calls
    """
    found = asyncio.run(_read(run, document))
    if only is not None and only not in (rounds := sorted({s["n"] for s in found["spans"] if s["kind"] == "round"})):
        known = f"its rounds are {', '.join(map(str, rounds))}" if rounds else "it has none yet"
        raise UserError(f"{found['name']} has no round {only}: {known}")
    sittings = trees(found["spans"], only)
    if as_json:
        print_json({**found, "spans": sittings})
    elif html is not None:
        _write(html, found, sittings, calls)
    else:
        draw(console(), found, sittings, calls=calls)


async def _read(run: Path, wanted: str) -> dict[str, Any]:
    async with ledger_of(run) as ledger:
        row = find_document(await documents(ledger), wanted, run)
        spans = await _spans(ledger, f"main/{row['document_id']}")
    if not spans:
        why = "it was not taken up yet" if row["status"] == "pending" else "the run was made with tracing.local = false"
        raise UserError(f"{row['name']} has no trace: {why}")
    return {**row, "spans": spans}


async def _spans(ledger: Reader, thread_id: str) -> list[dict[str, Any]]:
    """Return a thread's spans; those of attempts with their `score`, those of rounds with their means, in 0..1."""
    rows = await spans_of_thread(ledger, thread_id)
    scored = await scores_of_thread(ledger, thread_id)
    scores = {(row["n"], f"{row['stage']}_solver", str(row["idx"])): row["score_value"] for row in scored}
    means = {row.pop("n"): row for row in await means_of_rounds(ledger, thread_id)}
    for row in rows:
        row.update(replayed=bool(row["replayed"]), journalled=bool(row["journalled"]))
        if row["kind"] == "round":
            row.update(means.get(row["n"], {}))
        elif row["kind"] == "call":
            row["score"] = scores.get((row["n"], row["role"], row["idx"].partition("/")[0]))
    return rows


def trees(spans: Sequence[Mapping[str, Any]], only: int | None = None) -> list[dict[str, Any]]:
    """Return the sittings, each with its `children` down to the calls; with `only`, nothing of other rounds."""
    nodes = {span["span_id"]: {**span, "children": []} for span in spans}
    roots: list[dict[str, Any]] = []
    for node in nodes.values():
        if only is not None and node["kind"] != "document" and node["n"] != only:
            continue
        parent = nodes.get(node["parent_id"] or "")
        (roots if parent is None else parent["children"]).append(node)
    return [root for root in roots if only is None or root["children"]]


def _write(path: Path, found: Mapping[str, Any], sittings: Sequence[Mapping[str, Any]], calls: bool) -> None:
    page = Console(file=io.StringIO(), record=True, width=HTML_WIDTH, markup=False, highlight=False, emoji=False)
    draw(page, found, sittings, calls=calls)
    try:
        path.write_text(page.export_html(), "utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}): choose another --html FILE") from error
    typer.echo(f"wrote {path}", err=True)
