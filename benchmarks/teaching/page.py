"""docs/teaching.md and its plots, from docs/teaching.json: `python -m benchmarks.teaching.page`.

`--folder runs/teaching` takes the seeds that are done there first, also while others are in work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.teaching import plots, summary
from benchmarks.teaching.real import figures
from benchmarks.teaching.signs import (
    Tables,
    cut,
    estimate,
    less,
    of_both,
    over_seeds,
    repaired,
    right,
    signs,
)
from benchmarks.teaching.summary import ARMS, DOCS, SETS, START

FORM = Template((Path(__file__).parent / "page.md").read_text("utf-8"))
NOTHING = """# Does the data teach?

Not measured yet: no seed of [the plan](teaching-plan.md) is done. `make teach` does what is
missing and writes this page.
"""
MADE = ("one-shot", "agentic", "gate too easy", "gate too hard", "second generation")


def rendered(tables: Tables) -> str:
    """Return the whole page; while no seed is done, one that says so."""
    if not tables["seeds"]:
        return NOTHING
    of_solvers = tables["solvers"]
    sizes = (f"{name}: {one['parameters']:,} parameters, {one['steps']:,} steps" for name, one in of_solvers.items())
    return FORM.substitute(
        seeds=_seeds(tables),
        grpo_signs=_table(("sign", "here", "verdict"), signs(tables, "grpo")),
        sft_signs=_table(("sign", "here", "verdict"), signs(tables, "sft")),
        held=", ".join(f"{name} {count}" for name, count in tables["held"].items()),
        results=_results(tables),
        rates=_rates(tables["rates"]),
        dial=_table(
            ("arm", "base on its examples", "gain"),
            [(arm, f"{100 * x:.1f}", f"{100 * y:+.1f}") for arm, x, y in plots.dial(tables)],
        ),
        second=_second(tables),
        generation=_generation(tables),
        real=figures.part(figures.read()).rstrip(),
        sizes="; ".join(sizes),
        solvers=_solvers(tables),
        scratch=f"{sum(one['processor_seconds'] for one in of_solvers.values()):.0f}",
        cost=_cost(tables),
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seeds(tables: Tables) -> str:
    done, planned = tables["seeds"], tables["scale"]["seeds"]
    text = f"**{len(done)} {'seed' if len(done) == 1 else 'seeds'}** ({', '.join(map(str, done))})."
    if missing := sorted({*planned} - {*done}):
        text += f" Planned were {len(planned)}; not done are {', '.join(map(str, missing))}."
    if len(done) == 1:
        return f"{text} One seed gives no interval: nothing here is shown."
    text += " ± is half of a 95 % interval over them, by Student's t."
    wide = " With so few seeds intervals are wide: what they do not show may still be so."
    return text + (wide if len(done) < len(planned) else "")


def _solvers(tables: Tables) -> str:
    rows = [
        [name, family, *(f"{100 * share:.0f} ({100 * off:.0f})" for share, off in levels)]
        for name, one in tables["solvers"].items()
        for family, levels in one["levels"].items()
    ]
    return _table(["solver", "family", *(f"level {n}" for n in range(1, len(rows[0]) - 1))], rows)


def _generation(tables: Tables) -> str:
    rows = []
    for name in MADE:
        every = [*tables["arms"][f"grpo {name}"].values()]
        made = [row["made"][0] for row in every]
        weak, strong, rounds = (estimate([one[key] for one in made]).mean for key in ("weak", "strong", "rounds"))
        share = estimate([one["accepted"] / one["documents"] for one in made]).mean
        afresh = estimate([row["base_on_own"] for row in every]).mean
        means = (f"{value:.3f}" for value in (weak, strong, strong - weak))
        rows.append([name, *means, f"{rounds:.2f}", f"{100 * share:.0f} %", f"{afresh:.3f}"])
    rows += [
        ["paper, one-shot (CS)", "0.677", "0.696", "0.019", "1.00", "-", "-"],
        ["paper, agentic (CS)", "0.458", "0.772", "0.314", "6.59", "-", "-"],
    ]
    head = ["examples", "weak", "strong", "gap", "rounds to one", "documents that gave one", "measured afresh"]
    return _table(head, rows)


def _results(tables: Tables) -> str:
    rows = []
    for arm in ("base", *ARMS):
        cells = []
        for name in SETS:
            value = over_seeds(tables, right(tables, arm, name))
            gain = over_seeds(tables, less(right(tables, arm, name), right(tables, "base", name)))
            cells.append(value.text() if arm == "base" else f"{100 * value.mean:.1f} ({gain.text(sign=True)})")
        off = over_seeds(tables, of_both(cut, tables, arm))
        share = None if arm == "base" else repaired(tables, arm)
        rows.append([arm, *cells, off.text(), "-" if share is None else f"{100 * share:.0f} %"])
    return _table(["arm", *SETS, "cut off", "of answers that turned right, cut off before"], rows)


def _rates(rates: Mapping[str, Any]) -> str:
    said = []
    for method, means in rates["tried"].items():
        tried = ", ".join(f"{float(rate):g} {100 * share:.1f}" for rate, share in means.items())
        said.append(f"{method} {rates[method]:g} ({tried})")
    return (
        "Learning rates were chosen by code, on problems of no arm, by what the trained model then did on others of"
        f" that kind, where the base does {100 * rates['before']:.1f}: {'; '.join(said)}."
    )


def _second(tables: Tables) -> str:
    rows = []
    for name in SETS:
        gain = over_seeds(
            tables, less(right(tables, "grpo second generation", name), right(tables, "grpo agentic", name))
        )
        rows.append([name, gain.text(sign=True), gain.verdict(1)])
    return _table(["set", "points", "that it gained"], rows)


def _cost(tables: Tables) -> str:
    rows = []
    for arm in ARMS:
        every = tables["arms"][arm].values()
        making = estimate([sum(one["processor_seconds"] for one in row["made"]) for row in every]).mean
        training = estimate([row["processor_seconds"] for row in every]).mean
        calls = estimate([sum(one["solver_calls"] for one in row["made"]) for row in every]).mean
        start = right(tables, START.get(arm, "base"), "accepted")
        gain = 100 * over_seeds(tables, less(right(tables, arm, "accepted"), start)).mean
        hours = (making + training) / 3600
        each = [f"{hours / gain:.4f}", f"{calls / gain:,.0f}"] if gain > 0 else ["-", "-"]
        rows.append([arm, f"{making:.0f}", f"{calls:,.0f}", f"{training:.0f}", f"{gain:+.1f}", *each])
    head = ["arm", "seconds to make examples", "solver calls", "seconds to train", "points on accepted"]
    return _table([*head, "CPU-hours a point", "solver calls a point"], rows)


def digest(tables: Tables) -> str:
    """Return what the plots name as the figures that they were drawn from."""
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()[:16]


def read() -> dict[str, Any]:
    """Return docs/teaching.json."""
    found: dict[str, Any] = json.loads((DOCS / "teaching.json").read_text("utf-8"))
    return found


def write(docs: Path = DOCS) -> None:
    """Write the page and draw its plots."""
    tables = read()
    (docs / "teaching.md").write_text(rendered(tables), "utf-8")
    if tables["seeds"]:
        plots.draw(tables, docs, digest(tables))


def main() -> None:
    """Write the page: of docs/teaching.json as it is, or of the seeds that are done in a folder by now."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where the seeds' work lies: docs/teaching.json is written first")
    if folder := parser.parse_args().folder:
        summary.write(folder)
    write()


if __name__ == "__main__":
    main()
