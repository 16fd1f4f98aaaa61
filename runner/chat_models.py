"""Models that a caller gives in code: settings, `provider:model`, or LangChain chat models."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from langchain_core.language_models import BaseChatModel

from autodata.checkpoints.errors import UserError
from autodata.models.config import OWN, ModelSettings
from autodata.models.endpoint import Endpoint
from autodata.models.factory import Serving, connect
from autodata.models.role_model import RoleModel
from autodata.models.simulated.world import World

Model = BaseChatModel | ModelSettings | Mapping[str, Any] | str
"""One model: a chat model, settings as a configuration's table has them, or `provider:model`."""


def chat_models(models: Mapping[str, Model]) -> dict[str, BaseChatModel]:
    """Return those that are chat models already."""
    return {role: model for role, model in models.items() if isinstance(model, BaseChatModel)}


def laid_over(models: Mapping[str, Model], tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration's `models` with the given ones over it.

    Settings lie over what a role has there; a chat model or `provider:model` takes its place whole, address and prices
    too. Raises UserError for a value that is no model.
    """
    result = dict(tables)
    for role, model in models.items():
        if isinstance(model, BaseChatModel):
            result[role] = {"provider": OWN, "model": _name(model)}
        elif isinstance(model, str):
            provider, colon, name = model.partition(":")
            if not (provider and colon and name):
                raise UserError(f"models.{role}: {model!r}: write 'provider:model', for instance 'openai:gpt-5'")
            result[role] = {"provider": provider, "model": name}
        elif isinstance(model, ModelSettings):
            result[role] = model.model_dump(mode="json", exclude_unset=True)
        elif isinstance(model, Mapping):
            under = result.get(role, {})
            result[role] = {**(under if isinstance(under, Mapping) else {}), **model}
        else:
            raise UserError(
                f"models.{role}: {type(model).__name__} is no model: give 'provider:model', a table of settings or a"
                " LangChain chat model"
            )
    return result


async def connect_all(
    roles: Mapping[str, ModelSettings],
    chats: Mapping[str, BaseChatModel],
    stack: AsyncExitStack,
    *,
    serving: Serving | None = None,
    world: World | None = None,
) -> dict[str, RoleModel]:
    """Build the models of all roles; those of `chats` are the caller's own. Raises as `connect`."""
    own = {role: settings for role, settings in roles.items() if settings.provider == OWN}
    named = {role: settings for role, settings in roles.items() if settings.provider != OWN}
    return await connect(named, stack, serving=serving, world=world) | _connected(chats, own)


def require_chat_models(roles: Mapping[str, ModelSettings], chats: Mapping[str, BaseChatModel]) -> None:
    """Raise UserError when a role stands for a chat model that was not given, or names another one."""
    for role, settings in roles.items():
        if settings.provider != OWN:
            continue
        chat = chats.get(role) or chats.get("default")
        if chat is None:
            raise UserError(f"models.{role}: provider {OWN!r} stands for a chat model: give it with models=")
        if settings.model != _name(chat):
            raise UserError(f"models.{role}: model {settings.model!r} needs a provider: models.default is a chat model")


def _connected(chats: Mapping[str, BaseChatModel], roles: Mapping[str, ModelSettings]) -> dict[str, RoleModel]:
    """Return the callers' own chat models by role. Roles that share one share its endpoint."""
    require_chat_models(roles, chats)
    endpoints: dict[int, Endpoint] = {}
    connected: dict[str, RoleModel] = {}
    for role, settings in roles.items():
        chat = chats.get(role) or chats["default"]
        endpoint = endpoints.setdefault(
            id(chat), Endpoint(f"{OWN}:{settings.model}", settings.max_concurrency, structured=False)
        )
        endpoint.slots.narrow(settings.max_concurrency)
        connected[role] = RoleModel(settings, chat, endpoint, sends_seed=False)
    return connected


def _name(chat: BaseChatModel) -> str:
    """Return the name by which a chat model calls itself, which is part of a call's identity."""
    return str(getattr(chat, "model_name", None) or getattr(chat, "model", None) or chat._llm_type)
