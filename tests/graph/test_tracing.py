"""The run tree in the ledger, and `autodata trace` over it, on real runs of the simulated model."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from rich.console import Console

from autodata.checkpoints.ledger import Ledger, open_readonly
from autodata.checkpoints.records import Document
from autodata.cli.waterfall import draw, duration
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.tracing.redact import Redactor
from autodata.tracing.spans import Score, Span
from autodata.tracing.tracer import Tracer
from tests.graph.support import Bench
from tests.graph.test_runner import QUICK
from tests.support.commands import invoke, parsed, printed, refusal, words
from tests.support.runs import run_session

EXAMPLES = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]
DRAWN = "concrete-curing.md"
TRACED = QUICK


def simulated(**changes: Any) -> dict[str, Any]:
    models: dict[str, Any] = {"default": {"provider": "simulated", "model": "strong"}}
    models["default"] |= {"price_in": 2.0, "price_out": 8.0}
    models["weak_solver"] = {"model": "weak", "price_in": 1.0, "price_out": 1.0}
    faults = {"malformed": 0.2, "truncated": 0.2, "rate_limited": 0.2, **changes.pop("faults", {})}
    retries = {"base_seconds": 0, "unusable_tries": 8}
    return {
        "domain": "cs",
        "max_rounds": 4,
        "models": models,
        "simulated": {"faults": faults},
        "retries": retries,
    } | changes


async def query(folder: Path, sql: str) -> list[dict[str, Any]]:
    async with open_readonly(folder / "run.db") as ledger:
        return await ledger.read(sql)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced") / "run"
    assert not asyncio.run(run_session(folder, simulated(), TRACED)).outcome.stopped
    return folder


def flat(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [node for top in nodes for node in (top, *flat(top["children"]))]


# The tree


async def test_the_tree_has_every_round_and_every_call(run: Path) -> None:
    spans = {row["span_id"]: row for row in await query(run, "select * from spans")}
    above = {"document": None, "round": "document", "node": "round", "call": "node"}
    for span in spans.values():
        parent = spans.get(span["parent_id"])
        assert (parent and parent["kind"]) == above[span["kind"]]
        assert span["ended"] >= span["started"]
        if parent:
            assert parent["started"] <= span["started"]
            assert span["ended"] <= parent["ended"]
        if span["kind"] == "call":
            assert parent
            assert (span["n"], span["thread_id"]) == (parent["n"], parent["thread_id"])
            assert (parent["name"] == "verifier") == (span["role"] == "verifier")
    calls = {row["key"]: row for row in await query(run, "select * from calls")}
    of_calls = {span["call_key"]: span for span in spans.values() if span["kind"] == "call"}
    assert set(of_calls) == set(calls)
    for key, row in calls.items():
        span = of_calls[key]
        for name in ("role", "idx", "n", "try", "epoch", "model", "tokens_in", "tokens_out", "cost_usd", "document_id"):
            assert span[name] == row[name], name
    rounds = {(row["thread_id"], row["n"]): row for row in await query(run, "select * from rounds")}
    of_rounds = {(span["thread_id"], span["n"]): span for span in spans.values() if span["kind"] == "round"}
    assert set(of_rounds) == set(rounds)
    for place, row in rounds.items():
        assert of_rounds[place]["outcome"] == (row["failure_mode"] or "accepted")
    assert len([span for span in spans.values() if span["kind"] == "document"]) == len(TRACED)


async def test_what_went_wrong_with_calls_is_in_it(run: Path) -> None:
    [found] = await query(
        run,
        "select sum(status = 'unusable') as unusable, sum(outcome = 'cut off') as cut, sum(requests > 1) as repeated,"
        " sum(try > 0) as again, sum(error != '') as with_error from spans where kind = 'call'",
    )
    [journal] = await query(run, "select sum(finish_reason = 'length') as cut, sum(try > 0) as again from calls")
    assert found["cut"] == journal["cut"] > 0
    assert found["again"] == journal["again"] == found["unusable"] == found["with_error"] > 0
    assert found["repeated"] > 0


@pytest.mark.slow
async def test_a_session_that_is_stopped_and_one_that_goes_on(tmp_path: Path) -> None:
    def stop(runner: Any, event: Any) -> None:
        if event.event == "verdict":
            runner.drain("enough", failed=True)

    await run_session(tmp_path, simulated(seed=1), EXAMPLES[:1], stop)
    await run_session(tmp_path, simulated(seed=1), EXAMPLES[:1])
    sessions = await query(tmp_path, "select * from spans where kind = 'document' order by started")
    assert [row["status"] for row in sessions] == ["stopped", "ok"]
    rounds = await query(tmp_path, "select * from spans where kind = 'round' and n = 1 order by started")
    assert [row["status"] for row in rounds] == ["stopped", "ok"]
    assert rounds[0]["outcome"] == ""
    calls = await query(tmp_path, "select call_key from spans where kind = 'call' and replayed = 0")
    assert len(calls) == len(await query(tmp_path, "select key from calls"))


async def test_a_document_that_errored_says_so(tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(faults={"malformed": 1.0}, retries={"unusable_tries": 2}), EXAMPLES[:1])
    await run_session(tmp_path, simulated(faults={"malformed": 1.0}, retries={"unusable_tries": 2}), EXAMPLES[:1])
    sessions = await query(tmp_path, "select * from spans where kind = 'document' order by started")
    assert [(row["status"], row["epoch"]) for row in sessions] == [("error", 0), ("error", 1)]
    assert all("no usable reply" in row["error"] for row in sessions)
    calls = await query(tmp_path, "select replayed, epoch from spans where kind = 'call' order by started")
    assert [(row["replayed"], row["epoch"]) for row in calls] == [(0, 0), (0, 0), (1, 0), (1, 0), (0, 1), (0, 1)]
    shown = words(await asyncio.to_thread(printed, "trace", tmp_path, DRAWN, "--calls", columns=120))
    assert "epoch 1, errored" in shown
    assert "from the journal" in shown


@pytest.mark.slow
async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    off = await run_session(tmp_path / "off", simulated(tracing={"local": False}), EXAMPLES[:2])
    assert await query(tmp_path / "off", "select * from spans") == []
    on = await run_session(tmp_path / "on", simulated(), EXAMPLES[:2])
    assert off.tables == on.tables
    said = await asyncio.to_thread(refusal, "trace", tmp_path / "off", DRAWN)
    assert "tracing.local = false" in said


@pytest.mark.slow
async def test_a_defect_of_the_tracer_fails_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = await run_session(tmp_path / "sound", simulated(), EXAMPLES[:2])

    def broken(*anything: Any) -> Any:
        raise RuntimeError("a defect")

    for name in ("_named", "_keep", "_brief", "_begun"):
        monkeypatch.setattr(Tracer, name, broken)
        session = await run_session(tmp_path / name, simulated(), EXAMPLES[:2])
        assert session.tables == sound.tables, name


class Broken:
    """An exporter that raises wherever it can."""

    name = "Broken"

    def started(self, span: Span) -> None:
        raise OSError("no room left for sk-0123456789abcdef0123")

    def ended(self, span: Span) -> None:
        raise OSError("no room left")

    def scored(self, span: Span, score: Score) -> None:
        raise OSError("no room left")

    def close(self, seconds: float) -> str:
        raise RuntimeError("closed already")


class Counting:
    name = "Counting"

    def __init__(self) -> None:
        self.open: set[UUID] = set()
        self.ends = 0

    def started(self, span: Span) -> None:
        self.open.add(span.span_id)

    def ended(self, span: Span) -> None:
        self.open.discard(span.span_id)
        self.ends += 1

    def scored(self, span: Span, score: Score) -> None:
        """Leave it."""

    def close(self, seconds: float) -> str:
        return "counted"


async def test_an_exporter_that_raises_is_reported_at_the_end_and_fails_neither_run_nor_others(tmp_path: Path) -> None:
    counting = Counting()
    async with Ledger.open(tmp_path / "run.db") as ledger:
        tracer = Tracer(ledger, Redactor(), exporters=[Broken(), counting], exit_seconds=30.0)
        with tracer.document("main/d", EXAMPLES[0]):
            pass
        await tracer.close()
    assert (counting.open, counting.ends) == (set(), 1)
    [counted, broken] = tracer.notes
    assert counted == "counted"
    assert broken == ("Broken: 3 pieces of the trace were lost (no room left for [redacted]); the run itself is whole")


async def test_turning_it_off_and_on_is_no_other_configuration(tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(max_rounds=1), EXAMPLES[:1])
    changed = {"local": False, "redact": ["secret"], "otel_endpoint": "http://127.0.0.1:4318/v1/traces"}
    await run_session(tmp_path, simulated(max_rounds=1, tracing=changed), EXAMPLES[:1])


async def test_an_application_around_the_graph_can_filter_its_own_traces_by_the_calls() -> None:
    seen: list[dict[str, Any]] = []

    class Watching(BaseCallbackHandler):
        run_inline = True

        def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
            seen.append({"name": more["name"], "tags": more["tags"], **more["metadata"]})

    bench = Bench()
    bench.config["callbacks"] = [Watching()]
    await bench.run()
    journal = bench.rows("calls")
    assert len(seen) == len(journal)
    for row in journal:
        [found] = [one for one in seen if one["call_key"] == row["key"]]
        assert found["name"] == row["role"]
        assert f"role:{row['role']}" in found["tags"]
        expected = {"thread": row["thread_id"], "document_id": row["document_id"], "round": row["n"]}
        expected |= {"node": row["node"], "role": row["role"], "attempt": row["idx"]}
        expected |= {"role_prompt_version": row["prompt_version"]}
        assert expected.items() <= found.items()


# The command


def test_the_waterfall_of_a_document(run: Path) -> None:
    text = printed("trace", run, DRAWN, columns=120)
    found = parsed("trace", run, DRAWN, "--json")
    [session] = found["spans"]
    lines = [line.split("█")[0].strip() for line in text.splitlines() if "█" in line]
    nodes = [span for span in flat(session["children"]) if span["kind"] != "call"]
    assert lines == [span["name"].replace("_", " ") for span in nodes]
    calls = [span for span in flat([session]) if span["kind"] == "call"]
    assert f"{len(calls)} calls" in text
    assert f"{sum(span['tokens_in'] for span in calls):,} tokens in" in text
    assert f"${sum(span['cost_usd'] for span in calls):.4f}" in text
    assert "in 1 session" in text
    for span in nodes:
        if span["kind"] == "round":
            assert span["outcome"].replace("_", " ") in text
    assert max(map(len, text.splitlines())) <= 120
    assert "\x1b" not in text


def test_every_call_is_shown_when_asked_for(run: Path) -> None:
    text = words(printed("trace", run, DRAWN, "--calls", columns=200))
    [session] = parsed("trace", run, DRAWN, "--json")["spans"]
    calls = [span for span in flat([session]) if span["kind"] == "call"]
    unusable = sum(span["status"] == "unusable" for span in calls)
    assert text.count("unusable") == unusable > 0
    assert text.count("cut off") == sum(span["outcome"] == "cut off" for span in calls)
    assert text.count("repeated") == sum(span["requests"] > 1 for span in calls) > 0
    scored = [span for span in calls if span.get("score") is not None]
    assert text.count("scored") == len(scored) > 0
    assert f"scored {scored[0]['score']:.2f}" in text
    assert "attempt 3" in text
    assert "mark weak 1" in text


def test_one_round(run: Path) -> None:
    [session] = parsed("trace", run, DRAWN, "--round", "2", "--json")["spans"]
    assert {span["n"] for span in flat(session["children"])} == {2}
    text = printed("trace", run, DRAWN, "--round", "2")
    assert "round 2" in text
    assert "round 1" not in text.splitlines()[5:]
    assert "its rounds are 1, 2" in refusal("trace", run, DRAWN, "--round", "99")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_it_fits_the_terminal(run: Path, columns: int) -> None:
    text = printed("trace", run, DRAWN, "--calls", columns=columns)
    assert max(map(len, text.splitlines())) <= columns
    assert text.count("█") > 20


def test_the_page(run: Path, tmp_path: Path) -> None:
    result = invoke("trace", run, DRAWN, "--html", tmp_path / "trace.html")
    assert result.exit_code == 0
    page = (tmp_path / "trace.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "round 1" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "choose another --html FILE" in refusal("trace", run, DRAWN, "--html", tmp_path / "no" / "trace.html")


def test_a_document_that_is_not_there(run: Path) -> None:
    assert "has no document 'nothing'" in refusal("trace", run, "nothing")
    assert "name a document: list all with 'autodata show" in refusal("trace", run)
    assert "only a search has evaluations" in refusal("trace", run, DRAWN, "--evaluation", "train")


async def test_a_document_that_was_not_taken_up(tmp_path: Path) -> None:
    await run_session(tmp_path, simulated(limit=1, max_rounds=1), EXAMPLES)
    names = {row["name"] for row in await query(tmp_path, "select name from documents where status = 'pending'")}
    said = await asyncio.to_thread(refusal, "trace", tmp_path, min(names))
    assert "not taken up yet" in said


@pytest.mark.slow
def test_texts_of_strangers_do_not_command_the_terminal(run: Path) -> None:
    found = parsed("trace", run, DRAWN, "--json")
    [session] = found["spans"]
    session["children"][0]["children"][0]["error"] = "\x1b[2Jgone"
    out = Console(file=io.StringIO(), width=100, markup=False, highlight=False)
    draw(out, {**found, "name": "\x1b]0;x.md"}, [session], calls=True)
    assert isinstance(out.file, io.StringIO)
    assert "\x1b" not in out.file.getvalue()
    assert "gone" in out.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "shown_as"),
    [(0.0004, "0 ms"), (0.085, "85 ms"), (3.21, "3.2 s"), (59.94, "59.9 s"), (245, "4m 05s"), (7800, "2h 10m")],
)
def test_durations(seconds: float, shown_as: str) -> None:
    assert duration(seconds) == shown_as
