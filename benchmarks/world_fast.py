"""The simulated world, many documents at a time: the numeric twin's statistics in arrays, some fifty times faster.

`benchmarks/world_twin.py` plays one document after another; tests/unit/test_world_fast.py compares both. The policy is
the preset `meta` with three weak and three strong attempts, the only one that the optimiser is measured with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autodata.checkpoints.records import FailureMode
from autodata.models.simulated.rules import Effects, Rule
from autodata.models.simulated.world import World, document_normal, effects_on
from benchmarks.world_twin import TRIES, Obeyed

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ATTEMPTS = 3
ROUNDS = 3
MODES: Sequence[FailureMode | None] = (
    None,
    FailureMode.MALFORMED,
    FailureMode.QUALITY,
    FailureMode.TOO_EASY,
    FailureMode.FAILED_ON_STRONG,
    FailureMode.SATURATED_STRONG,
    FailureMode.GAP_TOO_SMALL,
    FailureMode.FINAL_CHECK,
)
"""What stands for a number in `Many.modes`; -1 is a round that was not begun."""
_MALFORMED, _QUALITY, _EASY, _FAILED, _SATURATED, _GAP, _FINAL = range(1, 8)
_EPSILON = 1e-9


@dataclass(frozen=True)
class Many:
    """How many documents came out, a row each."""

    passed: Flags
    calls: NDArray[np.int64]
    """Without stopping settled attempts."""
    settled: NDArray[np.int64]
    """With it."""
    modes: NDArray[np.int64]
    """(documents, 3): how each round failed, by number."""


def play(world: World, rules: Obeyed, frozen: Effects, documents: Sequence[str], seed: int) -> Many:
    """Play documents to their ends; `frozen` are the effects on the quality verifier that makes the final check."""
    rng = np.random.default_rng(seed)
    n = len(documents)
    effects = [_arrays(world, of, documents) for of in (rules.first, rules.later)]
    passed, modes = np.zeros(n, bool), np.full((n, ROUNDS), -1)
    calls, settled = np.zeros(n, np.int64), np.zeros(n, np.int64)
    easy, hard = np.zeros(n), np.zeros(n)
    active = np.arange(n)
    for number in range(ROUNDS):
        shift = {name: values[active] for name, values in effects[number > 0].items()}
        mode, paid, curtailed = _round(world, shift, rules.review, frozen, easy[active], hard[active], rng)
        modes[active, number] = mode
        calls[active] += paid
        settled[active] += curtailed
        passed[active] = mode == 0
        easy[active] += (mode == _EASY) | (mode == _SATURATED)
        hard[active] += (mode == _FAILED) | (mode == _GAP)
        active = active[(mode != 0) & (mode != _FINAL)]
    return Many(passed, calls, settled, modes)


def _arrays(world: World, rules: Sequence[Rule], documents: Sequence[str]) -> dict[str, Floats]:
    if not (world.document_spread or world.document_rules):
        same = effects_on(world, rules, "")
        return {name: np.full(len(documents), getattr(same, name)) for name in Effects.model_fields}
    each = tuple(documents)
    found = {name: np.zeros(len(each)) for name in Effects.model_fields}
    for rule in rules:
        factor = np.maximum(0.0, 1 + world.document_rules * _normals(each, rule.name))
        for name in found:
            found[name] += factor * getattr(rule, name)
    found["difficulty"] += world.document_spread * _normals(each, "")
    return found


@lru_cache(maxsize=64)
def _normals(documents: tuple[str, ...], name: str) -> Floats:
    return np.array([document_normal(document, name) for document in documents])


def _round(
    world: World,
    shift: dict[str, Floats],
    review: Effects,
    frozen: Effects,
    easy: Floats,
    hard: Floats,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    n = len(easy)
    mode = np.zeros(n, np.int64)
    tries = np.ones(n, np.int64)
    sloppy = rng.random(n) < np.maximum(0, world.sloppy + shift["sloppy"])
    for _ in range(TRIES - 1):
        tries += sloppy
        sloppy &= rng.random(n) < world.stubborn
    mode[sloppy] = _MALFORMED
    difficulty = world.difficulty + (world.learns + shift["learns"]) * (easy - hard) + shift["difficulty"]
    sharpness = world.discrimination + world.sharpens * (easy + hard) + shift["discrimination"]
    d = rng.normal(difficulty, world.spread)
    a = np.minimum(3.0, sharpness * np.exp(rng.normal(0, world.spread, n)))
    fault = rng.random(n) < np.maximum(0, world.fault_rate + shift["fault_rate"])
    checked = mode == 0
    mode[checked & _found(world, fault, review, rng)] = _QUALITY
    solving = mode == 0
    verdict, weak_made, strong_made = (np.zeros(n, np.int64) for _ in range(3))
    for kept, made in zip(
        (verdict, weak_made, strong_made), _verdicts(world, d[solving], a[solving], rng), strict=True
    ):
        kept[solving] = made
    mode[solving] = verdict[solving]
    reaching = mode == 0
    mode[reaching & _found(world, fault, frozen, rng)] = _FINAL
    strong = solving & (verdict != _EASY)
    paid = tries + checked + 2 * ATTEMPTS * solving + 2 * ATTEMPTS * strong + reaching
    curtailed = tries + checked + 2 * weak_made * solving + 2 * strong_made * strong + reaching
    return mode, paid, curtailed


def _found(world: World, fault: Flags, effects: Effects, rng: np.random.Generator) -> Flags:
    chance = np.where(fault, world.detects + effects.detects, world.false_alarms + effects.false_alarms)
    return rng.random(len(fault)) < chance


def _verdicts(world: World, d: Floats, a: Floats, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """Return how each question fails by the preset `meta`, and the attempts that settle its stages."""
    n = len(d)
    positive, negative = rng.integers(8, 11, n), rng.integers(3, 5, n)
    place = np.arange(14)
    is_positive = place < positive[:, None]
    there = place < (positive + negative)[:, None]
    b = np.round(world.criterion_spread * rng.standard_normal((n, 14), np.float32), 2)
    weights = np.where(is_positive, rng.integers(3, 11, (n, 14)), -rng.integers(3, 9, (n, 14))) * there
    reachable = np.where(weights > 0, weights, 0).sum(1)
    # Of an attempt that is right with a chance of p a positive criterion is met with p, a negative one with
    # 0.4 (1 - p); a judge that errs turns either round. Both in one draw, in single precision: all the time goes here.
    turned = 1 - 2 * world.judge_noise
    slope = (turned * np.where(is_positive, 1, -0.4)).astype(np.float32)
    start = (world.judge_noise + turned * np.where(is_positive, 0, 0.4)).astype(np.float32)

    def scores(theta: float, of: NDArray[np.int64]) -> Floats:
        """Return the scores of the attempts at some of the questions, 0 for the others."""
        noise = world.attempt_noise * rng.standard_normal((len(of), ATTEMPTS))
        level = np.clip(_logistic(a[of, None] * (theta - d[of, None]) + noise), 0.001, 0.999)
        odds = np.log(level / (1 - level)).astype(np.float32)
        right = 1 / (1 + np.exp(b[of, None, :] - odds[:, :, None]))
        chance = start[of, None, :] + slope[of, None, :] * right
        met = rng.random(chance.shape, np.float32) < chance
        found = np.zeros((n, ATTEMPTS))
        made = np.einsum("nak,nk->na", met, weights[of])
        found[of] = np.clip(made / reachable[of, None], 0, 1)
        return found

    weak = scores(world.abilities["weak"], np.arange(n))
    mean = weak.mean(1)
    easy = (mean > 0.65 + _EPSILON) | (weak.max(1) > 0.75 + _EPSILON)
    strong = scores(world.abilities["strong"], np.flatnonzero(~easy))
    top = strong.mean(1)
    over = weak > 0.75 + _EPSILON
    weak_made = np.where(over[:, 0], 1, np.where(over[:, 1], 2, 3))
    mode = np.zeros(n, np.int64)
    mode[top < mean + 0.2 - _EPSILON] = _GAP
    mode[top > 0.95 + _EPSILON] = _SATURATED
    mode[top < 0.6 - _EPSILON] = _FAILED
    mode[easy] = _EASY
    return mode, weak_made, np.where(_settled(strong[:, :2].sum(1), mean + 0.2), 2, 3)


def _settled(two: Floats, gap: Floats) -> Flags:
    """Whether two strong attempts settle the stage, their sum being `two`, whatever the third scores."""
    low, high = two / ATTEMPTS, (two + 1) / ATTEMPTS
    sure = [
        (low >= 0.6 - _EPSILON, high < 0.6 - _EPSILON),
        (high <= 0.95 + _EPSILON, low > 0.95 + _EPSILON),
        (low >= gap - _EPSILON, high < gap - _EPSILON),
    ]
    settled: Flags = np.zeros(len(two), bool)
    before: Flags = np.ones(len(two), bool)
    for holds, fails in sure:
        settled |= before & fails
        before = before & holds
    return settled | before


def _logistic(x: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-np.clip(x, -30, 30)))
    return found
