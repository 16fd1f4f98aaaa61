"""The section of docs/reliability.md that says what was broken and what came of it, from docs/faults.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from benchmarks.page import DOCS, put

PAGE = DOCS / "reliability.md"
RESULTS = DOCS / "faults.json"
PART = "faults"


def section(results: Mapping[str, Any]) -> str:
    """Return the section as Markdown: what was broken, by boundary and fault, how it ended, what did not hold."""
    outcomes = results["outcomes"]
    seams = sorted({seam for passed in results["seams"].values() for seam in passed})
    wrong = [one for one in outcomes if one["violations"]]
    seeds = f"{outcomes[0]['seed']} to {outcomes[-1]['seed']}" if outcomes else "none"
    endings = Counter(one["ending"] for one in outcomes)
    lines = [
        f"{len(outcomes):,} scenarios, seeds {seeds}: {len(wrong):,} in which something did not hold."
        f" {sum(one['in_flight'] for one in outcomes):,} replies were in flight when a session ended,"
        f" {sum(one['paid_again'] for one in outcomes):,} calls were paid for again.",
        "",
        "How the broken session ended: "
        + ", ".join(f"{name} {count:,}" for name, count in endings.most_common())
        + ".",
        "",
        *_table("boundary", Counter((one["seam"].partition(" ")[0], one["fault"]) for one in outcomes)),
        "",
        "| run | scenarios | boundaries passed, unbroken |",
        "|---|---|---|",
        *(
            f"| {name} | {sum(one['world'] == name for one in outcomes):,} | {sum(passed.values()):,} |"
            for name, passed in results["seams"].items()
        ),
        "",
        f"The {len(seams)} boundaries: " + ", ".join(f"`{seam}`" for seam in seams) + ".",
    ]
    lines += [f"- seed {one['seed']}, {one['seam']}, {one['fault']}: {one['violations'][0]}" for one in wrong[:20]]
    return "\n".join(lines) + "\n"


def _table(first: str, counted: Counter[tuple[str, str]]) -> list[str]:
    """Return a table of counts: a row a fault, a column a sort of boundary."""
    sorts = sorted({sort for sort, _ in counted})
    faults = sorted({fault for _, fault in counted})
    head = [f"| fault \\ {first} | " + " | ".join(sorts) + " |", "|---|" + "---|" * len(sorts)]
    rows = [f"| {fault} | " + " | ".join(str(counted[sort, fault] or "") for sort in sorts) + " |" for fault in faults]
    return head + rows


def write_section(results: Mapping[str, Any]) -> None:
    """Write the section into the page."""
    PAGE.write_text(put(PART, section(results), PAGE.read_text("utf-8")), "utf-8")
