"""From a configuration's words to an acceptance policy: a preset's name, or own bounds, perhaps over a preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from autodata.checkpoints.errors import UserError
from autodata.domains.acceptance.policies import PRESETS, AcceptancePolicy, Counts, Thresholds
from autodata.models.config import Settings
from autodata.models.validation import problems


def policy_of(wanted: str | Mapping[str, Any]) -> AcceptancePolicy:
    """Return the acceptance policy that a value of `acceptance` describes. Raises ValueError when it describes none."""
    if isinstance(wanted, str):
        return _preset(wanted)
    own = dict(wanted)
    name = own.pop("name", "custom")
    if not isinstance(name, str):
        raise ValueError(f"acceptance.name: a text is needed, got {name!r}")
    known = _preset(name) if name in PRESETS else None
    if isinstance(known, Settings) and known.model_dump(mode="json") == dict(wanted):
        return known
    if name not in PRESETS.shipped and isinstance(known, Settings):  # as a run folder keeps one with own fields
        return _validated(type(known), {**known.model_dump(), **own, "name": name})
    base: dict[str, Any] = {}
    shape: type[Thresholds | Counts] = Counts if {"weak_right", "strong_right"} & {*own} else Thresholds
    if preset := own.pop("preset", None):
        policy = _preset(str(preset))
        if preset not in PRESETS.shipped and isinstance(policy, Settings):
            return _validated(type(policy), {**policy.model_dump(), **own})
        if not isinstance(policy, Thresholds | Counts):
            raise ValueError(f"acceptance: preset {preset!r} has no bounds of its own to change")
        base, shape = policy.model_dump(), type(policy)
    return _validated(shape, {**base, **own, "name": name if name not in PRESETS else "custom"})


def _validated(shape: type[Settings], values: Mapping[str, Any]) -> AcceptancePolicy:
    try:
        return cast("AcceptancePolicy", shape.model_validate(values))
    except ValidationError as error:
        raise ValueError(problems(error, shape, "acceptance")) from error


def _preset(name: str) -> AcceptancePolicy:
    if name not in PRESETS:
        raise ValueError(f"acceptance: unknown preset {name!r}: use one of {', '.join(sorted(PRESETS))}")
    try:
        return PRESETS[name]
    except UserError as error:  # a plugin that cannot be used
        raise ValueError(f"acceptance: {error}") from error
