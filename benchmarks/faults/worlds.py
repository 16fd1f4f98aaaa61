"""What is broken: small runs of every kind on the simulated model, each in a folder of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata.checkpoints.corrections import record_asked_again, record_dropped, record_taken_back
from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.places import ledger_place
from autodata.checkpoints.queries.corrections import DROPPED, ROUNDS_BEFORE, standing
from autodata.checkpoints.queries.lessons import latest, lesson_versions
from autodata.checkpoints.queries.meta import meta
from autodata.checkpoints.queries.rounds import forks_of_document, open_labels
from autodata.checkpoints.records import Document, DocumentStatus
from autodata.checkpoints.writes import record_answer, record_lessons
from autodata.cli.drop import ended
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.jobs.check import check_run
from autodata.jobs.exports import export_run
from autodata.models.simulated.world import META_WORLD
from autodata.runner.config import BaselineConfig, RunConfig, stored_config
from autodata.runner.document_runner import open_runner
from autodata.runner.fork import Change, find_moment, make_fork
from autodata.runner.ingest import add_documents
from autodata.runner.optimization.session import OptimizeRunConfig, open_optimization
from autodata.runner.run_folder import open_ledger

KEY = "AUTODATA_FAULTS_KEY"
"""The variable whose value must be found nowhere."""
EXPORT, EXPORTED = "examples.jsonl", "examples"
"""The exports of a run, a file and a folder."""
FEEDBACK = "Ask about a cause."
AT = "2026-01-01T00:00:00.000+00:00"

Session = Callable[[Path], Awaitable[str]]


@dataclass(frozen=True)
class World:
    """One kind of run."""

    name: str
    session: Session
    """One session of it, which the same call takes up again. Returns why it ended early, empty when all was done."""
    apart: bool = True
    """Whether what becomes of one document changes nothing for another."""
    sound_between: bool = True
    """Whether nothing is wrong with its folder between two sessions either."""
    uncompared: frozenset[str] = frozenset()
    """Tables that an unbroken run need not have alike: those of a command that a person repeats as another."""


def settings(domain: str, **changes: Any) -> dict[str, Any]:
    """Return a configuration on the simulated model whose roles have a key, and in which no retry waits."""
    key = {"provider": "simulated", "model": "strong", "headers": {"x-key": f"${KEY}"}}
    return {
        "domain": domain,
        "models": {"default": key, "weak_solver": {"model": "weak"}},
        "max_rounds": 2,
        "concurrency": 2,
        "retries": {"base_seconds": 0},
        **changes,
    }


def examples(*names: str) -> list[Document]:
    """Return shipped documents whose names begin so."""
    found = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]
    return [item for item in found if item.name.startswith(names)]


async def run_once(config: RunConfig, folder: Path, documents: Sequence[Document]) -> str:
    """Run a session."""
    async with open_runner(config, folder) as runner:
        await add_documents(runner.ledger, documents)
        outcome = await runner.run()
    return outcome.stopped or "; ".join(outcome.errored)


def plain(domain: str, *names: str, kind: type[RunConfig] = RunConfig, export: bool = False, **changes: Any) -> Session:
    """Return the session of a plain run over some documents, and of its export."""
    documents = examples(*names)
    config = kind.model_validate(settings(domain, **changes))
    config = BaselineConfig.of(config) if kind is BaselineConfig else config

    async def session(folder: Path) -> str:
        stopped = await run_once(config, folder, documents)
        if export and not stopped:
            await export_run(folder, folder / EXPORT)
            await export_run(folder, folder / EXPORTED, format_name="hf")
        return stopped

    return session


async def reviewed(folder: Path) -> str:
    """Run, approve all that waits, and go on."""
    config = RunConfig.model_validate(settings("cs", review="accepted"))
    documents = examples("write-ahead", "harmonic")
    if stopped := await run_once(config, folder, documents):
        return stopped
    async with open_ledger(folder) as ledger:
        for label in await open_labels(ledger):
            said: dict[str, Any] = {"decision": "approve", "reason": "", "edited": None, "reviewer": "a", "at": AT}
            await record_answer(ledger, label["label_id"], **said)
    return await run_once(config, folder, documents)


async def corrected(folder: Path) -> str:
    """Run to a target; allow more rounds, drop what was accepted and take it back, ask again about the rejected."""
    aimed = RunConfig.model_validate(settings("cs", max_rounds=1, target=9))
    config, documents = RunConfig.model_validate(settings("cs")), examples("write-ahead", "concrete")
    if not await _has_more_rounds(folder, config.max_rounds) and (stopped := await run_once(aimed, folder, documents)):
        return stopped
    if stopped := await run_once(config, folder, documents):
        return stopped
    async with open_ledger(folder) as ledger:
        for row in await standing(ledger):
            known, document = await meta(ledger), row["document_id"]
            if row["status"] == DocumentStatus.ACCEPTED and f"{DROPPED}{document}" not in known:
                await record_dropped(ledger, ended(row), "to see")
            if row["status"] == DocumentStatus.REJECTED and f"{ROUNDS_BEFORE}{document}" not in known:
                await record_asked_again(ledger, [ended(row)])
        for name, kept in (await meta(ledger)).items():
            if name.startswith(DROPPED) and kept:
                await record_taken_back(ledger, name.removeprefix(DROPPED), kept)
    return await run_once(config, folder, documents)


async def _has_more_rounds(folder: Path, rounds: int) -> bool:
    if not (folder / "run.db").exists():
        return False
    try:
        async with open_readonly(ledger_place(folder)) as ledger:
            bearing = json.loads((await meta(ledger)).get("bearing", "{}"))
    except UserError:  # cut off before it had its tables
        return False
    return bool(bearing.get("max_rounds") == str(rounds))


async def taught(folder: Path) -> str:
    """Run with lessons, one batch after the other; then a person switches a lesson off."""
    documents = examples("write-ahead", "harmonic", "concrete")
    stopped = await run_once(RunConfig.model_validate(settings("cs", **_TAUGHT)), folder, documents)
    if not stopped:
        async with open_ledger(folder) as ledger:
            known = [lesson for lesson in latest(await lesson_versions(ledger)) if lesson.active]
            off = [one.model_copy(update={"version": 2, "active": False, "author": "person"}) for one in known[:1]]
            await record_lessons(ledger, off, AT)
    return stopped


async def mended(folder: Path) -> str:
    """Run, mend a folder in which an example was lost, and go on."""
    config, documents = RunConfig.model_validate(settings("facts")), examples("write-ahead", "concrete")
    if stopped := await run_once(config, folder, documents):
        return stopped
    with closing(sqlite3.connect(folder / "run.db")) as file, file:
        if not file.execute("SELECT 1 FROM meta WHERE key = 'lost'").fetchall():
            file.execute("DELETE FROM examples")
            file.execute("INSERT INTO meta (key, value) VALUES ('lost', '1')")
    await check_run(folder, repair=True)
    return await run_once(config, folder, documents)


async def forked(folder: Path) -> str:
    """Run, take a document back to its first round with other feedback, and go on in the fork."""
    config, documents = RunConfig.model_validate(settings("cs")), examples("concrete")
    if stopped := await run_once(config, folder, documents):
        return stopped
    document = documents[0].document_id
    async with open_readonly(ledger_place(folder)) as ledger:
        known = [folder / row["folder"] for row in await forks_of_document(ledger, document)]
    ready = [one for one in known if await _is_ready(one)]
    if not ready:
        moment = await find_moment(config, folder, document, 1)
        ready = [await make_fork(config, moment, Change(feedback=FEEDBACK))]
    return await run_once(stored_config(ready[0] / "config.toml"), ready[0], [])


async def _is_ready(fork: Path) -> bool:
    """Whether a fork has its document to work on: one whose making was cut off is made anew."""
    if not (fork / "run.db").exists():
        return False
    async with open_readonly(ledger_place(fork)) as ledger:
        return any(row["status"] != DocumentStatus.SKIPPED for row in await standing(ledger))


async def searched(folder: Path) -> str:
    """Search for better prompts, for one iteration."""
    values: Mapping[str, Any] = settings("cs", acceptance="meta", simulated=META_WORLD.model_dump() | {"fault_rate": 0})
    optimize = {"iterations": 1, "minibatch": 1, "racing": "off", "wave": 2, "max_rounds": 1}
    config = OptimizeRunConfig.of(RunConfig.model_validate({**values, "optimize": optimize}))
    splits = {"train": examples("write-ahead"), "validate": examples("harmonic"), "test": examples("concrete")}
    async with open_optimization(config, folder) as session:
        await session.add_documents(splits)
        outcome = await session.run()
    return outcome.stopped or "; ".join(outcome.errored)


_TAUGHT = {
    "seed": 2,
    "max_rounds": 1,
    "concurrency": 1,
    "simulated": {"skills": 4, "difficulty": -0.7, "discrimination": 1.2},
    "lessons": {"enabled": True, "batch": 1},
}

_TRUSTED = {
    "confirm": {"attempts": 1},
    "checks": {"canaries": "always", "closed_context": True},
    "judges": {"asks": 2},
    "max_rounds": 1,
}

WORLDS: Sequence[World] = (
    World("run of domain cs, with its export", plain("cs", "write-ahead", "harmonic", export=True)),
    World("run with confirmed gaps, canaries and two judges", plain("cs", "write-ahead", "harmonic", **_TRUSTED)),
    World("run of domain facts", plain("facts", "write-ahead", "concrete")),
    World("run of domain legal", plain("legal", "write-ahead", max_rounds=1)),
    World("run of domain science", plain("science", "write-ahead", "concrete", max_rounds=1)),
    World("baseline", plain("cs", "write-ahead", "concrete", kind=BaselineConfig)),
    World("run with lessons", taught, apart=False),
    World("run with review", reviewed),
    World("run corrected by its owner", corrected),
    World("run mended by autodata check", mended, sound_between=False),
    World("run with a fork", forked, uncompared=frozenset({"forks"})),
    World("search for better prompts", searched, apart=False),
)
