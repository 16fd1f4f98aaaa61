"""Selecting and confirmed gaps against the truth, in the simulated world: the first table of docs/reliability.md.

    python -m benchmarks.confirmed_gaps

Runs of accepted examples are played by the numeric twin of the world; fresh attempts are drawn as the node `confirm`
makes them. The truth is worked out, not sampled: the expected score of a solver at a question, over attempts and marks,
by quadrature over levels and the exact distribution of the weights that are met. What the tests repeat is a slice.
"""

from __future__ import annotations

import json
import math
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from autodata.checkpoints.records import DocumentStatus, Stage
from autodata.corpus.intervals import mean_interval
from autodata.domains.acceptance.policies import PRESETS, Planned
from autodata.domains.acceptance.rubric_score import rubric_score
from autodata.models.simulated.world import Criterion, Item, World, draw_level, draw_met, logistic, logit_of
from autodata.prompts import load_pack
from benchmarks.world_twin import RoundPlayed, Twin

DOCS = Path(__file__).resolve().parents[1] / "docs"
TABLE = DOCS / "reliability.json"
RUNS = 200
EXAMPLES = 200
FRESH = 4
PRESETS_SHOWN = ("paper", "deployed", "meta")
NODES = 31


@dataclass(frozen=True)
class Measured:
    """One accepted example: the gap that selected it, the gap of fresh attempts, and the true one."""

    selecting: float
    confirmed: float
    true: float


def expected_score(world: World, item: Item, rubric: tuple[Criterion, ...], theta: float) -> float:
    """Return the expected score of an attempt, over its level and the judge's marks: exact but for the quadrature."""
    points, shares = np.polynomial.hermite_e.hermegauss(NODES)
    shares = shares / shares.sum()
    reachable = sum(row.weight for row in rubric if row.weight > 0)
    lowest = sum(row.weight for row in rubric if row.weight < 0)
    sums = np.arange(lowest, reachable + 1)
    scores = np.clip(sums / reachable, 0, 1)
    found = 0.0
    for point, share in zip(points, shares, strict=True):
        level = logistic(item.a * (theta - item.d) + world.attempt_noise * float(point))
        logit = logit_of(round(level, 4))
        chances = np.zeros(len(sums))
        chances[-lowest] = 1.0
        for row in rubric:
            right = logistic(logit - row.b)
            chance = 0.4 * (1 - right) if row.weight < 0 else right
            chance = chance * (1 - world.judge_noise) + (1 - chance) * world.judge_noise
            chances = chances * (1 - chance) + np.roll(chances, row.weight) * chance
        found += float(share) * float(chances @ scores)
    return found


def fresh_mean(world: World, found: RoundPlayed, theta: float, rng: random.Random) -> float:
    """Return the mean score of fresh attempts of a solver at a question."""
    assert found.item is not None
    weights = [row.weight for row in found.rubric]
    scores = []
    for _ in range(FRESH):
        logit = logit_of(draw_level(world, found.item, theta, rng))
        met = [draw_met(world, logit, row.b, row.weight < 0, rng) for row in found.rubric]
        scores.append(float(rubric_score(weights, met)))
    return fmean(scores)


def played(preset: str, run: int, examples: int) -> list[Measured]:
    """Play documents until so many are accepted."""
    world = World()
    twin = Twin(world, PRESETS[preset], Planned(3, 3), max_rounds=15, seed=run)
    rules = twin.obeyed(load_pack("cs"))
    theta = {stage: world.abilities[stage.value] for stage in Stage}
    rng = random.Random(f"fresh/{preset}/{run}")
    found: list[Measured] = []
    number = 0
    while len(found) < examples:
        one = twin.play(rules, run, f"confirmed/{number}")
        number += 1
        if one.status is not DocumentStatus.ACCEPTED:
            continue
        last = one.rounds[-1]
        assert last.item is not None
        selecting = fmean(float(a.score) for a in last.strong) - fmean(float(a.score) for a in last.weak)
        weak, strong = (fresh_mean(world, last, theta[stage], rng) for stage in Stage)
        true_weak, true_strong = (expected_score(world, last.item, last.rubric, theta[stage]) for stage in Stage)
        found.append(Measured(selecting, strong - weak, true_strong - true_weak))
    return found


def figures(preset: str, runs: int, examples: int) -> dict[str, Any]:
    """Return what a preset's runs come to: means, and how many runs' intervals hold the truth.

    The truth that an interval is of is the mean over examples of such runs, here of all runs together: `held`. The mean
    over the examples of the run itself, `held_own`, it holds more often, for those are the examples that it is made of.
    """
    every = [played(preset, run, examples) for run in range(runs)]
    pooled = [one for of_run in every for one in of_run]
    means = {name: fmean(getattr(one, name) for one in pooled) for name in ("true", "confirmed", "selecting")}
    held = dict.fromkeys(("confirmed", "selecting"), 0)
    own = dict(held)
    for of_run in every:
        true = fmean(one.true for one in of_run)
        for name in held:
            interval = mean_interval([getattr(one, name) for one in of_run])
            low, high = interval.low or 0.0, interval.high or 0.0
            held[name] += low <= means["true"] <= high
            own[name] += low <= true <= high
    bias = mean_interval([one.confirmed - one.true for one in pooled])
    return {
        **{"runs": runs, "examples": examples},
        **means,
        **{"held": held, "held_own": own, "bias": [bias.value, bias.low, bias.high]},
    }


def rendered(tables: dict[str, Any]) -> str:
    """Return the table of docs/reliability.md for the content of its JSON."""
    row = next(iter(tables.values()))
    lines = [
        f"Each row: {row['runs']} runs of {row['examples']} accepted examples of `cs` in the default world, {FRESH} +"
        f" {FRESH} fresh attempts each.",
        "",
        "| preset | true gap | confirmed gap | its bias, 95 % interval | selecting gap | runs whose confirmed interval"
        " holds the truth | whose selecting one does |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, row in tables.items():
        value, low, high = row["bias"]
        lines.append(
            f"| `{preset}` | {row['true']:.3f} | {row['confirmed']:.3f} | {value:+.4f} [{low:+.4f}, {high:+.4f}] |"
            f" {row['selecting']:.3f} | {share(row['held']['confirmed'], row['runs'])} |"
            f" {share(row['held']['selecting'], row['runs'])} |"
        )
    return "\n".join(lines) + "\n"


def share(count: int, of: int) -> str:
    """Return a share of runs in per cent with its standard error."""
    rate = count / of
    return f"{100 * rate:.1f} % (s.e. {100 * math.sqrt(rate * (1 - rate) / of):.1f})"


def main() -> None:
    """Play all runs and write the JSON."""
    known = json.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {}
    known["gaps"] = {}
    for preset in PRESETS_SHOWN:
        known["gaps"][preset] = figures(preset, RUNS, EXAMPLES)
        sys.stdout.write(f"{preset}: {known['gaps'][preset]}\n")
        sys.stdout.flush()
    known["gaps_slice"] = {preset: figures(preset, 1, 8) for preset in PRESETS_SHOWN}
    TABLE.write_text(json.dumps(known, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
