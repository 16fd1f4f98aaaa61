"""What calls took is reported wherever usage is shown: cached and reasoning tokens, and requests that may be billed."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from rich.console import Console

from autodata import open_run
from autodata.checkpoints.ids import document_id, normalise_text
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.usage import Usage
from autodata.cli.figures import summary_table
from autodata.cli.run import stopped_at_once
from autodata.cli.server_engine import _notes
from autodata.jobs.generate import agenerate, generate
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.runner.ingest import add_documents
from autodata.runner.remote import RemoteRun, RemoteRunner
from tests.graph.test_generate import EASY
from tests.graph.test_served_threads import Client, client, configure, paste
from tests.support.commands import parsed, printed
from tests.support.runs import generated

__all__ = ["client"]  # a fixture of the served threads

TEXTS = [document.text for document in generated(2)]
GIVEN: dict[str, Any] = {"progress": False, "max_rounds": 1, "preset": EASY}


class Reporting(SimulatedChatModel):
    """A simulated model that reports a quarter of each prompt as cached, and one token of each reply as reasoning."""

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        result = await super()._agenerate(messages, *args, **kwargs)
        message = result.generations[0].message
        assert isinstance(message, AIMessage)
        assert message.usage_metadata is not None
        usage: Any = {
            **message.usage_metadata,
            "input_token_details": {"cache_read": message.usage_metadata["input_tokens"] // 4},
            "output_token_details": {"reasoning": 1},
        }
        reported = message.model_copy(update={"usage_metadata": usage})
        return ChatResult(generations=[ChatGeneration(message=reported)])


class Endless(SimulatedChatModel):
    """A model that never answers. `asked` is set once it is asked."""

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        ASKED.set()
        await asyncio.Event().wait()
        raise AssertionError("never")


ASKED = asyncio.Event()


def test_cached_and_reasoning_tokens_are_shown_by_role_and_counted_once(tmp_path: Path) -> None:
    models: Any = {"default": Reporting(solver="strong"), "weak_solver": SimulatedChatModel(solver="weak")}
    run = tmp_path / "run"
    result = generate(TEXTS, **GIVEN, models=models, out=run)
    usage, by_role = result.usage, result.usage_by_role
    assert usage.tokens_reasoning == sum(used.calls for role, used in by_role.items() if role != "weak_solver") > 0
    assert usage.cached_share == pytest.approx(0.25, abs=0.01)
    assert by_role["weak_solver"].cached_share is None
    assert by_role["challenger"].cached_share == pytest.approx(0.25, abs=0.01)
    status = parsed("status", run, "--json")
    assert status["cached_share"] == usage.cached_share
    assert status["cached_share_by_role"] == {role: used.cached_share for role, used in sorted(by_role.items())}
    text = printed("status", run, columns=140)
    assert "cached" in text
    assert "25%" in text
    assert f"{usage.tokens_reasoning:,}" in text
    at_the_end = Console(width=140, file=io.StringIO(), record=True)
    at_the_end.print(summary_table(status))
    [line] = [row for row in at_the_end.export_text().splitlines() if "prompt tokens cached" in row]
    assert re.search(r"25%: .*\bchallenger 25%", line)
    assert "weak_solver" not in line  # its endpoint tells nothing of a cache
    assert generate(TEXTS, **GIVEN, models=models, out=run).usage == usage  # all of it is replayed, if anything
    assert open_run(run).usage == usage


def test_a_run_whose_endpoints_report_neither_shows_neither(tmp_path: Path) -> None:
    models: Any = {"default": "simulated:strong", "weak_solver": "simulated:weak"}
    result = generate(TEXTS[:1], **GIVEN, models=models, out=tmp_path / "run")
    assert (result.usage.cached_share, result.usage.tokens_reasoning) == (None, None)
    text = printed("status", tmp_path / "run", columns=140)
    assert "cached" not in text
    assert "reasoning" not in text


async def test_requests_of_a_run_that_is_stopped_at_once_are_reported_as_perhaps_billed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    ASKED.clear()
    task = asyncio.create_task(agenerate(TEXTS[:1], **GIVEN, models=Endless(solver="strong"), out=run))
    await ASKED.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    line = "1 request was called off and may be billed"
    status = await asyncio.to_thread(parsed, "status", run, "--json")
    assert (status["cancelled"], status["timed_out"], status["calls"]) == (1, 0, 0)
    assert line in await asyncio.to_thread(printed, "status", run, columns=140)
    assert (await asyncio.to_thread(open_run, run)).usage == Usage(0, 0, unanswered=1)
    assert str(await asyncio.to_thread(stopped_at_once, run)).endswith(f"({run}); {line}")
    document = document_id(normalise_text(TEXTS[0]))
    assert "may be billed" in await asyncio.to_thread(printed, "trace", run, document, columns=140)


def test_a_session_that_ended_before_there_was_a_ledger_has_nothing_to_report(tmp_path: Path) -> None:
    assert str(stopped_at_once(tmp_path / "run")).endswith(f"({tmp_path / 'run'})")


async def test_a_served_result_counts_requests_without_a_reply(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request of the challenger times out."""
    configure(client.folder, retries={"base_seconds": 0.0})
    answer = SimulatedChatModel._agenerate
    late: list[str] = []

    async def once_too_late(self: SimulatedChatModel, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        if not late:
            late.append("timed out")
            raise TimeoutError
        return await answer(self, messages, *args, **kwargs)

    monkeypatch.setattr(SimulatedChatModel, "_agenerate", once_too_late)
    values = await client.run(paste(), max_rounds=1, acceptance="meta")
    rows = {row["role"]: row for row in values["usage"]}
    assert late
    assert {role: row["timed_out"] for role, row in rows.items() if row["timed_out"]} == {"challenger": 1}
    assert sum((Usage.of_row(row) for row in rows.values()), Usage()).unanswered == 1
    assert {row["cached_share"] for row in rows.values()} == {None}


async def test_what_a_server_reports_of_usage_is_added_up_for_who_collects_it(tmp_path: Path) -> None:
    run = RemoteRun("self_instruct_cs", {}, concurrency=1)
    (document,) = generated(1)
    reported: dict[str, Any] = {"role": "challenger", "calls": 3, "tokens_in": 200, "tokens_out": 20, "cost_usd": None}
    reported |= {"tokens_cached": 50, "tokens_reasoning": 6, "cache_known_in": 100, "timed_out": 2, "cancelled": 1}
    older = {"role": "verifier", "calls": 1, "tokens_in": 10, "tokens_out": 1, "cost_usd": None}
    result = {"status": "rejected", "status_reason": "max_rounds", "history": [], "usage": [reported, older]}
    async with Ledger.open(tmp_path / "run.db") as ledger:
        await add_documents(ledger, [document])
        client: Any = None  # it is never asked
        runner = RemoteRunner(run, ledger, client, uuid4(), "http://127.0.0.1:1")
        await runner._collect({"document_id": document.document_id, "name": document.name}, result)
        assert runner.usage == Usage(210, 21, None, 4, 50, 6, 100, unanswered=3)
        [row] = await ledger.read("select status, status_reason, settled from documents")
        assert tuple(row.values()) == ("rejected", "max_rounds", 1)
        notes = _notes(runner, "http://127.0.0.1:1")
    assert "210 tokens in (50% of them cached) and 21 out" in notes[0]
    assert notes[1] == "3 more requests of theirs got no reply and may be billed"
