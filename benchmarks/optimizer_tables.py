"""The search in the simulated worlds: writes docs/optimizer-tables.json and docs/optimizer-tables.md.

`make tables`, or `python -m benchmarks.optimizer_tables`. Choices, estimates, comparisons and acceptances are the
product's own; documents are the worlds' (benchmarks/fast_search.py). Nothing here is evidence about real models.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from autodata.models.simulated.world import DOCUMENT_WORLD, META_WORLD, World
from autodata.nodes.optimizer.selectors import Greedy
from autodata.nodes.optimizer.settings import OptimizeConfig
from benchmarks.fast_search import At, Blind, Latest, Point, Worlds, search_in
from benchmarks.gepa_search import search_by_gepa
from benchmarks.optimizer_world import PLAIN
from benchmarks.world_twin import Obeyed

DOCS = Path(__file__).resolve().parents[1] / "docs"
SEEDS = range(100, 120)
"""Seeds of what is reported. Every choice was made on others, from 1000 on."""
BUDGET = 100_000
"""Calls of a search."""
AT = (25_000, 50_000, BUDGET)
RATES = (0.75, 0.80, 0.81)
WORLDS: Mapping[str, World] = {"alike": META_WORLD, "different": DOCUMENT_WORLD}
"""The worlds by whether documents are alike."""
SLICE = ("alike", "the defaults", 100, 15_000)
"""World, search, seed and calls of what the tests run again."""

_PAPER: Mapping[str, Any] = {**PLAIN, "estimator": "mean", "accept": "strict", "select": "boltzmann", "merge": 0}
_STRICT = {**_PAPER, "reuse_parent": True}
_TOGETHER = {**_STRICT, "racing": "exact", "curtail": True}
_SEQUENTIAL = {"accept": "sequential", "merge": 0, "select": "boltzmann"}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "the defaults": {},
    "plain": _PAPER,
    "together": _TOGETHER,
    "together, confirmed": {**_TOGETHER, "confirm": 4},
    "posterior alone": {**_STRICT, "estimator": "posterior"},
    "lines alone": {**_STRICT, "estimator": "lines"},
    "sequential alone": {**_SEQUENTIAL, "estimator": "mean"},
    "posterior, sequential": {**_SEQUENTIAL, "estimator": "posterior"},
    "lines, sequential": {**_SEQUENTIAL, "estimator": "lines"},
    "posterior, sequential, Thompson": {**_SEQUENTIAL, "estimator": "posterior", "select": "thompson"},
    "lines, sequential, Thompson": {**_SEQUENTIAL, "estimator": "lines", "select": "thompson"},
    "lines, sequential, Thompson, merges": {"estimator": "lines", "select": "thompson"},
    "three edits an analysis": {"proposals": 3},
    "blind": _SEQUENTIAL,
    "best of N": {**_STRICT, "max_blocks": 1},
    "greedy": _STRICT,
    "GEPA": {},
}
"""Settings of `[optimize]` by what they are called in the tables. `GEPA` is its own engine on our evaluator."""
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "blind": {"selector": At(-1), "acceptance": Blind(), "estimator": Latest()},
    "best of N": {"selector": At(0)},
    "greedy": {"selector": Greedy()},
}
"""What a search uses in place of what its settings name."""

_worlds: dict[str, Worlds] = {}


def run_one(job: tuple[str, str, int, int]) -> list[list[float]]:
    """Run one search; return calls, true rate and reported rate whenever the leader's changed, and at the end."""
    world, variant, seed, budget = job
    worlds = _worlds.setdefault(world, Worlds(WORLDS[world]))
    points = _points(worlds, variant, seed, budget)
    worlds.forget()
    kept = [[one.calls, one.true, one.reported] for one in points]
    return [row for at, row in enumerate(kept) if at in {0, len(kept) - 1} or row[1:] != kept[at - 1][1:]]


def _points(worlds: Worlds, variant: str, seed: int, budget: int) -> list[Point]:
    if variant == "GEPA":
        return search_by_gepa(worlds, seed, budget)
    settings = OptimizeConfig.model_validate({"iterations": 100_000, "contrast": 0, **VARIANTS[variant]})
    return asyncio.run(search_in(worlds, settings, seed, budget, **STRATEGIES.get(variant, {})))


def measure(seeds: Sequence[int], budget: int, processes: int) -> dict[str, Any]:
    """Run every search in both worlds; return the tables' figures."""
    figures: dict[str, dict[str, Any]] = {}
    with ProcessPoolExecutor(processes) as pool:
        for world in WORLDS:
            for variant in VARIANTS:
                jobs = [(world, variant, seed, budget) for seed in seeds]
                figures.setdefault(world, {})[variant] = list(pool.map(run_one, jobs))
                print(world, variant, file=sys.stderr, flush=True)
    baselines = {name: Worlds(world).rate(Obeyed()) for name, world in WORLDS.items()}
    return {"simulation": True, "seeds": list(seeds), "budget": budget, "baselines": baselines, "figures": figures}


def at_calls(path: Sequence[Sequence[float]], calls: float) -> Sequence[float]:
    """Return the row of the leader after so many calls; the first where it had none by then."""
    return next((row for row in reversed(path) if row[0] <= calls), path[0])


def reached(path: Sequence[Sequence[float]], rate: float, budget: float) -> float:
    """Return the calls after which a search's leader was first truly as good as `rate`; infinite if never."""
    return next((row[0] for row in path if row[1] >= rate and row[0] <= budget), math.inf)


def spread(values: Sequence[float]) -> str:
    """Return the median of a figure over seeds, with the range that holds the middle 90% of them."""
    ordered = sorted(values)
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.95))
    return f"{median(ordered):.3f} [{low:.3f}, {high:.3f}]"


def _calls(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:,.0f}"


def rendered(tables: Mapping[str, Any]) -> str:
    """Return docs/optimizer-tables.md for the content of docs/optimizer-tables.json."""
    seeds, budget = tables["seeds"], tables["budget"]
    lines = [
        "# What the optimiser finds in two simulated worlds\n",
        "**SIMULATION. No language model took part**, and nothing here is evidence about one. Choices, estimates,",
        "comparisons and acceptances are the product's own functions; documents are those of",
        "[two statistical worlds](optimizer-world.md), which also know the true pass rate of every prompt, and the",
        "editor has the simulated one's tastes. Written by `make tables` from",
        "[optimizer-tables.json](optimizer-tables.json).\n",
        f"{len(seeds)} seeds ({min(seeds)} to {max(seeds)}), 50 training and 25 validation documents,",
        f"{budget:,} calls a search. Every choice, of defaults too, was made on other seeds. *True*:",
        "measured by the world on 4,000 fresh",
        "documents. *Flattered by*: what the search reports of its leader, above what is true. *Calls to*: until the",
        "leader is truly so good, median over all seeds; behind it how many never got there.\n",
    ]
    for world, said in (
        ("alike", "Documents alike: the first world"),
        ("different", "Documents that differ: the second"),
    ):
        lines += _of_world(tables, world, said)
    lines += _verdicts(tables)
    return "\n".join(lines) + "\n"


def _of_world(tables: Mapping[str, Any], world: str, said: str) -> list[str]:
    budget = tables["budget"]
    header = " | ".join(f"true at {calls // 1000}k" for calls in AT)
    to = " | ".join(f"calls to {rate:.2f}" for rate in RATES)
    lines = [
        f"## {said}\n",
        f"The baseline's true rate is {tables['baselines'][world]:.3f}.\n",
        f"| search | {header} | flattered by | {to} |",
        "|---" * (2 + len(AT) + len(RATES)) + "|",
    ]
    for variant, paths in tables["figures"][world].items():
        cells = [spread([at_calls(path, calls)[1] for path in paths]) for calls in AT]
        last = [at_calls(path, budget) for path in paths]
        flattery = [row[2] - row[1] for row in last]
        cells.append("-" if variant == "blind" else spread(flattery))
        for rate in RATES:
            found = [reached(path, rate, budget) for path in paths]
            never = sum(map(math.isinf, found))
            cells.append(_calls(median(found)) + (f", {never} never" if never else ""))
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return [*lines, ""]


def _verdicts(tables: Mapping[str, Any]) -> list[str]:
    lines = [
        "## What was expected\n",
        "Of the defaults: a true rate of 0.81 in at most half of plain's calls, at most 1 seed in 20 that never gets",
        "there, flattered by at most 0.03.\n",
        "| world | calls, of plain's | never | flattered by, median | met |",
        "|---|---|---|---|---|",
    ]
    budget = tables["budget"]
    for world, figures in tables["figures"].items():
        of, plain = ([reached(path, 0.81, budget) for path in figures[name]] for name in ("the defaults", "plain"))
        last = [at_calls(path, budget) for path in figures["the defaults"]]
        flattery = median(row[2] - row[1] for row in last)
        never = sum(map(math.isinf, of))
        share = _share(median(of), median(plain))
        met = share <= 0.5 and never * 20 <= len(of) and flattery <= 0.03
        shown = "never" if math.isinf(share) else f"{share:.2f}"
        verdict = "yes" if met else "no; nothing was tuned to meet it"
        lines.append(f"| {world} | {shown} | {never} of {len(of)} | {flattery:.3f} | {verdict} |")
    lines.append("")
    lines.append("Where plain's median seed never gets there, its calls are taken to be the whole budget.")
    return lines


def _share(calls: float, of_plain: float) -> float:
    return math.inf if math.isinf(calls) else calls / min(of_plain, BUDGET)


def slice_of(run: Callable[[tuple[str, str, int, int]], list[list[float]]] = run_one) -> list[list[float]]:
    """Return the slice that the tests run again."""
    return run(SLICE)


def main() -> None:
    """Measure everything and write both files; `--render` writes the page alone."""
    path = DOCS / "optimizer-tables.json"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if "--render" not in sys.argv:
        tables = {**measure(list(SEEDS), BUDGET, 2), "slice": slice_of()}
        path.write_text(json.dumps(tables) + "\n", "utf-8")
    (DOCS / "optimizer-tables.md").write_text(rendered(json.loads(path.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()
