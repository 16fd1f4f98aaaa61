"""What `--dry-run` prints: what a run will take, and from what that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from autodata.checkpoints.texts import json_text
from autodata.cli.terminal import console
from autodata.jobs.estimate import Estimate
from autodata.jobs.estimate_search import few_proposals
from autodata.jobs.forecast import CONFIDENCE, Range
from autodata.jobs.progress import duration

TITLES = {"calls": "calls", "tokens_in": "tokens in", "tokens_out": "tokens out", "usd": "US $"}


def conclude_estimate(estimate: Estimate, out: Path, *, as_json: bool, pilot: bool) -> NoReturn:
    """Print an estimate, and exit with code 0."""
    if as_json:
        typer.echo(json_text(estimate.as_dict(), ascii_only=True))
    else:
        show_estimate(console(), console(stderr=True), estimate, out, pilot=pilot)
    raise typer.Exit(0)


def show_estimate(output: Console, err: Console, estimate: Estimate, out: Path, *, pilot: bool) -> None:
    """Print an estimate for a person."""
    for line in () if pilot else estimate.notes:  # the pilot has said the same
        err.print(line, soft_wrap=True)
    output.print(estimate_table(estimate))
    for line in summary_lines(estimate):
        output.print(line, soft_wrap=True)
    output.print(f"From: {estimate.source}.", soft_wrap=True)
    share = f"{CONFIDENCE:.0%}"
    if estimate.of_search:
        output.print("In brackets: the least and the most that the settings allow.", soft_wrap=True)
    elif estimate.totals["calls"] is not None and estimate.totals["calls"].low is None:
        output.print("No interval: one document says nothing of how documents differ.", soft_wrap=True)
    else:
        others = "" if estimate.measured else ", as far as documents differ; your models may, too"
        output.print(f"In brackets: {share} of such runs are to lie within{others}.", soft_wrap=True)
    if estimate.unpriced:
        role = estimate.unpriced[0]
        output.print(
            f"No money: set models.{role}.price_in and price_out (US dollars per million tokens), and so for"
            f" {', '.join(estimate.unpriced)}.",
            soft_wrap=True,
        )
    for line in estimate.beyond:
        output.print(line, soft_wrap=True)
    if warning := few_proposals(estimate):
        err.print(warning, soft_wrap=True)
    if pilot:
        err.print(f"the pilot is kept: the same command without --dry-run goes on from it ({out})", soft_wrap=True)
    elif not estimate.spent.calls:
        err.print("nothing was sent; --dry-run --pilot 5 measures the first 5 documents on your models", soft_wrap=True)


def estimate_table(estimate: Estimate) -> Table:
    """Return the figures by role and in all; tokens with their interval in all alone, so that it stays readable."""
    table = Table(
        title="Estimate", title_justify="left", title_style="bold", show_footer=True, box=SIMPLE_HEAD, pad_edge=False
    )
    totals = estimate.totals
    table.add_column("role", footer="all", no_wrap=True, min_width=16)
    for name, title in TITLES.items():
        footer = ranged(totals[name], _SHOWN[name]).replace(" [", "\n[")
        table.add_column(title, footer=footer, justify="right", no_wrap=True)
    for role, figures in estimate.roles.items():
        cells = {name: ranged(figures[name], _SHOWN[name]) for name in TITLES}
        tokens = {name: cells[name].partition(" ")[0] for name in ("tokens_in", "tokens_out")}
        table.add_row(role, *(cells | tokens).values())
    return table


def summary_lines(estimate: Estimate) -> list[str]:
    """Return what the table does not hold: documents, accepted ones, time, what is paid already."""
    spent = estimate.spent.calls
    made = f"; {spent:,} of the calls are made, and paid" if spent else ""
    time = f"time {'still to come ' if spent else ''}{_hours(estimate.seconds)}{made}"
    if estimate.of_search:
        affordable = f"; the budget pays for about {estimate.proposals:,} proposals"
        return [
            f"iterations {estimate.waiting:,}{affordable}; documents in all evaluations {ranged(estimate.documents)}",
            time,
        ]
    skipped = f", {estimate.skipped:,} skipped" if estimate.skipped else ""
    return [
        f"documents {ranged(estimate.documents)} of {estimate.known:,}{skipped}; accepted {ranged(estimate.accepted)}",
        time,
    ]


def ranged(figure: Range | None, shown: Callable[[float], str] | None = None) -> str:
    """Return `value [low, high]`, a value alone where no interval is known or it is nil, a dash for none."""
    if figure is None:
        return "-"
    bounds = (figure.value, figure.low, figure.high)
    value, low, high = ("" if bound is None else (shown or count)(bound) for bound in bounds)
    return value if not low or low == high else f"{value} [{low}, {high}]"


def count(number: float) -> str:
    """Return a number in at most five characters or so: 1,234, 56k, 7.8M."""
    if number < 10_000:
        return f"{number:,.0f}"
    return f"{number / 1e3:,.0f}k" if number < 999_500 else f"{number / 1e6:,.1f}M"


def money(usd: float) -> str:
    """Return US dollars: cents, of small sums tenths of a cent."""
    return f"{usd:,.2f}" if usd >= 0.1 or not usd else f"{usd:.3f}"


_SHOWN: Mapping[str, Callable[[float], str]] = {"calls": count, "tokens_in": count, "tokens_out": count, "usd": money}


def _hours(seconds: Range) -> str:
    if not seconds.high and not seconds.value:
        return "hardly any"
    if seconds.low is None or seconds.high is None:
        return duration(seconds.value)
    return f"{duration(seconds.value)} [{duration(seconds.low)}, {duration(seconds.high)}]"
