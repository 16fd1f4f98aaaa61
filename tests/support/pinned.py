"""Recorded run folders: what a version left behind, kept in `tests/golden/run_folder` for all later ones to go on with.

A folder holds `autodata.toml` (written by hand), `documents`, `prompts`, and the two databases of a run that its budget
stopped on the way, each a compressed dump in SQL. `expected.json` is what commands print of it, before and after it is
resumed; `python -m tests.support.pinned` (`make golden`) writes that anew. The databases are never written anew: they
stand for what people have on their disks. `python -m tests.support.pinned NAME [PACKAGES]` records a folder that has
none yet, with the code of this checkout, or with the `autodata` in a folder of unpacked wheels.
"""

from __future__ import annotations

import asyncio
import json
import lzma
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from autodata.runner.config import load_config
from autodata.runner.document_runner import open_runner
from tests.support.commands import parsed, printed
from tests.support.runs import read_tables

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "run_folder"
DATABASES = ("run.db", "checkpoints.db")
STATUSES = {"accepted", "rejected", "errored", "pending"}
"""What a recorded run has one document of, at least."""

OPENED = {"budget.max_calls": None, "simulated.faults": {"malformed": 0.05}}
"""How a recorded run is gone on with: no budget, and an endpoint that refuses nothing."""

_COMMAND = """
import sys
if sys.argv.pop(1) != ".":
    sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
sys.path = [place for place in sys.path if place]
try:
    from autodata_launch import main
except ImportError:
    from autodata.cli.app import main
main()
"""


def unpack(name: str, into: Path) -> Path:
    """Put a copy of a recorded folder where a test may write; return the run folder in it."""
    shutil.copytree(FOLDER / name, into, ignore=shutil.ignore_patterns("*.xz"), dirs_exist_ok=True)
    run = into / "run"
    run.mkdir()
    for database in DATABASES:
        with closing(sqlite3.connect(run / database)) as db:
            db.executescript(lzma.decompress((FOLDER / name / f"{database}.sql.xz").read_bytes()).decode())
    return run


async def resume(run: Path) -> list[str]:
    """Go on with an unpacked folder to its end; return the keys of the calls that were paid for, in order."""
    flags = {**OPENED, "prompts": str(run.parent / "prompts")}
    async with open_runner(load_config(run.parent / "autodata.toml", flags), run) as runner:
        paid: list[str] = []
        before = {row["key"] for row in await runner.ledger.read("SELECT key FROM calls")}
        ended = await runner.run()
        assert not ended.stopped, ended.stopped
        paid += [row["key"] for row in await runner.ledger.read("SELECT key FROM calls ORDER BY rowid")]
    return [key for key in paid if key not in before]


def shown(run: Path) -> dict[str, Any]:
    """Return what commands print of a run folder."""
    exported = run.parent / f"{run.name}.jsonl"
    printed("export", run, "--format", "jsonl", "--out", exported)
    text = exported.read_text("utf-8")
    exported.unlink()
    return {
        "status": parsed("status", run, "--json"),
        "show": _lines(run, printed("show", run, columns=120)),
        "export": [json.loads(line) for line in text.splitlines()],
    }


def _lines(run: Path, text: str) -> list[str]:
    return [line.rstrip().replace(str(run), "run") for line in text.splitlines()]


def contents(run: Path) -> dict[str, list[str]]:
    """Return what was decided in a run, one line a row, ids whole."""
    columns = {
        "documents": "name, document_id, status, status_reason, rounds",
        "rounds": "round_id, outcome, failure_mode, weak_mean, strong_mean",
        "attempts": "attempt_id, score, decided_by",
        "examples": "example_id, question_key",
    }
    with closing(sqlite3.connect(run / "run.db")) as db:
        return {
            table: [" ".join(map(str, row)) for row in sorted(db.execute(f"SELECT {names} FROM {table}"))]
            for table, names in columns.items()
        }


def expected(name: str) -> dict[str, Any]:
    """Return what is printed of a recorded folder now, before it is resumed and after, and what was decided then."""
    with tempfile.TemporaryDirectory() as place:
        run = unpack(name, Path(place) / name)
        before = shown(run)
        paid = asyncio.run(resume(run))
        return {"before": before, "paid": len(paid), "after": shown(run), "decided": contents(run)}


def renew() -> None:
    """Write anew what is expected of every folder."""
    for folder in sorted(FOLDER.iterdir()):
        text = json.dumps(expected(folder.name), indent=1, ensure_ascii=False)
        (folder / "expected.json").write_text(f"{text}\n", "utf-8")


def record(name: str, packages: Path | None = None) -> None:
    """Run the documents of a folder until its budget stops the run, and keep the databases. Raises SystemExit."""
    folder = FOLDER / name
    if any((folder / f"{database}.sql.xz").exists() for database in DATABASES):
        raise SystemExit(f"{folder} is recorded already: what people have on their disks does not change")
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / name
        shutil.copytree(folder, work)
        where: Mapping[str, str] = {"PYTHONPATH": str(packages)} if packages else {}
        arguments = "run --config autodata.toml --documents documents --out run".split()
        command = [sys.executable, "-c", _COMMAND, str(packages or "."), *arguments]
        subprocess.run(command, cwd=work, env={**os.environ, **where}, check=False)
        for database in DATABASES:
            with closing(sqlite3.connect(work / "run" / database)) as db:
                if database == "run.db":
                    found = {row[0] for row in db.execute("SELECT status FROM documents")}
                    if not found >= STATUSES:
                        raise SystemExit(f"{name} has no document that is {STATUSES - found}: choose another seed")
                dump = "\n".join(db.iterdump()).encode()
            (folder / f"{database}.sql.xz").write_bytes(lzma.compress(dump, preset=9))


def tables(run: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that a replay of the journal must bring forth again."""
    of_run = read_tables(run)
    return {name: of_run[name] for name in ("candidates", "rounds", "attempts", "marks", "verdicts", "examples")}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        record(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    renew()
