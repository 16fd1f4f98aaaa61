"""Traces, datasets and trajectories against a stand-in for LangSmith: its real client, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.records import Document
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.nodes.optimizer.trajectories import Exchange, Failure
from autodata.runner.optimization.langsmith_failures import LangSmithTrajectories
from autodata.tracing.langsmith import langsmith_wanted
from tests.support.commands import invoke, refusal
from tests.support.langsmith import LangSmith
from tests.support.runs import Session, run_session
from tests.support.server import ChatServer, Switches

pytestmark = pytest.mark.enable_socket

KEY = "lsv2_pt_0123456789abcdef0123456789abcdef"
MODEL_KEY = "plain-model-key-7391"
EXAMPLES = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LangSmith]:
    async with LangSmith() as running:
        monkeypatch.setenv("LANGSMITH_API_KEY", KEY)
        monkeypatch.setenv("LANGSMITH_ENDPOINT", running.url)
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        yield running
        assert not running.unknown


def simulated(**changes: Any) -> dict[str, Any]:
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    tracing = {"project": "tests", "exit_seconds": 30.0, **changes.pop("tracing", {})}
    return {"domain": "cs", "max_rounds": 3, "models": models, "tracing": tracing, **changes}


async def query(folder: Path, sql: str) -> list[dict[str, Any]]:
    async with open_readonly(folder / "run.db") as ledger:
        return await ledger.read(sql)


def metadata(run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = run["extra"]["metadata"]
    return found


# What is sent


async def test_a_run_is_traced_whole(service: LangSmith, tmp_path: Path) -> None:
    session = await run_session(tmp_path / "first", simulated(), EXAMPLES)
    assert session.outcome.notes == ["traced to LangSmith, project tests"]
    calls = {metadata(run)["call_key"]: run for run in service.of_kind("call")}
    assert set(calls) == {row["key"] for row in session.calls}
    for row in session.calls:
        run = calls[row["key"]]
        assert run["run_type"] == "llm"
        assert run["name"] == row["role"]
        assert run["session_name"] == "tests"
        assert run["outputs"]["content"] == row["response"]
        assert run["outputs"]["usage_metadata"]["output_tokens"] == row["tokens_out"]
        assert run["inputs"]["messages"][-1]["role"] == "user"
        expected = {"run": "first", "domain": "cs", "evaluation": "main", "document_id": row["document_id"]}
        expected |= {"round": row["n"], "node": row["node"], "role": row["role"], "attempt": row["idx"]}
        expected |= {
            "role_prompt_version": row["prompt_version"],
            "ls_model_name": row["model"],
            "thread": row["thread_id"],
        }
        assert expected.items() <= metadata(run).items()
        assert {"kind:call", f"role:{row['role']}", f"node:{row['node']}", "domain:cs", "evaluation:main"} <= {
            *run["tags"]
        }
    assert len({metadata(run)["run_id"] for run in service.runs.values()}) == 1
    [version] = {metadata(run)["prompt_version"] for run in service.runs.values()}
    assert version == (await query(tmp_path / "first", "select prompt_version from rounds"))[0]["prompt_version"]


async def test_the_tree_holds_together(service: LangSmith, tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(), EXAMPLES)
    above = {"round": "document", "node": "round", "call": "node"}
    for identity, run in service.runs.items():
        assert run["end_time"] >= run["start_time"]
        kind, parent = metadata(run)["kind"], str(run.get("parent_run_id") or "")
        assert run["dotted_order"].endswith(identity)
        if kind == "document":
            assert not parent
            assert run["trace_id"] == identity
            continue
        assert metadata(service.runs[parent])["kind"] == above[kind]
        assert run["trace_id"] == service.runs[parent]["trace_id"]
        assert run["dotted_order"].startswith(service.runs[parent]["dotted_order"] + ".")
        if kind == "call":
            assert service.runs[parent]["name"] == metadata(run)["node"]


async def test_scores_are_feedback_on_the_right_runs(service: LangSmith, tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(), EXAMPLES)
    given = {(item["run_id"], item["key"]): item for item in service.feedback.values()}
    assert {item["session_id"] for item in service.feedback.values()} == {service.projects["tests"]}
    rounds = {metadata(run)["round_id"]: run for run in service.of_kind("round")}
    rows = await query(tmp_path, "select * from rounds where outcome != 'open'")
    assert set(rounds) == {row["round_id"] for row in rows}
    for row in rows:
        run = rounds[row["round_id"]]
        verdict = given[run["id"], "verdict"]
        assert verdict["score"] == (row["outcome"] == "accepted")
        assert verdict["value"] == (row["failure_mode"] or "accepted")
        assert metadata(run)["verdict"] == row["outcome"]
        assert f"verdict:{row['outcome']}" in run["tags"]
        for name in ("weak_mean", "strong_mean", "gap"):
            feedback_given = given.get((run["id"], name))
            assert (feedback_given and feedback_given["score"]) == (
                None if row[name] is None else pytest.approx(row[name], abs=1e-4)
            )
    attempts = await query(tmp_path, "select a.*, r.thread_id, r.n from attempts a join rounds r using (round_id)")
    made = {
        (metadata(run)["thread"], metadata(run)["round"], metadata(run)["role"], metadata(run)["attempt"]): run["id"]
        for run in service.of_kind("call")
    }
    for row in attempts:
        place = (row["thread_id"], row["n"], f"{row['stage']}_solver", str(row["idx"]))
        assert given[made[place], "score"]["score"] == pytest.approx(float(Fraction(row["score"])), abs=1e-4)
    documents = {metadata(run)["document_id"]: run for run in service.of_kind("document")}
    for row in await query(tmp_path, "select * from documents"):
        run = documents[row["document_id"]]
        assert run["name"] == row["name"]
        assert given[run["id"], "accepted"]["score"] == (row["status"] == "accepted")


async def test_it_goes_out_in_batches(service: LangSmith, tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(), EXAMPLES)
    pieces = len(service.runs) + len(service.feedback)
    assert pieces > 200
    assert service.requests.total() * 10 < pieces, service.requests


async def test_langchains_own_tracing_sends_nothing_more(
    service: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    await run_session(tmp_path, simulated(max_rounds=1), EXAMPLES[:1])
    assert {metadata(run).get("kind") for run in service.runs.values()} == {"document", "round", "node", "call"}


async def test_an_older_server_is_spoken_to_as_it_can(service: LangSmith, tmp_path: Path) -> None:
    service.multipart = False
    session = await run_session(tmp_path, simulated(max_rounds=1), EXAMPLES[:2])
    assert session.outcome.notes == ["traced to LangSmith, project tests"]
    assert len(service.of_kind("call")) == len(session.calls)
    assert service.requests["POST /feedback"] == len(service.feedback) > 0


KEYS = [{"LANGSMITH_API_KEY": KEY}, {"LANGCHAIN_API_KEY": KEY}]
ASKING = [{"LANGSMITH_TRACING": "true"}, {"LANGCHAIN_TRACING_V2": "True"}]


@pytest.mark.parametrize(
    ("variables", "configured", "wanted"),
    [
        ({}, None, False),
        *((key, None, False) for key in KEYS),
        *((key, True, True) for key in KEYS),
        *((key | asks, None, True) for key in KEYS for asks in ASKING),
        *((asks, configured, False) for asks in ASKING for configured in (None, True)),
        *((KEYS[0] | asks, False, False) for asks in ASKING),
        *((KEYS[0] | {"LANGSMITH_TRACING": word}, True, False) for word in ("false", "False", "0", "off")),
        (KEYS[0] | {"LANGCHAIN_TRACING_V2": "0"}, True, False),
        (KEYS[0] | {"LANGSMITH_TRACING": "1"}, None, False),
        ({"LANGSMITH_API_KEY": " ", "LANGSMITH_TRACING": "true"}, None, False),
    ],
)
def test_when_langsmith_is_wanted(
    variables: dict[str, str], configured: bool | None, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert langsmith_wanted(configured) is wanted


async def typed(*words: Any) -> list[str]:
    """Type a command as a process of its own; return what it said on its way."""
    command = [sys.executable, "-c", "import autodata_launch; autodata_launch.main()", *map(str, words)]
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "COLUMNS": "200"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode().splitlines()


async def test_a_key_alone_sends_nothing(service: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of runs, of searches' analysts and of LangChain itself; nor does OpenTelemetry's address alone."""
    monkeypatch.delenv("LANGSMITH_TRACING")
    monkeypatch.setenv("LANGCHAIN_API_KEY", KEY)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", service.url)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    config = tmp_path / "autodata.toml"
    config.write_text(tomli_w.dumps(simulated(max_rounds=1, optimize={"iterations": 1, "minibatch": 1})), "utf-8")
    folder = documents_folder()
    said = await typed("run", "--config", config, "--documents", folder, "--out", tmp_path / "run", "--limit", 1)
    assert said[0] == "Documents go to: nobody (simulated models); traces: nowhere"
    assert "traced to" not in " ".join(said)
    one, other = sorted(path for path in folder.iterdir() if path.suffix == ".md")[:2]
    paths = ["--train", one, "--validate", other]
    said = await typed("optimize", "--config", config, *paths, "--out", tmp_path / "opt")
    assert said[0].endswith("Documents go to: nobody (simulated models); traces: nowhere")
    assert not service.requests


async def test_what_is_sent_is_said_first(service: LangSmith, tmp_path: Path) -> None:
    config = tmp_path / "autodata.toml"
    config.write_text(tomli_w.dumps(simulated(max_rounds=1)), "utf-8")
    given = ("run", "--config", config, "--documents", documents_folder(), "--out", tmp_path / "run", "--limit", 1)
    said = await typed(*given)
    place = service.url.removeprefix("http://")
    assert said[0] == (
        f"Documents go to: nobody (simulated models); traces: LangSmith project tests at {place} (this machine)"
    )
    assert service.runs


async def test_a_folder_does_not_ask_for_its_configuration(
    service: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`langsmith = true` was the default once, and stands in the folders of that time."""
    monkeypatch.delenv("LANGSMITH_TRACING")
    config = tmp_path / "autodata.toml"
    config.write_text(tomli_w.dumps(simulated(max_rounds=1, tracing={"langsmith": True})), "utf-8")
    out = tmp_path / "run"
    await typed("run", "--config", config, "--documents", documents_folder(), "--out", out, "--limit", 1)
    sent = sum(service.requests.values())
    assert sent
    await typed("run", "--config", out / "config.toml", "--out", out, "--limit", 2)
    assert sum(service.requests.values()) == sent


async def test_it_needs_a_key_where_the_configuration_asks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a key: export LANGSMITH_API_KEY"):
        await run_session(tmp_path, simulated(max_rounds=1, tracing={"langsmith": True}), EXAMPLES[:1])


@pytest.mark.parametrize("off", [{"langsmith": False}, None])
async def test_it_can_be_switched_off(
    off: dict[str, Any] | None, service: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if off is None:
        monkeypatch.setenv("LANGSMITH_TRACING", "false")
    session = await run_session(tmp_path, simulated(max_rounds=1, tracing=off or {"langsmith": True}), EXAMPLES[:1])
    assert not service.requests
    assert session.outcome.notes == []
    assert await query(tmp_path, "select * from spans")


# What must not be sent


async def test_keys_and_patterns_are_blacked_out(
    service: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATION_KEY", MODEL_KEY)
    shaped = "sk-proj-ABCDEFGHIJKLMNOPQRSTUVWX"
    text = (
        f"The station's key is {MODEL_KEY}, once {shaped}. Patient 4711-22 lives in Delft. Bearer {KEY[8:]} opens it."
        "\n\nThe pump moved 30 litres a minute in 1900, because the valves of the second feeder leaked in the cold."
    )
    document = Document(document_id=document_id(text), name=f"{MODEL_KEY}.md", title="Patient 4711-22", text=text)
    async with ChatServer(Switches(refused_text="litres")) as server:
        models = {"default": {"provider": "openai", "model": "strong", "base_url": server.base_url}}
        models["default"]["api_key_env"] = "STATION_KEY"
        values = simulated(models=models, tracing={"redact": [r"\b\d{4}-\d{2}\b"]})
        refused = await run_session(tmp_path / "refused", values, [document])
        assert refused.statuses == ["errored"]
        server.switches = Switches()
        await run_session(tmp_path / "taken", values, [document])
        assert {request["key"] for request in server.requests} == {MODEL_KEY}
    assert "[redacted]" in service.sent
    assert "litres a minute" in service.sent
    own = [header.get("x-api-key") for header in service.headers]
    assert set(own) == {KEY}
    for secret in (MODEL_KEY, shaped, "4711-22", KEY):
        assert secret not in service.sent, secret
    for folder in ("refused", "taken"):
        kept = json.dumps(await query(tmp_path / folder, "select error, outcome from spans"))
        assert all(secret not in kept for secret in (MODEL_KEY, shaped, "4711-22"))


async def test_texts_may_stay_at_home(service: LangSmith, tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(tracing={"texts": False}), EXAMPLES[:2])
    asked = await query(tmp_path, "select question from candidates")
    answers = await query(tmp_path, "select answer from attempts")
    assert all(row["question"] not in service.sent for row in asked)
    assert all(row["answer"] not in service.sent for row in answers)
    assert all(set(run.get("outputs") or {}) <= {"usage_metadata"} for run in service.runs.values())
    assert len(service.of_kind("call")) > 10


# A dead endpoint


def results(session: Session) -> Any:
    return {name: rows for name, rows in session.tables.items() if name not in {"meta", "spans"}}


@pytest.mark.parametrize("death", ["refuses connections", "never answers", "refuses the key", "breaks"])
async def test_a_dead_endpoint_changes_no_run(
    death: str, service: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if death == "refuses connections":
        monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    service.silent = death == "never answers"
    service.refuses = {"refuses the key": 401, "breaks": 500}.get(death, 0)
    traced = await run_session(tmp_path / "traced", simulated(tracing={"exit_seconds": 0.2}), EXAMPLES)
    [note] = traced.outcome.notes
    assert "pieces of the trace were not sent" in note
    assert KEY not in note
    monkeypatch.delenv("LANGSMITH_API_KEY")
    alone = await run_session(tmp_path / "alone", simulated(), EXAMPLES)
    assert results(traced) == results(alone)
    assert traced.outcome.stopped == ""


@pytest.mark.parametrize("death", ["refuses connections", "never answers"])
async def test_a_dead_endpoint_holds_no_process(death: str, service: LangSmith, tmp_path: Path) -> None:
    """The command is given far less time than the client would take for its own attempts and time limits."""
    service.silent = True
    endpoint = service.url if death == "never answers" else "http://127.0.0.1:9"
    config = tmp_path / "autodata.toml"
    config.write_text(tomli_w.dumps(simulated(max_rounds=1, tracing={"exit_seconds": 0.2})), "utf-8")
    command = [sys.executable, "-c", "import autodata_launch; autodata_launch.main()", "run", "--config", str(config)]
    command += ["--documents", str(documents_folder()), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "LANGSMITH_API_KEY": KEY, "LANGSMITH_ENDPOINT": endpoint}

    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert "pieces of the trace were not sent" in " ".join(said.decode().split())
    assert "Traceback" not in said.decode()


# Datasets


async def test_pushing_twice_makes_no_duplicates(service: LangSmith, tmp_path: Path) -> None:
    await run_session(tmp_path / "first", simulated(tracing={"langsmith": False}), EXAMPLES)
    accepted = await query(tmp_path / "first", "select example from examples")
    assert accepted
    result = await asyncio.to_thread(invoke, "push", "langsmith", tmp_path / "first")
    assert result.exit_code == 0, result.output
    assert f"{len(accepted)} example" in result.stderr
    assert "LangSmith dataset autodata-first" in result.stderr
    before = dict(service.examples)
    again = await asyncio.to_thread(invoke, "push", "langsmith", tmp_path / "first")
    assert again.exit_code == 0, again.output
    assert f"0 examples pushed to LangSmith dataset autodata-first, {len(accepted)} were there already" in again.stderr
    assert service.examples == before
    assert len(service.datasets) == 1
    questions = {item["inputs"]["question"]: item for item in service.examples.values()}
    for row in accepted:
        example = json.loads(row["example"])
        pushed = questions[example["candidate"]["question"]]
        shown = [{name: item[name] for name in ("criterion", "weight")} for item in pushed["outputs"]["rubric"]]
        assert shown == [
            {name: item[name] for name in ("criterion", "weight")} for item in example["candidate"]["rubric"]
        ]
        assert pushed["metadata"]["id"] == example["example_id"]
        assert pushed["metadata"]["document_name"] == example["document_name"]
    other = await asyncio.to_thread(invoke, "push", "langsmith", tmp_path / "first", "--dataset", "other")
    assert other.exit_code == 0
    assert len(service.examples) == 2 * len(before)


async def test_a_push_that_cannot_be(service: LangSmith, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await run_session(tmp_path, simulated(max_rounds=1, tracing={"langsmith": False}), EXAMPLES[:1])
    assert "push to one of langsmith" in await asyncio.to_thread(refusal, "push", "nowhere", tmp_path)
    service.refuses = 401
    error = (await asyncio.to_thread(invoke, "push", "langsmith", tmp_path)).exception
    assert isinstance(error, RunFailed)
    assert "nothing is pushed twice" in str(error)
    assert KEY not in str(error)
    monkeypatch.delenv("LANGSMITH_API_KEY")
    error = (await asyncio.to_thread(invoke, "push", "langsmith", tmp_path)).exception
    assert isinstance(error, UserError)
    assert "export LANGSMITH_API_KEY" in str(error)


# Reading back


async def of_ledger(folder: Path) -> list[Failure]:
    rows = await query(
        folder,
        "select r.*, c.candidate from rounds r join documents d using (document_id) left join candidates c"
        " using (candidate_id) where r.outcome = 'rejected' order by d.rowid, r.n",
    )
    failures = []
    for row in rows:
        identity = row["round_id"]
        attempts = await query(
            folder, f"select * from attempts where round_id = '{identity}' order by stage = 'strong', idx"
        )
        exchanges = []
        for attempt in attempts:
            marks = await query(
                folder, f"select * from marks where attempt_id = '{attempt['attempt_id']}' order by criterion"
            )
            shown = tuple(
                {"criterion": m["text"], "weight": m["weight"], "met": bool(m["met"]), "reason": m["reason"]}
                for m in marks
            )
            exchanges.append(
                Exchange(attempt["attempt_id"], attempt["stage"], attempt["answer"], attempt["score_value"], shown)
            )
        failures.append(
            Failure(
                identity,
                row["document_id"],
                row["n"],
                row["failure_mode"],
                row["reason"],
                json.loads(row["candidate"]) if row["candidate"] else {},
                json.loads(row["quality"]) if row["quality"] else None,
                row["weak_mean"],
                row["strong_mean"],
                row["feedback"],
                tuple(exchanges),
            )
        )
    return failures


@pytest.mark.parametrize("query_v2", [True, False], ids=["a server of today", "an older server"])
async def test_failures_are_read_back_as_the_ledger_has_them(
    query_v2: bool, service: LangSmith, tmp_path: Path
) -> None:
    service.query_v2 = query_v2
    await run_session(tmp_path, simulated(max_rounds=5), EXAMPLES)
    rows = await query(tmp_path, "select document_id from documents order by rowid")
    documents = tuple(row["document_id"] for row in rows)
    expected = await of_ledger(tmp_path)
    assert Counter(failure.failure_mode for failure in expected).total() > 5
    assert any(failure.exchanges and failure.exchanges[0].marks for failure in expected)
    reader = LangSmithTrajectories("tests")
    assert await reader.failures("main", documents) == expected
    some = documents[1:3]
    assert await reader.failures("main", some) == [failure for failure in expected if failure.document_id in some]
    assert await reader.failures("another", documents) == []
    assert await LangSmithTrajectories("tests", run_id="another").failures("main", documents) == []
    asked = {name for name in service.requests if name.endswith("/runs/query")}
    assert asked == {"POST /api/v2/runs/query"} | (set() if query_v2 else {"POST /runs/query"})


async def test_a_project_that_cannot_be_read(service: LangSmith) -> None:
    with pytest.raises(RunFailed, match="LangSmith project 'missing' cannot be read"):
        await LangSmithTrajectories("missing").failures("main", ("a",))
