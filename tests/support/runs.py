"""Sessions of a run against the test server, and what is in a run folder afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata.checkpoints.ids import document_id
from autodata.checkpoints.ledger import engine_of
from autodata.checkpoints.places import ledger_place
from autodata.checkpoints.records import Document
from autodata.checkpoints.schema import TABLES
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import Runner, open_runner
from autodata.runner.events import RunEvent
from autodata.runner.ingest import add_documents
from autodata.runner.outcome import Outcome
from tests.support.server import call_id

CLOCK = frozenset({"latency_s", "created_at", "ended_at"})
"""Columns that hold times: the only ones in which two runs of one configuration may differ."""

ADDRESSED = frozenset({("calls", "key"), ("documents", "source")})
"""Columns that hold where a call was sent, by hash, or where a document lay: two servers of a test have two ports."""

Tables = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Session:
    """One session: how it ended, and every table of its ledger afterwards."""

    outcome: Outcome
    tables: Tables
    calls: list[dict[str, Any]]
    documents: dict[str, dict[str, Any]]
    """By name."""

    @property
    def statuses(self) -> list[str]:
        return sorted(row["status"] for row in self.documents.values())

    @property
    def paid(self) -> set[str]:
        """The calls in the journal, as the server names them."""
        return journalled(self.calls)


def generated(count: int, paragraphs: int = 3) -> list[Document]:
    """Return documents that differ in every paragraph."""
    topics = ("valve", "ledger", "glacier", "compiler", "turbine", "antibody", "antenna", "harvest")
    documents = []
    for number in range(count):
        topic = topics[number % len(topics)]
        text = "\n\n".join(
            f"The {topic} of station {number} kept {17 * part + number} readings before {1900 + number}. Each reading"
            f" changes the pressure balance of segment {part}, because controllers sample every {part + 2} seconds."
            for part in range(1, paragraphs + 1)
        )
        documents.append(
            Document(document_id=document_id(text), name=f"{number:02}.txt", title=f"The {topic} {number}", text=text)
        )
    return documents


def settings(base_url: str, models: Mapping[str, Mapping[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a configuration of domain cs over HTTP, in which no retry waits."""
    default = {"provider": "openai", "model": "strong", "base_url": base_url}
    tables: dict[str, dict[str, Any]] = {"default": default, "weak_solver": {"model": "weak"}}
    for role, table in (models or {}).items():
        tables[role] = {**tables.get(role, {}), **table}
    return {"domain": "cs", "models": tables, "retries": {"base_seconds": 0}, **changes}


async def run_session(
    folder: Path,
    values: Mapping[str, Any],
    documents: Sequence[Document],
    watch: Callable[[Runner, RunEvent], None] = lambda runner, event: None,
) -> Session:
    """Run one session in a folder."""
    async with open_runner(RunConfig.model_validate(values), folder) as runner:
        runner.on_event = lambda event: watch(runner, event)
        await add_documents(runner.ledger, documents)
        outcome = await runner.run()
        return Session(
            outcome,
            read_tables(folder),
            await runner.ledger.read("select * from calls order by rowid"),
            {row["name"]: row for row in await runner.ledger.read("select * from documents")},
        )


def read_tables(folder: Path) -> Tables:
    """Return the rows of every table of a ledger, without times and addresses, in an order that is always the same."""
    tables: Tables = {}
    with read_only(folder) as read:
        for name, table in TABLES.items():
            if name == "spans":  # times and random ids: tests/graph/test_tracing.py looks at them
                continue
            kept = {column for column in table.columns if column not in CLOCK and (name, column) not in ADDRESSED}
            columns = ", ".join(f'"{column}"' for column in sorted(kept))
            rows = read(f'select {columns} from "{name}"')
            tables[name] = sorted((tuple(row.values()) for row in rows), key=repr)
    # What was found out about a server is of that server, not of the run's results.
    # The target is the latest session's, and none of them either.
    tables["meta"] = [row for row in tables["meta"] if row[0] != "target" and not str(row[0]).startswith("endpoint:")]
    return tables


@contextmanager
def read_only(folder: Path) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """Give what reads a folder's ledger, and leaves a file as a dead process left it."""
    place = ledger_place(folder)
    if isinstance(place, Path):
        with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            yield lambda sql: [dict(row) for row in db.execute(sql)]
        return
    engine = engine_of(place)
    engine.open_reading()
    try:
        yield lambda sql: engine.query(sql, ())
    finally:
        engine.close_reading()


def journalled(calls: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the identities of journal rows, as the server's log has them."""
    return {identity(row) for row in calls}


def identity(row: Mapping[str, Any]) -> str:
    """Return the identity of one journal row, as the server's log has it."""
    return call_id(row["model"], json.loads(row["params"])["seed"], row["messages_hash"])
