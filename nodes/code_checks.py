"""What code finds in a candidate before anybody is paid to look at it, and again before it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from autodata.checkpoints.records import Candidate, FailureMode
from autodata.domains.acceptance.policies import LoopJudge
from autodata.domains.acceptance.rubric_score import count_problems
from autodata.domains.domain import Domain
from autodata.domains.tasks.base import broken_rules, missing
from autodata.domains.tasks.directives import directives
from autodata.domains.tasks.leaks import leaks
from autodata.nodes.step import Step
from autodata.prompts import PromptPack


def code_problems(
    domain: Domain, pack: PromptPack, candidate: Candidate, frozen: PromptPack | None = None
) -> list[str]:
    """Return what code finds wrong with a candidate by itself.

    The numbers of rubric items are those that the quality verifier's prompt allows; without a quality verifier those
    that the writer's prompt asks for. What a final check of the domain would refuse is refused here already: its limits
    are those of `frozen`, where the prompts of the final check are others. None may hold an order to a model.
    """
    found = [
        *directives(_read_by_models(domain, candidate)),
        *domain.scorer.problems(candidate),
        *(domain.scorer.final_problems(candidate) if domain.final_check else ()),
    ]
    weights = [weight for _, weight in domain.scorer.criteria(candidate)]
    role = "quality_verifier" if domain.quality_check else "challenger"
    packs = [pack, *([frozen] if frozen and domain.final_check and domain.quality_check else ())]
    counted = [what for one in packs for what in count_problems(weights, one[role].front.limits)]
    return list(dict.fromkeys([*found, *counted]))


def _read_by_models(domain: Domain, candidate: Candidate) -> Mapping[str, str]:
    """Return the texts of a candidate that solvers or judges read, by what they are called in a reason."""
    criteria = "\n".join(text for text, _ in domain.scorer.criteria(candidate))
    return {
        "question": f"{candidate.context}\n{candidate.question}" if candidate.context else candidate.question,
        "reference answer": candidate.reference_answer,
        "rubric": criteria,
    }


async def rejection_by_code(step: Step, candidate: Candidate) -> tuple[FailureMode, str] | None:
    """Return why code rejects a candidate, unpaid: what is wrong with it, or a fixed rule that it breaks; else None.

    Where a quality verifier says whether a source supports an answer, code looks first whether it says it at all. In a
    run with lessons, a question that is nearly an accepted one is a quality failure too. Fixed rules bind where a loop
    judge decides; a baseline sends nothing back for them.
    """
    services = step.services
    found = code_problems(services.domain, services.pack, candidate, services.frozen)
    if not found and services.domain.quality_check:
        sources = await _sources(step)
        found = list((await asyncio.to_thread(missing, services.domain.scorer, candidate, sources)).problems)
    if not found and services.novelty and (near := await services.novelty.near(step.document_id, candidate.question)):
        found = [near]
    if not found and services.checks.leakage == "refuse":
        found = [str(leak) for leak in await asyncio.to_thread(leaks, services.domain.scorer, candidate)]
    if found:
        return FailureMode.QUALITY, "; ".join(found)
    if isinstance(services.policy, LoopJudge) and (broken := broken_rules(services.domain.scorer, candidate)):
        return FailureMode.POST_FILTER, reason_of(broken)
    return None


def rejection_of(mode: FailureMode, reason: str) -> dict[str, str]:
    """Return a rejection as the state holds it."""
    return {"failure_mode": mode.value, "reason": reason}


def reason_of(broken: Mapping[str, str]) -> str:
    """Return broken fixed rules as the reason of a rejection."""
    return "; ".join(f"{rule}: {what}" for rule, what in broken.items())


async def noted(step: Step, candidate: Candidate) -> dict[str, Any]:
    """Return what is worth a look but fails nothing: quotes that no source holds, and leaks. Empty without any."""
    sources = await _sources(step)
    quotes = (await asyncio.to_thread(missing, step.services.domain.scorer, candidate, sources)).quotes
    found: dict[str, Any] = {"quotes_not_in_source": [dict(quote) for quote in quotes]} if quotes else {}
    if step.services.checks.leakage == "note" and (
        leaking := await asyncio.to_thread(leaks, step.services.domain.scorer, candidate)
    ):
        found["leakage"] = [leak.plain() for leak in leaking]
    return found


async def _sources(step: Step) -> Sequence[str]:
    return [await step.source(), str(step.state["document"]["title"])]
