"""What stopping attempts early saves: writes docs/curtailing.json and its section of docs/tables.md.

`make tables`, or `python -m benchmarks.curtailing`. SIMULATION: the numeric twin of the world set to the paper's
statistics plays the same documents with every attempt (off), stopping at settled verdicts (exact), and stopping at
candidates that will most likely fail (adaptive). Whatever adaptive stops is played on to its end beside the run, so
that lost acceptances are counted and not estimated.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from autodata.checkpoints.ids import digest
from autodata.checkpoints.records import Decision, DocumentStatus, FailureMode, Stage
from autodata.domains.acceptance.adaptive import Fit, adaptive_ruling
from autodata.domains.acceptance.adaptive_fit import Finished, due, fitted, would_stop
from autodata.domains.acceptance.policies import PRESETS, AcceptancePolicy, Planned, Ruling, Thresholds
from autodata.models.simulated.world import PAPER_WORLD, Criterion, Item, World, draw_level
from benchmarks.world_twin import Marked, Obeyed, Played, Twin

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- curtailing: written by benchmarks/curtailing.py -->", "<!-- end of curtailing -->"
DOCUMENTS = 300
SLICE = 25
"""How many of the documents the tests play again."""
AIM = 1.8
"""How many times fewer calls of solvers and judge were aimed at."""
ERROR, WALKED = 0.01, 0.1
"""The defaults of `curtail_error` and `curtail_walked`."""
MAX_ROUNDS = 15

Mode = Literal["off", "exact", "adaptive"]
MODES: tuple[Mode, ...] = ("off", "exact", "adaptive")
PLANNED: Mapping[str, Planned] = {
    "paper": Planned(3, 3),
    "deployed": Planned(3, 3),
    "meta": Planned(3, 3),
    "majority": Planned(3, 3),
    "counts": Planned(4, 4),
}
"""Every preset that decides by scores, with attempts as its domain has them. A loop judge reads all there are."""

TOKENS: Mapping[str, tuple[int, int]] = {
    "challenger": (12_000, 1_500),
    "quality_verifier": (12_500, 300),
    "weak_solver": (400, 800),
    "strong_solver": (400, 800),
    "verifier": (1_600, 500),
}
"""Tokens in and out of a call by role, assumed: a document of ten thousand tokens, answers of eight hundred."""
PRICES: Mapping[str, tuple[float, float]] = {"weak_solver": (0.05, 0.2)}
OTHERS = (0.6, 2.5)
"""US dollars a million tokens in and out, assumed: a small weak solver, one large model in all other roles."""


@dataclass
class Tally:
    """What a way of stopping took over all documents, and what came of it."""

    documents: int = 0
    accepted: int = 0
    passed: int = 0
    """Candidates that passed every gate, whatever the final check said."""
    lost: int = 0
    """Stopped candidates that would have passed every gate."""
    stopped: int = 0
    settled: int = 0
    """Attempts after which verdicts are settled, found by trying every completion: what exact stopping can reach."""
    foreseen: int = 0
    """Attempts that a rule would make which knew of every failure after one attempt of its stage: none makes fewer."""
    walked_passed: int = 0
    walked_lost: int = 0
    """Of the candidates that were walked to the end: those that passed, and that would have been stopped."""
    calls: Counter[str] = field(default_factory=Counter)

    def plain(self) -> dict[str, Any]:
        """Return it as it stands in the JSON."""
        return {**{k: v for k, v in vars(self).items() if k != "calls"}, "calls": dict(sorted(self.calls.items()))}


class CurtailedTwin(Twin):
    """The twin with a way of stopping, and a weak probe before the quality check where that is wanted."""

    def __init__(self, preset: str, mode: Mode, *, probe: bool = False, world: World = PAPER_WORLD) -> None:
        self.planned = replace(PLANNED[preset], curtail=mode == "exact")
        self.policy: AcceptancePolicy = PRESETS[preset]
        super().__init__(world, self.policy, self.planned, max_rounds=MAX_ROUNDS)
        self._binary = not isinstance(self.policy, Thresholds)
        self._grid = [Fraction(n, 1 if self._binary else 4) for n in range(2 if self._binary else 5)]
        self._mode, self._probe, self.tally = mode, probe, Tally()
        self._finished: list[Finished] = []
        self._fit = self._fitted() if mode == "adaptive" else None
        self._now: Fit | None = None

    def play(self, rules: Obeyed, block: int, document: str) -> Played:
        """Play one document, and count what it took."""
        played = super().play(rules, block, document)
        self.tally.documents += 1
        self.tally.accepted += played.status is DocumentStatus.ACCEPTED
        return played

    def _round(self, rules: Obeyed, key: str, easy: int, hard: int, effects: Any) -> Any:
        played, calls = super()._round(rules, key, easy, hard, effects)
        count = self.tally.calls
        count["challenger"] += 1
        attempts = {"weak_solver": len(played.weak), "strong_solver": len(played.strong)}
        checked = played.failure_mode is FailureMode.QUALITY
        if self._probe and played.item is not None:
            # The probe is the first weak attempt: it is paid for before the check, and may spare it.
            if checked:
                attempts["weak_solver"] = 1
                ruling, weak, _ = self._attempts(played.item, played.rubric, key, most=1)
                checked = not (ruling.decision is Decision.REJECT and len(weak) == 1)
            else:
                checked = len(played.weak) > 1 or bool(played.strong)
        else:
            checked = True
        count["quality_verifier"] += checked + (played.failure_mode in {None, FailureMode.FINAL_CHECK})
        count.update(attempts)
        count["verifier"] += sum(attempts.values())
        return played, calls

    def _attempts(
        self, item: Item, rubric: Sequence[Criterion], key: str, most: int | None = None
    ) -> tuple[Ruling, list[Marked], list[Marked]]:
        """Make the attempts, count acceptances and losses; with `most`, look at so many weak ones and count nothing."""
        walked = self._mode == "adaptive" and by_lot(key, WALKED)
        fit = self._fit
        self._now = None if walked else fit
        if most is not None:
            rng = random.Random(f"{key}/{Stage.WEAK}")  # as all attempts are drawn
            made = [self._attempt(item, rubric, self._theta[Stage.WEAK], rng) for _ in range(most)]
            return self._ruling([one.score for one in made], []), made, []
        ruling, weak, strong = super()._attempts(item, rubric, key)
        scores = tuple(one.score for one in weak), tuple(one.score for one in strong)
        accepted, tally = ruling.decision is Decision.ACCEPT, self.tally
        tally.passed += accepted
        if self._mode == "off":
            tally.settled += self._settled_after(scores[0], ()) + (self._settled_after(*scores) if strong else 0)
            tally.foreseen += len(weak) + len(strong) if accepted else self.planned.weak + 1 if strong else 1
        if fit is None:
            return ruling, weak, strong
        would = walked and would_stop(self.policy, *scores, self.planned, fit)
        if walked and accepted:
            tally.walked_passed += 1
            tally.walked_lost += would
        if not accepted and not walked:
            self._now = None
            whole, *_ = super()._attempts(item, rubric, key)
            tally.stopped += 1
            tally.lost += whole.decision is Decision.ACCEPT
        self._finished.append(Finished(*scores, walked, would, accepted))
        if due(len(self._finished)) != fit.candidates:
            self._fit = self._fitted()
        return ruling, weak, strong

    def _settled_after(self, weak: tuple[Fraction, ...], strong: tuple[Fraction, ...]) -> int:
        """Return after how many attempts of the last stage its outcome is the same whatever the others score."""
        made = strong or weak
        needs_whole = not strong and bool(getattr(self.policy, "gap", ()))  # the gap needs the weak mean
        for k in range(1, len(made)):
            found: set[FailureMode | None] = set()
            for rest in itertools.product(self._grid, repeat=len(made) - k):
                end = made[:k] + rest
                ruling = (
                    self.policy.rule(weak, end, self.planned) if strong else self.policy.rule(end, (), self.planned)
                )
                found.add(ruling.failure_mode)
            if len(found) == 1 and not (needs_whole and found == {None}):
                return k
        return len(made)

    def _fitted(self) -> Fit:
        return fitted(self.policy, self.planned, self._finished, error=ERROR, walked=WALKED)

    def _ruling(self, weak: Sequence[Fraction], strong: Sequence[Fraction]) -> Ruling:
        if self._now is None:
            return super()._ruling(weak, strong)
        return adaptive_ruling(self.policy, weak, strong, self.planned, self._now)

    def _attempt(self, item: Item, rubric: Sequence[Criterion], theta: float, rng: random.Random) -> Marked:
        if not self._binary:
            return super()._attempt(item, rubric, theta, rng)
        level = draw_level(self.world, item, theta, rng)
        return Marked(level, (), Fraction(rng.random() < level))


def by_lot(key: str, share: float) -> bool:
    """Whether a candidate is walked to the end."""
    return int(digest(["walked", key], 8), 16) < share * 16**8


def measured(preset: str, mode: Mode, count: int, *, probe: bool = False) -> dict[str, Any]:
    """Play documents under a preset; return what it took."""
    twin = CurtailedTwin(preset, mode, probe=probe)
    for number in range(count):
        twin.play(Obeyed(), 0, f"curtailing/{number}")
    return twin.tally.plain()


ROWS: Mapping[str, tuple[str, Mode, bool]] = {
    **{f"{preset}, {mode}": (preset, mode, False) for preset in PLANNED for mode in MODES},
    "paper, adaptive, weak probe": ("paper", "adaptive", True),
}
"""Each row of the table: its preset, its way of stopping, and whether a weak attempt comes before the quality check."""


def solver_and_judge(row: Mapping[str, Any]) -> int:
    """Return the calls of solvers and judge."""
    return int(sum(row["calls"].get(role, 0) for role in ("weak_solver", "strong_solver", "verifier")))


def taken(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return calls, tokens and US dollars of an accepted example, by the tokens and prices that are assumed."""
    calls = tokens = usd = 0.0
    for role, count in row["calls"].items():
        into, out = TOKENS[role]
        price_in, price_out = PRICES.get(role, OTHERS)
        calls, tokens = calls + count, tokens + count * (into + out)
        usd += count * (into * price_in + out * price_out) / 1e6
    accepted = max(1, row["accepted"])
    return calls / accepted, tokens / accepted, usd / accepted


def rendered(table: Mapping[str, Any]) -> str:
    """Return the section of docs/tables.md for the content of docs/curtailing.json."""
    prices = f"weak solver ${PRICES['weak_solver'][0]:.2f} and ${PRICES['weak_solver'][1]:.2f}"
    lines = [
        "## Stopping attempts early",
        "",
        f"`curtail` off, exact and adaptive under every preset that decides by scores: {table['documents']} made-up"
        " documents each, played by the numeric twin in a world set to the paper's statistics (`PAPER_WORLD`), by"
        f" `python -m benchmarks.curtailing`. Simulated are questions, scores and findings. Adaptive at an error of"
        f" {ERROR:.0%}, {WALKED:.0%} of candidates walked to the end. Right or wrong attempts (`majority`, `counts`)"
        " are drawn with the level as their probability. A loop judge reads all attempts: there `curtail` is refused.",
        "",
        f"Tokens a call are assumed: {', '.join(f'{role} {i:,} in and {o:,} out' for role, (i, o) in TOKENS.items())}."
        f" So are prices a million tokens in and out: {prices}, all others ${OTHERS[0]:.2f} and ${OTHERS[1]:.2f}.",
        "",
        "| preset, curtail | accepted | calls each | solver and judge | fewer | tokens each | US dollars each |"
        " acceptances lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in table["rows"].items():
        each, mine = taken(row), solver_and_judge(row) / max(1, row["accepted"])
        passed, fewer = row["passed"] + row["lost"], _fewer(table["rows"], name)
        lines.append(
            f"| {name} | {row['accepted']} | {each[0]:.1f} | {mine:.1f} | {fewer:.2f}x | {each[1]:,.0f} |"
            f" {each[2]:.3f} | {row['lost']} of {passed} ({row['lost'] / max(1, passed):.1%}) |"
        )
    adaptive = [row for name, row in table["rows"].items() if name.endswith(", adaptive")]
    lost, passed = sum(row["lost"] for row in adaptive), sum(row["passed"] + row["lost"] for row in adaptive)
    worst = max(row["lost"] / max(1, row["passed"] + row["lost"]) for row in adaptive)
    probed, plain = (taken(table["rows"][f"paper, adaptive{more}"])[2] for more in (", weak probe", ""))
    lines += [
        "",
        "Exact changes no acceptance, but accepted examples lack attempts, and so means; adaptive makes all attempts at"
        f" them. Adaptive lost {lost} of {passed} acceptances ({lost / max(1, passed):.1%}), under one preset"
        f" {worst:.1%}, where {ERROR:.0%} is stated, and saves no more than exact but under `paper`: one score says"
        " little of a candidate in this world, where attempts at one question differ much. So `off` is the default.",
        "",
        "Weak probe: one weak attempt comes before the quality check, which is spared where that ends the round. An"
        f" accepted example takes {1 - probed / plain:.1%} less money then: so little that it is measured here, and no"
        " setting of runs.",
        "",
        "What could be reached, in attempts of all candidates of the run without stopping: `settled` is after how many"
        " the verdict is the same whatever the others score, found by trying every completion; `foreseen` is what a"
        " rule would make that knew each failure after one attempt of its stage, and accepts only on all attempts.",
        "",
        "| preset | all | exact makes | settled | foreseen | foreseen, fewer calls |",
        "|---|---|---|---|---|---|",
    ]
    for preset in PLANNED:
        off, exact = (table["rows"][f"{preset}, {mode}"] for mode in ("off", "exact"))
        made = solver_and_judge(off) // 2
        lines.append(
            f"| {preset} | {made:,} | {solver_and_judge(exact) // 2:,} | {off['settled']:,} | {off['foreseen']:,} |"
            f" {made / off['foreseen']:.2f}x |"
        )
    return "\n".join([*lines, *_of_the_bound(table)]) + "\n"


def _of_the_bound(table: Mapping[str, Any]) -> list[str]:
    """Return what any rule could save, beside what adaptive stopping does."""
    bound, rows = table["bound"], table["rows"]
    most = {preset: one["attempts"] / one["least"] for preset, one in bound["presets"].items()}
    out_of_reach = max(most.values()) < AIM
    comes = "no rule that goes by scores comes" if out_of_reach else "a rule that goes by scores could come"
    return [
        "",
        f"Aimed at were {AIM}x fewer calls of solvers and judge at {ERROR:.0%}. In this world {comes} there: `at most`"
        " is what the best rule saves that stops at settled verdicts too, as exact does, loses no more than"
        f" {ERROR:.0%} and knows how many of all candidates of {bound['documents']:,} documents with the same scores so"
        " far, in tenths, are accepted; it is worked out backwards from the last attempt (`python -m"
        " benchmarks.curtailing_bound`). Adaptive has to learn these odds from the run, walks some candidates to the"
        " end, and makes all attempts at accepted ones.",
        "",
        "| preset | exact | adaptive | at most |",
        "|---|---|---|---|",
        *(
            f"| {preset} | {_fewer(rows, f'{preset}, exact'):.2f}x | {_fewer(rows, f'{preset}, adaptive'):.2f}x |"
            f" {most[preset]:.2f}x |"
            for preset in PLANNED
        ),
    ]


def _fewer(rows: Mapping[str, Any], name: str) -> float:
    """Return how many times fewer calls of solvers and judge an accepted example takes than without stopping."""
    base = rows[f"{name.partition(',')[0]}, off"]
    mine, before = (solver_and_judge(one) / max(1, int(one["accepted"])) for one in (rows[name], base))
    return before / mine


def placed(page: str, table: Mapping[str, Any]) -> str:
    """Return docs/tables.md with the section in place, at its end where it has none yet."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2].strip()
    return f"{before.rstrip()}\n\n{BEGIN}\n{rendered(table)}{END}\n" + (f"\n{after}\n" if after else "")


def main() -> None:
    """Measure every row and write both files."""
    rows, sliced = {}, {}
    for name, (preset, mode, probe) in ROWS.items():
        started = time.monotonic()
        rows[name] = measured(preset, mode, DOCUMENTS, probe=probe)
        sliced[name] = measured(preset, mode, SLICE, probe=probe)
        print(f"{name}: {time.monotonic() - started:.0f} s", rows[name], file=sys.stderr)
    from benchmarks.curtailing_bound import measured as bound  # noqa: PLC0415 - it plays this module's twin

    write({"simulation": True, "documents": DOCUMENTS, "rows": rows, "slice": sliced, "bound": bound()})


def write(table: Mapping[str, Any]) -> None:
    """Write the figures, and the section of the page that they make."""
    (DOCS / "curtailing.json").write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    page = DOCS / "tables.md"
    page.write_text(placed(page.read_text("utf-8"), table), "utf-8")


if __name__ == "__main__":
    main()
