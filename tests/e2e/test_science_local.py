"""Domain `science` on a real model of 1.5B parameters: its flow from documents, and what worked solutions are worth.

A model this small gets much wrong, and what it writes differs between machines. Its own problems are mostly faulty, and
as a judge it takes wrong answers for right: so the flow is asserted on its own problems, whatever becomes of them, and
the scores on problems of ours, whose answers are known, over the marks that need no judge.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from autodata.checkpoints.errors import UnusableReply
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.ledger import MemoryLedger
from autodata.checkpoints.records import Document, Stage
from autodata.domains.acceptance.policies import PRESETS
from autodata.domains.domain import SCIENCE
from autodata.domains.tasks import maths
from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.graphs.self_instruct import steps_for
from autodata.models.budget import Budget
from autodata.models.caller import Caller
from autodata.models.factory import connect
from autodata.models.local.serving import LocalServing
from autodata.nodes.context import Context, Services
from autodata.nodes.state import new_state
from autodata.runner.config import BaselineConfig, RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents

pytest.importorskip("mpmath")

BUDGET_CALLS = 16
"""Counted in calls, so that a slow machine comes as far as a fast one. One round takes at most 21."""
PRIVILEGE = Fraction(1, 4)
"""The least that seeing the worked solutions must add to the share of right answers."""

Worked = tuple[str, str, str]
"""A problem, the steps of its solution, its answer."""
WORKED: Mapping[str, tuple[str, tuple[Worked, ...]]] = {
    "brell": (
        "The Brell mean of two numbers a and b is (a + 3b)/7.",
        (
            ("What is the Brell mean of 2 and 5?", "a + 3b = 2 + 15 = 17\n17 divided by 7 is 17/7", "17/7"),
            ("What is the Brell mean of 1 and 4?", "a + 3b = 1 + 12 = 13\n13 divided by 7 is 13/7", "13/7"),
        ),
    ),
    "tarn": (
        "The Tarn ratio of two numbers a and b is (2a + b)/11.",
        (
            ("What is the Tarn ratio of 4 and 1?", "2a + b = 8 + 1 = 9\n9 divided by 11 is 9/11", "9/11"),
            ("What is the Tarn ratio of 1 and 5?", "2a + b = 2 + 5 = 7\n7 divided by 11 is 7/11", "7/11"),
        ),
    ),
    "quill": (
        "The Quill polynomial of two numbers a and b is (x + a)(x - b), expanded.",
        (
            ("What is the Quill polynomial of 2 and 5 in x?", "(x + 2)(x - 5)\nx^2 - 5x + 2x - 10", "x^2 - 3x - 10"),
            ("What is the Quill polynomial of 1 and 6 in x?", "(x + 1)(x - 6)\nx^2 - 6x + x - 6", "x^2 - 5x - 6"),
        ),
    ),
    "plim": (
        "The Plim polynomial of two numbers a and b is (x + a)(2x + b), expanded.",
        (
            ("What is the Plim polynomial of 1 and 4 in x?", "(x + 1)(2x + 4)\n2x^2 + 4x + 2x + 4", "2x^2 + 6x + 4"),
            ("What is the Plim polynomial of 2 and 3 in x?", "(x + 2)(2x + 3)\n2x^2 + 3x + 4x + 6", "2x^2 + 7x + 6"),
        ),
    ),
}
"""A rule that nobody can know, for it is made up, and two problems worked by it: by the name of the document."""
PROBLEMS = {
    "brell": ("What is the Brell mean of 3 and 4?", "15/7"),
    "tarn": ("What is the Tarn ratio of 3 and 7?", "13/11"),
    "quill": ("What is the Quill polynomial of 3 and 4 in x?", "x^2 - x - 12"),
    "plim": ("What is the Plim polynomial of 3 and 5 in x?", "2x^2 + 11x + 15"),
}
"""One more problem on each rule, which no document works: sums of whole numbers, and products of two brackets."""

SOLVER = {"max_tokens": 160, "temperature": 0.7}
CONFIG: dict[str, Any] = {
    "domain": "science",
    "max_rounds": 2,
    "concurrency": 1,
    "models": {
        "default": {"provider": "local", "model": "qwen2.5-coder-1.5b"},
        "challenger": {"max_tokens": 300, "temperature": 0.7},
        "screen": {"max_tokens": 500},
        "weak_solver": SOLVER,
        "strong_solver": {**SOLVER, "privileged": True},
        "verifier": {"max_tokens": 200},
    },
    "local": {"n_parallel": 1},  # one after another, calls whose prompts begin alike share what was read
    "documents": {"max_chars": 2000},
    "budget": {"max_calls": BUDGET_CALLS},
}
Rows = Sequence[Mapping[str, Any]]


def documents() -> dict[str, Document]:
    made = {}
    for name, (rule, problems) in WORKED.items():
        worked = (f"Problem: {asked}\nSolution:\n{steps}\nAnswer: {answer}" for asked, steps, answer in problems)
        text = "\n\n".join([rule, *worked])
        made[name] = Document(document_id=document_id(text), name=f"{name}.txt", title=name, text=text)
    return made


async def test_documents_become_problems_and_marked_attempts(tmp_path: Path) -> None:
    """All roles of the domain as it is shipped, on the model's own problems, as far as a budget of calls goes."""
    async with open_runner(RunConfig.model_validate(CONFIG), tmp_path) as runner:
        await add_documents(runner.ledger, list(documents().values()))
        outcome = await runner.run()
        read = runner.ledger.read
        statuses = await read("select name, status, status_reason from documents")
        failures = await read("select kind, message from failures")
        calls = await read("select * from calls")
        rounds = await read("select * from rounds")
        attempts = await read("select * from attempts")
        verdicts = await read("select * from verdicts")
    assert not outcome.failed
    require_accounted_for(statuses, failures, outcome.stopped)
    require_calls(calls, attempts)
    require_marks(attempts)
    require_counted(attempts, verdicts)
    for row in rounds:
        reached = [attempt for attempt in attempts if attempt["round_id"] == row["round_id"]]
        assert row["failure_mode"] != "failed_quality_check" or not reached, "no solver is paid for what was refused"


def require_accounted_for(statuses: Rows, failures: Rows, stopped: str) -> None:
    """Every document ended, or the budget left it pending; a model's unusable reply is no defect of ours."""
    left = [row for row in statuses if row["status"] == "pending"]
    assert {row["status"] for row in statuses} <= {"accepted", "rejected", "errored", "pending"}
    assert bool(left) <= ("--max-calls" in stopped), (left, stopped)
    assert {row["kind"] for row in failures} <= {UnusableReply.kind}, failures
    assert len(statuses) == len(WORKED)


def require_calls(calls: Rows, attempts: Rows) -> None:
    made = Counter(row["role"] for row in calls)
    assert made.total() <= BUDGET_CALLS
    assert {row["idx"] for row in calls if row["role"] == "challenger"} == {*map(str, range(SCIENCE.challengers))}
    assert {f"{row['stage']}_solver" for row in attempts} <= made.keys() <= {*SCIENCE.roles}
    assert all(row["tokens_in"] > 0 and row["tokens_out"] > 0 and row["cost_usd"] is None for row in calls)


def require_marks(attempts: Rows) -> None:
    for row in attempts:
        assert json.loads(row["mode"])["privileged"] is (row["stage"] == "strong")
        if row["score"] is None:
            assert row["decided_by"] is None, "only an attempt that waits for its mark has no score"
        elif row["answered"]:
            assert row["score"] in {"0", "1"}
            assert row["decided_by"] in {"code", "judge"}
        else:
            assert (row["score"], row["decided_by"]) == ("0", "truncated" if row["truncated"] else "probe")


def require_counted(attempts: Rows, verdicts: Rows) -> None:
    """What was decided follows from the marks by exact counts."""
    for verdict in verdicts:
        scores = {
            stage: [
                Fraction(row["score"])
                for row in attempts
                if (row["round_id"], row["stage"]) == (verdict["round_id"], stage) and row["score"] is not None
            ]
            for stage in Stage
        }
        strong = scores[Stage.STRONG] if verdict["stage"] == Stage.STRONG else []
        ruling = PRESETS["counts"].rule(scores[Stage.WEAK], strong, SCIENCE.planned)
        assert verdict["decision"] == ruling.decision
        assert verdict["failure_mode"] == ruling.failure_mode


async def test_worked_solutions_let_the_model_solve_what_it_cannot_solve_alone() -> None:
    """Both solvers are this one model; the strong one sees the document. Nothing is refused: all attempts count."""
    ledger = MemoryLedger()
    await measured(BaselineConfig.of(RunConfig.model_validate({**CONFIG, "budget": {}})), ledger)
    made = Counter(row["role"] for row in ledger.tables["calls"].values())
    planned = {"weak_solver": SCIENCE.weak_attempts, "strong_solver": SCIENCE.strong_attempts}
    assert {role: n for role, n in made.items() if role != "verifier"} == {
        role: n * len(PROBLEMS) for role, n in planned.items()
    }, "the problems were given"
    rows = [*ledger.tables["attempts"].values()]
    assert len(rows) == sum(planned.values()) * len(PROBLEMS)
    require_marks(rows)
    require_privilege(ledger)


async def measured(config: RunConfig, ledger: MemoryLedger) -> None:
    """Let both solvers attempt our problems. A candidate that waits is taken before any challenger is asked."""
    async with served(config, ledger) as services:
        graph = build_cot_baseline(services.domain).compile()
        for name, document in documents().items():
            await ledger.save(documents=[{"document_id": document.document_id, "name": name, "text": document.text}])
        for name, document in documents().items():
            question, answer = PROBLEMS[name]
            problem = services.domain.scorer.candidate({"question": question, "answer": answer})
            assert services.domain.scorer.problems(problem) == []
            state: Any = {**new_state(document), "queue": [problem.model_dump(mode="json")]}
            limit: RunnableConfig = {"recursion_limit": steps_for(1, SCIENCE.weak_attempts + SCIENCE.strong_attempts)}
            ended = await graph.ainvoke(state, limit, context=Context(services))
            assert ended["status"] == "accepted"


def require_privilege(ledger: MemoryLedger) -> None:
    """The worked solutions raise the share of right answers, by a reading of ours and by the library's own marks."""
    answers = {row["candidate_id"]: row["reference_answer"] for row in ledger.tables["candidates"].values()}
    found: dict[str, list[bool]] = {stage: [] for stage in Stage}
    for row in ledger.tables["attempts"].values():
        found[row["stage"]].append(bool(row["answered"]) and ends_on(row["answer"], answers[row["candidate_id"]]))
    shares = {stage: Fraction(sum(of_stage), len(of_stage)) for stage, of_stage in found.items()}
    found_shares = (shares, marks(ledger))
    assert shares[Stage.STRONG] >= shares[Stage.WEAK] + PRIVILEGE, found_shares
    assert marks(ledger)["strong", "code", "1"] > marks(ledger)["weak", "code", "1"], found_shares


def marks(ledger: MemoryLedger) -> Counter[tuple[str, str, str]]:
    """Count solver, who decided, and the score."""
    return Counter((row["stage"], row["decided_by"], row["score"]) for row in ledger.tables["attempts"].values())


def ends_on(text: str, answer: str) -> bool:
    """Whether what stands at the very end of a text is the answer, as the mathematics library compares them."""
    last = text.strip().rpartition("\n")[2]
    return maths.compare(answer, re.split(r"=|:|\bis\b", last)[-1]) == "equal"


@asynccontextmanager
async def served(config: RunConfig, ledger: MemoryLedger) -> AsyncIterator[Services]:
    """The services of a run without a folder, with a local server behind them."""
    async with AsyncExitStack() as stack:
        serving = LocalServing(n_parallel=config.local.n_parallel, ctx=config.local.ctx)
        stack.push_async_callback(serving.aclose)
        models = await connect(config.roles(), stack, serving=serving)
        domain = config.chosen_domain
        yield Services(
            domain=domain,
            policy=config.policy,
            pack=domain.pack(),
            caller=Caller(ledger, models, retries=config.retries, budget=Budget(config.budget), run_seed=config.seed),
            store=ledger,
            blobs=ledger,
            max_rounds=config.max_rounds,
            run_seed=config.seed,
        )
