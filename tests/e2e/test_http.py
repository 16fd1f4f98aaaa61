"""Whole runs over HTTP against the test server: what faults of transport and of replies do, and must not do."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from autodata.checkpoints.records import Document
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.models.endpoint import Endpoint
from autodata.runner.document_runner import Runner
from autodata.runner.events import CallEvent, RunEvent
from tests.support.runs import Session, generated, identity, run_session, settings
from tests.support.server import ChatServer, Switches

pytestmark = pytest.mark.enable_socket

ENDED = {"accepted", "rejected"}
EXAMPLES = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]
EIGHT = [*EXAMPLES, *generated(3)]


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with ChatServer() as running:
        yield running


@pytest.fixture(scope="module")
def faultless_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faultless")


@pytest.fixture(scope="module")
def faultless(faultless_folder: Path) -> Session:
    """The examples' run on a server without faults."""

    async def run() -> Session:
        async with ChatServer() as server:
            return await run_session(faultless_folder, settings(server.base_url), EXAMPLES)

    session = asyncio.run(run())
    assert set(session.statuses) <= ENDED
    return session


async def test_all_example_documents_end(server: ChatServer, tmp_path: Path) -> None:
    priced = {"default": {"price_in": 2.0, "price_out": 10.0}, "weak_solver": {"price_in": 0.5, "price_out": 1.5}}
    session = await run_session(tmp_path, settings(server.base_url, priced), EXAMPLES)
    assert len(session.documents) == 5
    assert set(session.statuses) <= ENDED
    assert "accepted" in session.statuses
    assert not session.outcome.stopped
    assert not session.outcome.errored
    assert server.statuses() == {200: len(session.calls)}
    assert Counter(request["call"] for request in server.requests) == Counter(session.paid)
    formats = Counter((request["model"], request["format"]) for request in server.requests)
    assert set(formats) == {("weak", "none"), ("strong", "none"), ("strong", "json_schema")}
    for row in session.calls:
        price = priced["weak_solver" if row["role"] == "weak_solver" else "default"]
        cost = price["price_in"] * row["tokens_in"] + price["price_out"] * row["tokens_out"]
        assert row["cost_usd"] == pytest.approx(cost / 1e6)


async def test_a_second_session_asks_nothing(
    server: ChatServer, faultless: Session, faultless_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    shutil.copytree(faultless_folder, folder)
    assert (await run_session(folder, settings(server.base_url), EXAMPLES)).tables == faultless.tables
    assert server.requests == []


async def test_faults_of_transport_change_no_result(server: ChatServer, faultless: Session, tmp_path: Path) -> None:
    server.switches = Switches(first=("429", "503", "close", "html", "null"), one_in=4)
    session = await run_session(tmp_path / "faulty", settings(server.base_url), EXAMPLES)
    statuses = server.statuses()
    assert min(statuses[429], statuses[503], statuses[0]) > 0
    assert statuses[200] == len(session.calls) + 2 * statuses[429]  # an html and a null reply for every 429
    assert unreadable(session)
    assert len(session.tables["timeouts"]) == 2 * statuses[429]
    assert {**session.tables, "timeouts": []} == faultless.tables


async def test_faults_of_replies_end_every_document(server: ChatServer, tmp_path: Path) -> None:
    """Cut-off and empty replies change the course of a run, being replies; faults of transport on top do not."""
    values = settings(server.base_url, retries={"base_seconds": 0, "unusable_tries": 8})
    server.switches = Switches(cut_one_in=7, empty_one_in=7)
    plain = await run_session(tmp_path / "replies", values, EXAMPLES)
    assert set(plain.statuses) <= ENDED
    cut = [row for row in plain.calls if row["finish_reason"] == "length"]
    solvers = {"weak_solver", "strong_solver"}
    assert {row["role"] in solvers for row in cut} == {True, False}
    assert {place(row, 1) for row in cut if row["role"] not in solvers} <= {place(row) for row in plain.calls}
    assert {place(row, 1) for row in cut if row["role"] in solvers}.isdisjoint({place(row) for row in plain.calls})

    server.switches = Switches(cut_one_in=7, empty_one_in=7, first=("429", "503", "close"), one_in=5)
    both = await run_session(tmp_path / "both", values, EXAMPLES)
    assert both.tables == plain.tables


async def test_sloppy_replies_are_taken_without_a_wasted_call(server: ChatServer, tmp_path: Path) -> None:
    """Long reasons, "Good" as feedback, lists and objects by number, "5 points", skills in one text, plain LaTeX."""
    server.switches = Switches(sloppy=True)
    session = await run_session(tmp_path, settings(server.base_url), EXAMPLES)
    assert "accepted" in session.statuses
    assert set(session.statuses) <= ENDED
    assert {row["try"] for row in session.calls} == {0}
    assert server.statuses() == {200: len(session.calls)}
    assert read(tmp_path, "select n from rounds where failure_mode = 'malformed_candidate'") == []
    contexts = [row["context"] for row in read(tmp_path, "select context from candidates")]
    assert contexts
    assert all(context.endswith(r"Here $\frac{1}{2} \alpha \times \nu$ holds.") for context in contexts)
    reasons = [row["reason"] for row in read(tmp_path, "select reason from marks")]
    assert 0 < max(map(len, reasons)) <= 400


async def test_an_answer_lost_to_the_token_limit_scores_nothing_unjudged(server: ChatServer, tmp_path: Path) -> None:
    server.switches = Switches(empty_one_in=3)
    await run_session(tmp_path, settings(server.base_url), EXAMPLES)
    rows = read(tmp_path, "select answered, truncated, decided_by, score from attempts")
    lost = [row for row in rows if not row["answered"]]
    assert lost
    assert all(row == {"answered": 0, "truncated": 1, "decided_by": "truncated", "score": "0"} for row in lost)
    judged = read(tmp_path, "select idx from calls where role = 'verifier'")
    assert len(judged) == len(rows) - len(lost)


async def test_retry_after_is_obeyed(server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def pause(self: Endpoint, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(Endpoint, "pause", pause)
    server.switches = Switches(first=("429",), retry_after=7.5)
    session = await run_session(tmp_path, settings(server.base_url, max_rounds=1), EXAMPLES[:2])
    assert waits == [7.5] * len(session.calls)


@pytest.mark.parametrize("refused", [("json_schema",), ("json_schema", "json_object")])
async def test_the_structured_output_is_found_out_once_per_endpoint(
    server: ChatServer, tmp_path: Path, refused: tuple[str, ...]
) -> None:
    """Two endpoints are asked for structured output: that of the challenger and, as another model, the judge's."""
    values = settings(server.base_url, {"verifier": {"model": "judge"}}, max_rounds=2, concurrency=8)
    accepting = await run_session(tmp_path / "accepting", values, EIGHT)
    server.forget()
    server.switches = Switches(refused_formats=refused)
    refusing = await run_session(tmp_path / "refusing", values, EIGHT)
    assert refusing.tables == accepting.tables
    assert server.statuses() == {200: len(refusing.calls), 400: 2 * len(refused)}
    formats = Counter((request["model"], request["format"]) for request in server.requests)
    for model in ("strong", "judge"):
        assert [formats[model, kind] for kind in refused] == [1] * len(refused)
    assert formats["judge", {1: "json_object", 2: "none"}[len(refused)]] == sum(
        row["role"] == "verifier" for row in refusing.calls
    )


async def test_a_server_that_refuses_the_seed(server: ChatServer, tmp_path: Path) -> None:
    """It says no word of what it refuses: a trivial question without the seed shows it."""
    server.switches = Switches(refuses_seed=True)
    sent = await run_session(tmp_path / "sent", settings(server.base_url, max_rounds=1, concurrency=8), EXAMPLES)
    assert set(sent.statuses) <= ENDED
    refused = server.statuses()[400]
    assert refused >= 4  # three formats, and the trivial question, which is then asked without a seed
    await run_session(tmp_path / "sent", settings(server.base_url, max_rounds=1, concurrency=8), EIGHT)
    assert server.statuses()[400] == refused  # what was found out is kept with the run


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_a_row_of_documents_with_one_cause_pauses_the_run(
    server: ChatServer, tmp_path: Path, concurrency: int
) -> None:
    ended = 0

    def watch(runner: Runner, event: RunEvent) -> None:
        nonlocal ended
        ended += event.event == "ended"
        if ended == 2:
            server.switches = Switches(always="400")

    values = settings(server.base_url, max_rounds=1, concurrency=concurrency)
    broken = await run_session(tmp_path, values, generated(30), watch)
    assert broken.outcome.failed
    words = "5 documents in a row errored for the same cause: call_failed: strong at "
    assert broken.outcome.stopped.startswith(words)
    assert "HTTP 400: fault 400 of the test server" in broken.outcome.stopped
    row = broken.outcome.one_cause  # from the first of the row on, those in work when the run stopped included
    assert len(row) >= 5
    assert row == broken.outcome.errored[-len(row) :]
    assert len(row) == 5 or concurrency > 1
    # A document that had its last reply before the server refused ends well after it, and breaks a row of up to four.
    late = ended - 2
    assert late < concurrency
    assert 5 <= broken.statuses.count("errored") <= 5 + concurrency + 4 * late
    assert broken.statuses.count("pending") >= 30 - 7 - 2 * concurrency
    server.switches = Switches()
    assert set((await run_session(tmp_path, values, generated(30))).statuses) <= ENDED


async def test_another_cause_or_a_document_that_ends_breaks_the_row(server: ChatServer, tmp_path: Path) -> None:
    """Every fourth document is refused; three in a row would pause the run."""
    documents = generated(12)
    unlucky = {document.document_id for document in documents[::4]}

    def watch(runner: Runner, event: RunEvent) -> None:
        if event.event == "started":
            server.switches = Switches(always="400" if event.document_id in unlucky and server.replies else "")

    retries = {"base_seconds": 0, "pause_after_documents": 2}
    values = settings(server.base_url, max_rounds=1, concurrency=1, retries=retries)
    await run_session(tmp_path / "first", values, documents[1:2])
    session = await run_session(tmp_path / "run", values, [*documents[1:], documents[0]], watch)
    assert not session.outcome.stopped
    assert session.statuses.count("errored") == 3


async def test_nothing_of_an_account_is_sent_to_another_host(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_ORGANIZATION", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, f"private {name}")
    for provider in ("ANTHROPIC", "AZURE_OPENAI", "GOOGLE", "GEMINI", "MISTRAL", "GROQ", "COHERE", "LANGSMITH", "HF"):
        for what in ("API_KEY", "AD_TOKEN", "ENDPOINT", "TOKEN", "PROJECT"):
            monkeypatch.setenv(f"{provider}_{what}", f"private {provider}")
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE", "OPENAI_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-From-Environment: private")
    session = await run_session(tmp_path, settings(server.base_url, max_rounds=1), EXAMPLES[:1])
    assert set(session.statuses) <= ENDED
    assert {(request["key"], str(request["account"])) for request in server.requests} == {("none", "{}")}


@pytest.mark.parametrize(
    "failing", [{"json_schema": 404, "json_object": 404}, {"json_schema": 500}, {"json_schema": 0}]
)
async def test_a_format_that_a_server_fails_on_is_not_used(
    server: ChatServer, tmp_path: Path, failing: dict[str, int]
) -> None:
    server.switches = Switches(failing_formats=failing)
    session = await run_session(tmp_path, settings(server.base_url, max_rounds=1, concurrency=4), EXAMPLES)
    assert set(session.statuses) <= ENDED
    assert not session.outcome.errored
    failed = sum(request["format"] in failing for request in server.requests)
    assert failed == len(failing)


@pytest.mark.parametrize("bound", [{"max_usd": 0.0035}, {"max_tokens": 3500}])
async def test_a_bound_holds_over_sessions_where_usage_is_not_reported(
    server: ChatServer, tmp_path: Path, bound: dict[str, float]
) -> None:
    server.switches = Switches(usage=False)
    price = {"price_in": 0.0, "price_out": 1.0, "max_tokens": 1000}
    solver = {**price, "max_tokens": 1000}
    made = set()
    values = settings(
        server.base_url, {"default": price, "weak_solver": solver}, max_rounds=1, concurrency=4, budget=bound
    )
    for _ in range(3):
        session = await run_session(tmp_path, values, EXAMPLES)
        assert "left, and the next call can" in session.outcome.stopped
        made.add(len(session.calls))
    assert len(made) == 1
    assert made.pop() <= 3


async def test_missing_usage_is_unknown_and_not_nothing(server: ChatServer, tmp_path: Path) -> None:
    server.switches = Switches(usage=False)
    price = {"price_in": 1.0, "price_out": 1.0}
    values = settings(server.base_url, {"default": price, "weak_solver": price}, max_rounds=1)
    session = await run_session(tmp_path, values, EXAMPLES)
    figures = {(row["tokens_in"], row["tokens_out"], row["cost_usd"]) for row in session.calls}
    assert figures == {(None, None, None)}


@pytest.mark.parametrize(
    ("fault", "concurrency"),
    [("close", 1), ("close", 8), ("503", 8), ("429", 8), ("html", 1), ("html", 8), ("null", 8)],
)
async def test_a_dead_endpoint_pauses_the_run(
    server: ChatServer, faultless: Session, tmp_path: Path, fault: str, concurrency: int
) -> None:
    server.switches = Switches(always=fault)
    values = settings(server.base_url, concurrency=concurrency)
    dead = await run_session(tmp_path / "run", values, EXAMPLES)
    assert_paused(dead)
    assert dead.calls == []
    most = 5 if concurrency > 1 else 3  # the calls that can be tried before the third in a row has failed
    assert len(server.requests) <= 6 * most
    server.switches = Switches()
    assert_same_results(await run_session(tmp_path / "run", values, EXAMPLES), faultless)


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


async def test_an_address_where_nobody_listens_pauses_the_run(
    server: ChatServer, faultless: Session, tmp_path: Path, nobody: str
) -> None:
    dead = await run_session(tmp_path / "run", settings(nobody), EXAMPLES)
    assert_paused(dead)
    assert nobody in dead.outcome.stopped
    assert_same_results(await run_session(tmp_path / "run", settings(server.base_url), EXAMPLES), faultless)


async def test_a_dead_endpoint_leaves_the_only_document_pending(
    server: ChatServer, faultless: Session, tmp_path: Path, nobody: str
) -> None:
    """All calls that find the endpoint down are of one step: the first of them does not know it yet."""
    values = settings(server.base_url, {"weak_solver": {"base_url": nobody}})
    assert_paused(await run_session(tmp_path, values, EXAMPLES[:1]))
    whole = await run_session(tmp_path, settings(server.base_url), EXAMPLES[:1])
    assert whole.documents == {name: row for name, row in faultless.documents.items() if name in whole.documents}
    assert len(server.requests) == len(whole.calls)


async def test_the_command_says_in_one_line_that_an_endpoint_is_dead(server: ChatServer, tmp_path: Path) -> None:
    (tmp_path / "autodata.toml").write_text(tomli_w.dumps(settings(server.base_url, max_rounds=1)), "utf-8")
    server.switches = Switches(always="close")
    status, _, errors = await command(tmp_path, "run", "--documents", documents_folder(), "--out", "made")
    assert status == 1
    [line] = [line for line in errors.splitlines() if line.startswith("stopped: ")]
    assert server.base_url in line
    assert "Server disconnected" in line
    assert "Traceback" not in errors
    server.switches = Switches()
    status, shown, _ = await command(tmp_path, "run", "--documents", documents_folder(), "--out", "made", "--json")
    assert status == 0
    found = json.loads(shown)
    assert found["accepted"] + found["rejected"] == found["documents"] == 5
    assert found["calls"] == server.statuses()[200]


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("role", ["weak_solver", "verifier", "strong_solver"])
async def test_an_endpoint_that_dies_amid_a_run_pauses_it(
    server: ChatServer, faultless: Session, tmp_path: Path, role: str, concurrency: int
) -> None:
    """It dies while calls of one document are in flight side by side: none of them may error the document."""
    done = Counter[str]()

    def watch(runner: Runner, event: RunEvent) -> None:
        if isinstance(event, CallEvent):
            done[event.role] += 1
            if done[role] == 4:
                server.switches = Switches(always="close")

    values = settings(server.base_url, concurrency=concurrency)
    dead = await run_session(tmp_path / "run", values, EXAMPLES, watch)
    assert done[role] >= 4
    assert_paused(dead)
    server.switches = Switches()
    asked = len(server.requests)
    whole = await run_session(tmp_path / "run", values, EXAMPLES)
    assert_same_results(whole, faultless)
    assert not dead.paid & {request["call"] for request in server.requests[asked:]}
    assert len(server.requests) - asked == len(whole.calls) - len(dead.calls)


@pytest.mark.parametrize("fault", ["401", "403", "404"])
async def test_a_refused_key_or_model_pauses_at_once(server: ChatServer, tmp_path: Path, fault: str) -> None:
    server.switches = Switches(always=fault)
    values = settings(server.base_url, max_rounds=1)
    session = await run_session(tmp_path, values, EIGHT)
    assert_paused(session)
    assert server.base_url in session.outcome.stopped
    assert 1 <= len(server.requests) <= 8
    server.switches = Switches()
    assert set((await run_session(tmp_path, values, EIGHT)).statuses) <= ENDED


async def test_one_refused_request_errors_one_document_and_is_all_that_is_paid_for_later(
    server: ChatServer, faultless: Session, tmp_path: Path
) -> None:
    """The judge's request on one answer is refused, after its round's question and attempts were paid for."""
    unlucky = EXAMPLES[0]

    def watch(runner: Runner, event: RunEvent) -> None:
        if not isinstance(event, CallEvent) or event.role != "weak_solver":
            return
        if event.document_id == unlucky.document_id and not server.switches.refused_text:
            server.switches = Switches(refused_text=event.reply.text)

    values = settings(server.base_url)
    first = await run_session(tmp_path / "run", values, EXAMPLES, watch)
    row = first.documents[unlucky.name]
    assert row["status"] == "errored"
    assert row["status_reason"].startswith("call_failed: ")
    assert first.outcome.errored == [f"{unlucky.name}: {row['status_reason']}"]
    assert not first.outcome.failed
    others = {name for name in first.documents if name != unlucky.name}
    assert {name: first.documents[name] for name in others} == {name: faultless.documents[name] for name in others}

    server.switches = Switches()
    server.forget()
    second = await run_session(tmp_path / "run", values, EXAMPLES)
    row = second.documents[unlucky.name]
    assert row["status"] in ENDED
    assert row["epoch"] == 1
    asked = {request["call"] for request in server.requests}
    new = [row for row in second.calls if identity(row) not in first.paid]
    assert asked == {identity(row) for row in new}
    assert len(server.requests) == len(new)
    assert {row["document_id"] for row in new} == {unlucky.document_id}
    assert {row["epoch"] for row in new} == {1}
    assert new[0]["role"] == "verifier"


def place(row: dict[str, Any], later: int = 0) -> tuple[Any, ...]:
    """Return where a call stands, or where one stands that is made so many tries later."""
    return (row["thread_id"], row["n"], row["node"], row["idx"], row["try"] + later)


async def command(folder: Path, *arguments: str | Path) -> tuple[int | None, str, str]:
    """Run the command in a process of its own; return its exit status, standard output and standard error."""
    program = [sys.executable, "-c", "from autodata_launch import main; main()"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *program, *map(str, arguments), cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    shown, errors = await process.communicate()
    return process.returncode, shown.decode(), errors.decode()


def assert_paused(session: Session) -> None:
    assert session.outcome.failed
    assert session.outcome.stopped
    assert "\n" not in session.outcome.stopped
    assert session.outcome.errored == []
    assert "errored" not in session.statuses
    assert "pending" in session.statuses


def assert_same_results(session: Session, expected: Session) -> None:
    """Compare two runs; calls that failed before the endpoint was found down may have left a note in `failures`.

    A reply that is no chat completion may have been billed: it stands in `timeouts`, and changes nothing else.
    """
    assert unreadable(session)
    noted: dict[str, list[Any]] = {"failures": [], "timeouts": []}
    assert {**session.tables, **noted} == {**expected.tables, **noted}


def unreadable(session: Session) -> bool:
    """Whether all that a session notes as perhaps billed are replies that were no chat completion."""
    return all(row[1] == "unreadable" for row in session.tables["timeouts"])


def read(folder: Path, sql: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(folder / "run.db")) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql)]
