"""The outer loop against a plain run in the simulated world: writes docs/lessons.json and the table of docs/lessons.md.

`python -m benchmarks.lessons`, some five minutes of two cores. Every arm has the same calls, the analyst's included,
the same documents and the same seeds. Nothing here is evidence about real models: it shows that the machinery moves
what it is built to move, in a world whose challenger has habits and obeys whatever it is shown.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from autodata.checkpoints.queries.lessons import accepted_questions, asked_in_examples, batches, lesson_versions
from autodata.checkpoints.shingles import ShingleIndex
from autodata.corpus.intervals import students_t
from autodata.models.simulated.world import World
from autodata.nodes.novelty import REFUSED
from autodata.runner.config import RunConfig
from autodata.runner.document_runner import Runner, open_runner
from autodata.runner.ingest import add_documents
from benchmarks.tables import documents

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- tables: written by python -m benchmarks.lessons -->", "<!-- end of tables -->"
SEEDS = range(1, 21)
CALLS = 1_200
DOCUMENTS = 150
"""More than any arm comes to within its calls."""
SLICE = ("wrong lessons", 1, 260)
"""What the tests play again: an arm, a seed and its calls."""

WORLD = World(difficulty=-0.3, discrimination=1.2, spread=0.4, skills=24)
"""First questions are somewhat too easy, and 24 skills and topics are asked for by habit."""
_ALONE = {"enabled": True, "batch": 4, "patience": 0, "steer": False}

ARMS: Mapping[str, tuple[World, Mapping[str, Any]]] = {
    "plain run": (WORLD, {"enabled": False}),
    "lessons": (WORLD, {"enabled": True, "batch": 4, "patience": 0}),
    "the analyst's lessons alone": (WORLD, _ALONE),
    "wrong lessons": (WORLD.model_copy(update={"misled": True}), _ALONE),
    "no lessons, near-duplicates refused": (WORLD, {**_ALONE, "new": 0}),
}
"""Arm -> its world and its `[lessons]`. In a world that is misled the analyst says the opposite of what it counts."""
FIGURES: Mapping[str, str] = {
    "accepted": "accepted examples",
    "skills": "distinct skills",
    "topics": "distinct topics",
    "near_duplicates": "near-duplicates accepted",
    "refused": "near-duplicates refused",
    "rounds": "rounds",
    "lessons": "lessons written",
}


def settings(arm: str, seed: int, calls: int) -> RunConfig:
    """Return the configuration of an arm. One document at a time: so the same seed gives the same figures."""
    world, lessons = ARMS[arm]
    return RunConfig.model_validate(
        {
            "domain": "cs",
            "seed": seed,
            "concurrency": 1,
            "models": {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}},
            "simulated": world.model_dump(),
            "checkpoints": {"keep": "none"},
            "tracing": {"local": False},
            "lessons": dict(lessons),
            "budget": {"max_calls": calls},
        }
    )


async def played(arm: str, seed: int, calls: int) -> dict[str, int]:
    """Run one arm until its calls are spent; return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_runner(settings(arm, seed, calls), Path(folder) / "run") as runner:
            await add_documents(runner.ledger, documents("cs", DOCUMENTS, seed))
            outcome = await runner.run()
            if outcome.errored or not outcome.stopped:
                raise SystemExit(f"{arm}, seed {seed}: {outcome}")
            return await _figures(runner)


async def _figures(runner: Runner) -> dict[str, int]:
    ledger = runner.ledger
    asked = await asked_in_examples(ledger)
    index: ShingleIndex[int] = ShingleIndex()
    repeated = 0
    for number, row in enumerate(await accepted_questions(ledger)):
        repeated += index.nearest(row["question"]) is not None
        index.add(number, row["question"])
    refused = await ledger.read("SELECT count(*) AS n FROM rounds WHERE reason LIKE ?", (f"{REFUSED}%",))
    calls = await ledger.read("SELECT count(*) AS n FROM calls")
    rounds = await ledger.read("SELECT count(*) AS n FROM rounds WHERE outcome IN ('accepted', 'rejected')")
    return {
        "calls": calls[0]["n"],
        "accepted": len(asked),
        "skills": len({name for names, _ in asked for name in names}),
        "topics": len({of_type for _, of_type in asked}),
        "near_duplicates": repeated,
        "refused": refused[0]["n"],
        "rounds": rounds[0]["n"],
        "lessons": len({lesson.lesson_id for lesson in await lesson_versions(ledger)}),
        "batches": len(await batches(ledger)),
    }


def one(arm: str, seed: int, calls: int) -> dict[str, int]:
    """Play one arm with one seed, in a process of its own."""
    return asyncio.run(played(arm, seed, calls))


def rendered(tables: Mapping[str, Any]) -> str:
    """Return the table of docs/lessons.md for the content of docs/lessons.json."""
    arms = tables["arms"]
    lines = [
        f"Each arm: {tables['calls']:,} model calls, seeds {tables['seeds'][0]} to {tables['seeds'][-1]}; mean and, in"
        " brackets, standard deviation over the seeds.\n",
        f"| | {' | '.join(arms)} |",
        f"|---|{'---|' * len(arms)}",
    ]
    for name, said in FIGURES.items():
        cells = [_cell([row[name] for row in rows]) for rows in arms.values()]
        lines.append(f"| {said} | {' | '.join(cells)} |")
    lines += [
        "",
        "Lessons against the plain run, seed by seed:\n",
        "| expected | seeds | mean difference | 95 % interval |",
        "|---|---|---|---|",
    ]
    plain, own = arms["plain run"], arms["lessons"]
    for name, sign, said in (
        ("skills", 1, "more distinct skills"),
        ("topics", 1, "more distinct topics"),
        ("near_duplicates", -1, "fewer near-duplicates"),
        ("accepted", 1, "no fewer accepted"),
    ):
        differences = [after[name] - before[name] for before, after in zip(plain, own, strict=True)]
        holds = sum(sign * one > 0 if name != "accepted" else one >= 0 for one in differences)
        low, high = _interval(differences)
        missed = sign * mean(differences) < 0 or (name != "accepted" and mean(differences) == 0)
        # Seeds differ so much that the sign of a mean is no finding where the interval holds 0.
        verdict = ": MISSED" if missed else ": NOT SHOWN" if name != "accepted" and low <= 0 <= high else ""
        interval = f"{low:+.1f} to {high:+.1f}"
        lines.append(f"| {said}{verdict} | {holds} of {len(differences)} | {mean(differences):+.1f} | {interval} |")
    return "\n".join(lines) + "\n"


def _interval(differences: Sequence[int]) -> tuple[float, float]:
    """Return where the mean of all seeds' differences lies, by Student's t at 95 %."""
    half = students_t(0.975, len(differences) - 1) * stdev(differences) / len(differences) ** 0.5
    return mean(differences) - half, mean(differences) + half


def _cell(values: Sequence[int]) -> str:
    return f"{mean(values):.1f} ({stdev(values):.1f})"


def placed(page: str, tables: Mapping[str, Any]) -> str:
    """Return the page with its table in place."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{rendered(tables)}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Play every arm with every seed and write both files."""
    started = time.monotonic()
    jobs = [(arm, seed, CALLS) for seed in SEEDS for arm in ARMS]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(one, *job) for job in [*jobs, SLICE]]
        found = []
        for job, result in zip([*jobs, SLICE], waiting, strict=True):
            found.append(result.result())
            print(f"{time.monotonic() - started:.0f} s", *job, found[-1], file=sys.stderr, flush=True)
    arms = {arm: [row for (name, _, _), row in zip(jobs, found[:-1], strict=True) if name == arm] for arm in ARMS}
    tables = {"simulation": True, "calls": CALLS, "seeds": [*SEEDS], "arms": arms, "slice": found[-1]}
    (DOCS / "lessons.json").write_text(json.dumps(tables, indent=1) + "\n", "utf-8")
    page = DOCS / "lessons.md"
    page.write_text(placed(page.read_text("utf-8"), tables), "utf-8")


if __name__ == "__main__":
    main()
