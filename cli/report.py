"""`autodata report`: runs and searches as one page that needs no network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Annotated

import typer

from autodata.checkpoints.errors import UserError
from autodata.corpus.exporters.files import STDOUT, write_whole
from autodata.corpus.reporting import Report, Source, read_source, report_page
from autodata.corpus.reporting.page import MEGABYTE
from autodata.jobs.run_ledger import ledger_of

RunsArgument = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Folders that 'autodata run' or 'autodata optimize' made.")
]
Size = Annotated[
    float, typer.Option("--size", min=1, max=1000, help="Megabytes of the page: long texts are shortened to fit.")
]


def report(
    runs: RunsArgument,
    out: Annotated[Path, typer.Option("--out", help="The file to write; - for standard output.")],
    size: Size = 5,
) -> None:
    """Write one HTML page of runs and searches: figures, plots, and every round of every document to look through.

    Example: autodata report runs/first --out report.html
    """
    page = asyncio.run(make_report(runs, size))

    def write(stream: IO[str]) -> int:
        return stream.write(page.html)

    write_whole(out, write)
    where = "standard output" if out == STDOUT else str(out)
    typer.echo(f"{page.size / MEGABYTE:.1f} MB written to {where}{shortened(page, size)}", err=True)


async def make_report(runs: Sequence[Path], size: float, live: str = "") -> Report:
    """Return the report of some folders. Raises UserError for one that holds no run, and without Jinja2."""
    sources = [await _read(run, name) for run, name in zip(runs, names_of(runs), strict=True)]
    return await asyncio.to_thread(lambda: report_page(sources, most_bytes=int(size * MEGABYTE), live=live))


async def _read(run: Path, name: str) -> Source:
    from autodata.jobs.search_report import scores_for_report

    async with ledger_of(run, search=None) as ledger:
        return await read_source(ledger, name, run, packs=await scores_for_report(run))


def names_of(runs: Sequence[Path]) -> list[str]:
    """Return what folders are called on the page: their own names, with the folders above where two have the same.

    Raises UserError for a folder that is named twice.
    """
    paths = [run.resolve() for run in runs]
    if twice := {str(run) for run, path in zip(runs, paths, strict=True) if paths.count(path) > 1}:
        raise UserError(f"{', '.join(sorted(twice))}: named twice: name every folder once")
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def shortened(page: Report, size: float) -> str:
    """Return what a person must know of a page that could not hold all texts."""
    if page.limit is None:
        return ""
    larger = f"; it is larger than --size {size:g} all the same" if page.size > size * MEGABYTE else ""
    return f"; answers are shortened to {page.limit.answers:,} characters (a larger --size holds more){larger}"
