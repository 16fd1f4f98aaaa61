"""Requests of a deployment of Azure sent and read below OpenAI's library, which takes most of a call's processor time.

OpenAI's library says where a request goes and with which headers, once a model. From then on the body is written, sent
by the same HTTP client, and a plain completion is read, all here. Whatever else comes back, an error, a body that is no
completion, an answer with tools, is handed to the library, as if it had received it: what it makes of it is the same.
Streams are its own as ever.
"""

from __future__ import annotations

import json
import sys
from copy import copy
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult

from autodata.models.plain_answers import plain_completion

_OF_ITS_OWN: Final = frozenset({"extra_headers", "extra_query", "timeout", "response_format", "input"})
"""Fields of a request that only OpenAI's library knows how to send."""
_OF_THE_CONNECTION: Final = frozenset({"host", "content-length"})
_OF_THE_BYTES: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of an answer that no longer hold once its body is unpacked."""


@dataclass(frozen=True)
class _Envelope:
    """What a model's requests have in common."""

    client: Any
    """The HTTP client: of `httpx2`, or of `httpx` where the caller made it so."""
    url: Any
    headers: list[tuple[str, str]]
    extensions: dict[str, Any]


_ENVELOPES: Final[WeakKeyDictionary[openai.AsyncOpenAI, _Envelope]] = WeakKeyDictionary()
"""By OpenAI's client, which copies of a model share."""


class Direct:
    """Mixin, before a chat model of LangChain's: its whole replies are asked for below OpenAI's library."""

    async def _agenerate(
        self: Any,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        payload = self._get_request_payload(messages, stop=stop, **kwargs)
        if self.include_response_headers or not _OF_ITS_OWN.isdisjoint(payload):
            return await _stock(self, messages, stop, run_manager, **kwargs)
        root = self.root_async_client
        envelope = _ENVELOPES.get(root) or await _learned(root, self.model_name)
        body = payload | dict(payload.pop("extra_body", None) or {})
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        request = envelope.client.build_request(
            "POST", envelope.url, headers=envelope.headers, content=content, extensions=envelope.extensions
        )
        try:
            answer = await envelope.client.send(request)
        except Exception as error:  # noqa: BLE001 - OpenAI's library says what it means
            received: Any = error
        else:
            received = answer
            if (completion := plain_completion(answer)) is not None:
                result: ChatResult = self._create_chat_result(completion)
                refusal = completion["choices"][0]["message"].get("refusal")
                result.generations[0].message.additional_kwargs["refusal"] = refusal
                return result
        return await _stock(having_received(self, received), messages, stop, run_manager, **kwargs)


def having_received(model: Any, received: Any) -> Any:
    """Return a copy of a model of the library's whose next request ends in this answer or error."""
    again = _as_received(model.root_async_client, received)
    return model.model_copy(update={"root_async_client": again, "async_client": again.chat.completions})


async def _stock(model: Any, *args: Any, **kwargs: Any) -> ChatResult:
    """Ask a model as LangChain does."""
    result: ChatResult = await super(Direct, model)._agenerate(*args, **kwargs)
    return result


async def _learned(root: openai.AsyncOpenAI, model: str) -> _Envelope:
    """Learn from OpenAI's library, without sending anything, how a client's requests go out."""
    seen: list[Any] = []

    def note(request: Any, library: Any) -> Any:
        seen.append(request)
        return library.Response(200, json={"choices": []})

    await _answered_by(root, note).chat.completions.with_raw_response.create(model=model, messages=[])
    headers = [(name, value) for name, value in seen[0].headers.multi_items() if name not in _OF_THE_CONNECTION]
    envelope = _Envelope(root._client, seen[0].url, headers, dict(seen[0].extensions))
    _ENVELOPES[root] = envelope
    return envelope


def _as_received(root: openai.AsyncOpenAI, received: Any) -> Any:
    """Return a client of OpenAI's library whose next request ends in this answer or error."""

    def again(request: Any, library: Any) -> Any:
        if isinstance(received, Exception):
            raise received
        headers = [(name, value) for name, value in received.headers.multi_items() if name not in _OF_THE_BYTES]
        return library.Response(received.status_code, headers=headers, content=received.content)

    return _answered_by(root, again)


def _answered_by(root: openai.AsyncOpenAI, answer: Any) -> Any:
    """Return a client of OpenAI's library whose every request is answered in this process."""
    http = next(one for one in type(root._client).__mro__ if one.__name__ == "AsyncClient")
    library: Any = sys.modules[http.__module__.partition(".")[0]]  # httpx2, or httpx where the caller made it so
    transport = library.MockTransport(lambda request: answer(request, library))
    made = copy(root)  # its own `copy` would read account names from the environment again
    made.__dict__.pop("chat", None)
    made._client = library.AsyncClient(transport=transport, headers=root._client.headers, trust_env=False)
    return made
