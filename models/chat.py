"""The chat model of a role at an OpenAI-compatible server: whole replies are asked for and read here.

It is LangChain's to whoever watches: callbacks, traces, streams and tools are as those of `ChatOpenAI`. What takes most
of a call's processor time, and most of a run's start, is the library below that one; so requests are written and plain
completions read here, and the library is imported only for the rest: streams, tools, contents that are no text, and
answers that are no plain completion, which it is handed as if it had received them.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport, HttpxAiohttpClient
from httpx_aiohttp.transport import map_aiohttp_exceptions
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import ConfigDict, Field, PrivateAttr

from autodata.models.beside import REASONING
from autodata.models.faults import by_class
from autodata.models.plain_answers import plain_completion

_ROLES: Final = {"system": "system", "human": "user", "ai": "assistant"}
"""LangChain's types of a message with the names that servers know."""
_WRITTEN: Final = frozenset({"seed", "extra_body"})
"""What of a request is written here besides the fields of the model."""
_OF_THE_BYTES: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of an answer that no longer hold once its body is unpacked."""
_PRICED: Final = frozenset({"priority", "flex"})
"""Tiers of service whose tokens the library counts by themselves."""


class RequestRefused(Exception):
    """An answer with a status from 400 on; its attributes are those of OpenAI's library's `APIStatusError`."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status_code: int = response.status_code
        text = response.text.strip()
        try:
            self.body: Any = json.loads(text)
        except (ValueError, RecursionError):
            self.body = text
        error = self.body.get("error", self.body) if isinstance(self.body, Mapping) else None
        message = error.get("message") if isinstance(error, Mapping) else None
        said = f" - {message}" if isinstance(message, str) and message else ""
        super().__init__(f"Error code: {self.status_code}{said}")


class ConnectionFailed(Exception):
    """A request got no answer; its cause says why."""

    def __init__(self) -> None:
        super().__init__("Connection error.")


@dataclass(frozen=True)
class Connection:
    """Where a model's requests go, and the library's own model of the same settings, made when it is needed."""

    client: Any
    """The HTTP client: of `httpx`, or of `httpx2` where the caller made it so."""
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    timeout: float
    """Seconds that a request may wait for bytes."""
    make_library_model: Callable[[], Any]
    made: list[Any] = field(default_factory=list)

    def library_model(self) -> Any:
        """Return the library's model, which sends with the same client."""
        if not self.made:
            self.made.append(self.make_library_model())
        return self.made[0]

    async def send(self, content: bytes) -> Any:
        """Send a body; return the answer, whole. Raises ConnectionFailed."""
        try:
            if isinstance(self.client, RunClient) and (session := self.client.session()) is not None:
                answer = await _posted(session, self, content)
                if not 300 <= answer.status_code < 400:  # where it leads is followed below
                    return answer
            request = self.client.build_request(
                "POST",
                self.url,
                params=self.query or None,
                headers=self.headers,
                content=content,
                timeout=self.timeout,
            )
            return await self.client.send(request)
        except Exception as error:
            if by_class(error, "httpx.HTTPError", "httpx2.HTTPError"):
                raise ConnectionFailed from error
            raise


class RunClient(HttpxAiohttpClient):
    """The HTTP client of a run's models, whose plain requests need not go through all of `httpx`."""

    def session(self) -> aiohttp.ClientSession | None:
        """Return what it sends with; None where a proxy stands between, which `httpx` chooses by the address."""
        transport = self._transport
        if any(self._mounts.values()) or not isinstance(transport, AiohttpTransport):
            return None
        if not isinstance(transport.client, aiohttp.ClientSession):
            transport.client = transport.get_client()
        return transport.client


@dataclass(frozen=True)
class _Answer:
    """An answer as it came, with the names that `httpx` has for its parts."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    def whole(self) -> httpx.Response:
        """Return it as a response of `httpx`."""
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in _OF_THE_BYTES]
        return httpx.Response(self.status_code, headers=headers, content=self.content)


async def _posted(session: aiohttp.ClientSession, to: Connection, content: bytes) -> _Answer:
    """Post a body without more of `httpx` than its errors."""
    timeout = aiohttp.ClientTimeout(sock_connect=to.timeout, sock_read=to.timeout, connect=to.timeout)
    with map_aiohttp_exceptions():
        async with session.post(
            to.url,
            params=to.query or None,
            headers=to.headers,
            data=content,
            timeout=timeout,
            allow_redirects=False,
        ) as response:
            return _Answer(response.status, response.headers, await response.read())


class Chat(BaseChatModel):
    """A model of an OpenAI-compatible server."""

    model_config = ConfigDict(populate_by_name=True)

    model_name: str = Field(alias="model")
    openai_api_base: str | None = Field(default=None, alias="base_url")
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = Field(default=None, alias="max_completion_tokens")
    extra_body: Mapping[str, Any] | None = None
    streaming: bool = False
    stream_usage: bool = True
    _connection: Connection = PrivateAttr()

    @classmethod
    def at(cls, connection: Connection, **settings: Any) -> Chat:
        """Return a model with these settings that sends over a connection."""
        made = cls(**settings)
        made._connection = connection
        return made

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        body = self._body(messages, stop, kwargs)
        if body is None:
            return await (await self._library())._agenerate(messages, stop, run_manager, **kwargs)  # type: ignore[no-any-return]
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        answer = await self._connection.send(content)
        completion = plain_completion(answer)
        if completion is not None and completion["service_tier"] not in _PRICED:
            return self._result(completion)
        if isinstance(answer, _Answer):
            answer = answer.whole()
        if answer.status_code >= 400:
            raise RequestRefused(answer)
        library = await self._library()
        result: ChatResult = await library.read_answer(answer, messages, stop, run_manager, **kwargs)
        return result

    def _body(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Return a request's body; None where it has what only the library knows to send."""
        if stop is not None or not _WRITTEN.issuperset(kwargs) or self.streaming:
            return None
        turns: list[dict[str, Any]] = []
        developer = re.match(r"o\d", self.model_name) is not None  # what the first models that reason call it
        for message in messages:
            role = _ROLES.get(message.type)
            if role is None or type(message.content) is not str or message.name is not None:
                return None
            if message.additional_kwargs or (
                isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls)
            ):
                return None
            turns.append({"content": message.content, "role": "developer" if developer and role == "system" else role})
        seed = {"seed": kwargs["seed"]} if "seed" in kwargs else {}
        return {**self._default_params, **seed, "messages": turns, **(kwargs.get("extra_body", self.extra_body) or {})}

    def _result(self, completion: Mapping[str, Any]) -> ChatResult:
        """Return a plain completion as LangChain's model does, with what a gateway says beside a choice."""
        usage = completion.get("usage")
        generations: list[ChatGeneration] = []
        for choice in completion["choices"]:
            reported = choice["message"]
            message = AIMessage(content=reported.get("content") or "", id=reported.get("id"), name=reported.get("name"))
            if usage:
                message.usage_metadata = _counted(usage)
            for name in REASONING:
                if isinstance(text := reported.get(name), str):
                    message.additional_kwargs[name] = text
            info = {"finish_reason": choice.get("finish_reason"), "logprobs": choice["logprobs"]}
            if error := choice.get("error"):
                info["error"] = error
            generations.append(ChatGeneration(message=message, generation_info=info))
        first = completion["choices"][0]["message"]
        generations[0].message.additional_kwargs["refusal"] = first.get("refusal")
        output = {
            "token_usage": usage,
            "model_provider": "openai",
            "model_name": completion.get("model", self.model_name),
            "system_fingerprint": completion["system_fingerprint"],
        }
        output |= {"id": completion["id"]} if "id" in completion else {}
        output |= {"service_tier": completion["service_tier"]} if completion["service_tier"] else {}
        return ChatResult(generations=generations, llm_output=output)

    # What the library does as ever

    async def _library(self) -> Any:
        """Return the library's model with today's fields. Its import takes a while, so it is no event loop's."""
        if not self._connection.made:
            await asyncio.to_thread(self._connection.library_model)
        return self._library_now()

    def _library_now(self) -> Any:
        names = ("temperature", "top_p", "max_tokens", "extra_body", "streaming", "stream_usage", "disable_streaming")
        return self._connection.library_model().model_copy(update={name: getattr(self, name) for name in names})

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        library = await self._library()
        async for chunk in library._astream(messages, stop=stop, run_manager=run_manager, **kwargs):
            yield chunk

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._library_now()._stream(messages, stop=stop, run_manager=run_manager, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result: ChatResult = self._library_now()._generate(messages, stop, run_manager, **kwargs)
        return result

    def bind_tools(self, tools: Any, **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to the library's model."""
        bound: Runnable[LanguageModelInput, AIMessage] = self._library_now().bind_tools(tools, **kwargs)
        return bound

    def with_structured_output(self, schema: Any, **kwargs: Any) -> Runnable[LanguageModelInput, Any]:
        """Return the library's model with structured output."""
        bound: Runnable[LanguageModelInput, Any] = self._library_now().with_structured_output(schema, **kwargs)
        return bound

    # What traces know of a model

    @property
    def _llm_type(self) -> str:
        return "openai-chat"

    @property
    def _default_params(self) -> dict[str, Any]:
        given = {
            "top_p": self.top_p,
            "extra_body": None,
            "temperature": self.temperature,
            "max_completion_tokens": self.max_tokens,
        }
        params = {name: value for name, value in given.items() if value is not None}
        return {"model": self.model_name, "stream": self.streaming, **params}

    @property
    def _identifying_params(self) -> dict[str, Any]:
        body = {"extra_body": self.extra_body} if self.extra_body is not None else {}
        return {"model_name": self.model_name, **self._default_params, **body}

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        kind = {"_type": self._llm_type}
        return {"model": self.model_name, "stop": stop, **self._identifying_params, **kind, **kwargs}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = LangSmithParams(
            ls_provider="openai",
            ls_model_name=kwargs.get("model", self.model_name),
            ls_model_type="chat",
            ls_temperature=kwargs.get("temperature", self.temperature),
        )
        if longest := kwargs.get("max_tokens", self.max_tokens):
            params["ls_max_tokens"] = longest
        if stop:
            params["ls_stop"] = stop
        return params

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        if len(llm_outputs) != 1:
            combined: dict[str, Any] = self._library_now()._combine_llm_outputs(llm_outputs)
            return combined
        output = llm_outputs[0] or {}
        usage = {name: value for name, value in (output.get("token_usage") or {}).items() if value is not None}
        fingerprint = output.get("system_fingerprint")
        return {"token_usage": usage, "model_name": self.model_name} | (
            {"system_fingerprint": fingerprint} if fingerprint else {}
        )

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain may write it into a trace: its key is no field of it."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return the place by which traces know such models."""
        return ["langchain", "chat_models", "openai"]


# LangChain looks for a parameter of this method before every call: what is found once is not worked out again.
Chat._agenerate.__signature__ = inspect.signature(Chat._agenerate)  # type: ignore[attr-defined]


def _counted(usage: Mapping[str, Any]) -> UsageMetadata:
    """Return a completion's token counts in LangChain's names."""
    read, written = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    of_prompt = {
        "audio": read.get("audio_tokens"),
        "cache_read": read.get("cached_tokens"),
        "cache_creation": read.get("cache_write_tokens"),
    }
    of_reply = {"audio": written.get("audio_tokens"), "reasoning": written.get("reasoning_tokens")}
    given: Any = {name: value for name, value in of_prompt.items() if value is not None}
    said: Any = {name: value for name, value in of_reply.items() if value is not None}
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
        input_token_details=cast("InputTokenDetails", given),
        output_token_details=cast("OutputTokenDetails", said),
    )
