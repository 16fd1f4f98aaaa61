"""What a calibration recovers, and what several judges cost and save: the other tables of docs/reliability.md.

    python -m benchmarks.judges

Answers of accepted and rejected rounds of the simulated world's twin have a truth for each criterion; a judge's finding
differs from it at a planted rate. The statistics and the rules are those of `autodata calibrate` and of a run.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata.checkpoints.records import Decision, Stage
from autodata.domains.acceptance.panel import agreed, escalated
from autodata.domains.acceptance.policies import PRESETS, Planned
from autodata.domains.acceptance.rubric_score import rubric_score
from autodata.domains.tasks.base import Scored
from autodata.jobs.calibration.agreement import agreement_of
from autodata.models.simulated.world import World
from autodata.prompts import load_pack
from benchmarks.confirmed_gaps import TABLE, share
from benchmarks.world_twin import Twin

NOISES = (0.02, 0.05, 0.1, 0.2)
CALIBRATIONS = 200
ATTEMPTS, REPEATS = 40, 3
"""Those of `autodata calibrate` by default."""
ROUNDS = 2_000
SMALLS, LARGE = (0.03, 0.1), 0.005
"""Planted noise of small judges, one table each, and of a large one."""
PRICE = 10
"""What a call of the large one costs in calls of the small one."""


@dataclass(frozen=True)
class Round:
    """A round of three attempts of each solver: the weights of its rubric, and what is true of each attempt."""

    weights: tuple[int, ...]
    truth: dict[Stage, list[tuple[bool, ...]]]


def rounds(count: int, seed: int = 0) -> list[Round]:
    """Return rounds whose attempts of both solvers were made, as a judge without noise sees them."""
    world = World(judge_noise=0)
    twin = Twin(world, PRESETS["paper"], Planned(3, 3), max_rounds=15, seed=seed)
    rules, found, number = twin.obeyed(load_pack("cs")), list[Round](), 0
    while len(found) < count:
        for one in twin.play(rules, seed, f"judges/{number}").rounds:
            if one.weak and one.strong:
                truth = {Stage.WEAK: [a.met for a in one.weak], Stage.STRONG: [a.met for a in one.strong]}
                found.append(Round(tuple(row.weight for row in one.rubric), truth))
        number += 1
    return found[:count]


def calibrations(noise: float, count: int) -> dict[str, Any]:
    """Return how often the interval of a calibration holds the planted noise, and what it finds in the mean."""
    known = rounds(200)
    held, values, widths = 0, [], []
    for number in range(count):
        rng = random.Random(f"{noise}/{number}")
        attempts = [rng.choice(rng.choice(known).truth[rng.choice(list(Stage))]) for _ in range(ATTEMPTS)]
        votes = [[tuple(met != (rng.random() < noise) for _ in range(1 + REPEATS)) for met in one] for one in attempts]
        found = agreement_of(votes, number).noise
        low, high, value = found.low or 0.0, found.high or 0.0, found.value or 0.0
        held += low <= noise <= high
        values.append(value)
        widths.append(high - low)
    return {"runs": count, "held": held, "mean": sum(values) / count, "width": sum(widths) / count}


Ask = Callable[[Sequence[int], tuple[bool, ...], random.Random], tuple[Scored, int, int]]
"""Marks an attempt of which this is true; returns the finding, and the calls of small and of large judges."""


def finding(weights: Sequence[int], truth: tuple[bool, ...], noise: float, rng: random.Random) -> Scored:
    """Return one judge's finding."""
    met = tuple(one != (rng.random() < noise) for one in truth)
    return Scored(rubric_score(weights, met), met, ())


def panel(small: int, noise: float, *, larger: bool = False, large_alone: bool = False) -> Ask:
    """Return a way to ask: so many small judges, a larger one in doubt, or a large one alone."""

    def ask(weights: Sequence[int], truth: tuple[bool, ...], rng: random.Random) -> tuple[Scored, int, int]:
        if large_alone:
            return finding(weights, truth, LARGE, rng), 0, 1
        criteria = [(str(k), weight) for k, weight in enumerate(weights)]
        found = agreed([finding(weights, truth, noise, rng) for _ in range(small)], criteria, "majority")
        if not larger or not found.doubtful:
            return found.scored, small, 0
        return escalated(found, finding(weights, truth, LARGE, rng), criteria), small, 1

    return ask


def ways(noise: float) -> dict[str, Ask]:
    """Return the ways to ask that are compared, small judges being wrong so often."""
    return {
        "one small judge": panel(1, noise),
        "a panel of 3 small ones": panel(3, noise),
        "a panel of 5 small ones": panel(5, noise),
        "2 small ones, a large one in doubt": panel(2, noise, larger=True),
        "3 small ones, a large one in doubt": panel(3, noise, larger=True),
        "one large judge": panel(0, noise, large_alone=True),
    }


def compared(ask: Ask, known: Sequence[Round]) -> dict[str, Any]:
    """Return wrong findings, wrong verdicts and calls of a way to ask."""
    policy, rng = PRESETS["paper"], random.Random("ways")
    totals = {"findings": 0, "wrong": 0, "verdicts": 0, "flips": 0, "attempts": 0, "small": 0, "large": 0}
    for one in known:
        scores: dict[Stage, list[Fraction]] = {stage: [] for stage in Stage}
        true: dict[Stage, list[Fraction]] = {stage: [] for stage in Stage}
        for stage, attempts in one.truth.items():
            for truth in attempts:
                found, small, large = ask(one.weights, truth, rng)
                scores[stage].append(found.score)
                true[stage].append(rubric_score(one.weights, truth))
                totals["wrong"] += sum(met != is_true for met, is_true in zip(found.met, truth, strict=True))
                totals["findings"] += len(truth)
                totals["attempts"] += 1
                totals["small"] += small
                totals["large"] += large
        given, wanted = (
            policy.rule(marked[Stage.WEAK], marked[Stage.STRONG], Planned(3, 3)).decision is Decision.ACCEPT
            for marked in (scores, true)
        )
        totals["verdicts"] += 1
        totals["flips"] += given != wanted
    return totals


def noise_table(rows: dict[str, Any]) -> str:
    """Return the table of what calibrations recover."""
    runs = next(iter(rows.values()))["runs"]
    lines = [
        f"{runs} calibrations of {ATTEMPTS} attempts, {REPEATS} repeats, at each planted noise:",
        "",
        "| planted noise | mean found | mean width of the interval | intervals that hold it |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {float(noise):.2f} | {row['mean']:.4f} | {row['width']:.3f} | {share(row['held'], row['runs'])} |"
        for noise, row in rows.items()
    ]
    return "\n".join(lines) + "\n"


def ways_table(noise: float, rows: dict[str, Any]) -> str:
    """Return the table of what several judges cost and save."""
    first = next(iter(rows.values()))
    lines = [
        f"{first['verdicts']:,} rounds of 3 + 3 attempts, preset `paper`; a small judge is wrong on {noise:.1%} of"
        f" criteria, a large one on {LARGE:.1%} and costs {PRICE} times as much:",
        "",
        "| judges | findings that are wrong | verdicts that are wrong | small calls an attempt | large ones | cost |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        small, large = row["small"] / row["attempts"], row["large"] / row["attempts"]
        lines.append(
            f"| {name} | {row['wrong'] / row['findings']:.2%} | {share(row['flips'], row['verdicts'])} | {small:.1f} |"
            f" {large:.2f} | {small + PRICE * large:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything and write the JSON."""
    known = json.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {}
    known["noise"] = {str(noise): calibrations(noise, CALIBRATIONS) for noise in NOISES}
    sys.stdout.write(noise_table(known["noise"]))
    every = rounds(ROUNDS)
    known["ways"] = {str(noise): {name: compared(ask, every) for name, ask in ways(noise).items()} for noise in SMALLS}
    for noise, rows in known["ways"].items():
        sys.stdout.write(f"\n{ways_table(float(noise), rows)}")
    known["noise_slice"] = calibrations(NOISES[0], 2)
    known["ways_slice"] = {name: compared(ask, every[:10]) for name, ask in ways(SMALLS[0]).items()}
    TABLE.write_text(json.dumps(known, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
