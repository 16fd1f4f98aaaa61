"""GEPA's own engine on our evaluator, in the simulated worlds: the comparison that a user of it would ask for.

Its candidates are our editable prompts, its proposals our simulated editor's, all else is GEPA's default: Pareto
parents, minibatches of three, a candidate validated whole once it is better on a minibatch, merges.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import gepa
from gepa.core.adapter import EvaluationBatch

from autodata.models.simulated.optimizer import MODES as NAMED
from autodata.models.simulated.optimizer import TASTES
from autodata.nodes.optimizer.edit_sandbox import editable_roles
from autodata.nodes.optimizer.evaluator import EvaluationRequest
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.pack import parse_prompt
from benchmarks.fast_search import SIZES, Found, PlayedEvaluator, Point, Worlds, edited


class Adapter:
    """`GEPAAdapter` over the plays of a world."""

    def __init__(self, worlds: Worlds, seed: int, budget: int) -> None:
        self.documents = {split: tuple(f"{seed}/{split}/{k}" for k in range(n)) for split, n in SIZES.items()}
        self.played = PlayedEvaluator(worlds, seed, self.documents, False)
        self.worlds, self.budget = worlds, budget
        self.points: list[Point] = []
        self._baseline = load_pack("cs")
        self._rng = random.Random(f"{seed}/gepa")
        self._block, self._best = 0, -1.0

    def candidate(self) -> dict[str, str]:
        """Return the prompts that a search begins with."""
        return {role: self._baseline[role].text for role in editable_roles(self._baseline)}

    def pack(self, candidate: Mapping[str, str]) -> PromptPack:
        """Return a candidate's prompts as a pack."""
        edits = {role: parse_prompt(role, text, role) for role, text in candidate.items()}
        return PromptPack("cs", {**self._baseline.prompts, **edits})

    def evaluate(self, batch: Sequence[str], candidate: Mapping[str, str], capture_traces: bool = False) -> Any:
        """Try a candidate on documents, each time under fresh seeds."""
        self._block += 1
        validating = tuple(batch) == self.documents["validate"]
        pack = self.pack(candidate)
        split = "validate" if validating else "train"
        request = EvaluationRequest(f"{split}-{self._block}", pack, split, self._block, tuple(batch))
        trials = asyncio.run(self.played.evaluate(request))
        scores = [float(trial.passed) for trial in trials]
        if validating and (score := sum(scores) / len(scores)) > self._best:
            self._best = score
            self.points.append(Point(self.played.calls, self.worlds.rate(self.played.rules(pack)), score))
        traces = [dict(self.played.failed)] * len(batch) if capture_traces else None
        return EvaluationBatch(outputs=list(trials), scores=scores, trajectories=traces)

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], batch: Any, components: Sequence[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the failure modes of the minibatch."""
        failed: dict[str, int] = batch.trajectories[0] if batch.trajectories else {}
        return {name: [{"Feedback": failed}] for name in components}

    def propose_new_texts(
        self, candidate: Mapping[str, str], dataset: Mapping[str, Any], components: Sequence[str]
    ) -> dict[str, str]:
        """Return what the simulated analyst and editor make of them."""
        failed: Counter[str] = Counter(next(iter(dataset.values()))[0]["Feedback"])
        found = [mode for mode, _ in failed.most_common(3)]
        said = [self._rng.choice(NAMED) if self._rng.random() < TASTES.misreads else mode for mode in found]
        self.played.calls += 2
        pack, _ = edited(self.pack(candidate), ", ".join(dict.fromkeys(said)), self._rng)
        return {name: pack[name].text for name in components}


def search_by_gepa(worlds: Worlds, seed: int, budget: int) -> Found:
    """Run GEPA until the calls are spent; `points` has its best candidate whenever that changed."""

    class Quiet:
        def log(self, message: str) -> None:
            """Say nothing."""

    adapter = Adapter(worlds, seed, budget)
    any_adapter: Any = adapter
    gepa.optimize(
        seed_candidate=adapter.candidate(),
        trainset=list(adapter.documents["train"]),
        valset=list(adapter.documents["validate"]),
        adapter=any_adapter,
        module_selector="all",
        use_merge=True,
        stop_callbacks=lambda state: adapter.played.calls >= budget,
        logger=Quiet(),
        seed=seed,
    )
    return Found(adapter.points)
