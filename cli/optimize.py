"""`autodata optimize`: search for better prompts, and look at what a search found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.places import has_ledger
from autodata.checkpoints.queries.measured import lengths_by_split
from autodata.checkpoints.queries.searches import count_ended
from autodata.checkpoints.queries.usage import usage_by_role, usage_of_all
from autodata.checkpoints.usage import Usage
from autodata.cli import values
from autodata.cli.run import (
    ConfigFile,
    DomainName,
    DryRun,
    IdField,
    MaxCalls,
    MaxSeconds,
    MaxTokens,
    MaxUsd,
    Pilot,
    TextField,
    TitleField,
    bounds,
    by_cause,
    fields,
    find_settings,
    on_signals,
    stopped_at_once,
)
from autodata.cli.terminal import AsJson, console, print_json, write_data

if TYPE_CHECKING:
    from rich.console import Console

    from autodata.jobs.estimate import Estimate
    from autodata.jobs.search_report import SearchReport
    from autodata.runner.optimization.session import OptimizeRunConfig
    from autodata.runner.outcome import Outcome

optimize = typer.Typer(
    help="Search for better prompts: rewrite them from traced failures, keep what wins on held-out documents.\n\n"
    "Example: autodata optimize --config autodata.toml --train papers/train --validate papers/held-out --out OPT",
    invoke_without_command=True,
    no_args_is_help=True,
)

Searched = Annotated[Path, typer.Argument(metavar="OPT", help="The folder of a search: --out of 'autodata optimize'.")]


@optimize.callback()
def search(
    context: typer.Context,
    train: Annotated[list[Path] | None, typer.Option(help="Documents whose failures are read.")] = None,
    validate: Annotated[list[Path] | None, typer.Option(help="Held-out documents that decide.")] = None,
    test: Annotated[list[Path] | None, typer.Option(help="Held-out documents, looked at once, at the end.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The search's folder.")] = Path("optimized"),
    config: ConfigFile = None,
    domain: DomainName = None,
    iterations: Annotated[int | None, typer.Option(help="Iterations in all.")] = None,
    parallel: Annotated[int | None, typer.Option(help="Iterations at once; only 1 is reproducible to the bit.")] = None,
    confirm: Annotated[int | None, typer.Option(help="Fresh blocks before a new incumbent is believed.")] = None,
    patience: Annotated[int | None, typer.Option(help="End after so many iterations without a new leader.")] = None,
    reach: Annotated[float | None, typer.Option(help="End once the leader's pass rate is estimated so high.")] = None,
    stop_file: Annotated[Path | None, typer.Option(help="Stop, to go on later, once this file is there.")] = None,
    track: Annotated[
        list[str] | None, typer.Option(help="Send figures to: mlflow, wandb.", autocompletion=values.trackers)
    ] = None,
    text_field: TextField = None,
    title_field: TitleField = None,
    id_field: IdField = None,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    max_seconds: MaxSeconds = None,
    dry_run: DryRun = False,
    pilot: Pilot = None,
    as_json: AsJson = False,
) -> None:
    """Search for better prompts. The same command again goes on, and pays for nothing twice."""
    if context.invoked_subcommand is not None:
        return
    from autodata.runner.optimization.session import OptimizeRunConfig

    flags = {
        "domain": domain,
        "optimize.iterations": iterations,
        "optimize.parallel": parallel,
        "optimize.confirm": confirm,
        "optimize.patience": patience,
        "optimize.reach": reach,
        "optimize.stop_file": None if stop_file is None else str(stop_file),
        "optimize.track": track or None,
        **fields(text_field, title_field, id_field),
        **bounds(max_calls, max_tokens, max_usd, max_seconds),
    }
    settings = OptimizeRunConfig.of(find_settings(config, out, flags, OptimizeRunConfig.kind))
    paths = {"train": train or [], "validate": validate or [], "test": test or []}
    if pilot and not dry_run:
        raise UserError("--pilot goes with --dry-run: it is the part of it that is really run")
    if dry_run and not pilot:
        _foretell(settings, paths, out, as_json=as_json, pilot=False)
    terminal = console(stderr=True)
    outcome, report = execute(settings, paths, out, terminal, pilot=pilot)
    if pilot and not outcome.failed:
        _foretell(settings, paths, out, as_json=as_json, pilot=True)
    _conclude(outcome, report, out, terminal, as_json=as_json)


def _conclude(outcome: Outcome, report: SearchReport, out: Path, terminal: Console, *, as_json: bool) -> NoReturn:
    """Print how a session ended, and exit."""
    from autodata.cli.optimize_report import show_search

    if as_json:
        print_json(report.as_dict())
    else:
        show_search(console(), out, report)
    for line in closing_lines(outcome, report, out):
        terminal.print(line, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(int(outcome.failed))


def _foretell(
    config: OptimizeRunConfig, paths: Mapping[str, list[Path]], out: Path, *, as_json: bool, pilot: bool
) -> NoReturn:
    """Print what a search will take, and exit."""
    from autodata.cli.estimate import conclude_estimate

    conclude_estimate(asyncio.run(foresee(config, paths, out)), out, as_json=as_json, pilot=pilot)


async def foresee(config: OptimizeRunConfig, paths: Mapping[str, list[Path]], out: Path) -> Estimate:
    """Return what a search will take. Nothing is sent, nothing is written. Raises UserError as a search does."""
    from autodata.jobs.estimate_search import estimate_search
    from autodata.jobs.inputs import Inputs, as_folder_began
    from autodata.jobs.known import readers_of
    from autodata.jobs.measured import measured
    from autodata.jobs.run_ledger import ledger_of
    from autodata.jobs.search_session import documents_of, lengths_of
    from autodata.runner.optimization.splits import near_copies, require_splits

    config = await as_folder_began(config, out)
    splits = {split: documents_of(Inputs(config, files), split)[0] for split, files in paths.items() if files}
    lengths = lengths_of(splits)
    if not has_ledger(out):
        if not splits:
            raise UserError(f"{out} holds no search yet: give --train PATH and --validate PATH")
        require_splits(splits)
        return replace(estimate_search(config, lengths), notes=tuple(near_copies(splits)))
    async with ledger_of(out, search=True) as ledger:
        readers, lengths = readers_of(config.chosen_domain), await lengths_by_split(ledger)
        texts = [chars for split in lengths.values() for chars in split]
        chars = sum(texts) / len(texts) if readers and texts else None
        return estimate_search(
            config,
            lengths,
            made=await measured(ledger, readers, chars, search=True),
            done=await count_ended(ledger),
            spent=Usage.of_row(await usage_of_all(ledger)),
            by_role={row["role"]: Usage.of_row(row) for row in await usage_by_role(ledger)},
        )


def execute(
    config: OptimizeRunConfig,
    paths: Mapping[str, list[Path]],
    out: Path,
    terminal: Console,
    *,
    pilot: int | None = None,
) -> tuple[Outcome, SearchReport]:
    """Run one session with progress on a terminal; with `pilot`, only so many documents of its first evaluation.

    The first Ctrl-C or SIGTERM drains, the second stops at once.
    """
    from autodata.jobs.event_loop import run_long
    from autodata.jobs.inputs import as_folder_began
    from autodata.jobs.search_progress import OptimizeProgress
    from autodata.jobs.search_session import read_splits, work

    config = asyncio.run(as_folder_began(config, out))
    inputs = read_splits(config, paths, out)
    progress = OptimizeProgress(terminal, config.optimize.iterations)
    with suppress(asyncio.CancelledError):
        return run_long(
            work(config, inputs, out, progress, begun=lambda session: on_signals(session, progress), pilot=pilot)
        )
    raise stopped_at_once(out)


def closing_lines(outcome: Outcome, report: SearchReport, out: Path) -> list[str]:
    """Return what a person must know at the end: whether a budget or the search ended it, and what to type next."""
    summary = report.summary
    if outcome.stopped:
        lines = [
            f"stopped: {outcome.stopped}, after {summary['iterations_ended']} of {summary['iterations']} iterations:"
            " the same command goes on, and pays for nothing twice"
        ]
    else:
        lines = [f"the search ended: {outcome.ended or _all_done(summary)}"]
    if outcome.errored:
        lines += [*by_cause(outcome.errored), "errored documents are left out of their scores"]
    lines += outcome.notes
    if summary["winner"]["iteration"]:
        lines.append(f"next: autodata optimize export {out} --out prompts   autodata run --prompts {out} ...")
    elif summary["iterations_ended"]:
        lines.append(f"no edit won yet, so there is nothing to export; what was tried: autodata optimize show {out}")
    return lines


def _all_done(summary: Mapping[str, Any]) -> str:
    return f"all {summary['iterations']} iterations are done"


@optimize.command("status")
def status(
    folder: Searched,
    as_json: AsJson = False,
    picture: Annotated[Path | None, typer.Option(help="Draw the search: FILE.svg or FILE.png.")] = None,
) -> None:
    """Print how a search stands: scores, the winner, what was accepted and refused, what it cost.

    Example: autodata optimize status OPT --picture search.svg
    """
    from autodata.cli.optimize_report import show_search
    from autodata.jobs.search_report import SearchReport

    report = asyncio.run(SearchReport.of(folder))
    if picture is not None:
        from autodata.cli.optimize_picture import draw

        draw(report, picture)
        typer.echo(f"drawn: {picture}", err=True)
    if as_json:
        print_json(report.as_dict())
    else:
        show_search(console(), folder, report)


@optimize.command("show")
def show(
    folder: Searched,
    iteration: Annotated[
        int | None, typer.Argument(metavar="[ITERATION]", help="One iteration whole.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the iterations of a search, or show one: parent, analysis with its evidence, edit, documents, decision.

    Example: autodata optimize show OPT 2
    """
    from autodata.cli.optimize_show import read_iteration, read_iterations, show_iteration, show_iterations

    if iteration is None:
        rows = asyncio.run(read_iterations(folder))
        if as_json:
            print_json(rows)
        else:
            show_iterations(console(), folder, rows)
        return
    found = asyncio.run(read_iteration(folder, iteration))
    if as_json:
        print_json(found.as_dict())
    else:
        show_iteration(console(), found)


@optimize.command("blame")
def blame(
    folder: Searched,
    role: Annotated[str, typer.Argument(metavar="[ROLE]", help="One prompt alone.", show_default=False)] = "",
) -> None:
    """Print the winning prompts, each line with the iteration that wrote it and the score it brought.

    Example: autodata optimize blame OPT challenger
    """
    from autodata.cli.optimize_report import blamed

    for line in asyncio.run(blamed(folder, role)):
        write_data(f"{line}\n")


@optimize.command("export")
def export(
    folder: Searched,
    out: Annotated[Path, typer.Option("--out", help="The folder to write the winning prompts to.")] = Path("prompts"),
) -> None:
    """Write the winning prompts into a folder, one file per role.

    Example: autodata optimize export OPT --out prompts
    """
    from autodata.jobs.search_report import SearchReport
    from autodata.prompts.patch import write_pack

    report = asyncio.run(SearchReport.of(folder))
    write_pack(report.winner_pack, out)
    typer.echo(
        f"{len(report.winner_pack.prompts)} prompts of iteration {report.winner_iteration} written to {out}", err=True
    )
