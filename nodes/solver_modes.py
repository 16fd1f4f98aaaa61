"""Modes of a solver: sees the document or not, one reply or the aggregate of several, with a calculator or without.

A mode is a setting of the role and is recorded with every attempt. However many calls it takes, an attempt is one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from autodata.checkpoints.errors import InfrastructureError, UnusableReply, UserError
from autodata.checkpoints.records import Stage
from autodata.domains.domain import Domain
from autodata.domains.tasks import maths
from autodata.domains.tasks.answers import says_answer
from autodata.domains.tasks.base import require_task_type_ready, vote_of
from autodata.models.caller import Reply
from autodata.models.coerce import ReplyModel
from autodata.models.config import ModelSettings
from autodata.models.families import judges_akin
from autodata.models.markers import Ordinal
from autodata.models.reply import Messages
from autodata.models.slots import address_of
from autodata.models.structured import schema_text
from autodata.nodes.step import Step, all_of
from autodata.prompts import fence
from autodata.prompts.roles import SOLVERS

CALCULATOR_TURNS = 4
"""How often an attempt may ask for the calculator; the reply after that is its answer."""
LINES_A_TURN = 4

_NO_SOURCE = "(No text is given here: answer from what you know.)"
_CALCULATOR = (
    "You may use a calculator. To use it, write a line of its own such as\nCALC: sqrt(2)*3/7\nand stop there;"
    " the result is sent to you. Write ln(x) and log_10(x), and brackets around what is divided by."
    " Without such a line your reply is final."
)
_CHOICE = "Above are your own answers to the question. Name the number of the best one. Answer with one JSON object:"
_SYNTHESIS = "Above are your own answers to the question. Write from them the best one, complete, in the form asked."


class SampleChoice(ReplyModel):
    """A model's pick among its own samples."""

    number: Annotated[int, Field(ge=1), Ordinal()]


class NothingMadeOfSamples(InfrastructureError):
    """The samples answer, but no pick among them, or synthesis of them, could be read. The document is errored.

    It is no UnusableReply: that a solver said nothing would count against it, and its samples say something.
    """

    kind = UnusableReply.kind


@dataclass(frozen=True)
class Mode:
    """How one solver works. `max_tokens` bounds each reply, reasoning included."""

    privileged: bool
    samples: int
    aggregate: Literal["majority", "choice", "synthesis"] | None
    """None with one sample."""
    max_tokens: int
    reasoning_effort: str | None
    tools: bool

    def recorded(self) -> dict[str, Any]:
        """Return the mode as plain JSON values."""
        return asdict(self)


def mode_of(step: Step, stage: Stage) -> Mode:
    """Return the mode of a solver: its role's settings, and the domain's where they leave it open."""
    settings = step.services.caller.roles[f"{stage.value}_solver"].settings
    privileged = settings.privileged
    if privileged is None:
        privileged = step.services.domain.privileged_strong and stage is Stage.STRONG
    return Mode(
        privileged=privileged,
        samples=settings.samples,
        aggregate=settings.aggregate if settings.samples > 1 else None,
        max_tokens=settings.max_tokens,
        reasoning_effort=settings.reasoning_effort,
        tools=settings.tools,
    )


def require_ready(domain: Domain, roles: Mapping[str, ModelSettings]) -> None:
    """Raise UserError, before anything is spent, for modes that a domain cannot use and libraries that are missing."""
    for role in SOLVERS:
        settings = roles[role]
        if settings.samples > 1 and settings.aggregate == "majority" and vote_of(domain.scorer, "") is None:
            raise UserError(
                f"models.{role}.aggregate: no two long answers are alike, so none has a majority:"
                f" use 'choice' or 'synthesis' in domain {domain.name}"
            )
    require_task_type_ready(domain.scorer)
    if any(roles[role].tools for role in SOLVERS):
        maths.require_installed()


def cautions(domain: Domain, roles: Mapping[str, ModelSettings]) -> list[str]:
    """Return what to warn of before a run is paid for: settings that can hardly be meant."""
    found = (attempts_alike(domain, roles), solvers_alike(domain, roles), judges_akin(roles))
    return [warning for warning in found if warning]


def solvers_alike(domain: Domain, roles: Mapping[str, ModelSettings]) -> str:
    """Return a warning where weak and strong solver are one model that works in one way; empty where they differ.

    What one of them solves, so does the other: no question lies between them, and every document ends too easy or
    failed on strong.
    """
    weak, strong = (roles.get(role) for role in SOLVERS)
    if weak is None or strong is None or weak.provider == "simulated":
        return ""
    sides = [
        (
            settings.provider,
            address_of(settings.address, settings.query),
            settings.model,
            settings.headers,
            settings.extra_body,
            settings.reasoning_effort,
            domain.privileged_strong and is_strong if settings.privileged is None else settings.privileged,
            settings.samples,
            settings.aggregate if settings.samples > 1 else None,
            settings.tools,
        )
        for settings, is_strong in ((weak, False), (strong, True))
    ]
    if sides[0] != sides[1]:
        return ""
    return (
        f"weak_solver and strong_solver are the same model, {weak.model}: hardly a question lies between them."
        " Set models.weak_solver.model to a weaker one, or give the strong one samples, tools or the text"
        " (models.strong_solver.samples, .tools, .privileged)"
    )


def attempts_alike(domain: Domain, roles: Mapping[str, ModelSettings]) -> str:
    """Return a warning where a solver makes several attempts at temperature 0; empty where none does.

    At temperature 0 a reply is the likeliest one whatever its seed: such attempts are one attempt, made several times.
    """
    planned = {"weak_solver": domain.weak_attempts, "strong_solver": domain.strong_attempts}
    alike = [
        (role, planned[role] * roles[role].samples)
        for role in SOLVERS
        if role in roles
        and roles[role].temperature == 0
        and roles[role].provider != "simulated"
        and planned[role] * roles[role].samples > 1
    ]
    if not alike:
        return ""
    what = " and ".join(f"the {count} attempts of {role}" for role, count in alike)
    return (
        f"temperature is 0, so {what} at a question are alike, and their scores say nothing about spread:"
        f" set {' and '.join(f'models.{role}.temperature' for role, _ in alike)} above 0"
    )


async def question_for(step: Step, stage: Stage, mode: Mode) -> Messages:
    """Return a solver's messages: context and question, and the source only in a privileged mode (rule 6)."""
    candidate, prompt = step.candidate, step.services.pack[f"{stage.value}_solver"]
    source = _NO_SOURCE
    if mode.privileged:  # what the challenger saw, the title included: a question may name its subject by it
        source = f"{fence('title', step.state['document']['title'])}\n{fence('document', await step.source())}"
    values = {"context": fence("context", candidate.context), "question": fence("question", candidate.question)}
    messages = prompt.render({**values, "source": source})
    if mode.privileged and "source" not in prompt.front.placeholders:
        messages[-1]["content"] = f"{source}\n\n{messages[-1]['content']}"
    if mode.tools:
        messages[-1]["content"] += f"\n\n{_CALCULATOR}"
    return messages


async def answered(step: Step, stage: Stage, index: int, mode: Mode) -> Reply:
    """Make one attempt and return the reply that is its answer.

    A sample that stayed empty, or was cut off before its answer, has no vote; raises UnusableReply when all stayed
    empty, NothingMadeOfSamples when the call that makes one answer of them cannot be read, and the errors of a call.
    """
    role, messages = f"{stage.value}_solver", await question_for(step, stage, mode)
    if mode.samples == 1:
        return await _reply(step, role, str(index), messages, mode)
    results = await asyncio.gather(
        *(_reply(step, role, f"{index}/s{k}", messages, mode) for k in range(1, mode.samples + 1)),
        return_exceptions=True,
    )
    empty = [result for result in results if isinstance(result, UnusableReply)]
    replies = all_of([result for result in results if not isinstance(result, UnusableReply)])
    if not replies:
        raise empty[0]
    task_type = step.services.domain.scorer
    spoken = [reply for reply in replies if (task_type.holds_answer(reply.answer) if reply.truncated else reply.answer)]
    if len(spoken) < 2:
        return (spoken or replies)[0]
    if mode.aggregate == "majority":
        return spoken[majority([vote_of(task_type, reply.answer) for reply in spoken])]
    task = messages[-1]["content"]
    task += "".join(f"\n\n{fence(f'sample-{k}', reply.answer)}" for k, reply in enumerate(spoken, 1)) + "\n\n"
    try:
        return await _made_of(step, role, index, mode, spoken, [*messages[:-1], {"role": "user", "content": task}])
    except UnusableReply as error:
        raise NothingMadeOfSamples(f"{error}; its {len(spoken)} samples are answers: nothing is scored") from error


async def _made_of(step: Step, role: str, index: int, mode: Mode, samples: list[Reply], messages: Messages) -> Reply:
    """Return the sample that the solver picks, or what it writes from all of them."""
    if mode.aggregate == "choice":
        number = Annotated[int, Field(ge=1, le=len(samples)), Ordinal()]
        schema = create_model("SampleChoice", __base__=SampleChoice, number=(number, ...))
        messages[-1]["content"] += f"{_CHOICE}\n{schema_text(schema)}"
        picked, _ = await step.services.caller.parsed(step.site(role, index=f"{index}/choice"), messages, schema)
        return samples[picked.number - 1]
    messages[-1]["content"] += _SYNTHESIS
    return await step.services.caller.text(step.site(role, index=f"{index}/synthesis"), messages)


def calculations(text: str) -> list[tuple[str, int]]:
    """Return the first lines of a text that ask for the calculator: what is asked, and where the line ends."""
    found: list[tuple[str, int]] = []
    end = -1
    while len(found) < LINES_A_TURN and end < len(text):
        start, end = end + 1, text.find("\n", end + 1)
        end = len(text) if end < 0 else end
        line = text[start:end].lstrip(" \t\r>*`")
        if line.startswith("CALC:") and (asked := line[5:].strip(" \t\r`*")):
            found.append((asked, end))
    return found


def majority(votes: Sequence[Hashable]) -> int:
    """Return the index of the first of the most frequent votes; between equals the earliest wins."""
    counts = Counter(votes)
    most = max(counts.values())
    return next(k for k, one in enumerate(votes) if counts[one] == most)


async def _reply(step: Step, role: str, index: str, messages: Messages, mode: Mode) -> Reply:
    """Return one reply; with tools, work out what it asks for and let it go on."""
    caller = step.services.caller
    reply = await caller.text(step.site(role, index=index), messages)
    for turn in range(1, CALCULATOR_TURNS + 1):
        lines = calculations(reply.answer) if mode.tools else []
        if not lines or says_answer(reply.answer[lines[-1][1] :]):
            break
        results = await asyncio.gather(*(asyncio.to_thread(maths.evaluate, asked) for asked, _ in lines))
        report = [
            f"RESULT of {asked}: {'cannot be worked out' if value is None else value}"
            for (asked, _), value in zip(lines, results, strict=True)
        ]
        messages = [
            *messages,
            {"role": "assistant", "content": reply.answer[: lines[-1][1]]},
            {"role": "user", "content": "\n".join([*report, "Go on."])},
        ]
        reply = await caller.text(step.site(role, index=f"{index}/t{turn}"), messages)
    return reply
