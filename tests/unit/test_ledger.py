"""The ledger: durable, grouped, atomic, readable by others, and clear when it cannot be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints import known_calls, ledger_file, sqlite_engine
from autodata.checkpoints.document_queue import DocumentQueue
from autodata.checkpoints.errors import DiskFailed, RunFailed, UserError
from autodata.checkpoints.ledger import Ledger, MemoryLedger, Reader, open_readonly, run_lock
from autodata.checkpoints.protocols import Blobs, Journal, Store
from autodata.checkpoints.queries.chosen import read_chosen
from autodata.checkpoints.records import Stage
from autodata.checkpoints.schema import SCHEMA, SCHEMA_VERSION, TABLES, schema_sql
from autodata.checkpoints.sqlite_engine import SqliteEngine
from autodata.corpus.summary import summarise
from tests.support.commands import invoke

DOCUMENT = {"document_id": "d1", "name": "a.md", "title": "A", "text": "Once.", "chars": 5}
ROUND = {"round_id": "r1", "document_id": "d1", "thread_id": "main/d1", "n": 1}
ATTEMPT = {"attempt_id": "r1/weak/0", "round_id": "r1", "candidate_id": "c1", "stage": Stage.WEAK, "idx": 0}
ATTEMPT |= {"answer": "Forty-two.", "chars": 10, "truncated": False, "answered": True, "mode": {"max_tokens": 64}}
CALL = {"key": "k1", "role": "challenger", "model": "m", "response": "{}", "created_at": "2030-01-01T00:00:00Z"}


def engine_of(ledger: Reader) -> SqliteEngine:
    engine = ledger._engine
    assert isinstance(engine, SqliteEngine)
    return engine


def call(key: str, **more: Any) -> dict[str, Any]:
    return CALL | {"key": key} | more


def child(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


def content(path: Path) -> bytes:
    return path.read_bytes()


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@contextlib.contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Root may write anywhere: give its rights up for a while."""
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


# --- what lasts


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from autodata.checkpoints.ledger import Ledger

async def main():
    async with Ledger.open(Path(sys.argv[1])) as ledger:
        await ledger.save(documents=[{"document_id": "d1", "name": "a.md", "text": "Once."}])
        await ledger.save(calls=[{"key": "k1", "role": "r", "model": "m", "response": "x", "created_at": "now"}])
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.slow
async def test_rows_outlive_a_kill_right_after_save(path: Path) -> None:
    assert child(KILLED, path).returncode == -signal.SIGKILL
    async with open_readonly(path) as reader:
        assert await reader.get("document/d1") == "Once."
    async with Ledger.open(path) as ledger:
        found = await ledger.find_call("k1")
        assert found is not None
        assert found["response"] == "x"
    assert names(path.parent) == ["run.db"]


@pytest.mark.parametrize("in_memory", [True, False])
async def test_documents_with_a_text_are_listed_in_order(path: Path, in_memory: bool) -> None:
    rows = [{"document_id": key, "name": key, "text": text} for key, text in (("d2", "b"), ("d1", "a"), ("x", ""))]
    async with Ledger.open(path) as ledger:
        blobs: Any = MemoryLedger() if in_memory else ledger
        await blobs.save(documents=rows)
        assert await blobs.documents() == ["d1", "d2"]
        await blobs.save(documents=[{"document_id": "x", "text": "c"}])
        assert await blobs.documents() == ["d1", "d2", "x"]


async def test_ids_are_read_again_only_after_a_text_was_saved(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    really = Ledger.read

    async def counted(self: Ledger, sql: str, params: Any = ()) -> list[dict[str, Any]]:
        reads.append(sql)
        return await really(self, sql, params)

    monkeypatch.setattr(Ledger, "read", counted)
    async with Ledger.open(path) as ledger:
        await ledger.save(documents=[{"document_id": "d", "name": "d", "text": "a"}])
        for _ in range(3):
            await ledger.documents()
            await ledger.save(documents=[{"document_id": "d", "status": "accepted"}])
        assert len(reads) == 1
        await ledger.save(documents=[{"document_id": "e", "name": "e", "text": "a"}])
        assert await ledger.documents() == ["d", "e"]
        assert len(reads) == 2


async def test_chars_are_those_of_the_text_unless_given(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        given = [{"document_id": "a", "name": "a", "text": "abc"}, {"document_id": "b", "name": "b"}]
        await ledger.save(documents=[*given, {"document_id": "c", "name": "c", "text": "abc", "chars": 9}])
        rows = await ledger.read("SELECT chars FROM documents ORDER BY document_id")
    assert [row["chars"] for row in rows] == [3, 0, 9]


def older(path: Path) -> None:
    """Make a file as versions wrote it that did not know the columns of today, with an example in it."""
    asyncio.run(filled(path))
    with contextlib.closing(sqlite3.connect(path)) as db:
        for column in ("question_key", "tied"):
            db.execute(f"ALTER TABLE examples DROP COLUMN {column}")
        db.execute("CREATE INDEX idx_tokens ON calls (role, tokens_in, tokens_out, cost_usd)")
        db.execute("UPDATE meta SET value = '3' WHERE key = 'schema_version'")
        db.execute("INSERT INTO rounds (round_id, document_id, thread_id, n) VALUES ('r', 'd0', 't', 1)")
        db.execute(
            "INSERT INTO examples (example_id, document_id, round_id, example, rounds) VALUES ('e', 'd0', 'r', '{}', 1)"
        )
        db.commit()


@pytest.mark.parametrize("opened", [Ledger.open, open_readonly])
async def test_a_file_of_an_earlier_version_gets_the_columns_that_came_since(path: Path, opened: Any) -> None:
    await asyncio.to_thread(older, path)
    async with opened(path) as ledger:
        rows = await ledger.read("SELECT example_id, question_key, tied FROM examples")
        assert rows == [{"example_id": "e", "question_key": None, "tied": None}]
        assert len(await ledger.documents()) == 50
    async with opened(path) as again:
        assert await again.read("SELECT example_id FROM examples") == [{"example_id": "e"}]
    assert names(path.parent) == ["run.db"]


async def test_a_document_is_counted_and_listed_without_its_text(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself says which columns a statement reads."""
    await filled(path)
    read: set[str] = set()

    def note(action: int, table: str | None, column: str | None, *_: Any) -> int:
        if action == sqlite3.SQLITE_READ and table == "documents":
            read.add(str(column))
        return sqlite3.SQLITE_OK

    connect = ledger_file.connect

    def watched(*arguments: Any) -> Any:
        db = connect(*arguments)
        db.set_authorizer(note)
        return db

    monkeypatch.setattr(sqlite_engine, "connect", watched)
    for command in (["status"], ["status", "--json"], ["show"], ["show", "--json"], ["compare"], ["compare", "--json"]):
        result = await asyncio.to_thread(invoke, command[0], path.parent, *command[1:])
        assert result.exit_code == 0, result.output
    async with Ledger.open(path) as ledger:
        await ledger.documents()
        await DocumentQueue(ledger).open(3)
        await read_chosen(ledger)
        await summarise(ledger)
        columns = [row["name"] for row in await ledger.read("PRAGMA table_info(documents)")]
    assert "status" in read
    assert "text" not in read
    # SQLite reads a row up to the last column that is asked for.
    assert columns[-1] == "text"


async def test_the_file_is_written_as_promised(path: Path) -> None:
    async with Ledger.open(path) as ledger:

        def settings() -> list[Any]:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            return [engine_of(ledger).write_db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        assert ledger._writing.submit(settings).result() == ["wal", 2, 1, 30_000]


async def test_sqlite_refuses_to_be_called_on_the_event_loop(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        for db in (engine_of(ledger).write_db, engine_of(ledger).read_db):
            with pytest.raises(sqlite3.ProgrammingError, match="thread"):
                db.execute("SELECT 1")


# --- group commit


async def test_saves_that_wait_together_share_a_commit(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        before = ledger.commits
        gate = threading.Event()
        ledger._writing.submit(gate.wait)
        saves = [asyncio.create_task(ledger.save(calls=[call(f"k{i}")])) for i in range(200)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*saves)
        assert ledger.commits - before == 1
        await ledger.save(calls=[call("last")])
        assert ledger.commits - before == 2
        assert await ledger.read("SELECT count(*) AS n FROM calls") == [{"n": 201}]


def span(key: str, **more: Any) -> dict[str, Any]:
    return {"span_id": key, "thread_id": "main/d", "kind": "node", "name": "n", "started": "2026", **more}


async def test_what_is_carried_travels_with_the_next_save(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        ledger.carry(spans=[span("a")])
        ledger.carry(spans=[span("a", status="ok"), span("b")])
        assert await ledger.read("select * from spans") == []
        before = ledger.commits
        await ledger.save(calls=[call("k")])
        assert ledger.commits == before + 1
        rows = await ledger.read("select span_id, status from spans order by span_id")
        assert rows == [{"span_id": "a", "status": "ok"}, {"span_id": "b", "status": "open"}]
        ledger.carry(spans=[span("c")])
    async with open_readonly(path) as reader:
        assert len(await reader.read("select * from spans")) == 3


async def test_what_is_carried_and_does_not_fit_harms_nobody(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        ledger.carry(attempts=[{"attempt_id": "a", "round_id": "none", "candidate_id": "c", "stage": "weak", "idx": 0}])
        ledger.carry(attempts=[{"attempt_id": "a", "round_id": "none"}])
        await ledger.save(calls=[call("k")])
        assert await ledger.find_call("k")
        with pytest.raises(ValueError, match="no column"):
            ledger.carry(spans=[span("a", nonsense=1)])


async def test_saves_in_turn_are_each_committed(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        for i in range(3):
            await ledger.save(calls=[call(f"k{i}")])
            assert len(await ledger.read("SELECT key FROM calls")) == i + 1
        assert ledger.commits == 3


async def test_only_the_guilty_save_of_a_batch_fails(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        gate = threading.Event()
        ledger._writing.submit(gate.wait)
        saves = [
            asyncio.create_task(ledger.save(documents=[DOCUMENT])),
            asyncio.create_task(ledger.save(calls=[call("with-orphan")], rounds=[ROUND | {"document_id": "none"}])),
            asyncio.create_task(ledger.save(calls=[{"key": "none", "response": "part of no row"}])),
            asyncio.create_task(ledger.save(calls=[call("huge", tokens_in=2**63)])),
            asyncio.create_task(ledger.save(calls=[call("typed", tokens_in="many")])),
            asyncio.create_task(ledger.save(rounds=[ROUND])),
        ]
        await asyncio.sleep(0)
        gate.set()
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        kinds = [type(outcome) for outcome in outcomes]
        integrity = sqlite3.IntegrityError
        assert kinds == [type(None), integrity, ValueError, OverflowError, integrity, type(None)]
        assert ledger.commits == 1
        assert await ledger.read("SELECT key FROM calls") == []
        assert await ledger.find_call("with-orphan") is None
        assert await ledger.read("SELECT document_id, n FROM rounds") == [{"document_id": "d1", "n": 1}]


async def test_a_lost_transaction_is_never_taken_for_saved(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute(
                "CREATE TRIGGER spoil BEFORE INSERT ON calls WHEN new.key = 'bad'"
                " BEGIN SELECT RAISE(ROLLBACK, 'all is lost'); END"
            )
        gate = threading.Event()
        ledger._writing.submit(gate.wait)
        saves = [asyncio.create_task(ledger.save(calls=[call(key)])) for key in ("before", "bad", "after")]
        await asyncio.sleep(0)
        gate.set()
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        assert [str(outcome) for outcome in outcomes] == ["all is lost"] * 3
        assert await ledger.find_call("before") is None
        await ledger.save(calls=[call("later")])
        assert await ledger.read("SELECT key FROM calls") == [{"key": "later"}]


async def test_a_cancelled_save_is_saved_and_the_writer_lives_on(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        gate = threading.Event()
        ledger._writing.submit(gate.wait)
        save = asyncio.create_task(ledger.save(calls=[call("paid")]))
        await asyncio.sleep(0)
        save.cancel()
        with pytest.raises(asyncio.CancelledError):
            await save
        gate.set()
        await ledger.save(calls=[call("next")])
        assert await ledger.find_call("paid") is not None


async def test_saves_under_way_are_finished_before_the_ledger_closes(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        save = asyncio.create_task(ledger.save(calls=[call("late")]))
        await asyncio.sleep(0)
    await save
    async with open_readonly(path) as reader:
        assert await reader.read("SELECT key FROM calls") == [{"key": "late"}]
    with pytest.raises(RuntimeError, match="shutdown"):
        await ledger.save(calls=[call("too late")])


# --- rows


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, path: Path) -> Any:
    if request.param == "memory":
        yield MemoryLedger()
    else:
        async with Ledger.open(path) as ledger:
            yield ledger


async def row_of(store: Ledger | MemoryLedger, table: str, **where: Any) -> dict[str, Any]:
    if isinstance(store, MemoryLedger):
        return store.tables[table][tuple(where[column] for column in TABLES[table].pk)]
    condition = " AND ".join(f"{column} = ?" for column in where)
    (row,) = await store.read(f"SELECT * FROM {table} WHERE {condition}", list(where.values()))
    return row


async def test_protocols(store: Ledger | MemoryLedger) -> None:
    as_store: Store = store
    as_blobs: Blobs = store
    as_journal: Journal = store
    await as_store.save(documents=[DOCUMENT])
    await as_journal.save(calls=[call("k1", tokens_in=7)])
    assert await as_blobs.get("document/d1") == "Once."
    found = await as_journal.find_call("k1")
    assert found is not None
    assert (found["tokens_in"], found["tokens_out"], found["try"], found["params"]) == (7, None, 0, "{}")
    assert await as_journal.find_call("k2") is None


async def test_tables_may_come_in_any_order(store: Ledger | MemoryLedger) -> None:
    mark = {"attempt_id": ATTEMPT["attempt_id"], "criterion": 0, "text": "says why", "weight": 3, "met": True}
    await store.save(marks=[mark], attempts=[ATTEMPT], rounds=[ROUND], documents=[DOCUMENT])
    assert (await row_of(store, "marks", attempt_id="r1/weak/0", criterion=0))["met"] == 1
    assert await store.get("answer/r1/weak/0") == "Forty-two."


async def test_only_given_columns_change(store: Ledger | MemoryLedger) -> None:
    await store.save(documents=[DOCUMENT, DOCUMENT | {"document_id": "d2", "note": "cut"}])
    await store.save(
        documents=[
            {"document_id": "d1", "status": "accepted", "rounds": 3},
            {"document_id": "d2", "name": "b.md", "epoch": 1},
            {"document_id": "d2", "name": "c.md"},
        ]
    )
    one = await row_of(store, "documents", document_id="d1")
    two = await row_of(store, "documents", document_id="d2")
    rest = {"status_reason": "", "epoch": 0, "note": "", "settled": 0, "extract": None}
    rest |= {"source": "", "replaced_by": ""}
    assert one == DOCUMENT | {"status": "accepted", "rounds": 3} | rest
    assert (two["name"], two["epoch"], two["note"], two["status"]) == ("c.md", 1, "cut", "pending")


async def test_null_clears_and_a_lone_key_changes_nothing(store: Ledger | MemoryLedger) -> None:
    await store.save(documents=[DOCUMENT], rounds=[ROUND | {"failure_mode": "too_easy", "weak_mean": Fraction(5, 8)}])
    await store.save(documents=[{"document_id": "d1"}], rounds=[{"round_id": "r1", "failure_mode": None}])
    row = await row_of(store, "rounds", round_id="r1")
    assert (row["failure_mode"], row["weak_mean"], row["outcome"]) == (None, 0.625, "open")
    assert (await row_of(store, "documents", document_id="d1"))["name"] == "a.md"


async def test_values_are_stored_as_declared(store: Ledger | MemoryLedger) -> None:
    await store.save(documents=[DOCUMENT], rounds=[ROUND], attempts=[ATTEMPT])
    await store.save(attempts=[{"attempt_id": ATTEMPT["attempt_id"], "score": Fraction(5, 8), "decided_by": "judge"}])
    row = await row_of(store, "attempts", attempt_id="r1/weak/0")
    assert (row["score"], row["score_value"], row["stage"]) == ("5/8", 0.625, "weak")
    assert (row["truncated"], row["answered"], json.loads(row["mode"])) == (0, 1, {"max_tokens": 64})
    await store.save(attempts=[{"attempt_id": ATTEMPT["attempt_id"], "score": None}])
    row = await row_of(store, "attempts", attempt_id="r1/weak/0")
    assert (row["score"], row["score_value"]) == (None, None)


async def test_a_broken_character_does_not_cost_the_reply(store: Ledger | MemoryLedger) -> None:
    await store.save(calls=[call("k1", response="half \ud83d, nul \0, whole 😀")])
    found = await store.find_call("k1")
    assert found is not None
    assert found["response"] == "half ?, nul \0, whole 😀"


@pytest.mark.parametrize(
    ("tables", "error", "words"),
    [
        ({"nothing": [{}]}, ValueError, "no table nothing"),
        ({"documents": [DOCUMENT | {"colour": "red"}]}, ValueError, "documents has no column colour"),
        ({"documents": [{"name": "a.md"}]}, ValueError, "lacks its primary key document_id"),
        ({"calls": [call("k1", response=b"x")]}, TypeError, "cannot hold a bytes"),
        ({"documents": [{"document_id": "d9", "note": "x"}]}, ValueError, r"no row \('d9',\), .* needs name"),
        ({"verdicts": [{"round_id": "r", "stage": "weak"}]}, ValueError, "needs preset, decision"),
    ],
)
async def test_rows_that_do_not_fit_are_refused_whole(
    store: Ledger | MemoryLedger, tables: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await store.save(**{"documents": [DOCUMENT]} | {"meta": [{"key": "seen", "value": "1"}]} | tables)
    with pytest.raises(KeyError):
        await store.get("document/d1")
    await store.save(documents=[DOCUMENT])
    assert await store.get("document/d1") == "Once."


@pytest.mark.parametrize("ref", ["document/d1", "answer/r1/weak/0", "picture/p1", "document", ""])
async def test_a_reference_that_leads_nowhere(store: Ledger | MemoryLedger, ref: str) -> None:
    with pytest.raises(KeyError):
        await store.get(ref)


async def test_calls_not_in_the_journal_cost_no_query(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        await ledger.save(calls=[call("k1")])
    async with Ledger.open(path) as ledger:
        assert await ledger.find_call("k3", "") is None  # the keys of a thread are read once
        await ledger.save(calls=[call("k2")])
        queries: list[str] = []
        ledger._reading.submit(engine_of(ledger).read_db.set_trace_callback, queries.append).result()
        assert await ledger.find_call("k3", "") is None
        assert queries == []
        assert await ledger.find_call("k1", "") is not None
        assert await ledger.find_call("k2", "") is not None
        assert len(queries) == 2


async def test_schema_in_the_file_is_the_declared_one(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        for name, table in TABLES.items():
            columns = await ledger.read(f"SELECT name, pk FROM pragma_table_info('{name}')")
            keys = sorted((column["pk"], column["name"]) for column in columns if column["pk"])
            assert {column["name"] for column in columns} == set(table.columns)
            assert tuple(column for _, column in keys) == table.pk
            foreign = await ledger.read(f"SELECT * FROM pragma_foreign_key_list('{name}')")
            assert {(key["from"], key["table"]) for key in foreign} == set(table.foreign.items())
            # Every foreign key is found through an index, so that no lookup by parent reads a whole table.
            for column in table.foreign:
                (plan, *_) = await ledger.read(f"EXPLAIN QUERY PLAN SELECT * FROM {name} WHERE {column} = ?", ("x",))
                assert "SEARCH" in plan["detail"], (name, column)


# --- other processes


async def test_a_reader_sees_what_is_saved_meanwhile(path: Path) -> None:
    async with Ledger.open(path) as ledger, open_readonly(path) as reader:
        assert await reader.read("SELECT * FROM documents") == []
        await ledger.save(documents=[DOCUMENT])
        assert await reader.get("document/d1") == "Once."
        with pytest.raises(RunFailed, match="readonly"):
            await reader.read("INSERT INTO meta (key, value) VALUES ('a', 'b') RETURNING key")
        await ledger.save(documents=[{"document_id": "d1", "text": "Twice."}])
        assert await reader.get("document/d1") == "Twice."


READ = """
import asyncio, sys
from pathlib import Path
from autodata.checkpoints.ledger import open_readonly

async def main():
    async with open_readonly(Path(sys.argv[1])) as reader:
        print(await reader.get("document/d1"))

asyncio.run(main())
"""


@pytest.mark.slow
async def test_another_process_reads_while_a_write_is_open(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        await ledger.save(documents=[DOCUMENT])
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE documents SET text = 'Unfinished'")
            assert (await asyncio.to_thread(child, READ, path)).stdout == "Once.\n"


HOLD = """
import sys
from pathlib import Path
from autodata.checkpoints.ledger import run_lock

with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_one_process_at_a_time_and_no_stale_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refusal = f"{tmp_path} is in use by another process (pid {holder.pid}): wait for it or stop it"
        with pytest.raises(UserError) as refused, run_lock(tmp_path):
            pass
        assert str(refused.value) == refusal
        holder.kill()
    with run_lock(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())
        with pytest.raises(UserError, match=f"pid {os.getpid()}"), run_lock(tmp_path):
            pass
    with run_lock(tmp_path):
        pass


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="lock"), run_lock(tmp_path / "missing"):
        pass


# --- files that cannot be used


async def filled(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        await ledger.save(documents=[DOCUMENT | {"document_id": f"d{i}", "text": "x" * 3000} for i in range(50)])


def make_text(path: Path) -> None:
    path.write_text("These are my notes, not a database. " * 100)


def make_other_program(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE meta (a)")
        db.commit()


def make_other_version(path: Path) -> None:
    asyncio.run(filled(path))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
        db.commit()


def make_no_version(path: Path) -> None:
    asyncio.run(filled(path))
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM meta")
        db.commit()


def make_cut(path: Path) -> None:
    asyncio.run(filled(path))
    os.truncate(path, path.stat().st_size // 2)


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


def make_scribbled(path: Path) -> None:
    asyncio.run(filled(path))
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)


def make_one_bad_page(path: Path) -> None:
    """Damage that nothing touches until somebody asks for a certain document."""
    asyncio.run(filled(path))
    with path.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(b"\xa5" * 4096)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (make_text, "file is not a database"),
        (make_other_program, "another program's database"),
        (make_other_version, "schema version is 0"),
        (make_no_version, "schema version is none"),
        (make_cut, "malformed"),
        (make_one_bad_page, r"\*\*\* in database main"),
        (make_scribbled, "Tree|Page|malformed"),
    ],
)
async def test_a_spoilt_file_is_refused_and_left_alone(path: Path, make: Any, words: str) -> None:
    await asyncio.to_thread(make, path)
    before = content(path)
    with pytest.raises(UserError, match=words) as refused:
        async with Ledger.open(path):
            pass
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith(f"{path} cannot be used as a ledger (")
    assert message.endswith(
        f": move it away, or first save what can be saved with `sqlite3 {path} .recover > saved.sql`"
    )
    with pytest.raises(UserError, match="move it away"):
        async with open_readonly(path) as reader:
            await reader.read("SELECT * FROM documents ORDER BY text")
    assert content(path) == before


async def test_nothing_to_read(path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no ledger .*run\.db"):
        async with open_readonly(path):
            pass
    assert names(path.parent) == []
    await asyncio.to_thread(path.touch)
    with pytest.raises(UserError, match="holds no tables"):
        async with open_readonly(path):
            pass
    async with Ledger.open(path) as ledger:
        await ledger.save(documents=[DOCUMENT])


@pytest.mark.parametrize("where", ["missing/run.db", "."])
async def test_a_path_that_cannot_be_a_file(tmp_path: Path, where: str) -> None:
    with pytest.raises(RunFailed, match="unable to open database file: see that its folder exists and is writable"):
        async with Ledger.open(tmp_path / where):
            pass


async def test_a_name_full_of_signs(tmp_path: Path) -> None:
    folder = tmp_path / "50% of a?b#c é"
    folder.mkdir()
    async with Ledger.open(folder / "run.db") as ledger:
        await ledger.save(documents=[DOCUMENT])
    assert names(folder) == ["run.db"]


async def test_an_earlier_versions_file_in_a_read_only_folder_is_refused(shared_folder: Path) -> None:
    await asyncio.to_thread(older, shared_folder / "run.db")
    with as_nobody(shared_folder), pytest.raises(UserError, match="made by an earlier version: make its folder wri"):
        async with open_readonly(shared_folder / "run.db"):
            pass


async def test_a_read_only_folder(shared_folder: Path) -> None:
    path = shared_folder / "run.db"
    with as_nobody(shared_folder), pytest.raises(RunFailed, match=r"unable to open .*writable, then type"):
        async with Ledger.open(path):
            pass
    async with Ledger.open(path) as ledger:
        await ledger.save(documents=[DOCUMENT])
    path.chmod(0o444)
    with as_nobody(shared_folder):
        with pytest.raises(RunFailed, match="writable, then type the same command again"):
            async with Ledger.open(path):
                pass
        async with open_readonly(path) as reader:
            assert await reader.get("document/d1") == "Once."
        with pytest.raises(RunFailed, match="lock: Permission denied"), run_lock(shared_folder):
            pass
    assert names(shared_folder) == ["run.db"]


@pytest.mark.parametrize(
    ("pragma", "words"),
    [("query_only = ON", "readonly database: make the file"), ("max_page_count = 1", "full: free some space")],
)
async def test_a_disk_that_fails_in_the_middle_of_a_run(path: Path, pragma: str, words: str) -> None:
    large = [DOCUMENT | {"document_id": f"large{i}", "text": "x" * 100_000} for i in range(20)]
    async with Ledger.open(path) as ledger:
        await ledger.save(documents=[DOCUMENT])
        ledger._writing.submit(lambda: engine_of(ledger).write_db.execute(f"PRAGMA {pragma}").fetchall()).result()
        gate = threading.Event()
        ledger._writing.submit(gate.wait)
        saves = [
            asyncio.create_task(ledger.save(calls=[call("small")])),
            asyncio.create_task(ledger.save(documents=large)),
            asyncio.create_task(ledger.save(calls=[call("next")])),
        ]
        await asyncio.sleep(0)
        gate.set()
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [DiskFailed] * 3
        ledger._writing.submit(lambda: engine_of(ledger).write_db.execute("PRAGMA query_only = OFF")).result()
        with pytest.raises(RunFailed, match=words) as failed:
            await ledger.save(calls=[call("later")])
        assert "\n" not in str(failed.value)
        assert str(failed.value).startswith(f"{path}: ")
        assert await ledger.find_call("small") is None
    async with Ledger.open(path) as ledger:
        assert await ledger.read("SELECT key FROM calls") == []
        assert await ledger.read("SELECT document_id FROM documents") == [{"document_id": "d1"}]
        await ledger.save(documents=large)


async def test_a_full_disk_at_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    connect = ledger_file.connect

    def on_a_small_disk(path: Path, mode: str) -> Any:
        db = connect(path, mode)
        db.execute("PRAGMA max_page_count = 3").fetchall()
        return db

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_engine, "connect", on_a_small_disk)
        with pytest.raises(RunFailed, match="full: free some space"):
            async with Ledger.open(path):
                pass
    async with Ledger.open(path) as ledger:
        await ledger.save(documents=[DOCUMENT])


async def test_memory_ledger_reads_back_what_the_file_does(path: Path) -> None:
    memory = MemoryLedger()
    tables: dict[str, list[dict[str, Any]]] = {
        "documents": [DOCUMENT],
        "rounds": [ROUND | {"gap": Fraction(1, 3), "quality": {"b": [1], "a": "é"}}],
        "attempts": [ATTEMPT | {"score": Fraction(2, 3)}],
        "calls": [call("k1", **{"try": 1}, cost_usd=0.5)],
    }
    async with Ledger.open(path) as ledger:
        await ledger.save(**tables)
        await memory.save(**tables)
        for name in tables:
            assert await ledger.read(f"SELECT * FROM {name}") == list(memory.tables[name].values())


async def test_a_file_of_an_older_version_is_brought_up_to_this_one(path: Path) -> None:
    async with Ledger.open(path) as ledger:
        await ledger.save(documents=[DOCUMENT | {"document_id": "d", "chars": 300}])
        for key, usage in {"reported": (40, 7), "zeros": (0, 0), "none": (None, None)}.items():
            row = {"key": key, "document_id": "d", "role": "r", "model": "m", "response": "x", "created_at": "now"}
            counts = {"tokens_in": usage[0], "tokens_out": usage[1], "params": {"max_tokens": 50}}
            await ledger.save(calls=[row | counts | {"cost_usd": 0.5 if key == "reported" else None}])
    await asyncio.to_thread(make_version_3, path)
    async with open_readonly(path) as reader:  # whoever opens it first does it
        rows = await reader.read("select key, response, charged_in, charged_out, charged_usd from calls order by key")
        assert [tuple(row.values()) for row in rows] == [
            ("none", "x", 100, 50, None),
            ("reported", "x", 40, 7, 0.5),
            ("zeros", "x", 100, 50, None),
        ]
        assert await reader.read("select * from timeouts") == []
    async with Ledger.open(path) as ledger:
        await ledger.save(timeouts=[{"timeout_id": "t", "role": "r", "model": "m", "created_at": "now"}])
        assert (await ledger.read("select charged_in from timeouts"))[0]["charged_in"] == 0
        assert (await ledger.read("select value from meta where key = 'schema_version'"))[0]["value"] == SCHEMA_VERSION


def make_version_3(path: Path) -> None:
    """Take from a file what versions 4 and 5 brought."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE timeouts")
        for (name,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND (sql LIKE '%charged%' OR sql LIKE '%tokens%')"
        ).fetchall():
            db.execute(f'DROP INDEX "{name}"')
        for column in ("charged_in", "charged_out", "charged_usd", "tokens_cached", "tokens_reasoning"):
            db.execute(f"ALTER TABLE calls DROP COLUMN {column}")
        db.execute("UPDATE meta SET value = '3' WHERE key = 'schema_version'")
        db.commit()


async def test_a_large_file_that_is_cut_or_whose_meta_is_spoilt_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Ledger.open(path) as opened:
        await opened.save(documents=[{**DOCUMENT, "document_id": f"d{i}", "text": "x" * 9000} for i in range(20)])
    monkeypatch.setattr(ledger_file, "CHECKED_WHOLE", 4096)
    async with Ledger.open(path) as opened:
        assert len(await opened.documents()) == 20
    await asyncio.to_thread(shorten, path)
    with pytest.raises(UserError, match="move it away"):
        async with Ledger.open(path):
            pass


async def test_calls_of_a_thread_are_known_before_and_after_they_are_saved(path: Path) -> None:
    old = {"key": "old", "role": "judge", "model": "m", "response": "a", "created_at": "2026"}
    async with Ledger.open(path) as opened:
        await opened.save(calls=[{**old, "thread_id": "main/a"}, {**old, "key": "early"}])
    async with Ledger.open(path) as opened:
        assert await opened.find_call("old", "main/a")
        assert await opened.find_call("early", "main/a")
        assert await opened.find_call("new", "main/a") is None
        await opened.save(calls=[{**old, "key": "new", "thread_id": "main/a"}])
        assert await opened.find_call("new", "main/a")
        assert await opened.find_call("new", "main/b") is None
        assert await opened.find_call("new")


async def test_a_call_that_is_saved_while_its_threads_keys_are_read_is_known() -> None:
    begun, answer = asyncio.Event(), asyncio.Event()

    async def read(sql: str, params: Any) -> list[dict[str, Any]]:
        begun.set()
        await answer.wait()
        return [{"key": "old"}]

    known = known_calls.KnownCalls(read)
    looking = asyncio.create_task(known.hold("old", "main/a"))
    await begun.wait()
    known.note("new", "main/a")
    answer.set()
    assert await looking
    assert await known.hold("new", "main/a")


async def test_keys_of_threads_long_gone_are_let_go_and_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_calls, "THREADS", 3)
    row = {"role": "judge", "model": "m", "response": "a", "created_at": "2026"}
    async with Ledger.open(path) as opened:
        for i in range(10):
            assert await opened.find_call(f"k{i}", f"main/{i}") is None
            await opened.save(calls=[{**row, "key": f"k{i}", "thread_id": f"main/{i}"}])
        assert len(opened._known._threads) <= 3
        for i in range(10):
            assert await opened.find_call(f"k{i}", f"main/{i}")


def test_a_ledger_is_created_as_sqlite_utils_creates_it() -> None:
    assert SCHEMA.read_text("utf-8") == schema_sql(), "type: make golden"
