"""The search in the simulated world: writes docs/optimizer-tables.json and docs/optimizer-tables.md.

`make tables`, or `python benchmarks/optimizer_tables.py`. The graph, its archive and its decisions are the real ones;
only evaluations are the world's (benchmarks/optimizer_world.py). Nothing here is evidence about real models.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

from autodata.models.simulated.rules import Effects
from autodata.nodes.optimizer.population import CONFIRM
from autodata.prompts import load_pack
from autodata.runner.optimization.archive import LedgerArchive
from autodata.runner.optimization.session import OptimizeRunConfig, open_optimization
from benchmarks.optimizer_world import PLAIN, WorldEvaluator, splits, twin_of, world_config
from benchmarks.world_twin import Obeyed

DOCS = Path(__file__).resolve().parents[1] / "docs"
SEEDS = 20
ITERATIONS = 124
EARLY = 40
TRUE_DOCUMENTS = 4_000
"""Fresh documents on which the world measures a pack's true pass rate."""
SLICE = ("together, confirmed", 0, 6)
"""Variant, seed and iterations of the search that the tests run again."""
TARGET = 0.796
"""The paper's final pass rate, for comparison."""

TOGETHER = {**PLAIN, "reuse_parent": True, "racing": "exact", "curtail": True}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "together, confirmed": {**TOGETHER, "confirm": 4},
    "plain": PLAIN,
    "together": TOGETHER,
    "parent reuse": {**PLAIN, "reuse_parent": True},
    "racing": {**PLAIN, "racing": "exact"},
    "settled verdicts": {**PLAIN, "curtail": True},
}
"""Settings of `[optimize]` by what they are called in the tables."""
LATENCY_S = 0.02
PAIRS = 3
"""Searches timed at each number of workers."""


@dataclass(frozen=True)
class Step:
    """The leader after an iteration: what was spent until then, what was reported of it, what its prompts do."""

    iteration: int
    calls: int
    leader: int
    """The iteration that made it."""
    reported: float
    rules: Obeyed


def config(variant: str, seed: int, iterations: int, **changes: Any) -> OptimizeRunConfig:
    """Return the configuration of one search."""
    return OptimizeRunConfig.of(world_config({**VARIANTS[variant], "iterations": iterations, **changes}, seed))


async def search(settings: OptimizeRunConfig, folder: Path, latency_s: float = 0.0) -> list[Step]:
    """Run one search; return the leader after each iteration."""
    evaluator = WorldEvaluator(settings, latency_s=latency_s)
    async with open_optimization(settings, folder, evaluator=evaluator, trajectories=evaluator) as session:
        await session.add_documents(splits(settings.seed))
        ending = await session.run()
        if ending.stopped:
            raise RuntimeError(ending.stopped)
        # Of several workers nothing says afterwards who led when: only their time is looked at.
        return [] if settings.optimize.parallel > 1 else await steps(session.archive, session.ledger, settings)


async def steps(archive: LedgerArchive, ledger: Any, settings: OptimizeRunConfig) -> list[Step]:
    """Replay a finished search: who led after each iteration, at what cost."""
    iterations = await ledger.read("select * from iterations order by iteration")
    evaluations = await ledger.read("select * from evaluations where split != 'test' order by rowid")
    own = await ledger.read("select n, count(*) as calls from calls group by n")
    spent = {row["n"]: row["calls"] for row in own}
    for row in evaluations:
        spent[row["iteration"]] = spent.get(row["iteration"], 0) + row["calls"]
    members = {iterations[0]["parent"]: 0}
    scores: dict[str, dict[int, Fraction]] = {}
    incumbent, calls, found = iterations[0]["parent"], 0, []
    twin = twin_of(settings, load_pack("cs"))
    for row in iterations:
        n = row["iteration"]
        calls += spent.get(n, 0)
        for one in evaluations:
            if one["iteration"] == n and one["split"] == "validate" and one["state"] == "done":
                score = Fraction(one["passed"], one["documents"] - one["errored"])
                scores.setdefault(one["pack"], {})[one["block"]] = score
        if row["outcome"] == "accepted":
            members.setdefault(row["mutant"], n)
        incumbent = row["mutant"] if row["record"] else incumbent
        leader = incumbent
        if not settings.optimize.confirm:
            leader = max(members, key=lambda pack: (_mean(scores[pack].values()), -members[pack]))
        rules = replace(twin.obeyed(await archive.pack(leader)), challenger="", feedback="", verifier="")
        found.append(Step(n, calls, members[leader], float(_reported(scores[leader])), rules))
    return found


def _mean(scores: Iterable[Fraction]) -> Fraction:
    known = list(scores)
    return sum(known, Fraction(0)) / len(known)


def _reported(blocks: Mapping[int, Fraction]) -> Fraction:
    """Return what a search says of its leader: the mean over confirming blocks, else over all."""
    return _mean([score for block, score in blocks.items() if block >= CONFIRM] or blocks.values())


def run_one(job: tuple[str, int, int]) -> list[Step]:
    """Run one search in a folder that is thrown away."""
    variant, seed, iterations = job
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        return asyncio.run(search(config(variant, seed, iterations), Path(folder) / "opt"))


def true_rate(rules: Obeyed) -> float:
    """Return the pass rate of prompts that do this, measured by the world on fresh documents."""
    settings = world_config()
    twin = twin_of(settings, load_pack("cs"), seed=-1)
    return sum(twin.play(rules, 0, f"true/{k}").status == "accepted" for k in range(TRUE_DOCUMENTS)) / TRUE_DOCUMENTS


def named(rules: Obeyed) -> str:
    """Return rules as one text, by which their true rate is kept."""
    effects: Sequence[Effects] = (rules.first, rules.later, rules.review)
    return json.dumps([{k: round(v, 6) for k, v in effect.model_dump().items() if v} for effect in effects])


def measure(seeds: int, iterations: int, early: int, processes: int = 2) -> dict[str, Any]:
    """Run every variant on every seed, and measure every leader; return the tables' figures."""
    jobs = [(variant, seed, iterations) for variant in VARIANTS for seed in range(seeds)]
    runs: dict[str, list[list[Step]]] = {variant: [] for variant in VARIANTS}
    with ProcessPoolExecutor(processes) as pool:
        for (variant, seed, _), path in zip(jobs, pool.map(run_one, jobs), strict=True):
            runs[variant].append(path)
            sys.stderr.write(f"{variant}, seed {seed}: {path[-1].reported:.3f} reported, {path[-1].calls:,} calls\n")
        return tabulated(runs, iterations, early, pool)


def tabulated(
    runs: Mapping[str, Sequence[Sequence[Step]]], iterations: int, early: int, pool: Executor
) -> dict[str, Any]:
    """Measure the true rate of every leader; return the tables' figures."""
    rules = {named(step.rules): step.rules for paths in runs.values() for path in paths for step in path}
    rates = dict(zip(rules, pool.map(true_rate, rules.values()), strict=True))
    baseline = true_rate(Obeyed())
    figures = {
        variant: [figures_of(path, rates, {early, iterations}) for path in paths] for variant, paths in runs.items()
    }
    return {
        "simulation": True,
        "seeds": min(len(paths) for paths in runs.values()),
        "iterations": iterations,
        "early": early,
        "true_documents": TRUE_DOCUMENTS,
        "baseline_true": baseline,
        "figures": figures,
    }


def figures_of(path: Sequence[Step], rates: Mapping[str, float], at: Iterable[int]) -> dict[str, Any]:
    """Return one search's figures: the leader at some iterations, and the calls at which leaders changed."""
    changes = [step for before, step in zip([None, *path], path, strict=False) if _changed(before, step)]
    return {
        "at": {
            str(n): {
                "true": rates[named(path[n - 1].rules)],
                "reported": path[n - 1].reported,
                "baseline_reported": path[0].reported if path[0].leader == 0 else None,
                "calls": path[n - 1].calls,
                "leader": path[n - 1].leader,
            }
            for n in sorted(at)
        },
        "path": [[step.calls, rates[named(step.rules)]] for step in changes],
    }


def _changed(before: Step | None, step: Step) -> bool:
    return before is None or before.rules != step.rules


def reached(path: Sequence[Sequence[float]], rate: float) -> float:
    """Return the calls after which a search's leader was first truly as good as `rate`; infinite if never."""
    return next((calls for calls, true in path if true >= rate), math.inf)


def spread(values: Sequence[float]) -> str:
    """Return the median of a figure over seeds, with the range that holds the middle 90% of them."""
    ordered = sorted(values)
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.95))
    return f"{median(ordered):.3f} [{low:.3f}, {high:.3f}]"


def ratio(values: Sequence[float], resamples: int = 4000) -> str:
    """Return the median of ratios over seeds, a bootstrap 90% interval of it, and how many never got there."""
    rng = random.Random(0)
    medians = sorted(median(rng.choices(values, k=len(values))) for _ in range(resamples))
    low, high = medians[int(0.05 * resamples)], medians[int(0.95 * resamples) - 1]
    never = sum(math.isinf(value) for value in values)
    text = f"{_short(median(values))} [{_short(low)}, {_short(high)}]"
    return text + (f", {never} of {len(values)} never" if never else "")


def _short(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.2f}"


def rendered(tables: Mapping[str, Any]) -> str:
    """Return docs/optimizer-tables.md for the content of docs/optimizer-tables.json."""
    figures, last, early = tables["figures"], str(tables["iterations"]), str(tables["early"])
    lines = [
        "# What the optimiser finds in a simulated world\n",
        "**SIMULATION. No language model took part**, and nothing here is evidence about one. The search is the real",
        "graph; its evaluations are those of [a statistical world](optimizer-world.md), which also knows the true pass",
        "rate of every prompt. Written by `make tables` from [optimizer-tables.json](optimizer-tables.json).\n",
        f"{tables['seeds']} seeds, 50 training, 25 validation and 25 test documents, minibatches of 8, preset `meta`,",
        f"3 rounds. The baseline's true pass rate is {tables['baseline_true']:.3f}; the paper's search ended at",
        f"{TARGET}.\n",
        "## The winner\n",
        "Median over seeds, with the range that holds the middle 90% of them. *True*: measured by the world on",
        f"{tables['true_documents']:,} fresh documents, never seen by the search. *Reported*: what the search says.\n",
    ]
    for n in (early, last):
        lines += [f"### After {n} iterations\n", "| search | true pass rate | reported | calls |", "|---|---|---|---|"]
        for variant, runs in figures.items():
            at = [run["at"][n] for run in runs]
            lines.append(
                f"| {variant} | {spread([one['true'] for one in at])} | {spread([one['reported'] for one in at])} |"
                f" {median(one['calls'] for one in at):,.0f} |"
            )
        lines.append("")
    lines += _verdict(tables)
    lines += _curse(tables)
    lines += _calls(tables)
    lines += _wall(tables.get("wall"))
    return "\n".join(lines) + "\n"


def _verdict(tables: Mapping[str, Any]) -> list[str]:
    runs = tables["figures"]["together, confirmed"]
    value = median(run["at"][str(tables["iterations"])]["true"] for run in runs)
    met = "It is met." if value >= TARGET else "It is missed; nothing was tuned to meet it."
    return [
        f"Expected of the confirmed search was a median true pass rate of at least {TARGET} after"
        f" {tables['iterations']} iterations; measured: {value:.3f}. {met}\n",
    ]


def _curse(tables: Mapping[str, Any]) -> list[str]:
    lines = [
        "## The winner's curse\n",
        "Reported gain over the baseline's true rate, against the true gain: what selection on noisy scores adds.\n",
        "| search | iterations | reported gain | true gain | flattered by |",
        "|---|---|---|---|---|",
    ]
    start = tables["baseline_true"]
    for variant in ("plain", "together", "together, confirmed"):
        for n in (str(tables["early"]), str(tables["iterations"])):
            at = [run["at"][n] for run in tables["figures"][variant]]
            lines.append(
                f"| {variant} | {n} | {spread([one['reported'] - start for one in at])} |"
                f" {spread([one['true'] - start for one in at])} |"
                f" {spread([one['reported'] - one['true'] for one in at])} |"
            )
    return [*lines, ""]


def _calls(tables: Mapping[str, Any]) -> list[str]:
    last = str(tables["iterations"])
    plain = tables["figures"]["plain"]
    lines = [
        "## Calls to reach what plain reaches\n",
        f"Calls until the leader is truly as good as plain's winner after {last} iterations, over the calls that plain",
        "itself took to get there: median ratio over seeds, bootstrap 90% interval of that median. Below 1 is cheaper.",
        "*In all*: the calls of the whole search over plain's.\n",
        "| search | to plain's final true rate | in all |",
        "|---|---|---|",
    ]
    for variant, runs in tables["figures"].items():
        pairs = list(zip(runs, plain, strict=True))
        to = [
            reached(run["path"], of_plain["at"][last]["true"]) / reached(of_plain["path"], of_plain["at"][last]["true"])
            for run, of_plain in pairs
        ]
        whole = [run["at"][last]["calls"] / of_plain["at"][last]["calls"] for run, of_plain in pairs]
        lines.append(f"| {variant} | {ratio(to)} | {ratio(whole)} |")
    return [*lines, ""]


def _wall(wall: Mapping[str, Any] | None) -> list[str]:
    if wall is None:
        return []
    return [
        "## Wall time\n",
        f"With {wall['latency_s'] * 1000:.0f} ms a call, {wall['iterations']} iterations of the search `together`:",
        f"four at once took {ratio(wall['ratios'])} of the time that one at a time took",
        f"({len(wall['ratios'])} pairs, run in turn).\n",
    ]


def wall_time(iterations: int = 12) -> dict[str, Any]:
    """Time searches of one and of four workers in turn, with latency."""

    def seconds(workers: int, seed: int) -> float:
        settings = config("together", seed, iterations, parallel=workers)
        world = settings.simulated.model_copy(
            update={"faults": settings.simulated.faults.model_copy(update={"latency_s": LATENCY_S})}
        )
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            asyncio.run(search(settings.model_copy(update={"simulated": world}), Path(folder) / "opt", LATENCY_S))
            return time.monotonic() - started

    ratios = [seconds(4, seed) / seconds(1, seed) for seed in range(PAIRS)]
    return {"latency_s": LATENCY_S, "iterations": iterations, "ratios": ratios}


def slice_of(run: Callable[[tuple[str, int, int]], list[Step]] = run_one) -> list[list[Any]]:
    """Return the slice that the tests run again: the leader after each of a few iterations."""
    path = run(SLICE)
    return [[step.calls, step.leader, step.reported, named(step.rules)] for step in path]


def main() -> None:
    """Measure everything and write both files; `--wall` measures wall time alone and keeps the rest."""
    path = DOCS / "optimizer-tables.json"
    if "--wall" not in sys.argv:
        write(path, {**measure(SEEDS, ITERATIONS, EARLY), "slice": slice_of()})
    write(path, {**json.loads(path.read_text("utf-8")), "wall": wall_time()})


def write(path: Path, tables: Mapping[str, Any]) -> None:
    """Write the figures and the page that they make."""
    path.write_text(json.dumps(tables, indent=1) + "\n", "utf-8")
    (DOCS / "optimizer-tables.md").write_text(rendered(tables), "utf-8")


if __name__ == "__main__":
    main()
