"""Examples of an arm: made by `generate`, the loop or the baseline, and exported as trainers take them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from transformers import LlamaForCausalLM

from autodata import BaselineConfig, GenerationResult, RunConfig, generate
from benchmarks.teaching.challenger import Program, sheets
from benchmarks.teaching.solver import Solver

SHEETS = Path(__file__).parent / "sheets"
ROUNDS = 12
SIDE_BY_SIDE = 64
"""Documents in work at once."""
MOST_DOCUMENTS = 600
GATES: Mapping[str, Any] = {
    "agentic": "paper",
    "gate too easy": {"weak_mean": [">= 0.75"], "strong_mean": [">= 0.65"]},
    "gate too hard": {"weak_mean": ["<= 0"], "strong_mean": [">= 0.25", "<= 0.50"]},
}
"""Arm -> its acceptance; the second generation's is that of agentic. One-shot has none."""


@dataclass(frozen=True)
class Made:
    """What making an arm's examples took, and what was seen of them while they were made."""

    documents: int
    accepted: int
    processor_seconds: float
    solver_calls: int
    rounds: float
    """Rounds to an example, of the accepted ones."""
    weak: float
    strong: float


def make(
    folder: Path, acceptance: Any, weak: LlamaForCausalLM, strong: LlamaForCausalLM, *, seed: int, wanted: int
) -> Made:
    """Make examples in a run folder, by the loop, or where `acceptance` is None by the baseline, and export them.

    Every document that was begun is ended, and more are taken until there are `wanted` examples: so which they are does
    not depend on what was quick. `folder` gets `run`, `trl-grpo`, `messages` and `made.json`; where the last stands
    there already nothing is done.
    Raises RuntimeError where MOST_DOCUMENTS do not give enough.
    """
    done = folder / "made.json"
    if done.exists():
        return Made(**json.loads(done.read_text("utf-8")))
    values = {
        "domain": str(SHEETS),
        "seed": seed,
        "concurrency": SIDE_BY_SIDE,
        "checkpoints": {"keep": "none"},
        "tracing": {"local": False},
    }
    loop = {} if acceptance is None else {"acceptance": acceptance, "max_rounds": ROUNDS}
    program = Program()
    models = {
        "default": program,
        "weak_solver": Solver.of(weak, "weak", seed),
        "strong_solver": Solver.of(strong, "strong", seed),
    }
    config = RunConfig.model_validate({**values, **loop})
    if acceptance is None:
        config = BaselineConfig.of(config)
    began, documents, result = time.process_time(), 0, None
    while result is None or len(result) < wanted:
        if documents >= MOST_DOCUMENTS:
            raise RuntimeError(f"{folder}: {documents} documents gave {len(result or ())} examples of {wanted}")
        documents += max(8, wanted // 2) if documents else wanted
        given = sheets(seed, documents)
        result = generate(given, models=models, out=folder / "run", config=config, progress=False).raise_for_status()
    spent = time.process_time() - began
    for form in ("trl-grpo", "messages"):
        result.export(folder / form, format=form)
    made = _made(result, documents, spent)
    done.write_text(json.dumps(asdict(made), indent=1) + "\n", "utf-8")
    return made


def _made(result: GenerationResult, documents: int, spent: float) -> Made:
    calls = sum(usage.calls for role, usage in result.usage_by_role.items() if role.endswith("_solver"))
    of = {name: [example[name] for example in result] for name in ("round", "weak_mean", "strong_mean")}
    means = [round(mean(values), 4) if values else 0.0 for values in of.values()]
    return Made(documents, len(result), round(spent, 1), calls, *means)
