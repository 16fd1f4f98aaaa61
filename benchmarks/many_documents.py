"""What a run of many documents costs beside its calls: writes docs/many-documents.json and a part of a page.

`python -m benchmarks.many_documents`. Each size is measured in a process of its own. One document is worked on, by the
simulated model; all others get copies of its rows. No figure here is a promise: what counts is how a figure grows.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from langgraph.runtime import Runtime

from autodata import open_run as read_folder
from autodata.checkpoints.document_queue import DocumentQueue
from autodata.checkpoints.errors import RunFailed
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.queries.documents import examples
from autodata.checkpoints.records import Document
from autodata.cli.status import _read as read_status
from autodata.corpus.summary import summarise
from autodata.nodes.context import Context
from autodata.nodes.grounding import sample_grounding, shown_grounding
from autodata.nodes.state import new_state
from autodata.nodes.step import Step
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from autodata.runner.run_folder import RunFolder, open_run_folder
from benchmarks.page import DOCS, commit_of_now, write

SIZES = (1_000, 10_000)
CHARS = 4_000
"""Characters of each document."""

STAGES: Mapping[str, str] = {
    "ingest": "the documents read into the run folder",
    "grounding": "other documents chosen and shown for every document's challenger",
    "summary": "what `run` sums up at its end",
    "status": "`autodata status`",
    "result": "`autodata.open_run` with all examples",
    "reopen": "the folder opened again to go on",
}
"""What is timed, in this order."""


def documents(count: int) -> Iterator[Document]:
    """Yield made-up documents, each with numbers of its own."""
    for number in range(count):
        line = f"Reactor {number} holds {7 * number + 3} moles of reagent {number % 97} at {280 + number % 50} K. "
        text = (line * (CHARS // len(line) + 1))[:CHARS]
        yield Document(document_id=document_id(text), name=f"science-{number:05}.txt", title=f"No. {number}", text=text)


def settings() -> RunConfig:
    """Return the configuration: `science`, which shows other documents to every challenger."""
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    return RunConfig.model_validate({"domain": "science", "seed": 3, "models": models, "checkpoints": {"keep": "none"}})


async def template(folder: Path) -> str:
    """Work on documents until one is accepted, and return its id."""
    for number, document in enumerate(documents(20)):
        async with open_runner(settings(), folder / str(number)) as runner:
            await add_documents(runner.ledger, [document])
            await runner.run()
            if await examples(runner.ledger):
                (folder / str(number)).rename(folder / "template")
                return document.document_id
    raise RunFailed("the simulated model makes no example of any of 20 documents")


def copy_rows(source: Path, known: str, target: Path) -> None:
    """Give every document of a ledger the rows that another ledger holds of one document."""
    with sqlite3.connect(target) as base:
        base.execute("ATTACH ? AS template", (str(source),))
        others = [row[0] for row in base.execute("SELECT document_id FROM documents")]
        names = [row[0] for row in base.execute("SELECT name FROM template.sqlite_master WHERE type = 'table'")]
        for name in names:
            columns = [row[1] for row in base.execute(f"PRAGMA template.table_info({name})")]
            if name in {"documents", "meta", "spans"} or "document_id" not in columns:
                continue
            primary = {row[1] for row in base.execute(f"PRAGMA template.table_info({name})") if row[5]}
            # A hash that is a key gets the new id behind it, so that every copy has a key of its own.
            shown = ", ".join(
                f"CASE WHEN typeof({c}) != 'text' THEN {c} WHEN instr({c}, :old) THEN replace({c}, :old, :new)"
                f" ELSE {c}{' || :new' if c in primary else ''} END"
                for c in columns
            )
            listed = ", ".join(columns)
            for other in others:
                query = f"INSERT OR IGNORE INTO {name} ({listed}) SELECT {shown} FROM template.{name}"
                base.execute(f"{query} WHERE document_id = :old", {"old": known, "new": other})
        ended = base.execute("SELECT status, rounds, settled FROM template.documents").fetchone()
        base.execute("UPDATE documents SET status = ?, rounds = ?, settled = ?", ended)
    base.close()


async def grounded(folder: RunFolder, count: int) -> None:
    """Choose and show other documents for each one, as the challenger's node does."""
    queue = DocumentQueue(folder.ledger)
    context = Context(folder.services(settings(), queue, folder.caller(settings())))
    for document in documents(count):
        step = Step(new_state(document), Runtime(context=context))
        step.state["grounding"] = await sample_grounding(step)
        if len((await shown_grounding(step)).split("</")) < 2:
            raise RunFailed("no other document is shown")


async def measure(count: int, folder: Path) -> dict[str, float]:
    """Return processor seconds for each stage at a number of documents, and the most memory of this process in MiB."""
    known = await template(folder)
    took: dict[str, float] = {}

    async def timed(stage: str, work: Callable[[], Awaitable[object]]) -> Any:
        started = time.process_time()
        found = await work()
        took[stage] = time.process_time() - started
        return found

    run = folder / "run"
    async with open_run_folder(settings(), run) as opened:
        await timed("ingest", lambda: add_documents(opened.ledger, documents(count)))
        await timed("grounding", lambda: grounded(opened, count))
    await asyncio.to_thread(copy_rows, folder / "template" / "run.db", known, run / "run.db")

    async def ended() -> int:
        made = [json.loads(text) for text in await examples(opened.ledger)]
        summary = await summarise(opened.ledger)
        return len(made) if summary["accepted"] == count else 0

    async def reopened() -> None:
        async with open_runner(settings(), run) as runner:
            await runner.run()

    async with open_run_folder(settings(), run) as opened:
        if await timed("summary", ended) != count:
            raise RunFailed("the copies are not what a run leaves behind")
    await timed("status", lambda: read_status(run))
    await timed("result", lambda: asyncio.to_thread(read_folder, run))
    await timed("reopen", reopened)
    return {**took, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measured(count: int) -> dict[str, float]:
    """Measure one size in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.many_documents", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent)
    found: dict[str, float] = json.loads(done.stdout)
    return {name: round(value, 3) for name, value in found.items()}


def rendered(figures: Mapping[str, Any]) -> str:
    """Return the part of docs/benchmarks.md for the content of docs/many-documents.json."""
    few, many = figures["sizes"]
    of_few, of_many = (figures["measured"][str(size)] for size in (few, many))
    named = [*((name, what, "s") for name, what in STAGES.items()), ("memory", "the most memory of the process", "MiB")]
    lines = "".join(
        f"| {what} | {_figure(of_few[name], unit)} | {_figure(of_many[name], unit)} |"
        f" {of_many[name] / of_few[name]:.1f} |\n"
        for name, what, unit in named
    )
    return (
        "# Many documents\n\n"
        "What a run costs beside its calls, at two numbers of documents. Written by"
        f" `python -m benchmarks.many_documents` on {figures['date']}, commit `{figures['commit']}`,"
        f" {figures['machine']}: documents of {figures['chars']:,} characters, domain `science`, each with the rows"
        " of one accepted document of the simulated model. Seconds are of processor time, all threads of the process"
        " together; what counts is the last column,"
        f" which is {many // few} for what takes the same time for every document.\n\n"
        f"| what | {few:,} documents | {many:,} documents | times |\n| --- | ---: | ---: | ---: |\n{lines}"
    )


def _figure(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2g} {unit}"


def machine() -> str:
    """Return processors and Python in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"


def main() -> None:
    """Measure one size, if one is given, and print it; else measure both and write the files."""
    if len(sys.argv) > 1:
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(measure(int(sys.argv[1]), Path(folder)))
        print(json.dumps(found))
        return
    figures = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit_of_now(),
        "machine": machine(),
        "chars": CHARS,
        "sizes": SIZES,
        "measured": {str(size): measured(size) for size in SIZES},
    }
    (DOCS / "many-documents.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    write("many documents", rendered(figures))


if __name__ == "__main__":
    main()
