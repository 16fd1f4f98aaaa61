"""Each search of the optimiser's tables against the defaults, seed by seed: whether the tables recommend another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from autodata.corpus.intervals import mean_interval
from autodata.nodes.optimizer.settings import OptimizeConfig

DEFAULTS = "the defaults"


def against_defaults(tables: Mapping[str, Any], at: Sequence[int]) -> list[str]:
    """Return the lines of the section; `at` are the calls after which true rates were measured."""
    header = "".join(f" | after {calls // 1000}k" for calls in at)
    lines = ["| world | search" + header + " |", "|---|---" + "|---" * len(at) + "|"]
    ahead: list[str] = []
    for world, figures in tables["figures"].items():
        ours = figures[DEFAULTS]
        for name, rows in figures.items():
            both = [seed for seed in rows if seed in ours]
            if name == DEFAULTS or len(both) < 2:
                continue
            cells = []
            for k, calls in enumerate(at):
                found = mean_interval([rows[seed]["true"][k] - ours[seed]["true"][k] for seed in both])
                assert found.value is not None
                assert found.low is not None
                assert found.high is not None
                cells.append(f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")
                if found.low > 0:
                    ahead.append(f"{name} ({world}, after {calls:,} calls)")
            lines.append(f"| {world} | {name} | {' | '.join(cells)} |")
    verdict = f"here {', '.join(ahead)}" if ahead else "here none does"
    return [
        "## Why these are the defaults\n",
        "True rate of each search minus that of the defaults, seed by seed: the mean difference with its 95% interval",
        f"(Student's t). Where an interval lies above 0 another search does better: {verdict}.",
        "Where it holds 0 the two are not told apart. These seeds took no part in the choice of the defaults.",
        f"{_iterations(tables)}\n",
        *lines,
        "",
    ]


def _iterations(tables: Mapping[str, Any]) -> str:
    """Return what the iterations of the defaults take, as a sentence."""
    rows = [row for figures in tables["figures"].values() for row in figures[DEFAULTS].values()]
    compared = fmean(sum(of for _, of in row["decided"].values()) for row in rows)
    iterations = OptimizeConfig().iterations
    return (
        f"The budget of {tables['budget']:,} calls compares {compared:.0f} edits on average, so the {iterations}"
        f" iterations of `[optimize]` as shipped take about {round(tables['budget'] * iterations / compared, -3):,.0f}."
    )
