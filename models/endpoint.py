"""An endpoint as the calls see it: how many requests at once, whether it is down, which structured output it takes."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from autodata.checkpoints.errors import Drained, EndpointDown
from autodata.models.beside import only_beside, whole_value
from autodata.models.budget import price
from autodata.models.config import ModelSettings
from autodata.models.dialect import sent_by
from autodata.models.faults import FORMAT_DOUBTED, Fault, TimedOut, classify, timed_out
from autodata.models.found import Found
from autodata.models.health import Health
from autodata.models.prompt_length import Prompts
from autodata.models.slots import Slots, address_of
from autodata.models.structured import response_format

__all__ = ["Endpoint", "Fault", "RoleModel", "Slots", "WireFormat", "address_of", "classify"]

WireFormat = Literal["json_schema", "json_object", "none"]
_FORMATS: tuple[WireFormat, ...] = ("json_schema", "json_object", "none")


PROBE_AFTER = 4
"""Calls in a row without a reply after which requests go out one at a time, in turn: then it takes as many requests as
these calls may have each before the endpoint is given up, for some calls fail several times and are answered then."""


@dataclass(frozen=True)
class Leaving:
    """How an endpoint stood when a request left for it."""

    reductions: int = 0
    """How often its slots had been lowered."""
    alone: bool = False
    """Whether requests went out one at a time, to see whether it is back."""


class Endpoint:
    """Shared by all roles that use the same model at the same address."""

    def __init__(self, name: str, max_concurrency: int, *, structured: bool = True, local: bool = False) -> None:
        self.name = name
        self.text_limits = local
        """Whether schemas go out with the lengths of texts: llama.cpp keeps to them, other servers may refuse them."""
        self.slots = Slots(max_concurrency)
        self.health = Health()
        self.down: str | None = None
        """Why the endpoint was given up; None while it is in use."""
        self.wire_format: WireFormat | None = None if structured else "none"
        """The structured output it takes; None until the first structured reply has shown it."""
        self.schema_formats: dict[str, WireFormat] = {}
        """The structured output it has taken for each schema, by the schema's name."""
        self.answered = False
        """Whether any reply came from it in this session."""
        self.known = False
        """Whether the run folder holds replies of its model already."""
        self.stream_usage = True
        """Whether streams are asked for their token counts; False once the server has refused `stream_options`."""
        self.found = Found(name)
        """How requests are changed for it, and what else was found out."""
        self.prompts = Prompts()
        """How long its prompts were, to see when the server counts too few tokens for one."""
        self._drained = False
        self._formats_from: dict[str, WireFormat] = {}
        self._first_format: WireFormat = _FORMATS[0]
        self._probing: asyncio.Event | None = None
        self._probe_failed = False
        self._stopped = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._holding = 0
        self._failures_in_a_row = 0
        self._without_reply: set[str] = set()
        self.probes: int | None = None
        """Requests in a row without a reply that went out alone, to see whether it is back; None while it answers."""

    def raise_if_down(self) -> None:
        """Raise EndpointDown once the endpoint was given up."""
        if self.down is not None:
            raise EndpointDown(self.down)

    def raise_if_stopped(self) -> None:
        """Raise EndpointDown once the endpoint was given up, Drained once the session is ending."""
        self.raise_if_down()
        if self._drained:
            raise Drained(f"{self.name}: the call was not sent, for the run is ending")

    def succeeded(self) -> None:
        """Note a reply that can be used: the row of failures is broken."""
        self.answered = True
        self._failures_in_a_row = 0
        self.slots.answered()

    def responded(self) -> None:
        """Note a reply of any kind, a refusal too: the server is there, and requests go out side by side again."""
        self._without_reply.clear()
        self.probes = None
        self.slots.side_by_side()

    def exhausted(self, message: str, pause_after: int) -> None:
        """Note a call that got no reply in all its attempts; the `pause_after`th in a row gives the endpoint up."""
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= pause_after:
            self.give_up(f"{self._failures_in_a_row} calls in a row failed: {message}")

    def leaving(self) -> Leaving:
        """Return how the endpoint stands when a request leaves for it; `failed` asks for it."""
        return Leaving(self.slots.reductions, alone=self.probes is not None)

    def failed(self, call: str, fault: Fault, left: Leaving, most: int) -> None:
        """Note a request without a reply, by its call's key.

        A server that is asked too much is asked less at once. When several calls in a row had no reply, requests go
        out one at a time until one is answered; after `most` of those in a row the endpoint is given up.
        """
        if fault.asked_too_much:
            self.slots.reduce(left.reductions)
        if self.probes is None:
            self._without_reply.add(call)
            if len(self._without_reply) >= PROBE_AFTER:
                self.probes = 0
                self.slots.one_at_a_time()
        elif left.alone:
            self.probes += 1
            if self.probes >= most:
                self.give_up(f"{self.probes} requests in a row, sent one at a time, got no reply: {fault.message}")

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
        async with self.held():
            await self.pause(seconds)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let no other request go out for as long as the context lasts."""
        self._holding += 1
        self._free.clear()
        try:
            yield
        finally:
            self._holding -= 1
            if not self._holding:
                self._free.set()

    async def ready(self) -> None:
        """Wait until a request may go out. Raises EndpointDown or Drained when none may any more."""
        while not self._free.is_set():  # whoever holds it leaves at once when the endpoint is given up or drained
            await self._free.wait()
        self.raise_if_stopped()

    async def until(self, change: asyncio.Future[None]) -> None:
        """Wait for something that happens elsewhere. Raises EndpointDown or Drained when nothing may be sent now."""
        stopped = asyncio.ensure_future(self._stopped.wait())
        either: set[asyncio.Future[Any]] = {change, stopped}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            change.cancel()
        self.raise_if_stopped()

    def format_for(self, schema: str) -> WireFormat | None:
        """Return the structured output that is known to be taken for a schema; None while it is not."""
        if self.wire_format == "none":
            return "none"
        return self.schema_formats.get(schema)

    def format_to_try(self, schema: str) -> WireFormat:
        """Return the format that a schema's first request is sent with."""
        return self._formats_from.get(schema) or self.wire_format or self._first_format

    def learned(self, schema: str, wire_format: WireFormat) -> None:
        """Note the format that was taken for a schema."""
        if self.wire_format is None and wire_format != _FORMATS[0]:
            self.found.report(f"structured output: {'prompt only' if wire_format == 'none' else wire_format}")
        self.wire_format = self.wire_format or wire_format
        self.schema_formats.setdefault(schema, wire_format)
        self._probe_failed = False

    def doubt(self, schema: str, wire_format: WireFormat) -> None:
        """Note that a format brought nothing for a schema: the next request for it goes out with the one below."""
        if wire_format == _FORMATS[-1]:  # no format is at fault
            self._formats_from.pop(schema, None)
            self._first_format = _FORMATS[0]
        else:
            self._formats_from[schema] = _FORMATS[_FORMATS.index(wire_format) + 1]

    def to_keep(self) -> dict[str, str]:
        """Return what keeps for later sessions what was found out, by name in table `meta`; nothing where it is known.

        A server of one's own has another address each time, and is the same each time.
        """
        return {} if self.text_limits else self.found.to_keep(self.wire_format, self.schema_formats)

    def recall(self, kept: Mapping[str, str]) -> None:
        """Take up what an earlier session found out: formats are begun with, and shown again before they are known."""
        known = self.found.recall(kept)
        formats = known.get("schema_formats")
        if self.wire_format is not None or not isinstance(formats, Mapping):
            return
        self._formats_from |= {str(name): one for name, one in formats.items() if one in _FORMATS}
        if (first := known.get("wire_format")) in _FORMATS:
            self._first_format = first

    @asynccontextmanager
    async def finding_out(self, schema: str) -> AsyncIterator[None]:
        """Let one request at a time find out a format, until one has failed to: then the others wait no longer.

        Whoever waited looks again at what is known. Raises EndpointDown or Drained when nothing may be sent any more.
        Nobody waits at a server of one's own: it takes JSON Schemas, and a request that it refuses is free.
        """
        if self.text_limits:
            yield
            return
        while self._probing is not None and not self._probe_failed and self.format_for(schema) is None:
            await self._probing.wait()
            await self.ready()
        if self._probing is not None or self._probe_failed or self.format_for(schema) is not None:
            yield
            return
        self._probing = over = asyncio.Event()
        try:
            yield
        finally:
            self._probe_failed = self.format_for(schema) is None
            self._probing = None
            over.set()


@dataclass(frozen=True)
class _Notices:
    """Who hears of a request: LangChain's callbacks, and whoever must know that it left."""

    config: RunnableConfig
    on_sent: Callable[[], None]


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
        return price(self.settings, tokens_in, tokens_out)

    @property
    def address(self) -> str:
        """Where its requests go, in one form; empty where the provider has its own address."""
        return address_of(self.settings.address, self.settings.query)

    def sent(self, messages: list[dict[str, str]]) -> set[str]:
        """Return the names of what a request has that a server may refuse (`models/dialect.py`)."""
        body = getattr(self.chat, "extra_body", None) or {}
        found = self.endpoint.found.dialect
        return sent_by(self.chat, messages, body, seed=self.sends_seed) - set(found.without)

    async def send(
        self,
        messages: list[dict[str, str]],
        seed: int,
        schema: type[BaseModel] | None,
        metadata: Mapping[str, Any] | None = None,
        on_sent: Callable[[], None] = lambda: None,
    ) -> AIMessage:
        """Send one request. The first one of a schema finds out which format is taken for it; the others wait for it.

        `metadata` is for LangChain's callbacks, those of an application around this one, say; it is not sent.
        `on_sent` is called when a request leaves.
        """
        endpoint, notices = self.endpoint, _Notices(_config(metadata or {}), on_sent)
        if schema is None:
            return await self._send(messages, seed, None, "none", notices)
        if (known := endpoint.format_for(schema.__name__)) is not None:
            return await self._send(messages, seed, schema, known, notices)
        async with endpoint.finding_out(schema.__name__):
            if (known := endpoint.format_for(schema.__name__)) is None:
                return await self._find_format(messages, seed, schema, notices)
        return await self._send(messages, seed, schema, known, notices)

    async def _find_format(
        self, messages: list[dict[str, str]], seed: int, schema: type[BaseModel], notices: _Notices
    ) -> AIMessage:
        """Send a request for which no format is known yet: from the one to try first downwards, to none at all.

        Some servers answer a format that they cannot serve as they answer a wrong model or a defect of their own. Only
        the plain request separates the one from the other: what fails with it, too, says nothing about formats.
        """
        endpoint, name = self.endpoint, schema.__name__
        for wire_format in _FORMATS[_FORMATS.index(endpoint.format_to_try(name)) :]:
            endpoint.raise_if_stopped()
            try:
                message = await self._send(messages, seed, schema, wire_format, notices)
            except Exception as error:
                fault = classify(error)
                doubted = fault is not None and (
                    (fault.kind == "refused" and not fault.about_input) or fault.status in FORMAT_DOUBTED
                )
                if not doubted or wire_format == _FORMATS[-1]:
                    raise
            else:
                if _says_nothing(message) and not whole_value(
                    message, only_beside(message), schema
                ):  # it is a reply all the same, and paid for: the caller asks again
                    endpoint.doubt(name, wire_format)
                else:
                    endpoint.learned(name, wire_format)
                return message
        raise AssertionError("unreachable: the last format returns or raises")

    async def _send(
        self,
        messages: list[dict[str, str]],
        seed: int,
        schema: type[BaseModel] | None,
        wire_format: WireFormat,
        notices: _Notices,
    ) -> AIMessage:
        """Send one request in the endpoint's dialect; one that is refused for it is sent again in another."""
        endpoint, refused = self.endpoint, False
        found = endpoint.found
        while True:
            async with found.one_by_one() if refused else nullcontext():
                endpoint.raise_if_stopped()
                dialect = found.dialect
                body = dict(getattr(self.chat, "extra_body", None) or {})
                sent = sent_by(self.chat, messages, body, seed=self.sends_seed) - set(dialect.without)
                if schema is not None and wire_format != "none":
                    body["response_format"] = response_format(schema, wire_format, text_limits=endpoint.text_limits)
                chat = dialect.chat(self.chat, body)
                kwargs: dict[str, Any] = {"seed": seed} if "seed" in sent else {}
                if body or getattr(self.chat, "extra_body", None):
                    kwargs["extra_body"] = body
                try:
                    message = await self._invoke(chat, dialect.turns(messages), notices, kwargs)
                except Exception as error:
                    fault = classify(error)
                    about_form = fault is not None and not fault.about_input
                    if not (about_form and found.adapt(dialect, error, sent)):
                        found.settled()
                        raise
                    refused = True
                else:
                    found.system_taken |= "system" in sent and not dialect.folded
                    found.settled()
                    return message

    async def _invoke(
        self, chat: BaseChatModel, messages: list[dict[str, str]], notices: _Notices, kwargs: dict[str, Any]
    ) -> AIMessage:
        """Ask the model. LangChain streams where somebody watches; the stream is asked for its usage, too."""
        asks = bool(getattr(chat, "stream_usage", None)) and self.endpoint.stream_usage
        try:
            message = await self._ask(chat if asks else _without_usage(chat), messages, notices, kwargs)
        except Exception as error:
            if not asks or not refuses_stream_options(error):
                raise
            self.endpoint.stream_usage = False
            message = await self._ask(_without_usage(chat), messages, notices, kwargs)
        if not isinstance(message, AIMessage):
            raise TypeError(f"a chat model answered with {type(message).__name__}")
        return message

    async def _ask(
        self, chat: BaseChatModel, messages: list[dict[str, str]], notices: _Notices, kwargs: dict[str, Any]
    ) -> Any:
        try:
            async with asyncio.timeout(self.settings.timeout):
                notices.on_sent()
                return await chat.ainvoke(messages, notices.config, **kwargs)
        except Exception as error:
            if not timed_out(error):
                raise
            raise TimedOut(self.settings.timeout, str(notices.config.get("run_name", ""))) from error


def _without_usage(chat: BaseChatModel) -> BaseChatModel:
    return chat.model_copy(update={"stream_usage": False}) if getattr(chat, "stream_usage", None) else chat


def refuses_stream_options(error: Exception) -> bool:
    """Whether a server refused a request for the option that asks a stream for its token counts."""
    fault = classify(error)
    return (
        fault is not None
        and fault.kind == "refused"
        and re.search(r"stream_options|include_usage", str(error)) is not None
    )


def _says_nothing(message: AIMessage) -> bool:
    """Whether a reply is empty though nothing cut it off: reasoning may take all tokens whatever the format is."""
    metadata = message.response_metadata
    cut = str(metadata.get("finish_reason") or metadata.get("stop_reason") or "").lower() in {"length", "max_tokens"}
    return not cut and not str(message.text).strip()


def _config(metadata: Mapping[str, Any]) -> RunnableConfig:
    config = RunnableConfig(metadata=dict(metadata))
    if role := metadata.get("role"):
        config |= RunnableConfig(run_name=role, tags=[f"role:{role}"])
    return config
