"""`autodata push`: accepted examples into a dataset elsewhere."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autodata.checkpoints.errors import UserError
from autodata.cli import values
from autodata.cli.export import read_examples
from autodata.cli.terminal import RunArgument
from autodata.corpus.push import TARGETS

if TYPE_CHECKING:
    from autodata.corpus.exporters.rows import ExportSet
    from autodata.corpus.push import Pushed
    from autodata.tracing.redact import Redactor

CARD_CHARS = 20_000
"""The longest description that a LangSmith dataset is given."""


def push(
    target: Annotated[str, typer.Argument(help=f"Where to: {', '.join(TARGETS)}.", autocompletion=values.targets)],
    run: RunArgument,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="The dataset's name; for hf OWNER/NAME.", show_default="autodata-FOLDER"),
    ] = None,
    shares: Annotated[
        str | None, typer.Option("--split", help="hf: shares of train, validation and test, as export has them.")
    ] = None,
    source: Annotated[bool, typer.Option("--source", help="hf: send the documents' texts too.")] = False,
    licence: Annotated[str, typer.Option("--licence", help="The licence of the sources, for the card.")] = "",
    public: Annotated[bool, typer.Option("--public", help="hf: a dataset that everybody sees; else private.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="hf: send without asking.")] = False,
) -> None:
    """Push the accepted examples of a run to a dataset elsewhere. Pushing again adds what is new, and nothing twice.

    Example: autodata push langsmith runs/first --dataset concrete
    """
    if target not in TARGETS:
        raise UserError(f"unknown target {target!r}: push to one of {', '.join(TARGETS)}")
    name = dataset or f"autodata-{_name(run)}"
    if target == "hf":
        pushed = _to_hub(run, name, shares=shares, source=source, licence=licence, public=public, yes=yes)
    elif shares or source or public:
        raise UserError("--split, --source and --public go with hf: leave them out for langsmith")
    else:
        pushed = _to_langsmith(run, name, licence)
    known = f", {pushed.known:,} were there already" if pushed.known else ""
    typer.echo(f"{pushed.new:,} example{'' if pushed.new == 1 else 's'} pushed to {pushed.where}{known}", err=True)


def _to_langsmith(run: Path, name: str, licence: str) -> Pushed:
    from autodata.corpus.exporters.card import card_text
    from autodata.corpus.push import push_langsmith

    examples = asyncio.run(read_examples(run))
    data = _read(run, None, source=False, licence=licence)
    return push_langsmith(examples, name, _redactor(run).clean, card_text(data)[:CARD_CHARS])


def _to_hub(run: Path, name: str, *, shares: str | None, source: bool, licence: str, public: bool, yes: bool) -> Pushed:
    from autodata.corpus.push_hf import hub_address, push_hf, pushed_files

    clean = _redactor(run).clean
    data = _read(run, shares, source=source, licence=licence)
    if not len(data):
        raise UserError(f"{run} holds no accepted example: there is nothing to push")
    files = pushed_files(data, clean)
    size = sum(map(len, files.values())) / 1_000
    texts = "with the documents' texts" if source else "without the documents' texts"
    seen = "everybody can see" if public else "is private"
    typer.echo(
        f"This sends {len(data):,} example{'' if len(data) == 1 else 's'} with all their answers, {texts}"
        f" ({len(files)} files, {size:,.0f} KB), to the dataset {name} at {hub_address()}, which {seen}.",
        err=True,
    )
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("nothing was sent: give --yes to send it")
        typer.confirm("Send it?", abort=True, err=True)
    return push_hf(files, len(data), name, clean, private=not public)


def _read(run: Path, shares: str | None, *, source: bool, licence: str) -> ExportSet:
    from autodata.corpus.exporters.splits import parse_shares
    from autodata.jobs.exports import read_export_set

    wanted = parse_shares(shares) if shares else (Fraction(1),)
    data = asyncio.run(read_export_set(run, wanted, source=source))
    return replace(data, facts=replace(data.facts, name=_name(run), licence=licence))


def _redactor(run: Path) -> Redactor:
    """Return what blacks out keys, and the patterns that the run's configuration names."""
    from autodata.runner.config import read_resolved
    from autodata.tracing.redact import Redactor

    resolved = read_resolved(run / "config.toml")
    variables = {"LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", "HF_TOKEN"}
    variables |= {str(settings.get("api_key_env", "")) for settings in resolved.get("models", {}).values()}
    return Redactor(resolved.get("tracing", {}).get("redact", ()), variables)


def _name(run: Path) -> str:
    return run.resolve().name
