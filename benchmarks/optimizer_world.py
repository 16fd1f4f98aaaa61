"""The optimiser's evaluations in the simulated world: for measuring the search, thousands of evaluations a minute.

`WorldEvaluator` stands in for the evaluator that runs the pipeline, and for the reader of its failures. It is not the
search: parents, edits, decisions are the real graph's. `true_rate` is what the search never sees.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from autodata.checkpoints.ids import attempt_id
from autodata.checkpoints.records import Document, FailureMode, Stage
from autodata.domains.acceptance.policies import Planned
from autodata.models.simulated.world import META_WORLD
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Trial
from autodata.nodes.optimizer.trajectories import Exchange, Failure
from autodata.prompts import PromptPack, load_pack
from autodata.runner.config import RunConfig
from benchmarks.tables import documents
from benchmarks.world_twin import Marked, Obeyed, Played, RoundPlayed, Twin

SIZES: Mapping[str, int] = {"train": 50, "validate": 25, "test": 25}
"""Documents of a split, as many as the paper had (of its test documents it gives no number: as for validation)."""

PLAIN: Mapping[str, Any] = {"reuse_parent": False, "racing": "off", "curtail": False, "confirm": 0, "parallel": 1}
"""The paper's optimiser read to the letter: parent and mutant are evaluated whole in every iteration, one at a time."""


def splits(seed: int = 0) -> dict[str, list[Document]]:
    """Return made-up documents for each split, no document in two of them."""
    made = iter(documents("cs", sum(SIZES.values()), seed))
    return {name: [next(made) for _ in range(count)] for name, count in SIZES.items()}


def world_config(optimize: Mapping[str, Any] | None = None, seed: int = 0) -> RunConfig:
    """Return the configuration of a search in the optimiser's world: domain cs, preset meta, simulated models."""
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    return RunConfig.model_validate(
        {
            "domain": "cs",
            "acceptance": "meta",
            "max_rounds": 3,
            "seed": seed,
            "models": models,
            "simulated": META_WORLD.model_dump(),
            "checkpoints": {"keep": "none"},
            "optimize": dict(optimize or {}),
        }
    )


def twin_of(config: RunConfig, frozen: PromptPack, seed: int = 0) -> Twin:
    """Return the twin that plays documents as a search of this configuration would have them evaluated."""
    planned = config.chosen_domain.planned
    return Twin(
        config.simulated,
        config.policy,
        Planned(planned.weak, planned.strong, config.optimize.curtail),
        max_rounds=config.optimize.max_rounds,
        frozen=frozen,
        seed=seed,
    )


@dataclass
class WorldEvaluator:
    """Evaluates packs in the world: an `Evaluator` and the `Trajectories` of its own evaluations.

    `calls` counts what was paid for. An evaluation is known by its id: asked for again, it is read back, and one that
    was stopped early goes on where it was.
    """

    config: RunConfig
    frozen: PromptPack = field(default_factory=lambda: load_pack("cs"))
    latency_s: float = 0.0
    """Seconds a call takes. Documents of a batch, and the attempts of a stage, run side by side."""
    calls: int = 0

    def __post_init__(self) -> None:
        self._twin = twin_of(self.config, self.frozen, self.config.seed)
        self._obeyed: dict[str, Obeyed] = {}
        self._played: dict[tuple[str, str], Played] = {}

    async def evaluate(self, request: EvaluationRequest) -> tuple[Trial, ...]:
        """Return the trials in the order of the documents; fewer than asked for when `lost` stopped it."""
        trials: list[Trial] = []
        if request.lost and request.lost(trials):
            return ()
        for first in range(0, len(request.documents), request.batch):
            batch = request.documents[first : first + request.batch]
            trials += await self._batch(request, batch)
            if request.lost and first + request.batch < len(request.documents) and request.lost(trials):
                break
        return tuple(trials)

    def drain(self, reason: str, *, failed: bool = False, keep_reserved: bool = False) -> None:
        """Nothing is in work that could be stopped."""

    async def _batch(self, request: EvaluationRequest, batch: Sequence[str]) -> list[Trial]:
        longest = 0
        for document in batch:
            if (request.evaluation, document) not in self._played:
                played = self._twin.play(self._rules(request.pack), request.block, document)
                longest = max(longest, _steps(played))
                self.calls += played.calls
                kept = played if request.split == "train" else replace(played, rounds=played.rounds[-1:])
                self._played[request.evaluation, document] = replace(kept, taken=len(played.rounds))
        if longest and self.latency_s:
            await asyncio.sleep(longest * self.latency_s)
        found = [(document, self._played[request.evaluation, document]) for document in batch]
        return [Trial(document, played.status, played.taken, played.calls) for document, played in found]

    def _rules(self, pack: PromptPack) -> Obeyed:
        if pack.version not in self._obeyed:
            self._obeyed[pack.version] = self._twin.obeyed(pack)
        return self._obeyed[pack.version]

    async def failures(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the failed rounds of an evaluation on these documents, in order of document and round."""
        return [
            failure_of(evaluation, document, n, row)
            for document in documents
            if (evaluation, document) in self._played
            for n, row in enumerate(self._played[evaluation, document].rounds, 1)
            if row.failure_mode
        ]


def _steps(played: Played) -> int:
    """Return how many calls one after another a document took."""
    steps = 0
    for row in played.rounds:
        steps += 2 + 2 * bool(row.weak) + 2 * bool(row.strong) + (row.failure_mode in {None, FailureMode.FINAL_CHECK})
    return steps


def failure_of(evaluation: str, document: str, n: int, row: RoundPlayed) -> Failure:
    """Return a failed round in the shape in which the ledger has it, with placeholders for what was written."""
    mode = row.failure_mode
    if mode is None:
        raise ValueError("an accepted round is no failure")
    round_id = f"{evaluation}/{document}/{n}/{'simulated' if row.item else 'malformed'}"
    candidate: dict[str, Any] = {}
    if row.item:
        rubric = [{"criterion": _criterion(k, c.weight), "weight": c.weight} for k, c in enumerate(row.rubric, 1)]
        question = f"What follows for the subject of {document}? [item d={row.item.d:+.3f} a={row.item.a:.3f}]"
        candidate = {"question": question, "context": f"A simulated setting around {document}.", "rubric": rubric}
    seen = mode in {FailureMode.QUALITY, FailureMode.FINAL_CHECK}
    weak, strong = (tuple(attempt.score for attempt in made) for made in (row.weak, row.strong))
    return Failure(
        round_id=round_id,
        document_id=document,
        n=n,
        failure_mode=mode.value,
        reason=row.reason,
        candidate=candidate,
        quality={"passed": not seen, "feedback": f"simulated finding: {row.reason}" if seen else ""}
        if row.item
        else None,
        weak_mean=_mean(weak),
        strong_mean=_mean(strong),
        exchanges=(
            *_exchanges(round_id, Stage.WEAK, row, row.weak),
            *_exchanges(round_id, Stage.STRONG, row, row.strong),
        ),
    )


def _exchanges(round_id: str, stage: Stage, row: RoundPlayed, made: Sequence[Marked]) -> list[Exchange]:
    return [
        Exchange(
            attempt_id=attempt_id(round_id, stage, index),
            stage=stage.value,
            answer=f"A reasoned answer of the simulated {stage} solver. [level p={attempt.level:.4f}]",
            score=float(attempt.score),
            marks=tuple(
                {"criterion": _criterion(k, c.weight), "weight": c.weight, "met": met, "reason": "simulated"}
                for k, (c, met) in enumerate(zip(row.rubric, attempt.met, strict=True), 1)
            ),
        )
        for index, attempt in enumerate(made)
    ]


def _criterion(number: int, weight: int) -> str:
    return f"{'States step' if weight > 0 else 'Commits error'} {number}"


def _mean(scores: Sequence[Fraction]) -> float | None:
    return float(sum(scores, Fraction(0)) / len(scores)) if scores else None


_TRUE: dict[tuple[Any, ...], float] = {}


def true_rate(pack: PromptPack, n: int = 20_000, config: RunConfig | None = None) -> tuple[float, float]:
    """Return a pack's true pass rate, measured on `n` fresh documents of the world, and its standard error.

    Only what the pack's rules do matters, so packs of the same effects have the same rate, and are measured once. The
    baseline's quality verifier makes the final check.
    """
    config = config or world_config()
    twin = twin_of(config, load_pack("cs"), seed=-1)
    rules = replace(twin.obeyed(pack), challenger="", feedback="", verifier="")
    key = (n, config.model_dump_json(), rules)
    if key not in _TRUE:
        _TRUE[key] = sum(twin.play(rules, 0, f"true/{k}").status == "accepted" for k in range(n)) / n
    rate = _TRUE[key]
    return rate, math.sqrt(rate * (1 - rate) / n)
