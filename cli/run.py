"""`autodata run`: documents in, accepted examples out, resumable at any instant."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import signal
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Protocol

import typer

from autodata.checkpoints.errors import RunFailed, UserError, cause_of
from autodata.checkpoints.places import has_ledger
from autodata.checkpoints.queries.usage import usage_of_all
from autodata.checkpoints.texts import json_text
from autodata.cli import values
from autodata.cli.figures import cause_line, may_be_billed, repeated_questions, summary_table
from autodata.cli.terminal import console

if TYPE_CHECKING:
    from rich.console import Console

    from autodata.jobs.session import Session
    from autodata.runner.config import RunConfig
    from autodata.runner.document_runner import Runner

_KIND = re.compile(r": [a-z_]+: ")

# Options that `autodata run` and `autodata baseline` share.
Documents = Annotated[list[Path] | None, typer.Option("--documents", help="Files, folders, addresses, or - to read.")]
More = Annotated[list[Path] | None, typer.Argument(help="More of them.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", help="The run's folder.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file; see 'autodata init'.")]
DomainName = Annotated[
    str | None,
    typer.Option("--domain", help="A shipped domain, or the folder of one of your own.", autocompletion=values.domains),
]
Concurrency = Annotated[
    int | None,
    typer.Option(help="Documents in work at once; by default 1.5 times the requests at once."),
]
Limit = Annotated[int | None, typer.Option(help="Documents to take at most.")]
TextField = Annotated[str | None, typer.Option(help="Key or column that holds a document's text.")]
TitleField = Annotated[str | None, typer.Option(help="The one that holds its title.")]
IdField = Annotated[str | None, typer.Option(help="The one that holds its id.")]
MaxCalls = Annotated[int | None, typer.Option(help="Model calls the run may make in all.")]
MaxTokens = Annotated[int | None, typer.Option(help="Tokens the run may use in all, in and out.")]
MaxUsd = Annotated[float | None, typer.Option(help="US dollars the run may cost in all.")]
MaxSeconds = Annotated[float | None, typer.Option(help="Seconds this session may take.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what it will take: calls, tokens, money, hours. Nothing is sent.")
]
Pilot = Annotated[
    int | None,
    typer.Option(
        min=1, help="With --dry-run: really run the first so many documents, which are kept, and measure them."
    ),
]
StatusJson = Annotated[bool, typer.Option("--json", help="Print the final status as one JSON object.")]


class Drainable(Protocol):
    """What can be asked to stop: a run, or a search."""

    def drain(self, reason: str, *, failed: bool = False) -> None:
        """Begin nothing more; stop at the next checkpoint."""


class Says(Protocol):
    """What shows a line that stays."""

    def say(self, text: str) -> None:
        """Print a line."""


# It is long for its options, which typer reads from the signature.
def run(
    documents: Documents = None,
    more: More = None,
    out: Out = Path("run"),
    config: ConfigFile = None,
    domain: DomainName = None,
    acceptance: Annotated[
        str | None,
        typer.Option(help="A preset: paper, deployed, meta, majority, counts.", autocompletion=values.presets),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A folder of prompts, or a search of 'autodata optimize': its winner.")
    ] = None,
    max_rounds: Annotated[int | None, typer.Option(help="Rounds until a document is rejected.")] = None,
    review: Annotated[
        str | None,
        typer.Option(
            help="Candidates that wait for a person: accepted, borderline, all.", autocompletion=values.reviews
        ),
    ] = None,
    confirm: Annotated[
        int | None, typer.Option(help="Fresh attempts of each solver at every accepted example: scores free of luck.")
    ] = None,
    require_confirmed: Annotated[
        bool, typer.Option("--require-confirmed", help="With --confirm: the fresh attempts alone must pass, too.")
    ] = False,
    lessons: Annotated[
        bool, typer.Option("--lessons", help="Learn from batch to batch: 'autodata lessons RUN' shows what.")
    ] = False,
    concurrency: Concurrency = None,
    limit: Limit = None,
    text_field: TextField = None,
    title_field: TitleField = None,
    id_field: IdField = None,
    target: Annotated[int | None, typer.Option(help="Make exactly this many distinct examples, and stop.")] = None,
    weak_from: Annotated[
        str | None,
        typer.Option(help="The weak solver: a checkpoint's folder, a GGUF file, or a name that its endpoint serves."),
    ] = None,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    max_usd: MaxUsd = None,
    max_seconds: MaxSeconds = None,
    queue: Annotated[
        str | None,
        typer.Option(help="Let workers do the work: a Postgres server's address, or the variable that holds it."),
    ] = None,
    server: Annotated[str | None, typer.Option(help="Let the LangGraph server at this address do the work.")] = None,
    graph: Annotated[
        str | None,
        typer.Option(help="With --server: its graph.", show_default="self_instruct_DOMAIN"),
    ] = None,
    profile: Annotated[list[str] | None, typer.Option(help="With --server: ROLE=NAME of a model profile.")] = None,
    server_key_env: Annotated[str | None, typer.Option(help="With --server: variable that holds its key.")] = None,
    dry_run: DryRun = False,
    pilot: Pilot = None,
    as_json: StatusJson = False,
) -> None:
    """Make examples from documents. The same command again resumes.

    Example: autodata run --config autodata.toml --documents papers/ --out runs/first
    """
    flags = {
        "domain": domain,
        "acceptance": acceptance,
        "prompts": str(prompts_folder(prompts)) if prompts else None,
        "max_rounds": max_rounds,
        "review": review,
        "confirm.attempts": confirm,
        "confirm.require": require_confirmed or None,
        "lessons.enabled": lessons or None,
        "concurrency": concurrency,
        "limit": limit,
        "target": target,
        "weak_from": weak_from,
        **fields(text_field, title_field, id_field),
        **bounds(max_calls, max_tokens, max_usd, max_seconds),
    }
    paths = [*(documents or []), *(more or [])]
    if queue is not None:
        if server is not None or dry_run or pilot:
            raise UserError("--queue goes without --server, --dry-run and --pilot: leave them out, or --queue")
        from autodata.cli.queued import at_server, run_in_queue

        settings = find_settings(config, out, at_server(flags))
        conclude(run_in_queue(queue, settings, paths, out), out, as_json=as_json)
    if server is not None:
        from autodata.cli.server_engine import require_possible, run_on_server

        confirmed = bool(confirm) or require_confirmed
        require_possible(foreseen=dry_run or bool(pilot), weak_from=weak_from, lessons=lessons, confirmed=confirmed)
        session, notes = run_on_server(server, graph, profile or [], server_key_env, config, flags, paths, out)
        conclude(session, out, as_json=as_json, notes=notes)
    if graph or profile or server_key_env:
        raise UserError("--graph, --profile and --server-key-env go with --server URL")
    settings = find_settings(config, out, flags)
    if dry_run or pilot:
        foresee(settings, paths, out, dry_run=dry_run, pilot=pilot, as_json=as_json)
    finish(settings, paths, out, as_json=as_json)


def foresee(
    settings: RunConfig, paths: list[Path], out: Path, *, dry_run: bool, pilot: int | None, as_json: bool
) -> NoReturn:
    """Print what a run will take, and exit. A pilot works on the first documents before; without one nothing is sent.

    A pilot that fails is reported as a run is, with its exit code.
    """
    from autodata.cli.estimate import conclude_estimate
    from autodata.jobs.estimate import estimate_of
    from autodata.jobs.inputs import Inputs, as_folder_began

    if not dry_run:
        raise UserError("--pilot goes with --dry-run: it is the part of it that is really run")
    if pilot:
        first = settings.model_copy(update={"limit": min(pilot, settings.limit or pilot)})
        session = execute(first, paths, out, console(stderr=True), whole=settings)
        if session.exit_code:
            conclude(session, out, as_json=as_json)
    settings = asyncio.run(as_folder_began(settings, out))
    estimate = asyncio.run(estimate_of(settings, Inputs(settings, paths), out))
    conclude_estimate(estimate, out, as_json=as_json, pilot=bool(pilot))


def fields(text: str | None, title: str | None, id_: str | None) -> dict[str, str | None]:
    """Return the flags that say where a record holds its text, title and id."""
    return {"documents.text_field": text, "documents.title_field": title, "documents.id_field": id_}


def bounds(
    calls: int | None, tokens: int | None, usd: float | None, seconds: float | None
) -> dict[str, int | float | None]:
    """Return the flags that say what a run may take."""
    return {
        "budget.max_calls": calls,
        "budget.max_tokens": tokens,
        "budget.max_usd": usd,
        "budget.max_seconds": seconds,
    }


def finish(settings: RunConfig, paths: list[Path], out: Path, *, as_json: bool) -> NoReturn:
    """Run one session, print its status, what a person must know and what to type next, and exit."""
    conclude(execute(settings, paths, out, console(stderr=True)), out, as_json=as_json)


def conclude(
    session: Session, out: Path, *, as_json: bool, notes: Sequence[str] = (), again: str = "the same command"
) -> NoReturn:
    """Print a session's status, what a person must know and what to type next, and exit.

    `again` is the command that goes on with what is left.
    """
    err = console(stderr=True)
    if as_json:
        typer.echo(json_text(session.summary, ascii_only=True))
    else:
        console().print(summary_table(session.summary))
    for line in [*notes, *closing_lines(session, out, again)]:
        err.print(line, soft_wrap=True)
    raise typer.Exit(session.exit_code)


def execute(
    config: RunConfig,
    paths: list[Path],
    out: Path,
    terminal: Console,
    *,
    only: Collection[str] | None = None,
    whole: RunConfig | None = None,
) -> Session:
    """Run one session with progress on `terminal`. The first Ctrl-C or SIGTERM drains, the second stops at once.

    `only` are the ids of the documents to take up; None for all that are open. `whole` is the configuration that
    documents are added by, where the session works on the first of them alone.
    """
    from autodata.jobs.event_loop import run_long
    from autodata.jobs.inputs import Inputs, as_folder_began
    from autodata.jobs.progress import Progress
    from autodata.jobs.session import work

    if not paths and not has_ledger(out):
        raise UserError(f"{out} holds no documents yet: give --documents PATH")
    config = asyncio.run(as_folder_began(config, out))
    whole = asyncio.run(as_folder_began(whole, out)) if whole else config
    inputs = Inputs(whole, paths)  # mistyped paths are found before a run folder is made
    with suppress(asyncio.CancelledError):
        progress = Progress(terminal, target=config.target)

        def begun(runner: Runner) -> None:
            runner.only = only
            on_signals(runner, progress)

        return run_long(work(config, inputs, out, progress, begun=begun))
    raise stopped_at_once(out)


def stopped_at_once(out: Path) -> RunFailed:
    """Return what a session ends with that was not waited for: what is safe, and what may be billed all the same."""
    from autodata.jobs.run_ledger import ledger_of

    async def billed() -> str:
        async with ledger_of(out, search=None) as ledger:
            return may_be_billed(await usage_of_all(ledger))

    said = f"stopped at once; the same command goes on: nothing paid for is lost ({out})"
    with suppress(UserError, RunFailed):  # it may have ended before there was a ledger
        if reported := asyncio.run(billed()):
            said += f"; {reported}"
    return RunFailed(said)


def closing_lines(session: Session, out: Path, again: str = "the same command") -> list[str]:
    """Return what a person must know at the end: why it stopped, what failed, what to type next."""
    outcome, summary = session.outcome, session.summary
    stopped, others = outcome.stopped, [line for line in outcome.errored if line not in outcome.one_cause]
    if outcome.one_cause:  # the cause stands above, where the first of these documents errored
        names = [line.partition(": ")[0] for line in outcome.one_cause]
        stopped = f"{stopped.partition(': ')[0]}, named above: {', '.join(names[:5])}{', ...' if names[5:] else ''}"
    lines = [f"stopped: {stopped}"] if stopped else []
    lines += by_cause(others)
    lines += outcome.notes
    left = summary["pending"] + summary["errored"]
    if repeated := summary["shared_questions"]:
        lines.append(repeated_questions(repeated))
    if left:
        what = "1 document is" if left == 1 else f"{left} documents are"
        lines.append(f"{what} left: {again} goes on, and pays for nothing twice")
    if billed := may_be_billed(summary):
        lines.append(f"{billed}: a budget counts the most each can have cost")
    if asked := summary["awaiting_review"]:
        what = "1 candidate waits" if asked == 1 else f"{asked} candidates wait"
        lines.append(f"{what} for a person: autodata review {out}, then {again} goes on")
    if summary["accepted"]:
        lines.append(f"next: autodata show {out}   autodata export {out} --format jsonl --out examples.jsonl")
    return lines


def by_cause(errored: Sequence[str]) -> list[str]:
    """Return what is said of errored documents, `NAME: KIND: CAUSE` each: a cause once, with how many it ended."""
    groups: dict[str, list[str]] = {}
    for line in errored:
        found = _KIND.search(line)  # a name, or in a search an evaluation and a name, stands before it
        groups.setdefault(cause_of("", line[found.start() :] if found else line), []).append(line)
    lines = []
    for group in list(groups.values())[:5]:
        names, causes = zip(*(_split(line) for line in group), strict=True)
        lines.append(f"errored: {cause_line(causes[0], names)}" if causes[0] else f"errored: {group[0]}")
    if left := sum(map(len, list(groups.values())[5:])):
        lines.append(f"errored: {left} more, for other causes")
    return lines


def _split(line: str) -> tuple[str, str]:
    """Return the name and the cause of an errored document's line; a line that holds no kind is a name alone."""
    found = _KIND.search(line)
    return (line[: found.start()], line[found.start() + 2 :]) if found else (line, "")


def prompts_folder(given: Path) -> Path:
    """Return a folder of prompts as it is, and for a search the folder of its winner's, which is written if need be."""
    if not has_ledger(given):
        return given.absolute()
    from autodata.jobs.search_report import SearchReport
    from autodata.prompts import load_pack
    from autodata.prompts.patch import write_pack

    report = asyncio.run(SearchReport.of(given))
    folder = given.absolute() / "winners" / report.winner_pack.version
    if not folder.exists():
        part = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.part")
        write_pack(report.winner_pack, part)
        with suppress(OSError):  # another command has just put it there
            part.rename(folder)
        shutil.rmtree(part, ignore_errors=True)
    if diff := report.winner_pack.diff(load_pack(folder)):
        file = diff.split("\n", 1)[0].removeprefix("--- a/")
        raise UserError(f"{folder / file} is not the winner's: move the folder away, or name it yourself")
    return folder


def find_settings(config: Path | None, out: Path, flags: Mapping[str, Any], kind: str = "run") -> RunConfig:
    """Find the configuration: the given file, else `autodata.toml` here, else that of the run folder.

    Flags that are not None lie over it. Raises UserError, also when the folder is of another kind.
    """
    from autodata.runner.config import load_config, stored_config

    given = {name: value for name, value in flags.items() if value is not None}
    stored = out / "config.toml"
    if config is None and Path("autodata.toml").exists():
        config = Path("autodata.toml")
    if stored.exists() and (config is None or config.resolve() == stored.resolve()):
        return stored_config(stored, given, kind)
    if config is None:
        raise UserError("no configuration: give --config FILE, or write one with 'autodata init'")
    return load_config(config, given)


def on_signals(session: Drainable, progress: Says) -> None:
    """Let the first Ctrl-C or SIGTERM drain a session, and the second end it at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    signalled = False

    def stop() -> None:
        nonlocal signalled
        if signalled and task is not None:
            task.cancel()
        else:
            signalled = True
            progress.say("stopping: calls in flight are waited for; Ctrl-C again stops at once")
            session.drain("interrupted", failed=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
