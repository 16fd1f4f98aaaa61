"""The diagnostic packet: the whole pattern of a round's attempts as numbers, for the loop judge (paper, section 4).

Every number is counted here, in code, from the marks. A figure is given exactly, as a fraction, and as a short decimal
beside it, because judges read decimals better.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from autodata.checkpoints.records import Attempt, Round, RubricFigures, Stage
from autodata.domains.acceptance.rubric_score import mean, one_line, rubric_figures, std_points, variance
from autodata.prompts import fence


@dataclass(frozen=True)
class Pattern:
    """What a packet is made of: the question, its criteria, all attempts with their marks, and the closed rounds.

    A criterion is a mapping with `criterion` and `weight`, in a legal rubric also `category`, `capability` and
    `weight_class`.
    """

    question: str
    criteria: Sequence[Mapping[str, Any]]
    attempts: Sequence[Attempt]
    rounds: Sequence[Round] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    """Fixed rules of the task type that the question breaks, each with what was found."""

    def of(self, stage: Stage) -> list[Attempt]:
        """Return one solver's attempts in order of their index."""
        return sorted((a for a in self.attempts if a.stage is stage), key=lambda a: a.index)

    def met(self, stage: Stage, at: int) -> list[bool | None]:
        """Return each attempt's mark on the criterion at a position; None where nothing was there to be marked."""
        marks = [attempt.mark.met if attempt.mark else () for attempt in self.of(stage)]
        return [met[at] if at < len(met) else None for met in marks]

    def passed(self, stage: Stage, at: int) -> int:
        """Count the attempts that did well on a criterion: met it, or, when its weight is negative, did not."""
        wanted = self.criteria[at]["weight"] > 0
        return sum(met is wanted for met in self.met(stage, at))


def packet(pattern: Pattern) -> dict[str, Any]:
    """Return the packet as plain JSON values. There must be at least one marked attempt of either solver."""
    means = {stage: mean(_scores(pattern, stage)) for stage in Stage}
    size = rubric_figures([row["weight"] for row in pattern.criteria])
    return {
        "weak": _solver(pattern, Stage.WEAK),
        "strong": _solver(pattern, Stage.STRONG),
        "gap": figure(means[Stage.STRONG] - means[Stage.WEAK]),
        "capabilities": _capabilities(pattern),
        "rubric": _size(size),
        "eased_since_last_round": eased(pattern.rounds, size),
        "body_chars": len(pattern.question),
        "post_filter_flags": dict(pattern.flags),
        "earlier_verdicts": [_earlier(row) for row in pattern.rounds],
        "criteria": [_criterion(pattern, at) for at in range(len(pattern.criteria))],
    }


def shown(found: Mapping[str, Any], question: str) -> str:
    """Return question and packet as the loop judge reads them: JSON, one line for each attempt, tag and criterion."""
    lines = [f"{json.dumps(name)}: {_laid_out(value)}" for name, value in found.items()]
    return fence("question", question) + "\n\n" + fence("packet", "{\n" + ",\n".join(lines) + "\n}")


def figure(value: Fraction) -> dict[str, Any]:
    """Return a number exactly and to four places."""
    return {"exact": str(value), "value": round(float(value), 4)}


def eased(rounds: Sequence[Round], size: RubricFigures) -> dict[str, Any] | None:
    """Return in which ways a rubric is easier than the last one before it; None when there is none to compare."""
    before = next((row.rubric for row in reversed(rounds) if row.rubric), None)
    if before is None:
        return None
    return {
        "fewer_items": size.items < before.items,
        "lower_positive_total": size.positive_total < before.positive_total,
        "lower_positive_mean": size.positive_mean < before.positive_mean,
        "before": _size(before),
    }


def _scores(pattern: Pattern, stage: Stage) -> list[Fraction]:
    return [attempt.mark.score for attempt in pattern.of(stage) if attempt.mark]


def _solver(pattern: Pattern, stage: Stage) -> dict[str, Any]:
    scores = _scores(pattern, stage)
    return {
        "mean": figure(mean(scores)),
        "variance": str(variance(scores)),
        "std_points": round(std_points(scores), 2),
        "attempts": [
            {
                "attempt": attempt.index + 1,
                "score": figure(attempt.mark.score),
                "chars": attempt.chars,
                "cut_off": attempt.truncated,
            }
            for attempt in pattern.of(stage)
            if attempt.mark
        ],
    }


def _criterion(pattern: Pattern, at: int) -> dict[str, Any]:
    row = pattern.criteria[at]
    known = {name: row[name] for name in ("category", "capability", "weight_class", "weight") if name in row}
    marks = {
        stage.value: [None if met is None else int(met) for met in pattern.met(stage, at)]
        for stage in (Stage.WEAK, Stage.STRONG)
    }
    counts = {f"{stage.value}_passed": pattern.passed(stage, at) for stage in (Stage.WEAK, Stage.STRONG)}
    return {"number": at + 1, **known, **marks, **counts, "criterion": one_line(row["criterion"])}


def _capabilities(pattern: Pattern) -> list[dict[str, Any]]:
    """Return each tag with the share of its criteria that attempts did well on, over all attempts of a solver."""
    tags: dict[str, list[int]] = {}
    for at, row in enumerate(pattern.criteria):
        if tag := row.get("capability"):
            tags.setdefault(tag, []).append(at)
    found = []
    for tag, places in tags.items():
        weak, strong = (
            Fraction(sum(pattern.passed(stage, at) for at in places), len(places) * len(pattern.of(stage)))
            for stage in (Stage.WEAK, Stage.STRONG)
        )
        shares = {"weak": figure(weak), "strong": figure(strong), "gap": figure(strong - weak)}
        found.append({"capability": tag, "n": len(places), **shares})
    return found


def _size(size: RubricFigures) -> dict[str, Any]:
    return {
        "items": size.items,
        "positive_items": size.positive_items,
        "positive_total": size.positive_total,
        "positive_mean": figure(size.positive_mean),
    }


def _earlier(row: Round) -> dict[str, Any]:
    means = {"weak_mean": row.weak_mean, "strong_mean": row.strong_mean, "gap": row.gap}
    return {
        "round": row.n,
        "verdict": row.failure_mode.value if row.failure_mode else "accept",
        "reason": row.reason,
        **{name: None if value is None else figure(value) for name, value in means.items()},
        "rubric": None if row.rubric is None else _size(row.rubric),
    }


def _laid_out(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)
