"""Domain `science` on a real model of 1.5B parameters, from worked problems to marked attempts.

A model this small gets much wrong, and what it writes differs between machines: asserted are the flow, the accounts and
one aggregate. The rules in the documents are made up, so only a solver that sees the document can know them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.records import Document, document_id
from autodata.graphs.config import RunConfig
from autodata.graphs.intake import take_in
from autodata.graphs.runner import open_run
from autodata.models.errors import UnusableReply
from autodata.nodes import domain

pytest.importorskip("math_verify")

BUDGET_CALLS = 24
"""One document through one full round takes 20. Counted in calls, so that a slow machine comes as far as a fast one."""
ENOUGH_MARKS = 4
TEXTS = {
    "brell.txt": """The Brell mean of two numbers a and b is (a + 3b)/7.
Problem: what is the Brell mean of 2 and 5? Solution: a + 3b = 2 + 15 = 17. Divide by 7. Answer: 17/7.
Problem: what is the Brell mean of 1 and 4? Solution: a + 3b = 1 + 12 = 13. Divide by 7. Answer: 13/7.""",
    "dorl.txt": """The Dorl equation with the numbers a and b is a*x + b = 9.
Problem: solve the Dorl equation with 7 and 4. Solution: 7x + 4 = 9, so 7x = 5. Answer: x = 5/7.
Problem: solve the Dorl equation with 3 and 1. Solution: 3x + 1 = 9, so 3x = 8. Answer: x = 8/3.""",
    "vosk.txt": """The Vosk sum of two numbers a and b is a/3 + b/7.
Problem: what is the Vosk sum of 1 and 2? Solution: 1/3 + 2/7 = 7/21 + 6/21 = 13/21. Answer: 13/21.
Problem: what is the Vosk sum of 2 and 1? Solution: 2/3 + 1/7 = 14/21 + 3/21 = 17/21. Answer: 17/21.""",
}
CONFIG = {
    "domain": "science",
    "acceptance": {"weak_right": 3, "strong_right": 3},  # a wide gate: almost always the strong solver is asked too
    "max_rounds": 2,
    "concurrency": 1,  # what is begun comes to an end before the budget does
    "models": {
        "default": {"provider": "local", "model": "qwen2.5-coder-1.5b"},
        "challenger": {"max_tokens": 300, "temperature": 0.7},
        "screen": {"max_tokens": 400},
        "weak_solver": {"max_tokens": 200, "temperature": 0.7},
        "strong_solver": {"max_tokens": 200, "temperature": 0.7, "privileged": True},
        "verifier": {"max_tokens": 200},
    },
    "local": {"ctx": 4096, "n_parallel": 1},  # one after another, attempts at one question share their prompt's cache
    "documents": {"max_chars": 2000},
    "budget": {"max_calls": BUDGET_CALLS},
}
Rows = list[dict[str, Any]]


@pytest.fixture
def fewer_challengers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the domain three challengers, not four, and no examples: less to read for two cores."""
    smaller = domain.SCIENCE.model_copy(update={"challengers": 3, "grounding": 0})
    monkeypatch.setattr(domain, "DOMAINS", {**domain.DOMAINS, "science": smaller})


@pytest.mark.usefixtures("fewer_challengers")
async def test_worked_problems_become_marked_attempts_on_a_real_model(tmp_path: Path) -> None:
    documents = [
        Document(document_id=document_id(text), name=name, title=Path(name).stem, text=text)
        for name, text in TEXTS.items()
    ]
    async with open_run(RunConfig.model_validate(CONFIG), tmp_path) as runner:
        await take_in(runner.ledger, documents)
        outcome = await runner.run()
        read = runner.ledger.read
        statuses = await read("select name, status, status_reason from documents")
        calls = await read("select * from calls")
        attempts = await read("select * from attempts")
        rounds = await read("select * from rounds")
        failures = await read("select kind, message from failures")
    assert not outcome.failed
    require_accounted_for(statuses, failures, outcome.stopped)
    require_calls(calls, {row["stage"] for row in attempts})
    assert rounds, "not one round was opened"
    assert any(json.loads(row["screen"] or "null") for row in rounds), "no draft came as far as the screen"
    require_attempts(attempts)
    require_no_inverted_gap(attempts)


def require_accounted_for(statuses: Rows, failures: Rows, stopped: str) -> None:
    """Every document ended, or the budget left it pending; a model's unusable reply is no defect of ours."""
    left = [row for row in statuses if row["status"] == "pending"]
    assert {row["status"] for row in statuses} <= {"accepted", "rejected", "errored", "pending"}
    assert bool(left) <= ("--max-calls" in stopped), (left, stopped)
    assert {row["kind"] for row in failures} <= {UnusableReply.kind}, failures
    assert len(statuses) == len(TEXTS)


def require_calls(calls: Rows, stages: set[str]) -> None:
    made = Counter(row["role"] for row in calls)
    assert made["challenger"] >= 3
    assert made["screen"] >= 1
    assert {f"{stage}_solver" for stage in stages} <= made.keys() <= {*domain.SCIENCE.roles}
    assert sum(row["tokens_in"] for row in calls) > sum(row["tokens_out"] for row in calls) > 0
    assert all(row["tokens_in"] > 0 and row["tokens_out"] > 0 for row in calls)


def require_attempts(attempts: Rows) -> None:
    assert {row["stage"] for row in attempts} == {"weak", "strong"}, "no candidate came as far as both solvers"
    assert any(row["score"] is not None for row in attempts if row["stage"] == "strong")
    for row in attempts:
        assert json.loads(row["mode"])["privileged"] is (row["stage"] == "strong")
        if row["score"] is None:
            assert row["decided_by"] is None, "only an attempt that waits for its mark has no score"
        else:
            assert row["score"] in {"0", "1"}
            assert row["decided_by"] in {"code", "judge", "truncated", "probe"}


def require_no_inverted_gap(attempts: Rows) -> None:
    """Seeing the made-up rule must not hurt, over the rounds in which both solvers were marked by code.

    Where only one solver was marked, the means would be of different questions; and a judge of this size takes what it
    is shown for right too often. With fewer than four marks a side, chance alone decides.
    """
    marked = [row for row in attempts if row["decided_by"] == "code"]
    both = {row["round_id"] for row in marked if row["stage"] == "strong"}
    weak = [int(row["score"]) for row in marked if row["stage"] == "weak" and row["round_id"] in both]
    strong = [int(row["score"]) for row in marked if row["stage"] == "strong"]
    if min(len(weak), len(strong)) >= ENOUGH_MARKS:
        assert mean(strong) >= mean(weak), (weak, strong)


def mean(scores: Sequence[int]) -> float:
    return sum(scores) / len(scores)
