"""From settings to chat models: one factory for every provider, one HTTP client for all of a run."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.language_models import BaseChatModel

from autodata.checkpoints.errors import UserError
from autodata.models.config import ModelSettings, variables_in
from autodata.models.endpoint import Endpoint
from autodata.models.faults import by_class
from autodata.models.known_secrets import remember_secret
from autodata.models.role_model import RoleModel
from autodata.models.simulated.chat_model import SimulatedChatModel
from autodata.models.simulated.world import World
from autodata.models.slots import address_of

if TYPE_CHECKING:
    import httpx
    import openai

OPENAI_LIKE = frozenset({"openai", "local"})

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

    clients: list[httpx.AsyncClient] = field(default_factory=list)
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
            clients.append(await stack.enter_async_context(_openai_chat().new_client()))
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
            chat: BaseChatModel = _openai_chat().openai_chat(
                role,
                settings,
                base_url,
                clients[0],
                key="none" if settings.provider == "local" else _key(role, settings),
                headers=_headers(role, settings),
                options=_effort(settings),
            )
        elif settings.provider == "simulated":
            chat = SimulatedChatModel(solver=settings.model, world=world or World(), max_tokens=settings.max_tokens)
        else:
            chat = _other(role, settings)
        sends_seed = settings.send_seed and settings.provider in {*OPENAI_LIKE, "simulated"}
        connected[role] = RoleModel(settings, chat, endpoints[where], sends_seed)
    return connected


def _openai_chat() -> Any:
    """Return what makes models of OpenAI-compatible servers: its libraries are not imported where no role has one."""
    return importlib.import_module("autodata.models.openai_chat")


def _headers(role: str, settings: ModelSettings) -> dict[str, str]:
    """Return the headers of a role with its variables filled in. Raises UserError for one that is not set."""
    found: dict[str, str] = {}
    for name, value in settings.headers.items():
        for variable in sorted(variables_in(value), key=len, reverse=True):
            value = value.replace(f"${variable}", _secret(role, variable))  # noqa: PLW2901 - filled in step by step
        found[name] = value
    return found


def openai_client(role: str, settings: ModelSettings, base_url: str, http: httpx.AsyncClient) -> openai.AsyncOpenAI:
    """Return a client of an address for what is no chat, with the keys and headers of the settings and no others.

    Raises UserError for a variable that is not set.
    """
    key = "none" if settings.provider == "local" else _key(role, settings)
    client: openai.AsyncOpenAI = _openai_chat().openai_client(
        role, settings, base_url, http, key=key, headers=_headers(role, settings)
    )
    return client


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
    except Exception as error:
        if not (isinstance(error, ImportError | ValueError) or by_class(error, "openai.OpenAIError")):
            raise
        raise UserError(f"models.{role}.provider {settings.provider!r}: {_why(error, settings.provider)}") from error
    if not isinstance(model, BaseChatModel):
        raise UserError(f"models.{role}: {settings.provider}:{settings.model} is no chat model")
    _openai_chat().keep_to_itself(role, model, key_is_meant=settings.api_key_env is not None)
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
    remember_secret(key)
    return key
