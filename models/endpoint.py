"""An endpoint as the calls see it: how many requests at once, whether it is down, which structured output it takes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx
import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from autodata.models.config import ModelSettings
from autodata.models.errors import Drained, EndpointDown
from autodata.models.structured import response_format

WireFormat = Literal["json_schema", "json_object", "none"]
_FORMATS: tuple[WireFormat, ...] = ("json_schema", "json_object", "none")
_RETRIED = frozenset({408, 409, 425, 429})
_DOWN = frozenset({401, 402, 403, 404})


@dataclass(frozen=True)
class Fault:
    """What a failed request means: `retry`, `refused` (this request only) or `down` (any request would fail)."""

    kind: Literal["retry", "refused", "down"]
    message: str
    retry_after: float | None = None
    status: int | None = None


def classify(error: Exception, *, answered: bool = False) -> Fault | None:
    """Tell what an exception of a request means; None when it is no failure of the plumbing but a defect in code.

    A 403 of an endpoint that has `answered` is about this very input (a gateway's moderation), not about the key.
    """
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    message = _one_line(error)
    if isinstance(status, int) and status >= 400:  # below it, the reply came but could not be read
        quota = "insufficient_quota" in {getattr(error, "code", None), getattr(error, "type", None)}
        if (status in _DOWN and not (answered and status == 403)) or quota or "insufficient_quota" in str(error):
            return Fault("down", message, status=status)
        if status in _RETRIED or status >= 500:
            return Fault("retry", message, _retry_after(response), status)
        return Fault("refused", message, status=status)
    if isinstance(error, openai.OpenAIError | httpx.HTTPError | OSError | TimeoutError):
        return Fault("retry", message)
    if isinstance(error, ValueError | LookupError | TypeError | AttributeError):  # a body that is no chat completion
        return Fault("retry", f"unreadable response: {message}")
    return None


class Endpoint:
    """Shared by all roles that use the same model at the same address."""

    def __init__(self, name: str, max_concurrency: int, *, structured: bool = True, local: bool = False) -> None:
        self.name = name
        self.text_limits = local
        """Whether schemas go out with the lengths of texts: llama.cpp keeps to them, other servers may refuse them."""
        self.slots = asyncio.Semaphore(max_concurrency)
        self.down: str | None = None
        """Why the endpoint was given up; None while it is in use."""
        self.wire_format: WireFormat | None = None if structured else "none"
        """The structured output it takes; None until the first structured reply has shown it."""
        self.schema_formats: dict[str, WireFormat] = {}
        """The structured output it has taken for each schema, by the schema's name."""
        self.answered = False
        """Whether any reply came from it yet."""
        self._drained = False
        self._probe = asyncio.Lock()
        self._stopped = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._holding = 0
        self._failures_in_a_row = 0

    def raise_if_down(self) -> None:
        """Raise EndpointDown once the endpoint was given up."""
        if self.down is not None:
            raise EndpointDown(self.down)

    def raise_if_stopped(self) -> None:
        """Raise EndpointDown once the endpoint was given up, Drained once the sitting is ending."""
        self.raise_if_down()
        if self._drained:
            raise Drained(f"{self.name}: the call was not sent, for the run is ending")

    def succeeded(self) -> None:
        """Note a reply: the row of failures is broken."""
        self.answered = True
        self._failures_in_a_row = 0

    def exhausted(self, message: str, pause_after: int) -> None:
        """Note a call that got no reply in all its attempts; the `pause_after`th in a row gives the endpoint up."""
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= pause_after:
            self.give_up(f"{self._failures_in_a_row} calls in a row failed: {message}")

    def give_up(self, message: str) -> None:
        """Mark the endpoint down; everybody waiting on it wakes."""
        self.down = self.down or f"{self.name}: {message}"
        self._stopped.set()

    def drain(self) -> None:
        """Send nothing more; everybody waiting on it wakes. Requests in flight go on."""
        self._drained = True
        self._stopped.set()

    async def pause(self, seconds: float) -> None:
        """Wait before another attempt. Raises EndpointDown or Drained as soon as nothing may be sent any more."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
        self.raise_if_stopped()

    async def hold(self, seconds: float) -> None:
        """Pause as the server asked, and let no other request go out meanwhile."""
        self._holding += 1
        self._free.clear()
        try:
            await self.pause(seconds)
        finally:
            self._holding -= 1
            if not self._holding:
                self._free.set()

    async def ready(self) -> None:
        """Wait until a request may go out. Raises EndpointDown or Drained when none may any more."""
        while not self._free.is_set():  # whoever holds it leaves at once when the endpoint is given up or drained
            await self._free.wait()
        self.raise_if_stopped()


@dataclass(frozen=True)
class RoleModel:
    """One role's model, ready to be called."""

    settings: ModelSettings
    chat: BaseChatModel
    endpoint: Endpoint
    sends_seed: bool = True

    @property
    def params(self) -> Mapping[str, Any]:
        """The settings that shape a reply and so belong to a call's identity."""
        shaping = self.settings.model_dump(include={"temperature", "top_p", "max_tokens", "extra_body"})
        effort = self.settings.reasoning_effort
        return {**shaping, "reasoning_effort": effort} if effort else shaping

    def cost(self, tokens_in: int | None, tokens_out: int | None) -> float | None:
        """US dollars of a call; None when a price or the usage is not known."""
        price_in, price_out = self.settings.price_in, self.settings.price_out
        if price_in is None or price_out is None or tokens_in is None or tokens_out is None:
            return None
        return (tokens_in * price_in + tokens_out * price_out) / 1e6

    async def send(
        self,
        messages: list[dict[str, str]],
        seed: int,
        schema: type[BaseModel] | None,
        metadata: Mapping[str, Any] | None = None,
    ) -> AIMessage:
        """Send one request. The first one of a schema finds out which format is taken for it; the others wait.

        `metadata` is for LangChain's callbacks, those of an application around this one, say; it is not sent.
        """
        endpoint, told = self.endpoint, _config(metadata or {})
        if schema is None or endpoint.wire_format == "none":
            return await self._send(messages, seed, None, "none", told)
        if schema.__name__ not in endpoint.schema_formats:
            async with endpoint._probe:
                await endpoint.ready()
                if schema.__name__ not in endpoint.schema_formats:
                    return await self._find_format(messages, seed, schema, told)
        return await self._send(messages, seed, schema, endpoint.schema_formats[schema.__name__], told)

    async def _find_format(
        self, messages: list[dict[str, str]], seed: int, schema: type[BaseModel], told: RunnableConfig
    ) -> AIMessage:
        """Send a schema's first request, from the format that the endpoint took for another schema downwards."""
        for wire_format in _FORMATS[_FORMATS.index(self.endpoint.wire_format or _FORMATS[0]) :]:
            self.endpoint.raise_if_stopped()
            try:
                message = await self._send(messages, seed, schema, wire_format, told)
            except Exception as error:
                fault = classify(error)
                if fault is None or fault.kind != "refused" or wire_format == _FORMATS[-1]:
                    raise
            else:
                self.endpoint.wire_format = self.endpoint.wire_format or wire_format
                self.endpoint.schema_formats[schema.__name__] = wire_format
                return message
        raise AssertionError("unreachable: the last format returns or raises")

    async def _send(
        self,
        messages: list[dict[str, str]],
        seed: int,
        schema: type[BaseModel] | None,
        wire_format: WireFormat,
        told: RunnableConfig,
    ) -> AIMessage:
        kwargs: dict[str, Any] = {"seed": seed} if self.sends_seed else {}
        body = dict(getattr(self.chat, "extra_body", None) or {})
        if schema is not None and wire_format != "none":
            body["response_format"] = response_format(schema, wire_format, text_limits=self.endpoint.text_limits)
        if body:
            kwargs["extra_body"] = body
        async with asyncio.timeout(self.settings.timeout):
            message = await self.chat.ainvoke(messages, told, **kwargs)
        if not isinstance(message, AIMessage):
            raise TypeError(f"a chat model answered with {type(message).__name__}")
        return message


def _config(metadata: Mapping[str, Any]) -> RunnableConfig:
    config = RunnableConfig(metadata=dict(metadata))
    if role := metadata.get("role"):
        config |= RunnableConfig(run_name=role, tags=[f"role:{role}"])
    return config


def _retry_after(response: object) -> float | None:
    """Return the seconds of a `Retry-After` header, which holds seconds or a date."""
    told = str((getattr(response, "headers", None) or {}).get("retry-after", ""))
    with contextlib.suppress(ValueError):
        return max(0.0, float(told))
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    return None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, openai.APIConnectionError):  # its own text is the same whatever happened
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        text = f"{text.rstrip('.')} ({' '.join(str(root).split()) or type(root).__name__})"
    return text if len(text) <= 300 else text[:299] + "…"
