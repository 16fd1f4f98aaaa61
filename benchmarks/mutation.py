"""Mutation testing: `make mutation` changes one operator, number or condition at a time and sees whether a test fails.

What is changed is a copy of the built package below `build/mutation`, by cosmic-ray, which lives in an environment of
its own. Annotations are left alone: nothing reads them here. Of a module with more mutants than `SAMPLE` a sample is
tried, drawn by seed. The figures go to docs/mutation.json, and from there into docs/reliability.md.

`--seed N` draws another sample and prints what survives in it: the tests were written for what survived in the first.

Each survivor is listed with its line. `READ` says of those that were read and cannot be killed why: the mutant does
what the original does.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability import DOCS, write

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / ".venvs" / "mutation" / "work"
TOOL = ROOT / ".venvs" / "mutation" / "bin" / "cosmic-ray"
FIGURES = DOCS / "mutation.json"
SAMPLE = 40
"""Mutants of a module that are tried at most."""
SEED = 16
TIMEOUT = 60.0
"""Seconds after which a mutant counts as killed: it loops where the original ends."""
EQUIVALENT_OPERATORS = ("core/RemoveDecorator",)
"""Operators that are not tried: a removed `@property` or `@dataclass` fails on import and says nothing of a test."""


@dataclass(frozen=True)
class Target:
    """A module, what it decides, and the unit tests that are to notice a mutant of it."""

    module: str
    what: str
    tests: tuple[str, ...]


_ACCEPTANCE = ("test_decisions", "test_acceptance", "test_possible", "test_settled", "test_borderline")
_RUBRIC = ("test_decisions", "test_rubric", "test_possible", "test_task_types")
_REPLIES = ("test_structured", "test_coerce")
TARGETS = (
    Target("domains/acceptance/policies", "acceptance", _ACCEPTANCE),
    Target("domains/acceptance/bounds", "acceptance", _ACCEPTANCE),
    Target(
        "domains/acceptance/rubric_score",
        "rubric scores",
        _RUBRIC,
    ),
    Target("domains/acceptance/early_stopping", "early stopping", ("test_settled", "test_acceptance")),
    Target("models/scan", "reply parsing", ("test_decisions", "test_scan", *_REPLIES, "test_texts")),
    Target("models/structured", "reply parsing", ("test_decisions", *_REPLIES, "test_reasoning")),
    Target("models/endings", "reply parsing", ("test_decisions", "test_endings")),
    Target("models/reasoning", "reply parsing", ("test_reasoning", "test_structured")),
    Target("checkpoints/ids", "journal keys", ("test_decisions", "test_ids", "test_calls", "test_documents")),
    Target("models/call", "journal keys", ("test_call", "test_calls", "test_ledger")),
    Target("models/budget", "budgets", ("test_budget_bounds", "test_budget")),
)

READ: Mapping[str, str] = {
    "bound.number <= high and strict": "what is less than high was taken by the comparison before it",
    "low >= high and not (low_in": "what is more than high was taken by the comparison before it",
    'limits.get(f"{what}_min", 1), counts': "a number of items is never below 0, so the limit is not shown",
    "own.end() is not len(text)": "a number with its signs is short, and equal short numbers are one object",
    'counts[what] < limits.get(f"{what}_min", -1)': "a number of items is never below 0",
    "own.end() <= len(text)": "behind what matches stands a letter or a blank, and no text ends in a blank",
    "own.end() != len(text)": "what matches at the start of a text never ends behind it",
    "wrongs_missing <= -1": "at 0 the least of the three numbers below is 0 too",
    "what <= 'items'": "of the three names `items` is the first in the alphabet",
    'limits.get(f"{what}_min", -1), counts': "a number of items is never below 0, so the limit is not shown",
    "2 >> len(text": "2, 1 and 0 for no, one and two digits either way, and 0 beyond",
    "if len(value) != len(pairs)": "an object never has more keys than pairs",
    ", 65": "a SHA-256 has 64 hex digits, so the first 65 are the same",
    "ruling.decision <= Decision.ACCEPT": "of `accept` and `more`, all that the baseline answers, `accept` comes first",
    '"value", False, ( 1, 0), self.start': "nothing stands between 1 and 0 either",
    "len(stack) is not MAX_DEPTH": "a stack grows by one bracket at a time",
    'want > "colon"': "of the four names `colon` is the first in the alphabet",
    'self.pieces[-1] >= "["': "before a value without a comma stands a colon or a bracket, and a colon is less",
    "newline >= 1 else": "a text in a value is never at 0: a bracket stands before it",
    "    done = -1": "what is found begins at 1 at the earliest, behind a bracket",
    "len(found) <= 1": "there is always an outcome",
    'mark.kind <= "alone"': "of the three names `alone` is the first in the alphabet",
    "_REASONING ^ _ANSWER": "no name is in both",
    "max(0, end - 39)": "the longest of these marks has 21 characters",
    "count=1)) is not name": "a text in which nothing is replaced is the same object",
    "re.DOTALL ^ re.M": "the two flags have no bit in common",
    "inner = match.start() - 1": "nothing begins one place before a mark, and the mark itself needs its end",
    "newline > 0 else": "a text in a value is never at 0: a bracket stands before it",
    'elif kind <= "word"': "brackets, colons and commas are no words of Python and have no sign",
    "used: Usage | None, /, paid": "who calls it through a protocol calls what stands behind it",
    "more != 0": "no more problems are shown than there are",
    "since: int = -1": "it is asked of marks in code alone, and before those stands a fence",
    'opened["ticks"][ -1]': "the characters of a fence are all the same",
    'kind < "shut"': "of the three names `shut` is the last in the alphabet",
    "if match[0] <= '\"'": "an escape begins with a backslash, which is more than a quote",
}
"""Survivors that were read and do what the original does: what their line holds, and why."""


def prepare() -> None:
    """Lay out the package as the wheel does, with the tests beside it."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", BUILD / "dist", ROOT],
        check=True,
    )
    shutil.unpack_archive(next((BUILD / "dist").glob("*.whl")), BUILD, "zip")
    for folder in ("tests", "docs", "benchmarks"):
        shutil.copytree(ROOT / folder, BUILD / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "langgraph.json"):
        shutil.copy(ROOT / file, BUILD / file)


def skipped_lines(source: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield the places of annotations: first line, column, last line, column."""
    for node in ast.walk(ast.parse(source)):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.AnnAssign | ast.arg):
            found.append(node.annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(node.returns)
        if isinstance(node, ast.ClassDef):
            found += node.bases
        for part in found:
            if part is not None:
                yield part.lineno, part.col_offset, part.end_lineno or part.lineno, part.end_col_offset or 0


def tried(target: Target, seed: int = SEED) -> Mapping[str, Any]:
    """Try a module's mutants; return how many there are, were tried and ran out of time, and the survivors."""
    path = f"autodata/{target.module}.py"
    tests = " ".join(f"tests/unit/{name}.py" for name in target.tests)
    command = (
        f"{sys.executable} -m pytest -q -x -n 0 -p no:cacheprovider --hypothesis-profile quick -m 'not slow' {tests}"
    )
    session, config = BUILD / "session.sqlite", BUILD / "cosmic.toml"
    session.unlink(missing_ok=True)
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "{path}"\ntimeout = {TIMEOUT}\nexcluded-modules = []\n'
        f"test-command = {json.dumps(command)}\n[cosmic-ray.distributor]\nname = 'local'\n",
        "utf-8",
    )
    _tool("init", config.name, session.name)
    _tool("baseline", config.name)
    of_all = _sampled(session, (BUILD / path).read_text("utf-8"), f"{seed}/{target.module}")
    _tool("exec", config.name, session.name)
    with closing(sqlite3.connect(session)) as db:
        rows = db.execute(
            "select m.operator_name, m.start_pos_row, r.test_outcome, r.diff, r.output from work_results r"
            " join mutation_specs m on m.job_id = r.job_id order by 2, 1, 4"
        ).fetchall()
    alive = [(operator, line, diff) for operator, line, outcome, diff, _ in rows if outcome == "SURVIVED"]
    survivors = [
        {"place": f"{target.module}:{line} {operator.removeprefix('core/')}", "diff": _short(diff)}
        for operator, line, diff in alive
    ]
    given_up = sum(output == "timeout" for *_, output in rows)
    return {
        "what": target.what,
        "mutants": of_all,
        "tried": len(rows),
        "given_up": given_up,
        "survivors": survivors,
    }


def _tool(*words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(BUILD), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([TOOL, *words], check=True, cwd=BUILD, env=environment, stdout=subprocess.DEVNULL)


def _sampled(session: Path, source: str, seed: str) -> int:
    """Leave a sample of a session's mutants, none of them of an annotation; return how many there were."""
    places = list(skipped_lines(source))
    with closing(sqlite3.connect(session)) as db:
        rows = db.execute(
            "select job_id, operator_name, operator_args, occurrence, start_pos_row, start_pos_col"
            " from mutation_specs order by 2, 3, 4"
        ).fetchall()
        fit = [
            job
            for job, operator, *_, row, column in rows
            if operator not in EQUIVALENT_OPERATORS
            and not any((first, left) <= (row, column) < (last, right) for first, left, last, right in places)
        ]
        kept = set(random.Random(seed).sample(fit, min(SAMPLE, len(fit))))
        gone = [(job,) for job, *_ in rows if job not in kept]
        db.executemany("delete from mutation_specs where job_id = ?", gone)
        db.executemany("delete from work_items where job_id = ?", gone)
        db.commit()
    return len(fit)


def _short(diff: str) -> Sequence[str]:
    return [line for line in diff.splitlines() if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"}]


def table(figures: Mapping[str, Any]) -> str:
    """Return the part of the page."""
    rows, total, left, same = [], 0, 0, 0
    for module, found in figures["modules"].items():
        equal = sum(any(part in line for line in one["diff"] for part in READ) for one in found["survivors"])
        alive = len(found["survivors"]) - equal
        rows.append(
            f"| `{module}.py` | {found['what']} | {found['mutants']} | {found['tried']} | {equal} | {alive} |\n"
        )
        total, left, same = total + found["tried"], left + alive, same + equal
    names = [f"`{one.module}.py`" for one in TARGETS if one.module not in figures["modules"]]
    missing = f" Not tried yet: {', '.join(names)}." if names else ""
    given_up = sum(found["given_up"] for found in figures["modules"].values())
    share = 100 * left / max(1, total - same)
    return (
        f"{total} mutants, a sample of at most {SAMPLE} a module drawn by seed, in {figures['cpu_minutes']:.0f} minutes"
        f" of processor time: {left} survive, {share:.1f} % of those that are not known to be equivalent. The aim is"
        f" less than 5 %. {given_up} of those that count as killed ran past {TIMEOUT:.0f} seconds.{missing}\n\n"
        "| module | decides | mutants | tried | equivalent | surviving |\n|---|---|---|---|---|---|\n" + "".join(rows)
    )


def main() -> None:
    """Try the modules, or those that are named, and write figures and page; of another seed only print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    names = [target.module for target in TARGETS]
    if unknown := {*asked.modules} - {*names}:
        parser.error(f"no module that is tried: {', '.join(sorted(unknown))}; these are: {', '.join(names)}")
    figures: dict[str, Any] = {"modules": {}, "cpu_minutes": 0.0}
    if FIGURES.exists() and asked.modules and asked.seed == SEED:
        figures = json.loads(FIGURES.read_text("utf-8"))
    prepare()
    for target in TARGETS:
        if asked.modules and target.module not in asked.modules:
            continue
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = tried(target, asked.seed)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        minutes = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60
        figures["modules"][target.module] = {**found, "cpu_minutes": round(minutes, 2)}
        figures["cpu_minutes"] = round(sum(one["cpu_minutes"] for one in figures["modules"].values()), 2)
        print(f"{target.module}: {found['tried']} of {found['mutants']}, {len(found['survivors'])} survive", flush=True)
        if asked.seed == SEED:
            FIGURES.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
        else:
            print(*(f"{one['place']}\n  " + "\n  ".join(one["diff"]) for one in found["survivors"]), sep="\n")
    if asked.seed == SEED:
        write("mutation", table(figures))
    else:
        print(table(figures))


if __name__ == "__main__":
    main()
