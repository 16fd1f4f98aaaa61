"""`autodata compare`: runs and baselines side by side, as the paper's tables have them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import FailureMode
from autodata.cli.figures import figure
from autodata.cli.signals import signal_rows
from autodata.cli.terminal import AsJson, console, print_json, write_data
from autodata.corpus.compare import SUITABILITIES
from autodata.corpus.compare import compare as compared
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import ledger_of

Rows = list[tuple[str, list[str]]]
Shown = Callable[[float | None], str]


def _score(value: float | None) -> str:
    return figure(value, 3)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


FIGURES: Mapping[str, tuple[str, Shown]] = {
    "accepted_share": ("accepted of documents", _percent),
    "weak_mean": ("weak", _score),
    "strong_mean": ("strong", _score),
    "gap": ("gap", _score),
    "weak_std": ("std of the weak attempts, points", figure),
    "rounds_mean": ("rounds, mean", figure),
    "rounds_median": ("rounds, median", lambda value: "-" if value is None else f"{value:g}"),
    "rounds_max": ("rounds, max", _count),
    "question_chars": ("question, characters", _count),
    "rubric_items": ("rubric items", lambda value: figure(value, 1)),
    **{f"failed:{mode.value}": (f"failed rounds: {mode.value.replace('_', ' ')}", _percent) for mode in FailureMode},
    **{f"grpo:{level}": (f"grpo suitability {level}", _percent) for level in SUITABILITIES},
    "calls_per_accepted": ("calls per accepted", lambda value: figure(value, 1)),
    "tokens_per_accepted": ("tokens per accepted", _count),
}
"""Every figure's label and how it is written, in the order of the table."""


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs and baselines.")],
    paper: Annotated[bool, typer.Option("--paper", help="Show the paper's own columns beside.")] = False,
    as_json: AsJson = False,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Write Markdown to a file; - for standard output.")
    ] = None,
) -> None:
    """Show runs side by side: scores, rounds, failures and cost, with 95 % intervals.

    Example: autodata compare runs/baseline runs/first --paper
    """
    if as_json and markdown == Path("-"):
        raise UserError("--json and --markdown - both write to standard output: give --markdown a file")
    report = asyncio.run(_read(runs, paper))
    if markdown is not None:
        _write(markdown, to_markdown(report))
    if as_json:
        print_json(report)
    elif markdown is None:
        _show(report)


async def _read(runs: Sequence[Path], paper: bool) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        ledgers = {str(run): await stack.enter_async_context(ledger_of(run)) for run in runs}
        return await compared(ledgers, paper=paper)


def _write(path: Path, text: str) -> None:
    if path == Path("-"):
        write_data(text)
        return
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}): choose another --markdown FILE") from error


def head(report: Mapping[str, Any]) -> list[str]:
    """Return the names of the columns: runs, then the paper's."""
    return [
        *(run["name"] for run in report["runs"]),
        *(f"paper, {c['domain']}: {c['method']}" for c in report["paper"]),
    ]


def figure_rows(report: Mapping[str, Any]) -> Rows:
    """Return the table of figures; a row that says nothing in any column is left out."""
    runs, paper = report["runs"], report["paper"]
    facts: Mapping[str, Callable[[Any], str]] = {
        "kind": lambda run: run["kind"],
        "domain": lambda run: run["domain"],
        "figures are over": lambda run: run["over"],
        "documents": lambda run: f"{run['documents']:,}",
        "accepted": lambda run: f"{run['accepted']:,}",
        "unfinished documents": lambda run: f"{run['unfinished']:,}" if run["unfinished"] else "",
        "of these waiting for a person": lambda run: f"{run['waiting']:,}" if run["waiting"] else "",
    }
    rows: Rows = [(label, [*map(of_run, runs), *("" for _ in paper)]) for label, of_run in facts.items()]
    for name, (label, shown) in FIGURES.items():
        # A failure that no run knows says nothing, nor does a figure that no run has, or that a report is too old for.
        if any(name not in run["figures"] for run in runs):
            continue
        if any(run["figures"][name]["value"] is not None for run in runs) and not _all_zero(report, name):
            cells = [_with_interval(run["figures"][name], shown) for run in runs]
            cells += [shown(column["figures"][name]) if name in column["figures"] else "" for column in paper]
            rows.append((label, cells))
    return [(label, cells) for label, cells in rows if any(cells)]


def signal_table(report: Mapping[str, Any]) -> Rows:
    """Return the table of signals, without the rows that say nothing in any run."""
    by_run = [signal_rows(run["signals"]) for run in report["runs"]]
    return [(label, cells) for label in by_run[0] if any(cells := [rows[label] for rows in by_run])]


def notes(report: Mapping[str, Any]) -> str:
    """Return what a reader must know of the figures."""
    intervals = report["intervals"]
    over = "; ".join(dict.fromkeys(f"a {run['kind']}: over {run['over']}" for run in report["runs"]))
    text = (
        f"In brackets: {intervals['confidence']:.0%} intervals, {intervals['resamples']:,} bootstrap samples of whole"
        f" documents. Scores, question and rubric of {over}. Failed rounds are shares of all rounds that failed;"
        " calls and tokens are those of all documents. The std is the population standard deviation of an example's"
        " weak attempts, in points of 100, averaged over examples."
    )
    if any(run["unfinished"] for run in report["runs"]):
        text += (
            " Unfinished documents are open, errored or wait for a person; they count among the documents, not as"
            " accepted: figures of such a run may still move."
        )
    return text + (" Columns named paper hold the paper's own figures, of its own models." if report["paper"] else "")


def to_markdown(report: Mapping[str, Any]) -> str:
    """Return the comparison as Markdown: a table of figures, its notes, a table of signals."""
    names = [run["name"] for run in report["runs"]]
    parts = [_markdown_table(["figure", *head(report)], figure_rows(report)), notes(report)]
    return "\n\n".join([*parts, _markdown_table(["signal", *names], signal_table(report))]) + "\n"


def _markdown_table(names: Sequence[str], rows: Rows) -> str:
    lines = [names, ["---", *("---:" for _ in names[1:])], *([label, *cells] for label, cells in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _show(report: Mapping[str, Any]) -> None:
    out = console()
    names = [run["name"] for run in report["runs"]]
    out.print(_rich_table("figure", head(report), figure_rows(report)))
    out.print(notes(report), style="dim")
    out.print()
    out.print(_rich_table("signal", names, signal_table(report)))


def _rich_table(first: str, names: Sequence[str], rows: Rows) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(first)
    for name in names:
        table.add_column(printable(name), justify="right", overflow="fold")
    for label, cells in rows:
        table.add_row(label, *cells)
    return table


def _with_interval(found: Mapping[str, float | None], shown: Shown) -> str:
    if found["low"] is None:
        return shown(found["value"])
    return f"{shown(found['value'])} [{shown(found['low'])}, {shown(found['high'])}]"


def _all_zero(report: Mapping[str, Any], name: str) -> bool:
    """Whether a kind of failure never came, neither in a run nor in the paper."""
    columns = [run["figures"][name]["value"] for run in report["runs"]]
    columns += [column["figures"].get(name) for column in report["paper"]]
    return name.startswith("failed:") and not any(columns)
