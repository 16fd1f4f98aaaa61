"""From what a real small model's arms left in a folder to docs/teaching-real.json, and from there to a part of a page.

It needs no trainer's library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from string import Template
from typing import Any

from benchmarks.many_documents import machine
from benchmarks.teaching.real.examples import ARMS
from benchmarks.teaching.signs import estimate
from benchmarks.teaching.summary import DOCS

JSON = DOCS / "teaching-real.json"
FORM = Template((Path(__file__).parent / "part.md").read_text("utf-8"))
TRAINED = ("one-shot", "agentic", "both")
SETS = ("one-shot", "accepted")
WAYS = ("closed book", "with passage")
PLANNED = 40
"""Paragraphs of the plan."""
NOTHING = """Not run yet: of a real small model in the same arms nothing is known from here. `make teach-real` does what
[its plan](teaching-plan-real.md) says and writes this part; `make teach-small` takes two steps of each of its arms, on
the real weights.
"""

Tables = Mapping[str, Any]


def write(folder: Path, into: Path) -> None:
    """Write the JSON of a folder in which all arms are done."""
    into.write_text(json.dumps(summed(folder), indent=1) + "\n", "utf-8")


def summed(folder: Path) -> dict[str, Any]:
    """Return what the JSON holds: answers to every set by arm and seed, and how the examples were made."""
    scale = _read(folder / "scale.json")["scale"]
    arms = {arm: {str(seed): _read(folder / f"{arm} {seed}.json") for seed in scale["seeds"]} for arm in TRAINED}
    return {
        "machine": machine(),
        "scale": scale,
        "made": {arm: _read(folder / arm / "made.json") for arm in ARMS},
        "base": _read(folder / "base.json")["answers"],
        "arms": arms,
    }


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def by_question(tables: Tables, arm: str, of: str, figure: str) -> list[float]:
    """Return a figure (scored, holds or cut) for each question of a set asked in one way: its mean over the seeds."""
    if arm == "base":
        return [float(digit) for digit in tables["base"][of][figure]]
    seeds = [row["answers"][of][figure] for row in tables["arms"][arm].values()]
    return [mean(map(float, digits)) for digits in zip(*seeds, strict=True)]


def difference(tables: Tables, one: str, other: str, name: str, ways: Sequence[str], figure: str) -> list[float]:
    """Return by how much two arms differ in a figure, for each question of a set: the mean over the ways of asking."""
    gaps = []
    for of in (f"{name}, {way}" for way in ways):
        pairs = zip(by_question(tables, one, of, figure), by_question(tables, other, of, figure), strict=True)
        gaps.append([left - right for left, right in pairs])
    return [mean(values) for values in zip(*gaps, strict=True)]


def signs(tables: Tables) -> list[tuple[str, str, str]]:
    """Return each sign of the plan: what it says, the figures, and whether it holds."""
    found = []
    teaches = "(1) agentic teaches more than one-shot", "(2) agentic alone teaches more than both"
    for other, said in zip(("one-shot", "both"), teaches, strict=True):
        for name in SETS:
            for way in WAYS:
                gap = estimate(difference(tables, "agentic", other, name, [way], "scored"))
                found.append((f"{said}, set {name}, {way}", f"{gap.text(sign=True)} points", gap.verdict(1)))
    fewer = estimate([gap for name in SETS for gap in difference(tables, "agentic", "base", name, WAYS, "cut")])
    found.append(("(3) the trained model is cut off less often", f"{fewer.text(sign=True)} points", fewer.verdict(-1)))
    return found


def part(tables: Tables | None) -> str:
    """Return the part of the page; without tables, one that says so."""
    if tables is None:
        return NOTHING
    scale, examples = tables["scale"], next(iter(tables["arms"]["agentic"].values()))["examples"]
    counts = {name: len(tables["base"][f"{name}, closed book"]["scored"]) for name in SETS}
    return FORM.substitute(
        scope=_scope(scale["paragraphs"]),
        examples=examples,
        steps=scale["steps"],
        batch=scale["batch"],
        seeds=len(scale["seeds"]),
        held=", ".join(f"{name} {count}" for name, count in counts.items()),
        made=_table(("examples", "paragraphs", "accepted", "weak", "strong", "rounds", "calls"), _made(tables)),
        results=_table(("arm", "own questions", *(f"{n}, {w}" for n in SETS for w in WAYS), "cut off"), _rows(tables)),
        signs=_table(("sign", "here", "verdict"), signs(tables)),
        machine=tables["machine"],
    )


def _scope(paragraphs: int) -> str:
    if paragraphs >= PLANNED:
        return f"All {paragraphs} paragraphs of the plan were asked about."
    return (
        f"**Smaller than planned**: {paragraphs} of {PLANNED} paragraphs were asked about, for lack of time, so there"
        " are fewer examples and fewer questions than the plan wanted."
    )


def _made(tables: Tables) -> list[list[str]]:
    return [
        [
            arm,
            f"{one['paragraphs']}",
            f"{one['accepted']}",
            *(f"{one[key]:.2f}" for key in ("weak", "strong", "rounds")),
            f"{sum(one['calls'].values())}",
        ]
        for arm, one in tables["made"].items()
    ]


def _rows(tables: Tables) -> list[list[str]]:
    rows = []
    every = [f"{name}, {way}" for name in SETS for way in WAYS]
    for arm in ("base", *TRAINED):
        cells = []
        for of in ("own, closed book", *every):
            scored = 100 * mean(by_question(tables, arm, of, "scored"))
            holds = 100 * mean(by_question(tables, arm, of, "holds"))
            cells.append(f"{scored:.0f} ({holds:.0f})")
        off = mean(value for of in every for value in by_question(tables, arm, of, "cut"))
        rows.append([arm, *cells, f"{100 * off:.0f} %"])
    return rows


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read() -> dict[str, Any] | None:
    """Return docs/teaching-real.json, or None where it was not run yet."""
    return _read(JSON) if JSON.exists() else None
