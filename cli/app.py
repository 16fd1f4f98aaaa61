"""The command line: one typer application; errors become one line and an exit code, never a traceback."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from autodata.checkpoints.errors import AutodataError, UserError, exit_code_of
from autodata.checkpoints.registry import Registry
from autodata.jobs.printable import printable, take_any_text

COMMANDS = (
    "run",
    "review",
    "fork",
    "baseline",
    "status",
    "show",
    "trace",
    "compare",
    "analyse",
    "optimize",
    "export",
    "report",
    "view",
    "push",
    "init",
    "doctor",
    "demo",
    "graph",
    "prompts",
    "plugins",
)
"""Each is a module of this folder that holds a function or a typer application of its own name."""


INSTALLED: Registry[Any] = Registry("autodata.commands", "command", dict.fromkeys(COMMANDS))
"""Commands of entry points `autodata.commands`: functions or typer applications, as ours are."""


class Commands(TyperGroup):
    """Imports a command's module when the command is asked for: `status` need not wait for what `run` needs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help; those that packages add come last."""
        return list(INSTALLED)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, imported now if it was not yet."""
        if cmd_name not in self.commands and cmd_name in INSTALLED:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)


def _load(name: str) -> Any:
    if name in COMMANDS:
        found = getattr(importlib.import_module(f"autodata.cli.{name}"), name)
    else:
        try:
            found = INSTALLED[name]
        except UserError as error:
            found = _unusable(error)
    if isinstance(found, typer.Typer):
        group = get_command(found)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")
    alone.command(name)(found)
    return get_command(alone)


def _unusable(error: UserError) -> Any:
    """Return a command that only says why it cannot be used: the help of all others goes on."""

    def unusable() -> None:
        raise error

    unusable.__doc__ = f"Cannot be used: {error}"
    return unusable


app = typer.Typer(
    name="autodata",
    cls=Commands,
    help="Synthetic data whose difficulty is a dial: what the strong model can do and the weak one cannot yet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


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
    take_any_text()
    try:
        app()
    except AutodataError as error:
        sys.stderr.write(f"autodata: {printable(str(error))}\n")
        sys.exit(exit_code_of(error))
