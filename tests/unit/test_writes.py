"""What nodes record: each step in one transaction, twice without harm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import pytest

from autodata.checkpoints.ledger import MemoryLedger
from autodata.checkpoints.records import (
    Attempt,
    Decision,
    DocumentStatus,
    Example,
    FailureMode,
    Mark,
    Round,
    Stage,
    Verdict,
)
from autodata.checkpoints.writes import (
    Marked,
    Ruled,
    record_accepted,
    record_attempts,
    record_marks,
    record_rejected,
)

ROUND = "main/d/1/c"
HALF = Fraction(1, 2)
MEANS: dict[str, Any] = {"weak_mean": HALF, "strong_mean": Fraction(1), "gap": HALF}
ATTEMPT = Attempt(
    attempt_id=f"{ROUND}/weak/0",
    candidate_id="c",
    stage=Stage.WEAK,
    index=0,
    answer_ref=f"answer/{ROUND}/weak/0",
    preview="Cold",
    chars=9,
)
MARK = Mark(attempt_id=ATTEMPT.attempt_id, score=Fraction(1, 3), met=(True, False))
VERDICT = Verdict(candidate_id="c", preset="strict", stage=Stage.WEAK, decision=Decision.STRONG, **MEANS)
CLOSED = Round(n=1, round_id=ROUND, candidate_id="c", question="Why?", question_key="key", reason="too", **MEANS)
EXAMPLE = Example(
    example_id="e",
    document_id="d",
    document_name="doc",
    domain="cs",
    candidate_id="c",
    candidate={"question": "Why?"},
    rounds=1,
    weak_scores=(HALF,),
    strong_scores=(Fraction(1),),
    preset="strict",
    checks=(),
    prompt_version="p",
    models={},
    **MEANS,
)
OF_ROUND = {"weak_mean": 0.5, "strong_mean": 1.0, "gap": 0.5}


class Store(MemoryLedger):
    """A ledger that counts its transactions and holds the open round."""

    def __init__(self) -> None:
        super().__init__()
        self.saves = 0

    async def save(self, **tables: Sequence[Mapping[str, Any]]) -> None:
        self.saves += 1
        await super().save(**tables)

    def only(self, table: str) -> dict[str, Any]:
        [row] = self.tables[table].values()
        return row


async def opened() -> Store:
    store = Store()
    await store.save(
        documents=[{"document_id": "d", "name": "doc"}],
        rounds=[{"round_id": ROUND, "document_id": "d", "thread_id": "main/d", "n": 1, "outcome": "open"}],
    )
    await record_attempts(store, ROUND, [(ATTEMPT, "Cold feet")], model="m", mode={"k": 1})
    store.saves = 0
    return store


async def attempts(store: Store) -> None:
    await record_attempts(store, ROUND, [(ATTEMPT, "Cold feet")], model="m", mode={"k": 1})


async def marks(store: Store) -> None:
    marked = [Marked(MARK, ("said", "not said"))]
    await record_marks(store, ROUND, marked, [("cold", 1), ("feet", 2)], Ruled(VERDICT, planned=3, made=1))


async def rejected(store: Store) -> None:
    closed = CLOSED.model_copy(update={"failure_mode": FailureMode.TOO_EASY})
    status = DocumentStatus.REJECTED
    await record_rejected(store, "d", closed, status, why="max_rounds", reason="too easy", feedback="Harder.")


async def accepted(store: Store) -> None:
    await record_accepted(store, CLOSED, EXAMPLE, tied=True)


@pytest.mark.parametrize("write", [attempts, marks, rejected, accepted])
async def test_a_step_is_one_transaction_and_twice_is_harmless(write: Callable[[Store], Awaitable[None]]) -> None:
    store = await opened()
    await write(store)
    assert store.saves == 1
    before = {name: {key: dict(row) for key, row in rows.items()} for name, rows in store.tables.items()}
    await write(store)
    assert store.tables == before


async def test_marks_keep_exact_scores_and_what_is_known_of_the_attempt() -> None:
    store = await opened()
    await marks(store)
    attempt = store.only("attempts")
    assert (attempt["answer"], attempt["model"], attempt["mode"]) == ("Cold feet", "m", '{"k":1}')
    assert (attempt["score"], attempt["score_value"], attempt["decided_by"]) == ("1/3", 1 / 3, "judge")
    assert [(row["criterion"], row["text"], row["weight"], row["met"]) for row in store.tables["marks"].values()] == [
        (1, "cold", 1, 1),
        (2, "feet", 2, 0),
    ]
    verdict = store.only("verdicts")
    assert OF_ROUND.items() <= verdict.items()
    assert (verdict["decision"], verdict["planned"], verdict["made"]) == ("strong", 3, 1)


async def test_without_a_verdict_the_marks_stand_alone() -> None:
    store = await opened()
    await record_marks(store, ROUND, [Marked(MARK, ())], [("cold", 1), ("feet", 2)], None)
    assert store.only("attempts")["score"] == "1/3"
    assert not store.tables["marks"]
    assert not store.tables["verdicts"]


async def test_a_rejected_round_keeps_the_whole_reason_and_the_feedback() -> None:
    store = await opened()
    await rejected(store)
    row, document = store.only("rounds"), store.only("documents")
    assert (row["outcome"], row["failure_mode"]) == ("rejected", "too_easy")
    assert (row["reason"], row["feedback"]) == ("too easy", "Harder.")
    assert OF_ROUND.items() <= row.items()
    assert (document["status"], document["status_reason"], document["rounds"]) == ("rejected", "max_rounds", 1)


async def test_an_accepted_round_holds_its_example() -> None:
    store = await opened()
    await accepted(store)
    example = store.only("examples")
    assert Example.model_validate_json(example["example"]) == EXAMPLE
    assert (example["round_id"], example["question_key"], example["tied"]) == (ROUND, "key", True)
    assert OF_ROUND.items() <= example.items()
    assert store.only("rounds")["outcome"] == "accepted"
    assert (store.only("documents")["status"], store.only("documents")["status_reason"]) == ("accepted", "")
