"""Every function of `checkpoints/writes` writes what it is given in one transaction, and twice without harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from autodata.checkpoints import writes
from autodata.checkpoints.ledger import MemoryLedger
from autodata.checkpoints.lessons import Batch, BatchFigures, Lesson, Steer
from autodata.checkpoints.records import Document, DocumentStatus, Skipped
from autodata.checkpoints.usage import Usage
from tests.unit import test_writes as of_the_loop

HEAD = writes.EvaluationHead("validate-p-b0", "p", "validate", 0)
TRIED = [
    writes.TriedDocument("d", DocumentStatus.ACCEPTED, 2, 9),
    writes.TriedDocument("e", DocumentStatus.ERRORED, 0, 1),
]
ENDED = writes.EndedIteration(1, "accepted", "0.5 against 0.4", "iteration 1", "m", 0.4, 0.5, True, "2026")
FORK = writes.Fork("1", "d", "main/d", "r", 2, "forks/1", "feedback", "Harder.", "2026")
CALL = writes.PaidCall(
    key="k",
    document_id="d",
    thread_id="main/d",
    n=1,
    role="judge",
    node="verifier",
    index="weak/0",
    number=1,
    epoch=2,
    model="m",
    params={"seed": 7},
    messages_hash="h",
    prompt_version="v",
    response="Yes.",
    finish_reason="stop",
    reported=Usage(10, 2, 0.5, 1, 4, 1, 10),
    charged=Usage(10, 2, 0.5),
    seconds=1.23456,
)
LATE = writes.UnansweredRequest("t", "k", "d", "main/d", "judge", "m", "cancelled", Usage(10, 4096, 0.25))
LESSON = Lesson(lesson_id="L1", text="Ask deeper.", evidence=("main/d/1/c",), figures={"accepted": 1}, batch=1)
RESULT: dict[str, Any] = {
    "status": "accepted",
    "history": [
        {
            "round_id": "r2",
            "n": 1,
            "outcome": "accepted",
            "kind": "reference",
            "candidate_id": "c",
            "candidate": {"question": "Why?", "reference_answer": "Because."},
            "weak_mean": 0.25,
            "models": {"of": "another version"},
            "verdicts": [{"stage": "weak", "preset": "strict", "decision": "strong"}],
        }
    ],
    "example": {"example_id": "x", "rounds": 1, "document_id": "theirs"},
}

Expected = Mapping[str, Sequence[Mapping[str, Any]]]
WRITES: dict[str, tuple[Callable[[Any], Awaitable[None]], Expected]] = {
    "record_meta": (
        lambda s: writes.record_meta(s, {"kind": "run", "domain": "cs"}),
        {"meta": [{"key": "kind", "value": "run"}, {"key": "domain", "value": "cs"}]},
    ),
    "record_target": (
        lambda s: writes.record_target(s, 3),
        {"meta": [{"key": "target", "value": "3"}]},
    ),
    "record_taken_in": (
        lambda s: writes.record_taken_in(
            s, [Document(document_id="n", name="n.md", title="N", text="Text."), Skipped("o.bin", "binary")]
        ),
        {
            "documents": [
                {"document_id": "n", "status": "pending", "text": "Text.", "chars": 5, "settled": 0},
                {"name": "o.bin", "status": "skipped", "status_reason": "binary", "settled": 1},
            ]
        },
    ),
    "record_status": (
        lambda s: writes.record_status(s, "d", DocumentStatus.WAITING, reason="asked", epoch=3),
        {"documents": [{"document_id": "d", "status": "waiting", "status_reason": "asked", "epoch": 3}]},
    ),
    "record_reopened": (
        lambda s: writes.record_reopened(s, ["d", "e"]),
        {"documents": [{"document_id": name, "status": "pending", "status_reason": ""} for name in ("d", "e")]},
    ),
    "record_settled": (
        lambda s: writes.record_settled(s, "d"),
        {"documents": [{"document_id": "d", "settled": 1, "status": "errored"}]},
    ),
    "record_failure": (
        lambda s: writes.record_failure(
            s, writes.Failure("f", "d", "main/d", "call_failed", "no reply\nat all", "call_failed: no reply", 2)
        ),
        {
            "documents": [{"document_id": "d", "status": "errored", "status_reason": "call_failed: no reply"}],
            "failures": [{"failure_id": "f", "thread_id": "main/d", "message": "no reply\nat all", "epoch": 2}],
        },
    ),
    "record_batch": (
        lambda s: writes.record_batch(
            s, Batch(batch=2, documents=("d", "e"), lessons=("L1.1",), steer=Steer(often=("x",))), "2026"
        ),
        {
            "batches": [
                {"batch": 2, "documents": '["d","e"]', "lessons": '["L1.1"]', "state": "open"}
                | {"steer": '{"often":["x"],"seldom":[]}'}
            ]
        },
    ),
    "record_walked": (
        lambda s: writes.record_walked(s, 1, BatchFigures(documents=2, accepted=1, calls=9, modes={"too_easy": 1})),
        {"batches": [{"batch": 1, "state": "walked", "documents": '["d"]'}]},
    ),
    "record_taught": (
        lambda s: writes.record_taught(s, 1, [LESSON], "2026", note="half of it"),
        {
            "batches": [{"batch": 1, "state": "ended", "note": "half of it"}],
            "lessons": [{"lesson_id": "L1", "version": 1, "active": 1, "evidence": '["main/d/1/c"]', "batch": 1}],
        },
    ),
    "record_lessons": (
        lambda s: writes.record_lessons(s, [LESSON.model_copy(update={"version": 2, "active": False})], "2026"),
        {"lessons": [{"lesson_id": "L1", "version": 2, "active": 0, "text": "Ask deeper."}]},
    ),
    "record_trials": (
        lambda s: writes.record_trials(s, "v", {"d": 0, "e": 4}),
        {"trials": [{"document_id": "d", "position": 0}, {"document_id": "e", "position": 4, "status": "pending"}]},
    ),
    "record_call": (
        lambda s: writes.record_call(s, CALL),
        {
            "calls": [
                {"key": "k", "idx": "weak/0", "try": 1, "epoch": 2, "params": '{"seed":7}', "latency_s": 1.235}
                | {"tokens_in": 10, "tokens_cached": 4, "tokens_reasoning": 1, "cost_usd": 0.5, "charged_out": 2}
            ]
        },
    ),
    "record_unanswered": (
        lambda s: writes.record_unanswered(s, LATE),
        {"timeouts": [{"timeout_id": "t", "cause": "cancelled", "charged_out": 4096, "charged_usd": 0.25}]},
    ),
    "record_collected": (
        lambda s: writes.record_collected(s, "d", "t", RESULT, question_key="q", tied=True),
        {
            "documents": [{"document_id": "d", "status": "accepted", "status_reason": "", "rounds": 1, "settled": 1}],
            "rounds": [{"round_id": "r2", "document_id": "d", "thread_id": "t", "weak_mean": 0.25}],
            "candidates": [{"candidate_id": "c", "kind": "reference", "question": "Why?", "context": ""}],
            "verdicts": [{"round_id": "r2", "stage": "weak", "decision": "strong"}],
            "examples": [
                {"example_id": "x", "round_id": "r2", "weak_mean": 0.25, "gap": None, "question_key": "q", "tied": 1}
                | {"example": '{"document_id":"d","example_id":"x","rounds":1}'}
            ],
        },
    ),
    "record_fork": (
        lambda s: writes.record_fork(s, FORK),
        {"forks": [{"fork": "1", "folder": "forks/1", "changed": "feedback", "change": "Harder."}]},
    ),
    "record_fork_of": (
        lambda s: writes.record_fork_of(s, FORK, "../.."),
        {
            "meta": [
                {
                    "key": "fork_of",
                    "value": '{"change":"Harder.","changed":"feedback","created_at":"2026","document_id":"d",'
                    '"folder":"../..","fork":"1","n":2,"round_id":"r","thread_id":"main/d"}',
                }
            ]
        },
    ),
    "record_copied_documents": (
        lambda s: writes.record_copied_documents(
            s, [{"document_id": "d", "name": "d", "rounds": 5}, {"document_id": "e", "name": "e"}], "d", 3
        ),
        {
            "documents": [
                {"document_id": "d", "status": "skipped", "status_reason": "", "rounds": 3, "settled": 1},
                {"document_id": "e", "status_reason": "shown as an example only", "rounds": 0, "settled": 1},
            ]
        },
    ),
    "record_copied_rounds": (
        lambda s: writes.record_copied_rounds(
            s, {"rounds": [{"round_id": "r", "document_id": "d", "thread_id": "main/d", "n": 1}], "marks": []}
        ),
        {"rounds": [{"round_id": "r", "n": 1}]},
    ),
    "record_fork_ready": (
        lambda s: writes.record_fork_ready(s, "d"),
        {"documents": [{"document_id": "d", "status": "pending", "settled": 0}]},
    ),
    "record_splits": (
        lambda s: writes.record_splits(s, {"train": ["d"], "test": ["e"]}),
        {"splits": [{"document_id": "d", "split": "train", "position": 0}, {"document_id": "e", "split": "test"}]},
    ),
    "record_baseline": (
        lambda s: writes.record_baseline(s, "b", {"challenger": "Ask."}),
        {"packs": [{"pack": "b", "state": "baseline", "iteration": 0, "texts": '{"challenger":"Ask."}'}]},
    ),
    "record_begun": (
        lambda s: writes.record_begun(s, writes.BegunIteration(2, 1, "p", {"p": 1.0}, 0.5, 3, [1])),
        {"iterations": [{"iteration": 2, "lane": 1, "probabilities": '{"p":1.0}', "sampled": 3, "history": "[1]"}]},
    ),
    "record_minibatch": (
        lambda s: writes.record_minibatch(s, 1, ("d", "e"), 7),
        {"iterations": [{"iteration": 1, "minibatch": '["d","e"]', "block": 7}]},
    ),
    "record_analysis": (
        lambda s: writes.record_analysis(s, 1, {"summary": "too easy"}),
        {"iterations": [{"iteration": 1, "analysis": '{"summary":"too easy"}'}]},
    ),
    "record_edit": (
        lambda s: writes.record_edit(s, 1, {"turns": []}, writes.NewPack("m", "p", 1, "--- a", "harder")),
        {
            "iterations": [{"iteration": 1, "edits": '{"turns":[]}'}],
            "packs": [{"pack": "m", "parent": "p", "state": "candidate", "diff": "--- a", "summary": "harder"}],
        },
    ),
    "record_invalid": (
        lambda s: writes.record_invalid(s, "p"),
        {"packs": [{"pack": "p", "state": "invalid", "diff": "kept"}]},
    ),
    "record_compared": (
        lambda s: writes.record_compared(s, 1, {"rule": "strict", "better": True}),
        {"iterations": [{"iteration": 1, "confirmed": '{"compared":{"better":true,"rule":"strict"}}'}]},
    ),
    "record_leader": (
        lambda s: writes.record_leader(s, 1, "p"),
        {"iterations": [{"iteration": 1, "leader": "p"}]},
    ),
    "record_lead": (
        lambda s: writes.record_lead(s, 1, "m", 2, confirmed={"record": "1/2"}),
        {"iterations": [{"iteration": 1, "mutant": "m", "led": 2, "confirmed": '{"record":"1/2"}'}]},
    ),
    "record_ended": (
        lambda s: writes.record_ended(s, ENDED, writes.Placed("p", "member", parent="b", n=1, summary="harder")),
        {
            "iterations": [{"outcome": "accepted", "parent_score": 0.4, "record": 1, "ended_at": "2026"}],
            "packs": [{"pack": "p", "state": "member", "iteration": 1, "parent": "b", "summary": "harder"}],
        },
    ),
    "record_evaluating": (
        lambda s: writes.record_evaluating(s, HEAD, documents=4, n=1),
        {"evaluations": [{"evaluation": "validate-p-b0", "state": "open", "documents": 4, "iteration": 1}]},
    ),
    "record_evaluated": (
        lambda s: writes.record_evaluated(s, HEAD, TRIED, passed=1, complete=False, score=None),
        {
            "evaluations": [{"state": "stopped", "passed": 1, "errored": 1, "calls": 10, "score": None}],
            "trials": [{"document_id": "d", "position": 0, "calls": 9}, {"document_id": "e", "status": "errored"}],
        },
    ),
}
TIMES = {"created_at"}


async def begun() -> of_the_loop.Store:
    """Return a store that holds what some of the functions change."""
    store = of_the_loop.Store()
    await store.save(
        documents=[{"document_id": name, "name": name, "status": "errored"} for name in ("d", "e")],
        batches=[{"batch": 1, "documents": ["d"]}],
        packs=[{"pack": "p", "state": "candidate", "diff": "kept", "iteration": 1}],
        iterations=[{"iteration": 1, "lane": 0, "parent": "p", "probabilities": "{}"}],
    )
    store.saves = 0
    return store


def contents(store: MemoryLedger) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{column: value for column, value in row.items() if column not in TIMES} for row in rows.values()]
        for name, rows in store.tables.items()
    }


@pytest.mark.parametrize("name", WRITES)
async def test_a_step_is_one_transaction_and_twice_is_harmless(name: str) -> None:
    write, expected = WRITES[name]
    store = await begun()
    before = contents(store)
    await write(store)
    after = contents(store)
    assert store.saves == 1
    for table, rows in expected.items():
        for row in rows:
            assert any(row.items() <= found.items() for found in after[table]), (table, row, after[table])
    assert {table for table in after if after[table] != before[table]} == set(expected)
    await write(store)
    assert contents(store) == after


def test_every_function_that_writes_is_tried() -> None:
    tried = {*WRITES, *(name for name in vars(of_the_loop) if name.startswith("record_"))}
    assert {name for name in writes.__all__ if name.startswith("record_")} == tried


async def test_a_rejected_mutant_keeps_what_made_it() -> None:
    store = await begun()
    await writes.record_ended(store, ENDED, writes.Placed("p", "rejected", parent="b", n=9, summary="x"))
    [pack] = store.tables["packs"].values()
    assert (pack["state"], pack["iteration"], pack["parent"]) == ("rejected", 1, None)
    await writes.record_ended(store, ENDED, None)
    assert [*store.tables["packs"].values()] == [pack]


async def test_an_edit_that_made_no_new_pack_adds_none() -> None:
    store = await begun()
    await writes.record_edit(store, 1, {"turns": []}, None)
    assert len(store.tables["packs"]) == 1
