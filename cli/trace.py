"""`autodata trace`: one document's run tree as a waterfall, from the spans in the ledger of a run or of a search."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.documents import documents
from autodata.checkpoints.queries.rounds import means_of_rounds, scores_of_thread, spans_of_thread
from autodata.checkpoints.queries.searches import evaluated_documents
from autodata.cli.show import find_document
from autodata.cli.terminal import AsJson, DocumentArgument, OneRound, RunArgument, console, print_json
from autodata.cli.waterfall import draw
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import holds_search, ledger_of

HTML_WIDTH = 140
"""Columns of the page that `--html` writes."""
NEAR = 5
"""How many evaluations an error names."""


def trace(
    run: RunArgument,
    document: DocumentArgument = None,
    evaluation: Annotated[
        str | None, typer.Option(help="Of a search: the evaluation, or the beginning of its name.")
    ] = None,
    only: OneRound = None,
    calls: Annotated[bool, typer.Option("--calls", help="Show every call, not only how many a node made.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write it to this file instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw what a document's run did, and when: rounds, nodes and calls with time, tokens, cost and verdicts.

    Of a search without a document: list its evaluations.

    Example: autodata trace runs/first concrete-curing.md --calls
    """
    found = asyncio.run(_read(run, document, evaluation))
    if isinstance(found, list):
        if as_json:
            print_json(found)
        else:
            console().print(_table(found))
        return
    if only is not None and only not in (rounds := sorted({s["n"] for s in found["spans"] if s["kind"] == "round"})):
        known = f"its rounds are {', '.join(map(str, rounds))}" if rounds else "it has none yet"
        raise UserError(f"{found['name']} has no round {only}: {known}")
    sessions = trees(found["spans"], only)
    if as_json:
        print_json({**found, "spans": sessions})
    elif html is not None:
        _write(html, found, sessions, calls)
    else:
        draw(console(), found, sessions, calls=calls)


async def _read(run: Path, wanted: str | None, evaluation: str | None) -> dict[str, Any] | list[dict[str, Any]]:
    """Return a document with its spans; of a search without one, its evaluations with their documents."""
    async with ledger_of(run, search=None) as ledger:
        if await holds_search(ledger):
            rows = _of_evaluation(await evaluated_documents(ledger), evaluation, run)
            if wanted is None:
                return rows
            row = _evaluated(rows, wanted, run)
        elif evaluation is not None:
            raise UserError(f"--evaluation: {run} holds a run, and only a search has evaluations: leave it out")
        elif wanted is None:
            raise UserError(f"name a document: list all with 'autodata show {run}'")
        else:
            row = dict(find_document(await documents(ledger), wanted, run))
        spans = await _spans(ledger, f"{row.get('evaluation', 'main')}/{row['document_id']}")
    if not spans:
        why = "it was not taken up yet" if row["status"] == "pending" else "the run was made with tracing.local = false"
        raise UserError(f"{row['name']} has no trace: {why}")
    return {**row, "spans": spans}


def _of_evaluation(rows: list[dict[str, Any]], wanted: str | None, run: Path) -> list[dict[str, Any]]:
    """Return the rows of the evaluations whose name begins so. Raises UserError where there is none."""
    for row in rows:
        row["traced"] = bool(row["traced"])
    found = [row for row in rows if wanted is None or row["evaluation"].startswith(wanted)]
    exact = [row for row in found if row["evaluation"] == wanted]
    if not found and wanted is not None:
        raise UserError(f"{run} has no evaluation {wanted!r}: list all with 'autodata trace {run}'")
    return exact or found


def _evaluated(rows: Sequence[Mapping[str, Any]], wanted: str, run: Path) -> dict[str, Any]:
    """Return the one document of one evaluation. Raises UserError where several evaluations have it."""
    documents = {row["document_id"]: row for row in rows}
    chosen = find_document(list(documents.values()), wanted, run, "autodata trace")["document_id"]
    found = [row for row in rows if row["document_id"] == chosen]
    if len(found) > 1:
        shown = ", ".join(row["evaluation"] for row in found[:NEAR]) + (", ..." if len(found) > NEAR else "")
        raise UserError(f"{found[0]['name']} is in {len(found)} evaluations: add --evaluation with one of {shown}")
    return dict(found[0])


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the evaluations of a search, a line a document."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("evaluation", "split", "iteration", "document", "status", "rounds", "traced"):
        table.add_column(name, overflow="fold")
    for row in rows:
        cells = (row["evaluation"], row["split"], row["iteration"], row["name"], row["status"], row["rounds"])
        traced = "yes" if row["traced"] else "no"
        table.add_row(*(Text(printable(str(cell))) for cell in (*cells, traced)))
    return table


async def _spans(ledger: Reader, thread_id: str) -> list[dict[str, Any]]:
    """Return a thread's spans; those of attempts with their `score`, those of rounds with their means, in 0..1."""
    rows = await spans_of_thread(ledger, thread_id)
    scored = await scores_of_thread(ledger, thread_id)
    scores = {(row["n"], f"{row['stage']}_solver", str(row["idx"])): row["score_value"] for row in scored}
    means = {row.pop("n"): row for row in await means_of_rounds(ledger, thread_id)}
    # Of a call that a killed session had sent and the next one sent again, only the latter's reply is in the journal.
    latest = {row["call_key"]: row["span_id"] for row in rows if not row["replayed"]}
    for row in rows:
        own = row["replayed"] or row["ended"] is not None or latest[row["call_key"]] == row["span_id"]
        row.update(replayed=bool(row["replayed"]), journalled=bool(row["journalled"]) and own)
        if row["kind"] == "round":
            row.update(means.get(row["n"], {}))
        elif row["kind"] == "call":
            row["score"] = scores.get((row["n"], row["role"], row["idx"].partition("/")[0]))
    return rows


def trees(spans: Sequence[Mapping[str, Any]], only: int | None = None) -> list[dict[str, Any]]:
    """Return the sessions, each with its `children` down to the calls; with `only`, nothing of other rounds."""
    nodes = {span["span_id"]: {**span, "children": []} for span in spans}
    roots: list[dict[str, Any]] = []
    for node in nodes.values():
        if only is not None and node["kind"] != "document" and node["n"] != only:
            continue
        parent = nodes.get(node["parent_id"] or "")
        (roots if parent is None else parent["children"]).append(node)
    return [root for root in roots if only is None or root["children"]]


def _write(path: Path, found: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]], calls: bool) -> None:
    page = Console(file=io.StringIO(), record=True, width=HTML_WIDTH, markup=False, highlight=False, emoji=False)
    draw(page, found, sessions, calls=calls)
    try:
        path.write_text(page.export_html(), "utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}): choose another --html FILE") from error
    typer.echo(f"wrote {path}", err=True)
