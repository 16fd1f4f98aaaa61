"""From settings to chat models: one factory for every provider, one HTTP client for all of a run."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol
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
from autodata.models.config import ModelSettings, variables_in
from autodata.models.direct import Direct
from autodata.models.endpoint import Endpoint, RoleModel, address_of
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.simulated.world import World

OPENAI_LIKE = frozenset({"openai", "local"})
OPENAI = "https://api.openai.com/v1"
CUSTOM_HEADERS = "OPENAI_CUSTOM_HEADERS"
OPENAI_HOSTS = frozenset({"api.openai.com", "eu.api.openai.com", "us.api.openai.com"})


_PACKAGES = {
    "anthropic_bedrock": "langchain-aws",
    "azure_openai": "langchain-openai",
    "bedrock": "langchain-aws",
    "bedrock_converse": "langchain-aws",
    "google_anthropic_vertex": "langchain-google-vertexai",
    "nvidia": "langchain-nvidia-ai-endpoints",
}
"""The packages of LangChain's providers that are not called by the provider's name."""
_OPENAI_LIKE_AT = 'use provider = "openai" with base_url = '
_INSTEAD = {
    "azure": 'use provider = "openai" with azure = {endpoint = "https://NAME.openai.azure.com"}',
    "gemini": f'{_OPENAI_LIKE_AT}"https://generativelanguage.googleapis.com/v1beta/openai", or "google_genai"',
    "google": f'{_OPENAI_LIKE_AT}"https://generativelanguage.googleapis.com/v1beta/openai", or "google_genai"',
    "vllm": f"{_OPENAI_LIKE_AT}its address, which ends in /v1",
    "llamacpp": f"{_OPENAI_LIKE_AT}its address, which ends in /v1",
    "llama.cpp": f"{_OPENAI_LIKE_AT}its address, which ends in /v1",
    "lmstudio": f'{_OPENAI_LIKE_AT}"http://localhost:1234/v1"',
    "lm_studio": f'{_OPENAI_LIKE_AT}"http://localhost:1234/v1"',
}
"""What to write for names that are no provider's."""


class Serving(Protocol):
    """Starts local model servers: see `autodata.models.local.llama_server`."""

    async def base_url(self, model: str) -> str:
        """Return the address of a server for a model's name or file, started if need be."""


def require_keys(roles: Mapping[str, ModelSettings]) -> None:
    """Raise UserError when a role's key variable is not set: before anything is spent."""
    for role, settings in roles.items():
        if settings.azure and not settings.base_url:
            raise UserError(
                f"models.{role}.azure: set models.{role}.base_url to the resource's root, https://NAME.openai.azure.com"
            )
        if settings.provider == "openai":
            _key(role, settings)
        _headers(role, settings)


@dataclass
class Pool:
    """What several calls of `connect` may share: one HTTP client, and the endpoints known so far."""

    clients: list[openai.DefaultAioHttpClient] = field(default_factory=list)
    endpoints: dict[tuple[str, str, str], Endpoint] = field(default_factory=dict)

    def forget_down(self) -> None:
        """Drop the endpoints that were given up: the next `connect` makes them anew."""
        self.endpoints = {where: endpoint for where, endpoint in self.endpoints.items() if endpoint.down is None}


async def connect(
    roles: Mapping[str, ModelSettings],
    stack: AsyncExitStack,
    *,
    serving: Serving | None = None,
    world: World | None = None,
    pool: Pool | None = None,
) -> dict[str, RoleModel]:
    """Build the chat model of every role. Clients are closed with `stack`.

    Roles that share provider, address and model share one Endpoint: its slots, its breaker and its wire format; those
    of calls with the same `pool` and `stack` do, too. Raises UserError for a provider that is not installed, a missing
    key, or a local model without a server.
    """
    pool = pool or Pool()
    clients, endpoints = pool.clients, pool.endpoints
    connected: dict[str, RoleModel] = {}
    for role, settings in roles.items():
        base_url = settings.address
        if settings.provider == "local":
            if serving is None:
                raise UserError(f"models.{role}: provider 'local' needs a local server and none can be started here")
            base_url = await serving.base_url(settings.model)
        if settings.provider in OPENAI_LIKE and not clients:
            clients.append(await stack.enter_async_context(new_client()))
        where = (settings.provider, address_of(base_url, settings.query), settings.model)
        if where not in endpoints:
            name = f"{settings.model} at {base_url}" if base_url else f"{settings.provider}:{settings.model}"
            endpoints[where] = Endpoint(
                name,
                settings.max_concurrency,
                structured=settings.provider in OPENAI_LIKE,
                local=settings.provider == "local",
            )
        # Roles come one by one, and some only with a later call: the least of them counts from then on.
        endpoints[where].slots.narrow(settings.max_concurrency)
        if settings.provider in OPENAI_LIKE:
            chat: BaseChatModel = _openai(role, settings, base_url, clients[0])
        elif settings.provider == "simulated":
            chat = SimulatedChatModel(solver=settings.model, world=world or World(), max_tokens=settings.max_tokens)
        else:
            chat = _other(role, settings)
        sends_seed = settings.send_seed and settings.provider in {*OPENAI_LIKE, "simulated"}
        connected[role] = RoleModel(settings, chat, endpoints[where], sends_seed)
    return connected


def new_client() -> openai.DefaultAioHttpClient:
    """Return the HTTP client that all models of a run share."""
    return openai.DefaultAioHttpClient()


class _Told:
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


class _Chat(_Told, Direct, ChatOpenAI):
    """A model of an OpenAI-compatible server."""


class _AzureChat(_Told, Direct, AzureChatOpenAI):
    """A deployment of Azure OpenAI."""


class _StockChat(_Told, ChatOpenAI):
    """The same, with every request sent by OpenAI's library."""


class _StockAzureChat(_Told, AzureChatOpenAI):
    """The same."""


def _keep_reasoning(message: BaseMessage, reported: Any) -> None:
    for name in REASONING:
        if isinstance(reported, Mapping) and isinstance(text := reported.get(name), str):
            message.additional_kwargs[name] = text


def _openai(
    role: str, settings: ModelSettings, base_url: str | None, client: openai.DefaultAioHttpClient
) -> BaseChatOpenAI:
    own = base_url is not None and not _is_openai(base_url)
    # Servers of one's own know `max_tokens`; api.openai.com's newer models only `max_completion_tokens`. What is
    # refused is sent by its other name (`models/dialect.py`).
    body = {**settings.extra_body, **({"max_tokens": settings.max_tokens} if own else {}), **_effort(settings)}
    options: dict[str, Any] = {
        "model": settings.model,
        "api_key": SecretStr("none" if settings.provider == "local" else _key(role, settings)),
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_completion_tokens": None if own else settings.max_tokens,
        "timeout": settings.timeout,
        "max_retries": 0,
        "extra_body": body or None,
        "http_async_client": client,
        "use_responses_api": False,
        "stream_usage": True,  # else LangChain leaves it off wherever an address is given, and streams count no tokens
        "default_headers": _headers(role, settings) or None,
        "default_query": dict(settings.query) or None,
        "openai_proxy": "",  # the client's own proxies are those of every program, HTTPS_PROXY say, not OPENAI_PROXY
    }
    direct = settings.client == "direct"
    chat: BaseChatOpenAI
    if settings.azure:
        chat = (_AzureChat if direct else _StockAzureChat)(
            azure_endpoint=(settings.base_url or "").rstrip("/"),
            azure_deployment=settings.azure.deployment or settings.model,
            api_version=settings.azure.api_version,
            azure_ad_token=None,
            **options,
        )
    else:  # said outright: OPENAI_BASE_URL and OPENAI_API_BASE would send documents elsewhere
        chat = (_Chat if direct else _StockChat)(base_url=base_url or OPENAI, **options)
    _keep_to_itself(role, chat, key_is_meant=True)
    return chat


def _headers(role: str, settings: ModelSettings) -> dict[str, str]:
    """Return the headers of a role with its variables filled in. Raises UserError for one that is not set."""
    found: dict[str, str] = {}
    for name, value in settings.headers.items():
        for variable in sorted(variables_in(value), key=len, reverse=True):
            value = value.replace(f"${variable}", _secret(role, variable))  # noqa: PLW2901 - filled in step by step
        found[name] = value
    return found


def _keep_to_itself(role: str, model: BaseChatModel, *, key_is_meant: bool) -> None:
    """Take from a chat model what OpenAI's libraries read from the environment, unless it is for OpenAI itself.

    Account names (OPENAI_ORG_ID, OPENAI_PROJECT_ID) and headers go to no other host, nor does OPENAI_API_KEY, unless
    the configuration names it. Raises UserError where a provider would send that key elsewhere.
    """
    for client in (getattr(model, "root_async_client", None), getattr(model, "root_client", None)):
        if not isinstance(client, openai.OpenAI | openai.AsyncOpenAI) or _is_openai(str(client.base_url)):
            continue
        client.organization = client.project = client.admin_api_key = None
        named = {line.partition(":")[0].strip().lower() for line in os.environ.get(CUSTOM_HEADERS, "").splitlines()}
        client._custom_headers = {k: v for k, v in client._custom_headers.items() if k.lower() not in named}
        if (key := os.environ.get("OPENAI_API_KEY")) and client.api_key == key and not key_is_meant:
            host = urlsplit(str(client.base_url)).hostname
            raise UserError(f"models.{role}: OPENAI_API_KEY would be sent to {host}: set models.{role}.api_key_env")


def _is_openai(base_url: str) -> bool:
    return (urlsplit(base_url).hostname or "").lower() in OPENAI_HOSTS


def _other(role: str, settings: ModelSettings) -> BaseChatModel:
    options: dict[str, Any] = {"max_tokens": settings.max_tokens, **settings.extra_body, **_effort(settings)}
    for name in ("temperature", "top_p", "base_url"):
        if (value := getattr(settings, name)) is not None:
            options[name] = value
    if settings.api_key_env:
        options["api_key"] = _key(role, settings)
    if settings.headers:
        options["default_headers"] = _headers(role, settings)
    if settings.query:
        raise UserError(f"models.{role}.query: only provider 'openai' takes it")
    try:
        factory = importlib.import_module("langchain.chat_models").init_chat_model
        model = factory(settings.model, model_provider=settings.provider, **options)
    except (ImportError, ValueError, openai.OpenAIError) as error:
        raise UserError(f"models.{role}.provider {settings.provider!r}: {_why(error, settings.provider)}") from error
    if not isinstance(model, BaseChatModel):
        raise UserError(f"models.{role}: {settings.provider}:{settings.model} is no chat model")
    _keep_to_itself(role, model, key_is_meant=settings.api_key_env is not None)
    return model


def _effort(settings: ModelSettings) -> dict[str, str]:
    return {"reasoning_effort": settings.reasoning_effort} if settings.reasoning_effort else {}


def _why(error: Exception, provider: str) -> str:
    """Return why a LangChain provider cannot be used, and what to do."""
    said = " ".join(str(error).split())
    if isinstance(error, ImportError):
        return f"{said} (perhaps: pip install langchain {_PACKAGES.get(provider, _package(provider))})"
    if not said.startswith("Unsupported provider"):
        return said
    known = re.findall(r"\w+", said.partition("are:")[2])
    if provider in _INSTEAD:
        return f"LangChain knows none of that name: {_INSTEAD[provider]}"
    near = difflib.get_close_matches(provider, known, n=1)
    use = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(known)}"
    return f"LangChain knows none of that name: {use}"


def _package(provider: str) -> str:
    return f"langchain-{provider.replace('_', '-')}"


def _key(role: str, settings: ModelSettings) -> str:
    variable = settings.key_variable
    return "none" if variable is None else _secret(role, variable)


def _secret(role: str, variable: str) -> str:
    """Return the value of a variable that holds a key, without the line break that a file or a paste puts behind it.

    Raises UserError where it is not set, or holds what cannot be sent.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"models.{role}: the environment variable {variable} is not set: export {variable}=...")
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise UserError(
            f"models.{role}: {variable} holds a space, a line break or a letter that no key has: export it again,"
            " the key alone"
        )
    return key
