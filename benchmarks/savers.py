"""How many checkpoints a second a Postgres server takes: writes docs/savers.json and a part of docs/benchmarks.md.

    python -m benchmarks.savers [ROUNDS]

LangGraph's own saver and the package's are given the same checkpoints on one server, by as many threads at once, over
pools of as many connections. They take turns, ROUNDS times (9), and of each the median counts, and then the ratio,
all of one run of this command. The server is the tests' own, on this machine, without flushing its disk: once as near
as that, and once behind a relay that holds every message back for as long as a network takes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any
from uuid import uuid4

from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from autodata.checkpoints.postgres import CONNECTIONS, open_postgres
from benchmarks.many_documents import machine
from benchmarks.page import DOCS, commit_of_now, write
from tests.support.postgres import postgres

THREADS = 32
PUTS = 20
"""Checkpoints of each thread in one round."""
CHARS = 8_000
"""Characters of the state that is not in the checkpoint's own row."""
DISTANCE_MS = 2.0
"""How long a message takes to a server that is far away, in one direction."""
SAVERS = {
    "langgraph": "LangGraph's `AsyncPostgresSaver`, one lock for all",
    "autodata": "ours, a connection for each that waits",
}


@asynccontextmanager
async def stock(dsn: str) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """LangGraph's saver on a pool, as its documentation opens it."""
    async with AsyncConnectionPool[AsyncConnection[DictRow]](
        dsn,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        min_size=1,
        max_size=CONNECTIONS,
        open=False,
    ) as pool:
        yield AsyncPostgresSaver(pool)


async def puts_a_second(saver: BaseCheckpointSaver[str]) -> float:
    """Return how many checkpoints are saved in a second when all threads save theirs side by side."""

    async def walk(thread: str) -> None:
        config: Any = {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        for number in range(PUTS):
            checkpoint = {**empty_checkpoint(), "id": str(uuid6(clock_seq=number))}
            checkpoint["channel_values"] = {"n": number, "rounds": ["x" * CHARS]}
            checkpoint["channel_versions"] = {"rounds": f"{number:08}"}
            config = await saver.aput(config, checkpoint, {}, {"rounds": f"{number:08}"})  # type: ignore[arg-type]

    run = uuid4().hex
    began = time.perf_counter()
    await asyncio.gather(*(walk(f"{run}/{number}") for number in range(THREADS)))
    return THREADS * PUTS / (time.perf_counter() - began)


async def relayed(folder: Path, target: Path, seconds: float) -> asyncio.Server:
    """Relay a server's socket into a folder; every message is that many seconds on its way, in either direction."""
    loop, socket = asyncio.get_running_loop(), ".s.PGSQL.5432"

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            loop.call_later(seconds, writer.write, data)
        loop.call_later(seconds, writer.close)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(str(target / socket))
        with suppress(asyncio.CancelledError):  # the relay ends
            await asyncio.gather(pump(reader, to_server), pump(from_server, writer))

    return await asyncio.start_unix_server(connected, str(folder / socket))


@contextmanager
def distant(target: Path, seconds: float) -> Iterator[Path]:
    """Run the relay on a thread of its own; give the folder of its socket."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as made:  # a socket's path must be short
        server = asyncio.run_coroutine_threadsafe(relayed(Path(made), target, seconds), loop).result()
        try:
            yield Path(made)
        finally:
            asyncio.run_coroutine_threadsafe(ended(server), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def ended(server: asyncio.Server) -> None:
    """End a relay with its connections."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def in_turn(dsn: str, rounds: int) -> dict[str, float]:
    """Return puts a second by saver, the median of so many rounds in turn."""
    measured: dict[str, list[float]] = {"langgraph": [], "autodata": []}
    async with open_postgres(dsn, "AUTODATA_POSTGRES_DSN", "ours/") as ours, stock(dsn) as theirs:
        for _ in range(rounds):
            for name, saver in (("langgraph", theirs), ("autodata", ours)):
                measured[name].append(await puts_a_second(saver))
    return {name: round(median(values), 1) for name, values in measured.items()}


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return puts a second by place of the server and saver."""
    with postgres() as server:
        near = asyncio.run(in_turn(server.dsn, rounds))
        with distant(server.folder, DISTANCE_MS / 1000) as folder:
            far = asyncio.run(in_turn(server.dsn.replace(str(server.folder), str(folder)), rounds))
    return {"near": near, "far": far}


def rendered(figures: Mapping[str, Any]) -> str:
    """Return the part of the page."""
    near, far = figures["puts"]["near"], figures["puts"]["far"]
    rows = "".join(
        f"| {words} | {near[name]:.0f} | {near[name] / near['langgraph']:.2f} | {far[name]:.0f}"
        f" | {far[name] / far['langgraph']:.2f} |\n"
        for name, words in SAVERS.items()
    )
    return (
        "# Checkpoints at a Postgres server\n\n"
        f"Checkpoints that one process saves in a second, {figures['threads']} threads side by side over"
        f" {figures['connections']} connections, the median of {figures['rounds']} rounds in turn. Written by"
        f" `python -m benchmarks.savers` on {figures['date']}, commit `{figures['commit']}`, {figures['machine']}; as"
        f" it began, {figures['load']} processes were running or waiting to. The server shares the machine, so near by"
        " what is measured is processor time; far away every message is on its way for"
        f" {figures['distance_ms']:g} ms.\n\n"
        "| saver | near | ratio | far | ratio |\n| --- | ---: | ---: | ---: | ---: |\n"
        f"{rows}"
    )


def main() -> None:
    """Measure, and write the files."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    load = round(os.getloadavg()[0], 1)
    puts = measure(rounds)
    figures = {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit_of_now(),
        "machine": machine(),
        "load": load,
        "rounds": rounds,
        "threads": THREADS,
        "connections": CONNECTIONS,
        "distance_ms": DISTANCE_MS,
        "puts": puts,
    }
    (DOCS / "savers.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    write("savers", rendered(figures))


if __name__ == "__main__":
    main()
