"""`autodata list`: the runs under a folder."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import AutodataError, UserError
from autodata.checkpoints.places import LEDGER, POINTER, has_ledger, ledger_place
from autodata.cli.terminal import AsJson, console, print_json
from autodata.jobs.printable import printable

DEEPEST = 4
"""Folders below the one that is named in which runs are looked for."""
_NOT_RUNS = frozenset({"forks", "winners", "node_modules"})
"""Folders within a run's, or of others, in which no run is looked for."""
_TONES = {"running": "bold cyan", "complete": "green", "waiting": "magenta", "errored": "red", "unreadable": "bold red"}


def list(  # noqa: A001 - a command's function has the command's name
    folder: Annotated[Path, typer.Argument(help="Where to look.", show_default="this folder")] = Path(),
    as_json: AsJson = False,
) -> None:
    """List the runs under a folder: state, documents, accepted examples, cost and age.

    running: a command works in it. errored, waiting, unfinished: what is left to do; empty: no document
    was added. Age: since its latest call.

    Example: autodata list runs
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder: name one that holds runs")
    rows = asyncio.run(_read([*_runs(folder, 0)]))
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo(f"{folder} holds no runs, {DEEPEST} folders deep", err=True)
    else:
        console().print(_table(rows))


def _runs(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the run folders at and below a folder, by name; a link is not followed."""
    with suppress(OSError):
        if has_ledger(folder):
            yield folder
        inner = sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
        for one in inner if depth < DEEPEST else ():
            if one.name not in _NOT_RUNS and not one.name.startswith("."):
                yield from _runs(one, depth + 1)


async def _read(folders: Sequence[Path]) -> Sequence[dict[str, Any]]:
    return [await _row(folder) for folder in folders]


async def _row(folder: Path) -> dict[str, Any]:
    """Return one run at a glance. One that cannot be read is a row that says so."""
    from autodata.checkpoints.ledger import open_readonly
    from autodata.checkpoints.queries.corrections import glance
    from autodata.checkpoints.queries.meta import meta

    row: dict[str, Any] = {"run": str(folder), "kind": "run", "domain": None, "state": "unreadable", "problem": ""}
    row |= dict.fromkeys(("documents", "accepted", "calls", "cost_usd", "last_call", "age_seconds"))
    try:
        async with open_readonly(ledger_place(folder)) as ledger:
            found, known = await glance(ledger), await meta(ledger)
    except AutodataError as error:
        return row | {"problem": str(error)}
    statuses: dict[str, int] = json.loads(found["statuses"])
    kind = known.get("kind", "run")
    return row | {
        "kind": "search" if kind == "optimize" else kind,
        "domain": known.get("domain"),
        "state": _state(folder, statuses, kind),
        "documents": sum(count for status, count in statuses.items() if status != "dropped"),
        "accepted": None if kind == "optimize" else statuses.get("accepted", 0),
        "calls": found["calls"],
        "cost_usd": found["cost_usd"],
        "last_call": found["last_call"],
        "age_seconds": _age(found["last_call"], folder),
    }


def _state(folder: Path, statuses: Mapping[str, int], kind: str) -> str:
    if _is_held(folder / "lock"):
        return "running"
    if kind == "optimize":
        return "not running"
    for status, state in (("pending", "unfinished"), ("errored", "errored"), ("waiting", "waiting")):
        if statuses.get(status):
            return state
    return "complete" if any(statuses.values()) else "empty"


def _is_held(lock: Path) -> bool:
    """Whether a command works in a run folder."""
    try:
        with lock.open(encoding="utf-8", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _age(last_call: str | None, folder: Path) -> int:
    """Return the seconds since the latest call, or since the ledger changed where there was none."""
    now = datetime.now(UTC)
    with suppress(ValueError):
        if last_call:
            return max(0, int((now - datetime.fromisoformat(last_call)).total_seconds()))
    file = folder / (LEDGER if (folder / LEDGER).exists() else POINTER)
    return max(0, int(now.timestamp() - os.stat(file).st_mtime))


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold")
    for name in ("kind", "domain", "state"):
        table.add_column(name, no_wrap=name != "domain")
    for name in ("documents", "accepted", "cost", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        named = Text(printable(row["run"]))
        if row["problem"]:
            named.append(f"\n  {printable(row['problem'])}", style="dim")
        cost = "-" if row["cost_usd"] is None else f"${row['cost_usd']:,.2f}"
        counts = ["-" if row[key] is None else f"{row[key]:,}" for key in ("documents", "accepted")]
        kind, domain = row["kind"], printable(row["domain"] or "-")
        table.add_row(
            named, kind, domain, Text(row["state"], style=_TONES.get(row["state"], "")), *counts, cost, _ago(row)
        )
    return table


def _ago(row: Mapping[str, Any]) -> str:
    seconds = row["age_seconds"]
    if seconds is None:
        return "-"
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
