"""Modes of a solver: privileged, several samples and their aggregate, calculator; each recorded with every attempt."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import InfrastructureError, UserError
from autodata.domains.tasks.maths import numeric
from autodata.models.config import ModelSettings
from autodata.models.factory import connect
from autodata.nodes.solver_modes import CALCULATOR_TURNS
from autodata.runner.config import RunConfig, read_config, stored_config
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from tests.graph.support import Answer, Bench, Call, Cut, Script, scored, solution
from tests.support.stages import first_quick

pytest.importorskip("mpmath")


def science(weak: dict[str, Any] | None = None, strong: dict[str, Any] | None = None, **scripts: Script) -> Bench:
    return Bench(scripts, domain="science", settings={"weak_solver": weak or {}, "strong_solver": strong or {}})


def modes(made: Bench, stage: str) -> list[dict[str, Any]]:
    return [json.loads(row["mode"]) for row in made.rows("attempts") if row["stage"] == stage]


def answers(made: Bench, stage: str) -> list[str]:
    rows = [row for row in made.rows("attempts") if row["stage"] == stage]
    return [row["answer"] for row in sorted(rows, key=lambda row: row["idx"])]


def said(text: str) -> str:
    return f"So\nAnswer: {text}"


async def test_every_mode_is_recorded_with_every_attempt() -> None:
    weak = {"samples": 3, "max_tokens": 128, "reasoning_effort": "low"}
    made = science(weak, {"privileged": True, "tools": True})
    await made.run()
    assert (
        modes(made, "weak")
        == [
            {
                "privileged": False,
                "samples": 3,
                "aggregate": "majority",
                "max_tokens": 128,
                "reasoning_effort": "low",
                "tools": False,
            }
        ]
        * 4
    )
    assert (
        modes(made, "strong")
        == [
            {
                "privileged": True,
                "samples": 1,
                "aggregate": None,
                "max_tokens": 4096,
                "reasoning_effort": None,
                "tools": True,
            }
        ]
        * 4
    )


@pytest.mark.parametrize(
    ("domain", "settings", "sees"),
    first_quick(
        ("cs", {}, (False, False)),
        ("cs", {"strong_solver": {"privileged": True}}, (False, True)),
        ("cs", {"weak_solver": {"privileged": True}}, (True, False)),
        ("science", {"strong_solver": {"privileged": True}}, (False, True)),
        ("facts", {}, (False, True)),
        ("facts", {"strong_solver": {"privileged": False}}, (False, False)),
        quick=2,
    ),
)
async def test_only_a_privileged_solver_sees_the_source(
    domain: str, settings: dict[str, dict[str, Any]], sees: tuple[bool, bool]
) -> None:
    made = Bench(domain=domain, settings=settings)
    await made.run()
    for role, seen in zip(("weak_solver", "strong_solver"), sees, strict=True):
        assert made.of(role)
        for call in made.of(role):
            assert ("<document-" in call.prompt) is seen
            assert ("litres a minute" in call.prompt) is seen
    assert [mode["privileged"] for mode in modes(made, "weak")] == [sees[0]] * len(modes(made, "weak"))


async def test_the_majority_of_samples_is_one_attempt() -> None:
    votes = ["1/3", "sqrt(2)/99", "$\\dfrac{1}{3}$"]

    def weak(call: Call) -> Answer:
        return said(votes[(call.number - 1) % 3])

    made = science({"samples": 3}, weak_solver=weak)
    state = await made.run()
    assert state["status"] == "accepted"
    assert len(state["example"]["weak_scores"]) == 4
    assert answers(made, "weak") == [said("1/3")] * 4
    indices = {row["idx"] for row in made.rows("calls") if row["role"] == "weak_solver"}
    assert indices == {f"{attempt}/s{sample}" for attempt in range(4) for sample in (1, 2, 3)}
    assert len({call.seed for call in made.of("weak_solver")}) == 12


async def test_a_model_picks_its_best_sample() -> None:
    def strong(call: Call) -> Answer:
        if "SampleChoice" in call.prompt:
            assert call.prompt.count("</sample-") == 2
            return {"number": 2}
        right = solution(call.fenced("question"))
        return said(right if call.number % 2 == 0 else "sqrt(2)/98")

    made = science(None, {"samples": 2, "aggregate": "choice"}, strong_solver=strong)
    state = await made.run()
    assert state["status"] == "accepted"
    assert state["example"]["strong_mean"] == "1"
    indices = sorted(row["idx"] for row in made.rows("calls") if row["role"] == "strong_solver")
    assert indices[:3] == ["0/choice", "0/s1", "0/s2"]
    assert len(indices) == 12


async def test_a_pick_that_no_sample_has_is_asked_for_again() -> None:
    def strong(call: Call) -> Answer:
        if "SampleChoice" in call.prompt:
            return {"number": 1 if "could not be used" in call.prompt else 3}
        return said(solution(call.fenced("question")))

    made = science(None, {"samples": 2, "aggregate": "choice"}, strong_solver=strong)
    state = await made.run()
    assert state["status"] == "accepted"
    choices = [row["try"] for row in made.rows("calls") if row["idx"] == "0/choice"]
    assert sorted(choices) == [0, 1]


async def test_a_model_writes_one_answer_from_its_samples() -> None:
    def strong(call: Call) -> Answer:
        if "Write from them the best one" in call.prompt:
            return said(solution(call.fenced("question")))
        return said("sqrt(2)/98")

    made = science(None, {"samples": 2, "aggregate": "synthesis"}, strong_solver=strong)
    state = await made.run()
    assert state["status"] == "accepted"
    assert state["example"]["strong_mean"] == "1"
    assert {row["idx"] for row in made.rows("calls") if row["role"] == "strong_solver"} >= {
        "3/s1",
        "3/s2",
        "3/synthesis",
    }


@pytest.mark.parametrize("aggregate", ["choice", "synthesis"])
@pytest.mark.parametrize("domain", ["science", "cs"])
async def test_samples_of_which_nothing_is_made_are_no_score(aggregate: str, domain: str) -> None:
    """Not even where a solver that says nothing is scored 0: its samples say something."""

    def weak(call: Call) -> Answer:
        if "Above are your own answers" in call.prompt:
            return "I cannot decide." if aggregate == "choice" else ""
        return said("sqrt(2)/98")

    made = Bench({"weak_solver": weak}, domain=domain, settings={"weak_solver": {"samples": 2, "aggregate": aggregate}})
    with pytest.raises(InfrastructureError, match="its 2 samples are answers: nothing is scored"):
        await made.run()
    assert not [row for row in made.rows("attempts") if row["stage"] == "weak" and row["score"] is not None]
    assert not any("2 + 2" in call.prompt for call in made.calls)


async def test_a_sample_that_says_nothing_has_no_vote() -> None:
    def weak(call: Call) -> Answer:
        return said("sqrt(2)/98") if call.number % 3 == 2 else Cut()

    made = science({"samples": 3}, weak_solver=weak)
    await made.run()
    assert answers(made, "weak") == [said("sqrt(2)/98")] * 4
    half = science(
        {"samples": 3}, weak_solver=lambda call: weak(call) if call.number % 3 == 2 else Cut("So it is\nthe")
    )
    await half.run()
    assert answers(half, "weak") == [said("sqrt(2)/98")] * 4
    everything_cut = science({"samples": 3}, weak_solver=lambda call: Cut())
    await everything_cut.run()
    assert {row["decided_by"] for row in everything_cut.rows("attempts") if row["stage"] == "weak"} == {"truncated"}


async def test_the_calculator_answers_lines_and_the_attempt_goes_on() -> None:
    def strong(call: Call) -> Answer:
        if "RESULT of" not in call.prompt:
            return "I need a value.\nCALC: sqrt(2)*3\nCALC: __import__('os')\nAnswer me."
        assert "RESULT of sqrt(2)*3: 4.24264068712 (rounded)" in call.prompt
        assert "RESULT of __import__('os'): cannot be worked out" in call.prompt
        assert "Answer me." not in call.prompt
        return said(solution(call.fenced("question")))

    made = science(None, {"tools": True}, strong_solver=strong)
    state = await made.run()
    assert state["status"] == "accepted"
    assert all("CALC:" in call.prompt for call in made.of("strong_solver"))
    assert not any("CALC:" in call.prompt for call in made.of("weak_solver"))
    indices = {row["idx"] for row in made.rows("calls") if row["role"] == "strong_solver"}
    assert indices == {f"{k}{turn}" for k in range(4) for turn in ("", "/t1")}


@pytest.mark.slow
async def test_the_calculator_is_asked_a_bounded_number_of_times() -> None:
    made = science(None, {"tools": True}, strong_solver=lambda call: f"CALC: {call.number}+1")
    state = await made.run()
    assert state["rounds"][0]["failure_mode"] == "failed_on_strong"
    first = [row for row in made.rows("calls") if row["role"] == "strong_solver" and row["n"] == 1]
    assert len(first) == 4 * (1 + CALCULATOR_TURNS)


async def test_without_tools_nothing_is_calculated() -> None:
    made = science(strong_solver=lambda call: "CALC: 1+1\nAnswer: " + solution(call.fenced("question")))
    state = await made.run()
    assert state["status"] == "accepted"
    assert len(made.of("strong_solver")) == 4


CONFIG = """
domain = "science"
max_rounds = 3
[models.default]
provider = "simulated"
model = "one"
[models.strong_solver]
samples = 5
privileged = true
reasoning_effort = "high"
[simulated.faults]
empty = 0.5
"""
"""One model in two modes, in a world where half of the answers are empty."""


async def run_folder(config: RunConfig, folder: Path) -> list[dict[str, Any]]:
    from autodata.checkpoints.ids import document_id
    from autodata.checkpoints.records import Document

    texts = [f"Document {k} of momentum, entropy, harmonic boundaries and resonance." for k in range(6)]
    documents = [Document(document_id=document_id(text), name=text[:10], title="", text=text) for text in texts]
    async with open_runner(config, folder) as runner:
        await add_documents(runner.ledger, documents)
        await runner.run()
        return await runner.ledger.read("select * from attempts order by attempt_id")


@pytest.mark.slow
async def test_one_model_plays_weak_and_strong_in_two_modes_and_a_run_goes_on(tmp_path: Path) -> None:
    config = read_config(CONFIG, "test")
    rows = await run_folder(config, tmp_path / "run")
    assert {row["model"] for row in rows} == {"one"}
    assert {(row["stage"], json.loads(row["mode"])["samples"]) for row in rows} == {("weak", 1), ("strong", 5)}
    assert {row["decided_by"] for row in rows if row["answered"]} == {"code"}
    again = stored_config(tmp_path / "run" / "config.toml")
    assert again.models.strong_solver.samples == 5
    assert await run_folder(again, tmp_path / "run") == rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    first_quick(
        ("samples = 5", "samples = 4"),
        ("privileged = true", "privileged = false"),
        ('effort = "high"', 'effort = "low"'),
    ),
)
async def test_another_mode_is_another_run(name: str, value: str, tmp_path: Path) -> None:
    await run_folder(read_config(CONFIG, "test"), tmp_path / "run")
    changed = read_config(CONFIG.replace(name, value), "test")
    with pytest.raises(UserError, match=r"models.strong_solver.(samples|privileged|reasoning_effort): "):
        await run_folder(changed, tmp_path / "run")


async def test_a_majority_of_long_answers_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    config = read_config(CONFIG.replace('"science"', '"cs"'), "test")
    with pytest.raises(UserError, match=r"models.strong_solver.aggregate: .* use 'choice' or 'synthesis' in domain cs"):
        await run_folder(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


async def test_a_missing_library_is_reported_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numeric, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'autodata-langgraph\[science\]'"):
        await run_folder(read_config(CONFIG, "test"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    tools = read_config(CONFIG.replace('"science"', '"facts"') + "[models.weak_solver]\ntools = true\n", "test")
    with pytest.raises(UserError, match="science"):
        await run_folder(tools, tmp_path / "run")


@pytest.mark.slow
async def test_reasoning_effort_is_sent_in_the_body_and_part_of_a_calls_identity() -> None:
    settings = {
        "weak_solver": ModelSettings(model="m", base_url="http://127.0.0.1:1/v1", reasoning_effort="low"),
        "strong_solver": ModelSettings(model="m", base_url="http://127.0.0.1:1/v1"),
    }
    async with AsyncExitStack() as stack:
        models = await connect(settings, stack)
        assert models["weak_solver"].chat.extra_body["reasoning_effort"] == "low"  # type: ignore[attr-defined]
        assert "reasoning_effort" not in models["strong_solver"].chat.extra_body  # type: ignore[attr-defined]
    assert models["weak_solver"].params["reasoning_effort"] == "low"
    assert "reasoning_effort" not in models["strong_solver"].params


async def test_modes_work_with_rubrics_too() -> None:
    def strong(call: Call) -> Answer:
        return {"number": 1} if "SampleChoice" in call.prompt else scored("8/10")[0]

    made = Bench({"strong_solver": strong}, settings={"strong_solver": {"samples": 2, "aggregate": "choice"}})
    state = await made.run()
    assert state["status"] == "accepted"
    assert modes(made, "strong")[0]["aggregate"] == "choice"
