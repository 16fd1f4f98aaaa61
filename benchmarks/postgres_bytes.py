"""What a document takes in a Postgres server, ledger and checkpoints: docs/postgres-bytes.json.

    python -m benchmarks.postgres_bytes [DOCUMENTS]

A simulated run whose ledger and checkpoints are in a server of its own. Its tables are written anew before they are
measured (VACUUM FULL): what documents in work took and no longer need is used again by later ones, so it does not grow
with their number.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from autodata.runner.config import RunConfig
from benchmarks import known, tables
from benchmarks.demo import today
from benchmarks.many_documents import machine
from benchmarks.page import DOCS, commit_of_now
from tests.support.postgres import postgres

DOCUMENTS = 40
VARIABLE = "AUTODATA_POSTGRES_DSN"
_SIZES = """
SELECT n.nspname AS schema, c.relname AS name, pg_total_relation_size(c.oid) AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


def settings() -> RunConfig:
    """Return the configuration of a run that keeps everything in Postgres."""
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    return RunConfig.model_validate({"seed": known.SEED, "models": models, "ledger": {"store": "postgres"}})


def measure(count: int) -> dict[str, float]:
    """Return calls and rounds of a document, and the KiB that each further one takes of ledger and checkpoints."""
    few, found = max(1, count // 4), dict[str, float]()
    with postgres() as server, tempfile.TemporaryDirectory() as folder:
        os.environ[VARIABLE] = server.dsn
        seen: list[tuple[int, int]] = []
        runs: set[str] = set()
        for number in (few, count):
            asyncio.run(tables.run_session(settings(), Path(folder) / str(number), known.documents("cs", number)))
            with psycopg.connect(server.dsn, autocommit=True) as connection:
                connection.execute("VACUUM FULL")
                sizes = connection.execute(_SIZES).fetchall()
                [of_run] = {schema for schema, name, _ in sizes if name == "calls"} - runs
                runs.add(of_run)
                for what in ("calls", "rounds"):
                    [[rows]] = connection.execute(f'SELECT count(*) FROM "{of_run}".{what}'.encode()).fetchall()
                    found[what] = rows / number
            own = sum(size for schema, _, size in sizes if schema == of_run)
            shared = sum(size for _, name, size in sizes if name.startswith("checkpoint"))
            seen.append((own, shared))
    (less, before), (more, after) = seen
    run_kib, checkpoints_kib = (more - less) / 1024 / (count - few), (after - before) / 1024 / count
    return {**found, "run_kib": run_kib, "checkpoints_kib": checkpoints_kib}


def shipped(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `autodata plan` reckons with of docs/postgres-bytes.json, shipped as jobs/postgres.json."""
    return {name: figures[name] for name in ("date", "rounds", "run_kib", "checkpoints_kib")}


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the files."""
    count = int(arguments[0]) if arguments else DOCUMENTS
    about = {"date": today(), "commit": commit_of_now(), "machine": machine(), "documents": count}
    figures = {**about, **{name: round(value, 2) for name, value in measure(count).items()}}
    (DOCS / "postgres-bytes.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    (DOCS.parent / "jobs" / "postgres.json").write_text(json.dumps(shipped(figures), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
