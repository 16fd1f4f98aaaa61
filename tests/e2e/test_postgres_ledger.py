"""A run whose ledger is at a Postgres server: what a file would hold, asked and answered in the same way."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import json
import os
import pkgutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import tomli_w

from autodata.checkpoints import holders, queries
from autodata.checkpoints import server as postgres_server
from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.ledger import Ledger, Reader, open_readonly
from autodata.checkpoints.places import POINTER, begin_shared, ledger_place, place_of
from autodata.checkpoints.postgres_engine import PostgresEngine
from autodata.checkpoints.schema import TABLES, Table
from autodata.runner.config import RunConfig
from autodata.runner.places import LedgerConfig
from autodata.runner.run_folder import open_ledger, open_run_folder
from autodata.runner.shared import attach
from tests.support.commands import invoke, parsed
from tests.support.postgres import PASSWORD, Server, postgres
from tests.support.runs import generated, run_session

VARIABLE = "AUTODATA_POSTGRES_DSN"
DOCUMENTS = generated(4)
SIMULATED: dict[str, Any] = {
    "models": {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}},
    "max_rounds": 3,
}
SHARED = {**SIMULATED, "ledger": {"store": "postgres"}}
DOCUMENT = {"document_id": "d1", "name": "a.md", "text": "Once."}
CALL = {"key": "k1", "role": "challenger", "model": "m", "response": "{}", "created_at": "2030-01-01T00:00:00Z"}
numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new, empty database; its address is in the environment, as a user's would be."""
    dsn = server.database(f"ledger_{next(numbers)}")
    monkeypatch.setenv(VARIABLE, dsn)
    return dsn


@pytest.fixture
async def ledger(database: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with Ledger.open(begin_shared(tmp_path, VARIABLE, "one")) as opened:
        yield opened


def stored(database: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(sql.encode()).fetchall()


def name_of(database: str) -> str:
    return database.partition("?")[0].rpartition("/")[2]


# What is written


async def test_what_is_saved_is_read_as_it_was(ledger: Ledger) -> None:
    texts = ["plain", "a\0b", "\x1a", "\x1a0\x1a1\0", "half \ud800 a pair", "100% 'quoted' \\ :name ?", "ünï"]
    for number, text in enumerate(texts):
        await ledger.save(documents=[{"document_id": f"d{number}", "name": text, "text": text}])
        assert await ledger.get(f"document/d{number}") == text.replace("\ud800", "?")
    assert [row["name"] for row in await ledger.read("SELECT name FROM documents WHERE name = ?", (texts[1],))] == [
        "a\0b"
    ]


async def test_json_with_a_nul_is_found_as_it_was(ledger: Ledger) -> None:
    for number, question in enumerate(["a\0\0b", "\\u0000", "\x1a0", "\\\0", "ä\u2028\x01"]):
        candidate = {"candidate_id": f"c{number}", "question": question, "reference_answer": "x"}
        await ledger.save(candidates=[{**candidate, "candidate": {"question": question}}])
        [row] = await ledger.read(
            "SELECT question, json_extract(candidate, '$.question') AS found FROM candidates WHERE candidate_id = ?",
            (f"c{number}",),
        )
        assert row == {"question": question, "found": question}


async def test_a_save_that_does_not_fit_costs_no_other(ledger: Ledger) -> None:
    engine = ledger._engine
    assert isinstance(engine, PostgresEngine)
    outcomes = engine.write(
        [
            {"documents": [{"document_id": "d1", "name": "a"}]},
            {"documents": [{"document_id": "d2", "status": "a part of none"}]},
            {"rounds": [{"round_id": "r", "document_id": "nowhere", "thread_id": "t", "n": 1}]},
            {"documents": [{"document_id": "d3", "name": "c"}], "calls": [{**CALL, "n": "no number"}]},
            {"documents": [{"document_id": "d1", "status": "accepted"}]},
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        ValueError,
        psycopg.errors.ForeignKeyViolation,
        psycopg.errors.InvalidTextRepresentation,
        type(None),
    ]
    rows = await ledger.read("SELECT document_id, status FROM documents ORDER BY rowid")
    assert rows == [{"document_id": "d1", "status": "accepted"}]


async def test_rows_are_in_the_order_in_which_they_were_first_written(ledger: Ledger) -> None:
    for key in ("b", "a", "c", "a", "b"):
        await ledger.save(meta=[{"key": key, "value": "1"}])
    rows = await ledger.read("SELECT key FROM meta WHERE key != 'schema_version' ORDER BY rowid")
    assert [row["key"] for row in rows] == ["b", "a", "c"]


async def test_connections_that_die_are_replaced_and_nothing_is_lost(
    ledger: Ledger, server: Server, database: str
) -> None:
    for number in range(5):
        await ledger.save(documents=[{"document_id": f"d{number}", "name": "a"}])
        assert server.cut(name_of(database)) >= 1
        assert len(await ledger.read("SELECT document_id FROM documents")) == number + 1
        assert server.cut(name_of(database)) >= 1


async def test_a_transaction_whose_answer_was_lost_is_not_written_again(
    ledger: Ledger, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection dies between the server's commit and its answer; meanwhile somebody else changes the row."""
    execute = psycopg.Connection.execute
    lost: list[int] = []

    def losing(self: Any, query: Any, *args: Any, **more: Any) -> Any:
        done = execute(self, query, *args, **more)
        if query == "COMMIT" and not lost:
            lost.append(1)
            stored(database, "UPDATE autodata_one.documents SET status = 'changed' RETURNING 1")
            with psycopg.connect(database, autocommit=True) as other:
                other.execute("UPDATE autodata_one.documents SET status = 'changed'")
            raise psycopg.OperationalError("the answer was lost")
        return done

    monkeypatch.setattr(psycopg.Connection, "execute", losing)
    await ledger.save(documents=[DOCUMENT])
    assert lost
    assert await ledger.read("SELECT status FROM documents") == [{"status": "changed"}]


async def test_a_server_that_stays_away_ends_the_session_with_a_line(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_server, "RECONNECT_SECONDS", 0.0)
    async with Ledger.open(begin_shared(tmp_path, VARIABLE)) as ledger:
        await ledger.save(documents=[DOCUMENT])
        server.cut(name_of(database))
        with pytest.raises(RunFailed, match="the ledger in Postgres cannot be used any more") as failed:
            await ledger.save(documents=[DOCUMENT])
    assert PASSWORD not in str(failed.value)


async def test_of_two_writers_each_finds_the_calls_of_the_other(ledger: Ledger, database: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with Ledger.open(begin_shared(tmp_path / "other", VARIABLE, "one")) as other:
        assert await other.find_call("k1", "main/d1") is None
        await ledger.save(calls=[{**CALL, "thread_id": "main/d1"}])
        found = await other.find_call("k1", "main/d1")
        assert found
        assert found["response"] == "{}"


async def test_one_session_alone_works_on_a_run_and_workers_share_it(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    config = LedgerConfig(store="postgres")
    for folder in (one, other):
        folder.mkdir()
        begin_shared(folder, VARIABLE, "run")
    async with open_ledger(one, config=config):
        for together in (False, True):
            with pytest.raises(UserError, match=rf"cannot work on its run: .*{one} does"):
                async with open_ledger(other, config=config, together=together):
                    pass
    async with open_ledger(one, config=config, together=True), open_ledger(other, config=config, together=True):
        assert len(stored(database, "SELECT holder FROM autodata_run.holders")) == 2
    assert stored(database, "SELECT holder FROM autodata_run.holders") == []


async def test_a_session_that_was_silent_for_too_long_writes_no_more(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        begin_shared(folder, VARIABLE, "run")
    monkeypatch.setattr(holders, "RENEWED_SECONDS", 0.3)
    async with open_ledger(one) as ledger:
        monkeypatch.setattr(holders, "SILENT_SECONDS", 0.0)
        async with open_ledger(other) as taken:
            await taken.save(documents=[DOCUMENT])
            engine = ledger._engine
            assert isinstance(engine, PostgresEngine)
            assert engine._holder
            await asyncio.to_thread(engine._holder._renewing.join)
            with pytest.raises(RunFailed, match="another session works on the run"):
                await ledger.save(documents=[DOCUMENT])


# What is asked


def order_of(table: Table) -> str:
    return ", ".join(table.pk) if table.by_key else "rowid"


async def copied(source: Reader, target: Ledger) -> None:
    for name, table in TABLES.items():
        columns = ", ".join(f'"{column}"' for column in table.columns)
        rows = await source.read(f"SELECT {columns} FROM {name} ORDER BY {order_of(table)}")
        await target.save(**{name: [row for row in rows if row.get("key") != "schema_version"]})


def asked(values: dict[str, Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield every question of `queries` with values for what it takes, its defaults and others."""
    for module in pkgutil.iter_modules(queries.__path__):
        names = vars(importlib.import_module(f"{queries.__name__}.{module.name}"))
        for name, function in names.items():
            of_it = inspect.iscoroutinefunction(function) and function.__module__.endswith(f"queries.{module.name}")
            if not of_it or name.startswith("_"):
                continue
            taken = list(inspect.signature(function).parameters.values())[1:]
            if unknown := [one.name for one in taken if one.name not in values]:
                raise AssertionError(f"{module.name}.{name} takes {unknown}: give the test a value for it")
            yield function, [one for one in taken if one.default is inspect.Parameter.empty]


BESIDE: dict[str, dict[str, Any]] = {"accepted_keys": {"before": "2100-01-01T00:00:00+00:00"}}
"""Values where a name means something else."""


def read(answer: Any) -> str:
    """Return an answer with its JSON texts read: their blanks, and the order of their keys, say nothing.

    Real numbers are read to 12 figures. Neither database promises an order in which it adds them, and the last of
    the 16 figures of a sum depends on that order.
    """
    if isinstance(answer, float):
        return f"{answer:.12g}"
    if isinstance(answer, str) and answer[:1] in {"{", "["}:
        with suppress(ValueError):
            return read(json.loads(answer))
    if isinstance(answer, dict):
        return repr(sorted((key, read(value)) for key, value in answer.items()))
    if isinstance(answer, list | tuple):
        return repr([read(value) for value in answer])
    if isinstance(answer, float):
        return f"{answer:.12g}"  # sums of the same numbers in another order
    return repr(sorted(answer, key=repr) if isinstance(answer, set | frozenset) else answer)


def values_for(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return a value for each name that a question may take."""
    ids = [row["document_id"] for row in rows["documents"]]
    return {
        **{"document_id": ids[0], "documents": ids, "wanted": ids, "document": rows["documents"][0]},
        **{"thread": rows["rounds"][0]["thread_id"], "n": 1, "before": 2, "fewer_than": 4},
        **{"round_id": rows["rounds"][0]["round_id"], "ids": [row["round_id"] for row in rows["rounds"]]},
        **{"attempts": [row["attempt_id"] for row in rows["attempts"]]},
        **{"attempt_id": rows["attempts"][0]["attempt_id"], "label_id": rows["labels"][0]["label_id"]},
        **{"table": "attempts", "key": "domain", "evaluation": "main", "moment": "2020-01-01T00:00:00+00:00"},
        **{"failure_mode": "too_easy", "one": "too_easy", "other": "quality", "bands": (100, 500), "chars": 20},
        **{"pack": "p", "packs": ["p"], "first": 0, "split": "validate", "worker": 0, "most": 3, "numbers": [1, 2]},
        **{"limit": 2, "search": True, "by_document": True, "after": 1, "statuses": "accepted"},
    }


async def test_every_question_has_the_answer_that_a_file_gives(database: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    source_run = {**SIMULATED, "review": "accepted", "curtail": "adaptive"}
    await run_session(file, source_run, DOCUMENTS)
    await run_session(file, source_run, generated(6))
    (tmp_path / "shared").mkdir()
    async with (
        open_readonly(ledger_place(file)) as source,
        Ledger.open(begin_shared(tmp_path / "shared", VARIABLE)) as target,
    ):
        await copied(source, target)
        rows = {
            name: await source.read(f"SELECT * FROM {name} ORDER BY {order_of(table)}")
            for name, table in TABLES.items()
        }
        values = values_for(rows)
        count = 0
        for function, taken in asked(values):
            named = values | BESIDE.get(function.__name__, {})
            by_name = {one.name: named[one.name] for one in taken if one.kind is inspect.Parameter.KEYWORD_ONLY}
            unnamed = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.KEYWORD_ONLY}
            given = [named[one.name] for one in taken if one.kind not in unnamed]
            optional = {
                one.name: named[one.name]
                for one in inspect.signature(function).parameters.values()
                if one.default is not inspect.Parameter.empty
            }
            for more in ({}, optional) if optional else ({},):
                count += 1
                answers = [await function(reader, *given, **by_name, **more) for reader in (source, target)]
                assert read(answers[0]) == read(answers[1]), (function.__name__, more)
        assert count > 60


# Runs


async def test_a_run_makes_what_it_makes_with_a_file(database: str, tmp_path: Path) -> None:
    file = await run_session(tmp_path / "file", SIMULATED, DOCUMENTS)
    shared = await run_session(tmp_path / "shared", SHARED, DOCUMENTS)
    del file.tables["meta"], shared.tables["meta"]
    assert file.tables == shared.tables
    assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == ["config.toml", POINTER, "lock"]
    assert RunConfig.model_validate(SHARED).checkpoints.saver == "postgres"


async def test_a_run_outlives_its_connections(server: Server, database: str, tmp_path: Path) -> None:
    reference = await run_session(tmp_path / "reference", SHARED, DOCUMENTS)
    cuts = []

    def watch(runner: Any, event: Any) -> None:
        if event.event in {"verdict", "feedback"}:
            cuts.append(server.cut(name_of(database)))

    session = await run_session(tmp_path / "cut", SHARED, DOCUMENTS, watch)
    assert sum(cuts) > 4
    del reference.tables["meta"], session.tables["meta"]
    assert session.tables == reference.tables


async def test_another_machine_goes_on_with_a_run(database: str, tmp_path: Path) -> None:
    reference = await run_session(tmp_path / "reference", SHARED, DOCUMENTS)

    def half(runner: Any, event: Any) -> None:
        if event.event == "verdict":
            runner.drain("enough")

    stopped = await run_session(tmp_path / "here", SHARED, DOCUMENTS, half)
    assert "pending" in stopped.statuses
    place = place_of(tmp_path / "here")
    assert place
    assert not isinstance(place, Path)
    config = await attach(place.run, tmp_path / "there", VARIABLE)
    session = await run_session(tmp_path / "there", config.model_dump(exclude_unset=True), DOCUMENTS)
    del reference.tables["meta"], session.tables["meta"]
    assert session.tables == reference.tables
    with pytest.raises(UserError, match="holds no run nowhere"):
        await attach("nowhere", tmp_path / "third", VARIABLE)
    with pytest.raises(UserError, match="use another folder"):
        await attach("nowhere", tmp_path / "there", VARIABLE)


async def test_a_folder_stays_where_its_ledger_is(database: str, tmp_path: Path) -> None:
    await run_session(tmp_path / "file", SIMULATED, DOCUMENTS[:1])
    with pytest.raises(UserError, match=r"keeps its ledger in run\.db: use another --out"):
        async with open_run_folder(RunConfig.model_validate(SHARED), tmp_path / "file"):
            pass
    await run_session(tmp_path / "shared", SHARED, DOCUMENTS[:1])
    again = await run_session(tmp_path / "shared", SIMULATED, DOCUMENTS[:1])
    assert not (tmp_path / "shared" / "run.db").exists()
    assert again.statuses == ["accepted"] or again.statuses == ["rejected"]


def parsed_shape(outputs: list[str]) -> list[Any]:
    """Return what JSON texts hold, without times, costs in seconds, and ids that are drawn."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(one) for key, one in value.items()}
        if isinstance(value, list):
            return [shape(one) for one in value]
        return type(value).__name__

    return [shape(json.loads(output)) for output in outputs[:4]]


def test_commands_on_a_run_at_a_server(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("documents").mkdir()
    for document in DOCUMENTS:
        (Path("documents") / document.name).write_text(document.text, "utf-8")
    shown: dict[str, list[str]] = {"file": [], "shared": []}
    for name, values in (("file", SIMULATED), ("shared", SHARED)):
        Path("autodata.toml").write_text(tomli_w.dumps(values), "utf-8")
        result = invoke("run", "--documents", "documents", "--out", name)
        assert result.exit_code == 0, result.output
        known = DOCUMENTS[0].document_id
        for arguments in (
            ["show", name, known],
            ["show", name],
            ["status", name],
            ["trace", name, known],
            ["compare", name],
        ):
            result = invoke(*arguments, "--json")
            assert result.exit_code == 0, (arguments, result.output)
            shown[name].append(result.output)
        for arguments in (
            ["export", name, "--format", "jsonl", "--out", f"{name}.jsonl"],
            ["report", name, "--out", f"{name}.html"],
            ["prune", name],
            ["run", "--out", name],
        ):
            result = invoke(*arguments)
            assert result.exit_code == 0, (arguments, result.output)
    assert shown["file"][:2] == shown["shared"][:2]
    assert parsed_shape(shown["file"]) == parsed_shape(shown["shared"])
    assert Path("file.jsonl").read_bytes() == Path("shared.jsonl").read_bytes()
    listed = parsed("list", ".", "--json")
    assert {row["run"]: row["state"] for row in listed} == {"file": "complete", "shared": "complete"}
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert PASSWORD.encode() not in path.read_bytes(), path
    place = place_of(Path("shared"))
    assert not isinstance(place, Path)
    assert place
    for table in TABLES:
        assert PASSWORD not in repr(stored(database, f'SELECT * FROM "{place.schema}".{table}'))
    monkeypatch.delenv(VARIABLE)
    refused = invoke("status", "shared")
    assert isinstance(refused.exception, UserError)
    assert f"{VARIABLE} is not set" in str(refused.exception)
    monkeypatch.setenv(VARIABLE, database.replace(PASSWORD, "wrong-and-secret"))
    broken = invoke("status", "shared")
    assert isinstance(broken.exception, UserError)
    assert "wrong-and-secret" not in str(broken.exception)
    assert os.environ[VARIABLE]
