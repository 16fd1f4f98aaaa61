"""Figures of a search for better prompts as plain values: for a report, for a server's caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodata.nodes.optimizer.selection import Member, wilson
from autodata.nodes.optimizer.state import Result


def member_figures(member: Member) -> dict[str, Any]:
    """Return how a pack of the population stands; scores are None before its first validation."""
    return {
        "pack": member.pack,
        "iteration": member.iteration,
        "score": None if member.reported is None else float(member.reported),
        "mean": None if member.score is None else float(member.score),
        "blocks": len(member.blocks),
    }


def sealed_figures(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the sealed test's figures, with Wilson's 95% intervals."""
    found = []
    for result in results:
        passed = sum(trial.passed for trial in result.trials)
        counted = sum(trial.status.value != "errored" for trial in result.trials)
        found.append(
            {
                "pack": result.pack,
                "passed": passed,
                "documents": counted,
                "rate": passed / counted if counted else None,
                "interval": list(wilson(passed, counted)) if counted else None,
            }
        )
    return found
