"""Break runs by seed and see whether all holds that must: `python -m benchmarks.faults --scenarios 1000`.

Ends with exit code 1 where anything did not hold. `--write` puts what was found into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.faults.page import RESULTS, section, summary, write_section
from benchmarks.faults.scenarios import CANARY, Outcome, Unbroken, scenario, unbroken
from benchmarks.faults.worlds import KEY, WORLDS, World

SHARED_MEMORY = Path("/dev/shm")


def references(room: Path, worlds: Sequence[World] = WORLDS) -> list[Unbroken]:
    """Run every world once, unbroken."""
    found = []
    for number, world in enumerate(worlds):
        folder = room / f"unbroken-{number}"
        folder.mkdir()
        found.append(unbroken(world, folder))
    gc.collect()
    gc.freeze()  # what all scenarios share need not be looked through for garbage by each
    return found


def side_by_side(
    seeds: Sequence[int], known: Sequence[Unbroken], room: Path, last: float | None, jobs: int
) -> list[Outcome]:
    """Run the scenarios of seeds in so many processes; begin none after the moment `last` of the monotonic clock.

    Raises RuntimeError where one of the processes failed.
    """
    children: list[int] = []
    for job in range(jobs):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                _share(seeds[job::jobs], known, room, last, room / f"outcomes-{job}.json")
                code = 0
            except BaseException:  # noqa: BLE001 - printed, and then the process ends
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(pid)
    failed = [pid for pid in children if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
    if failed:
        raise RuntimeError(f"{len(failed)} of {jobs} processes failed")
    return [Outcome(**one) for job in range(jobs) for one in json.loads((room / f"outcomes-{job}.json").read_text())]


def _kept(file: Path | None) -> list[Outcome]:
    """Return the outcomes that a file holds, none where there is none."""
    return [Outcome(**one) for one in json.loads(file.read_text("utf-8"))] if file and file.exists() else []


def _share(seeds: Sequence[int], known: Sequence[Unbroken], room: Path, last: float | None, out: Path) -> None:
    outcomes: list[Outcome] = []
    for seed in seeds:
        if last is not None and time.monotonic() > last:
            break
        outcomes.append(scenario(seed, known, room))
        _say(outcomes[-1], len(outcomes), len(seeds))
    out.write_text(json.dumps([asdict(one) for one in outcomes]), "utf-8")


def main() -> None:
    """Read the arguments, run the scenarios, say what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the first scenario's; the others follow")
    parser.add_argument("--seconds", type=float, default=None, help="begin none after so many seconds")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the scenarios")
    parser.add_argument("--list", action="store_true", help="print the boundaries, and break nothing")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md and docs/faults.json")
    parser.add_argument(
        "--json", type=Path, default=None, help="keep outcomes in this file; seeds in it are not run again"
    )
    options = parser.parse_args()
    os.environ[KEY] = CANARY
    place = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as room:
        known = references(Path(room))
        seams = {one.world.name: dict(one.passed) for one in known}
        if options.list:
            sys.stdout.write("\n".join(sorted({seam for passed in seams.values() for seam in passed})) + "\n")
            return
        before = _kept(options.json)
        seeds = [
            seed
            for seed in range(options.seed, options.seed + options.scenarios)
            if all(seed != one.seed for one in before)
        ]
        last = None if options.seconds is None else time.monotonic() + options.seconds
        outcomes = sorted(
            [*before, *side_by_side(seeds, known, Path(room), last, options.jobs)], key=lambda one: one.seed
        )
    results = summary(outcomes, seams)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in outcomes]), "utf-8")
    if options.write:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
        write_section(results)
    sys.stdout.write(section(results))
    if not outcomes or any(one.violations for one in outcomes):
        sys.exit(1)


def _say(one: Outcome, number: int, of: int) -> None:
    for violation in one.violations:
        where = f"seed {one.seed}: {one.world}: {one.seam} {one.count}, {one.fault}"
        sys.stderr.write(f"{where}: {violation}\n")
    if number % 50 == 0:
        sys.stderr.write(f"{number} of {of}\n")


if __name__ == "__main__":
    main()
