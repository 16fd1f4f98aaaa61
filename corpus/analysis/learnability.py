"""How much group-relative training can learn from examples: nothing where all attempts score the same."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, pstdev
from typing import Any

from autodata.corpus.exporters.rows import ExampleRow


def learnability(rows: Sequence[ExampleRow]) -> list[dict[str, Any]]:
    """Return the figures of each solver, by domain."""
    found = []
    for domain in sorted({row["domain"] for row in rows}):
        for solver in ("weak", "strong"):
            scores = [_scores(row, solver) for row in rows if row["domain"] == domain]
            several = [one for one in scores if len(one) > 1]
            if several:
                means = [mean(one) for one in several]
                found.append(
                    {
                        "domain": domain,
                        "solver": solver,
                        "prompts": len(several),
                        "vary": mean(len(set(one)) > 1 for one in several),
                        "p_one_minus_p": mean(p * (1 - p) for p in means),
                        "std": mean(pstdev(one) for one in several),
                    }
                )
    return found


def _scores(row: ExampleRow, solver: str) -> list[float]:
    return row["weak_scores"] if solver == "weak" else row["strong_scores"]
