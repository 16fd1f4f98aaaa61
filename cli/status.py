"""`autodata status`: the numbers of a run, also while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.queries.standing import why_stopped
from autodata.checkpoints.queries.usage import usage_by_role
from autodata.cli.figures import (
    calls_table,
    cause_line,
    confirmed_table,
    figure,
    may_be_billed,
    repeated_questions,
    stopping_line,
)
from autodata.cli.signals import signal_rows
from autodata.cli.terminal import AsJson, RunArgument, console, print_json
from autodata.corpus.summary import summarise
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import ledger_of
from autodata.models.found import adjustments_of

BAR = 24
"""Width of the longest bar, in characters."""
SHOWN_ERRORS = 5


def status(
    run: RunArgument,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show how it goes on while another process works; Ctrl-C ends the showing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print how a run stands: documents, calls and tokens by role, scores, and why rounds failed.

    Works while the run goes on. With --json: one object, for other programs.

    Example: autodata status runs/first
    """
    if watch:
        if as_json:
            raise UserError("--watch shows a person how a run goes on: leave --json out, or --watch")
        from autodata.cli.watch import watch_run

        if not watch_run(run, console()):
            return
    summary, roles, stopped = asyncio.run(_read(run))
    if as_json:
        print_json(summary)
    else:
        _show(console(), run, summary, roles, stopped)


async def _read(run: Path) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    async with ledger_of(run) as ledger:
        summary = await summarise(ledger)
        return summary, await usage_by_role(ledger), await why_stopped(ledger) if summary["pending"] else ""


def _show(
    out: Console,
    run: Path,
    summary: Mapping[str, Any],
    roles: Sequence[Mapping[str, Any]],
    stopped: str,
) -> None:
    out.print(Text(f"{run}: {summary['accepted']:,} of {summary['documents']:,} documents accepted", style="bold"))
    others = ("rejected", "skipped", "errored", "pending", *(name for name in ("waiting", "dropped") if summary[name]))
    out.print(", ".join(f"{name} {summary[name]:,}" for name in others) + f"; {summary['rounds']:,} rounds closed")
    if stopped:
        out.print(Text(printable(f"stopped: {stopped}"), style="yellow"), soft_wrap=True)
    if surplus := summary["surplus"]:
        what = "1 example" if surplus == 1 else f"{surplus:,} examples"
        out.print(f"{what} beyond the target of {summary['target']:,}: kept, and exported with --surplus")
    out.print()
    out.print(calls_table(summary, roles))
    out.print()
    out.print(Group(*_scores(summary)))
    if any(summary["failure_modes"].values()):
        out.print()
        out.print(_failures(summary["failure_modes"]))
    for mode, kinds in summary["refusals"].items():
        if kinds:
            counted = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in kinds.items())
            out.print(f"  {mode.replace('_', ' ')}: {counted}", highlight=False)
    if rows := {label: text for label, text in signal_rows(summary).items() if text}:
        out.print()
        out.print(_signals(rows))
    _show_examples(out, summary)
    if any(summary["labels"].values()):
        counted = ", ".join(f"{decision} {count:,}" for decision, count in summary["labels"].items())
        out.print(f"\nReviewed by people: {counted}", highlight=False)
    if summary["awaiting_review"]:
        out.print(
            f"\n{summary['awaiting_review']:,} to look at: autodata review {run}", highlight=False, soft_wrap=True
        )
    _show_adjustments(out, summary["endpoints"])
    if billed := may_be_billed(summary):
        out.print(f"\n{billed}", highlight=False, soft_wrap=True)
    if errors := summary["errors"]:
        out.print()
        hint = "the next 'autodata run' takes them up again, 'autodata retry' them alone"
        out.print(Text(f"Errored documents: {hint}", style="bold"), soft_wrap=True)
        for one in errors[:SHOWN_ERRORS]:
            out.print(Text(printable(cause_line(one["cause"], one["documents"])), style="red"), soft_wrap=True)
        if len(errors) > SHOWN_ERRORS:
            left = sum(len(one["documents"]) for one in errors[SHOWN_ERRORS:])
            out.print(f"and {left:,} more, for other causes: autodata show {run} --errored", soft_wrap=True)


def _show_examples(out: Console, summary: Mapping[str, Any]) -> None:
    """Print what accepted examples share, and what adaptive stopping loses of them."""
    if repeated := summary["shared_questions"]:
        out.print("\n" + repeated_questions(repeated), soft_wrap=True)
    if stopping := summary["stopping"]:
        out.print("\n" + stopping_line(stopping), highlight=False, soft_wrap=True)


def _show_adjustments(out: Console, endpoints: Mapping[str, Any]) -> None:
    """Print what was found out about endpoints, a line each."""
    adjusted = [f"{name}: {line}" for name, known in endpoints.items() for line in adjustments_of(known)]
    if adjusted:
        out.print(Text("\nFound out about endpoints, and kept for the run", style="bold"))
    for line in adjusted:
        out.print(Text(printable(f"  {line}")), soft_wrap=True)


def _scores(summary: Mapping[str, Any]) -> list[Table]:
    table = Table(title="Accepted examples, means", title_justify="left", title_style="bold")
    names = {
        "weak": figure(summary["weak_mean"]),
        "strong": figure(summary["strong_mean"]),
        "gap": figure(summary["gap_mean"]),
        "rounds each": figure(summary["rounds_per_accepted"]),
        "calls each": figure(summary["calls_per_accepted"], 1),
        "attempts cut off": f"{summary['truncated']:,}",
    }
    for name in names:
        table.add_column(name, justify="right")
    table.add_row(*names.values())
    if summary["accepted"] and None in (summary["weak_mean"], summary["strong_mean"]):
        table.caption = "- no mean: attempts stopped once the verdict was settled"
        table.caption_justify = "left"
    if audited := summary["audited"]:
        counts = f"{audited['candidates']:,} candidates audited, {audited['refused']:,} refused"
        tried = f"{audited['canaries']:,} canaries and {audited['closed_contexts']:,} closed contexts tried"
        table.caption = "\n".join(filter(None, (str(table.caption or ""), f"{counts}: {tried}")))
        table.caption_justify = "left"
    return [table, *([confirmed_table(summary["confirmed"])] if summary["confirmed"] else [])]


def _failures(modes: Mapping[str, int]) -> Table:
    table = Table(title="Why rounds failed", title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column("mode")
    table.add_column("rounds", justify="right")
    table.add_column("bar", style="yellow", no_wrap=True)
    most = max(modes.values())
    for mode, count in sorted(modes.items(), key=lambda item: -item[1]):
        if count:
            table.add_row(mode.replace("_", " "), f"{count:,}", "█" * max(1, round(BAR * count / most)))
    return table


def _signals(rows: Mapping[str, str]) -> Table:
    table = Table(title="Signals", title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column("signal")
    table.add_column("value", justify="right")
    for row in rows.items():
        table.add_row(*row)
    return table
