"""What the commands that only look share: the run folder, the console, JSON, and texts of strangers made printable."""

from __future__ import annotations

import io
import json
import re
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.records import UserError

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'autodata run --out' made.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def ledger_of(run: Path) -> AbstractAsyncContextManager[Reader]:
    """Open a run folder's ledger to look into it, also while the run goes on. Raises UserError when there is none."""
    path = run / "run.db"
    if not path.is_file():
        what = "holds no run.db" if run.is_dir() else "no such folder"
        raise UserError(f"{run}: {what}: name a folder that 'autodata run --out' made")
    return open_readonly(path)


def console() -> Console:
    """Return a console on standard output that takes every text literally; colours only on a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(markup=False, highlight=False, emoji=False)


def printable(text: str) -> str:
    """Return a text without control characters, which could command the terminal; newlines and tabs stay."""
    return _CONTROLS.sub("\ufffd", text.replace("\r\n", "\n"))


def print_json(value: object) -> None:
    """Print a value as JSON on standard output."""
    utf_8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    typer.echo(json.dumps(value, indent=2, ensure_ascii=not utf_8))
