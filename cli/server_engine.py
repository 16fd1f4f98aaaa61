"""`autodata run --server`: the documents go to a LangGraph Agent Server as background runs, results come back here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.places import has_ledger
from autodata.checkpoints.queries.chosen import read_chosen
from autodata.checkpoints.queries.documents import count_documents, count_usable, examples
from autodata.checkpoints.usage import MAY_BE_BILLED
from autodata.cli.figures import percent
from autodata.cli.terminal import console
from autodata.corpus.summary import summarise
from autodata.jobs.event_loop import run_long
from autodata.jobs.inputs import Inputs, as_folder_began
from autodata.jobs.progress import Progress
from autodata.jobs.session import Session
from autodata.runner.config import RunConfig, load_config, reading_fingerprint
from autodata.runner.destinations import host
from autodata.runner.ingest import ingest
from autodata.runner.remote import RemoteRun, RemoteRunner, open_remote

_BOUNDS = ("weak_mean", "weak_best", "strong_mean", "gap")
_COUNTS = ("weak_right", "strong_right")


def require_possible(*, foreseen: bool, weak_from: str | None, lessons: bool, confirmed: bool) -> None:
    """Raise UserError for an option that means nothing where a server does the work."""
    if foreseen:
        raise UserError("--dry-run: what a server's models take is not known here: leave it out, or --server")
    if weak_from:
        raise UserError("--weak-from: a server has models of its own: choose one with --profile, or leave --server")
    if lessons:
        raise UserError("--lessons: the outer loop runs here, not at a server: leave it out, or --server")
    if confirmed:
        raise UserError("--confirm: fresh attempts are made here, not at a server: leave it out, or --server")


def run_on_server(
    url: str,
    graph: str | None,
    profiles: list[str],
    key_env: str | None,
    config: Path | None,
    flags: Mapping[str, Any],
    paths: list[Path],
    out: Path,
) -> tuple[Session, list[str]]:
    """Run one session; return it and what a person must know besides. Raises UserError and RunFailed."""
    given = {name: value for name, value in flags.items() if value is not None}
    if spent := next((name for name in given if name.startswith("budget.")), None):
        raise UserError(
            f"--{spent.partition('.')[2].replace('_', '-')}: the server pays: set [budget] in its configuration"
        )
    if config is None and Path("autodata.toml").exists():
        config = Path("autodata.toml")
    settings = asyncio.run(as_folder_began(load_config(config, given), out))
    run = RemoteRun(
        graph or f"self_instruct_{settings.chosen_domain.name}",
        context_of(settings, profiles),
        concurrency=settings.concurrency or RemoteRun.concurrency,  # the slots are the server's
        limit=settings.limit,
        target=settings.target,
        pause_after_documents=settings.retries.pause_after_documents,
        reading=reading_fingerprint(settings),
    )
    if run.graph in {"dataset", "optimizer"}:
        raise UserError(
            f"--graph {run.graph}: it takes all documents in one run: name a graph that takes one, or leave it out"
        )
    key = _key(key_env)
    if not paths and not has_ledger(out):
        raise UserError(f"{out} holds no documents yet: give --documents PATH")
    inputs = Inputs(settings, paths)
    with suppress(asyncio.CancelledError):
        return run_long(_run_session(run, inputs, out, url, key))
    raise RunFailed(f"stopped at once; the same command goes on: nothing paid for is lost ({out})")


def context_of(settings: RunConfig, profiles: list[str]) -> dict[str, Any]:
    """Return what a caller's configuration asks of a server: acceptance, rounds, seed and model profiles.

    The models are the server's own. Raises UserError for a bound that a server does not take from a caller.
    """
    if settings.checks.paid:
        raise UserError("checks: an audit is made here, not at a server: set canaries and closed_context off")
    if settings.confirm.attempts:
        raise UserError(
            "confirm.attempts: fresh attempts are made here, not at a server: set it to 0, or leave --server"
        )
    context: dict[str, Any] = {}
    for item in profiles:
        role, sign, name = item.partition("=")
        if not (sign and role and name):
            raise UserError(f"--profile {item}: write ROLE=NAME, for instance weak_solver=small")
        context[f"{role}_model"] = name
    if "max_rounds" in settings.model_fields_set:
        context["max_rounds"] = settings.max_rounds
    if settings.seed:
        context["seed"] = settings.seed
    acceptance = settings.acceptance
    if isinstance(acceptance, str):
        context["acceptance"] = acceptance
    for name, value in acceptance.items() if isinstance(acceptance, Mapping) else ():
        if name == "preset":
            context["acceptance"] = value
        elif name in _BOUNDS:
            context[name] = ", ".join(value) if isinstance(value, list) else value
        elif name in _COUNTS:
            context[name] = value
        else:
            raise UserError(f"acceptance.{name}: a server takes no such bound from a caller: leave it out")
    return context


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (key := os.environ.get(variable)):
        raise UserError(f"--server-key-env: the environment variable {variable} is not set: export {variable}=...")
    return key


async def _run_session(
    run: RemoteRun, inputs: Inputs, out: Path, url: str, key: str | None
) -> tuple[Session, list[str]]:
    with Progress(console(stderr=True), target=run.target) as progress:
        progress.say(f"Documents go to: the LangGraph server at {host(url)}, and from there to the models it names")
        async with open_remote(run, out, url, key) as runner:
            _on_signals(runner, progress)
            runner.on_event = progress.on_event
            found = await ingest(runner.ledger, inputs)
            for line in inputs.lines(found, out):
                progress.say(line)
            if not await count_usable(runner.ledger):
                raise inputs.nothing_usable(found.skipped)
            progress.total = await count_documents(runner.ledger, "pending", "errored")
            outcome = await runner.run()
            chosen = await read_chosen(runner.ledger)
            every = [json.loads(text) for text in await examples(runner.ledger)]
            made = [one for one in every if chosen.results(one["example_id"])]
            session = Session(outcome, await summarise(runner.ledger), made)
            return session, _notes(runner, url)


def _notes(runner: RemoteRunner, url: str) -> list[str]:
    used = runner.usage
    if not used.calls and not used.unanswered:
        return []
    cost = f", {used.usd:.4f} US dollars" if used.usd else ""
    cached = "" if used.cached_share is None else f" ({percent(used.cached_share)} of them cached)"
    tokens = f"{used.tokens_in or 0:,} tokens in{cached} and {used.tokens_out or 0:,} out"
    notes = [f"the documents collected now took {used.calls:,} model calls at {url}, {tokens}{cost}"]
    if used.unanswered:
        what = "1 more request" if used.unanswered == 1 else f"{used.unanswered:,} more requests"
        notes.append(f"{what} of theirs got no reply and {MAY_BE_BILLED}")
    return notes


def _on_signals(runner: RemoteRunner, progress: Progress) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        progress.say("stopping: runs go on at the server; the same command joins them")
        runner.drain("interrupted", failed=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
