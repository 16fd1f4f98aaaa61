"""Confirm: fresh attempts of both solvers at what is to be accepted, with seeds of their own.

The scores that selected a candidate flatter it. These took no part in that, so their gap is what a trainer will meet,
on average over examples; unless they are required to pass, which is a selection again.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import BadState
from autodata.checkpoints.records import Check, Confirmation, Decision, FailureMode, Stage, Verdict
from autodata.checkpoints.writes import record_confirmation
from autodata.domains.acceptance.bounds import decimal
from autodata.domains.acceptance.confirming import required_checks
from autodata.domains.acceptance.rubric_score import mean
from autodata.models.call import CallSite
from autodata.nodes.accept import require_accepted_by_judge
from autodata.nodes.code_checks import rejection_of
from autodata.nodes.context import Context
from autodata.nodes.events import ConfirmedEvent, ConfirmingEvent, rejection_event
from autodata.nodes.solver_modes import Mode, mode_of
from autodata.nodes.solvers import attempted
from autodata.nodes.state import State, plain
from autodata.nodes.step import Step, all_of
from autodata.nodes.verifier import mark_of

NODE = "confirm"
"""The node that fresh calls stand in: it gives them keys and seeds that no selecting call has."""


class _Fresh(Step):
    """A step whose solvers and judge make calls of their own, and attempts that are none of the round's."""

    @property
    def attempts_of(self) -> str:
        """What the ids of fresh attempts begin with."""
        return f"{self.round_id}/{NODE}"

    def site(self, node: str, role: str | None = None, index: str = "0", n: int | None = None) -> CallSite:
        """Where a fresh call stands: a probe of an endpoint says so in its index."""
        role = role or node
        return super().site(NODE, role, index if node == role else f"{node}/{index}", n)


async def confirm(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Make and mark fresh attempts of both solvers, side by side, and hold them against what is required.

    Every attempt runs to its end before an error of one is raised: a paid reply is never thrown away. Passes through
    where the services ask for none.
    """
    step = _Fresh(state, runtime)
    services = step.services
    if not services.confirm.attempts:
        return {"confirmation": None, "rejection": None}
    step.require_passed()
    verdict = Verdict.model_validate(step.state["verdict"])
    if verdict.candidate_id != step.candidate_id:
        raise BadState("only the exact candidate that the verdict is about can be confirmed")
    if verdict.decision is Decision.JUDGE:
        require_accepted_by_judge(step)
    step.emit(ConfirmingEvent(**step.place, attempts=services.confirm.attempts))
    places = [(stage, index) for stage in Stage for index in range(services.confirm.attempts)]
    modes = {stage: mode_of(step, stage) for stage in Stage}
    results = await asyncio.gather(
        *(_scored(step, stage, index, modes[stage]) for stage, index in places), return_exceptions=True
    )
    scores: dict[Stage, list[Fraction]] = {stage: [] for stage in Stage}
    for (stage, _), score in zip(places, all_of(results), strict=True):
        scores[stage].append(score)
    found = _confirmation(step, scores[Stage.WEAK], scores[Stage.STRONG])
    await record_confirmation(services.store, step.round_id, services.policy.name, found, summary(found))
    rejection = None if found.passed else rejection_of(FailureMode.NOT_CONFIRMED, summary(found))
    step.emit(ConfirmedEvent(**step.place, confirmation=found, rejection=rejection_event(rejection)))
    return {"confirmation": plain(found), "rejection": rejection}


async def _scored(step: Step, stage: Stage, index: int, mode: Mode) -> Fraction:
    attempt, answer = await attempted(step, stage, index, mode)
    scored, _ = await mark_of(step, attempt, answer)
    return scored.score


def _confirmation(step: Step, weak: list[Fraction], strong: list[Fraction]) -> Confirmation:
    services, required = step.services, step.services.confirm.require
    passed, checks = True, tuple[Check, ...]()
    if required:
        passed, checks = required_checks(services.confirm, services.policy, services.domain.planned, weak, strong)
    weak_mean, strong_mean = mean(weak), mean(strong)
    return Confirmation(
        candidate_id=step.candidate_id,
        weak_scores=tuple(weak),
        strong_scores=tuple(strong),
        weak_mean=weak_mean,
        strong_mean=strong_mean,
        gap=strong_mean - weak_mean,
        required=required,
        passed=passed,
        checks=checks,
    )


def summary(found: Confirmation) -> str:
    """Return what fresh attempts scored, and what of it does not do, in one line."""
    figures = (("weak", found.weak_mean), ("strong", found.strong_mean), ("gap", found.gap))
    said = ", ".join(f"{name} {decimal(value, 2)}" for name, value in figures)
    made = f"{len(found.weak_scores)} weak and {len(found.strong_scores)} strong fresh attempts: {said}"
    failed = "; ".join(str(check) for check in found.checks if not check.passed)
    return f"{made}; {failed}" if failed else made
