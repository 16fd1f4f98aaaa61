"""`autodata check`: whether a run folder is whole, and what can be mended of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table

from autodata.cli.terminal import AsJson, RunArgument, console, print_json
from autodata.jobs.printable import printable

if TYPE_CHECKING:
    from autodata.jobs.check import Checked

SHOWN = 20
"""Problems of a kind that are shown; --json has all."""


def check(
    run: RunArgument,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended, and say what was done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check that a run folder is whole: its files, ledger, journal and checkpoints agree. Nothing is sent anywhere.

    Exit code 0 when nothing is wrong or all was mended, 1 otherwise. With --repair documents whose rows are wrong
    are pending again: the same 'autodata run' writes them anew, by the replies that are paid for.

    Example: autodata check runs/first
    """
    from autodata.jobs.check import check_run

    err = console(stderr=True)

    def says(what: str) -> None:
        if err.is_terminal and not as_json:
            err.print(f"checking {what}")

    checked = asyncio.run(check_run(run, repair=repair, says=says))
    if as_json:
        print_json(_as_json(checked))
    else:
        _show(checked)
    if not checked.sound:
        raise typer.Exit(1)


def _as_json(checked: Checked) -> dict[str, Any]:
    return {
        "run": str(checked.run),
        "sound": checked.sound,
        "looked_at": vars(checked.looked),
        "problems": [problem.as_json() for problem in checked.problems],
        "notes": list(checked.notes),
    }


def _show(checked: Checked) -> None:
    out, looked = console(), checked.looked
    counted = ", ".join(f"{count:,} {name}" for name, count in vars(looked).items())
    left = sum(not problem.repaired for problem in checked.problems)
    found = f"{left:,} of {len(checked.problems):,} problems left" if checked.problems else "nothing is wrong"
    out.print(f"{checked.run}: {found} ({counted})", soft_wrap=True)
    for note in checked.notes:
        out.print(note, soft_wrap=True)
    if not checked.problems:
        return
    table = Table(Column("problem", no_wrap=True), "where", "what", "repair", title_justify="left")
    shown: Counter[str] = Counter()
    for problem in checked.problems:
        shown[problem.kind] += 1
        if shown[problem.kind] <= SHOWN:
            done = problem.repaired or (f"--repair: {problem.repair.value}" if problem.repair else "by hand")
            table.add_row(problem.kind, printable(problem.where), printable(problem.what), done)
    out.print(table)
    for kind, count in shown.items():
        if count > SHOWN:
            out.print(f"and {count - SHOWN:,} more of {kind}: --json lists them", soft_wrap=True)
