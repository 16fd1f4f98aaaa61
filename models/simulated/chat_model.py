"""The simulated model: a chat model that plays every role in a small item-response world. It is no language model.

What it is for: graph tests, benchmarks, the optimiser's tests and a first look without a key. What it is not: evidence
about real models. Its questions and answers are placeholders that carry numbers in their text:

- a challenger's question carries its difficulty `d`, discrimination `a` and a hidden `fault`;
- a solver with ability `theta` answers it with a level `p = logistic(a * (theta - d) + noise)`, stated in the answer;
- a judge marks each criterion met with the probability that the level and the criterion's own difficulty `b` give, and
  errs at the world's `judge_noise`;
- the challenger's next question depends on the rules found in its prompt and on the failures it shows.

Which role is played is read from the schema the prompt asks for; without one it is a solver. The reply is a pure
function of (messages, seed, world, name of the solver); only injected 429s remember how often a request was made.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

from autodata.checkpoints.ids import digest
from autodata.models.simulated import legal, optimizer, science, variety
from autodata.models.simulated.fences import fenced, named_by_text
from autodata.models.simulated.rules import Effects, effects_on_review, rules_of_writing
from autodata.models.simulated.world import (
    META_WORLD,
    TOO_HARD,
    Faults,
    Item,
    World,
    draw_finding,
    draw_item,
    draw_level,
    draw_met,
    draw_rubric,
    draw_sloppy,
    effects_on,
    key_of,
    logit_of,
)

__all__ = ["META_WORLD", "TOO_HARD", "Faults", "SimulatedChatModel", "SimulatedError", "World"]

_ITEM = re.compile(r"\[item d=(?P<d>[-+.\d]+) a=(?P<a>[.\d]+) fault=(?P<fault>\w+)\]")
_LEVEL = re.compile(r"\[level p=(?P<p>[.\d]+) draw=\w+\]")
_CRITERION = re.compile(r"^(\d+)\. (.*?\[b=([-+.\d]+)\].*)$", re.MULTILINE)
_GROUP = re.compile(r"^## ([A-Z ]+?)(?: \(.*\))?: (\d+)$", re.MULTILINE)
_FENCES = frozenset({"document", "title", "sentence", "question", "reference", "answer", "packet"})
_SCHEMA = re.compile(
    r'"title": ?"(RubricCandidate|RubricReview|RubricMarks|ReferenceDraft|SupportReview|ReferenceMark'
    r"|ReferenceVerdict|Extract|LegalDraft|LoopJudgement|ScienceDraft|Screening|SampleChoice|Analysis|EditorTurn"
    r'|BatchAnalysis)"'
)
_WORDS = re.compile(r"[A-Za-z]{6,}")
LOOSE_WEIGHT = '"weight": 7.5'
"""What a sloppy rubric holds: the challenger that is shown it again is repairing."""


class SimulatedError(Exception):
    """An injected failure of the endpoint, with the HTTP status a real one would have sent."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"simulated endpoint answered {status_code}")
        self.status_code = status_code


class SimulatedChatModel(BaseChatModel):
    """Plays all roles; `solver` names the ability it has when it solves."""

    solver: str = "weak"
    world: World = Field(default_factory=World)
    max_tokens: int = 4096
    _requests: Counter[str] = PrivateAttr(default_factory=Counter)

    @property
    def _llm_type(self) -> str:
        return "autodata-simulated"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        turns = [{"role": message.type, "content": message.text} for message in messages]
        text, finish = self.reply(turns, int(kwargs.get("seed", 0)))
        usage = {"input_tokens": sum(len(t["content"]) for t in turns) // 4, "output_tokens": max(1, len(text) // 4)}
        message = AIMessage(
            text,
            response_metadata={"finish_reason": finish, "model_name": f"simulated-{self.solver}"},
            usage_metadata={**usage, "total_tokens": sum(usage.values())},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if self.world.faults.latency_s:
            await asyncio.sleep(self.world.faults.latency_s)
        return self._generate(messages, stop, None, **kwargs)

    def reply(self, turns: Sequence[Mapping[str, str]], seed: int) -> tuple[str, str]:
        """Return the reply's text and finish reason. Raises SimulatedError where the world injects one."""
        prompt = "\n\n".join(turn["content"] for turn in turns)
        key = digest(
            [[named_by_text(turn["content"], "answer") for turn in turns], seed, key_of(self.world), self.solver], 64
        )
        rng = random.Random(key)  # noqa: S311 - a reproducible world
        faults = self.world.faults
        if faults.outage:
            raise SimulatedError(503)
        unlucky, malformed, cut = rng.random(), rng.random(), rng.random()
        self._requests[key] += 1
        if unlucky < faults.rate_limited and self._requests[key] == 1:
            raise SimulatedError(429)
        schemas = _SCHEMA.findall(prompt)
        if not schemas:
            if science.PROBE in prompt:
                return "4", "stop"
            if cut < faults.truncated:
                return "", "length"
            return ("" if cut < faults.truncated + faults.empty else self._solve(prompt, rng)), "stop"
        noise = self.world.judge_noises.get(self.solver, self.world.judge_noise)
        world = self.world if noise == self.world.judge_noise else self.world.model_copy(update={"judge_noise": noise})
        text = json.dumps(_ROLES[schemas[-1]](world, prompt, rng), ensure_ascii=False)
        if malformed < faults.malformed:
            return (
                (text[: len(text) // 2], "length")
                if malformed < faults.malformed / 2
                else ("I would rather not.", "stop")
            )
        return text, "stop"

    def _solve(self, prompt: str, rng: random.Random) -> str:
        seen = _fenced(prompt)
        theta = self.world.abilities.get(self.solver, 0.0) + (self.world.document_bonus if "document" in seen else 0.0)
        level = draw_level(self.world, _item(prompt), theta, rng)
        draw = f"{rng.getrandbits(32):08x}"
        if ("context" in prompt and "<context-" in prompt) or legal.CLIENT in seen.get("question", ""):
            return f"A reasoned answer of the simulated {self.solver} solver. [level p={level:.4f} draw={draw}]"
        if seen.get("question", "").startswith(science.PROBLEM):
            return science.solution(seen["question"], level, rng)
        fact = _fact(seen.get("question", ""))
        if rng.random() < level:
            return fact if rng.random() < 0.5 else f"It should be {fact.split()[-1]} [level p=1.0000 draw={draw}]"
        return f"The recorded value is unknown-{draw}."


def _challenger(world: World, prompt: str, rng: random.Random) -> tuple[str, str]:
    """Return a question's subject and its item: drawn around what rules and reported failures make of the world."""
    failures = {name.strip(): int(count) for name, count in _GROUP.findall(prompt)}
    easy = failures.get("TOO EASY", 0) + failures.get("SATURATED", 0)
    hard = failures.get("FAILED ON STRONG", 0) + failures.get("NO SIGNAL FROM THE WEAK SOLVER", 0)
    easier = legal.hints_for_easier(prompt)
    easier -= variety.shift(prompt) if world.skills else 0
    easy, hard = easy + max(0, -easier), hard + max(0, easier)
    item = draw_item(world, _effects(world, prompt), easy, hard, rng)
    seen = _fenced(prompt)
    words = _WORDS.findall(seen.get("sentence") or seen.get("document", "")) or ["subject"]
    subject = " ".join(rng.sample(words, min(3, len(words)))).lower()
    return subject, f"[item d={item.d:+.3f} a={item.a:.3f} fault={item.fault}]"


def _effects(world: World, prompt: str) -> Effects:
    document = _fenced(prompt).get("document", "") if world.document_spread or world.document_rules else ""
    return effects_on(world, rules_of_writing(world.rulebook, prompt), document)


def _rubric_candidate(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    subject, item = _challenger(world, prompt, rng)
    rubric: list[dict[str, Any]] = [
        {
            "criterion": f"{'States step' if row.weight > 0 else 'Commits error'} {k} about {subject} [b={row.b:+.2f}]",
            "weight": row.weight,
            "category": "reasoning" if row.weight > 0 else "error",
        }
        for k, row in enumerate(draw_rubric(world, rng), 1)
    ]
    if draw_sloppy(world, _effects(world, prompt), LOOSE_WEIGHT in prompt, rng):
        rubric[0]["weight"] = 7.5
    asked = {
        "question_type": "counterfactual analysis",
        "skills": ["causal reasoning", "trade-offs"],
        "question": f"What follows for {subject} when its main assumption no longer holds? {item}",
    }
    if world.skills:
        skill, topic = variety.draw(world, prompt, rng)
        asked = {"question_type": topic, "skills": [skill], "question": variety.question(skill, topic, item)}
    return {
        **asked,
        "context": f"A simulated setting around {subject}, described at some length for somebody who knows nothing.",
        "reference_answer": f"A simulated reference answer about {subject}.",
        "rubric": rubric,
    }


def _rubric_review(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    fault = _seen_fault(world, prompt, rng)
    return {
        "leak_reason": "compared question and context",
        "leaks": fault == "leak",
        "question_quality": "RECALL" if fault == "recall" else "GOOD",
        "single_question": True,
        "every_positive_needs_reasoning": fault != "rubric",
        "every_negative_names_an_error": True,
        "no_item_tests_format": True,
        "type_matches": True,
        "feedback": f"simulated finding: {fault}",
    }


def _rubric_marks(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    answer = _fenced(prompt).get("answer", "")
    found = _LEVEL.search(answer)
    logit = logit_of(float(found["p"]) if found else 0.02)
    marks = []
    for number, text, b in _CRITERION.findall(prompt):
        truth = random.Random(digest([answer, text])) if world.steady else None  # noqa: S311 - a reproducible world
        met = draw_met(world, logit, float(b), text.startswith("Commits"), rng, truth)
        marks.append({"number": int(number), "reason": "simulated", "met": met})
    return {"marks": marks}


def _reference_draft(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    subject, item = _challenger(world, prompt, rng)
    question = f"What value is recorded for {subject}? {item}"
    return {"question": question, "reference_answer": _fact(question)}


def _support_review(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    fault = _seen_fault(world, prompt, rng)
    return {"reason": f"simulated finding: {fault}", "supported": fault == "none"}


def _reference_mark(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    seen = _fenced(prompt)
    wanted, given = seen.get("reference", "?").split()[-1].strip("."), seen.get("answer", "")
    correct = (wanted in given) != (rng.random() < world.judge_noise)
    return {"reference_says": wanted, "answer_says": given[:80], "correct": correct}


def _reference_verdict(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return {"correct": _reference_mark(world, prompt, rng)["correct"]}


def _extract(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return legal.extract(_fenced(prompt).get("document", ""), rng)


def _legal_draft(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return legal.draft(*_challenger(world, prompt, rng), world.criterion_spread, rng)


def _loop_judgement(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return legal.judgement(_fenced(prompt)["packet"], rng)


def _science_draft(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return science.draft(*_challenger(world, prompt, rng))


def _screening(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return science.screening(prompt, world.detects, world.false_alarms, rng)


def _sample_choice(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return science.choice(prompt, rng)


def _analysis(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return optimizer.analysis(prompt, rng)


def _batch_analysis(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return variety.analysis(world, prompt, rng)


def _editor_turn(world: World, prompt: str, rng: random.Random) -> dict[str, Any]:
    return optimizer.editor_turn(prompt, rng)


_ROLES: Mapping[str, Callable[[World, str, random.Random], dict[str, Any]]] = {
    "RubricCandidate": _rubric_candidate,
    "RubricReview": _rubric_review,
    "RubricMarks": _rubric_marks,
    "ReferenceDraft": _reference_draft,
    "SupportReview": _support_review,
    "ReferenceMark": _reference_mark,
    "ReferenceVerdict": _reference_verdict,
    "Extract": _extract,
    "LegalDraft": _legal_draft,
    "LoopJudgement": _loop_judgement,
    "ScienceDraft": _science_draft,
    "Screening": _screening,
    "SampleChoice": _sample_choice,
    "Analysis": _analysis,
    "EditorTurn": _editor_turn,
    "BatchAnalysis": _batch_analysis,
}


def _seen_fault(world: World, prompt: str, rng: random.Random) -> str:
    return draw_finding(world, _item(prompt).fault, rng, effects_on_review(world.rulebook, prompt))


def _item(prompt: str) -> Item:
    items = list(_ITEM.finditer(prompt))
    return Item(float(items[-1]["d"]), float(items[-1]["a"]), items[-1]["fault"]) if items else Item(0.0, 1.0)


def _fact(question: str) -> str:
    """Return the made-up answer to a question: the same for whoever knows it.

    A word of letters alone: numbers and names of an answer must stand in its passage, and this world writes none.
    """
    word = digest(question.strip(), 6).translate(str.maketrans("0123456789", "ghijklmnop"))
    return f"The recorded value is {word}"


def _fenced(prompt: str) -> dict[str, str]:
    """Return the fenced texts of a prompt by label, the last of each."""
    return {part.label: part.text for part in fenced(prompt, _FENCES)}
