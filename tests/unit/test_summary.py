"""The summary of a ledger made by hand: every number can be checked with the eye."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.ledger import Ledger, open_readonly
from autodata.checkpoints.queries.usage import usage_by_role, usage_of_all
from autodata.checkpoints.records import FailureMode
from autodata.cli.figures import calls_table, repeated_questions
from autodata.corpus.signals import signals
from autodata.corpus.summary import summarise
from tests.support.commands import printed, words

STATUSES = ["accepted", "accepted", "accepted", "rejected", "rejected", "skipped", "errored", "pending"]
ROUNDS_OF = [1, 4, 2, 5, 5, 0, 3, 1]


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with Ledger.open(tmp_path / "run.db") as opened:
        yield opened


def a_round(n: int, outcome: str, failure_mode: str | None = None) -> dict[str, Any]:
    row = {"round_id": f"r{n}", "document_id": "d0", "thread_id": "main/d0", "n": n}
    return row | {"outcome": outcome, "failure_mode": failure_mode, "weak_mean": 0.99, "gap": 0.01}


def an_attempt(n: int, truncated: bool) -> dict[str, Any]:
    row = {"attempt_id": f"a{n}", "round_id": "r1", "candidate_id": "c", "stage": "weak", "idx": n, "answer": "x"}
    return row | {"truncated": truncated}


def a_call(n: int, role: str, tokens_in: int | None, tokens_out: int | None, cost: float | None) -> dict[str, Any]:
    row = {"key": f"k{n}", "role": role, "model": "m", "response": "x", "created_at": "2030-01-01T00:00:00Z"}
    return row | {"tokens_in": tokens_in, "tokens_out": tokens_out, "cost_usd": cost}


def unanswered(n: int, role: str) -> dict[str, Any]:
    return {"timeout_id": f"t{n}", "role": role, "model": "m", "created_at": "2030-01-01T00:00:00Z"}


def an_example(n: int, weak: float | None, strong: float | None, gap: float | None) -> dict[str, Any]:
    row = {"example_id": f"e{n}", "document_id": f"d{n}", "round_id": "r1", "example": {}, "rounds": 1}
    return row | {"weak_mean": weak, "strong_mean": strong, "gap": gap}


async def test_every_number(ledger: Ledger, tmp_path: Path) -> None:
    await ledger.save(
        documents=[
            {"document_id": f"d{i}", "name": f"{i}.md", "status": status, "rounds": rounds}
            for i, (status, rounds) in enumerate(zip(STATUSES, ROUNDS_OF, strict=True))
        ],
        rounds=[
            a_round(1, "accepted"),
            a_round(2, "rejected", "too_easy"),
            a_round(3, "rejected", "too_easy"),
            a_round(4, "rejected", "final_check"),
            a_round(5, "open"),
            a_round(6, "open", "gap_too_small"),
        ],
        attempts=[an_attempt(0, truncated=True), an_attempt(1, truncated=False), an_attempt(2, truncated=True)],
        calls=[
            a_call(1, "weak_solver", 10, 20, 0.25) | {"tokens_cached": 1},
            a_call(2, "challenger", 100, 200, 0.5) | {"tokens_cached": 40, "tokens_reasoning": 160},
            a_call(3, "weak_solver", 1, None, None),
            a_call(4, "verifier", None, 2, None),
            a_call(5, "weak_solver", 1000, 2000, 0.0) | {"tokens_cached": 0},
        ],
        timeouts=[
            unanswered(1, "weak_solver"),
            unanswered(2, "quality_verifier"),
            unanswered(3, "quality_verifier") | {"cause": "cancelled"},
        ],
        examples=[
            an_example(0, 0.25, 0.75, 0.5),
            an_example(1, 0.5, 1.0, 0.5),
            an_example(2, None, 0.5, None),
        ],
    )
    expected = {
        "documents": 8,
        "accepted": 3,
        "rejected": 2,
        "skipped": 1,
        "errored": 1,
        "pending": 1,
        "waiting": 0,
        "dropped": 0,
        "target": None,
        "surplus": 0,
        "errors": [{"cause": "", "documents": ["6.md"]}],
        "rounds": 4,
        "calls": 5,
        "calls_by_role": {"challenger": 1, "verifier": 1, "weak_solver": 3},
        "tokens_in": 1111,
        "tokens_out": 2222,
        "tokens_cached": 41,
        "tokens_reasoning": 160,
        "cached_share": pytest.approx(41 / 1110),
        "cached_share_by_role": {
            "challenger": pytest.approx(0.4),
            "quality_verifier": None,
            "verifier": None,
            "weak_solver": pytest.approx(1 / 1010),
        },
        "cost_usd": 0.75,
        "timed_out": 2,
        "cancelled": 1,
        "truncated": 2,
        "failure_modes": {
            "malformed_candidate": 0,
            "duplicate_question": 0,
            "failed_quality_check": 0,
            "too_easy": 2,
            "degenerate_weak": 0,
            "failed_on_strong": 0,
            "saturated_strong": 0,
            "gap_too_small": 0,
            "post_filter": 0,
            "sent_back_by_judge": 0,
            "final_check": 1,
            "rejected_by_reviewer": 0,
            "not_confirmed": 0,
        },
        "weak_mean": 0.375,
        "strong_mean": 0.75,
        "gap_mean": 0.5,
        "confirmed": None,
        "audited": None,
        "rounds_per_accepted": pytest.approx(7 / 3),
        "calls_per_accepted": pytest.approx(5 / 3),
        "stopping": None,
        "awaiting_review": 0,
        "shared_questions": [],
        "labels": {"approve": 0, "edit": 0, "reject": 0},
        **await signals(ledger),
        "endpoints": {},
    }
    summary = await summarise(ledger)
    assert summary == expected
    assert list(summary) == list(expected)
    assert list(summary["calls_by_role"]) == ["challenger", "verifier", "weak_solver"]
    async with open_readonly(tmp_path / "run.db") as reader:
        assert await summarise(reader) == expected


async def test_an_empty_ledger(ledger: Ledger) -> None:
    summary = await summarise(ledger)
    nulls = {key for key, value in summary.items() if value is None}
    means = {"weak_mean", "strong_mean", "gap_mean"}
    reported = {"tokens_cached", "tokens_reasoning", "cached_share"}
    assert nulls == means | reported | {
        "cost_usd",
        "rounds_per_accepted",
        "calls_per_accepted",
        "target",
        "confirmed",
        "audited",
        "stopping",
    }
    assert summary["cached_share_by_role"] == {}
    assert summary["calls_by_role"] == {}
    assert summary["failure_modes"] == dict.fromkeys([mode.value for mode in FailureMode], 0)
    found = await signals(ledger)
    assert {key: summary[key] for key in found} == found
    assert summary["labels"] == dict.fromkeys(("approve", "edit", "reject"), 0)
    assert summary["shared_questions"] == []
    assert summary["errors"] == []
    assert summary["endpoints"] == {}
    tables = {"calls_by_role", "cached_share_by_role", "failure_modes", "labels", "shared_questions", "errors"}
    tables |= {"endpoints"}
    assert all(summary[key] == 0 for key in summary.keys() - nulls - tables - found.keys())


async def test_free_calls_cost_nothing_and_unpriced_ones_cost_null(ledger: Ledger) -> None:
    await ledger.save(calls=[a_call(1, "weak_solver", 1, 1, None)])
    assert (await summarise(ledger))["cost_usd"] is None
    await ledger.save(calls=[a_call(2, "weak_solver", 1, 1, 0.0)])
    assert (await summarise(ledger))["cost_usd"] == 0.0


async def test_calls_without_a_price_are_named_where_others_have_one(ledger: Ledger) -> None:
    async def caption() -> str:
        used = await usage_of_all(ledger)
        return str(calls_table(used, await usage_by_role(ledger)).caption or "")

    await ledger.save(calls=[a_call(1, "weak_solver", 1, 1, None), a_call(2, "editor", 1, 1, None)])
    assert await caption() == "", "without any price the table says so itself"
    await ledger.save(calls=[a_call(3, "analyst", 1, 1, 0.5)], timeouts=[unanswered(1, "challenger")])
    assert await caption() == "no price is set for editor, weak_solver: the cost of all lacks their calls"
    await ledger.save(calls=[a_call(4, "editor", 1, 1, 0.5), a_call(5, "editor", None, None, None)])
    assert await caption() == (
        "no price is set for weak_solver: the cost of all lacks their calls;"
        " 2 of the calls of editor carry no price: the cost lacks them"
    )


async def test_curtailed_examples_have_no_means(ledger: Ledger) -> None:
    await ledger.save(
        documents=[{"document_id": "d0", "name": "a.md", "status": "accepted", "rounds": 2}],
        rounds=[a_round(1, "accepted")],
        examples=[an_example(0, None, None, None)],
    )
    summary = await summarise(ledger)
    assert (summary["weak_mean"], summary["strong_mean"], summary["gap_mean"]) == (None, None, None)
    assert (summary["rounds_per_accepted"], summary["calls_per_accepted"]) == (2.0, 0.0)


@pytest.mark.parametrize("with_keys", [True, False], ids=["keys", "an earlier version's rows"])
async def test_questions_that_several_documents_share(ledger: Ledger, with_keys: bool, tmp_path: Path) -> None:
    """By key where the example has one, else by the text; a document is never named for itself alone."""
    asked = {"d0": "Why?", "d1": "How?", "d2": "WHY? ", "d3": "How?", "d4": "When?", "d5": "How?"}
    await ledger.save(
        documents=[{"document_id": key, "name": f"{key}.md", "status": "accepted"} for key in asked],
        candidates=[
            {"candidate_id": f"c{key}", "question": question, "reference_answer": "", "candidate": {}}
            for key, question in asked.items()
        ],
        rounds=[a_round(int(key[1]), "accepted") | {"document_id": key, "candidate_id": f"c{key}"} for key in asked],
        examples=[
            {"example_id": f"e{key}", "document_id": key, "round_id": f"r{key[1]}", "example": {}, "rounds": 1}
            | ({"question_key": question.strip().lower()} if with_keys else {})
            for key, question in asked.items()
        ],
    )
    shared = (await summarise(ledger))["shared_questions"]
    assert [row["documents"] for row in shared] == [["d0.md", "d2.md"], ["d1.md", "d3.md", "d5.md"]]
    assert [row["question"].strip().lower() for row in shared] == ["why?", "how?"]
    said = "2 questions came from several documents: "
    assert repeated_questions(shared).startswith(said)
    assert '"How?" from d1.md, d3.md, d5.md' in repeated_questions(shared)
    assert said in words(await asyncio.to_thread(printed, "status", tmp_path))


def test_many_shared_questions_are_named_in_part() -> None:
    shared = [{"question": f"{k} " + "x" * 200, "documents": [f"{n}.md" for n in range(9)]} for k in range(5)]
    line = repeated_questions(shared)
    assert line.startswith("5 questions came from several documents: ")
    assert line.endswith("; and 2 more")
    assert line.count("and 6 more") == 3
    assert len(line) < 500
