"""Judges: one answer marked by the verifier, once or often, by a panel beside it, and by a larger one in doubt."""

from __future__ import annotations

import asyncio

from autodata.domains.acceptance.panel import agreed, escalated
from autodata.domains.tasks.base import Scored
from autodata.domains.tasks.shuffle import restored, shuffled
from autodata.models.judges import LARGER
from autodata.models.seeds import seed_for
from autodata.nodes.asking import marked_by_judge
from autodata.nodes.step import Step, all_of


async def judged(step: Step, answer: str, index: str) -> Scored:
    """Mark an answer to the current candidate; `index` says which call of the round it is. Raises the errors of a call.

    Every finding is waited for before an error of one is raised. The larger judge is asked about the whole attempt, in
    which a criterion means most, and heard on what the others differ about.
    """
    judges = step.services.judges
    if not judges.several:
        return await marked_by_judge(step, answer, index)
    again = (_again(step, answer, index, ask) for ask in range(1, judges.asked))
    panel = (marked_by_judge(step, answer, index, role=role) for role in judges.panel_roles)
    results = await asyncio.gather(marked_by_judge(step, answer, index), *again, *panel, return_exceptions=True)
    criteria = step.services.domain.scorer.criteria(step.candidate)
    found = agreed(all_of(results), criteria, judges.rule)
    if judges.larger is None or not found.doubtful:
        return found.scored
    return escalated(found, await marked_by_judge(step, answer, index, role=LARGER), criteria)


async def _again(step: Step, answer: str, index: str, ask: int) -> Scored:
    """Ask the verifier once more, with the criteria in another order, which a model at temperature 0 sees as new."""
    candidate, order = shuffled(step.candidate, seed_for(step.services.run_seed, step.candidate_id, "ask", ask))
    return restored(await marked_by_judge(step, answer, f"{index}/ask{ask}", candidate=candidate), order)
