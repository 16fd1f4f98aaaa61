"""Chat models of OpenAI-compatible servers: ours, or LangChain's; neither takes settings from the environment.

Imported when a run has a role at such a server. OpenAI's library and LangChain's models of it are imported where a role
needs them: it has `client = "langchain"`, is at Azure, or is no chat.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from autodata.checkpoints.errors import UserError
from autodata.models.chat import Chat, Connection, RunClient
from autodata.models.config import ModelSettings

if TYPE_CHECKING:
    import openai

OPENAI = "https://api.openai.com/v1"
CUSTOM_HEADERS = "OPENAI_CUSTOM_HEADERS"
OPENAI_HOSTS = frozenset({"api.openai.com", "eu.api.openai.com", "us.api.openai.com"})
ACCOUNT_HEADERS = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
"""Names of an account, which only OpenAI's own hosts get, with the variables that hold them."""
CONNECTIONS = 1000


def new_client() -> httpx.AsyncClient:
    """Return the HTTP client that all models of a run share."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return RunClient(timeout=600, limits=limits, follow_redirects=True)


def openai_chat(
    role: str,
    settings: ModelSettings,
    base_url: str | None,
    client: httpx.AsyncClient,
    *,
    key: str,
    headers: Mapping[str, str],
    options: Mapping[str, Any],
) -> BaseChatModel:
    """Return the chat model of a role at an OpenAI-compatible server, or at Azure; `options` go into every body."""
    own = base_url is not None and not _is_openai(base_url)
    # Servers of one's own know `max_tokens`; api.openai.com's newer models only `max_completion_tokens`. What is
    # refused is sent by its other name (`models/dialect.py`).
    body = {**settings.extra_body, **({"max_tokens": settings.max_tokens} if own else {}), **options}
    shared: dict[str, Any] = {
        "model": settings.model,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_completion_tokens": None if own else settings.max_tokens,
        "extra_body": body or None,
        "stream_usage": True,  # else LangChain leaves it off wherever an address is given, and streams count no tokens
    }
    of_library: dict[str, Any] = {
        **shared,
        "api_key": SecretStr(key),
        "timeout": settings.timeout,
        "max_retries": 0,
        "http_async_client": client,
        "use_responses_api": False,
        "default_headers": dict(headers) or None,
        "default_query": dict(settings.query) or None,
        "openai_proxy": "",  # the client's own proxies are those of every program, HTTPS_PROXY say, not OPENAI_PROXY
    }
    address = base_url or OPENAI  # said outright: OPENAI_BASE_URL and OPENAI_API_BASE would send documents elsewhere
    direct = settings.client == "direct"
    if settings.azure:
        azure = {
            "azure_endpoint": (settings.base_url or "").rstrip("/"),
            "azure_deployment": settings.azure.deployment or settings.model,
            "api_version": settings.azure.api_version,
            "azure_ad_token": None,
        }
        return _library_model(role, of_library, azure=azure, direct=direct)
    of_library["base_url"] = address
    if not direct or urlsplit(address).query or (_is_openai(address) and os.environ.get(CUSTOM_HEADERS)):
        return _library_model(role, of_library)
    connection = Connection(
        client,
        f"{address.rstrip('/')}/chat/completions",
        settings.query,
        _headers(address, key, headers),
        settings.timeout,
        partial(_library_model, role, of_library),
    )
    return Chat.at(connection, base_url=address, **shared)


def _headers(address: str, key: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a role's requests; those of the configuration, which come last, replace ours."""
    found = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"autodata/{version('autodata-langgraph')}",
        "Authorization": f"Bearer {key}",
    }
    if _is_openai(address):
        found |= {name: value for name, variable in ACCOUNT_HEADERS.items() if (value := os.environ.get(variable))}
    replaced = {name.lower() for name in headers}
    return {name: value for name, value in found.items() if name.lower() not in replaced} | dict(headers)


def _library_model(
    role: str, arguments: Mapping[str, Any], *, azure: Mapping[str, Any] | None = None, direct: bool = False
) -> BaseChatModel:
    library = importlib.import_module("autodata.models.openai_library")
    model: BaseChatModel = library.library_chat(direct=direct, azure=azure, **arguments)
    keep_to_itself(role, model, key_is_meant=True)
    return model


def keep_to_itself(role: str, model: BaseChatModel, *, key_is_meant: bool) -> None:
    """Take from a chat model what OpenAI's libraries read from the environment, unless it is for OpenAI itself.

    Account names (OPENAI_ORG_ID, OPENAI_PROJECT_ID) and headers go to no other host, nor does OPENAI_API_KEY, unless
    the configuration names it. Raises UserError where a provider would send that key elsewhere.
    """
    library = sys.modules.get("openai")  # a model that has a client of it has imported it
    if library is None:
        return
    for client in (getattr(model, "root_async_client", None), getattr(model, "root_client", None)):
        if isinstance(client, library.OpenAI | library.AsyncOpenAI):
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
    http: Any,
    *,
    key: str,
    headers: Mapping[str, str],
) -> openai.AsyncOpenAI:
    """Return a client of an address for what is no chat, with these settings and nothing from the environment."""
    client: openai.AsyncOpenAI = importlib.import_module("openai").AsyncOpenAI(
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
