"""Workers that are killed, that hang past their lease, and whose server is started anew: the run ends as if none had.

Two workers take documents out of a queue of procrastinate; a watching `autodata run --queue` puts them in. A worker's
requests carry its life's name as their key, so the counting server says who asked what.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import pytest
import tomli_w
from psycopg.rows import dict_row

from tests.kill.test_kill import KEY, CountingServer, Line
from tests.support.postgres import PASSWORD, Server, postgres
from tests.support.runs import generated, identity, settings

VARIABLE = "AUTODATA_POSTGRES_DSN"
DOCUMENTS = 10
LEASE = 3
SECONDS = 120
LIMIT = 2
EASY = {"weak_mean": "< 0.8", "strong_mean": ">= 0.3", "gap": ">= 0"}
AUTODATA = Path(sys.executable).with_name("autodata")


@dataclass
class Site:
    """A run, its workers, and what the model server was asked."""

    folder: Path
    chat: CountingServer
    server: Server
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, name: str, *arguments: str) -> asyncio.subprocess.Process:
        environment = {**os.environ, KEY: name, VARIABLE: self.server.dsn}
        with (self.folder / f"stderr-{name}").open("w") as said:
            process = await asyncio.create_subprocess_exec(
                AUTODATA, *arguments, cwd=self.folder, env=environment, stdout=said, stderr=said
            )
        self.processes[name] = process
        return process

    async def watch(self) -> asyncio.subprocess.Process:
        command = ("run", "--config", "autodata.toml", "--documents", "documents", "--out", "run", "--queue", VARIABLE)
        return await self.start("watch", *command)

    async def work(self, name: str) -> asyncio.subprocess.Process:
        return await self.start(name, "worker", "--lease", str(LEASE), "--concurrency", "3")

    async def put_in(self) -> None:
        """Wait until the documents are in the queue."""
        await self.says("watch", "put into the queue")

    async def says(self, name: str, text: str) -> None:
        """Wait until a process has said something."""
        try:
            await self.holds(lambda: text in self.said(name))
        except TimeoutError:
            everything = "".join(f"{other}:\n{self.said(other)}" for other in self.processes)
            raise AssertionError(f"{name} never said {text!r}:\n{everything}") from None

    async def holds(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so that other processes bring about."""
        async with asyncio.timeout(SECONDS):
            while not condition():  # noqa: ASYNC110 - other processes' files and tables
                await asyncio.sleep(0.1)

    def said(self, name: str) -> str:
        return (self.folder / f"stderr-{name}").read_text()

    def rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.server.dsn, row_factory=dict_row) as connection:
            found = connection.execute("SELECT run FROM autodata.runs").fetchone()
            assert found
            return connection.execute(query.replace("RUN.", f'"autodata_{found["run"]}".').encode()).fetchall()

    def asked(self) -> Counter[str]:
        return sum((Counter(calls) for calls in self.chat.asked.values()), Counter())

    async def until(self, name: str, count: int, what: str = "arrived") -> None:
        """Wait until the model server has logged so many lines of a worker."""
        seen, enough = Counter[str](), asyncio.Event()

        def watch(line: Line) -> None:
            seen[line["key"]] += line["what"] == what
            if seen[name] >= count:
                enough.set()

        self.chat.watch = watch
        async with asyncio.timeout(SECONDS):
            await enough.wait()
        self.chat.watch = lambda line: None


@asynccontextmanager
async def site(folder: Path, **values: Any) -> AsyncIterator[Site]:
    (folder / "documents").mkdir(parents=True)
    for document in generated(DOCUMENTS):
        (folder / "documents" / document.name).write_text(document.text, "utf-8")
    async with CountingServer.start() as chat:
        default = {"api_key_env": KEY, **values.pop("default", {})}
        models = {"default": default, "weak_solver": values.pop("weak", {})}
        written = settings(chat.base_url, models, acceptance=EASY, max_rounds=3, concurrency=3, **values)
        (folder / "autodata.toml").write_text(tomli_w.dumps(written), "utf-8")
        with postgres() as server:
            made = Site(folder, chat, server)
            try:
                yield made
            finally:
                for process in made.processes.values():
                    if process.returncode is None:
                        process.kill()
                        await process.wait()


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(SECONDS):
        return await process.wait()


async def stop(one: Site, *names: str) -> None:
    """End workers as a person does."""
    for name in names:
        one.processes[name].terminate()
    for name in names:
        assert await ended(one.processes[name]) == 0, one.said(name)


def examples_of(one: Site) -> list[tuple[str, str]]:
    return sorted((row["document_id"], row["example_id"]) for row in one.rows("SELECT * FROM RUN.examples"))


def results_of(one: Site) -> dict[str, tuple[str, int]]:
    rows = one.rows("SELECT document_id, status, rounds, settled FROM RUN.documents")
    assert all(row["settled"] for row in rows)
    return {row["document_id"]: (row["status"], row["rounds"]) for row in rows}


@dataclass(frozen=True)
class Reference:
    """The run that nothing happened to."""

    calls: Counter[str]
    results: dict[str, tuple[str, int]]
    examples: list[tuple[str, str]]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    async def undisturbed() -> Reference:
        async with site(tmp_path_factory.mktemp("reference")) as one:
            watching = await one.watch()
            await one.work("only")
            assert await ended(watching) == 0, one.said("watch")
            await stop(one, "only")
            assert one.asked() == journal(one), "a call was made twice"
            return Reference(one.asked(), results_of(one), examples_of(one))

    found = asyncio.run(undisturbed())
    assert len(found.results) == DOCUMENTS
    assert found.examples
    return found


def journal(one: Site) -> Counter[str]:
    return Counter(identity(row) for row in one.rows("SELECT model, params, messages_hash FROM RUN.calls"))


def check(one: Site, reference: Reference, in_flight: int) -> None:
    """Every document ended once and as it would have; no more was paid again than was in flight at the deaths."""
    assert results_of(one) == reference.results
    assert examples_of(one) == reference.examples
    assert journal(one) == reference.calls
    again = one.asked() - reference.calls
    assert again.total() <= in_flight, f"{again.total()} calls were paid again, {in_flight} were in flight"
    assert one.rows("SELECT * FROM autodata.reservations") == []
    assert one.rows("SELECT * FROM procrastinate_jobs") == []
    [run] = one.rows("SELECT * FROM autodata.runs")
    assert (run["held_calls"], run["held_tokens"], run["held_usd"]) == (0, 0, 0)


def in_flight_at(one: Site, name: str) -> int:
    """Return how many requests of a worker have no row in the journal: those that its death loses."""
    return (Counter(one.chat.asked[name]) - journal(one)).total()


async def test_a_worker_that_is_killed_leaves_its_documents_to_others(reference: Reference, tmp_path: Path) -> None:
    async with site(tmp_path / "killed", budget={"max_calls": 100_000}) as one:
        watching = await one.watch()
        await one.work("first")
        await one.until("first", 20)
        await one.work("second")
        await one.until("second", 10)
        one.processes["first"].kill()
        await ended(one.processes["first"])
        lost = in_flight_at(one, "first")
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "second")
        check(one, reference, lost)
        assert len(one.chat.asked["second"]) > 10
        noted = one.rows("SELECT * FROM RUN.timeouts")
        assert len(noted) == lost, "what a dead worker had in flight stands in the ledger"
        [spent] = one.rows("SELECT calls, tokens FROM autodata.runs")
        [held] = one.rows("SELECT sum(charged_in + charged_out) AS tokens, count(*) AS calls FROM RUN.calls")
        most = sum(row["charged_in"] + row["charged_out"] for row in noted)
        assert (spent["calls"], spent["tokens"]) == (held["calls"], held["tokens"] + most), "the counters are off"


async def test_a_worker_that_hangs_past_its_lease_writes_nothing_more(reference: Reference, tmp_path: Path) -> None:
    async with site(tmp_path / "hung") as one:
        watching = await one.watch()
        await one.work("hung")
        await one.until("hung", 20)
        one.processes["hung"].send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.5)  # what it had sent to the database arrives
        written = journal(one)
        await one.work("other")
        await one.until("other", 10)
        await one.holds(lambda: bool(one.rows("SELECT FROM autodata.workers WHERE state = 'lost'")))
        # By now all that it had sent has come to the server, however busy the machine is.
        lost = (Counter(one.chat.asked["hung"]) - written).total()
        one.processes["hung"].send_signal(signal.SIGCONT)
        await one.says("hung", "longer than its lease")
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "hung", "other")
        check(one, reference, lost)
        # Its number is a new one if it went on: nothing was sent under the old lease.
        states = one.rows("SELECT state FROM autodata.workers ORDER BY worker")
        assert states[0]["state"] == "lost"


async def test_the_server_is_started_anew(reference: Reference, tmp_path: Path) -> None:
    async with site(tmp_path / "restarted", budget={"max_calls": 100_000}) as one:
        watching = await one.watch()
        await one.work("first")
        await one.work("second")
        await one.until("first", 15)
        one.server.restart(1.0)
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "first", "second")
        check(one, reference, 0)


async def test_a_worker_that_is_asked_to_stop_hands_back_what_it_holds(reference: Reference, tmp_path: Path) -> None:
    async with site(tmp_path / "stopped") as one:
        watching = await one.watch()
        await one.work("first")
        await one.until("first", 20)
        await stop(one, "first")
        assert "handed back: interrupted" in one.said("first")
        await one.work("second")
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "second")
        check(one, reference, 0)


async def test_a_budget_of_calls_holds_across_workers(tmp_path: Path) -> None:
    async with site(tmp_path / "bounded", budget={"max_calls": 61}) as one:
        watching = await one.watch()
        for name in ("first", "second", "third"):
            await one.work(name)
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "first", "second", "third")
        assert one.asked().total() == journal(one).total() == 61
        assert "the budget --max-calls 61 is spent" in one.said("watch")


PRICES = {"price_in": 3.0, "price_out": 15.0, "max_tokens": 2048}


@pytest.mark.parametrize(
    ("budget", "bound", "spent"),
    [
        ({"max_tokens": 60_000}, 60_000, "sum(charged_in) + sum(charged_out)"),
        ({"max_usd": 0.4}, 0.4, "sum(charged_usd)"),
    ],
)
async def test_budgets_of_tokens_and_money_hold_across_workers(
    budget: dict[str, float], bound: float, spent: str, tmp_path: Path
) -> None:
    async with site(tmp_path / "bounded", budget=budget, default=PRICES, weak=PRICES) as one:
        watching = await one.watch()
        for name in ("first", "second", "third"):
            await one.work(name)
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "first", "second", "third")
        [took] = one.rows(f"SELECT {spent} AS spent, count(*) AS calls FROM RUN.calls")
        assert bound / 4 < took["spent"] <= bound
        assert one.asked().total() == journal(one).total() == took["calls"]
        assert all(one.chat.asked[name] for name in ("first", "second", "third"))
        [run] = one.rows("SELECT * FROM autodata.runs")
        assert (run["held_calls"], run["held_tokens"], run["held_usd"]) == (0, 0, 0)
        left = one.rows("SELECT count(*) AS n FROM RUN.documents WHERE status = 'pending'")
        assert left[0]["n"] > 0
        [name] = budget
        assert f"the budget --{name.replace('_', '-')}" in one.said("watch")


async def test_what_every_worker_would_refuse_is_refused_before_anything_is_queued(tmp_path: Path) -> None:
    async with site(tmp_path / "unpriced", budget={"max_usd": 1.0}) as one:
        assert await ended(await one.watch()) == 2
        assert "max_usd cannot be kept without prices: set models." in one.said("watch")
        assert "put into the queue" not in one.said("watch")


async def test_an_endpoint_is_asked_no_more_at_once_than_its_limit(tmp_path: Path) -> None:
    async with site(tmp_path / "slots", default={"max_concurrency": LIMIT}) as one:
        now, most = Counter[str](), Counter[str]()

        def watch(line: Line) -> None:
            now[line["model"]] += 1 if line["what"] == "arrived" else -1
            most[line["model"]] = max(most[line["model"]], now[line["model"]])

        one.chat.watch = watch
        watching = await one.watch()
        for name in ("first", "second"):
            await one.work(name)
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "first", "second")
        assert most == {"strong": LIMIT, "weak": LIMIT}
        assert all(one.chat.asked[name] for name in ("first", "second"))


async def test_a_target_holds_across_workers_and_no_password_is_written(tmp_path: Path) -> None:
    async with site(tmp_path / "target", target=3) as one:
        watching = await one.watch()
        for name in ("first", "second"):
            await one.work(name)
        assert await ended(watching) == 0, one.said("watch")
        await stop(one, "first", "second")
        assert "target of 3 accepted reached" in one.said("watch")
        made = len(examples_of(one))
        assert 3 <= made < DOCUMENTS
        exported = await one.start("export", "export", "run", "--format", "jsonl", "--out", "examples.jsonl")
        assert await ended(exported) == 0, one.said("export")
        assert len((one.folder / "examples.jsonl").read_text().splitlines()) == 3
        written = [path for path in one.folder.rglob("*") if path.is_file()]
        assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]
        kept = one.rows("SELECT value FROM RUN.meta")
        assert not [row for row in kept if PASSWORD in str(row["value"])]


async def test_a_worker_refuses_a_run_that_it_would_do_otherwise(tmp_path: Path) -> None:
    async with site(tmp_path / "refused") as one:
        watching = await one.watch()
        await one.put_in()
        one.rows("UPDATE autodata.runs SET version = '9.9.9' RETURNING run")
        assert await ended(await one.start("newer", "worker", "--once")) == 2
        assert "begun by version 9.9.9" in one.said("newer")
        one.rows(f"UPDATE autodata.runs SET version = '{version('autodata-langgraph')}' RETURNING run")
        one.rows('UPDATE RUN.meta SET value = replace(value, \'"seed":"0"\', \'"seed":"1"\') RETURNING key')
        assert await ended(await one.start("other", "worker", "--once")) == 2
        assert "seed: 1 -> 0" in one.said("other")
        assert one.rows("SELECT * FROM autodata.workers") == []
        assert not one.chat.asked
        watching.terminate()
        assert await ended(watching) == 1, one.said("watch")
        assert "stopped: interrupted" in one.said("watch")
