"""The loop against its baseline in the simulated world: writes docs/tables.json and docs/tables.md.

`make tables`, or `python benchmarks/tables.py`. Same documents, same seed for both. Nothing here is evidence about real
models: it shows that the machinery moves what it is built to move, in a world where questions carry their difficulty.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autodata.checkpoints.ids import document_id
from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.records import Document
from autodata.cli.compare import FIGURES, to_markdown
from autodata.corpus.compare import compare
from autodata.models.simulated.world import TOO_HARD, World
from autodata.runner.config import BaselineConfig, RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents

DOCS = Path(__file__).resolve().parents[1] / "docs"
DOCUMENTS = 200
SLICE = 12
"""How many of the documents the tests run again."""
SEED = 20

SCENES: Mapping[str, tuple[World, str, str, str]] = {
    "cs": (World(), "too easy", "gap", "mean gap"),
    "legal": (TOO_HARD, "too hard", "weak_std", "weak attempts' spread"),
}
"""Domain -> its world, what is wrong with first questions there, and the figure that the loop is expected to raise."""

_THINGS = {
    "cs": "scheduler cache allocator index replica parser router compiler sampler encoder queue checkpoint",
    "legal": "tenant carrier guarantor trustee licensee insurer employer bailee vendor lender surveyor agent",
}
_PARTS = {
    "cs": "eviction backpressure quorum speculation sharding prefetching batching coalescing",
    "legal": "notice estoppel subrogation forfeiture waiver indemnity mitigation disclosure",
}
_SENTENCES = {
    "cs": (
        "The {thing} of build {n} relies on {part}, which costs {m} milliseconds whenever the {other} stalls.",
        "Under a load of {n} requests, {part} helps the {thing} only as long as the {other} keeps {m} slots free.",
        "Measurements over {m} hours showed that the {other} hides the faults that {part} brings to a {thing}.",
        "Without {part} the {thing} falls back to {m} passes, and the {other} has to repeat {n} of them.",
        "Whether {part} pays depends on the {other}: at {n} entries a {thing} gains, at {m} it does not.",
    ),
    "legal": (
        "The {thing} argued {part}, since the {other} had waited {m} days before claim {n} was made.",
        "A {thing} who relies on {part} must show that the {other} knew of it within {m} days.",
        "The court held that {part} does not protect a {thing} against a {other} who paid {n} in good faith.",
        "Nothing in clause {m} lets the {other} avoid {part} where the {thing} bore a loss of {n}.",
        "As between {thing} and {other}, {part} turns on who could have avoided the loss of item {n}.",
    ),
}


def documents(domain: str, count: int, seed: int = SEED) -> list[Document]:
    """Return made-up documents, the same for the same seed; the first ones do not depend on `count`."""
    things, parts, sentences = _THINGS[domain].split(), _PARTS[domain].split(), _SENTENCES[domain]
    made = []
    for number in range(count):
        rng = random.Random(f"{domain}/{seed}/{number}")
        paragraphs = []
        for _ in range(rng.randint(3, 5)):
            lines = []
            for sentence in rng.choices(sentences, k=rng.randint(3, 5)):
                thing, other = rng.sample(things, 2)
                values = {"part": rng.choice(parts), "n": rng.randint(11, 980), "m": rng.randint(2, 97)}
                lines.append(sentence.format(thing=thing, other=other, **values))
            paragraphs.append(" ".join(lines))
        text = "\n\n".join(paragraphs)
        title = f"On {rng.choice(parts)} and the {rng.choice(things)}, part {number}"
        made.append(Document(document_id=document_id(text), name=f"{domain}-{number:04}.txt", title=title, text=text))
    return made


def settings(domain: str) -> RunConfig:
    """Return a scene's configuration; the simulated solvers' names are their abilities."""
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    return RunConfig.model_validate(
        {
            "domain": domain,
            "seed": SEED,
            "models": models,
            "simulated": SCENES[domain][0].model_dump(),
            "checkpoints": {"keep": "none"},
        }
    )


async def run_session(config: RunConfig, folder: Path, of_scene: Sequence[Document]) -> None:
    """Run one kind of one scene to its end."""
    async with open_runner(config, folder) as runner:
        await add_documents(runner.ledger, of_scene)
        outcome = await runner.run()
        if outcome.stopped or outcome.errored:
            raise SystemExit(f"{folder}: {outcome}")


async def rows_of(ledger: Reader, count: int = SLICE) -> list[list[Any]]:
    """Return how the first documents ended, one row each: what a smaller run must repeat."""
    rows = await ledger.read(
        "SELECT d.name, d.status, d.rounds, e.weak_mean, e.strong_mean FROM documents d"
        " LEFT JOIN examples e USING (document_id) ORDER BY d.rowid LIMIT ?",
        (count,),
    )
    return [
        [row["name"], row["status"], row["rounds"], *map(_short, (row["weak_mean"], row["strong_mean"]))]
        for row in rows
    ]


async def play(domain: str, count: int, folder: Path) -> dict[str, Any]:
    """Run loop and baseline of a scene over the same documents; return their comparison and the slice's rows."""
    config, of_scene = settings(domain), documents(domain, count)
    kinds: Mapping[str, RunConfig] = {"baseline": BaselineConfig.of(config), "run": config}
    for kind, of_kind in kinds.items():
        await run_session(of_kind, folder / kind, of_scene)
    async with open_readonly(folder / "baseline" / "run.db") as base, open_readonly(folder / "run" / "run.db") as run:
        ledgers = {"baseline": base, "run": run}
        report = await compare(ledgers, seed=SEED)
        return {"report": _short(report), "slice": {name: await rows_of(ledger) for name, ledger in ledgers.items()}}


def rendered(tables: Mapping[str, Any]) -> str:
    """Return docs/tables.md for the content of docs/tables.json."""
    scenes = [_scene(domain, scene["report"], tables["documents"]) for domain, scene in tables["scenes"].items()]
    head = (
        "# Tables of the simulation\n\n"
        "**SIMULATION. No language model wrote or answered anything here.** A statistical world stands in for all roles"
        " (see [the simulated model](architecture.md#the-simulated-model)): the tables show what the loop does to"
        " questions of a known difficulty, not how well any real model does. The worlds are the default and the"
        " preset `TOO_HARD` of `models/simulated/chat_model.py`. Their constants were set by hand: a direction can be"
        " read off, a size cannot.\n\n"
        f"Written by `make tables`: {tables['documents']} made-up documents for each domain, seed {tables['seed']}, the"
        " baseline (CoT Self-Instruct: one round, no gate) and the loop over the same documents. The loop's examples"
        " were selected on the very scores that stand here, which flatters them: measured afresh, gap and spread would"
        " be smaller.\n\n"
    )
    return head + "\n".join(scenes)


def _scene(domain: str, report: Mapping[str, Any], count: int) -> str:
    _, wrong, name, named = SCENES[domain]
    base, run = (of_kind["figures"][name] for of_kind in report["runs"])
    shown = FIGURES[name][1]
    before, after = (f"{shown(f['value'])} [{shown(f['low'])}, {shown(f['high'])}]" for f in (base, run))
    apart = "the intervals do not overlap" if run["low"] > base["high"] or run["high"] < base["low"] else "they overlap"
    moved = "Up" if run["value"] > base["value"] else "NOT up"
    return (
        f"## {domain}: a world whose first questions are {wrong}\n\n"
        f"Expected: the loop moves the {named} up. Simulated, {count} documents: {before} in the baseline, {after} in"
        f" the loop. {moved}; {apart}.\n\n{to_markdown(report)}"
    )


def _short(value: Any) -> Any:
    """Round every number, so that the file does not change with the last bit of a sum."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {key: _short(inner) for key, inner in value.items()}
    return [_short(inner) for inner in value] if isinstance(value, list) else value


def of_others(page: Path) -> str:
    """Return the sections of the page that other benchmarks write."""
    _, mark, rest = page.read_text("utf-8").partition("\n<!-- ") if page.exists() else ("", "", "")
    return mark + rest


def main() -> None:
    """Run every scene and write both files."""
    scenes = {}
    for domain in SCENES:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            scenes[domain] = asyncio.run(play(domain, DOCUMENTS, Path(folder)))
        print(f"{domain}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    tables = {"simulation": True, "documents": DOCUMENTS, "seed": SEED, "scenes": scenes}
    (DOCS / "tables.json").write_text(json.dumps(tables, indent=1) + "\n", "utf-8")
    page = DOCS / "tables.md"
    page.write_text(rendered(tables) + of_others(page), "utf-8")


if __name__ == "__main__":
    main()
