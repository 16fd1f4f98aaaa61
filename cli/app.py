"""The command line: one typer application; errors become one line and an exit code, never a traceback."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.completion import completion_init  # type: ignore[attr-defined] # typer lists none
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from autodata.checkpoints.errors import AutodataError, UserError, exit_code_of
from autodata.checkpoints.registry import Registry
from autodata.jobs.printable import printable, take_any_text

COMMANDS: Mapping[str, str] = {
    "run": "Make examples from documents. The same command again resumes.",
    "worker": "Work on runs that 'autodata run --queue' put into a queue, beside any number of other workers.",
    "plan": "Say what many documents take: requests at once, workers, database, money. Nothing is sent.",
    "review": "Look at the candidates that wait for a person: approve, edit or reject each with a key.",
    "retry": "Ask again about documents that ended errored or rejected, in a new epoch of their calls.",
    "drop": "Leave documents or examples out of exports and counts; they stay in the folder, marked.",
    "check": (
        "Check that a run folder is whole: its files, ledger, journal and checkpoints agree. Nothing is sent anywhere."
    ),
    "prune": "Make a run's folder smaller: drop checkpoints of documents that have ended, and give free space back.",
    "fork": "Take a document back to a round, change its candidate, rubric or feedback, and go on from there.",
    "baseline": "Write one question a document and measure both solvers on it: what a run is compared with.",
    "list": "List the runs under a folder: state, documents, accepted examples, cost and age.",
    "status": "Print how a run stands: documents, calls and tokens by role, scores, and why rounds failed.",
    "show": (
        "List the documents of a run, or show one document: questions, attempts with their marks, verdicts, feedback."
    ),
    "trace": "Draw what a document's run did, and when: rounds, nodes and calls with time, tokens, cost and verdicts.",
    "compare": "Show runs side by side: scores, rounds, failures and cost, with 95 % intervals.",
    "lessons": (
        "Show the lessons of a run made with --lessons: what each says, where it comes from, whether it is in force."
    ),
    "calibrate": (
        "Mark a sample of a run's attempts again, and say how far its judge agrees with itself, others and people."
    ),
    "analyse": "Say what the accepted examples are like: doubles, coverage, rubrics, learnability, contamination.",
    "optimize": "Search for better prompts: rewrite them from traced failures, keep what wins on held-out documents.",
    "export": "Write the accepted examples of a run to a file or folder, in the order of their documents.",
    "report": (
        "Write one HTML page of runs and searches: figures, plots, and every round of every document to look through."
    ),
    "view": "Serve the report of runs on this machine alone, as they stand when the page is loaded. Ctrl-C ends it.",
    "push": (
        "Push the accepted examples of a run to a dataset elsewhere. Pushing again adds what is new, and nothing twice."
    ),
    "init": "Write a commented configuration: every setting with its default and its meaning.",
    "doctor": "Try every endpoint of a configuration with a few tiny calls and say what each can do.",
    "demo": "Make a few examples from the shipped documents, with no key and no server.",
    "graph": (
        "Print the graph of a domain, or of a server, as mermaid text; or draw it into a file."
        " Nothing is sent anywhere."
    ),
    "prompts": "Show, compare and copy the prompts of domains.",
    "plugins": (
        "List task types, presets, loaders, export formats, trace exporters and commands, ours and installed ones."
    ),
    "completion": "Print a script that completes commands, options, their values and files in bash, zsh or fish.",
}
"""Each is a module of this folder that holds a function or a typer application of its own name.

The line is the first paragraph of its help, so that the list of commands is printed without importing any.
"""


INSTALLED: Registry[Any] = Registry("autodata.commands", "command", dict.fromkeys(COMMANDS))
"""Commands of entry points `autodata.commands`: functions or typer applications, as ours are."""


class Commands(TyperGroup):
    """Imports a command's module when the command is asked for: `status` need not wait for what `run` needs."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help; those that packages add come last."""
        return list(INSTALLED)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, imported now if it was not yet; for a list of all, its name and its line of help."""
        if self._listing and cmd_name in COMMANDS:
            return TyperCommand(cmd_name, help=COMMANDS[cmd_name])
        if cmd_name not in self.commands and cmd_name in INSTALLED:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, of each command its line alone."""
        with self._lists():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands and options that begin so."""
        with self._lists():
            return super().shell_complete(ctx, incomplete)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command. One that there is not is answered with those that are spelt alike."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and name not in INSTALLED:
            near = get_close_matches(name, list(INSTALLED), 2)
            reported = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            ctx.fail(f"No such command {name!r}.{reported}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an option that it does not have is answered with those that are spelt alike."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            near: Any = getattr(error, "possibilities", None)
            if near:
                reported = " or ".join(map(repr, near[:2]))
                error.message = f"{error.message}. Did you mean {reported}?"
                vars(error)["possibilities"] = None
            raise

    @contextmanager
    def _lists(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


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
    context_settings={"help_option_names": ["-h", "--help"]},
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


COMPLETING = "_AUTODATA_COMPLETE"
"""The environment variable by which a shell asks for completions: see `autodata completion`."""


OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""New objects until Python looks for garbage. At its own 700 an eighth of a command's start goes into looking."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 the user's mistake."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    take_any_text()
    if COMPLETING in os.environ:
        completion_init()
    try:
        app()
    except AutodataError as error:
        sys.stderr.write(f"autodata: {printable(str(error))}\n")
        sys.exit(exit_code_of(error))
