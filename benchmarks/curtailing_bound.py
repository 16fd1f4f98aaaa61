"""What any rule could save that stops attempts by their scores: a bound, beside what adaptive stopping saves.

`python -m benchmarks.curtailing_bound` adds it to docs/curtailing.json and its page; `benchmarks.curtailing` does so,
too. SIMULATION, as there. Candidates are played until their verdict is settled. A rule may reject or go on after each
attempt, and sees all scores so far. The best rule for a price of a lost acceptance is worked out backwards
from the last attempt, from how many of all candidates that stood alike were accepted: nothing that has to learn these
odds does better. Whatever the price is, attempts of the best rule and the price of what it loses are a lower bound on
both together for every rule (weak duality), and so is their excess over the price of what may be lost.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from autodata.checkpoints.records import Decision, Stage
from autodata.domains.acceptance.policies import Ruling
from autodata.models.simulated.world import Criterion, Item
from benchmarks import curtailing
from benchmarks.world_twin import Marked, Obeyed, Twin

DOCUMENTS = 1_000
STEPS = 10
"""Scores that differ by less than such a part count as the same."""
PRICES = (15, 20, 30, 60, 100, 150, 200, 400)
"""Attempts that a lost acceptance is taken to cost; whichever bounds most counts."""


@dataclass(frozen=True)
class Way:
    """A candidate that was played to its end."""

    stood: tuple[Hashable, ...]
    """How it stood after each attempt but the last: there a rule may stop it. A settled verdict ends it."""
    accepted: bool

    @property
    def attempts(self) -> int:
        """How many it took."""
        return len(self.stood) + 1


class _Played(curtailing.CurtailedTwin):
    """The twin without stopping, which keeps how each candidate went."""

    def __init__(self, preset: str) -> None:
        super().__init__(preset, "off")
        self.ways: Counter[Way] = Counter()
        self.made = 0

    def _attempts(
        self, item: Item, rubric: Sequence[Criterion], key: str, most: int | None = None
    ) -> tuple[Ruling, list[Marked], list[Marked]]:
        ruling, weak, strong = Twin._attempts(self, item, rubric, key)
        scores = [one.score for one in weak], [one.score for one in strong]
        self.ways[self._way(*scores, accepted=ruling.decision is Decision.ACCEPT)] += 1
        self.made += len(weak) + len(strong)
        return ruling, weak, strong

    def _way(self, weak: list[Fraction], strong: list[Fraction], *, accepted: bool) -> Way:
        stood: list[Hashable] = []
        planned, of_weak, of_strong = replace(self.planned, curtail=True), 0, 0
        while True:
            ruling = self.policy.rule(weak[:of_weak], strong[:of_strong], planned)
            if ruling.decision in {Decision.ACCEPT, Decision.REJECT}:
                return Way(tuple(stood[:-1]), accepted)
            to_strong = ruling.decision is Decision.STRONG or ruling.stage is Stage.STRONG
            of_weak, of_strong = of_weak + (not to_strong), of_strong + to_strong
            stood.append(_standing(weak[:of_weak], strong[:of_strong]))


def _standing(weak: Sequence[Fraction], strong: Sequence[Fraction]) -> Hashable:
    """Return what a rule goes by: all scores so far in their order, so that it knows where it could have stopped."""
    return tuple(round(score * STEPS) for score in weak), tuple(round(score * STEPS) for score in strong)


def worth(ways: Mapping[Way, int], price: float) -> dict[Hashable, float]:
    """Return for each standing what going on from there is worth on average, at best; 0 where it is best to stop.

    `ways` says how many candidates went each way.
    """
    found: dict[Hashable, float] = {}
    for k in range(max((len(way.stood) for way in ways), default=0), 0, -1):
        sums, counts = defaultdict[Hashable, float](float), Counter[Hashable]()
        for way, count in ways.items():
            if len(way.stood) >= k:
                then = found[way.stood[k]] if len(way.stood) > k else price * way.accepted
                sums[way.stood[k - 1]] += count * (then - 1)
                counts[way.stood[k - 1]] += count
        found.update((standing, max(0.0, total / counts[standing])) for standing, total in sums.items())
    return found


def least(ways: Mapping[Way, int], error: float) -> float:
    """Return a lower bound on the attempts of any rule that loses at most the share `error` of acceptances."""
    allowed, bounds = error * sum(count * way.accepted for way, count in ways.items()), [0.0]
    for price in PRICES:
        values = worth(ways, price)
        attempts = lost = 0
        for way, count in ways.items():
            stops = next((k for k, standing in enumerate(way.stood, 1) if values[standing] <= 0), None)
            attempts += count * (stops or way.attempts)
            lost += count * (stops is not None and way.accepted)
        bounds.append(attempts + price * (lost - allowed))
    return max(bounds)


def bounded(preset: str, count: int) -> dict[str, float]:
    """Play documents under a preset; return all attempts, and the fewest that any rule could make of them."""
    twin = _Played(preset)
    for number in range(count):
        twin.play(Obeyed(), 0, f"curtailing/{number}")
    return {"attempts": twin.made, "least": round(least(twin.ways, curtailing.ERROR), 1)}


def measured() -> dict[str, Any]:
    """Return what stands in the JSON under `bound`."""
    presets = curtailing.PLANNED
    return {
        "documents": DOCUMENTS,
        "presets": {preset: bounded(preset, DOCUMENTS) for preset in presets},
        "slice": {preset: bounded(preset, curtailing.SLICE) for preset in presets},
    }


def main() -> None:
    """Add the bound to the JSON and write the page anew."""
    path = curtailing.DOCS / "curtailing.json"
    curtailing.write({**json.loads(path.read_text("utf-8")), "bound": measured()})


if __name__ == "__main__":
    main()
