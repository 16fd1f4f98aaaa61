"""What documents of each domain take: writes jobs/known.json, which estimates before any call are made from.

`python -m benchmarks.known [DOMAIN=RUN ...]`. Rounds and calls are those of the simulated world, over the made-up
documents of `benchmarks/tables.py`; the tokens of a call are those of the same runs, and for real models those of the
run folders that are named. Where some are named only they are measured; all else stays as the file has it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autodata.checkpoints.ids import document_id
from autodata.checkpoints.ledger import Reader, open_readonly
from autodata.checkpoints.queries.measured import use_by_document
from autodata.checkpoints.records import Document
from autodata.checkpoints.texts import json_text
from autodata.domains.domain import DOMAINS
from autodata.jobs.known import readers_of
from autodata.jobs.measured import CHARS_PER_TOKEN
from autodata.models.simulated.world import TOO_HARD, World
from autodata.runner.config import BaselineConfig, RunConfig
from benchmarks import tables

FILE = Path(__file__).resolve().parents[1] / "jobs" / "known.json"
DOCUMENTS = 60
SEED = 21
PAPER_ROUNDS = {"cs": 6.59, "legal": 4.98}
"""Mean rounds of an accepted example (arXiv 2606.25996, sections 3 and 4); the others are reported nowhere."""


def settings(domain: str, seed: int = SEED) -> RunConfig:
    """Return a simulated run's configuration; law begins in a world of its own, as in the tables."""
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    world = TOO_HARD if domain == "legal" else World()
    values = {"domain": domain, "seed": seed, "models": models, "simulated": world.model_dump()}
    return RunConfig.model_validate({**values, "checkpoints": {"keep": "none"}})


def documents(domain: str, count: int, seed: int = SEED) -> list[Document]:
    """Return made-up documents for a domain."""
    made = tables.documents("legal" if domain == "legal" else "cs", count, seed)
    if domain != "facts":
        return made
    # A passage is picked from a document, and facts are asked of prose: a few documents in one make a longer text.
    texts = ["\n\n".join(one.text for one in made[k : k + 3]) for k in range(count)]
    return [
        Document(document_id=document_id(t), name=f"facts-{k:04}.txt", title="", text=t) for k, t in enumerate(texts)
    ]


async def rows_of(ledger: Reader) -> list[list[Any]]:
    """Return [accepted, rounds, {role: calls}] of each document."""
    found: dict[str, list[Any]] = {}
    for row in await use_by_document(ledger):
        entry = found.setdefault(row["document_id"], [row["accepted"], row["rounds"], {}])
        entry[2][row["role"]] = row["calls"]
    return list(found.values())


async def tokens_of(ledger: Reader, readers: Sequence[str]) -> dict[str, list[float]]:
    """Return role -> [tokens in, tokens out] of one call, the document itself left out."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for row in await use_by_document(ledger):
        source = row["calls"] * row["chars"] / CHARS_PER_TOKEN if row["role"] in readers else 0.0
        for k, value in enumerate((row["calls"], row["tokens_in"] - source, row["tokens_out"])):
            sums[row["role"]][k] += value
    return {role: [round(max(one, 1.0) / calls, 1), round(out / calls, 1)] for role, (calls, one, out) in sums.items()}


async def simulated(domain: str) -> dict[str, Any]:
    """Run loop and baseline of a domain in the simulated world; return what both took."""
    config, found = settings(domain), documents(domain, DOCUMENTS)
    readers = readers_of(config.chosen_domain)
    entry: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, of_kind in (("loop", config), ("baseline", BaselineConfig.of(config))):
            await tables.run_session(of_kind, Path(folder) / kind, found)
            async with open_readonly(Path(folder) / kind / "run.db") as ledger:
                entry[kind] = await rows_of(ledger)
                if kind == "loop":
                    entry["tokens"] = {"simulated": await tokens_of(ledger, readers)}
    return entry


async def real(domain: str, folder: Path) -> tuple[dict[str, list[float]], str]:
    """Return the tokens of a call by role in a run on a real model, and what to say of it."""
    async with open_readonly(folder / "run.db") as ledger:
        models = await ledger.read("SELECT DISTINCT model FROM calls ORDER BY model")
        count = sum(row["calls"] for row in await use_by_document(ledger))
        tokens = await tokens_of(ledger, readers_of(DOMAINS[domain]))
        # A run none of whose documents has ended gives no figures, whatever it sent.
        return tokens, f"{count:,} calls of {' and '.join(row['model'] for row in models)}" if count else ""


def main(named: Mapping[str, Path]) -> None:
    """Measure every domain and write the file."""
    old = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    entries = {}
    for domain in DOMAINS:
        entry = old.get(domain) if named else None
        entry = entry or asyncio.run(simulated(domain))
        tokens, measured_by = entry["tokens"].get("real", {}), entry.get("tokens_from", {}).get("real", "")
        if domain in named:
            tokens, measured_by = asyncio.run(real(domain, named[domain]))
        entry["tokens"]["real"] = tokens
        entry["paper_rounds"] = PAPER_ROUNDS.get(domain)
        entry["measured"] = f"{DOCUMENTS} simulated documents"
        entry["tokens_from"] = {"real": measured_by}
        entries[domain] = entry
    lines = [f" {json_text(domain)}: {json_text(entry)}" for domain, entry in entries.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main({name: Path(folder) for name, _, folder in (argument.partition("=") for argument in sys.argv[1:])})
