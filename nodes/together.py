"""One call of the judge for several attempts at the same question (`models.verifier.together`).

Each answer stands in a fence of its own, and the reply has a place for each, of the very form that a call for one
answer asks for. Which attempts share a call follows from their numbers alone, never from what came in first: a session
that goes on after a crash asks for the same marks, and finds those that were paid for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, create_model

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import Attempt, Candidate, Stage
from autodata.domains.domain import Domain
from autodata.domains.tasks.base import Decided, Scored, TaskType, marks_of
from autodata.models.coerce import ReplyModel
from autodata.models.config import ModelSettings
from autodata.models.reply import Messages
from autodata.models.structured import schema_text
from autodata.nodes.context import FENCED_BY_PLACE
from autodata.nodes.step import Step
from autodata.prompts import PromptPack, fence
from autodata.prompts.pack import Prompt

TRIES = 2
"""Replies asked for until one can be read; then each answer is asked about alone, with all tries of a single call."""
SUFFIX = "Together"
"""What the name of the schema for several answers has behind that of the schema for one."""


class MarksTogether(ReplyModel):
    """A judge's findings on several answers: `answer_1`, `answer_2` and so on, in the order they were shown in."""

    def decided(self) -> dict[str, Any]:
        """Return what the reply decides about each answer."""
        return {name: found.decided() if isinstance(found, ReplyModel) else found for name, found in self}

    def of_answers(self) -> list[Any]:
        """Return what was found of each answer, in order."""
        return [found for _, found in self]


@lru_cache(maxsize=64)
def together_schema(one: type[BaseModel], n: int) -> type[MarksTogether]:
    """Return what the judge is asked for about n answers (n >= 2), where `one` is asked for about a single one."""
    fields: dict[str, Any] = {f"answer_{k}": (one, ...) for k in range(1, n + 1)}
    schema = create_model(f"{one.__name__}{SUFFIX}", __base__=MarksTogether, **fields)
    if issubclass(one, ReplyModel) and one.second_best:
        schema.second_best = together_schema(one.second_best, n)
    return schema


def in_groups(attempts: Sequence[Attempt], together: int) -> list[tuple[Attempt, ...]]:
    """Return attempts that share a call of the judge, at most `together` (>= 1) each: of one solver, by number."""
    found: list[tuple[Attempt, ...]] = []
    for stage in Stage:
        of_stage = sorted((one for one in attempts if one.stage is stage), key=lambda one: one.index)
        found += [tuple(of_stage[k : k + together]) for k in range(0, len(of_stage), together)]
    return found


def together_of(step: Step) -> int:
    """Return how many attempts one call of the judge marks at most."""
    return step.services.caller.roles["verifier"].settings.together


def asked_of_several(
    prompt: Prompt, task_type: TaskType, candidate: Candidate, answers: Sequence[str], place: Sequence[object] = ()
) -> tuple[Messages, type[MarksTogether]]:
    """Return what a judge is asked about several answers, two at least, and in which form it replies.

    `place` is what their fences are made of besides the answers.
    """
    n = len(answers)
    schema = together_schema(marks_of(task_type, candidate, verdict_alone=False), n)
    messages = prompt.render(
        {
            "context": fence("context", candidate.context),
            "question": fence("question", candidate.question),
            "answer": "\n\n".join(fence(f"answer-{k}", answer, *place) for k, answer in enumerate(answers, 1)),
            "schema": schema_text(schema),
            **task_type.judged_by(candidate),
        }
    )
    messages[-1]["content"] += (
        f"\n\nThere are {n} answers, between tags from <answer-1-...> to <answer-{n}-...>, each by somebody who saw"
        " none of the others. All that is said above of the answer holds for each of them. Judge each by itself, as"
        " if it were the only one: neither compare them, nor believe what one says of another. In the JSON object"
        f" answer_1 holds all that you find of the first, and so on to answer_{n}."
    )
    return messages, schema


async def marked_together(step: Step, answers: Sequence[str], index: str) -> list[Scored]:
    """Ask the judge about several answers (two at least) to the current candidate in one call.

    Raises UnusableReply when no reply could be read, and the errors of a call.
    """
    task_type, candidate = step.services.domain.scorer, step.candidate
    site = step.site("verifier", index=index)
    place = [step.candidate_id, site.thread_id, site.n, site.node, site.role, site.index]
    messages, schema = asked_of_several(
        step.services.pack["verifier"],
        task_type,
        candidate,
        answers,
        place if step.services.fences == FENCED_BY_PLACE else (),
    )
    found, _ = await step.services.caller.parsed(site, messages, schema, tries=TRIES)
    return [task_type.scored(candidate, one) for one in found.of_answers()]


def require_separable(domain: Domain, roles: Mapping[str, ModelSettings], pack: PromptPack) -> None:
    """Raise UserError where one call shall mark several attempts, and the judge's prompt has it write one word."""
    alone = pack["verifier"].front.verdict_alone and isinstance(domain.scorer, Decided)
    if roles["verifier"].together > 1 and alone:
        raise UserError(
            "models.verifier.together: this judge replies with its verdict alone, one word for one answer"
            f" (verdict_alone in the prompt of domain {domain.name}): leave together out"
        )
