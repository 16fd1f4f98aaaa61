"""What the commands that only look share: the run folder, the console, JSON, and texts of strangers made printable."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.records import UserError, json_text
from autodata.cli.printable import printable, take_any_text

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'autodata run --out' made.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@asynccontextmanager
async def ledger_of(run: Path, *, search: bool | None = False) -> AsyncIterator[Reader]:
    """Open a folder's ledger to look into it, also while a command works on it.

    Raises UserError when there is none, or when it is a search's and a run's was asked for, or the other way round.
    With None either will do.
    """
    async with open_readonly(_ledger_file(run)) as ledger:
        if search is not None and await holds_search(ledger) is not search:
            holds = "a run" if search else "a search: look at it with 'autodata optimize status'"
            raise UserError(f"{run} holds {holds}")
        yield ledger


async def holds_search(ledger: Reader) -> bool:
    """Whether a folder's ledger is that of a search of `autodata optimize`."""
    return await meta_value(ledger, "kind") == "optimize"


def _ledger_file(run: Path) -> Path:
    path = run / "run.db"
    if not path.is_file():
        what = "holds no run.db" if run.is_dir() else "no such folder"
        raise UserError(f"{run}: {what}: name a folder that 'autodata run --out' made")
    return path


class _Plain(Console):
    """A console through which no text, whoever wrote it, can command the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


def console(*, stderr: bool = False, file: IO[str] | None = None, width: int | None = None) -> Console:
    """Return a console that takes every text literally; colours only on a terminal.

    Control characters of a text come out as `printable` shows them, what the terminal's encoding lacks as `?`.
    """
    take_any_text()
    return _Plain(stderr=stderr, file=file, width=width, markup=False, highlight=False, emoji=False)


def write_data(text: str) -> None:
    """Write data to standard output, in UTF-8 whatever the terminal's encoding is; on a terminal, made `printable`."""
    if sys.stdout.isatty():
        sys.stdout.write(printable(text))
    elif hasattr(sys.stdout, "buffer"):
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
    else:
        sys.stdout.write(text)


def print_json(value: object) -> None:
    """Print a value as JSON on standard output."""
    utf_8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(json_text(value, indent=2, ascii_only=not utf_8))
