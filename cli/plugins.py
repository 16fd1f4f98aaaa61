"""`autodata plugins`: what installed packages add, and what of it cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.registry import Registry
from autodata.cli.app import INSTALLED
from autodata.cli.terminal import AsJson, console, print_json
from autodata.jobs.printable import printable


def registries() -> Sequence[Registry[Any]]:
    """Return all that packages can add to, in the order in which it is listed."""
    from autodata.corpus.exporters.registry import EXPORTERS
    from autodata.corpus.loaders.registry import LOADERS
    from autodata.domains.acceptance.policies import PRESETS
    from autodata.domains.tasks.registry import TASK_TYPES
    from autodata.tracing.registry import TRACE_EXPORTERS

    return (TASK_TYPES, PRESETS, LOADERS, EXPORTERS, TRACE_EXPORTERS, INSTALLED)


def plugins(as_json: AsJson = False) -> None:
    """List task types, presets, loaders, export formats, trace exporters and commands, ours and installed ones.

    Code of installed packages is imported here. Exit code 1 if one of them cannot be used.

    Example: autodata plugins
    """
    rows = [{"group": registry.group, **asdict(one)} for registry in registries() for one in registry.listed()]
    if as_json:
        print_json(rows)
    else:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for head in ("group", "name", "from", "problem"):
            table.add_column(head, overflow="fold")
        for row in rows:
            cells = (row["group"], row["name"], row["source"] or "autodata", row["problem"])
            table.add_row(*(Text(printable(cell), style="bold red" if row["problem"] else "") for cell in cells))
        console().print(table)
    raise typer.Exit(1 if any(row["problem"] for row in rows) else 0)
