"""Chat models that the caller made, in place of models by settings."""

from __future__ import annotations

from collections.abc import Mapping

from langchain_core.language_models import BaseChatModel

from autodata.checkpoints.errors import UserError
from autodata.models.config import ModelSettings
from autodata.models.endpoint import Endpoint, RoleModel

OWN = "own"
"""What stands as the provider of a chat model that the caller made."""


def name_of(chat: BaseChatModel) -> str:
    """Return the name by which a chat model calls itself, which is part of a call's identity."""
    return str(getattr(chat, "model_name", None) or getattr(chat, "model", None) or chat._llm_type)


def own_models(own: Mapping[str, BaseChatModel], roles: Mapping[str, ModelSettings]) -> dict[str, RoleModel]:
    """Return the callers' own chat models by role. Roles that share one share its endpoint."""
    endpoints: dict[int, Endpoint] = {}
    connected: dict[str, RoleModel] = {}
    for role, settings in roles.items():
        chat = own.get(role) or own.get("default")
        if chat is None:
            raise UserError(f"models.{role}: provider {OWN!r} stands for a chat model: give one in open_services")
        if settings.model != name_of(chat):
            raise UserError(f"models.{role}: model {settings.model!r} needs a provider: models.default is a chat model")
        endpoint = endpoints.setdefault(
            id(chat), Endpoint(f"{OWN}:{settings.model}", settings.max_concurrency, structured=False)
        )
        endpoint.slots.narrow(settings.max_concurrency)
        connected[role] = RoleModel(settings, chat, endpoint, sends_seed=False)
    return connected
