"""The picture of a search: rates with intervals over iterations, and the lineage. Needs the extra `plot`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.corpus.reporting.search import PackScore
from autodata.jobs.search_report import SearchReport

_MARKS: Mapping[str, Mapping[str, Any]] = {
    "best so far": {"marker": "*", "color": "#0969da", "markersize": 14},
    "accepted": {"marker": "o", "color": "#1a7f37"},
    "rejected": {"marker": "x", "color": "#b35900"},
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
    """Draw every validated pack at its iteration, with its rate and 95% interval as they are known now."""
    shown: set[str] = set()
    for one in report.packs:
        kind = _kind(one)
        ends = [[one.score - one.low], [one.high - one.score]] if one.low is not None and one.high is not None else None
        axes.errorbar(
            [one.iteration],
            [one.score],
            yerr=ends,
            **_MARKS[kind],
            linestyle="none",
            elinewidth=0.8,
            label=kind if kind not in shown else None,
            gid=f"pack-{one.pack}-{one.score:.3f}",
        )
        shown.add(kind)
    for one in report.packs[:1]:
        axes.axhline(one.score, color="#8c959f", linestyle=":", label="baseline's rate")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", frameon=False)
    axes.set_xlabel("iteration")
    axes.set_ylabel("estimated pass rate")
    axes.xaxis.set_major_locator(_integers())
    axes.set_title("Estimated pass rate of each set of prompts, with its 95% interval")


def _tree(axes: Any, report: SearchReport) -> None:
    """Draw the packs that were validated: each stands at its iteration, one level below the lowest of its parents."""
    levels: dict[str, int] = {}
    at = {one.pack: one.iteration for one in report.packs}
    for one in report.packs:
        parents = [parent for parent in one.parents if parent in levels]
        levels[one.pack] = max((levels[parent] + 1 for parent in parents), default=0)
        kind = _kind(one)
        for parent in parents:
            axes.plot(
                [at[parent], one.iteration],
                [-levels[parent], -levels[one.pack]],
                color=_MARKS[kind]["color"],
                linewidth=0.8,
                zorder=1,
            )
        axes.plot([one.iteration], [-levels[one.pack]], **_MARKS[kind], linestyle="none", zorder=2)
    axes.set_xlabel("iteration")
    axes.set_ylabel("edits from the baseline")
    axes.yaxis.set_major_locator(_integers())
    axes.xaxis.set_major_locator(_integers())
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
    axes.set_title("Lineage: which was made from which, the best so far as a star")


def _kind(one: PackScore) -> str:
    if one.winner:
        return "best so far"
    return "accepted" if one.member else "rejected"


def _integers() -> Any:
    ticker: Any = importlib.import_module("matplotlib.ticker")
    return ticker.MaxNLocator(integer=True)
