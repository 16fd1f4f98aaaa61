"""Where the processor time of a call goes, and what uvloop spares: docs/call-parts.json and a part of a page.

    python -m benchmarks.call_parts [DOCUMENTS]

Whole runs as in `benchmarks/calls.py`, each in a process of its own: on asyncio's loop, on uvloop, and once more on
asyncio's with the main thread looked at after every two milliseconds of processor time. What it used since the last
look counts for the part whose frame is innermost on its stack. Other threads are few and each does one thing: their
processor time is read from the system's clocks, exactly.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from autodata.jobs.event_loop import VARIABLE, run_long
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from benchmarks.calls import IN_FLIGHT, SECONDS, server, settings
from benchmarks.demo import today
from benchmarks.many_documents import documents, machine
from benchmarks.page import DOCS, commit_of_now, write

DOCUMENTS = 100
EVERY = 0.002
"""Seconds of processor time between two looks."""

PARTS: Mapping[str, tuple[str, ...]] = {
    "checkpoints": ("/checkpoints/saver", "/checkpoints/whole_writes", "/langgraph/checkpoint/", "/aiosqlite/"),
    "ledger and journal": ("/checkpoints/",),
    "spans": ("/tracing/",),
    "HTTP": ("/aiohttp/", "/yarl/", "/multidict/", "/models/direct", "/models/openai_chat", "/models/bodies"),
    "prompts, keys, replies": ("/models/", "/prompts/"),
    "nodes, task types": ("/nodes/", "/domains/"),
    "documents, events": ("/runner/", "/corpus/"),
    "graph": ("/langgraph/", "/langchain_core/"),
}
"""Parts of a call and the paths of their code, the first that fits."""
START = "start of the process"
"""All that came before the first document, and what is imported later."""
REST = "event loop and all else"
THREADS: Mapping[str, str] = {
    "aiosqlite": "checkpoints, on their thread",
    "ledger": "ledger and journal, on their threads",
}
OTHER_THREADS = "other threads"


def part_of(frame: FrameType | None) -> str:
    """Return the part that a stack is in: that of its innermost frame that is of one."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith("<frozen importlib"):
            return START
        for name, places in PARTS.items():
            if any(place in path for place in places):
                return name
        frame = frame.f_back
    return REST


class Looks:
    """The processor time of the main thread by part, while it is on."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._last = time.clock_gettime(self._clock)
        self.spent[START] = self._last

    def _look(self, number: int, frame: FrameType | None) -> None:
        now = time.clock_gettime(self._clock)
        self.spent[part_of(frame)] += now - self._last
        self._last = time.clock_gettime(self._clock)

    def begin(self) -> None:
        """Look from now on."""
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)

    def end(self) -> None:
        """Look no more; what the looks themselves took is in none of the parts and counts for the rest."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._look(0, None)
        self.spent[REST] += time.clock_gettime(self._clock) - sum(self.spent.values())


def of_threads() -> Mapping[str, float]:
    """Return the processor time of the other threads that are there, by what they do."""
    stacks, spent = sys._current_frames(), defaultdict[str, float](float)
    for thread in threading.enumerate():
        if thread is threading.main_thread() or thread.ident is None:
            continue
        paths, frame = "", stacks.get(thread.ident)
        while frame is not None:
            paths, frame = f"{paths} {frame.f_code.co_filename}", frame.f_back
        name = "aiosqlite" if "/aiosqlite/" in paths else "ledger" if "ledger" in thread.name else ""
        used = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        spent[THREADS.get(name, OTHER_THREADS)] += used
    return spent


async def run(root: str, count: int, folder: Path, *, look: bool) -> dict[str, Any]:
    """Run so many documents; return calls, processor milliseconds a call and, with `look`, those of each part."""
    looks = Looks()
    if look:
        looks.begin()
    async with open_runner(settings(root), folder) as runner:
        await add_documents(runner.ledger, documents(count))
        outcome = await runner.run()
        assert not outcome.stopped, outcome
        [made] = await runner.ledger.read("SELECT count(*) AS calls FROM calls")
        others = of_threads()
    gc.collect()
    if look:
        looks.end()
    used, calls = resource.getrusage(resource.RUSAGE_SELF), made["calls"]
    whole = used.ru_utime + used.ru_stime
    found: dict[str, Any] = {"calls": calls, "cpu_ms": whole / calls * 1000}
    if look:
        parts = {OTHER_THREADS: 0.0, **looks.spent, **others}
        parts[OTHER_THREADS] += whole - sum(parts.values())  # those that have ended
        found["parts"] = {
            name: seconds / calls * 1000 for name, seconds in sorted(parts.items(), key=lambda part: -part[1])
        }
    return found


def measured(root: str, count: int, loop: str, *, look: bool = False) -> dict[str, Any]:
    """Return what a run takes, in a process of its own."""
    with tempfile.TemporaryDirectory() as made:
        asked = ["run", root, str(count), f"{made}/run", str(int(look))]
        command = [sys.executable, "-m", "benchmarks.call_parts", *asked]
        environment = {**os.environ, "LANGSMITH_TRACING": "false", VARIABLE: loop}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=DOCS.parent, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rendered(figures: Mapping[str, Any]) -> str:
    """Return the part of docs/benchmarks.md for the content of docs/call-parts.json."""
    looked = figures["looked"]
    rows = "".join(
        f"| {name} | {spent:.2f} ms | {spent / looked['cpu_ms']:.0%} |\n" for name, spent in looked["parts"].items()
    )
    return (
        "# Where the time of a call goes\n\n"
        f"Processor time of a call, all of the process and its start included, by part. Written by `make bench` on"
        f" {figures['date']}, commit `{figures['commit']}`, {figures['machine']}: runs of {figures['documents']}"
        f" documents of domain `cs`, {looked['calls']:,} calls, {figures['in_flight']} requests in flight. As it began,"
        f" {figures['load']:g} processes were running or waiting to; beside others a processor's caches are shared, and"
        " all times are too high. To be looked at costs a run time too, which is in the table.\n\n"
        "| part | processor time a call | share |\n| --- | ---: | ---: |\n"
        f"{rows}| all | {looked['cpu_ms']:.2f} ms | 100% |\n\n"
        f"Not looked at, in the same minutes: {figures['asyncio']['cpu_ms']:.2f} ms on asyncio's event loop and"
        f" {figures['uvloop']['cpu_ms']:.2f} ms on uvloop,"
        f" {figures['uvloop']['cpu_ms'] / figures['asyncio']['cpu_ms']:.2f} times as much. `pip install"
        " 'autodata-langgraph[fast]'` installs uvloop, and all that runs long then uses it;"
        " `AUTODATA_EVENT_LOOP=asyncio` leaves it out.\n"
    )


def main(arguments: Sequence[str]) -> None:
    """Measure and write the files, or be one of the processes that are measured."""
    match arguments:
        case ["run", root, count, folder, look]:
            print(json.dumps(run_long(run(root, int(count), Path(folder), look=look == "1"))))
        case _:
            many = int(arguments[0]) if arguments else DOCUMENTS
            figures: dict[str, Any] = {
                "date": today(),
                "commit": commit_of_now(),
                "machine": machine(),
                "load": round(os.getloadavg()[0], 1),
                "documents": many,
                "in_flight": IN_FLIGHT,
            }
            with server(SECONDS) as root:
                figures["asyncio"] = measured(root, many, "asyncio")
                figures["uvloop"] = measured(root, many, "uvloop")
                figures["looked"] = measured(root, many, "asyncio", look=True)
            figures = json.loads(json.dumps(figures), parse_float=lambda text: round(float(text), 3))
            (DOCS / "call-parts.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
            write("call parts", rendered(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
