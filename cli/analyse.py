"""`autodata analyse`: what a run's accepted examples are like as data, before anybody trains on them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from autodata.checkpoints.errors import UserError
from autodata.cli.terminal import AsJson, RunArgument, console, print_json
from autodata.corpus.analysis import analysed
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import ledger_of

Line = tuple[str, str, str]


def analyse(
    run: RunArgument,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="Benchmarks, text or JSON Lines, that no example may stand in."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what the accepted examples are like: doubles, coverage, rubrics, learnability, contamination.

    Example: autodata analyse runs/first
    """
    benchmarks = {str(path): list(texts_of(path)) for path in against} if against else None
    found = asyncio.run(_read(run, benchmarks))
    if as_json:
        print_json(found)
        return
    table = Table("", "", "what to look at", box=None, pad_edge=False)
    for line in _lines(found):
        table.add_row(*map(printable, line))
    console().print(table)


async def _read(run: Path, benchmarks: Mapping[str, list[str]] | None) -> dict[str, Any]:
    async with ledger_of(run) as ledger:
        return await analysed(ledger, benchmarks)


def texts_of(path: Path) -> Iterator[str]:
    """Yield the texts of a benchmark: every string of each JSON line, or the file as it stands. Raises UserError."""
    try:
        text = path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"--against {path}: cannot be read: {error.strerror}") from error
    if path.suffix not in {".jsonl", ".ndjson"}:
        yield text
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield from _strings(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise UserError(f"--against {path}: line {number} is no JSON: mend it, or name it .txt") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _lines(found: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the analysis as people read it: a name, a figure, and what stands out."""
    yield "examples", f"{found['examples']:,}", ""
    for name, group in found["doubles"].items():
        yield (
            f"{name} duplicates",
            f"{group['beyond_first']:,}",
            "; ".join(" = ".join(ids) for ids in group["groups"][:3]),
        )
    for name in ("skills", "types", "documents"):
        part = found["coverage"][name]
        few = ", ".join(part["under_covered"][:5])
        yield name, f"{part['distinct']:,}{_of(part['even'], ', evenness ')}", f"under-covered: {few}" if few else ""
    without = found["coverage"]["documents_without"]
    yield "documents without", f"{len(without):,}", ", ".join(without[:5])
    yield "criteria", f"{found['rubrics']['criteria']:,}", ""
    for name, part in found["rubrics"].items():
        if isinstance(part, dict):
            first = part["shown"][0]["criterion"] if part["shown"] else ""
            yield f"  {name.replace('_', ' ')}", f"{part['count']:,}{_percent(part['share'])}", first[:70]
    for one in found["learnability"]:
        figures = f"p(1-p) {one['p_one_minus_p']:.3f}, std {one['std']:.3f}"
        yield f"{one['domain']}, {one['solver']} solver", f"{one['vary']:.0%} vary", figures
    tied = found["tied_to_numbers"]
    yield "tied to numbers", f"{tied['tied']:,}{_percent(tied['share'])}", ""
    if found["contamination"] is not None:
        shown = "; ".join(f"{one['example']} in {one['where']}" for one in found["contamination"][:3])
        yield "contaminated", f"{len(found['contamination']):,}", shown


def _of(value: float | None, before: str) -> str:
    return "" if value is None else f"{before}{value:.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f" ({share:.0%})"
