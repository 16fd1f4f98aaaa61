"""`autodata calibrate`: how noisy a run's judge is, and what that does to its verdicts."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.cli.run import MaxCalls, MaxTokens, MaxUsd, bounds, find_settings
from autodata.cli.terminal import AsJson, RunArgument, console, print_json
from autodata.jobs.printable import printable

if TYPE_CHECKING:
    from rich.table import Table

MOST_UNASKED = 1000
"""Calls that are made without `--max-calls`: more want a bound."""


def calibrate(
    run: RunArgument,
    sample: Annotated[int, typer.Option(min=1, max=10_000, help="Attempts to mark again at most.")] = 40,
    repeats: Annotated[int, typer.Option(min=1, max=50, help="How often each is marked again.")] = 3,
    flip_rate: Annotated[float, typer.Option(min=0.001, max=0.5, help="The share of verdicts that may flip.")] = 0.05,
    labels: Annotated[
        Path | None, typer.Option(help="People's findings: a CSV file with attempt_id, criterion, met.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it into this .svg or .png file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many calls it takes at most.")] = False,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    as_json: AsJson = False,
) -> None:
    """Mark a sample of a run's attempts again, and say how far its judge agrees with itself, others and people.

    The criteria stand in another order each time. Members of judges.panel mark the sample once each. From it follow the
    verdicts that would flip, the guard band that gates need, and the attempts that bring flips down to --flip-rate.
    What was paid for once is kept in the run: the same command again pays for nothing.

    Example: autodata calibrate runs/first --sample 40 --repeats 3
    """
    from autodata.jobs.calibration.calibrate import Wanted, plan
    from autodata.jobs.calibration.calibrate import calibrate as work
    from autodata.jobs.calibration.labels import read_labels

    if not run.is_dir():
        raise UserError(f"{run}: no such folder: give the folder of a run")
    if plot is not None:
        require_picture(plot)
    settings = find_settings(run / "config.toml", run, bounds(max_calls, max_tokens, max_usd, None))
    wanted = Wanted(sample, repeats, flip_rate, read_labels(labels) if labels else ())
    foreseen = asyncio.run(plan(run, settings, wanted))
    line = f"{len(foreseen.attempts):,} attempts, {foreseen.calls:,} calls at most"
    if dry_run:
        typer.echo(line)
        return
    if foreseen.calls > MOST_UNASKED and max_calls is None and max_usd is None and max_tokens is None:
        raise UserError(f"{line}: that is much: set a bound with --max-calls, or a smaller --sample")
    with console(stderr=True).status(line) as shown:
        found = asyncio.run(work(run, settings, wanted, say=lambda done, of: shown.update(f"{line}: {done} of {of}")))
    if plot is not None:
        draw(found, plot)
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(agreement_table(found))
    for text in conclusions(found):
        out.print(printable(text), highlight=False, soft_wrap=True)


def agreement_table(found: Mapping[str, Any]) -> Table:
    """Return how far findings agree, overall and by kind of criterion and attempt."""
    from rich.table import Table

    title = f"The judge against itself: {found['attempts']:,} attempts, marked again {found['repeats']} times"
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("of", "criteria", "agreement", "kappa", "noise"):
        table.add_column(name, justify="left" if name == "of" else "right")
    rows = {name: found[name] for name in ("all", "positive criteria", "negative criteria")} | found["strata"]
    for name, row in rows.items():
        figures = [_interval(row[key]) for key in ("agreement", "kappa", "noise")]
        table.add_row(name, f"{row['items']:,}", *figures)
    return table


def conclusions(found: Mapping[str, Any]) -> list[str]:
    """Return what follows, a line each."""
    lines = [
        f"{role}, alone, agrees with the run on {row['agreement']:.1%} of {row['findings']:,} findings, kappa"
        f" {_number(row['kappa'])}"
        for role, row in found["judges"].items()
    ]
    if (people := found["labels"]) is not None:
        agreed = "none" if people["agreement"] is None else f"{people['agreement']:.1%}"
        more = f"; {people['unknown']:,} labels are of nothing in the sample" if people["unknown"] else ""
        kappa = _number(people["kappa"])
        lines.append(f"people agree with the run on {agreed} of {people['findings']:,} findings, kappa {kappa}{more}")
    lines += [f"least agreed on ({row['agreement']:.0%}): {row['criterion']}" for row in found["worst"][:3]]
    if found["flips"] is None:
        return [*lines, "no gate decides here, so no verdict flips by a score"]
    rate = f"{found['rate']:.0%}"
    lines.append(f"verdicts that would flip if all were marked again: {found['flips']:.1%} of {found['verdicts']:,}")
    band = found["guard_band"]
    if band is None:
        lines.append(f"guard band for {rate}: none of the tried ones, up to 0.50, leaves verdicts that hold so well")
    else:
        beyond = f"{found['beyond_guard_band']:,} verdicts lie beyond it"
        asked = f"review_margin = {band:.2f} asks a person about the others"
        lines.append(f"guard band for {rate}: {band:.2f} ({asked}); {beyond}")
    enough, planned = found["attempts_for_rate"], found["planned"]
    made = f"the run made {planned['weak']} weak and {planned['strong']} strong ones"
    if enough is None:
        few = f"more than 32, or no round with both; {made}: a better judge helps more"
        lines.append(f"attempts of each solver for {rate}: {few}")
    else:
        lines.append(f"attempts of each solver for {rate}: {enough}; {made}")
    return lines


def require_picture(path: Path) -> Any:
    """Return matplotlib's figures. Raises UserError for another ending, or where matplotlib is missing."""
    if path.suffix not in {".svg", ".png"}:
        raise UserError(f"{path}: draw into a file that ends in .svg or .png")
    try:
        return importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise UserError("a picture needs matplotlib: pip install 'autodata-langgraph[plot]'") from error


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw agreement by stratum, and flips by number of attempts. Raises UserError and RunFailed."""
    figure = require_picture(path).Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    rows = {"all": found["all"], **found["strata"]}
    for place, row in enumerate(rows.values()):
        one = row["agreement"]
        if one["value"] is not None:
            left.plot(one["value"], place, "o", color="#0969da")
            if one["low"] is not None:
                left.plot([one["low"], one["high"]], [place, place], color="#0969da")
    left.set_yticks(range(len(rows)), list(rows))
    left.set_xlabel("findings alike when marked again")
    left.set_title("Agreement, 95 % interval")
    curve = {int(count): share for count, share in found["flips_by_attempts"].items()}
    right.plot(list(curve), list(curve.values()), "o-", color="#1a7f37")
    right.axhline(found["rate"], color="#8c959f", linestyle="--", label=f"{found['rate']:.0%}")
    right.set_xlabel("attempts of each solver")
    right.set_title("Verdicts that flip when marked again")
    right.set_ylim(bottom=0)
    right.legend()
    try:
        figure.savefig(path)
    except OSError as error:
        raise RunFailed(f"{path}: cannot be written: {error.strerror}") from error


def _interval(figure: Mapping[str, float | None]) -> str:
    if figure["value"] is None:
        return "-"
    bounds = "" if figure["low"] is None else f" [{figure['low']:.2f}, {figure['high']:.2f}]"
    return f"{figure['value']:.3f}{bounds}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
