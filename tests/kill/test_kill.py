"""A run that is killed again and again loses nothing, doubles nothing, and pays again only for calls in flight.

`autodata run` lives in a child process against a counting server that outlives it. A life's requests carry its name as
their key, so that the server's log distinguishes the lives however late a line is. A kill follows a line of that log,
drawn by seed: a request's arrival, the handing over of a reply, or that of the reply which lets a document end.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from langgraph.checkpoint.base import BaseCheckpointSaver

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.saver import ROUND_KEY, open_saver
from autodata.runner.ingest import BATCH
from tests.support.runs import Tables, generated, identity, read_only, read_tables, settings

COMMAND = ["run", "--config", "autodata.toml", "--documents", "documents", "--out", "run"]
DOCUMENTS = 40
KILLS_EACH = 25
KEY = "AUTODATA_TEST_KEY"
Line = Mapping[str, Any]
Pipes = tuple[asyncio.StreamWriter, asyncio.StreamReader]


@asynccontextmanager
async def child(module: str, *arguments: str) -> AsyncIterator[Pipes]:
    """Run a module of the tests, which ends when its standard input is closed."""
    process = await start(module, *arguments)
    assert process.stdin
    assert process.stdout
    yield process.stdin, process.stdout
    process.stdin.close()
    assert await process.wait() == 0


async def start(module: str, *arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-m", module, *arguments, stdin=pipe, stdout=pipe)


class CountingServer:
    """The test server as a process of its own, and its log as it grows."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.asked: dict[str, list[str]] = defaultdict(list)
        """Calls by the key they were made with, in order of arrival."""
        self.watch: Callable[[Line], None] = lambda line: None

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[CountingServer]:
        async with child("tests.support.server", "--switches", '{"latency_s": 0.005}') as (stdin, stdout):
            server = cls(json.loads(await stdout.readline())["base_url"])
            reading = asyncio.create_task(server._read(stdout))
            yield server
            stdin.close()
            await reading

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        requests: list[Line] = []
        async for text in stdout:
            line = json.loads(text)
            if "call" in line:
                requests.append(line)
                self.asked[line["key"]].append(line["call"])
                self.watch({**line, "what": "arrived"})
            else:
                self.watch({**requests[line["n"]], "what": "replied"})


@dataclass
class Plan:
    """When to kill a life: at the `count`th line of a kind."""

    life: str
    what: str
    count: int
    calls: frozenset[str] = frozenset()
    """Only lines of these calls count; empty: of all calls."""
    then: int = 0
    """How many lines of any kind to let pass after that one."""

    def due(self, line: Line) -> bool:
        if self.count > 0:
            counts = line["key"] == self.life and line["what"] == self.what
            self.count -= counts and (not self.calls or line["call"] in self.calls)
        else:
            self.then -= 1
        return self.count == 0 and self.then <= 0


@dataclass(frozen=True)
class Life:
    """One life of the command: the journal when it began and when it was dead."""

    name: str
    killed: bool
    before: Counter[str]
    after: Counter[str]


@dataclass
class Campaign:
    """A run folder and the lives spent on it."""

    folder: Path
    server: CountingServer
    nursery: Pipes
    command: list[str]
    lives: list[Life] = field(default_factory=list)

    @property
    def run(self) -> Path:
        return self.folder / "run"

    async def live(self, name: str, plan: Plan | None = None, seen: Callable[[Line], None] = lambda line: None) -> Life:
        """Start the command and wait for its end, its own or the one that the plan gives it; `seen` sees its log."""
        before, stderr = self.journal(), self.folder / f"stderr-{name}"
        order = {
            "folder": str(self.folder),
            "environment": {KEY: name},
            "stderr": str(stderr),
            "arguments": self.command,
        }
        orders, answers = self.nursery
        orders.write(json.dumps(order).encode() + b"\n")
        pid = json.loads(await answers.readline())["pid"]

        def watch(line: Line) -> None:
            seen(line)
            if plan and plan.due(line):
                self.server.watch = lambda line: None
                os.kill(pid, signal.SIGKILL)

        self.server.watch = watch
        status = json.loads(await answers.readline())["status"]
        self.server.watch = lambda line: None
        assert status in {0, -signal.SIGKILL}, stderr.read_text()
        life = Life(name, status != 0, before, self.journal())
        self.lives.append(life)
        return life

    def journal(self) -> Counter[str]:
        """Return the calls in the journal, each with how often, for two threads may ask the same.

        Leaves the file as a dead process left it, for the next one to find.
        """
        try:
            with read_only(self.run) as read:
                return Counter(identity(row) for row in read("select * from calls"))
        except UserError:  # a life was too short for a ledger
            return Counter()


Campaigning = Callable[[Path], AbstractAsyncContextManager[Campaign]]
"""Writes the inputs of a command into a folder, and starts what it needs beside it."""


@asynccontextmanager
async def campaign(
    folder: Path,
    command: list[str] = COMMAND,
    splits: Mapping[str, int] = {"": DOCUMENTS},
    **values: Any,
) -> AsyncIterator[Campaign]:
    """Write documents, so many in each folder, and a configuration over HTTP; start server and nursery."""
    made = iter(generated(sum(splits.values())))
    for split, count_of_split in splits.items():
        documents = folder / "documents" / split
        documents.mkdir(parents=True)
        for document in islice(made, count_of_split):
            (documents / document.name).write_text(document.text, "utf-8")
    async with CountingServer.start() as server, child("tests.kill.lives") as nursery:
        written = settings(server.base_url, {"default": {"api_key_env": KEY}}, max_rounds=3, concurrency=8, **values)
        (folder / "autodata.toml").write_text(tomli_w.dumps(written), "utf-8")
        yield Campaign(folder, server, nursery, command)


async def kept_rounds(run: Path) -> dict[str, list[int]]:
    """Return the rounds of the checkpoints that are left of every thread."""
    async with open_saver(run / "checkpoints.db") as saver:
        return await rounds_in(saver)


async def rounds_in(saver: BaseCheckpointSaver[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    async for item in saver.alist(None):
        found[item.config["configurable"]["thread_id"]].append(item.checkpoint["channel_values"].get(ROUND_KEY, 0))
    return {thread: sorted(rounds) for thread, rounds in found.items()}


@dataclass(frozen=True)
class Reference:
    """The run that nobody killed."""

    tables: Tables
    rounds: dict[str, list[int]]
    steps: dict[str, tuple[str, int, str]]
    """Call -> the document, round and node that make it."""
    calls: Counter[str]
    """How often each call was made: once, unless two threads ask the same."""
    last_calls: frozenset[str]
    """The last call of every document."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return asyncio.run(undisturbed(campaign, tmp_path_factory.mktemp("reference")))


async def undisturbed(campaigning: Campaigning, folder: Path) -> Reference:
    """Let the command run to its end."""
    async with campaigning(folder) as whole:
        life = await whole.live("reference")
    assert not life.killed
    with read_only(whole.run) as read:
        rows = read("select * from calls order by rowid")
    steps = {identity(row): (row["document_id"], row["n"], row["node"]) for row in rows}
    last_calls = frozenset({row["document_id"]: identity(row) for row in rows}.values())
    calls = Counter(identity(row) for row in rows)
    assert Counter(whole.server.asked["reference"]) == life.after == calls
    return Reference(read_tables(whole.run), await kept_rounds(whole.run), steps, calls, last_calls)


def planned(rng: random.Random, life: str, last_calls: frozenset[str]) -> Plan:
    kind = rng.choice(("arrived", "replied", "ending"))
    if kind == "ending":
        return Plan(life, "replied", rng.randint(1, 2), last_calls, then=rng.randint(0, 3))
    return Plan(life, kind, rng.randint(1, 70))


async def test_fifty_kills_lose_and_double_nothing(reference: Reference, tmp_path: Path) -> None:
    """Two campaigns side by side, one for each core."""
    campaigns = await asyncio.gather(*(killed_often(reference, tmp_path / f"seed-{seed}", seed) for seed in (1, 2)))
    kills = sum(life.killed for each in campaigns for one in each for life in one.lives)
    assert kills >= 50
    for each in campaigns:
        for one in each:
            check(one, reference)
            assert await kept_rounds(one.run) == reference.rounds


async def test_kills_while_documents_are_added(tmp_path: Path) -> None:
    """A transaction is in the ledger whole or not at all, and in the end every document is there once, in its order."""
    documents = generated(4 * BATCH + 50)
    lines = b"".join(document.model_dump_json().encode() + b"\n" for document in documents)
    rng = random.Random(3)
    taken = 0
    for _ in range(3):
        process = await start("tests.kill.add_documents", str(tmp_path))
        assert process.stdin
        assert process.stdout
        process.stdin.write(lines)  # not closed: the command cannot come to its end
        for _ in range(rng.randint(BATCH, len(documents))):
            await process.stdout.readline()
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        before, taken = taken, len(documents_in(tmp_path))
        assert taken >= before
        assert (taken - before) % BATCH == 0
    assert 0 < taken < len(documents)
    async with child("tests.kill.add_documents", str(tmp_path)) as (stdin, stdout):
        stdin.write(lines)
        stdin.write_eof()
        await stdout.read()
    rows = [(document.document_id, document.name, document.text, "pending") for document in documents]
    assert documents_in(tmp_path) == rows


def documents_in(folder: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(f"file:{folder / 'run.db'}?mode=ro", uri=True)) as db:
        return list(db.execute("select document_id, name, text, status from documents order by rowid"))


async def killed_often(
    reference: Reference, folder: Path, seed: int, campaigning: Campaigning = campaign, kills_each: int = KILLS_EACH
) -> list[Campaign]:
    """Kill a command so many times and let it end then; take a fresh folder if it ends before."""
    rng = random.Random(seed)
    done: list[Campaign] = []
    kills = 0
    for number in count():
        async with campaigning(folder / str(number)) as one:
            for life in count():
                name = f"life-{life}"
                plan = planned(rng, name, reference.last_calls) if kills < kills_each else None
                if not (await one.live(name, plan)).killed:
                    break
                kills += 1
        done.append(one)
        if kills >= kills_each:
            return done
    raise AssertionError("unreachable")


def is_one_step(steps: set[tuple[int, str]]) -> bool:
    """Whether a document's calls in flight are of one step: one node's, or a solver's with the marks of its answers."""
    nodes = {node for _, node in steps}
    return len({n for n, _ in steps}) == 1 and (
        len(nodes) == 1 or nodes in ({"weak_solver", "verifier"}, {"strong_solver", "verifier"})
    )


def check(one: Campaign, reference: Reference, compared: Callable[[Tables], Tables] = lambda tables: tables) -> None:
    """Compare a killed run that has ended with the one that nobody killed, by what `compared` leaves of its tables."""
    lost = 0
    for life in one.lives:
        asked = Counter(one.server.asked[life.name])
        new = life.after - life.before
        assert asked <= reference.calls, "a call was made twice in one life"
        assert life.before + asked <= reference.calls, "a call was made that was paid for in an earlier life"
        assert new <= asked, "a call is in the journal that nobody made"
        in_flight = asked - new
        assert life.killed or not in_flight
        steps: dict[str, set[tuple[int, str]]] = defaultdict(set)
        for document, n, node in (reference.steps[call] for call in in_flight):
            steps[document].add((n, node))
        assert all(map(is_one_step, steps.values())), "a step began before the one before was saved"
        lost += in_flight.total()
    assert lost > 0, "no kill met a call in flight"
    assert sum(map(len, one.server.asked.values())) == reference.calls.total() + lost
    assert compared(read_tables(one.run)) == compared(reference.tables)
