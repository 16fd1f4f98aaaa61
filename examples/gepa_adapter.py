"""GEPA on Autodata's evaluator: `python examples/gepa_adapter.py openai:gpt-5 openai:gpt-5-nano`.

It needs `pip install gepa litellm`. A score is 1 where a document led to an example that the strong model can do and
the weak one cannot, else 0. GEPA proposes prompts and chooses among them; code checks what it proposes before anything
is paid for it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gepa.api import optimize
from gepa.core.adapter import EvaluationBatch

from autodata import Failure, PromptEvaluator, Trial
from autodata.examples import documents_folder


class AutodataAdapter:
    """A `GEPAAdapter`: its components are the editable prompts by role, its data the ids of documents."""

    propose_new_texts = None  # GEPA's own proposals, by its reflection model

    def __init__(self, evaluator: PromptEvaluator) -> None:
        """Try candidates with an evaluator that is open."""
        self._evaluator = evaluator

    def evaluate(
        self, batch: list[str], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch[list[Failure], Trial | None]:
        """Try a candidate on documents. One that may not be tried scores 0, and its traces say why."""
        if problems := self._evaluator.problems(candidate):
            why = [[Failure("", name, 0, "invalid", "; ".join(problems))] for name in batch]
            return EvaluationBatch([None] * len(batch), [0.0] * len(batch), why if capture_traces else None)
        trials = self._evaluator.evaluate(candidate, batch)
        traces = None
        if capture_traces:
            failures = self._evaluator.failures(candidate, batch)
            traces = [[one for one in failures if one.document_id == name] for name in batch]
        return EvaluationBatch([*trials], [float(trial.passed) for trial in trials], traces)

    def make_reflective_dataset(
        self,
        candidate: dict[str, str],
        eval_batch: EvaluationBatch[list[Failure], Trial | None],
        components_to_update: list[str],
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the failed rounds of a minibatch: the task, what each solver's answers got, why it was refused."""
        rows = [_row(failure) for failures in eval_batch.trajectories or [] for failure in failures]
        return dict.fromkeys(components_to_update, rows)


def _row(failure: Failure) -> dict[str, Any]:
    return {
        "Inputs": f"a document, round {failure.n}",
        "Generated Outputs": dict(failure.candidate),
        "Feedback": {
            "refused for": f"{failure.failure_mode}: {failure.reason}",
            "weak mean": failure.weak_mean,
            "strong mean": failure.strong_mean,
        },
    }


def main(strong: str, weak: str, reflect: Any = None, out: str = "runs/gepa", calls: int = 2_000) -> Any:
    """Search on the shipped documents until `calls` model calls are made, and return GEPA's result.

    `reflect` is the model that writes GEPA's proposals, as GEPA names it, or a function; without one the strong model.
    """
    papers = sorted(documents_folder().glob("*.md"))
    models = {"default": strong, "weak_solver": weak}
    with PromptEvaluator(papers[:3], papers[3:], out=out, models=models, max_calls=calls) as evaluator:
        adapter: Any = AutodataAdapter(evaluator)
        return optimize(
            seed_candidate=evaluator.prompts,
            trainset=[*evaluator.train],
            valset=[*evaluator.validate],
            adapter=adapter,
            reflection_lm=reflect or strong.replace(":", "/", 1),
            max_metric_calls=60,
            run_dir=f"{out}/gepa",
        )


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2]).best_candidate)
