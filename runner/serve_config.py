"""Settings of the server side: the table `[serve]` of the server's own configuration."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from autodata.models.config import ModelSettings, Settings

CONFIGURED = "configured"
"""The profile that stands for what the configuration says of the role itself."""

PROFILE = re.compile(r"[A-Za-z0-9][\w.-]{0,59}", re.ASCII)


class ServeConfig(Settings):
    """What the callers of a server (`make studio`) may choose: models by name, never an address or a key."""

    profiles: dict[str, ModelSettings] = Field(default_factory=dict)
    """Models that a caller may choose for a role, by the name of a table such as `[serve.profiles.small]`. What a
    profile leaves out is inherited as a role's own settings are."""
    prompts: Literal["all", "editable", "none"] = "all"
    """Whose prompts a caller may replace: any role's; those an optimiser may edit too (challenger, quality_verifier,
    feedback); or none."""
    max_documents: int = Field(default=200, ge=1, le=10_000)
    """Documents that one run of the graph `dataset` takes at most."""

    @field_validator("profiles")
    @classmethod
    def _plain_names(cls, profiles: dict[str, ModelSettings]) -> dict[str, ModelSettings]:
        for name in profiles:
            if not PROFILE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a profile: use letters, digits, '.', '-' and '_'")
            if name == CONFIGURED:
                raise ValueError(f"{name!r} stands for a role's own settings: choose another name")
        return profiles
