"""The simulated world in arrays against the numeric twin: one world, whichever plays it."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean, pvariance

import pytest

from autodata.domains.acceptance.policies import Planned
from autodata.models.simulated.rules import META_RULES, Effects
from autodata.models.simulated.world import DOCUMENT_WORLD, META_WORLD, World
from autodata.prompts import load_pack
from benchmarks.optimizer_world import world_config
from benchmarks.world_fast import MODES, play
from benchmarks.world_tables import with_rules
from benchmarks.world_twin import Obeyed, Twin
from tests.support.stages import first_quick

ON = ("insight", "strict integers", "full context", "build on what was missed", "quote the fault")
SIGMAS = 4
CASES = [(META_WORLD, ON), (DOCUMENT_WORLD, ON), (META_WORLD, ()), (DOCUMENT_WORLD, ("for beginners", "leak test"))]


@pytest.mark.parametrize(("world", "names"), first_quick(*CASES, quick=2))
def test_both_play_the_same_world(world: World, names: tuple[str, ...]) -> None:
    rules = Obeyed.of(with_rules(rule for rule in META_RULES if rule.name in names), world.rulebook)
    ids = [f"d{number}" for number in range(250)]
    config = world_config()
    played = {}
    for curtail in (False, True):
        twin = Twin(world, config.policy, Planned(3, 3, curtail), max_rounds=3, frozen=load_pack("cs"))
        played[curtail] = [twin.play(rules, 0, document) for document in ids]
    many = play(world, rules, Effects(), ids * 16, 7)
    for one, other in (
        ([float(p.status == "accepted") for p in played[False]], many.passed.astype(float)),
        ([float(p.calls) for p in played[False]], many.calls.astype(float)),
        ([float(p.calls) for p in played[True]], many.settled.astype(float)),
    ):
        error = math.sqrt(pvariance(one) / len(one) + pvariance(other.tolist()) / len(other))
        assert abs(fmean(one) - fmean(other.tolist())) < SIGMAS * error
    rounds = Counter(row.failure_mode for p in played[False] for row in p.rounds)
    codes = Counter(MODES[code] for code in many.modes.ravel().tolist() if code >= 0)
    for mode in MODES:
        a, b = rounds[mode] / rounds.total(), codes[mode] / codes.total()
        assert abs(a - b) < SIGMAS * math.sqrt(max(b, 0.005) / rounds.total()), mode


def test_a_document_is_the_same_whoever_asks() -> None:
    rules = Obeyed.of(load_pack("cs"), "meta")
    ids = ["one"] * 400 + ["other"] * 400
    many = play(DOCUMENT_WORLD.model_copy(update={"document_spread": 3.0}), rules, Effects(), ids, 1)
    again = play(DOCUMENT_WORLD.model_copy(update={"document_spread": 3.0}), rules, Effects(), ids, 2)
    rates = [(m.passed[:400].mean(), m.passed[400:].mean()) for m in (many, again)]
    assert abs(rates[0][0] - rates[1][0]) < 0.15
    assert abs(rates[0][0] - rates[0][1]) > 0.15
