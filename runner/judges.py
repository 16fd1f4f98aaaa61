"""Further judges among a run's roles: how their models are found, and how a stored configuration holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodata.models.config import ModelsConfig, ModelSettings
from autodata.models.judges import LARGER, PREFIX, JudgesConfig


def judges_of(
    judges: JudgesConfig, models: ModelsConfig, defaults: Mapping[str, Mapping[str, Any]]
) -> dict[str, ModelSettings]:
    """Return the full settings of further judges by role; what one leaves out is `models.default`'s, then the domain's.

    Raises UserError when one ends up without a model.
    """
    return {
        role: models.model_copy(update={"verifier": settings}).resolve(defaults, ["verifier"])["verifier"]
        for role, settings in judges.roles.items()
    }


def resolved_judges(judges: JudgesConfig, plain: dict[str, Any]) -> None:
    """Put the judges of a resolved configuration, as plain values, into its table whole; drop the table without any.

    A member alone no longer knows what it took from `models.default`, which is not kept.
    """
    if judges == JudgesConfig():
        del plain["judges"]
        return
    models = plain["models"]
    plain["judges"] |= {"panel": [models[role] for role in judges.panel_roles]}
    plain["judges"] |= {"larger": models[LARGER]} if LARGER in models else {}


def without_judges(values: dict[str, Any]) -> None:
    """Leave further judges out of a stored table of models: they stand in a table of their own."""
    if isinstance(models := values.get("models"), dict):
        values["models"] = {role: settings for role, settings in models.items() if not role.startswith(PREFIX)}
