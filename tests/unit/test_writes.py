"""What nodes record: each step in one transaction, twice without harm."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.ledger import MemoryLedger
from autodata.checkpoints.records import (
    Attempt,
    Candidate,
    Confirmation,
    Decision,
    Document,
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
    OpenRound,
    Ruled,
    record_accepted,
    record_answer,
    record_attempts,
    record_confirmation,
    record_document,
    record_extract,
    record_judgement,
    record_marks,
    record_opened,
    record_question,
    record_rejected,
    record_skipped,
    record_stopping,
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
CANDIDATE = Candidate(question="Why?", reference_answer="Because.", context="Cold.")
OPENED = OpenRound("main/d/2/x", "d", "main/d", 2, "p", "reference", CANDIDATE, passage="Cold feet.")
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


async def document(store: Store) -> None:
    await record_document(store, Document(document_id="d", name="doc", title="Title", text="Some text."))


async def extract(store: Store) -> None:
    await record_extract(store, "d", {"facts": []}, "nothing in it")


async def skipped(store: Store) -> None:
    await record_skipped(store, "d", "no anchor", 2)


async def opening(store: Store) -> None:
    await record_opened(
        store, OPENED, quality={"passed": True}, screen=[{"promising": True}], replaced=(ROUND, "unclear")
    )


async def question(store: Store) -> None:
    await record_question(store, "l", replace(OPENED, round_id=ROUND), verdict="accept", why="chosen", again=False)


async def answer(store: Store) -> None:
    await question(store)
    store.saves = 0
    await record_answer(store, "l", decision="edit", reason="so", edited=CANDIDATE, reviewer="Ada", at="2026-01-01")


async def judgement(store: Store) -> None:
    await record_judgement(store, ROUND, {"verdict": "accept"}, {"weak": 1})


async def stopping(store: Store) -> None:
    await record_stopping(store, ROUND, {"candidate_id": "c", "walked": True})


async def attempts(store: Store) -> None:
    await record_attempts(store, ROUND, [(ATTEMPT, "Cold feet")], model="m", mode={"k": 1})


async def marks(store: Store) -> None:
    marked = [Marked(MARK, ("said", "not said"))]
    await record_marks(store, ROUND, marked, [("cold", 1), ("feet", 2)], Ruled(VERDICT, planned=3, made=1))


async def confirmation(store: Store) -> None:
    found = Confirmation(candidate_id="c", weak_scores=(HALF,), strong_scores=(Fraction(1),), **MEANS, passed=False)
    await record_confirmation(store, ROUND, "paper", found, "it did not hold")


async def rejected(store: Store) -> None:
    closed = CLOSED.model_copy(update={"failure_mode": FailureMode.TOO_EASY})
    status = DocumentStatus.REJECTED
    await record_rejected(store, "d", closed, status, why="max_rounds", reason="too easy", feedback="Harder.")


async def accepted(store: Store) -> None:
    await record_accepted(store, CLOSED, EXAMPLE, tied=True)


@pytest.mark.parametrize(
    "write",
    [
        document,
        extract,
        skipped,
        opening,
        question,
        answer,
        judgement,
        attempts,
        marks,
        confirmation,
        rejected,
        accepted,
    ],
)
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


async def test_fresh_attempts_are_a_verdict_of_their_own() -> None:
    store = await opened()
    await confirmation(store)
    row = store.only("verdicts")
    assert (row["stage"], row["decision"], row["failure_mode"]) == ("confirm", "reject", "not_confirmed")
    assert (row["planned"], row["made"], row["gap"], row["summary"]) == (1, 2, 0.5, "it did not hold")
    assert [one["attempt_id"] for one in store.tables["attempts"].values()] == [ATTEMPT.attempt_id]


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


async def test_an_open_round_brings_its_candidate_and_closes_the_one_it_replaces() -> None:
    store = await opened()
    await opening(store)
    row, before = store.tables["rounds"]["main/d/2/x",], store.tables["rounds"][ROUND,]
    assert (row["outcome"], row["n"], row["passage"], row["prompt_version"]) == ("open", 2, "Cold feet.", "p")
    assert row["candidate_id"] == CANDIDATE.candidate_id
    assert row["quality"] == '{"passed":true}'
    assert (before["outcome"], before["reason"]) == ("edited", "unclear")
    kept = store.only("candidates")
    assert (kept["kind"], kept["question"], kept["reference_answer"]) == ("reference", "Why?", "Because.")
    assert Candidate.model_validate_json(kept["candidate"]) == CANDIDATE


async def test_opening_a_round_again_leaves_what_was_found_out_about_it() -> None:
    store = await opened()
    await opening(store)
    await record_opened(store, OPENED)
    assert store.tables["rounds"]["main/d/2/x",]["quality"] == '{"passed":true}'


async def test_a_round_without_a_candidate_is_recorded_all_the_same() -> None:
    store = await opened()
    await record_opened(store, OpenRound("main/d/2/malformed", "d", "main/d", 2, "p", "reference", None))
    assert store.tables["rounds"]["main/d/2/malformed",]["candidate_id"] is None
    assert not store.tables["candidates"]


@pytest.mark.parametrize(("unsuitable", "status"), [(None, "pending"), ("nothing in it", "skipped"), ("", "skipped")])
async def test_an_extract_ends_only_an_unsuitable_document(unsuitable: str | None, status: str) -> None:
    store = await opened()
    await record_extract(store, "d", {"facts": []}, unsuitable)
    row = store.only("documents")
    assert (row["extract"], row["status"], row["status_reason"]) == ('{"facts":[]}', status, unsuitable or "")


async def test_a_known_document_keeps_its_status() -> None:
    store = await opened()
    await skipped(store)
    await document(store)
    row = store.only("documents")
    assert (row["text"], row["chars"], row["title"]) == ("Some text.", 10, "Title")
    assert (row["status"], row["status_reason"], row["rounds"]) == ("skipped", "no anchor", 2)


async def test_a_question_asked_again_forgets_the_answer_that_could_not_be_taken() -> None:
    store = await opened()
    await answer(store)
    label = store.only("labels")
    assert (label["decision"], label["edited_id"], label["reviewer"]) == ("edit", CANDIDATE.candidate_id, "Ada")
    assert Candidate.model_validate_json(label["edited"]) == CANDIDATE
    assert (label["round_id"], label["candidate_id"], label["verdict"]) == (ROUND, CANDIDATE.candidate_id, "accept")
    asked = replace(OPENED, round_id=ROUND)
    await record_question(store, "l", asked, verdict="accept", why="chosen", again=True)
    assert (store.only("labels")["decision"], store.only("labels")["edited"]) == (None, None)


async def test_nobody_is_asked_about_a_round_without_a_candidate() -> None:
    store = await opened()
    with pytest.raises(ValueError, match="no candidate to ask about"):
        await record_question(store, "l", replace(OPENED, candidate=None), verdict="", why="", again=False)
    assert not store.tables["labels"]


def _writes(text: str) -> list[str]:
    """Return where a module writes rows by itself: calls of `save` or `carry`, and whatever passes them on."""
    if "save" not in text and "carry" not in text:
        return []  # most modules need not be parsed
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in {"save", "carry"}:
            found.append(ast.unparse(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in {"save", "carry"}:
            found.append(f"def {node.name}")
    return found


def test_rows_are_made_in_checkpoints_alone() -> None:
    root = Path(__file__).resolve().parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {root / folder for name, folder in project["package-dir"].items() if name.startswith("autodata")}
    modules = [path for folder in sorted(folders) for path in sorted(folder.glob("*.py"))]
    writing = {path.relative_to(root).as_posix() for path in modules if _writes(path.read_text("utf-8"))}
    assert {name for name in writing if not name.startswith("checkpoints/")} == set()
    assert {"checkpoints/writes/rounds.py", "checkpoints/writes/spans.py"} <= writing  # the search finds what there is


def test_a_write_is_found_however_it_is_spelt() -> None:
    assert _writes("async def f(l):\n    save = l.save\n    await save(meta=[])") == ["l.save"]
    assert _writes("class Q:\n    async def save(self, **t): ...") == ["def save"]
    assert _writes("async def f(s):\n    await record_meta(s, {'a': 'b'})") == []
