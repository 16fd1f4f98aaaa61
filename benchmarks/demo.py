"""How fast `autodata demo` makes examples, beside an earlier version: writes docs/demo.json and a part of a page.

`python -m benchmarks.demo --alone N` measures this version alone, N times one after the other, on a machine that does
nothing else: its seconds are what a user waits.

`python -m benchmarks.demo [REVISION] [--seconds N]` compares: both versions run at the same time, on the same documents
and with the same model, so that whatever else the machine does meets both alike: what counts is the ratio. What the
machine's other work does not change stands beside it: tokens, calls, and the processor time of the run with its server.
Meanwhile both versions' judges are asked about `demo_answers.tsv`, whose verdicts are known.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from autodata.domains.tasks.base import marks_of
from autodata.domains.tasks.reference import ReferenceTask
from autodata.domains.tasks.schemas import ReferenceCandidate
from autodata.models.local.llama_server import ServerSpec, start_server
from autodata.models.local.weights import find_weights
from autodata.models.structured import parse_reply, response_format, schema_text
from autodata.prompts import PromptPack, fence, load_pack
from benchmarks.many_documents import machine
from benchmarks.page import DOCS, commit_of_now, write

BEFORE = "cc4aa84"
"""The last version in which the demo was as it had been before it was measured here."""
MODEL = "qwen2.5-coder-1.5b"
TARGET = 3
LONGEST = 3600
"""Seconds after which both runs are stopped, whatever they have made, unless another number is given."""
ANSWERS = Path(__file__).with_name("demo_answers.tsv")
_LAUNCH = "from autodata_launch import main; main()"
_SETTINGS = "from autodata.cli.demo import LOCAL; print(LOCAL)"
_TICKS = os.sysconf("SC_CLK_TCK")
FIGURES: Mapping[str, str] = {
    "first_s": "seconds until the first example",
    "all_s": "seconds until the last example",
    "first_cpu_s": "processor seconds until the first example",
    "all_cpu_s": "processor seconds until the last example",
    "accepted": "examples",
    "rounds": "rounds",
    "calls": "calls",
    "tokens_in": "prompt tokens",
    "tokens_cached": "of these, read from the server's cache",
    "tokens_read": "of these, read anew",
    "tokens_out": "tokens written",
    "judged_by_code": "attempts that code decided",
    "judged_by_model": "attempts that the judge decided",
}
"""What is measured of each run, in this order."""


def tree_of(revision: str, into: Path) -> Path:
    """Unpack a revision of this repository; return its root."""
    into.mkdir()
    archive = subprocess.run(["git", "archive", revision], check=True, stdout=subprocess.PIPE, cwd=DOCS.parent).stdout
    subprocess.run(["tar", "-x", "-C", str(into)], check=True, input=archive)
    return into


def installed(tree: Path, into: Path) -> Path:
    """Build a tree's wheel, and unpack it where PYTHONPATH may point."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(into / "dist"), str(tree)], check=True)
    [wheel] = (into / "dist").glob("*.whl")
    shutil.unpack_archive(wheel, into / "unpacked", "zip")
    return into / "unpacked"


class Run:
    """One version's run of the demo's settings in a process of its own, and what was seen of it so far."""

    def __init__(self, packages: Path | None, folder: Path, documents: Path, longest: int) -> None:
        folder.mkdir()
        self.folder = folder / "run"
        self.seen: list[tuple[float, float]] = []
        """Seconds, and processor seconds, until each example."""
        env = {**os.environ, **({"PYTHONPATH": str(packages)} if packages else {})}
        asked = [sys.executable, "-c", _SETTINGS]
        settings = subprocess.run(asked, check=True, stdout=subprocess.PIPE, env=env, cwd=folder)
        (folder / "demo.toml").write_bytes(settings.stdout)
        command = [sys.executable, "-c", _LAUNCH, "run", "--config", "demo.toml", "--documents", str(documents)]
        limits = ["--target", str(TARGET), "--max-seconds", str(longest)]
        self._log = (folder / "log").open("wb")
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            [*command, "--out", "run", *limits], stdout=self._log, stderr=self._log, env=env, cwd=folder
        )

    def look(self) -> bool:
        """Note examples that have come since; return whether the run goes on."""
        going_on, used = self.process.poll() is None, processor_seconds(self.process.pid)
        ledger = self.folder / "run.db"
        if going_on and ledger.exists():
            try:
                with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
                    [made] = db.execute("SELECT count(*) FROM examples").fetchone()
            except sqlite3.OperationalError:  # it is just being made
                made = 0
            self.seen += [(time.monotonic() - self._started, used)] * (made - len(self.seen))
        return going_on

    def figures(self) -> dict[str, float]:
        """Return what the run took; 0 seconds stand for no example. Raises RuntimeError for one that called nobody."""
        if not (self.folder / "run.db").exists():
            raise RuntimeError(f"nothing was done: {self.folder.with_name('log').read_text('utf-8')[-2000:]}")
        with closing(sqlite3.connect(self.folder / "run.db")) as db:
            calls, into, cached, out = db.execute(
                "SELECT count(*), sum(tokens_in), sum(tokens_cached), sum(tokens_out) FROM calls"
            ).fetchone()
            [rounds] = db.execute("SELECT count(*) FROM rounds").fetchone()
            decided = dict(db.execute("SELECT decided_by, count(*) FROM attempts GROUP BY decided_by"))
        (first, first_used), (last, last_used) = (self.seen or [(0.0, 0.0)])[0], (self.seen or [(0.0, 0.0)])[-1]
        return {
            "first_s": round(first),
            "all_s": round(last),
            "first_cpu_s": round(first_used),
            "all_cpu_s": round(last_used),
            "accepted": len(self.seen),
            "rounds": rounds,
            "calls": calls,
            "tokens_in": into,
            "tokens_cached": cached,
            "tokens_read": into - cached,
            "tokens_out": out,
            "judged_by_code": decided.get("code", 0),
            "judged_by_model": decided.get("judge", 0),
        }


def processor_seconds(root: int) -> float:
    """Return the processor time of a process and of all below it that still run, in seconds."""
    parents: dict[int, int] = {}
    used: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(stat.parent.name)
        parents[pid], used[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    below, found = {root}, {root}
    while found:
        found = {pid for pid, parent in parents.items() if parent in found} - below
        below |= found
    return sum(used.get(pid, 0) for pid in below) / _TICKS


def side_by_side(before: Path, place: Path, longest: int) -> dict[str, dict[str, float]]:
    """Run both versions at the same time; return the figures of each."""
    documents = DOCS.parent / "examples" / "documents"
    versions: Mapping[str, Path | None] = {"before": before, "now": None}
    runs = {name: Run(path, place / f"run-{name}", documents, longest) for name, path in versions.items()}
    while sum(run.look() for run in runs.values()):  # all are looked at, whichever goes on
        time.sleep(0.5)
    return {name: run.figures() for name, run in runs.items()}


def alone(place: Path, times: int, longest: int) -> dict[str, Any]:
    """Run this version alone, one run after the other; return when, where, and the figures of each run."""
    asyncio.run(find_weights(MODEL))
    said = {"date": today(), "commit": commit_of_now(), "machine": machine(), "load": round(os.getloadavg()[0], 1)}
    found = []
    for number in range(times):
        run = Run(None, place / f"alone-{number}", DOCS.parent / "examples" / "documents", longest)
        while run.look():
            time.sleep(0.5)
        found.append({name: figure for name, figure in run.figures().items() if not name.endswith("cpu_s")})
    return {**said, "runs": found}


def today() -> str:
    """Return the date in UTC."""
    return datetime.now(UTC).date().isoformat()


def answers() -> list[tuple[str, str, str, bool]]:
    """Return (question, reference, answer, whether it is right), as a person reads them."""
    with ANSWERS.open(encoding="utf-8", newline="") as file:
        return [(*row[:3], row[3] == "right") for row in csv.reader(file, delimiter="\t")]  # type: ignore[misc]


async def verdicts(pack: PromptPack, base_url: str) -> dict[str, Any]:
    """Ask a pack's judge about every answer; return its verdicts and what they took."""
    task, prompt, given = ReferenceTask(), pack["verifier"], list[bool]()
    took = {"tokens_in": 0, "tokens_cached": 0, "tokens_out": 0}
    async with httpx.AsyncClient(timeout=LONGEST) as client:
        for question, reference, answer, _ in answers():
            candidate = ReferenceCandidate(question=question, reference_answer=reference)
            schema = marks_of(task, candidate, verdict_alone=prompt.front.verdict_alone)
            texts = {"question": question, "reference": reference, "answer": answer}
            values = {name: fence(name, text) for name, text in texts.items()} | {"schema": schema_text(schema)}
            body = {
                "messages": prompt.render(values),
                "temperature": 0,
                "max_tokens": 200,
                "response_format": response_format(schema, "json_schema", text_limits=True),
            }
            reply = (await client.post(f"{base_url}/chat/completions", json=body)).raise_for_status().json()
            text, used = reply["choices"][0]["message"]["content"], reply["usage"]
            # A judge that will not quote is asked again by the run; here its verdict alone counts.
            found = parse_reply(text, getattr(schema, "second_best", None) or schema)
            given.append(bool(task.scored(candidate, found).score))
            took["tokens_in"] += used["prompt_tokens"]
            took["tokens_cached"] += used["prompt_tokens_details"]["cached_tokens"]
            took["tokens_out"] += used["completion_tokens"]
    return {"verdicts": given, **took}


async def judges(before: PromptPack) -> dict[str, Any]:
    """Return how often each version's judge is right about the answers, and how often both say the same."""
    server = await start_server(ServerSpec(await find_weights(MODEL), n_parallel=1))
    try:
        found = {
            "before": await verdicts(before, server.base_url),
            "now": await verdicts(load_pack("facts"), server.base_url),
        }
    finally:
        await server.aclose()
    truth = [right for *_, right in answers()]
    given: Mapping[str, Sequence[bool]] = {name: one.pop("verdicts") for name, one in found.items()}
    for name, one in found.items():
        one["right"] = sum(map(bool.__eq__, given[name], truth))
        one["wrong_accepted"] = sum(said and not right for said, right in zip(given[name], truth, strict=True))
    return {"answers": len(truth), "agree": sum(map(bool.__eq__, given["before"], given["now"])), **found}


async def measured(tree: Path, place: Path, longest: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of both runs and of both judges, all taken at the same time."""
    await find_weights(MODEL)
    packages = installed(tree, place)
    return await asyncio.gather(
        asyncio.to_thread(side_by_side, packages, place, longest), judges(load_pack(tree / "prompts" / "facts"))
    )


def rendered(figures: Mapping[str, Any]) -> str:
    """Return the part of the page for the content of docs/demo.json."""
    before, now = figures["runs"]["before"], figures["runs"]["now"]
    lines = "".join(
        f"| {what} | {before[name]:,} | {now[name]:,} | {_ratio(now[name], before[name])} |\n"
        for name, what in FIGURES.items()
    )
    judged = figures["judges"]
    whole, brief = judged["before"], judged["now"]
    return (
        "# The demo\n\n"
        f"How `autodata demo` does beside the version of commit `{figures['before']}`. Written by"
        f" `python -m benchmarks.demo` on {figures['date']}, commit `{figures['commit']}`, {figures['machine']}:"
        f" both ran at the same time until {figures['target']} examples or {figures['longest']:,} seconds, beside other"
        f" work (load {figures['load']}), so seconds say nothing by themselves; what counts is the last column, and on"
        " two idle processors at least half of the processor seconds pass.\n\n"
        f"| what | before | now | ratio |\n| --- | ---: | ---: | ---: |\n{lines}\n"
        f"Both judges read {judged['answers']} answers whose verdicts a person gave (`benchmarks/demo_answers.tsv`):"
        f" the one before was right about {whole['right']}, and took {whole['wrong_accepted']} wrong answers for right;"
        f" the one of now was right about {brief['right']}, and took {brief['wrong_accepted']} wrong ones for right."
        f" They agreed on {judged['agree']}. The one before wrote {whole['tokens_out'] / judged['answers']:.1f} tokens"
        f" an answer, the one of now {brief['tokens_out'] / judged['answers']:.1f}.\n"
        + (_rendered_alone(figures["alone"]) if "alone" in figures else "")
    )


def _rendered_alone(figures: Mapping[str, Any]) -> str:
    runs = figures["runs"]
    lines = "".join(
        f"| {number} | {run['first_s']} s | {run['all_s']} s | {run['accepted']} | {run['calls']} |"
        f" {run['tokens_in']:,} | {run['tokens_out']:,} |\n"
        for number, run in enumerate(runs, 1)
    )
    return (
        f"\nAlone on the machine (load {figures['load']} when it began), the weights on the disk, measured by"
        f" `python -m benchmarks.demo --alone {len(runs)}` on {figures['date']}, commit `{figures['commit']}`,"
        f" {figures['machine']}:\n\n"
        "| run | first example after | last after | examples | calls | prompt tokens | tokens written |\n"
        f"| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n{lines}"
    )


def _ratio(now: float, before: float) -> str:
    return f"{now / before:.2f}" if before else "-"


def main() -> None:
    """Measure, and write the files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo")
    parser.add_argument("revision", nargs="?", default=BEFORE)
    parser.add_argument("--seconds", type=int, default=LONGEST)
    parser.add_argument("--alone", type=int, default=0, metavar="N")
    given = parser.parse_args()
    known = json.loads((DOCS / "demo.json").read_text("utf-8"))
    if given.alone:
        with tempfile.TemporaryDirectory() as name:
            known["alone"] = alone(Path(name), given.alone, given.seconds)
        save(known)
        return
    commit, load = commit_of_now(), f"{os.getloadavg()[1]:.0f}"
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        tree = tree_of(given.revision, place / "tree")
        runs, judged = asyncio.run(measured(tree, place, given.seconds))
    figures = {
        "date": today(),
        "before": given.revision,
        "commit": commit,
        "machine": machine(),
        "load": load,
        "target": TARGET,
        "longest": given.seconds,
        "runs": runs,
        "judges": judged,
        **({"alone": known["alone"]} if "alone" in known else {}),
    }
    save(figures)


def save(figures: Mapping[str, Any]) -> None:
    """Write docs/demo.json, and the part of the page that says what is in it."""
    (DOCS / "demo.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    write("demo", rendered(figures))


if __name__ == "__main__":
    main()
