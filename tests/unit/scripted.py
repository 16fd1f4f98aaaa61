"""A chat model that answers from a script, and a caller around it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.budget import Budget
from autodata.models.call import CallSite
from autodata.models.caller import Caller
from autodata.models.config import BudgetConfig, ModelSettings, RetryConfig
from autodata.models.endpoint import Endpoint
from autodata.models.role_model import RoleModel

ASK = [{"role": "user", "content": "How long is the header?"}]
SITE = CallSite("main/d", "d", 1, "solver", "solver")


class Status(Exception):
    """A failed request, as a client library would raise it."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"status {status_code}")
        self.status_code = status_code


Script = str | AIMessage | Exception


class Scripted(BaseChatModel):
    """Answers from a script; the last entry repeats. Every request is kept with its messages and keywords."""

    script: list[Any]
    asked: list[tuple[list[str], dict[str, Any]]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self.asked.append(([str(message.text) for message in messages], kwargs))
        answer = self.script[min(len(self.asked), len(self.script)) - 1]
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        known = usage(max(100, sum(len(message.text) for message in messages) // 3), 10)
        message = answer if isinstance(answer, AIMessage) else AIMessage(answer, usage_metadata=known)
        return ChatResult(generations=[ChatGeneration(message=message)])

    @property
    def seeds(self) -> list[int]:
        return [keywords["seed"] for _, keywords in self.asked]


def usage(tokens_in: int, tokens_out: int) -> Any:
    return {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}


def said(text: str, finish_reason: str) -> AIMessage:
    return AIMessage(text, response_metadata={"finish_reason": finish_reason})


def bench(
    *script: Script, journal: Any = None, budget: Mapping[str, Any] | None = None, **more: Any
) -> tuple[Caller, Scripted]:
    """Return a caller of one role, `solver`, and its model. Nothing waits between requests."""
    chat = Scripted(script=list(script))
    settings = ModelSettings(model="m", temperature=1.0, price_in=2.0, price_out=10.0, **more.pop("settings", {}))
    model = RoleModel(settings, chat, Endpoint("m", 16, structured=False))
    retries = RetryConfig(base_seconds=0, max_attempts=2, **more.pop("retries", {}))
    spending = Budget(BudgetConfig(**(budget or {})), on_spent=more.pop("on_spent", lambda reason: None))
    caller = Caller(
        MemoryLedger() if journal is None else journal, {"solver": model}, retries=retries, budget=spending, **more
    )
    return caller, chat


def calls(journal: MemoryLedger) -> list[dict[str, Any]]:
    return list(journal.tables["calls"].values())
