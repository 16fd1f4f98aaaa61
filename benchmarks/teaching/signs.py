"""Figures of docs/teaching.json with their intervals, and which of the paper's signs hold in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from autodata.corpus.intervals import students_t

BOTH_SETS = ("one-shot", "accepted")
REPAIRED = (0.35, 0.75)
"""Where the share of repaired truncation must lie for the third sign: about half (docs/teaching-plan.md)."""

Tables = Mapping[str, Any]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, and half the width of its 95 % interval, None where one seed gives none."""

    mean: float
    half: float | None

    def text(self, places: int = 1, scale: float = 100, *, sign: bool = False) -> str:
        """Return it as points, with its interval."""
        form = f"{{:{'+' if sign else ''}.{places}f}}"
        half = "" if self.half is None else f" ± {self.half * scale:.{places}f}"
        return f"{form.format(self.mean * scale)}{half}"

    def verdict(self, direction: int) -> str:
        """Return whether the mean has the sign of `direction`, and its whole interval with it."""
        if round(self.mean * direction, 9) <= 0:  # thirds do not sum up to exactly nothing
            return "does not hold"
        return "holds" if self.half is not None and abs(self.mean) > self.half else "points the right way, not shown"


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of all seeds' values, with Student's t at 95 %."""
    count = len(values)
    if count == 1:
        return Estimate(values[0], None)
    t = students_t(0.975, count - 1)
    return Estimate(mean(values), t * stdev(values) / count**0.5)


def over_seeds(tables: Tables, value: Callable[[str], float]) -> Estimate:
    """Return the estimate of a figure that `value` gives for a seed."""
    return estimate([value(str(seed)) for seed in tables["seeds"]])


def right(tables: Tables, arm: str, of: str) -> Callable[[str], float]:
    """Return the mean@k of an arm on a set, by seed."""
    return lambda seed: float(tables["arms"][arm][seed]["mean"][of])


def cut(tables: Tables, arm: str, of: str) -> Callable[[str], float]:
    """Return the share of an arm's answers to a set that were cut off, by seed."""
    return lambda seed: float(tables["arms"][arm][seed]["cut"][of])


def less(one: Callable[[str], float], other: Callable[[str], float]) -> Callable[[str], float]:
    """Return the difference of two figures, seed by seed."""
    return lambda seed: one(seed) - other(seed)


def of_both(
    figure: Callable[[Tables, str, str], Callable[[str], float]], tables: Tables, arm: str
) -> Callable[[str], float]:
    """Return a figure's mean over the one-shot and the accepted set, by seed."""
    return lambda seed: mean(figure(tables, arm, name)(seed) for name in BOTH_SETS)


def repaired(tables: Tables, arm: str, of: Sequence[str] = BOTH_SETS) -> float | None:
    """Return which share of the answers that turned right had been cut off, of all seeds; None without any."""
    turned = [row["turned"][name] for row in tables["arms"][arm].values() for name in of]
    every = sum(count for count, _ in turned)
    return sum(were for _, were in turned) / every if every else None


def signs(tables: Tables, method: str = "grpo") -> list[tuple[str, str, str]]:
    """Return each sign of the paper: what it says, the figures, and whether it holds."""
    found = []
    agentic = f"{method} agentic"
    for other, said in (
        ("one-shot", "(1) agentic teaches more than one-shot"),
        ("both", "(2) agentic alone teaches more than both"),
    ):
        for name in BOTH_SETS:
            gap = over_seeds(tables, less(right(tables, agentic, name), right(tables, f"{method} {other}", name)))
            found.append((f"{said}, set {name}", f"{gap.text(sign=True)} points", gap.verdict(1)))
    fewer = over_seeds(tables, less(of_both(cut, tables, agentic), of_both(cut, tables, "base")))
    share = repaired(tables, agentic)
    found.append(("(3) the trained model is cut off less often", f"{fewer.text(sign=True)} points", fewer.verdict(-1)))
    if share is not None:
        about = "holds" if REPAIRED[0] <= share <= REPAIRED[1] else "does not hold"
        found.append(
            (
                "(3) about half of the gain is repaired truncation",
                f"{share:.0%} of the answers that turned right",
                about,
            )
        )
    if method == "grpo":
        for gate in ("too easy", "too hard"):
            gap = over_seeds(tables, less(of_both(right, tables, agentic), of_both(right, tables, f"grpo gate {gate}")))
            found.append(
                (f"(4) a gate {gate} teaches less than the paper's", f"{gap.text(sign=True)} points", gap.verdict(1))
            )
    return found
