"""OpenTelemetry export to a stand-in collector: the real exporter, over real HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.records import Document
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.tracing.otel import OtelExporter
from autodata.tracing.redact import Redactor
from tests.support.collector import Collector
from tests.support.runs import run_session

pytestmark = pytest.mark.enable_socket

EXAMPLES = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]
CLIENT, INTERNAL, ERROR = 3, 1, 2


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector() as running:
        yield running


def simulated(endpoint: str | None, **tracing: Any) -> dict[str, Any]:
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    tracing = {"otel": True, "otel_endpoint": endpoint, "exit_seconds": 30.0, **tracing}
    return {"domain": "cs", "max_rounds": 3, "models": models, "tracing": tracing}


async def query(folder: Path, sql: str) -> list[dict[str, Any]]:
    async with open_readonly(folder / "run.db") as ledger:
        return await ledger.read(sql)


async def test_spans_carry_the_attributes_of_the_conventions(collector: Collector, tmp_path: Path) -> None:
    session = await run_session(tmp_path, simulated(collector.url), EXAMPLES)
    assert session.outcome.notes == []
    spans = {span["attributes"].get("autodata.call_key"): span for span in collector.spans}
    for row in session.calls:
        span = spans[row["key"]]
        found = span["attributes"]
        assert span["name"] == f"chat {row['model']}"
        assert span["kind"] == CLIENT
        assert found["gen_ai.operation.name"] == "chat"
        assert found["gen_ai.provider.name"] == "simulated"
        assert found["gen_ai.request.model"] == row["model"]
        assert found["gen_ai.usage.input_tokens"] == row["tokens_in"]
        assert found["gen_ai.usage.output_tokens"] == row["tokens_out"]
        assert found["gen_ai.response.finish_reasons"] == [row["finish_reason"]]
        [reply] = json.loads(found["gen_ai.output.messages"])
        assert reply["parts"][0]["content"] == row["response"]
        assert json.loads(found["gen_ai.input.messages"])[-1]["role"] == "user"
        assert (found["autodata.role"], found["autodata.round"]) == (row["role"], row["n"])
    [resource] = {json.dumps(resource, sort_keys=True) for resource in collector.resources}
    assert json.loads(resource)["service.name"] == "autodata"
    assert collector.requests * 10 < len(collector.spans)


async def test_the_tree_is_that_of_the_ledger(collector: Collector, tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(collector.url), EXAMPLES)
    kept = await query(tmp_path, "select kind, parent_id is null as root from spans")
    assert len(collector.spans) == len(kept)
    known = {span["span_id"]: span for span in collector.spans}
    assert len(known) == len(kept)
    assert sum(not span["parent_id"] for span in collector.spans) == sum(row["root"] for row in kept) == len(EXAMPLES)
    for span in collector.spans:
        assert span["end"] >= span["start"]
        if span["parent_id"]:
            assert known[span["parent_id"]]["trace_id"] == span["trace_id"]
            assert known[span["parent_id"]]["start"] <= span["start"]


async def test_scores_are_events_of_rounds(collector: Collector, tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(collector.url), EXAMPLES)
    for row in await query(tmp_path, "select * from rounds where outcome != 'open'"):
        [span] = [s for s in collector.spans if s["attributes"].get("autodata.round_id") == row["round_id"]]
        events = {event["gen_ai.evaluation.name"]: event for event in span["events"]}
        assert {event["name"] for event in span["events"]} == {"gen_ai.evaluation.result"}
        assert events["verdict"]["gen_ai.evaluation.score.label"] == (row["failure_mode"] or "accepted")
        if row["weak_mean"] is not None:
            assert events["weak_mean"]["gen_ai.evaluation.score.value"] == pytest.approx(row["weak_mean"])
        scored = await query(tmp_path, f"select * from attempts where round_id = '{row['round_id']}'")
        for attempt in scored:
            event = events[f"score_{attempt['stage']}_{attempt['idx']}"]
            assert event["gen_ai.evaluation.score.value"] == pytest.approx(attempt["score_value"])


async def test_the_standard_variables_name_the_collector(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.removesuffix("/v1/traces"))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=station-four-of-delft")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "pumps")
    await run_session(tmp_path, simulated(None), EXAMPLES[:1])
    assert collector.resources[0]["service.name"] == "pumps"
    assert collector.headers[0]["x-team"] == "station-four-of-delft"


async def test_keys_and_patterns_are_blacked_out(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "station-key-of-the-second-feeder")
    text = EXAMPLES[0].text + "\n\nIts key is station-key-of-the-second-feeder, for patient 4711-22."
    document = EXAMPLES[0].model_copy(update={"text": text, "title": "Patient 4711-22"})
    await run_session(tmp_path, simulated(collector.url, redact=[r"\b\d{4}-\d{2}\b"]), [document])
    sent = b"".join(collector.bodies)
    assert b"Its key is [redacted], for patient [redacted]." in sent
    assert b"station-key" not in sent
    assert b"4711-22" not in sent


async def test_texts_may_stay_at_home(collector: Collector, tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(collector.url, texts=False), EXAMPLES[:1])
    answers = await query(tmp_path, "select answer from attempts")
    sent = b"".join(collector.bodies)
    assert answers
    assert all(row["answer"].encode() not in sent for row in answers)
    assert not any(".messages" in name for span in collector.spans for name in span["attributes"])


@pytest.mark.parametrize("death", ["refuses connections", "never answers"])
async def test_a_dead_collector_changes_no_run(death: str, collector: Collector, tmp_path: Path) -> None:
    collector.silent = True
    endpoint = collector.url if death == "never answers" else "http://127.0.0.1:9/v1/traces"
    traced = await run_session(tmp_path / "traced", simulated(endpoint, exit_seconds=0.2), EXAMPLES)
    [note] = traced.outcome.notes
    assert "spans were not sent" in note
    alone = await run_session(tmp_path / "alone", simulated(None, otel=False), EXAMPLES)
    for name in ("documents", "rounds", "attempts", "marks", "verdicts", "calls", "examples"):
        assert traced.tables[name] == alone.tables[name], name


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(UserError, match=r"pip install 'autodata-langgraph\[otel\]'"):
        OtelExporter(Redactor())
