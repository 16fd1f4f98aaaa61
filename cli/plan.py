"""`autodata plan`: what many documents take on many machines, before there is one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodata.cli.terminal import AsJson, console, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from autodata.jobs.scaling import ScalingPlan


def plan(
    documents: Annotated[int, typer.Argument(min=1, help="How many documents.")],
    config: Annotated[Path | None, typer.Option(help="TOML file; see 'autodata init'.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, help="Hours in which they are to be done.")] = 24.0,
    chars: Annotated[float, typer.Option(min=1, help="Characters of a document, on the average.")] = 4000.0,
    as_json: AsJson = False,
) -> None:
    """Say what many documents take: requests at once, workers, database, money. Nothing is sent.

    From measured runs, for workers on any number of machines; of a run on this one, 'autodata run --dry-run' says more.

    Example: autodata plan 1000000 --config autodata.toml --hours 168
    """
    from dataclasses import asdict

    from autodata.jobs.scaling import scaling_plan
    from autodata.runner.config import load_config

    if config is None and Path("autodata.toml").exists():
        config = Path("autodata.toml")
    found = scaling_plan(load_config(config), documents, hours, chars)
    if as_json:
        print_json({**asdict(found), "usd": found.usd})
        return
    output = console()
    output.print(table_of(found))
    for line in lines_of(found):
        output.print(line, soft_wrap=True, highlight=False, markup=False)


def table_of(found: ScalingPlan) -> Table:
    """Return what each model is sent."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from autodata.cli.estimate import count

    table = Table(title="Models", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for title in ("model", "calls", "tokens in", "tokens out", "US$", "at once"):
        table.add_column(title, justify="left" if title == "model" else "right", no_wrap=title != "model")
    for one in found.models:
        usd = "-" if one.usd is None else f"{one.usd:,.0f}"
        table.add_row(one.name, count(one.calls), count(one.tokens_in), count(one.tokens_out), usd, f"{one.at_once:,}")
    return table


def lines_of(found: ScalingPlan) -> list[str]:
    """Return what the table does not hold."""
    from autodata.cli.estimate import count

    usd = "no prices set" if found.usd is None else f"${found.usd:,.0f}"
    each = (
        "" if found.usd is None or not found.accepted else f", ${found.usd / found.accepted:,.2f} an accepted example"
    )
    return [
        f"documents {found.documents:,} in {found.hours:g} hours; accepted about {count(found.accepted)};"
        f" rounds a document {found.rounds:.1f}",
        f"calls {count(found.calls)}, {found.calls_per_second:,.0f} a second; money {usd}{each}",
        f"workers {found.workers:,} processes, one a processor, {found.documents_at_once:,} documents at once in each:"
        f" autodata worker --concurrency {found.documents_at_once}",
        f"database about {found.database_gib:,.0f} GiB when all have ended; 'autodata prune' makes it smaller",
        f"From: {found.source}; {found.cpu_ms:g} ms of processor time a call at"
        f" {found.in_flight} requests at once ({found.machine}, ledger in a file).",
    ]
