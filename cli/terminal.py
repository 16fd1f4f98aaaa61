"""What the commands that only look share: the run folder, the console, JSON, and texts of strangers made printable."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.records import UserError

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'autodata run --out' made.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@asynccontextmanager
async def ledger_of(run: Path, *, search: bool = False) -> AsyncIterator[Reader]:
    """Open a folder's ledger to look into it, also while a command works on it.

    Raises UserError when there is none, or when it is a search's and a run's was asked for, or the other way round.
    """
    async with open_readonly(_ledger_file(run)) as ledger:
        rows = await ledger.read("select value from meta where key = 'kind'")
        if (bool(rows) and rows[0]["value"] == "optimize") is not search:
            holds = "a run" if search else "a search: look at it with 'autodata optimize status'"
            raise UserError(f"{run} holds {holds}")
        yield ledger


def _ledger_file(run: Path) -> Path:
    path = run / "run.db"
    if not path.is_file():
        what = "holds no run.db" if run.is_dir() else "no such folder"
        raise UserError(f"{run}: {what}: name a folder that 'autodata run --out' made")
    return path


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
