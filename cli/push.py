"""`autodata push`: accepted examples into a dataset elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodata.checkpoints.errors import UserError
from autodata.cli.export import read_examples
from autodata.cli.terminal import RunArgument
from autodata.corpus.push import TARGETS

if TYPE_CHECKING:
    from autodata.tracing.redact import Redactor


def push(
    target: Annotated[str, typer.Argument(help=f"Where to: {', '.join(TARGETS)}.")],
    run: RunArgument,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="The dataset's name.", show_default="autodata-FOLDER")
    ] = None,
) -> None:
    """Push the accepted examples of a run to a dataset elsewhere. Pushing again adds what is new, and nothing twice.

    Example: autodata push langsmith runs/first --dataset concrete
    """
    if target not in TARGETS:
        raise UserError(f"unknown target {target!r}: push to one of {', '.join(TARGETS)}")
    examples = asyncio.run(read_examples(run))
    pushed = TARGETS[target](examples, dataset or f"autodata-{_name(run)}", _redactor(run).clean)
    known = f", {pushed.known:,} were there already" if pushed.known else ""
    typer.echo(f"{pushed.new:,} example{'' if pushed.new == 1 else 's'} pushed to {pushed.where}{known}", err=True)


def _redactor(run: Path) -> Redactor:
    """Return what blacks out keys, and the patterns that the run's configuration names."""
    from autodata.runner.config import read_resolved
    from autodata.tracing.redact import Redactor

    resolved = read_resolved(run / "config.toml")
    variables = {"LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"}
    variables |= {str(settings.get("api_key_env", "")) for settings in resolved.get("models", {}).values()}
    return Redactor(resolved.get("tracing", {}).get("redact", ()), variables)


def _name(run: Path) -> str:
    return run.resolve().name
