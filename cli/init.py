"""`autodata init`: a commented configuration with every setting, its default and its meaning, from the models."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import tomli_w
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from autodata.checkpoints.records import UserError
from autodata.graphs.config import RunConfig
from autodata.models.config import ROLES, ModelSettings
from autodata.models.local import KNOWN_MODELS
from autodata.nodes.acceptance import PRESETS, Counts, Thresholds
from autodata.nodes.domain import Domain, find_domain

WIDTH = 110

_HEAD = """\
Autodata's configuration. Every setting is here: a line like "# name = value" shows the default, or an example where \
it says so; remove the "# " to change it. Keys never stand here, only the names of environment variables.
Then type: autodata doctor --config {name}
And then: autodata run --config {name} --documents PATH --out RUN
"""

_SAID: Mapping[str, str] = {
    "simulated": 'The world of provider "simulated". It is no language model: for a first look and for tests.',
    "models.default": "For every role that does not say otherwise. What is set here wins over the domain's defaults.",
    "models.default.api_key_env": "Name of the environment variable that holds the key, which itself never stands here."
    " Left out: OPENAI_API_KEY for the provider's own endpoint, no key for an endpoint of one's own.",
    "models.challenger": "Writes the questions.",
    "models.quality_verifier": "Looks at each question before a solver is paid for.",
    "models.weak_solver": "Must fail, at least mostly: name a weaker model than the strong solver's.",
    "models.strong_solver": "Must succeed where the weak solver fails.",
    "models.verifier": "Marks the solvers' answers.",
}
"""What the models' own docstrings do not say."""

_EXAMPLES: Mapping[str, Any] = {
    "limit": 100,
    "target": 20,
    "base_url": "http://127.0.0.1:8000/v1",
    "api_key_env": "OPENAI_API_KEY",
    "temperature": 1.0,
    "top_p": 0.95,
    "extra_body": {"reasoning_effort": "low"},
    "price_in": 0.5,
    "price_out": 1.5,
    "max_calls": 10_000,
    "max_usd": 5.0,
    "max_seconds": 3600.0,
}
"""Shown where the default is nothing."""

_ACTIVE = {"domain", "models.default.provider", "models.default.model", "models.weak_solver.model"}
"""Settings that are set in the file as written."""

_INHERITANCE = "from models.default, then from the domain's defaults for the role, which its table shows."


def init(
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("autodata.toml"),
    domain: Annotated[str, typer.Option(help="cs or facts.")] = "cs",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a commented configuration: every setting with its default and its meaning.

    Example: autodata init --out autodata.toml --domain cs
    """
    text = configuration(find_domain(domain), str(out))
    try:
        with out.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"{out} exists: choose another --out FILE, or overwrite it with --force") from error
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}): choose another --out FILE") from error
    typer.echo(f"wrote {out}: name your models in it, then type: autodata doctor --config {out}", err=True)


def configuration(domain: Domain, name: str = "autodata.toml") -> str:
    """Return the text of a commented configuration. It loads as it is, but its models have yet to be named."""
    lines = _comment(_HEAD.format(name=name))
    lines += _fields(RunConfig, "", domain)
    for field, info in RunConfig.model_fields.items():
        lines += _models(domain) if field == "models" else _tables(info, field, domain)
    return "\n".join(lines) + "\n"


def _tables(info: FieldInfo, path: str, domain: Domain) -> list[str]:
    """Return a table of settings with its sub-tables; nothing for a field that is no table."""
    model = info.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    lines = ["", *_comment(_SAID.get(path) or _summary(model)), f"[{path}]", *_fields(model, path, domain)]
    for field, inner in model.model_fields.items():
        lines += _tables(inner, f"{path}.{field}", domain)
    return lines


def _models(domain: Domain) -> list[str]:
    lines = ["", *_comment(f"The models, by role. A key left out of a role's table is inherited: {_INHERITANCE}")]
    lines += ["", *_comment(_SAID["models.default"])]
    lines += ["[models.default]", *_fields(ModelSettings, "models.default", domain)]
    for role in ROLES:
        path = f"models.{role}"
        lines += ["", *_comment(_SAID[path]), f"[{path}]"]
        lines += [_line(f"{path}.model", "model", "" if f"{path}.model" in _ACTIVE else "another-model")]
        lines += [f"# {name} = {_toml(value)}" for name, value in domain.role_defaults.get(role, {}).items()]
    return lines


def _fields(model: type[BaseModel], path: str, domain: Domain) -> Iterator[str]:
    """Yield the plain settings of a model: meaning, range, and the default."""
    for name, info in model.model_fields.items():
        full = f"{path}.{name}" if path else name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            continue
        default = domain.name if full == "domain" else info.get_default(call_default_factory=True)
        text = (_SAID.get(full) or " ".join((info.description or "").split())).replace("None:", "Left out:")
        parts = [text, _shipped() if full == "models.default.model" else "", _allowed(info)]
        if default is None or default == {}:
            default = _own_bounds(domain) if full == "acceptance" else _EXAMPLES[name]
            parts.append("For example:" if "Left out:" in text else "Not set; for example:")
        yield ""
        yield from _comment(" ".join(part for part in parts if part))
        if name == "acceptance":
            yield from _presets(domain)
        yield _line(full, name, default)


def _shipped() -> str:
    return f"Shipped: {', '.join(KNOWN_MODELS)}."


def _line(full: str, name: str, value: Any) -> str:
    return ("" if full in _ACTIVE else "# ") + f"{name} = {_toml(value)}"


def _presets(domain: Domain) -> Iterator[str]:
    for name, policy in PRESETS.items():
        bounds: Mapping[str, Any] = {}
        if isinstance(policy, Thresholds | Counts):
            bounds = policy.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
        shown = ", ".join(f"{key} {_plain(value)}" for key, value in bounds.items()) or "weak wrong, strong right"
        text = f"{name}{' (the default)' if name == domain.acceptance else ''}: {shown}"
        yield from (f"# {line}" for line in textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    "))
    yield from _comment(
        f"Bounds of one's own: {', '.join(n for n in Thresholds.model_fields if n != 'name')}; or counts of right"
        f" attempts: {', '.join(n for n in Counts.model_fields if n != 'name')}."
    )


def _own_bounds(domain: Domain) -> dict[str, Any]:
    own = {"weak_right": 0} if isinstance(PRESETS[domain.acceptance], Counts) else {"gap": ">= 0.25"}
    return {"preset": domain.acceptance, **own}


def _plain(value: Any) -> str:
    return " and ".join(value) if isinstance(value, list) else str(value).lower()


def _allowed(info: FieldInfo) -> str:
    """Return the values that a setting may have, where they are bounded."""
    annotation: Any = info.annotation
    if get_origin(annotation) is Literal:
        return f"One of: {', '.join(get_args(annotation))}."
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = [
        f"{sign} {value:g}"
        for item in info.metadata
        for key, sign in signs.items()
        if (value := getattr(item, key, None)) is not None
    ]
    return f"({', '.join(bounds)})" if bounds else ""


def _toml(value: Any) -> str:
    """Return a value as TOML on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + " }"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").strip()


def _comment(text: str) -> list[str]:
    wrapped = (textwrap.wrap(part, WIDTH, break_long_words=False) for part in text.split("\n"))
    return [f"# {line}" for lines in wrapped for line in lines]


def _summary(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
