"""Checkpoints at a Postgres server: the saver's contract, runs beside each other, thinning, and what is never shown."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import tomli_w
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from autodata.checkpoints import server as postgres_server
from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.ledger import Ledger, open_readonly
from autodata.checkpoints.postgres import PostgresSaver, describe, open_postgres
from autodata.checkpoints.saver import ROUND_KEY, keep_rounds
from autodata.runner.checkpointer import open_kept, run_prefix
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.fork import Change, find_moment, make_fork
from tests.support.commands import invoke, parsed, printed
from tests.support.conformance import assert_conforms
from tests.support.postgres import PASSWORD, Server, postgres
from tests.support.runs import generated, read_tables, run_session
from tests.support.studio import Studio, studio
from tests.unit.test_saver import ROUNDS, history, rounds_graph, run, thread

VARIABLE = "AUTODATA_POSTGRES_DSN"
DOCUMENTS = generated(4)
SIMULATED: dict[str, Any] = {
    "models": {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}},
    "max_rounds": 3,
}
SHARED = {**SIMULATED, "checkpoints": {"saver": "postgres"}}
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new, empty database; its address is in the environment, as a user's would be."""
    name = f"test_{len(databases)}"
    databases.append(name)
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    dsn = server.dsn.replace("/postgres?", f"/{name}?")
    monkeypatch.setenv(VARIABLE, dsn)
    return dsn


databases: list[str] = []


@pytest.fixture
async def saver(database: str) -> AsyncIterator[PostgresSaver]:
    async with open_postgres(database, VARIABLE, "here/") as opened:
        yield opened


def stored(database: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(sql, values).fetchall()


def counts(database: str, where: str = "true") -> dict[str, int]:
    return {table: stored(database, f"SELECT count(*) FROM {table} WHERE {where}")[0][0] for table in TABLES}


# The saver


@pytest.mark.parametrize("prefix", ["", "some-run/"])
async def test_saver_passes_the_whole_conformance_suite(database: str, prefix: str) -> None:
    await assert_conforms("PostgresSaver", lambda: open_postgres(database, VARIABLE, prefix))
    assert all(row[0].startswith(prefix) for row in stored(database, "SELECT thread_id FROM checkpoints"))


async def test_of_an_ended_thread_the_last_checkpoint_of_each_round_is_kept(
    saver: PostgresSaver, database: str
) -> None:
    graph = rounds_graph(saver)
    result = await run(graph, "a")
    await run(graph, "b")
    before, other = counts(database, "thread_id = 'here/a'"), counts(database, "thread_id = 'here/b'")
    lasts = {snapshot.values.get("n", 0): snapshot.values for snapshot in reversed(await history(graph, "a"))}
    for _ in range(2):
        await keep_rounds(saver, "a", "rounds")
        kept = await history(graph, "a")
        assert [snapshot.values.get("n", 0) for snapshot in kept] == list(range(ROUNDS, -1, -1))
        assert {snapshot.values.get("n", 0): snapshot.values for snapshot in kept} == lasts
    after = counts(database, "thread_id = 'here/a'")
    assert all(after[table] < before[table] for table in TABLES)
    assert counts(database, "thread_id = 'here/b'") == other
    unused = (
        "SELECT count(*) FROM checkpoint_blobs b WHERE NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id ="
        " b.thread_id AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version) AND thread_id = 'here/a'"
    )
    assert stored(database, unused) == [(0,)]
    assert (await graph.aget_state(thread("a"))).values == result


async def test_a_thinned_thread_can_be_taken_up_from_any_round(saver: PostgresSaver) -> None:
    graph = rounds_graph(saver)
    result = await run(graph, "a")
    await keep_rounds(saver, "a", "rounds")
    [second] = [snapshot for snapshot in await history(graph, "a") if snapshot.values.get("n") == 2]
    assert await graph.ainvoke(None, second.config, durability="sync") == result


async def test_nothing_is_kept_or_all_of_it(saver: PostgresSaver, database: str) -> None:
    graph = rounds_graph(saver)
    await run(graph, "a")
    before = counts(database)
    await keep_rounds(saver, "a", "all")
    assert counts(database) == before
    await keep_rounds(saver, "a", "none")
    assert counts(database) == dict.fromkeys(TABLES, 0)


async def test_a_text_with_a_nul_is_kept_as_it_is(saver: PostgresSaver) -> None:
    graph = rounds_graph(saver, 1)
    config = await graph.aupdate_state(thread("a"), {"log": ["a\0b"], "n": 0})
    written = await saver.aget_tuple(config)
    assert written
    checkpoint = written.checkpoint
    assert checkpoint["channel_values"]["log"] == ["a\0b"]
    checkpoint["channel_values"]["feedback"] = "he said \0 and \u0001"
    checkpoint["channel_versions"]["feedback"] = "1.5"
    checkpoint["id"] = "2" + checkpoint["id"]
    saved = await saver.aput(config, checkpoint, {}, {"feedback": "1.5"})
    assert saved["configurable"]["thread_id"] == "a"
    found = await saver.aget_tuple(saved)
    assert found
    assert found.checkpoint["channel_values"]["feedback"] == "he said \0 and \u0001"


async def test_a_write_that_has_begun_is_finished_before_the_pool_is_closed_and_none_begins_after(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph that was cut off leaves writes behind, which LangGraph makes in the background."""
    config: Any = {"configurable": {"thread_id": "a", "checkpoint_ns": "", "checkpoint_id": "1"}}
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    write = AsyncPostgresSaver.aput_writes

    async def slowly(*given: Any) -> None:
        begun.set()
        await may_go_on.wait()
        await write(*given)

    monkeypatch.setattr(AsyncPostgresSaver, "aput_writes", slowly)
    opened = AsyncExitStack()
    saver = await opened.enter_async_context(open_postgres(database, VARIABLE, "here/"))
    waiter = asyncio.create_task(saver.aput_writes(config, [("log", ["kept"])], "task"))
    await begun.wait()
    waiter.cancel()
    await asyncio.wait([waiter])
    closing = asyncio.create_task(opened.aclose())
    await asyncio.sleep(0.05)
    assert not closing.done()
    with pytest.raises(asyncio.CancelledError):
        await saver.aput_writes(config, [("log", ["late"])], "late")
    may_go_on.set()
    await closing
    assert stored(database, "SELECT thread_id, task_id FROM checkpoint_writes") == [("here/a", "task")]


async def test_many_savers_may_make_the_tables_at_once(database: str) -> None:
    async def once(number: int) -> dict[str, Any]:
        async with open_postgres(database, VARIABLE, f"{number}/") as saver:
            return await run(rounds_graph(saver), "a")

    results = await asyncio.gather(*(once(number) for number in range(6)))
    assert [result["n"] for result in results] == [ROUNDS] * 6


# Runs


async def test_a_run_makes_what_it_makes_with_a_file(database: str, tmp_path: Path) -> None:
    file = await run_session(tmp_path / "file", SIMULATED, DOCUMENTS)
    shared = await run_session(tmp_path / "shared", SHARED, DOCUMENTS)
    del file.tables["meta"], shared.tables["meta"]
    assert file.tables == shared.tables
    assert not (tmp_path / "shared" / "checkpoints.db").exists()


async def test_runs_on_the_same_documents_do_not_meet(database: str, tmp_path: Path) -> None:
    """Three runs at once, one of another seed; a fourth is a copy of a folder that stopped half-way."""

    def half(runner: Any, event: Any) -> None:
        if event.event == "verdict":
            runner.drain("enough")

    stopped = await run_session(tmp_path / "stopped", SHARED, DOCUMENTS, half)
    assert "pending" in stopped.statuses
    shutil.copytree(tmp_path / "stopped", tmp_path / "copy")
    folders = {"one": {}, "two": {}, "other": {"seed": 7}, "stopped": {}, "copy": {}}
    sat = await asyncio.gather(
        *(run_session(tmp_path / name, {**SHARED, **changes}, DOCUMENTS) for name, changes in folders.items())
    )
    for session in sat:
        del session.tables["meta"]
    one, two, other, went_on, copied = (session.tables for session in sat)
    assert one == two == went_on == copied
    assert one != other
    prefixes = Counter(
        row[0].partition("/")[0] for row in stored(database, "SELECT DISTINCT thread_id FROM checkpoints")
    )
    assert len(prefixes) == 5
    assert all(number <= len(DOCUMENTS) for number in prefixes.values())


async def test_a_run_keeps_its_id_and_a_copy_gets_another(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        first = await run_prefix(ledger)
        assert await run_prefix(ledger) == first
    (tmp_path / "moved").mkdir()
    (tmp_path / "run.db").rename(tmp_path / "moved" / "run.db")
    async with Ledger.open(tmp_path / "moved" / "run.db") as ledger:
        assert await run_prefix(ledger) == first
    shutil.copy(tmp_path / "moved" / "run.db", tmp_path / "run.db")
    async with Ledger.open(tmp_path / "run.db") as ledger:
        assert await run_prefix(ledger) != first


async def test_what_is_left_of_a_run_can_be_looked_into(database: str, tmp_path: Path) -> None:
    await run_session(tmp_path / "run", SHARED, DOCUMENTS)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    config = RunConfig.model_validate(SHARED).checkpoints
    config_line = thread(f"main/{DOCUMENTS[0].document_id}")
    run = tmp_path / "run"
    async with open_readonly(run / "run.db") as ledger, open_kept(config, run, ledger) as saver:
        assert saver
        kept = [item.checkpoint["channel_values"].get(ROUND_KEY, 0) async for item in saver.alist(config_line)]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] >= 1
    copy = tmp_path / "copy"
    async with open_readonly(copy / "run.db") as ledger, open_kept(config, copy, ledger) as none:
        assert none is None


async def test_a_round_of_a_run_at_a_server_can_be_forked(database: str, tmp_path: Path) -> None:
    config = RunConfig.model_validate(SHARED)
    await run_session(tmp_path / "run", SHARED, DOCUMENTS)
    moment = await find_moment(config, tmp_path / "run", DOCUMENTS[0].document_id, 1)
    assert (moment.n, moment.state["n"]) == (1, 1)
    assert moment.candidate
    folder = await make_fork(
        config, moment, Change(candidate={"question": "What follows when its second feeder fails?"})
    )
    async with open_runner(config, folder) as runner:
        await runner.run()
    prefixes = {row[0].partition("/")[0] for row in stored(database, "SELECT DISTINCT thread_id FROM checkpoints")}
    assert len(prefixes) == 2


async def test_the_saver_may_change_between_sessions_and_nothing_is_paid_twice(database: str, tmp_path: Path) -> None:
    """Every session but the last stops soon; the savers take turns, so each finds a place that is long past."""
    reference = await run_session(tmp_path / "reference", SIMULATED, DOCUMENTS)

    def soon(runner: Any, event: Any) -> None:
        if event.event in {"verdict", "feedback"}:
            runner.drain("enough")

    for number in range(4):
        half = await run_session(tmp_path / "run", (SIMULATED, SHARED)[number % 2], DOCUMENTS, soon)
        assert "pending" in half.statuses or number == 3
    for values in (SHARED, SIMULATED):
        whole = await run_session(tmp_path / "run", values, DOCUMENTS)
    del whole.tables["meta"], reference.tables["meta"]
    assert whole.tables == reference.tables


@pytest.mark.parametrize("keep", ["rounds", "all", "none"])
async def test_what_a_run_keeps(database: str, tmp_path: Path, keep: str) -> None:
    await run_session(tmp_path, {**SHARED, "checkpoints": {"saver": "postgres", "keep": keep}}, DOCUMENTS)
    threads = Counter(row[0] for row in stored(database, "SELECT thread_id FROM checkpoints"))
    rounds = {
        row[0] for row in stored(database, f"SELECT checkpoint -> 'channel_values' ->> '{ROUND_KEY}' FROM checkpoints")
    }
    if keep == "none":
        assert counts(database) == dict.fromkeys(TABLES, 0)
        return
    assert len(threads) == len(DOCUMENTS)
    assert rounds >= {"1"}
    per_round = stored(
        database,
        f"SELECT count(*) FROM checkpoints GROUP BY thread_id, checkpoint -> 'channel_values' ->> '{ROUND_KEY}'",
    )
    assert (max(row[0] for row in per_round) == 1) is (keep == "rounds")


async def test_a_run_outlives_the_connections_of_its_saver(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server cuts them; only one that stays away for too long ends the session, and the same command goes on."""
    reference = await run_session(tmp_path / "reference", SHARED, DOCUMENTS)

    def cut(runner: Any, event: Any) -> None:
        if event.event == "verdict":
            stored(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'autodata'"
                " AND datname = current_database()",
            )

    outlived = await run_session(tmp_path / "outlived", SHARED, DOCUMENTS, cut)
    monkeypatch.setattr(postgres_server, "RECONNECT_SECONDS", 0.0)
    with pytest.raises(RunFailed, match="the checkpoints in Postgres cannot be used any more") as failed:
        await run_session(tmp_path / "cut", SHARED, DOCUMENTS, cut)
    assert PASSWORD not in str(failed.value)
    again = await run_session(tmp_path / "cut", SHARED, DOCUMENTS)
    for session in (reference, outlived, again):
        del session.tables["meta"]
    assert outlived.tables == again.tables == reference.tables


def test_a_server_that_is_killed_goes_on_from_a_shared_database(database: str, tmp_path: Path) -> None:
    """`langgraph dev` with its checkpoints at a Postgres server: what a thread held is there after kill -9."""
    config = {**SIMULATED, "max_rounds": 15, "checkpoints": {"saver": "postgres"}}
    environment = {VARIABLE: database}

    async def first(running: Studio) -> tuple[str, dict[str, Any]]:
        async with running.client() as client:
            made = await client.threads.create()
            values = await client.runs.wait(
                made["thread_id"],
                "self_instruct_cs",
                input={"text": DOCUMENTS[0].text},
                interrupt_before=["verifier"],
            )
            return made["thread_id"], dict(values)  # type: ignore[arg-type]

    async def second(running: Studio, thread_id: str) -> dict[str, Any]:
        async with running.client() as client:
            # The development server keeps its list of threads elsewhere, and may not have written it yet.
            await client.threads.create(thread_id=thread_id, if_exists="do_nothing", graph_id="self_instruct_cs")
            state = await client.threads.get_state(thread_id)
            assert state["next"] == ["verifier"]
            return dict(await client.runs.wait(thread_id, "self_instruct_cs", input=None))  # type: ignore[arg-type]

    with studio(tmp_path, config, environment) as running:
        thread_id, before = asyncio.run(first(running))
        assert before["attempts"]
        running.kill()
    with studio(tmp_path, None, environment) as running:
        after = asyncio.run(second(running, thread_id))
        assert running.left_the_machine() == []
        assert PASSWORD not in running.log()
    assert after["status"] in {"accepted", "rejected"}
    [(prefixed,)] = stored(database, "SELECT DISTINCT thread_id FROM checkpoints")
    assert prefixed.partition("/")[2] == thread_id
    assert not list(tmp_path.rglob("checkpoints.db"))


# What is refused, and in which words


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        (f"postgresql://autodata:{PASSWORD}@[", "this is no Postgres address"),
        (f"host=h password {PASSWORD}", "this is no Postgres address"),
        (f"postgresql://autodata:{PASSWORD}@127.0.0.1:1/x", "cannot be reached .*refused"),
        (f"postgresql://autodata:{PASSWORD}@/x?host=/nowhere", "cannot be reached"),
    ],
    # Not the values: the password in them differs from worker to worker.
    ids=["an open bracket", "no equals sign", "a closed port", "no such socket"],
)
async def test_an_address_that_is_none_or_leads_nowhere(dsn: str, message: str) -> None:
    for attempt in (open_postgres(dsn, VARIABLE).__aenter__, lambda: describe(dsn, VARIABLE)):
        with pytest.raises(UserError, match=message) as refused:
            await attempt()
        shown = str(refused.value)
        assert shown.startswith(f"{VARIABLE}: ")
        assert PASSWORD not in shown
        assert "\n" not in shown
        assert refused.value.__cause__ is None


async def test_a_wrong_password_is_reported_without_it(server: Server) -> None:
    wrong = server.dsn.replace(PASSWORD, "wrong-and-secret")
    with pytest.raises(UserError, match="password authentication failed") as refused:
        async with open_postgres(wrong, VARIABLE):
            pass
    assert "wrong-and-secret" not in str(refused.value)


async def test_a_database_in_which_nothing_may_be_made(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("REVOKE CREATE ON SCHEMA public FROM public")
        connection.execute(f"DROP ROLE IF EXISTS guest_{databases[-1]}")
        connection.execute(f"CREATE ROLE guest_{databases[-1]} LOGIN PASSWORD 'guests-word'")
    guest = database.replace(f"autodata:{PASSWORD}", f"guest_{databases[-1]}:guests-word")
    with pytest.raises(UserError, match=r"cannot be made .*permission denied"):
        async with open_postgres(guest, VARIABLE):
            pass
    with pytest.raises(UserError, match="are missing and may not be made"):
        await describe(guest, VARIABLE)


async def test_a_run_without_the_address_is_refused_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(UserError, match=f"environment variable {VARIABLE} is not set: export {VARIABLE}="):
        async with open_runner(RunConfig.model_validate(SHARED), tmp_path / "run"):
            pass


# Commands


def test_commands_with_a_shared_server(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("documents").mkdir()
    for document in DOCUMENTS:
        (Path("documents") / document.name).write_text(document.text, "utf-8")
    Path("autodata.toml").write_text(tomli_w.dumps(SHARED), "utf-8")
    found = parsed("doctor", "--json")["checkpoints"]
    assert found == {"saver": "postgres", "found": found["found"], "problem": None}
    assert found["found"].endswith(f"database {databases[-1]}, tables will be made")
    assert "tables will be made" in printed("doctor", columns=200)
    result = invoke("run", "--documents", "documents", "--out", "run")
    assert result.exit_code == 0, result.output
    assert parsed("doctor", "--json")["checkpoints"]["found"].endswith("tables ready")
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert PASSWORD.encode() not in path.read_bytes(), path
    for table in TABLES:
        assert PASSWORD not in repr(stored(database, f"SELECT * FROM {table}"))
    assert len(read_tables(tmp_path / "run")["documents"]) == len(DOCUMENTS)
    monkeypatch.setenv(VARIABLE, database.replace(PASSWORD, "wrong-and-secret"))
    broken = invoke("doctor", "--json")
    assert broken.exit_code == 1
    assert "password authentication failed" in broken.output
    assert "wrong-and-secret" not in broken.output
    assert "wrong-and-secret" not in invoke("doctor", columns=200).output
    again = invoke("run", "--documents", "documents", "--out", "run")
    assert isinstance(again.exception, UserError)
