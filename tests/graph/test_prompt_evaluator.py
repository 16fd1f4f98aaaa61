"""Prompts of one's own on documents, and GEPA's own engine upon that, on simulated models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autodata import PromptEvaluator, UserError
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.simulated.world import META_WORLD
from tests.support.runs import generated

DOCUMENTS = [{"text": one.text, "id": one.name} for one in generated(5)]
GIVEN: dict[str, Any] = {
    "models": {"default": "simulated:strong", "weak_solver": "simulated:weak"},
    "preset": "meta",
    "config": {"simulated": META_WORLD.model_dump()},
    "max_rounds": 1,
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that are made, by the name of the model."""
    made: list[str] = []
    real = SimulatedChatModel._agenerate

    async def counted(self: SimulatedChatModel, *args: Any, **kwargs: Any) -> Any:
        made.append(self.solver)
        return await real(self, *args, **kwargs)

    monkeypatch.setattr(SimulatedChatModel, "_agenerate", counted)
    return made


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[PromptEvaluator]:
    with PromptEvaluator(DOCUMENTS[:2], DOCUMENTS[2:4], out=tmp_path / "own", **GIVEN) as found:
        yield found


def test_the_same_prompts_on_the_same_documents_are_tried_once(tmp_path: Path, calls: list[str]) -> None:
    with PromptEvaluator(DOCUMENTS[:2], DOCUMENTS[2:4], out=tmp_path / "own", **GIVEN) as evaluator:
        assert calls == []
        trials = evaluator.evaluate(evaluator.prompts, evaluator.train)
        assert [trial.document_id for trial in trials] == list(evaluator.train)
        failed = evaluator.failures(evaluator.prompts, evaluator.train)
        assert {one.document_id for one in failed} == {trial.document_id for trial in trials if not trial.passed}
        paid = len(calls)
        assert paid > 0
    with PromptEvaluator(out=tmp_path / "own", **GIVEN) as evaluator:
        assert evaluator.evaluate({}, evaluator.train) == trials
        assert evaluator.evaluate(evaluator.prompts, evaluator.train[::-1])[0].document_id == trials[1].document_id
    assert len(calls) > paid, "another order is another evaluation"


def test_what_may_not_be_tried_is_refused_before_anything_is_paid(evaluator: PromptEvaluator, calls: list[str]) -> None:
    text = evaluator.prompts["challenger"]
    copied = {"challenger": f"{text}{' '.join(DOCUMENTS[2]['text'].split()[:30])}\n"}
    assert len(evaluator.problems(copied)) == 1
    with pytest.raises(UserError, match="these prompts may not be tried"):
        evaluator.evaluate(copied, evaluator.train)
    with pytest.raises(UserError, match=r"verifier\.md may not be edited"):
        evaluator.evaluate({"verifier": text}, evaluator.train)
    with pytest.raises(UserError, match="stranger is no document of this evaluator"):
        evaluator.evaluate({}, ["stranger"])
    assert evaluator.problems({"challenger": f"{text}Ask for figures.\n"}) == []
    assert calls == []


def test_without_a_with_statement_it_says_so(tmp_path: Path) -> None:
    evaluator = PromptEvaluator(DOCUMENTS[:2], DOCUMENTS[2:4], out=tmp_path / "own", **GIVEN)
    with pytest.raises(RuntimeError, match="with statement"):
        evaluator.evaluate({}, [])
    evaluator._loop.close()


@pytest.mark.slow
def test_gepa_searches_by_our_evaluator(evaluator: PromptEvaluator, calls: list[str]) -> None:
    from gepa.api import optimize

    from autodata.examples.gepa_adapter import AutodataAdapter

    proposed: list[str] = []

    def reflect(prompt: Any) -> str:
        text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
        proposed.append(text)
        found = re.search(r"```\n(.*?)\n```", text, re.DOTALL)
        assert found, text
        # Every other proposal copies a held-out document: it may not be tried, and GEPA must live with that.
        added = "Ask for figures." if len(proposed) % 2 else " ".join(DOCUMENTS[2]["text"].split()[:30])
        return f"```\n{found[1]}\n{added}\n```"

    class Quiet:
        def log(self, message: str) -> None:
            """Say nothing."""

    adapter: Any = AutodataAdapter(evaluator)
    result: Any = optimize(
        seed_candidate=evaluator.prompts,
        trainset=[*evaluator.train],
        valset=[*evaluator.validate],
        adapter=adapter,
        reflection_lm=reflect,
        reflection_minibatch_size=2,
        max_metric_calls=14,
        logger=Quiet(),
        skip_perfect_score=False,
    )
    assert len(proposed) >= 2
    assert "refused for" in proposed[0]
    assert result.best_candidate.keys() == evaluator.prompts.keys()
    paid = len(calls)
    for candidate, score in zip(result.candidates, result.val_aggregate_scores, strict=True):
        trials = evaluator.evaluate(candidate, evaluator.validate)
        assert score == sum(trial.passed for trial in trials) / len(trials)
    assert len(calls) == paid, "what GEPA reports is what was paid for"
