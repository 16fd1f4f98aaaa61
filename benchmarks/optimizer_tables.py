"""The search in the simulated worlds: writes docs/optimizer-tables.json and docs/optimizer-tables.md.

`make tables`, or `python -m benchmarks.optimizer_tables`. Choices, estimates, comparisons and acceptances are the
product's own; documents are the worlds' (benchmarks/fast_search.py). Nothing here is evidence about real models.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice, product
from pathlib import Path
from statistics import median
from typing import Any

from autodata.models.simulated.world import DOCUMENT_WORLD, META_WORLD, World
from autodata.nodes.optimizer.selectors import Greedy
from autodata.nodes.optimizer.settings import OptimizeConfig
from autodata.prompts import load_pack
from benchmarks.fast_search import PLAYS, SIZES, TRUE, At, Blind, Found, Latest, Worlds, search_in
from benchmarks.gepa_search import search_by_gepa
from benchmarks.optimizer_paired import against_defaults
from benchmarks.optimizer_world import PLAIN
from benchmarks.world_twin import Obeyed

DOCS = Path(__file__).resolve().parents[1] / "docs"
SEEDS = range(100, 120)
"""Seeds of what is reported. Every choice was made on others, from 1000 on."""
BUDGET = 100_000
"""Calls of a search."""
AT = (25_000, 50_000, BUDGET)
RATES = (0.75, 0.80, 0.81)
SIGNS = ("better", "same", "worse")
WORLDS: Mapping[str, World] = {"alike": META_WORLD, "different": DOCUMENT_WORLD}
"""The worlds by whether documents are alike."""
HEADINGS = {"alike": "Documents alike: the first world", "different": "Documents that differ: the second"}
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
    "GEPA": {},
    "greedy": _STRICT,
    "best of N": {**_STRICT, "max_blocks": 1},
    "posterior alone": {**_STRICT, "estimator": "posterior"},
    "lines alone": {**_STRICT, "estimator": "lines"},
    "posterior, sequential": {**_SEQUENTIAL, "estimator": "posterior"},
    "lines, sequential": {**_SEQUENTIAL, "estimator": "lines"},
    "posterior, sequential, Thompson": {**_SEQUENTIAL, "estimator": "posterior", "select": "thompson"},
    "lines, sequential, Thompson": {**_SEQUENTIAL, "estimator": "lines", "select": "thompson"},
    "lines, sequential, Thompson, merges": {"estimator": "lines", "select": "thompson"},
    "sequential alone": {**_SEQUENTIAL, "estimator": "mean"},
    "blind": _SEQUENTIAL,
    "three edits an analysis": {"proposals": 3},
}
"""Settings of `[optimize]` by what they are called in the tables. `GEPA` is its own engine on our evaluator."""
SAID: Mapping[str, str] = {
    "the defaults": "`[optimize]` as shipped",
    "plain": "the paper to the letter: parent and mutant whole in every iteration, strictly better on one block",
    "together": "plain, with the parent's results used again, exact racing and settled verdicts",
    "together, confirmed": "besides, a new leader is confirmed on 4 fresh blocks",
    "posterior alone, lines alone": "strict acceptance and Boltzmann parents, with that estimator; parents used again",
    "sequential alone": "sequential acceptance by the mean of each pack's own trials",
    "posterior, ... and lines, ...": "an estimator with sequential acceptance, then Thompson sampling, then merges",
    "three edits an analysis": "the defaults with `proposals = 3`",
    "blind": "every sound edit is accepted, and the youngest pack edited; it reports nothing",
    "best of N": "edits of the baseline alone, strictly compared",
    "greedy": "always the best pack by its mean is edited, strictly compared",
    "GEPA": "GEPA's own engine with its defaults, on our evaluator, with our simulated editor",
}
"""What each search is, in the page's words."""
STRATEGIES: Mapping[str, Mapping[str, Any]] = {
    "blind": {"selector": At(-1), "acceptance": Blind(), "estimator": Latest()},
    "best of N": {"selector": At(0)},
    "greedy": {"selector": Greedy()},
}
"""What a search uses in place of what its settings name."""

PARTIAL = DOCS.parent / ".tables" / "optimizer.jsonl"
"""What was measured so far, a search a line: a second call goes on from it."""

Job = tuple[str, str, int]
"""World, search, seed."""
_worlds: dict[str, Worlds] = {}


def search(world: str, variant: str, seed: int, budget: int) -> Found:
    """Run one search in one of the worlds until its calls are spent."""
    worlds = _worlds.setdefault(world, Worlds(WORLDS[world]))
    try:
        if variant == "GEPA":
            return search_by_gepa(worlds, seed, budget)
        return asyncio.run(search_in(worlds, settings_of(variant), seed, budget, **STRATEGIES.get(variant, {})))
    finally:
        worlds.forget()


def settings_of(variant: str) -> OptimizeConfig:
    """Return the settings of a search of ours."""
    return OptimizeConfig.model_validate({"iterations": 100_000, "contrast": 0, **VARIANTS[variant]})


def run_one(job: Job) -> dict[str, Any]:
    """Run one search; return what the tables need of it."""
    return figures_of(search(*job, BUDGET))


def figures_of(found: Found) -> dict[str, Any]:
    """Return a search's figures: the leader after so many calls, the calls to each rate, and how it decided."""
    points = found.points
    after = [next((one for one in reversed(points) if one.calls <= calls), points[0]) for calls in AT]
    to = [next((one.calls for one in points if one.true >= rate and one.calls <= BUDGET), None) for rate in RATES]
    counts = {sign: [0, 0] for sign in SIGNS}
    for gain, accepted in found.decided:
        count = counts["better" if gain > 0 else "worse" if gain < 0 else "same"]
        count[0] += accepted
        count[1] += 1
    return {
        "true": [round(one.true, 5) for one in after],
        "reported": [round(one.reported, 5) for one in after],
        "to": to,
        "interval": found.interval and [round(bound, 5) for bound in found.interval],
        "decided": counts,
    }


def digest(world: str, variant: str) -> str:
    """Return what a measured search depends on, in short: figures of other settings are not gone on from."""
    of = {} if variant == "GEPA" else settings_of(variant).model_dump()
    prompts = load_pack("cs").version
    said = [WORLDS[world].model_dump(exclude_defaults=True), of, BUDGET, AT, RATES, PLAYS, TRUE, SIZES, prompts]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


def known(path: Path) -> dict[Job, dict[str, Any]]:
    """Return the searches that were measured; a line that a stop cut off is left out."""
    found: dict[Job, dict[str, Any]] = {}
    for line in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row["variant"] in VARIANTS and row["of"] == digest(row["world"], row["variant"]):
            found[row["world"], row["variant"], row["seed"]] = row["figures"]
    return found


def measure(path: Path, processes: int, seconds: float, run: Callable[[Job], dict[str, Any]] = run_one) -> bool:
    """Run the searches that are missing, row by row; return whether all are there. None begins after `seconds`."""
    done = known(path)
    jobs = [(world, name, seed) for name, seed, world in product(VARIANTS, SEEDS, WORLDS)]
    jobs = [job for job in jobs if job not in done]
    path.parent.mkdir(parents=True, exist_ok=True)
    started, left = time.monotonic(), iter(jobs)
    with ProcessPoolExecutor(processes) as pool, path.open("a", encoding="utf-8") as file:
        working = {pool.submit(run, job): job for job in islice(left, processes)}
        while working:
            ended, _ = wait(working, return_when=FIRST_COMPLETED)
            for one in ended:
                job = working.pop(one)
                row = dict(zip(("world", "variant", "seed"), job, strict=True))
                file.write(json.dumps({**row, "of": digest(*job[:2]), "figures": one.result()}) + "\n")
                file.flush()
                print(*job, file=sys.stderr, flush=True)
                if time.monotonic() - started < seconds:
                    working.update({pool.submit(run, job): job for job in islice(left, 1)})
    return len(known(path)) == len(SEEDS) * len(WORLDS) * len(VARIANTS)


def taken_over(tables: Mapping[str, Any], path: Path) -> None:
    """Write the searches of docs/optimizer-tables.json that are not in a partial file into it."""
    done = known(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for world, figures in tables["figures"].items():
            for variant, by_seed in figures.items():
                for seed, found in by_seed.items():
                    row = {"world": world, "variant": variant, "seed": int(seed), "of": tables["of"][world][variant]}
                    if (world, variant, int(seed)) not in done:
                        file.write(json.dumps({**row, "figures": found}) + "\n")


def collected(path: Path) -> dict[str, Any]:
    """Return the content of docs/optimizer-tables.json: rows by world and search, each a figure by seed."""
    done = known(path)
    figures = {
        world: {
            variant: {str(seed): done[world, variant, seed] for seed in SEEDS if (world, variant, seed) in done}
            for variant in VARIANTS
        }
        for world in WORLDS
    }
    baselines = {name: round(Worlds(world).rate(Obeyed()), 5) for name, world in WORLDS.items()}
    return {
        "simulation": True,
        "seeds": list(SEEDS),
        "budget": BUDGET,
        "baselines": baselines,
        "of": {world: {variant: digest(world, variant) for variant in VARIANTS} for world in WORLDS},
        "figures": figures,
        "slice": slice_of(),
    }


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
        f"{len(seeds)} seeds ({min(seeds)} to {max(seeds)}), {SIZES['train']} training documents,",
        f"{SIZES['validate']} for validation, {budget:,} calls a search. A row of fewer seeds says so, one that was",
        "not measured is left out. Every choice, of defaults too, was made on other seeds.",
        f"*True*: measured by the world on {TRUE:,} fresh documents; median over seeds,",
        "with the range that holds the middle 90% of them. *Flattered by*: what the search reports of its leader,",
        "above what is true. *Calls to*: until the leader is truly so good, median over all seeds; behind it how many",
        "never got there.\n",
        "| search | what it is |",
        "|---|---|",
        *(f"| {variant} | {said} |" for variant, said in SAID.items()),
        "",
    ]
    for world, said in HEADINGS.items():
        lines += _of_world(tables, world, said)
    lines += against_defaults(tables, AT)
    lines += _decisions(tables)
    lines += _verdicts(tables)
    return "\n".join(lines) + "\n"


def _named(tables: Mapping[str, Any], variant: str, rows: Sequence[Any]) -> str:
    return variant if len(rows) == len(tables["seeds"]) else f"{variant} ({len(rows)} seeds)"


def _of_world(tables: Mapping[str, Any], world: str, said: str) -> list[str]:
    header = " | ".join(f"true at {calls // 1000}k" for calls in AT)
    to = " | ".join(f"calls to {rate:.2f}" for rate in RATES)
    lines = [
        f"## {said}\n",
        f"The baseline's true rate is {tables['baselines'][world]:.3f}.\n",
        f"| search | {header} | flattered by | {to} |",
        "|---" * (2 + len(AT) + len(RATES)) + "|",
    ]
    for variant, by_seed in tables["figures"][world].items():
        rows = list(by_seed.values())
        if not rows:
            continue
        cells = [spread([row["true"][at] for row in rows]) for at in range(len(AT))]
        cells.append("-" if variant == "blind" else spread(flattery(rows)))
        for at in range(len(RATES)):
            found = calls_to(rows, at)
            never = sum(map(math.isinf, found))
            cells.append(_calls(median(found)) + (f", {never} never" if never else ""))
        lines.append(f"| {_named(tables, variant, rows)} | {' | '.join(cells)} |")
    return [*lines, ""]


def flattery(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return what each search reports of its last leader, above what is true."""
    return [row["reported"][-1] - row["true"][-1] for row in rows]


def calls_to(rows: Sequence[Mapping[str, Any]], at: int) -> list[float]:
    """Return the calls to a rate of each search, given the rate's place in RATES; infinite where it never got there."""
    return [math.inf if row["to"][at] is None else row["to"][at] for row in rows]


def _decisions(tables: Mapping[str, Any]) -> list[str]:
    lines = [
        "## How acceptances err\n",
        "Accepted of all mutants that were compared, by whether they are truly better than their parent, exactly as",
        "good (their rules are the same), or worse: share, of how many. *Interval*: in how many searches the leader's",
        "95% interval held its true rate.\n",
    ]
    lines += ["| world | search | better | as good | worse | interval |", "|---|---|---|---|---|---|"]
    for world, figures in tables["figures"].items():
        for variant, by_seed in figures.items():
            rows = list(by_seed.values())
            if not rows or variant == "GEPA":
                continue
            cells = []
            for sign in SIGNS:
                accepted, of = (sum(row["decided"][sign][k] for row in rows) for k in (0, 1))
                cells.append(f"{accepted / of:.0%} of {of:,}" if of else "-")
            given = [row for row in rows if row["interval"]] if variant != "blind" else []
            held = sum(row["interval"][0] <= row["true"][-1] <= row["interval"][1] for row in given)
            cells.append(f"{held} of {len(given)}" if given else "-")
            lines.append(f"| {world} | {_named(tables, variant, rows)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _verdicts(tables: Mapping[str, Any]) -> list[str]:
    lines = [
        "## What was expected\n",
        "Of the defaults: a true rate of 0.81 in at most half of plain's calls, at most 1 seed in 20 that never gets",
        "there, flattered by at most 0.03.\n",
        "| world | calls, of plain's | never | flattered by, median | met |",
        "|---|---|---|---|---|",
    ]
    for world, figures in tables["figures"].items():
        ours, plains = (list(figures[name].values()) for name in ("the defaults", "plain"))
        if not ours or not plains:
            continue
        of, plain = (calls_to(rows, RATES.index(0.81)) for rows in (ours, plains))
        flattered = median(flattery(ours))
        never = sum(map(math.isinf, of))
        share = _share(median(of), median(plain), tables["budget"])
        met = share <= 0.5 and never * 20 <= len(of) and flattered <= 0.03
        shown = "never" if math.isinf(share) else f"{share:.2f}"
        if len(plains) < len(tables["seeds"]):
            shown += f" (plain on {len(plains)} seeds)"
        whole = "yes" if len(plains) == len(tables["seeds"]) else "yes, as far as plain is measured"
        verdict = whole if met else "no; nothing was tuned to meet it"
        lines.append(f"| {world} | {shown} | {never} of {len(of)} | {flattered:.3f} | {verdict} |")
    lines.append("")
    lines.append("Where plain's median seed never gets there, its calls are taken to be the whole budget.")
    return lines


def _share(calls: float, of_plain: float, budget: float) -> float:
    return math.inf if math.isinf(calls) else calls / min(of_plain, budget)


def slice_of() -> list[list[float]]:
    """Return the slice that the tests run again: calls, true rate and reported rate after each iteration."""
    points = search(*SLICE).points
    return [[one.calls, round(one.true, 5), round(one.reported, 5)] for one in points]


def main() -> None:
    """Measure what is missing, then write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partial", type=Path, default=PARTIAL, help="searches that were measured, a line each")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no search after so many")
    parser.add_argument("--processes", type=int, default=2, help="searches at once")
    parser.add_argument("--collect", action="store_true", help="measure nothing, write both from the partial file")
    parser.add_argument("--go-on", action="store_true", help="keep what the JSON has of the same settings")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page from the JSON")
    typed = parser.parse_args()
    path = DOCS / "optimizer-tables.json"
    if typed.go_on:
        taken_over(json.loads(path.read_text("utf-8")), typed.partial)
    if not (typed.render or typed.collect or measure(typed.partial, typed.processes, typed.seconds)):
        print("not all searches are there: the same command goes on; --collect writes what there is", file=sys.stderr)
        raise SystemExit(1)
    if not typed.render:
        path.write_text(json.dumps(collected(typed.partial)) + "\n", "utf-8")
    (DOCS / "optimizer-tables.md").write_text(rendered(json.loads(path.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
