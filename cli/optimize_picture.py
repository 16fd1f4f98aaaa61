"""The picture of a search: scores over iterations, the best so far, the tree of packs. Needs the extra `plot`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.cli.optimize_report import SearchReport

_COLOURS = {
    "accepted": "#1a7f37",
    "rejected": "#b35900",
    "invalid": "#8c959f",
    "unchanged": "#8c959f",
    "errored": "#cf222e",
}


def draw(report: SearchReport, path: Path) -> None:
    """Draw a search into an .svg or .png file. Raises UserError for another ending, or where matplotlib is missing."""
    if path.suffix not in {".svg", ".png"}:
        raise UserError(f"{path}: draw into a file that ends in .svg or .png")
    try:
        figure_module: Any = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise UserError("a picture needs matplotlib: pip install 'autodata-langgraph[plot]'") from error
    figure = figure_module.Figure(figsize=(10, 8), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    _scores(above, report)
    _tree(below, report)
    try:
        figure.savefig(path)
    except OSError as error:
        raise RunFailed(f"{path}: cannot be written: {error.strerror}") from error


def _scores(axes: Any, report: SearchReport) -> None:
    """Draw every validated mutant, and the leader's score as it was known when it took the lead."""
    shown: set[str] = set()
    for row in report.iterations:
        outcome = row["outcome"]
        if row["mutant_score"] is None:
            continue
        axes.plot(
            row["iteration"],
            row["mutant_score"],
            "o" if outcome == "accepted" else "x",
            color=_COLOURS.get(outcome, "#8c959f"),
            label=outcome if outcome not in shown else None,
        )
        shown.add(outcome)
    first = report.summary["baseline"]["mean"]
    if first is not None:
        steps = [(0, first), *((row["iteration"], row["mutant_score"]) for row in report.iterations if row["record"])]
        last = max((row["iteration"] for row in report.iterations), default=0)
        xs, ys = [x for x, _ in steps], [y for _, y in steps]
        axes.step([*xs, last], [*ys, ys[-1]], where="post", color="#0969da", label="best so far")
        axes.axhline(first, color="#8c959f", linestyle=":", label="baseline")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", frameon=False)
    axes.set_xlabel("iteration")
    axes.set_ylabel("validation score")
    axes.xaxis.set_major_locator(_integers())
    axes.set_title("Score of each mutant on the block that it shared with its parent")


def _tree(axes: Any, report: SearchReport) -> None:
    """Draw the packs that were validated: a mutant stands at its iteration, one level below its parent."""
    levels: dict[str, int] = {report.summary["baseline"]["pack"]: 0}
    at: dict[str, int] = {report.summary["baseline"]["pack"]: 0}
    axes.plot(0, 0, "s", color="#0969da")
    for row in report.iterations:
        if row["outcome"] not in {"accepted", "rejected"} or row["mutant"] in levels:
            continue
        level = levels.get(row["parent"], 0) + 1
        levels[row["mutant"]], at[row["mutant"]] = level, row["iteration"]
        colour = _COLOURS[row["outcome"]]
        axes.plot(
            [at.get(row["parent"], 0), row["iteration"]], [-level + 1, -level], color=colour, linewidth=0.8, zorder=1
        )
        axes.plot(row["iteration"], -level, **_marker(row, colour), zorder=2)
    winner = report.summary["winner"]["pack"]
    if winner in levels:
        axes.plot(at[winner], -levels[winner], "*", color="#0969da", markersize=16, zorder=3)
    axes.set_xlabel("iteration")
    axes.set_ylabel("edits from the baseline")
    axes.yaxis.set_major_locator(_integers())
    axes.xaxis.set_major_locator(_integers())
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    axes.set_title("Lineage: accepted packs, rejected ones, the winner as a star")


def _integers() -> Any:
    ticker: Any = importlib.import_module("matplotlib.ticker")
    return ticker.MaxNLocator(integer=True)


def _marker(row: Mapping[str, Any], colour: str) -> dict[str, Any]:
    return {"marker": "o" if row["outcome"] == "accepted" else "x", "color": colour}
