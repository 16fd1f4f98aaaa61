"""One role's model: its requests, in the dialect and with the structured output that its endpoint takes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from autodata.models.beside import only_beside, whole_value
from autodata.models.budget import price
from autodata.models.config import ModelSettings
from autodata.models.dialect import sent_by
from autodata.models.endpoint import FORMATS, Endpoint, WireFormat
from autodata.models.faults import FORMAT_DOUBTED, TimedOut, classify, timed_out
from autodata.models.slots import address_of
from autodata.models.structured import response_format

BLANKS = 40
"""So many blanks and nothing else before the limit cut a reply off are laid to its format."""


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
        for wire_format in FORMATS[FORMATS.index(endpoint.format_to_try(name)) :]:
            endpoint.raise_if_stopped()
            try:
                message = await self._send(messages, seed, schema, wire_format, notices)
            except Exception as error:
                fault = classify(error)
                doubted = fault is not None and (
                    (fault.kind == "refused" and not fault.about_input) or fault.status in FORMAT_DOUBTED
                )
                if not doubted or wire_format == FORMATS[-1]:
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
                await endpoint.still_granted()
                dialect = found.dialect
                body = dict(getattr(self.chat, "extra_body", None) or {})
                sent = sent_by(self.chat, messages, body, seed=self.sends_seed) - set(dialect.without)
                if schema is not None and wire_format != "none":
                    body["response_format"] = _format(schema, wire_format, endpoint.text_limits)
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


@lru_cache(maxsize=256)
def _format(schema: type[BaseModel], wire_format: Literal["json_schema", "json_object"], text_limits: bool) -> Any:
    """Return a schema's `response_format`, made once: it goes into bodies that are only written down."""
    return response_format(schema, wire_format, text_limits=text_limits)


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
    """Whether a reply is empty though nothing cut it off, or blanks up to the limit, as models write in a format.

    Reasoning may take all tokens whatever the format is, and then leaves next to nothing.
    """
    metadata, text = message.response_metadata, str(message.text)
    cut = str(metadata.get("finish_reason") or metadata.get("stop_reason") or "").lower() in {"length", "max_tokens"}
    return not text.strip() and (not cut or len(text) >= BLANKS)


def _config(metadata: Mapping[str, Any]) -> RunnableConfig:
    config = RunnableConfig(metadata=dict(metadata))
    if role := metadata.get("role"):
        config |= RunnableConfig(run_name=role, tags=[f"role:{role}"])
    return config
