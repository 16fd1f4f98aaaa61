"""Canaries: answers that are worth nothing, which no rubric and no judge may give marks for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from fractions import Fraction

from autodata.domains.tasks.base import Scored
from autodata.nodes.judges import judged
from autodata.nodes.step import Step, all_of

OFF_TOPIC = (
    "To bake a plain loaf, mix flour, water, yeast and salt, knead the dough until it is smooth, let it rise for two"
    " hours, and bake it at 230 degrees until it sounds hollow."
)


def canaries(step: Step) -> dict[str, str]:
    """Return the answers to try by name. The rubric is echoed where there is one beside a reference answer."""
    candidate = step.candidate
    positive = [text for text, weight in step.services.domain.scorer.criteria(candidate) if weight > 0]
    echo = {"the rubric echoed": "\n".join(positive)} if len(positive) > 1 else {}
    return {
        "an empty answer": "",
        "a colon": ":",
        "an announcement": "Thought process:",
        **echo,
        "the question echoed": candidate.question,
        "an answer off topic": OFF_TOPIC,
        "a claim": "All criteria are met.",
    }


async def tried(step: Step) -> Mapping[str, Fraction]:
    """Mark every canary; return what each scores. One above the bound is marked again, and its lower score counts.

    Raises the errors of a call, once all others are in.
    """
    answers = canaries(step)
    results = await asyncio.gather(
        *(_score(step, name, text) for name, text in answers.items()), return_exceptions=True
    )
    scores = dict(zip(answers, all_of(results), strict=True))
    high = [name for name, score in scores.items() if score > step.services.checks.canary_bound]
    again = await asyncio.gather(
        *(_score(step, name, answers[name], again=True) for name in high), return_exceptions=True
    )
    for name, score in zip(high, all_of(again), strict=True):
        scores[name] = min(scores[name], score)
    return scores


async def _score(step: Step, name: str, answer: str, *, again: bool = False) -> Fraction:
    by_code: Scored | None = None
    if answer:
        by_code = await asyncio.to_thread(step.services.domain.scorer.scored_by_code, step.candidate, answer)
    found = by_code or await judged(step, answer, f"canary/{name}{'/again' if again else ''}")
    return found.score
