"""What is shown of documents that did not go well, from a ledger made by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from autodata.checkpoints.ledger import Ledger
from tests.support.commands import invoke, parsed, printed, refusal, words

HOSTILE = "a[red]b\x1b[31m.md"


async def _by_hand(folder: Path) -> None:
    candidate = {
        "question": "Why?",
        "reference_answer": "Because.",
        "context": "c" * 2000,
        "rubric": [{"criterion": "Says [bold]because[/bold]", "weight": 3}, {"criterion": "Lies", "weight": -2}],
    }
    rounds = ("main/e1/1/malformed", "main/e1/2/c1")
    attempt = {"round_id": rounds[1], "candidate_id": "c1", "stage": "weak", "model": "m"}
    async with Ledger.open(folder / "run.db") as ledger:
        await ledger.save(
            documents=[
                {"document_id": "e1" * 8, "name": HOSTILE, "status": "errored", "status_reason": "defect: boom"},
                {"document_id": "e2" * 8, "name": "one/same.md", "note": "cut from 9 to 5 characters"},
                {"document_id": "e3" * 8, "name": "two/same.md"},
            ],
            failures=[
                {"failure_id": "f", "document_id": "e1" * 8, "kind": "defect", "created_at": "2030-01-01T00:00:00"}
                | {"message": "Traceback (most recent call last):\n  somewhere\nValueError: boom"}
            ],
            candidates=[
                {"candidate_id": "c1", "question": "Why?", "reference_answer": "Because.", "candidate": candidate}
            ],
            rounds=[
                {"round_id": rounds[0], "document_id": "e1" * 8, "thread_id": "main/e1", "n": 1, "outcome": "rejected"}
                | {"failure_mode": "malformed_candidate", "reason": "no usable reply", "feedback": "Do better."},
                {"round_id": rounds[1], "document_id": "e1" * 8, "thread_id": "main/e1", "n": 2, "candidate_id": "c1"},
            ],
            attempts=[
                {**attempt, "attempt_id": "a0", "idx": 0, "answer": "x\x1b]0;gotcha\x07y", "score": "2/3"},
                {**attempt, "attempt_id": "a1", "idx": 1, "answer": "", "truncated": 1, "answered": 0, "score": "0"}
                | {"decided_by": "truncated"},
                {**attempt, "attempt_id": "a2", "idx": 2, "answer": "not marked yet"},
            ],
            marks=[
                {"attempt_id": "a0", "criterion": 1, "text": "Says", "weight": 3, "met": 1, "reason": "it does"},
                {"attempt_id": "a0", "criterion": 2, "text": "Lies", "weight": -2, "met": 0, "reason": ""},
            ],
            calls=[
                {"key": "k", "role": "weak_solver", "model": "m", "response": "x", "created_at": "2030"}
                | {"cost_usd": 0.5, "tokens_in": None, "tokens_out": 7}
            ],
        )


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    asyncio.run(_by_hand(folder))
    return folder


def test_status_of_errors_costs_and_unknown_tokens(odd: Path) -> None:
    text = words(printed("status", odd, columns=100))
    assert "errored 1, pending 2" in text
    assert "a[red]b\ufffd[31m.md: defect: boom" in text
    assert "│ weak_solver │ 1 │ unknown │ 7 │ $0.5000 │" in text


def test_what_did_not_go_well_is_shown(odd: Path) -> None:
    raw = printed("show", odd, "e1e1")
    text = words(raw)
    assert "errored: defect: boom" in text
    assert "ValueError: boom" in text
    assert "Traceback" not in text
    assert "Traceback" in printed("show", odd, "e1e1", "--full")
    assert "Round 1, rejected: malformed candidate" in text
    assert "no usable reply" in text
    assert "Do better." in text
    assert "Round 2, under way" in text
    assert "scored without a judge, cut off by the token limit, no answer" in text
    assert "Weak attempt 3 ?" in text
    assert "1,400 characters more: --full" in text
    assert "c" * 2000 in "".join(printed("show", odd, "e1e1", "--full").split())
    assert "cut from 9 to 5 characters" in printed("show", odd, "one/same.md")


def test_texts_of_strangers_command_neither_terminal_nor_layout(odd: Path) -> None:
    for text in (printed("show", odd), printed("show", odd, "e1e1", "--full")):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "a[red]b\ufffd[31m.md" in text
    assert "Says [bold]because[/bold]" in words(printed("show", odd, "e1e1"))


def test_an_export_of_nothing(odd: Path, tmp_path: Path) -> None:
    result = invoke("export", odd, "--out", tmp_path / "none.jsonl")
    assert result.exit_code == 0
    assert "0 examples written" in result.stderr
    assert (tmp_path / "none.jsonl").read_text() == ""


def test_a_name_that_two_documents_have(odd: Path) -> None:
    said = refusal("show", odd, "same.md")
    assert "could be 2 documents: one/same.md (e2e2e2e2e2e2e2e2), two/same.md (e3e3e3e3e3e3e3e3)" in said
    assert parsed("show", odd, "one/same.md", "--json")["name"] == "one/same.md"
    assert "none is near" in refusal("show", odd, "")
