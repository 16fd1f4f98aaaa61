"""The fingerprint of a run: what of its configuration its results depend on, and so may not change between sessions.

`TABLE` is the one list of what results depend on. A folder keeps its fingerprint in table `meta`: under `bearing` the
values, a JSON object of text by dotted name; under `bearing_version` the version of this module's rules, where a
folder without it is of version 1. What a later version adds goes into `LATER`, so that folders from before go on.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import canonical_json
from autodata.models.config import SOLVER_MODES
from autodata.nodes.dataset.settings import FREE as FREE_OF_LESSONS
from autodata.nodes.optimizer.settings import BEFORE as LATER_OF_SEARCHES
from autodata.nodes.optimizer.settings import FREE

VERSION = 1
"""Version of the rules. It rises when values that were kept before would now be written in another way."""

CODE = "domain.code"
"""What results depend on besides settings: the code of a task type of one's own."""

LATER = frozenset({CODE})
"""What folders from before it was kept do not have: they are taken to have been made with the value of today."""

WEIGHTS = "weights"
"""The hash of a local model's files: folders from before it was kept take the files to be those of today."""

MODEL_FIELDS_KEPT = frozenset(
    {"provider", "model", WEIGHTS, "temperature", "top_p", "max_tokens", "send_seed", "extra_body", "reasoning_effort"}
    | {*SOLVER_MODES}
)
"""Model settings that shape replies. The others may change between two sessions of a run."""

LESSONS_VERSION = "lessons_version"
"""The version of the outer loop's prompts, in a run with lessons."""

READER = "documents.reader"
"""What folders from before it was kept do not have: what was read for them is read in the same way."""

_OF_INPUTS = frozenset({"text_field", "title_field", "id_field", "encoding"})
"""How inputs are read that one session is given. Another session may be given others."""

_WORLD_FAULTS = frozenset({"malformed", "truncated", "empty"})
"""Faults of the simulated world that shape replies; the others only delay them."""


@dataclass(frozen=True)
class Bears:
    """One row of the table: a field or table of a resolved configuration that results depend on."""

    path: str
    """Where it stands, dotted; `*` stands for every role."""
    name: str = ""
    """What it is called in a fingerprint, when not by its path."""
    only: frozenset[str] | None = None
    """The keys of the table that results depend on; None for all."""
    but: frozenset[str] = frozenset()
    """Keys of the table that do not, or that have a row of their own."""
    provider: str = ""
    """Only where a role's model is of this provider."""
    optional: bool = True
    """Whether nothing is kept of a field that is not set; otherwise it is kept as `None`."""
    switch: str = ""
    """A key of the table without which nothing of it is kept."""
    before: Any = None
    """The value that stands for what was done before the setting was there: nothing is kept of it."""

    def values(self, resolved: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Return what a configuration has of it, name to value."""
        models: Mapping[str, Mapping[str, Any]] = resolved["models"]
        if self.provider and all(settings["provider"] != self.provider for settings in models.values()):
            return
        for name, value in _at(resolved, self.path, self.name or self.path):
            if isinstance(value, Mapping):
                if self.switch and not value.get(self.switch):
                    continue
                kept = {k: v for k, v in value.items() if k not in self.but and (self.only is None or k in self.only)}
                yield name, kept
            elif value not in (None, self.before) or not self.optional:
                yield name, value


TABLE = (
    Bears("prompt_version", optional=False),
    Bears("domain_settings.name", "domain", optional=False),  # its folder may move
    Bears("acceptance", optional=False),
    Bears("max_rounds", optional=False),
    Bears("review", optional=False),
    Bears("review_margin", optional=False),
    Bears("checks"),
    Bears("judges", only=frozenset({"rule", "asks"})),
    Bears("confirm", switch="attempts"),
    Bears("seed", optional=False),
    Bears("curtail"),
    Bears("curtail_error", before=0.01),
    Bears("curtail_walked", before=0.1),
    Bears("documents", optional=False, but=_OF_INPUTS | {"chunk", "reader"}),
    Bears("documents.chunk", before=False),
    Bears(READER, before=1),
    Bears("domain_settings", "domain", but=frozenset({"name", "role_defaults"})),
    Bears("domain_settings.role_defaults.*", "domain.role_defaults.*", only=MODEL_FIELDS_KEPT),
    Bears("models.*", only=MODEL_FIELDS_KEPT),
    Bears("optimize", but=FREE | {*LATER_OF_SEARCHES}),
    *(Bears(f"optimize.{name}", before=before) for name, before in LATER_OF_SEARCHES.items()),
    Bears("lessons", but=FREE_OF_LESSONS, switch="enabled"),
    Bears(LESSONS_VERSION),
    Bears("local.ctx", provider="local"),
    Bears("simulated", but=frozenset({"faults"}), provider="simulated"),
    Bears("simulated.faults", only=_WORLD_FAULTS, provider="simulated"),
)
"""What results depend on. All else may change between two sessions of a run."""


def fingerprint(resolved: Mapping[str, Any]) -> dict[str, str]:
    """Return what results depend on in a resolved configuration, dotted name to value."""
    return {
        name: text for row in TABLE for prefix, value in row.values(resolved) for name, text in _flat(prefix, value)
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return `name: old -> new` for every field that results depend on and that differs between two configurations."""
    return changes(fingerprint(before), fingerprint(after))


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return `name: old -> new` for every field that differs between two fingerprints."""
    return [
        f"{name}: {old.get(name, 'not set')} -> {new.get(name, 'not set')}"
        for name in sorted({*old, *new}, key=lambda name: ("." in name, name))  # what explains the others comes first
        if old.get(name) != new.get(name)
    ]


def changed_since(
    meta: Mapping[str, str], now: Mapping[str, str], where: object, *, later: Collection[str] = ()
) -> list[str]:
    """Return what differs between the fingerprint that a folder keeps and this one; nothing when it keeps none.

    `meta` is the folder's table of that name; `later` are names that a folder from before them need not have, besides
    `LATER`. Raises UserError, naming `where`, for the rules of a later version.
    """
    if "bearing" not in meta:
        return []
    version = int(meta.get("bearing_version", 1))
    if version > VERSION:
        raise UserError(
            f"{where} was made by a later version of Autodata (fingerprint {version}, this one knows {VERSION}):"
            " update Autodata, or use another folder"
        )
    before: dict[str, str] = json.loads(meta["bearing"])
    unkept = {*LATER, *later, *(name for name in now if name.startswith("models.") and name.endswith(f".{WEIGHTS}"))}
    return changes({**{name: now[name] for name in unkept if name in now}, **before}, now)


def more_rounds(meta: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the fingerprint that a folder keeps with `max_rounds` as it is now, where it rose; empty otherwise.

    A round knows nothing of how many may follow, so all that was done before is as it would be under the new value.
    `meta` is the folder's table of that name.
    """
    before: dict[str, str] = json.loads(meta.get("bearing", "{}"))
    if "max_rounds" not in before or int(now["max_rounds"]) <= int(before["max_rounds"]):
        return {}
    return {"bearing": canonical_json({**before, "max_rounds": now["max_rounds"]})}


def kept_of(values: Mapping[str, str]) -> dict[str, str]:
    """Return a fingerprint as a folder's table `meta` keeps it."""
    return {"bearing": canonical_json(dict(values)), "bearing_version": str(VERSION)}


def _at(values: Any, path: str, name: str) -> Iterator[tuple[str, Any]]:
    """Return what stands at a dotted path, each with its name; None where nothing does."""
    key, _, rest = path.partition(".")
    if key == "*":
        for role, value in (values or {}).items():
            yield name.replace("*", role), value
        return
    value = (values or {}).get(key)
    if rest:
        yield from _at(value, rest, name)
    else:
        yield name, value


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _flat(f"{name}.{key}", below)
    else:
        yield name, str(value)
