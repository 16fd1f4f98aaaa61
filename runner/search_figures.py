"""Figures of a search for better prompts as plain values: for a report, for a server's caller."""

from __future__ import annotations

from typing import Any

from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.optimizer.population import Member, wilson
from autodata.nodes.optimizer.state import Result
from autodata.runner.optimization.archive import LedgerArchive


def member_figures(member: Member) -> dict[str, Any]:
    """Return how a pack stands; its scores are None before its first validation."""
    return {
        "pack": member.pack,
        "iteration": member.iteration,
        "score": None if member.reported is None else float(member.reported),
        "mean": None if member.score is None else float(member.score),
        "blocks": len(member.blocks),
    }


async def held_out_figures(archive: LedgerArchive, result: Result) -> dict[str, Any]:
    """Return a held-out test's figures, with Wilson's 95% interval."""
    passed = sum(trial.passed for trial in result.trials)
    counted = sum(trial.status is not DocumentStatus.ERRORED for trial in result.trials)
    return {
        "pack": result.pack,
        "iteration": (await archive.member(result.pack)).iteration,
        "passed": passed,
        "documents": counted,
        "rate": passed / counted if counted else None,
        "interval": list(wilson(passed, counted)) if counted else None,
    }
