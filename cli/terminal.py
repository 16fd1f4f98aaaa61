"""What the commands that only look share: the run folder, the console, JSON, and texts of strangers made printable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console

from autodata.checkpoints.texts import json_text
from autodata.jobs.console import PlainConsole
from autodata.jobs.printable import printable, take_any_text

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'autodata run --out' made.")]
DocumentArgument = Annotated[
    str | None, typer.Argument(help="A document's name or id, or the beginning of one.", show_default=False)
]
OneRound = Annotated[int | None, typer.Option("--round", help="Show this round only.", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def console(*, stderr: bool = False, file: IO[str] | None = None, width: int | None = None) -> Console:
    """Return a console that takes every text literally; colours only on a terminal.

    Control characters of a text come out as `printable` shows them, what the terminal's encoding lacks as `?`.
    """
    take_any_text()
    return PlainConsole(stderr=stderr, file=file, width=width, markup=False, highlight=False, emoji=False)


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
