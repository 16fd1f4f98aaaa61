"""The plots of docs/teaching.md: learning curves by arm, and gain against where the gate stands."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.teaching.signs import BOTH_SETS, Tables, less, of_both, over_seeds, right

CURVES = ("grpo one-shot", "grpo agentic", "grpo both", "grpo gate too easy", "grpo gate too hard")
DIAL = ("grpo gate too easy", "grpo one-shot", "grpo agentic", "grpo gate too hard")


def dial(tables: Tables) -> list[tuple[str, float, float]]:
    """Return of each arm of the dial what the base does on its examples, and its gain, as shares."""
    points = []
    for arm in DIAL:
        rows = tables["arms"][arm].values()
        gain = over_seeds(tables, less(of_both(right, tables, arm), of_both(right, tables, "base"))).mean
        points.append((arm.removeprefix("grpo "), mean(float(row["base_on_own"]) for row in rows), gain))
    return points


def curve(tables: Tables, arm: str, of: str) -> list[tuple[int, float]]:
    """Return the mean over seeds of an arm's learning curve on a set, from the base on."""
    points: dict[int, list[float]] = {}
    for seed in map(str, tables["seeds"]):
        for point in [*tables["arms"]["base"][seed]["curve"], *tables["arms"][arm][seed]["curve"]]:
            points.setdefault(int(point["step"]), []).append(float(point[of]))
    return [(step, mean(values)) for step, values in sorted(points.items())]


def draw(tables: Tables, docs: Path, digest: str) -> None:
    """Write both plots; each holds the digest of the figures that it shows."""
    import matplotlib as mpl  # noqa: PLC0415 - what only the plots need

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "teaching", "svg.fonttype": "none"})
    from matplotlib import pyplot  # noqa: PLC0415 - behind the choice of a backend

    said: dict[str, Any] = {"metadata": {"Date": None, "Description": digest}, "bbox_inches": "tight"}
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4), sharex=True, layout="constrained")
    for place, of in zip(axes, BOTH_SETS, strict=True):
        for arm in CURVES:
            steps, values = zip(*curve(tables, arm, of), strict=True)
            place.plot(steps, values, marker=".", label=arm.removeprefix("grpo "))
        place.set(title=f"held-out: {of}", xlabel="steps of GRPO", ylabel="mean@4")
    axes[1].legend(fontsize=8)
    figure.savefig(docs / "teaching-curves.svg", **said)
    pyplot.close(figure)
    figure, place = pyplot.subplots(figsize=(5, 3.4))
    points = dial(tables)
    place.plot([x for _, x, _ in points], [100 * y for _, _, y in points], marker="o")
    for name, x, y in points:
        place.annotate(name, (x, 100 * y), textcoords="offset points", xytext=(4, 5), fontsize=8)
    place.margins(0.3, 0.12)  # the names stand within the frame
    place.set(xlabel="the base's mean on the arm's own examples", ylabel="gain, points")
    figure.savefig(docs / "teaching-dial.svg", **said)
    pyplot.close(figure)
