"""The section of docs/reliability.md that says what was broken and what came of it, from docs/faults.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from autodata.jobs.check_problems import KINDS
from benchmarks.faults.breaks import BEHIND
from benchmarks.faults.scenarios import Outcome
from benchmarks.page import DOCS, put

PAGE = DOCS / "reliability.md"
RESULTS = DOCS / "faults.json"
PART, CHECKED = "faults", "check kinds"
"""The parts of the page."""


def summary(outcomes: Sequence[Outcome], seams: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Return what scenarios came to, as docs/faults.json holds it; `seams` are the boundaries that each run passes."""
    broken: dict[str, Counter[str]] = {}
    for one in outcomes:
        broken.setdefault(one.seam.partition(" ")[0], Counter())[one.fault] += 1
    return {
        "scenarios": len(outcomes),
        "first_seed": outcomes[0].seed if outcomes else None,
        "sessions": sum(one.sessions for one in outcomes),
        "in_flight": sum(one.in_flight for one in outcomes),
        "paid_again": sum(one.paid_again for one in outcomes),
        "endings": dict(Counter(one.ending for one in outcomes).most_common()),
        "broken": {sort: dict(sorted(faults.items())) for sort, faults in sorted(broken.items())},
        "runs": {
            name: [sum(one.world == name for one in outcomes), sum(passed.values())] for name, passed in seams.items()
        },
        "seams": sorted({*(seam for passed in seams.values() for seam in passed), *BEHIND}),
        "unpassed": sorted(
            {*(seam for passed in seams.values() for seam in passed), *BEHIND} - {one.seam for one in outcomes}
        ),
        "violations": [
            f"seed {one.seed}, {one.world}: {one.seam} {one.count}, {one.fault}: {one.violations[0]}"
            for one in outcomes
            if one.violations
        ],
    }


def section(results: Mapping[str, Any]) -> str:
    """Return the section as Markdown: what was broken, by boundary and fault, how it ended, what did not hold."""
    last = (results["first_seed"] or 0) + results["scenarios"] - 1
    endings = ", ".join(f"{name} {count:,}" for name, count in results["endings"].items())
    lines = [
        f"{results['scenarios']:,} scenarios, seeds {results['first_seed']} to {last:,}, in {results['sessions']:,}"
        f" sessions: {len(results['violations']):,} in which something did not hold. {results['in_flight']:,} replies"
        f" were in flight when a session ended, {results['paid_again']:,} calls were paid for again.",
        "",
        f"How the broken session ended: {endings}.",
        "",
        *_table(results["broken"]),
        "",
        "| run | scenarios | boundaries that it passes |",
        "|---|---|---|",
        *(f"| {name} | {broken:,} | {passed:,} |" for name, (broken, passed) in results["runs"].items()),
        "",
        f"The {len(results['seams'])} boundaries: " + ", ".join(f"`{seam}`" for seam in results["seams"]) + ".",
    ]
    if results["unpassed"]:
        lines += ["", "Not drawn in these scenarios: " + ", ".join(f"`{seam}`" for seam in results["unpassed"]) + "."]
    if results["violations"]:
        lines += ["", "What did not hold:", "", *(f"- {line}" for line in results["violations"][:20])]
    return "\n".join(lines) + "\n"


def _table(broken: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a table of counts: a row a fault, a column a sort of boundary."""
    faults = sorted({fault for counted in broken.values() for fault in counted})
    head = ["| fault | " + " | ".join(broken) + " |", "|---|" + "---|" * len(broken)]
    rows = [
        f"| {one} | " + " | ".join(str(counted.get(one, "")) for counted in broken.values()) + " |" for one in faults
    ]
    return head + rows


def kinds() -> str:
    """Return the table of what `autodata check` finds."""
    rows = [f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items()]
    return "\n".join(["| problem | what it means |", "|---|---|", *rows]) + "\n"


def write_section(results: Mapping[str, Any]) -> None:
    """Write both parts into the page."""
    page = put(PART, section(results), PAGE.read_text("utf-8"))
    PAGE.write_text(put(CHECKED, kinds(), page), "utf-8")
