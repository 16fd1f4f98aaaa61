"""The command line: one typer application; errors become one line and an exit code, never a traceback."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from autodata.checkpoints.records import DiskFailed, RunFailed, UserError
from autodata.cli import baseline, compare, demo, doctor, export, graph, init, prompts, run, show, status

app = typer.Typer(
    name="autodata",
    help="Synthetic data whose difficulty is a dial: what the strong model can do and the weak one cannot yet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for module in (run, baseline, status, show, compare, export, init, doctor, demo, graph):
    name = module.__name__.rpartition(".")[2]
    app.command(name)(getattr(module, name))
app.add_typer(prompts.prompts, name="prompts")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("autodata-langgraph"))
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 the user's mistake."""
    try:
        app()
    except UserError as error:
        sys.exit(_say(error, 2))
    except DiskFailed as error:
        sys.exit(_say(error, 2))
    except RunFailed as error:
        sys.exit(_say(error, 1))


def _say(error: Exception, code: int) -> int:
    sys.stderr.write(f"autodata: {error}\n")
    return code
