"""Chat models of OpenAI-compatible servers: LangChain's, without the environment's settings, with more of each reply.

Imported when a run has a role at such a server: the libraries below take a third of a second of processor time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import SecretStr

from autodata.checkpoints.errors import UserError
from autodata.models.beside import REASONING
from autodata.models.config import ModelSettings
from autodata.models.direct import Direct

OPENAI = "https://api.openai.com/v1"
CUSTOM_HEADERS = "OPENAI_CUSTOM_HEADERS"
OPENAI_HOSTS = frozenset({"api.openai.com", "eu.api.openai.com", "us.api.openai.com"})


def new_client() -> openai.DefaultAioHttpClient:
    """Return the HTTP client that all models of a run share."""
    return openai.DefaultAioHttpClient()


class _Whole:
    """Keeps what LangChain leaves out of a reply.

    A gateway's words beside a choice that it could not finish, `"error": {"message": ...}`, and the text of reasoning,
    which may be all that was written.
    """

    def _create_chat_result(
        self, response: dict[str, Any] | openai.BaseModel, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result: ChatResult = super()._create_chat_result(response, generation_info)  # type: ignore[misc]
        body = response if isinstance(response, dict) else response.model_dump(warnings=False)
        for choice, generation in zip(body.get("choices") or [], result.generations, strict=False):
            if error := choice.get("error"):
                generation.generation_info = {**(generation.generation_info or {}), "error": error}
            _keep_reasoning(generation.message, choice.get("message"))
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        made: ChatGenerationChunk | None = super()._convert_chunk_to_generation_chunk(  # type: ignore[misc]
            chunk, default_chunk_class, base_generation_info
        )
        if made is not None and (choices := chunk.get("choices")):
            _keep_reasoning(made.message, choices[0].get("delta"))
        return made


class Chat(_Whole, Direct, ChatOpenAI):
    """A model of an OpenAI-compatible server."""


class AzureChat(_Whole, Direct, AzureChatOpenAI):
    """A deployment of Azure OpenAI."""


class StockChat(_Whole, ChatOpenAI):
    """The same, with every request sent by OpenAI's library."""


class StockAzureChat(_Whole, AzureChatOpenAI):
    """The same."""


def _keep_reasoning(message: BaseMessage, reported: Any) -> None:
    for name in REASONING:
        if isinstance(reported, Mapping) and isinstance(text := reported.get(name), str):
            message.additional_kwargs[name] = text


def openai_chat(
    role: str,
    settings: ModelSettings,
    base_url: str | None,
    client: openai.DefaultAioHttpClient,
    *,
    key: str,
    headers: Mapping[str, str],
    options: Mapping[str, Any],
) -> BaseChatOpenAI:
    """Return the chat model of a role at an OpenAI-compatible server, or at Azure; `options` go into every body."""
    own = base_url is not None and not _is_openai(base_url)
    # Servers of one's own know `max_tokens`; api.openai.com's newer models only `max_completion_tokens`. What is
    # refused is sent by its other name (`models/dialect.py`).
    body = {**settings.extra_body, **({"max_tokens": settings.max_tokens} if own else {}), **options}
    arguments: dict[str, Any] = {
        "model": settings.model,
        "api_key": SecretStr(key),
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_completion_tokens": None if own else settings.max_tokens,
        "timeout": settings.timeout,
        "max_retries": 0,
        "extra_body": body or None,
        "http_async_client": client,
        "use_responses_api": False,
        "stream_usage": True,  # else LangChain leaves it off wherever an address is given, and streams count no tokens
        "default_headers": dict(headers) or None,
        "default_query": dict(settings.query) or None,
        "openai_proxy": "",  # the client's own proxies are those of every program, HTTPS_PROXY say, not OPENAI_PROXY
    }
    direct = settings.client == "direct"
    chat: BaseChatOpenAI
    if settings.azure:
        chat = (AzureChat if direct else StockAzureChat)(
            azure_endpoint=(settings.base_url or "").rstrip("/"),
            azure_deployment=settings.azure.deployment or settings.model,
            api_version=settings.azure.api_version,
            azure_ad_token=None,
            **arguments,
        )
    else:  # said outright: OPENAI_BASE_URL and OPENAI_API_BASE would send documents elsewhere
        chat = (Chat if direct else StockChat)(base_url=base_url or OPENAI, **arguments)
    keep_to_itself(role, chat, key_is_meant=True)
    return chat


def keep_to_itself(role: str, model: BaseChatModel, *, key_is_meant: bool) -> None:
    """Take from a chat model what OpenAI's libraries read from the environment, unless it is for OpenAI itself.

    Account names (OPENAI_ORG_ID, OPENAI_PROJECT_ID) and headers go to no other host, nor does OPENAI_API_KEY, unless
    the configuration names it. Raises UserError where a provider would send that key elsewhere.
    """
    for client in (getattr(model, "root_async_client", None), getattr(model, "root_client", None)):
        if isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
            _client_keeps_to_itself(role, client, key_is_meant=key_is_meant)


def _client_keeps_to_itself(role: str, client: openai.OpenAI | openai.AsyncOpenAI, *, key_is_meant: bool) -> None:
    if _is_openai(str(client.base_url)):
        return
    client.organization = client.project = client.admin_api_key = None
    named = {line.partition(":")[0].strip().lower() for line in os.environ.get(CUSTOM_HEADERS, "").splitlines()}
    client._custom_headers = {k: v for k, v in client._custom_headers.items() if k.lower() not in named}
    if (key := os.environ.get("OPENAI_API_KEY")) and client.api_key == key and not key_is_meant:
        host = urlsplit(str(client.base_url)).hostname
        raise UserError(f"models.{role}: OPENAI_API_KEY would be sent to {host}: set models.{role}.api_key_env")


def openai_client(
    role: str,
    settings: ModelSettings,
    base_url: str,
    http: openai.DefaultAioHttpClient,
    *,
    key: str,
    headers: Mapping[str, str],
) -> openai.AsyncOpenAI:
    """Return a client of an address for what is no chat, with these settings and nothing from the environment."""
    client = openai.AsyncOpenAI(
        api_key=key,
        base_url=base_url,
        timeout=settings.timeout,
        max_retries=0,
        default_headers=dict(headers) or None,
        default_query=dict(settings.query) or None,
        http_client=http,
    )
    _client_keeps_to_itself(role, client, key_is_meant=True)
    return client


def _is_openai(base_url: str) -> bool:
    return (urlsplit(base_url).hostname or "").lower() in OPENAI_HOSTS
