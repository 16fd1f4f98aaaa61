"""What `generate` was given, as a typed configuration and documents to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from pydantic import ValidationError

from autodata.checkpoints.errors import UserError
from autodata.corpus.sources import Source, address_of
from autodata.models.config import ModelSettings
from autodata.models.validation import problems

if TYPE_CHECKING:
    from autodata.runner.chat_models import Model
    from autodata.runner.config import RunConfig

SHORT = 300
"""A string of one line with at most this many characters names a path: no document is so short."""


class Options(TypedDict, total=False):
    """Further keywords of `generate`; each is the configuration's key of that name, or as said."""

    preset: str | Mapping[str, Any]
    """When an example counts, `acceptance` in a configuration: a preset's name, or own bounds."""
    seed: int
    """Seed of everything random."""
    max_rounds: int
    """Rounds after which a document is rejected."""
    confirm: int
    """Fresh attempts of each solver at every accepted example, `confirm.attempts`."""
    lessons: bool
    """Whether the run learns from batch to batch, `lessons.enabled`."""
    concurrency: int
    """Documents in work at once."""
    limit: int
    """Documents to take at most."""
    text_field: str
    """The key of a record, or column of a table, that holds a document's text, `documents.text_field`."""
    title_field: str
    """The one that holds its title, `documents.title_field`."""
    id_field: str
    """The one that holds its id, `documents.id_field`."""
    max_usd: float
    """US dollars the run folder may cost in all, `budget.max_usd`."""
    max_calls: int
    """Model calls it may make, `budget.max_calls`."""
    max_tokens: int
    """Tokens it may use, in and out, `budget.max_tokens`."""
    max_seconds: float
    """Seconds this call may take, `budget.max_seconds`."""


KEYS: Mapping[str, str] = {
    "preset": "acceptance",
    "confirm": "confirm.attempts",
    "lessons": "lessons.enabled",
    **{name: name for name in ("seed", "max_rounds", "concurrency", "limit")},
    **{name: f"documents.{name}" for name in ("text_field", "title_field", "id_field")},
    **{name: f"budget.{name}" for name in ("max_usd", "max_calls", "max_tokens", "max_seconds")},
}
"""The configuration's key behind each of `Options`."""

NAMED = ("documents", "domain", "models", "target", "out", "config", "progress")
"""The keywords of `generate` that are not among `Options`."""


def sources_of(documents: object) -> list[Source]:
    """Return what to read, in order: files and folders, and records that hold a text.

    A Path is a path. A string of several lines, or of more than SHORT characters, is a text; any other names a path, or
    an address where it begins as one. A mapping is a record: `text`, and perhaps `id` and `title`. Anything else is
    gone through as an iterable of these.
    Raises UserError for what is none of them, and for an iterable whose strings are paths and texts: a text that looks
    like a path must not make its file be read.
    """
    if documents is None:
        return []
    if isinstance(documents, str | Path | Mapping):
        return [_source(documents, "documents")]
    if isinstance(documents, bytes | bytearray) or not isinstance(documents, Iterable):
        raise UserError(f"documents: {_TAKEN}, not {type(documents).__name__}")
    items = list(documents)
    texts = [is_text(item) for item in items if isinstance(item, str)]
    if len(set(texts)) > 1:
        strings = [number for number, item in enumerate(items) if isinstance(item, str)]
        path, text = strings[texts.index(False)], strings[texts.index(True)]
        raise UserError(
            f"documents[{path}] is a path and documents[{text}] a text: give files as pathlib.Path, or texts as"
            ' {"text": ...}'
        )
    return [_source(item, f"documents[{number}]") for number, item in enumerate(items)]


_TAKEN = 'give a path, a text, {"text": ...}, or an iterable of these'


def is_text(given: str) -> bool:
    """Whether a string is a document's text rather than the path of one."""
    return len(given) > SHORT or len(given.splitlines()) > 1


def _source(item: object, where: str) -> Source:
    if isinstance(item, Path):
        return item.expanduser()
    if isinstance(item, Mapping):
        return item
    if not isinstance(item, str):
        raise UserError(f"{where}: {_TAKEN}, not {type(item).__name__}")
    if is_text(item):
        return {"text": item}
    if address := address_of(item):
        return address
    path = Path(item).expanduser()
    if not item.strip() or "\0" in item or not path.exists():
        raise UserError(
            f'{where}: no such file or folder {item!r}: check the path, or give a short text as {{"text": ...}}'
        )
    return path


def configuration_of(
    *,
    domain: str | Path | None,
    models: Mapping[str, Model] | Model | None,
    target: int | None,
    out: Path | None,
    config: RunConfig | Mapping[str, Any] | Path | str | None,
    options: Mapping[str, Any],
) -> RunConfig:
    """Return the configuration that a call of `generate` asks for.

    Keywords lie over `models`, these over `config`. Without `config` and `models` a run folder that exists goes on with
    the configuration it was made with; no file of the working directory is read unasked. Raises UserError.
    """
    from autodata.runner.chat_models import laid_over
    from autodata.runner.config import RunConfig, stored_config

    require_known(options)
    flags = {"domain": None if domain is None else str(domain), "target": target}
    flags |= {KEYS[name]: value for name, value in options.items()}
    flags = {name: value for name, value in flags.items() if value is not None}
    given = models_of(models)
    if config is None and models is None and out is not None and (out / "config.toml").exists():
        return stored_config(out / "config.toml", flags)
    shape: type[RunConfig] = type(config) if isinstance(config, RunConfig) else RunConfig
    values = _values(config)
    for name, value in flags.items():
        table, _, key = name.rpartition(".")
        place = values.setdefault(table, {}) if table else values
        if isinstance(place, dict):  # what is no table is reported below
            place[key] = value
    tables = {} if _is_one(models) else values.get("models", {})
    if isinstance(tables, Mapping):
        values["models"] = laid_over(given, tables)
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        raise UserError(f"generate: {problems(error, shape)}") from error


def require_known(options: Mapping[str, Any]) -> None:
    """Raise UserError for a keyword that `generate` does not have."""
    known = [*NAMED, *KEYS]
    for name in options:
        if name not in KEYS:
            near = get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}."
            raise UserError(f"generate: unknown keyword {name!r}: {meant} Any other setting goes into config={{...}}")


def models_of(models: Mapping[str, Model] | Model | None) -> dict[str, Model]:
    """Return models by role; one model alone plays every role."""
    if models is None:
        return {}
    if _is_one(models):
        return {"default": models}
    if not isinstance(models, Mapping):
        raise UserError(
            f"models: give 'provider:model', a chat model, or a dictionary of them by role, not {type(models).__name__}"
        )
    return dict(models)


def _is_one(models: object) -> bool:
    from langchain_core.language_models import BaseChatModel

    return isinstance(models, str | BaseChatModel | ModelSettings)


def _values(config: RunConfig | Mapping[str, Any] | Path | str | None) -> dict[str, Any]:
    """Return a configuration as plain tables that may be changed."""
    from autodata.runner.config import RunConfig, load_config

    if isinstance(config, str | Path):
        config = load_config(Path(config).expanduser())
    if config is None:
        return {}
    if isinstance(config, RunConfig):
        return config.model_dump(mode="json", exclude_unset=True)
    if not isinstance(config, Mapping):
        raise UserError(f"config: give a file, a dictionary or a RunConfig, not {type(config).__name__}")
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in config.items()}
