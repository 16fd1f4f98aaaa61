"""`autodata doctor`: try every endpoint of a configuration before anything is spent on a run."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.cli.terminal import AsJson, console, print_json
from autodata.jobs.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from autodata.checkpoints.records import Document
    from autodata.models.config import ModelSettings
    from autodata.models.probe import Finding
    from autodata.runner.config import RunConfig
    from autodata.runner.places import CheckpointsConfig
    from autodata.runner.rehearsal import Rehearsal


def doctor(
    config: Annotated[Path, typer.Option("--config", help="The configuration to try.")] = Path("autodata.toml"),
    timeout: Annotated[float, typer.Option(help="Seconds that one request may take here.", min=0.1)] = 60.0,
    rehearse: Annotated[
        bool, typer.Option("--rehearse/--no-rehearse", help="Let each role do its real work once, on a small document.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Try every endpoint of a configuration with a few tiny calls and say what each can do.

    Looks for the key's variable, then asks for plain text, for structured output, and for a word at the beginning of a
    prompt as long as documents.max_chars, or as one over a passage, all as a run would: what is refused is left out,
    and what fails is tried again. Where all is well, each role then does its real work once on a small document of the
    package: one call a role. Local weights that are not cached yet are fetched. A Postgres server for checkpoints is
    reached, and nothing is changed there. Exit code 1 if a role, or that server, could not be used.

    Example: autodata doctor --config autodata.toml
    """
    from autodata.nodes.solver_modes import cautions
    from autodata.runner.config import load_config

    if not math.isfinite(timeout):
        raise UserError(f"--timeout {timeout}: give a number of seconds")
    settings = load_config(config)
    roles = {role: _bounded(one, timeout) for role, one in settings.roles().items()}
    findings, rehearsal, saver = asyncio.run(_try_all(settings, roles, console(stderr=True), rehearse=rehearse))
    warnings = cautions(settings.chosen_domain, settings.roles())
    usable = all(finding.usable for finding in findings) and not (saver and saver.problem)
    usable = usable and (rehearsal is None or rehearsal.usable)
    if as_json:
        endpoints = [{**asdict(finding), "usable": finding.usable} for finding in findings]
        print_json(
            {"config": str(config), "domain": settings.domain, "usable": usable, "endpoints": endpoints}
            | {"rehearsal": {**asdict(rehearsal), "calls": rehearsal.calls} if rehearsal else None}
            | {"checkpoints": asdict(saver) if saver else None, "warnings": warnings}
        )
    else:
        _report(console(), findings, rehearsal, saver, warnings)
    raise typer.Exit(0 if usable else 1)


async def _try_all(
    settings: RunConfig, roles: Mapping[str, ModelSettings], errors: Console, *, rehearse: bool
) -> tuple[list[Finding], Rehearsal | None, SaverFinding | None]:
    """Try every endpoint and the checkpoints' server; where all endpoints can be used, each role does its work."""
    from autodata.models.local.serving import LocalServing
    from autodata.models.probe import group, probe
    from autodata.runner.rehearsal import rehearse as run_through

    with errors.status("") as line:

        def say(what: str, done: int = 0, total: int = 0) -> None:
            size = f" ({done / 1e6:,.0f} of {total / 1e6:,.0f} MB)" if total else ""
            line.update(Text(printable(f"{what}{size}")))

        serving = LocalServing(
            progress=say, n_parallel=settings.local.n_parallel, ctx=settings.local.ctx, python=settings.local.python
        )
        try:
            longest = _longest(settings) if rehearse else 0
            parts = group(roles)
            passages = settings.chosen_domain.passage_words is not None
            findings = [
                await probe(part, serving, say, settings.retries, longest=longest, passages=passages) for part in parts
            ]
            saver = await _try_saver(settings.checkpoints)
        finally:
            await serving.aclose()
        rehearsal = None
        if rehearse and all(finding.usable for finding in findings):
            say(f"rehearsing: {len(roles)} calls, one a role, and more where a reply must be repaired")
            rehearsal = await run_through(settings, _small_document(), say)
        return findings, rehearsal, saver


def _report(
    out: Console,
    findings: list[Finding],
    rehearsal: Rehearsal | None,
    saver: SaverFinding | None,
    warnings: Sequence[str],
) -> None:
    """Print everything for people."""
    _show(out, findings)
    if rehearsal:
        _show_rehearsal(out, rehearsal)
    _conclude(out, findings, rehearsal)
    for warning in warnings:
        out.print(Text(printable(f"warning: {warning}"), style="bold yellow"), soft_wrap=True)
    if saver:
        line = Text(printable(saver.problem or saver.found), style="bold red" if saver.problem else "bold green")
        out.print(Text("Checkpoints: ").append(line), soft_wrap=True)


@dataclass(frozen=True)
class SaverFinding:
    """What was found out about a shared server for checkpoints. `problem` is set when it cannot be used."""

    saver: str
    found: str
    problem: str | None = None


async def _try_saver(config: CheckpointsConfig) -> SaverFinding | None:
    """Reach the server that checkpoints go to; None where they go to a file."""
    if config.saver == "sqlite":
        return None
    from autodata.runner.checkpointer import describe_saver

    try:
        return SaverFinding(config.saver, await describe_saver(config))
    except UserError as error:
        return SaverFinding(config.saver, "", str(error))


def _longest(config: RunConfig) -> int:
    """Return the characters of the longest document that a model may be shown; of a prompt where it is a passage."""
    from autodata.runner.rooms import prompt_chars

    words = config.chosen_domain.passage_words
    return config.max_chars if words is None else prompt_chars(words)


def _bounded(settings: ModelSettings, seconds: float) -> ModelSettings:
    """Return settings whose requests are given up sooner. A local model may take its time: it is there."""
    if settings.provider == "local":
        return settings
    return settings.model_copy(update={"timeout": min(seconds, settings.timeout)})


def _show(out: Console, findings: Iterable[Finding]) -> None:
    for found in findings:
        title = Text(printable(found.endpoint), style="bold green" if found.usable else "bold red")
        table = Table(title=title, title_justify="left", box=None, show_header=False, padding=(0, 2))
        rows = {
            "roles": ", ".join(found.roles),
            "key": found.key,
            "plain call": found.plain,
            "structured": found.structured,
            "seed": found.seed,
            "tokens": found.usage,
            "context": found.context,
        }
        for name, value in rows.items():
            table.add_row(Text(name, style="dim"), Text(printable(value)))
        for line in found.adjusted:
            table.add_row(Text("adjusted", style="dim"), Text(printable(line)))
        for note in found.notes:
            table.add_row(Text("note", style="dim"), Text(printable(note)))
        for fault in found.faults:
            kind = Text("fault", style="bold red") if fault.fatal else Text("warning", style="bold yellow")
            roles = "" if fault.roles == found.roles else f"{', '.join(fault.roles)}: "
            table.add_row(kind, Text(printable(f"{roles}{fault.problem}: {fault.advice}")))
        out.print(table)
        out.print()


def _show_rehearsal(out: Console, rehearsal: Rehearsal) -> None:
    title = f"Rehearsal on {rehearsal.document}, {rehearsal.calls} calls"
    style = "bold green" if rehearsal.usable else "bold red"
    table = Table(title=Text(title, style=style), title_justify="left", box=None, show_header=False, padding=(0, 2))
    for part in rehearsal.parts:
        state = "failed" if part.problem else "ok" if part.tried else "not tried"
        said = part.problem or part.note
        table.add_row(
            Text(part.role, style="dim"),
            Text(state, style="bold red" if part.problem else "green" if part.tried else "yellow"),
            Text(printable(said)),
        )
    for line in rehearsal.adjusted:
        table.add_row(Text("adjusted", style="dim"), Text(""), Text(printable(line)))
    out.print(table)
    out.print()


def _conclude(out: Console, findings: Sequence[Finding], rehearsal: Rehearsal | None) -> None:
    broken = [role for found in findings for fault in found.faults if fault.fatal for role in fault.roles]
    broken += [part.role for part in rehearsal.parts if part.problem] if rehearsal else []
    if broken:
        out.print(Text(f"These roles could not be used: {', '.join(dict.fromkeys(broken))}", style="bold red"))
    else:
        out.print(Text("Every role can be used.", style="bold green"))


def _small_document() -> Document:
    """Return the shortest of the documents that come with the package."""
    from autodata.checkpoints.records import Document
    from autodata.corpus.documents import read_documents
    from autodata.examples import documents_folder

    found = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]
    return min(found, key=lambda document: len(document.text))
