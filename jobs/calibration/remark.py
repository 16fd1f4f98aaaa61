"""Marking an attempt again, as the run marks it but with the criteria in another order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.runtime import Runtime

from autodata.domains.tasks.shuffle import restored, shuffled
from autodata.jobs.calibration.sample import Sampled
from autodata.models.call import CallSite
from autodata.models.judges import JudgesConfig
from autodata.models.seeds import seed_for
from autodata.nodes.asking import marked_by_judge
from autodata.nodes.context import Context
from autodata.nodes.judges import judged
from autodata.nodes.state import State
from autodata.nodes.step import Step, all_of

EVALUATION = "calibrate"
"""The evaluation that its calls stand in: their keys are like no other's, and no document's figures count them."""


class _Marking(Step):
    """A step whose calls stand in no document."""

    def site(self, node: str, role: str | None = None, index: str = "0", n: int | None = None) -> CallSite:
        """Where a call of the calibration stands."""
        site = super().site(node, role, index, n)
        return CallSite(
            thread_id=site.thread_id,
            document_id=f"{EVALUATION}/{site.document_id}",
            n=site.n,
            node=EVALUATION,
            role=site.role,
            index=site.index,
            epoch=site.epoch,
            prompt_version=site.prompt_version,
        )


@dataclass(frozen=True)
class Remarked:
    """An attempt with every finding on its criteria, in the candidate's order."""

    sampled: Sampled
    again: tuple[tuple[bool, ...], ...]
    """By the judges of the run, once a repeat."""
    others: tuple[tuple[str, tuple[bool, ...]], ...] = ()
    """By each member of the panel alone, by its role."""


async def remarked(context: Context, one: Sampled, repeats: int, judges: Sequence[str]) -> Remarked:
    """Mark an attempt again so many times, and once by each of the judges named. Raises the errors of a call.

    Every finding is waited for before an error is raised, so that a paid reply is never thrown away; what was paid for
    before is replayed.
    """
    results = await asyncio.gather(
        *(_once(context, one, repeat, None) for repeat in range(repeats)),
        *(_once(context, one, 0, role) for role in judges),
        return_exceptions=True,
    )
    found = all_of(results)
    return Remarked(one, tuple(found[:repeats]), tuple(zip(judges, found[repeats:], strict=True)))


async def _once(context: Context, one: Sampled, repeat: int, role: str | None) -> tuple[bool, ...]:
    whole = context.services.domain.scorer.candidate(one.candidate)
    seed = seed_for(context.services.run_seed, one.attempt_id, repeat)
    shown, order = shuffled(whole, seed)
    step = _Marking(_state(one, shown.model_dump(mode="json")), Runtime(context=context))
    index = f"{one.stage}/{one.index}/{repeat}/{one.attempt_id.rpartition('/')[0][-16:]}"
    if role is None:
        found = await judged(step, one.answer, index)
    else:
        found = await marked_by_judge(step, one.answer, f"{index}/{role}", role=role)
    return restored(found, order).met


def _state(one: Sampled, candidate: dict[str, Any]) -> State:
    brief = {"document_id": one.document_id, "name": "", "title": "", "chars": 0, "preview": ""}
    return State(document=brief, n=one.n, candidate=candidate)


def calls_of(attempts: int, repeats: int, judges: JudgesConfig) -> int:
    """Return how many calls a calibration takes; a larger judge is counted for each attempt, which is the most."""
    one = judges.asked + len(judges.panel) + (judges.larger is not None)
    return attempts * (repeats * one + len(judges.panel))
