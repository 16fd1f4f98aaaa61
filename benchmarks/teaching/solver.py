"""A decoder as a LangChain chat model: what `generate(...)` is given as its weak and its strong solver."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.teaching.decoder import Drawn, draw, tokenizer

_FENCED = re.compile(r"<(?P<tag>question-[0-9a-f]+)>\n(?P<question>.*)\n</(?P=tag)>", re.DOTALL)
MOST = 256
"""Questions answered side by side at most."""


@dataclass
class _Waiting:
    asked: list[tuple[str, int]] = field(default_factory=list)
    answers: list[asyncio.Future[Drawn]] = field(default_factory=list)


class Solver(BaseChatModel):
    """Answers questions side by side: what arrives while a batch is in work is the next batch.

    The n-th answer to a question has a seed of its own, of the name, the seed, the question and n: which questions
    stand together has no part in it.
    """

    model: str
    seed: int
    _decoder: LlamaForCausalLM = PrivateAttr()
    _words: PreTrainedTokenizerFast = PrivateAttr(default_factory=tokenizer)
    _times: Counter[str] = PrivateAttr(default_factory=Counter)
    _waiting: _Waiting = PrivateAttr(default_factory=_Waiting)
    _works: asyncio.Task[None] | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, decoder: LlamaForCausalLM, name: str, seed: int) -> Solver:
        """Return a solver that answers by a decoder."""
        made = cls(model=name, seed=seed)
        made._decoder = decoder
        return made

    @property
    def _llm_type(self) -> str:
        return "teaching-decoder"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return _result(draw(self._decoder, self._words, [self._next(messages[-1].text)])[0])

    async def _agenerate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        answer: asyncio.Future[Drawn] = asyncio.get_running_loop().create_future()
        self._waiting.asked.append(self._next(messages[-1].text))
        self._waiting.answers.append(answer)
        if self._works is None or self._works.done():
            self._works = asyncio.create_task(self._work())
        return _result(await answer)

    def _next(self, prompt: str) -> tuple[str, int]:
        question = question_of(prompt)
        self._times[question] += 1
        key = f"{self.model} {self.seed} {self._times[question]} {question}"
        return question, int.from_bytes(hashlib.sha256(key.encode()).digest()[:7])

    async def _work(self) -> None:
        await asyncio.sleep(0.01)  # the other attempts of a round are on their way
        while self._waiting.asked:
            now, self._waiting = self._waiting, _Waiting()
            self._waiting.asked, now.asked = now.asked[MOST:], now.asked[:MOST]
            self._waiting.answers, now.answers = now.answers[MOST:], now.answers[:MOST]
            try:
                drawn = await asyncio.to_thread(draw, self._decoder, self._words, now.asked)
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
                for answer in now.answers:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for answer, one in zip(now.answers, drawn, strict=True):
                if not answer.done():
                    answer.set_result(one)


def question_of(prompt: str) -> str:
    """Return the question in a solver's prompt without its fence, of which small decoders know nothing.

    Raises ValueError without one: a decoder would answer something else, and all of it wrong.
    """
    found = _FENCED.fullmatch(prompt.strip())
    if found is None:
        raise ValueError(f"no fenced question: {prompt!r}")
    return found["question"]


def _result(drawn: Drawn) -> ChatResult:
    message = AIMessage(
        drawn.text,
        response_metadata={"finish_reason": "length" if drawn.cut else "stop"},
        usage_metadata={"input_tokens": 0, "output_tokens": drawn.tokens, "total_tokens": drawn.tokens},
    )
    return ChatResult(generations=[ChatGeneration(message=message)])
