"""One scenario: a session that is broken at one boundary, taken up again until it ends, and what must hold then."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import shutil
import signal
import sqlite3
import traceback
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import AutodataError, UserError
from autodata.checkpoints.schema import TABLES
from autodata.jobs.check import check_run
from benchmarks.faults.breaks import BEHIND, FAULTS, Break
from benchmarks.faults.seams import Seams
from benchmarks.faults.worlds import EXPORT, KEY, World

CANARY = "Qm7xv2Rk9LtW4pZc"
"""The key that must be found nowhere."""
MOST_SESSIONS = 6
_TIMES = frozenset({"latency_s", "created_at", "ended_at"})
_LEFT = frozenset({"leftover_file", "missing_file"})
"""What a death may leave in a folder, and the next session tidies away: no fault of the folder's."""
_OF_FAULTS = frozenset({"failures", "timeouts", "spans"})
"""Tables that hold what went wrong, or when: a broken run has more in them."""
_FREE = {("documents", "epoch"), ("documents", "status_reason"), ("trials", "epoch"), ("trials", "status_reason")}

Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Unbroken:
    """A world's run that nothing broke."""

    world: World
    passed: Mapping[str, int]
    tables: Rows
    fork: Rows
    """Of the fork that it made, empty without one."""
    export: bytes


@dataclass
class Outcome:
    """What became of a scenario."""

    seed: int
    world: str
    seam: str
    count: int
    fault: str
    ending: str = ""
    """How the broken session ended: `done`, `stopped`, the name of an error, `killed`."""
    sessions: int = 0
    paid_again: int = 0
    in_flight: int = 0
    """Replies that the journal did not hold when a session ended."""
    violations: list[str] = field(default_factory=list)


def unbroken(world: World, folder: Path) -> Unbroken:
    """Run a world to its end, and count its boundaries. Raises RuntimeError where it does not end by itself."""
    seams = Seams(folder / "run", folder / "network", canary=CANARY)
    stopped = asyncio.run(seams.run(world.session))
    if stopped:
        raise RuntimeError(f"{world.name}: {stopped}")
    return Unbroken(world, dict(seams.passed), read_tables(folder / "run"), _fork(folder), _export(folder))


def planned(reference: Unbroken, rng: random.Random) -> Break:
    """Draw a boundary, which passing of it, and a fault; one in twelve stands behind another fault."""
    if rng.random() < 1 / 12:
        seam, first = rng.choice(sorted(BEHIND.items()))
        call = rng.choice(sorted(name for name in reference.passed if name.startswith("call ")))
        return Break(seam, 1, rng.choice(FAULTS["save"]), (call, first))
    seam = rng.choice(sorted(reference.passed))
    fault = rng.choice(FAULTS[seam.partition(" ")[0]])
    return Break(seam, rng.randint(1, reference.passed[seam]), fault)


def run_scenario(seed: int, reference: Unbroken, plan: Break, folder: Path) -> Outcome:
    """Break a session, take the run up again until it ends, and see whether all holds that must."""
    found = Outcome(seed, reference.world.name, plan.seam, plan.count, plan.fault)
    run, network = folder / "run", folder / "network"
    held: set[str] = set()
    breaks: list[Break | None] = [plan, *[None] * (MOST_SESSIONS - 1)]
    for one in breaks:
        before = len(_lines(network))
        ending = _session(reference.world, run, network, one, found)
        found.sessions += 1
        found.ending = found.ending or ending
        now = _journal(run)
        sent = [line["replied"] for line in _lines(network)[before:] if "replied" in line]
        _see_payments(found, sent, held, now)
        held = now
        if reference.world.sound_between:
            _see_folder(found, run, final=False)
        if one is None and ending == "done":
            break
    else:
        found.violations.append(f"it did not end in {MOST_SESSIONS} sessions: {ending}")
    _see_folder(found, run, final=True)
    _see_results(found, reference, folder, plan)
    _see_secrets(found, folder)
    return found


def _session(world: World, run: Path, network: Path, plan: Break | None, found: Outcome) -> str:
    """Run one session, broken or not; one that is killed in a process of its own."""
    if plan is not None and plan.kills:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                gc.disable()
                code = 0 if _broken(world, run, network, plan)[0] == "done" else 1
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return "killed" if status == -signal.SIGKILL else "done" if status == 0 else "stopped"
    ending, wrong = _broken(world, run, network, plan)
    if wrong:
        found.violations.append(wrong)
    return ending


def _broken(world: World, run: Path, network: Path, plan: Break | None) -> tuple[str, str]:
    """Return how a session ended, and what is wrong with that: only an error that a person can act on may come out."""
    seams = Seams(run, network, plan, CANARY)
    try:
        stopped = asyncio.run(seams.run(world.session))
    except AutodataError as error:
        return type(error).__name__, "" if "\n" not in str(error) else f"an error of several lines: {error}"
    except (asyncio.CancelledError, KeyboardInterrupt):
        return "cancelled", ""
    except BaseException as error:  # noqa: BLE001 - whatever else comes out is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return type(error).__name__, f"{type(error).__name__} came out ({last.name}): {error}"
    return ("stopped" if stopped else "done"), ""


def _see_payments(found: Outcome, sent: Sequence[str], before: set[str], now: set[str]) -> None:
    """Nothing that the journal held was paid for again, and nothing twice within a session but what it lost."""
    for key, times in Counter(sent).items():
        if key in before:
            found.violations.append(f"a call was paid for again though the journal held it: {key[:12]}")
        elif times > 1:
            found.violations.append(f"a call was paid for {times} times in one session: {key[:12]}")
    found.in_flight += len(set(sent) - now)


def _see_folder(found: Outcome, run: Path, *, final: bool) -> None:
    """`autodata check` finds nothing, whether the run is over or was just cut off."""
    for folder in (run, *sorted((run / "forks").glob("*"))):
        try:
            checked = asyncio.run(check_run(folder))
        except UserError as error:
            if final and folder == run:
                found.violations.append(f"check: {error}")
            continue
        for problem in checked.problems:
            if problem.kind not in _LEFT or (final and folder == run):
                found.violations.append(f"check: {problem.kind}: {problem.where}: {problem.what}")


def _see_results(found: Outcome, reference: Unbroken, folder: Path, plan: Break) -> None:
    """Every document ended, and where nothing that a model said was changed, as in the unbroken run."""
    tables = read_tables(folder / "run")
    keys = Counter(line["replied"] for line in _lines(folder / "network") if "replied" in line)
    found.paid_again = sum(keys.values()) - len(keys)
    if found.paid_again > found.in_flight:
        found.violations.append(f"{found.paid_again} calls were paid for again, {found.in_flight} were in flight")
    ends = {"accepted", "rejected", "skipped"}
    for table in ("documents", "trials"):
        search = bool(tables["evaluations"])
        for row in tables[table]:
            if row["status"] not in ends and not (search and table == "documents"):
                found.violations.append(f"{table}: {row['document_id']} is {row['status']}")
    fork = _fork(folder)
    touched = _touched(tables, plan) | (_touched(fork, plan) if fork else set())
    if touched and not reference.world.apart:
        return
    free = reference.world.uncompared
    for table, rows in _differences(reference.tables, tables, touched, free).items():
        found.violations.append(f"{table} differs from the unbroken run: {rows}")
    for table, rows in _differences(reference.fork, fork, touched, free).items():
        found.violations.append(f"{table} of the fork differs from the unbroken run's: {rows}")
    if not touched and _export(folder) != reference.export:
        found.violations.append("the export differs from the unbroken run's")


def _touched(tables: Rows, plan: Break) -> set[str]:
    """Return the documents of which a model was asked other things than in the unbroken run."""
    epochs = {row["document_id"] for table in ("documents", "trials") for row in tables[table] if row["epoch"]}
    if plan.fault in {"corrupted reply", "truncated reply"}:
        return {str(row["document_id"]) for row in tables["documents"]}
    return epochs


def _differences(reference: Rows, tables: Rows, touched: set[str], free: frozenset[str]) -> dict[str, str]:
    found = {}
    for name, expected in reference.items():
        if name in _OF_FAULTS or name in free:
            continue
        own, theirs = (_comparable(name, rows, touched) for rows in (tables.get(name, []), expected))
        if own != theirs:
            more, fewer = own - theirs, theirs - own
            found[name] = f"{len(more)} more, {len(fewer)} fewer, for instance {str([*more, *fewer][0])[:300]}"
    return found


def _comparable(name: str, rows: Sequence[Mapping[str, Any]], touched: set[str]) -> set[str]:
    """Return the rows of a table without times, and without those of documents whose results may differ."""
    shown = set()
    for row in rows:
        if touched and (name not in {"documents", "rounds", "examples", "calls"} or row["document_id"] in touched):
            continue
        if name == "meta" and str(row["key"]).startswith(("endpoint:", "run_", "fork_")):
            continue
        kept = {column: value for column, value in row.items() if column not in _TIMES and (name, column) not in _FREE}
        shown.add(json.dumps(kept, sort_keys=True))
    return shown


def read_tables(run: Path) -> Rows:
    """Return all rows of a ledger's file, by table."""
    with closing(sqlite3.connect(f"file:{run / 'run.db'}?mode=ro", uri=True)) as file:
        file.row_factory = sqlite3.Row
        return {name: [dict(row) for row in file.execute(f'SELECT * FROM "{name}"')] for name in TABLES}


def _fork(folder: Path) -> Rows:
    """Return the tables of the latest fork that was begun: one whose making was cut off has no document to work on."""
    forks = sorted((folder / "run" / "forks").glob("*/run.db"), key=lambda path: int(path.parent.name), reverse=True)
    begun = (tables for path in forks if (tables := read_tables(path.parent))["rounds"])
    return next((tables for tables in begun if any(row["status"] != "skipped" for row in tables["documents"])), {})


def _journal(run: Path) -> set[str]:
    """Return the keys of the journal; none where there is no ledger yet."""
    if not (run / "run.db").exists():
        return set()
    with closing(sqlite3.connect(f"file:{run / 'run.db'}?mode=ro", uri=True)) as file:
        try:
            keys = {str(row[0]) for row in file.execute("SELECT key FROM calls")}
        except sqlite3.OperationalError:  # no table yet
            return set()
    for fork in (run / "forks").glob("*"):
        keys |= _journal(fork)
    return keys


def _lines(network: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in network.read_text("utf-8").splitlines()] if network.exists() else []


def _export(folder: Path) -> bytes:
    path = folder / "run" / EXPORT
    return path.read_bytes() if path.exists() else b""


def _see_secrets(found: Outcome, folder: Path) -> None:
    """The key stands in no file, and in nothing that left but the header that it is for."""
    needle = os.environ[KEY].encode()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and needle in path.read_bytes():
            found.violations.append(f"the key stands in {path.relative_to(folder)}")
    for file in folder.rglob("checkpoints.db"):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            for table, column in (("checkpoints", "checkpoint"), ("writes", "value")):
                for kind, value in db.execute(f"SELECT type, {column} FROM {table}"):
                    whole = zlib.decompress(value) if str(kind).endswith("+zlib") else value
                    if needle in bytes(whole or b""):
                        found.violations.append(f"the key stands in a checkpoint of {file.relative_to(folder)}")


def scenario(seed: int, references: Sequence[Unbroken], room: Path) -> Outcome:
    """Run the scenario of a seed in a folder of its own, which is gone afterwards."""
    rng = random.Random(seed)
    reference = references[seed % len(references)]
    folder = room / f"seed-{seed}"
    folder.mkdir()
    try:
        return run_scenario(seed, reference, planned(reference, rng), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
