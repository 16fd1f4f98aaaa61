"""Families of models, by their names: a judge favours answers of its own family."""

from __future__ import annotations

import re
from collections.abc import Mapping

from autodata.models.config import ModelSettings
from autodata.models.judges import PREFIX
from autodata.prompts.roles import SOLVERS

_ALIASES: Mapping[str, str] = {
    **dict.fromkeys(("o", "chatgpt", "davinci"), "gpt"),
    **dict.fromkeys(("mixtral", "ministral", "codestral", "magistral", "devstral", "pixtral"), "mistral"),
    **dict.fromkeys(("codellama", "meta"), "llama"),
    **dict.fromkeys(("codegemma", "gemini", "medgemma"), "gemma"),
    **dict.fromkeys(("qwq", "qwen"), "qwen"),
}
"""Names that a family goes by besides its own."""


def family_of(model: str) -> str:
    """Return the family of a model's name in lower case; empty where the name has no letters.

    >>> family_of("Qwen/Qwen3.5-397B-A17B"), family_of("o3-mini"), family_of("accounts/x/models/mixtral-8x7b")
    ('qwen', 'gpt', 'mistral')
    """
    last = model.rstrip("/").rsplit("/", 1)[-1].lower()
    found = re.search(r"[a-z]+", last)
    name = found[0] if found else ""
    return _ALIASES.get(name, name)


def judges_akin(roles: Mapping[str, ModelSettings]) -> str:
    """Return a warning where a judge is of one family with a solver; empty where none is, and for simulated models."""
    solvers = {role: family_of(roles[role].model) for role in SOLVERS if role in roles and _real(roles[role])}
    judges = [role for role in roles if (role == "verifier" or role.startswith(PREFIX)) and _real(roles[role])]
    akin = {
        judge: [solver for solver, family in solvers.items() if family and family == family_of(roles[judge].model)]
        for judge in judges
    }
    said = [
        f"{judge} ({roles[judge].model}) and {' and '.join(found)} ({', '.join(roles[one].model for one in found)})"
        for judge, found in akin.items()
        if found
    ]
    if not said:
        return ""
    return (
        f"{'; '.join(said)} are of one family: a judge favours its own, and a gap may be its taste."
        " Set models.verifier.model to another family, or add one to judges.panel"
    )


def _real(settings: ModelSettings) -> bool:
    return settings.provider != "simulated"
