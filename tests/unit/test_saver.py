"""The checkpoint saver: one file, safe values, what is kept of a thread, and what it says of a bad file."""

from __future__ import annotations

import asyncio
import dataclasses
import operator
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from autodata.checkpoints.errors import UnreadableCheckpoint, UserError
from autodata.checkpoints.saver import FileSaver, keep_rounds, open_saver

ROUNDS = 4


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[str], operator.add]


@pytest.fixture
async def saver(tmp_path: Path) -> AsyncIterator[FileSaver]:
    async with open_saver(tmp_path / "checkpoints.db") as opened:
        assert isinstance(opened, FileSaver)
        yield opened


def thread(thread_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id}}


def rounds_graph(saver: BaseCheckpointSaver[str], rounds: int = ROUNDS) -> Any:
    """Three steps a round: `ask` opens round n, `mark` and `close` write to it."""
    builder = StateGraph(State)
    builder.add_node("ask", lambda s: {"n": s.get("n", 0) + 1, "log": [f"ask {s.get('n', 0) + 1}"]})
    builder.add_node("mark", lambda s: {"log": [f"mark {s['n']}"]})
    builder.add_node("close", lambda s: {"log": [f"close {s['n']}"]})
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "mark")
    builder.add_edge("mark", "close")
    builder.add_conditional_edges("close", lambda s: "ask" if s["n"] < rounds else END, ["ask", END])
    return builder.compile(checkpointer=saver)


async def run(graph: Any, thread_id: str) -> dict[str, Any]:
    result: dict[str, Any] = await graph.ainvoke({"log": ["start"]}, thread(thread_id), durability="sync")
    return result


async def history(graph: Any, thread_id: str) -> list[Any]:
    return [snapshot async for snapshot in graph.aget_state_history(thread(thread_id))]


async def rows(saver: FileSaver, table: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await saver.conn.execute_fetchall(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")]


async def orphaned_writes(saver: FileSaver) -> int:
    found = await saver.conn.execute_fetchall(
        "SELECT count(*) FROM writes w WHERE NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = w.thread_id"
        " AND c.checkpoint_ns = w.checkpoint_ns AND c.checkpoint_id = w.checkpoint_id)"
    )
    return int(next(iter(found))[0])


# The file


async def test_file_is_in_wal_mode_with_a_long_busy_timeout(saver: FileSaver) -> None:
    async def pragma(name: str) -> object:
        return next(iter(await saver.conn.execute_fetchall(f"PRAGMA {name}")))[0]

    assert await pragma("journal_mode") == "wal"
    assert await pragma("synchronous") == 1  # NORMAL
    assert int(str(await pragma("busy_timeout"))) >= 30_000


async def test_what_documents_in_work_took_goes_back_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    async with open_saver(path) as saver:
        graph = rounds_graph(saver, rounds=12)
        for name in map(str, range(6)):
            await run(graph, name)
        for name in map(str, range(6)):
            await keep_rounds(saver, name, "rounds")
        kept = [await history(graph, str(k)) for k in range(6)]
        with closing(sqlite3.connect(path)) as db:
            unused, pages = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
        assert unused > pages / 3
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA freelist_count").fetchone() == (0,)
        assert (
            path.stat().st_size == 4096 * db.execute("PRAGMA page_count").fetchone()[0] <= 4096 * (pages - unused + 1)
        )
    async with open_saver(path) as saver:
        graph = rounds_graph(saver, rounds=12)
        assert [await history(graph, str(k)) for k in range(6)] == kept


async def test_a_file_in_use_keeps_what_it_does_not_need(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        async with open_saver(path) as saver:  # as it ends it waits for nobody
            await run(rounds_graph(saver), "t")
            await keep_rounds(saver, "t", "none")
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("PRAGMA freelist_count").fetchone()[0] > 0
        other.execute("ROLLBACK")


async def test_thread_of_the_connection_ends_with_the_saver(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    async with open_saver(tmp_path / "checkpoints.db") as saver:
        await run(rounds_graph(saver), "a")
        started = [t for t in threading.enumerate() if t not in before and "connection_worker" in t.name]
        assert len(started) == 1
    started[0].join(timeout=300)
    assert not started[0].is_alive()
    assert not (tmp_path / "checkpoints.db-wal").exists()


async def test_checkpoints_are_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    async with open_saver(path) as saver:
        result = await run(rounds_graph(saver), "a")
    async with open_saver(path) as saver:
        assert (await rounds_graph(saver).aget_state(thread("a"))).values == result


async def test_several_graphs_share_one_saver(saver: FileSaver) -> None:
    graphs = [rounds_graph(saver, rounds) for rounds in (1, 2, 3)]
    results = await asyncio.gather(*(run(graph, f"t{i}") for i in range(10) for graph in [graphs[i % 3]]))
    assert [result["n"] for result in results] == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]
    for i, result in enumerate(results):
        assert (await graphs[i % 3].aget_state(thread(f"t{i}"))).values == result


async def test_two_savers_on_one_file_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    async with open_saver(path) as first, open_saver(path) as second:
        graphs = [rounds_graph(first), rounds_graph(second)]
        await asyncio.gather(*(run(graph, f"{i}/{j}") for i, graph in enumerate(graphs) for j in range(4)))
        assert (await graphs[0].aget_state(thread("1/3"))).values["n"] == ROUNDS


@dataclasses.dataclass
class Unlisted:
    text: str


async def test_object_of_an_unlisted_type_comes_back_as_plain_data(saver: FileSaver) -> None:
    type_, data = saver.serde.dumps_typed({"value": Unlisted("x")})
    loaded = saver.serde.loads_typed((type_, data))
    assert loaded == {"value": {"text": "x"}}


async def test_nothing_is_pickled(saver: FileSaver) -> None:
    with pytest.raises(TypeError, match="not msgpack serializable"):
        saver.serde.dumps_typed({"value": object()})
    with pytest.raises(UnreadableCheckpoint, match="Unknown serialization type: pickle"):
        saver.serde.loads_typed(("pickle", b"\x80\x04N."))


# A bad file


def text_file(path: Path) -> None:
    path.write_text("these are my notes, and no database\n" * 100)


def smashed_schema(path: Path) -> None:
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE checkpoints (x)")
    conn.close()
    content = bytearray(path.read_bytes())
    content[100:200] = b"\xff" * 100
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [text_file, smashed_schema])
async def test_unreadable_file_is_a_user_error_that_says_what_to_type(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "my checkpoints.db"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(UserError) as caught:
        async with open_saver(path):
            pytest.fail("opened")
    message = str(caught.value)
    assert str(path) in message
    assert f"mv '{path}' '{path}.bad'" in message
    assert "\n" not in message
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["missing/checkpoints.db", ""])
async def test_path_that_cannot_be_opened_is_a_user_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(UserError, match="check that its folder exists") as caught:
        async with open_saver(path):
            pytest.fail("opened")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_locked_file_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autodata.checkpoints.saver.BUSY_SECONDS", 0)
    path = tmp_path / "checkpoints.db"
    other = sqlite3.connect(path)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(UserError, match="is in use"):
            async with open_saver(path):
                pytest.fail("opened")
    finally:
        other.close()


async def test_errors_inside_the_block_pass_through(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="mine"):
        async with open_saver(tmp_path / "checkpoints.db"):
            raise sqlite3.OperationalError("mine")


# Keeping rounds


async def test_a_step_cancelled_in_the_middle_leaves_no_lock_behind(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    async with open_saver(path) as saver:
        assert isinstance(saver, FileSaver)
        row = ("t", "", "c", "task", 0, "channel", "null", b"x")
        held = await saver.conn.execute(
            "insert into writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, value)"
            " values (?, ?, ?, ?, ?, ?, ?, ?) returning idx",
            row,
        )
    with sqlite3.connect(path, timeout=0) as other:  # refused at once if the transaction were still open
        other.execute("begin immediate")
        assert other.execute("select count(*) from writes").fetchone() == (0,)
    other.close()
    assert held is not None


async def test_rounds_keeps_the_last_checkpoint_of_each_round(saver: FileSaver) -> None:
    graph = rounds_graph(saver)
    await run(graph, "a")
    await run(graph, "b")
    full = await history(graph, "a")
    last_of_round: dict[int, Any] = {}
    for snapshot in reversed(full):
        last_of_round[snapshot.values.get("n", 0)] = snapshot
    untouched = await history(graph, "b")

    await keep_rounds(saver, "a", "rounds")

    kept = await history(graph, "a")
    assert len(full) > len(kept) == ROUNDS + 1
    # What tasks wrote behind a checkpoint stands in the state of the next one: it is not kept twice.
    assert [one._replace(tasks=()) for one in kept] == [
        one._replace(tasks=()) for one in reversed(last_of_round.values())
    ]
    assert kept[0] == full[0]
    assert not [row for row in await rows(saver, "writes") if row[0] == "a"]
    assert await history(graph, "b") == untouched
    assert await orphaned_writes(saver) == 0


async def test_rounds_twice_changes_nothing(saver: FileSaver) -> None:
    await run(rounds_graph(saver), "a")
    await keep_rounds(saver, "a", "rounds")
    before = await rows(saver, "checkpoints"), await rows(saver, "writes")
    await keep_rounds(saver, "a", "rounds")
    assert (await rows(saver, "checkpoints"), await rows(saver, "writes")) == before


async def test_thinned_thread_can_be_read_and_resumed_from_every_kept_checkpoint(saver: FileSaver) -> None:
    graph = rounds_graph(saver)
    result = await run(graph, "a")
    await keep_rounds(saver, "a", "rounds")

    assert (await graph.aget_state(thread("a"))).values == result
    for snapshot in await history(graph, "a"):
        assert await graph.aget_state(snapshot.config) == snapshot
        assert await graph.ainvoke(None, snapshot.config, durability="sync") == result
    edited = await graph.aupdate_state((await history(graph, "a"))[-1].config, {"log": ["by hand"]})
    assert "by hand" in (await graph.aget_state(edited)).values["log"]


async def test_interrupted_thread_resumes_after_thinning(saver: FileSaver) -> None:
    graph = rounds_graph(saver)
    await graph.ainvoke({"log": ["start"]}, thread("a"), durability="sync", interrupt_before=["close"])
    await keep_rounds(saver, "a", "rounds")
    snapshot = await graph.aget_state(thread("a"))
    assert snapshot.next == ("close",)
    assert (await graph.ainvoke(None, thread("a"), durability="sync"))["n"] == ROUNDS


async def test_all_keeps_everything(saver: FileSaver) -> None:
    await run(rounds_graph(saver), "a")
    before = await rows(saver, "checkpoints"), await rows(saver, "writes")
    await keep_rounds(saver, "a", "all")
    assert (await rows(saver, "checkpoints"), await rows(saver, "writes")) == before


async def test_none_deletes_the_thread_only(saver: FileSaver) -> None:
    graph = rounds_graph(saver)
    await run(graph, "a")
    result = await run(graph, "b")
    for _ in range(2):
        await keep_rounds(saver, "a", "none")
        assert await history(graph, "a") == []
        assert {row[0] for row in await rows(saver, "writes")} == {"b"}
    assert (await graph.aget_state(thread("b"))).values == result


@pytest.mark.parametrize("keep", ["rounds", "none", "all"])
async def test_unknown_thread_is_no_error(saver: FileSaver, keep: Any) -> None:
    await keep_rounds(saver, "nobody", keep)
    assert await rows(saver, "checkpoints") == []


async def test_saver_that_cannot_distinguish_rounds_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"checkpoints\.keep"):
        await keep_rounds(InMemorySaver(), "a", "rounds")


async def test_failed_deletion_is_undone(saver: FileSaver) -> None:
    graph = rounds_graph(saver)
    await run(graph, "a")
    before = await rows(saver, "checkpoints"), await rows(saver, "writes")
    await saver.conn.executescript(
        "CREATE TRIGGER broken BEFORE DELETE ON writes BEGIN SELECT RAISE(ABORT, 'no space'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="no space"):
        await keep_rounds(saver, "a", "rounds")
    await saver.conn.executescript("DROP TRIGGER broken")
    assert (await rows(saver, "checkpoints"), await rows(saver, "writes")) == before
    await keep_rounds(saver, "a", "rounds")
    assert len(await history(graph, "a")) == ROUNDS + 1


# What the dev server asks for


async def test_deleting_a_run_leaves_the_thread_as_before_it(saver: FileSaver) -> None:
    graph = rounds_graph(saver, rounds=1)
    for run_id in ("r1", "r2"):
        config: RunnableConfig = {"configurable": {"thread_id": "a", "run_id": run_id}}
        await graph.ainvoke({"log": [run_id]}, config, durability="sync")
        if run_id == "r1":
            first = await history(graph, "a")
    await saver.adelete_for_runs(["r2"])
    assert await history(graph, "a") == first
    assert await orphaned_writes(saver) == 0


async def test_unknown_pruning_strategy_is_refused(saver: FileSaver) -> None:
    await run(rounds_graph(saver), "a")
    before = await rows(saver, "checkpoints")
    with pytest.raises(ValueError, match="keep_latest"):
        await saver.aprune(["a"], strategy="oldest")
    assert await rows(saver, "checkpoints") == before


async def test_copied_thread_goes_on_by_itself(saver: FileSaver) -> None:
    graph = rounds_graph(saver)
    await graph.ainvoke({"log": ["start"]}, thread("a"), durability="sync", interrupt_before=["close"])
    stopped = await graph.aget_state(thread("a"))
    await saver.acopy_thread("a", "b")
    assert (await graph.ainvoke(None, thread("b"), durability="sync"))["n"] == ROUNDS
    assert await graph.aget_state(thread("a")) == stopped


def extend(log: list[str], writes: Sequence[list[str]]) -> list[str]:
    return [*log, *(line for write in writes for line in write)]


class DeltaState(TypedDict, total=False):
    n: int
    log: Annotated[list[str], DeltaChannel(extend, list, snapshot_frequency=5)]


@pytest.mark.parametrize("how", ["aprune", "akeep_rounds", "adelete_for_runs"])
async def test_values_stored_as_changes_survive_deletions(saver: FileSaver, how: str) -> None:
    builder = StateGraph(DeltaState)
    builder.add_node("ask", lambda s: {"n": s.get("n", 0) + 1, "log": [f"ask {s.get('n', 0) + 1}"]})
    builder.add_node("mark", lambda s: {"log": [f"mark {s['n']}"]})
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "mark")
    builder.add_conditional_edges("mark", lambda s: "ask" if s["n"] % 3 else END, ["ask", END])
    graph = builder.compile(checkpointer=saver)
    for run_id in ("r1", "r2"):
        config: RunnableConfig = {"configurable": {"thread_id": "a", "run_id": run_id}}
        await graph.ainvoke({"log": [run_id]}, config, durability="sync")
    before = await history(graph, "a")

    match how:
        case "aprune":
            await saver.aprune(["a"])
        case "akeep_rounds":
            await saver.akeep_rounds("a")
        case _:
            await saver.adelete_for_runs(["r1"])

    after = await history(graph, "a")
    assert after[0] == before[0]
    assert len(after) < len(before)
    assert [s.values for s in after] == [s.values for s in before if s.config in [kept.config for kept in after]]


# Closing while a graph's background writes are under way


def _write_lock_is_free(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=0)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


async def test_a_write_that_begins_after_the_file_was_closed_is_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    late: list[asyncio.Task[None]] = []
    async with open_saver(path) as saver:
        assert isinstance(saver, FileSaver)
        await run(rounds_graph(saver, 1), "a")
        rollback = saver.conn.rollback

        async def then_a_late_write() -> None:
            """What a graph left behind when it was cut off comes between the rollback and the closing."""
            await rollback()
            config: RunnableConfig = {"configurable": {"thread_id": "a", "checkpoint_ns": "", "checkpoint_id": "1"}}
            saver.conn.commit = asyncio.Event().wait  # type: ignore[method-assign,assignment] # it gets no further
            late.append(asyncio.create_task(saver.aput_writes(config, [("log", ["late"])], "task")))
            while not late[0].done() and not saver.conn.in_transaction:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)

        saver.conn.rollback = then_a_late_write  # type: ignore[method-assign]
    assert _write_lock_is_free(path)
    assert late[0].cancelled()


@pytest.mark.parametrize("what", ["write", "checkpoint", "deletion", "thinning", "copy"])
async def test_a_write_that_has_begun_is_finished_before_the_file_is_closed(what: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.db"
    at_commit, may_commit = asyncio.Event(), asyncio.Event()

    async def use() -> None:
        async with open_saver(path) as saver:
            assert isinstance(saver, FileSaver)
            await run(rounds_graph(saver, 2), "a")
            last = await saver.aget_tuple(thread("a"))
            assert last is not None
            newer = {**last.checkpoint, "id": f"{last.checkpoint['id']}-newer"}
            commit = saver.conn.commit

            async def slowly() -> None:
                at_commit.set()
                await may_commit.wait()
                await commit()

            saver.conn.commit = slowly  # type: ignore[method-assign]
            writes: dict[str, Any] = {
                "write": lambda: saver.aput_writes(last.config, [("log", ["kept"])], "task"),
                "checkpoint": lambda: saver.aput(last.config, newer, last.metadata, {}),  # type: ignore[arg-type]
                "deletion": lambda: saver.adelete_thread("a"),
                "thinning": lambda: saver.akeep_rounds("a"),
                "copy": lambda: saver.acopy_thread("a", "b"),
            }
            waiter = asyncio.create_task(writes[what]())
            await at_commit.wait()
            waiter.cancel()
            await asyncio.wait([waiter])
            assert waiter.cancelled()

    using = asyncio.create_task(use())
    await at_commit.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not using.done()
    may_commit.set()
    await using
    assert _write_lock_is_free(path)
    with closing(sqlite3.connect(path)) as db:

        def count(sql: str) -> int:
            return int(db.execute(f"SELECT count(*) FROM {sql}").fetchone()[0])

        done = {
            "write": lambda: count("writes WHERE task_id = 'task'") == 1,
            "checkpoint": lambda: count("checkpoints WHERE checkpoint_id LIKE '%-newer'") == 1,
            "deletion": lambda: count("checkpoints") == 0,
            "thinning": lambda: count("checkpoints") == 3,
            "copy": lambda: count("checkpoints WHERE thread_id = 'b'") > 0,
        }
        assert done[what]()


async def test_what_comes_while_another_transaction_runs_is_committed_together(tmp_path: Path) -> None:
    """Each graph of many side by side still finds every one of its checkpoints."""
    async with open_saver(tmp_path / "checkpoints.db") as saver:
        assert isinstance(saver, FileSaver)
        commits = 0
        commit = saver.conn.commit

        async def counted() -> None:
            nonlocal commits
            commits += 1
            await commit()

        saver.conn.commit = counted  # type: ignore[method-assign]
        graph = rounds_graph(saver)
        await asyncio.gather(*(run(graph, f"t{i}") for i in range(20)))
        kept = len(await rows(saver, "checkpoints"))
        assert kept == 20 * (1 + 1 + 3 * ROUNDS)
        assert commits < kept / 3


async def test_a_failed_transaction_fails_all_that_it_held_and_no_other(saver: FileSaver) -> None:
    graph = rounds_graph(saver)
    await saver.conn.execute("CREATE TRIGGER no BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'full'); END")
    failed = await asyncio.gather(*(run(graph, f"t{i}") for i in range(3)), return_exceptions=True)
    assert [type(one) for one in failed] == [sqlite3.IntegrityError] * 3
    await saver.conn.execute("DROP TRIGGER no")
    assert (await run(graph, "again"))["n"] == ROUNDS


async def test_a_row_that_cannot_be_written_fails_its_own_caller_alone(saver: FileSaver) -> None:
    await saver.conn.execute(
        "CREATE TRIGGER bad BEFORE INSERT ON checkpoints WHEN NEW.thread_id = 't1'"
        " BEGIN SELECT RAISE(ABORT, 'a bad row'); END"
    )
    graph = rounds_graph(saver)
    ended = await asyncio.gather(*(run(graph, f"t{i}") for i in range(4)), return_exceptions=True)
    assert isinstance(ended[1], sqlite3.IntegrityError)
    assert [one["n"] for one in ended if isinstance(one, dict)] == [ROUNDS] * 3
    for i in (0, 2, 3):
        assert len(await history(graph, f"t{i}")) == 1 + 1 + 3 * ROUNDS


async def test_states_are_stored_compressed_and_older_ones_are_read(saver: FileSaver) -> None:
    graph = rounds_graph(saver)
    long = {"log": ["the same words again " * 500]}
    await graph.ainvoke(long, thread("t"), durability="sync")
    stored = [(row[4], row[5]) for row in await rows(saver, "checkpoints")]
    whole = [JsonPlusSerializer().dumps_typed(saver.serde.loads_typed(one)) for one in stored]
    assert sum(len(data) for _, data in stored) < sum(len(data) for _, data in whole) / 10
    before = [one.values for one in await history(graph, "t")]
    for (_, data), (kind, old) in zip(stored, whole, strict=True):
        await saver.conn.execute(
            "UPDATE checkpoints SET type = ?, checkpoint = ? WHERE checkpoint = ?", (kind, old, data)
        )
    assert [one.values for one in await history(graph, "t")] == before
    await saver.akeep_rounds("t")
    assert len(await history(graph, "t")) == ROUNDS + 1
