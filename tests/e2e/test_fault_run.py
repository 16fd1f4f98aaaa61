"""A run through 429s, 500s, resets and stalls while an endpoint dies: budgets hold, sums agree, documents end once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.ids import digest
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.queries.usage import charged, usage_of_all
from autodata.corpus.summary import summarise
from autodata.runner.document_runner import Runner
from autodata.runner.events import RunEvent
from tests.support.runs import Session, generated, identity, run_session, settings
from tests.support.server import Body, ChatServer

pytestmark = pytest.mark.enable_socket

DOCUMENTS = generated(10)
FAULTS = (("429", 15), ("500", 15), ("close", 4), ("stall", 3))
"""What requests meet besides replies, in percent."""
PRICES = {"price_in": 3.0, "price_out": 15.0}


class Rough(ChatServer):
    """Every request draws a fault of its own, and what replies took is kept by call."""

    def __init__(self) -> None:
        super().__init__()
        self.took: dict[str, tuple[int, int]] = {}

    def _fault(self, body: Body, call: str) -> str:
        if fault := super()._fault(body, call):
            return fault
        draw = int(digest([call, self._seen[call], body["seed"]]), 16) % 100
        for name, share in FAULTS:
            if (draw := draw - share) < 0:
                return name
        return ""

    def _completion(self, body: Body, messages: list[dict[str, str]], call: str) -> Body:
        made = super()._completion(body, messages, call)
        self.took[call] = made["usage"]["prompt_tokens"], made["usage"]["completion_tokens"]
        return made


@pytest.fixture
async def judge() -> AsyncIterator[Rough]:
    async with Rough() as running:
        yield running


@pytest.fixture
async def weak() -> AsyncIterator[Rough]:
    async with Rough() as running:
        yield running


def values(judge: Rough, weak: Rough, **budget: Any) -> dict[str, Any]:
    models: dict[str, dict[str, Any]] = {
        "default": {"timeout": 1.0, "max_tokens": 2048, **PRICES},
        "weak_solver": {"base_url": weak.base_url, **PRICES},
    }
    retries = {"base_seconds": 0, "max_attempts": 10, "pause_after": 4, "probes": 12}
    return settings(judge.base_url, models, retries=retries, max_rounds=3, budget=budget, concurrency=6)


async def require_sums(folder: Path, session: Session, *servers: Rough) -> tuple[int, float]:
    """Compare every figure with what the servers handed out; return tokens and money that count for a budget."""
    took = {call: usage for server in servers for call, usage in server.took.items()}
    replies = sum(server.statuses()[200] for server in servers)
    assert len(session.calls) == len({row["key"] for row in session.calls}) == replies
    for row in session.calls:
        assert (row["tokens_in"], row["tokens_out"]) == took[identity(row)]
    async with open_readonly(folder / "run.db") as ledger:
        used, counted, summary = await usage_of_all(ledger), await charged(ledger), await summarise(ledger)
        [late] = await ledger.read("select sum(charged_in + charged_out) as n, sum(charged_usd) as usd from timeouts")
    reported = tuple(sum(row[name] for row in session.calls) for name in ("tokens_in", "tokens_out"))
    assert (used["tokens_in"], used["tokens_out"]) == (summary["tokens_in"], summary["tokens_out"]) == reported
    assert used["calls"] == summary["calls"] == replies
    tokens: int = sum(row["tokens_in"] + row["tokens_out"] for row in counted)
    assert tokens == sum(reported) + (late["n"] or 0)
    usd = sum(row["usd"] for row in counted)
    spent = (reported[0] * PRICES["price_in"] + reported[1] * PRICES["price_out"]) / 1e6
    assert usd == pytest.approx(spent + (late["usd"] or 0.0))
    return tokens, usd


def require_once(session: Session) -> None:
    """Every document that ended did so once: one example where it was accepted, none elsewhere."""
    examples = Counter(json.loads(json.dumps(row))[1] for row in session.tables["examples"])
    assert len(session.tables["examples"]) == sum(row["status"] == "accepted" for row in session.documents.values())
    assert all(count == 1 for count in examples.values())


async def test_a_run_through_faults_and_a_death_is_taken_up_and_adds_up(
    judge: Rough, weak: Rough, tmp_path: Path
) -> None:
    def die(runner: Runner, event: RunEvent) -> None:
        if len(weak.requests) > 40:
            weak.switches = weak.switches.model_copy(update={"always": "close"})

    first = await run_session(tmp_path, values(judge, weak), DOCUMENTS, die)
    assert first.outcome.failed
    assert weak.base_url.removeprefix("http://").removesuffix("/v1") in first.outcome.stopped
    assert set(first.statuses) <= {"accepted", "rejected", "pending"}
    assert "pending" in first.statuses
    require_once(first)
    await require_sums(tmp_path, first, judge, weak)
    weak.switches = weak.switches.model_copy(update={"always": ""})
    second = await run_session(tmp_path, values(judge, weak), DOCUMENTS)
    assert set(second.statuses) <= {"accepted", "rejected"}
    assert not second.outcome.errored
    require_once(second)
    await require_sums(tmp_path, second, judge, weak)
    for server in (judge, weak):
        met = server.statuses()
        assert min(met[429], met[500], met[0]) > 0
    assert judge.statuses()[-1] + weak.statuses()[-1] > 0


@pytest.mark.parametrize(
    "bound", [{"max_tokens": 60_000}, {"max_calls": 45}, {"max_usd": 0.4}], ids=["tokens", "calls", "money"]
)
async def test_no_budget_is_passed_through_faults(
    bound: dict[str, float], judge: Rough, weak: Rough, tmp_path: Path
) -> None:
    session = await run_session(tmp_path, values(judge, weak, **bound), DOCUMENTS)
    assert "is spent" in session.outcome.stopped or "left, and the next call" in session.outcome.stopped
    tokens, usd = await require_sums(tmp_path, session, judge, weak)
    assert tokens <= bound.get("max_tokens", tokens)
    assert usd <= bound.get("max_usd", usd) + 1e-9
    assert len(session.calls) <= bound.get("max_calls", len(session.calls))
    require_once(session)
