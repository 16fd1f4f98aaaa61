"""The challenger of docs/teaching.md, a program with knobs and no language model; and the judge, one as well.

A document, a "sheet", names two families. The challenger reads them and the loop's feedback from its prompt. Its first
level is the sheet's own, drawn from HABIT; after that each rejection moves it by one step.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from benchmarks.teaching.problems import LEVELS, TRAINED, problem

HABIT = {2: 30, 3: 35, 4: 25, 5: 10}
"""How often, of 100, a first question has a level: what is written without feedback is mostly easy."""
_GROUP = re.compile(r"^## ([A-Z ]+?)(?: \(.*\))?: (\d+)$", re.MULTILINE)
_SHEET = re.compile(r"^Sheet \S+: (\w+), (\w+)\.$", re.MULTILINE)


def sheets(seed: int, count: int, begin: int = 0) -> list[dict[str, str]]:
    """Return the documents of a seed, as `generate` takes them."""
    made = []
    for n in range(begin, begin + count):
        pair = random.Random(f"sheet {seed} {n}").sample(TRAINED, 2)
        made.append({"id": f"{seed}-{n:03}", "text": f"Sheet {seed}-{n:03}: {pair[0]}, {pair[1]}.\n"})
    return made


def knobs(prompt: str) -> tuple[str, int]:
    """Return the family and the level that a challenger's prompt leads to. Raises ValueError without a sheet."""
    sheet = _SHEET.search(prompt)
    if sheet is None:
        raise ValueError("the prompt holds no sheet")
    failed = {name.strip(): int(count) for name, count in _GROUP.findall(prompt)}
    strong = failed.get("FAILED ON STRONG", 0)
    harder = failed.get("TOO EASY", 0) + failed.get("SATURATED", 0)
    easier = strong + failed.get("NO SIGNAL FROM THE WEAK SOLVER", 0)
    first = random.Random(sheet[0]).choices([*HABIT], [*HABIT.values()])[0]
    level = min(max(first + harder - easier, LEVELS[0]), LEVELS[-1])
    return sheet[1 + strong % 2], level


class Program(BaseChatModel):
    """Plays the challenger, and the judge, which finds every answer wrong: code has decided those it could read."""

    model: str = "program"

    @property
    def _llm_type(self) -> str:
        return "teaching-program"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        prompt = "\n".join(message.text for message in messages)
        message = AIMessage(self.reply(prompt), response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return self._generate(messages)

    def reply(self, prompt: str) -> str:
        """Return the JSON that a prompt asks for."""
        if not _SHEET.search(prompt):
            return json.dumps({"reference_says": "see the reference", "answer_says": "none", "correct": False})
        family, level = knobs(prompt)
        made = problem(family, level, random.Random(prompt))
        return json.dumps({"question": made.question, "answer": made.answer})
