"""`autodata init`: a commented configuration with every setting, its default and its meaning, from the models."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from autodata.checkpoints.docstrings import description
from autodata.checkpoints.errors import UserError
from autodata.cli import values
from autodata.cli.commented import WIDTH, allowed, comment, toml
from autodata.cli.new_domain import typed, write_domain
from autodata.domains.acceptance.parse import policy_of
from autodata.domains.acceptance.policies import PRESETS, Counts, Majority, Thresholds
from autodata.domains.domain import DOMAINS, Domain
from autodata.domains.loader import find_domain
from autodata.models.config import JUDGE, JUDGE_MODES, SOLVER_MODES, ModelSettings
from autodata.models.local.weights import KNOWN_MODELS
from autodata.prompts.roles import MODEL_ROLES, ROLE, SOLVERS
from autodata.runner.config import RunConfig

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
    " Left out: OPENAI_API_KEY for the provider's own endpoint, AZURE_OPENAI_API_KEY for a deployment of Azure OpenAI,"
    " no key for an endpoint of one's own.",
    **{f"models.{name}": ROLE[name].help for name in MODEL_ROLES},
}
"""What the models' own docstrings do not say."""

_EXAMPLES: Mapping[str, Any] = {
    "concurrency": 24,
    "langsmith": True,
    "prompts": "runs/optimised/winner",
    "curtail": "off",
    "limit": 100,
    "target": 20,
    "probes": 60,
    "larger": {"model": "a-larger-model"},
    "weights": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "base_url": "http://127.0.0.1:8000/v1",
    "api_key_env": "OPENAI_API_KEY",
    "headers": {"X-Team": "data"},
    "query": {"api-version": "2024-10-21"},
    "azure": {"deployment": "my-deployment"},
    "temperature": 1.0,
    "top_p": 0.95,
    "extra_body": {"reasoning_effort": "low"},
    "reasoning_effort": "low",
    "privileged": True,
    "context": 32_768,
    "max_chars": 60_000,
    "reach": 0.8,
    "stop_file": "stop-search",
    "chunk": True,
    "price_in": 0.5,
    "price_out": 1.5,
    "profiles": {"small": {"model": "another-small-model"}},
    "max_calls": 10_000,
    "max_tokens": 50_000_000,
    "max_usd": 5.0,
    "max_seconds": 3600.0,
    "project": "my-project",
    "otel_endpoint": "http://127.0.0.1:4318/v1/traces",
}
"""Shown where the default is nothing."""

_ACTIVE = {"domain", "models.default.provider", "models.default.model", "models.weak_solver.model"}
"""Settings that are set in the file as written."""

_INHERITANCE = "from models.default, then from the domain's defaults for the role, which its table shows."


def init(
    out: Annotated[
        Path | None, typer.Option("--out", help="The configuration to write.", show_default="autodata.toml")
    ] = None,
    domain: Annotated[
        str,
        typer.Option(
            help="A shipped domain, the folder of one, or the name of a new one.", autocompletion=values.domains
        ),
    ] = "cs",
    like: Annotated[
        str | None,
        typer.Option(
            help="The shipped domain that a new one starts from.", show_default="cs", autocompletion=values.domains
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a commented configuration: every setting with its default and its meaning.

    With a new domain's name and no --out: write that domain's folder, with domain.toml and prompts to change.

    Example: autodata init --out autodata.toml --domain cs
    """
    if out is None and domain not in DOMAINS:
        _new_domain(Path(domain), like or "cs")
        return
    if like is not None:
        raise UserError("--like is for a new domain: give it a name of its own with --domain, and no --out")
    out = out or Path("autodata.toml")
    text = configuration(find_domain(domain), str(out))
    try:
        with out.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"{out} exists: choose another --out FILE, or overwrite it with --force") from error
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}): choose another --out FILE") from error
    typer.echo(f"wrote {out}: name your models in it, then type: autodata doctor --config {out}", err=True)


def _new_domain(folder: Path, like: str) -> None:
    write_domain(folder, like)
    shown = typed(folder)
    lines = [
        f"wrote {folder}: domain.toml and prompts copied from {like}: change them, then type:",
        f"  autodata prompts diff {like} {shown}",
        f"  autodata init --domain {shown} --out autodata.toml",
        f"  autodata run --domain {shown} --documents PATH --out RUN",
    ]
    typer.echo("\n".join(lines), err=True)


def configuration(domain: Domain, name: str = "autodata.toml") -> str:
    """Return the text of a commented configuration. It loads as it is, but its models have yet to be named."""
    lines = comment(_HEAD.format(name=name))
    lines += _fields(RunConfig, "", domain)
    for field, info in RunConfig.model_fields.items():
        lines += _models(domain) if field == "models" else _tables(info, field, domain)
    return "\n".join(lines) + "\n"


def _tables(info: FieldInfo, path: str, domain: Domain) -> list[str]:
    """Return a table of settings with its sub-tables; nothing for a field that is no table."""
    model = info.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    lines = ["", *comment(_SAID.get(path) or _summary(model)), f"[{path}]", *_fields(model, path, domain)]
    for field, inner in model.model_fields.items():
        lines += _tables(inner, f"{path}.{field}", domain)
    return lines


def _models(domain: Domain) -> list[str]:
    lines = ["", *comment(f"The models, by role. A key left out of a role's table is inherited: {_INHERITANCE}")]
    lines += ["", *comment(_SAID["models.default"])]
    lines += ["[models.default]", *_fields(ModelSettings, "models.default", domain)]
    for role in MODEL_ROLES:
        path = f"models.{role}"
        lines += ["", *comment(_SAID[path]), f"[{path}]"]
        lines += [_line(f"{path}.model", "model", "" if f"{path}.model" in _ACTIVE else "another-model")]
        lines += [f"# {name} = {toml(value)}" for name, value in domain.role_defaults.get(role, {}).items()]
        lines += _modes(role)
    return lines


def _modes(role: str) -> Iterator[str]:
    """Yield the settings that only a solver or the judge has, explained where they come first."""
    for name in SOLVER_MODES if role in SOLVERS else JUDGE_MODES if role == JUDGE else ():
        info = ModelSettings.model_fields[name]
        default = info.get_default()
        if role in {SOLVERS[0], JUDGE}:
            yield from comment(f"{_said(f'models.{role}.{name}', ModelSettings, name)} {allowed(info)}".strip())
        yield f"# {name} = {toml(_EXAMPLES[name] if default is None else default)}"


def _said(full: str, model: type[BaseModel], name: str) -> str:
    return (_SAID.get(full) or description(model, name)).replace("None:", "Left out:")


def _fields(model: type[BaseModel], path: str, domain: Domain) -> Iterator[str]:
    """Yield the plain settings of a model: meaning, range, and the default."""
    for name, info in model.model_fields.items():
        full = f"{path}.{name}" if path else name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            continue
        if model is ModelSettings and name in {*SOLVER_MODES, *JUDGE_MODES}:
            continue
        default = _called(domain) if full == "domain" else info.get_default(call_default_factory=True)
        text = _said(full, model, name)
        parts = [text, _shipped() if full == "models.default.model" else "", allowed(info)]
        if default is None or default == {}:
            default = _own_bounds(domain) if full == "acceptance" else _EXAMPLES[name]
            parts.append("For example:" if "Left out:" in text else "Not set; for example:")
        yield ""
        yield from comment(" ".join(part for part in parts if part))
        if name == "acceptance":
            yield from _presets(domain)
        yield _line(full, name, default)


def _shipped() -> str:
    return f"Shipped: {', '.join(KNOWN_MODELS)}."


def _line(full: str, name: str, value: Any) -> str:
    return ("" if full in _ACTIVE else "# ") + f"{name} = {toml(value)}"


def _presets(domain: Domain) -> Iterator[str]:
    for name, policy in PRESETS.shipped.items():
        shown = "weak wrong, strong right" if isinstance(policy, Majority) else _summary(type(policy))
        if isinstance(policy, Thresholds | Counts):
            bounds = policy.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
            shown = ", ".join(f"{key} {_plain(value)}" for key, value in bounds.items())
        text = f"{name}{' (the default)' if name == domain.acceptance else ''}: {shown}"
        yield from (f"# {line}" for line in textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    "))
    yield from comment(
        f"Bounds of one's own: {', '.join(n for n in Thresholds.model_fields if n != 'name')}; or counts of right"
        f" attempts: {', '.join(n for n in Counts.model_fields if n != 'name')}."
    )


def _own_bounds(domain: Domain) -> Any:
    if domain.loop_judge:
        return domain.acceptance
    own = {"weak_right": 0} if isinstance(policy_of(domain.acceptance), Counts) else {"gap": ">= 0.25"}
    if isinstance(domain.acceptance, str) and isinstance(PRESETS[domain.acceptance], Thresholds | Counts):
        return {"preset": domain.acceptance, **own}
    return {"preset": "counts" if "weak_right" in own else "paper", **own}


def _called(domain: Domain) -> str:
    """Return what a configuration calls a domain: its name, or for one of one's own the path from here."""
    if domain.folder is None:
        return domain.name
    here = Path.cwd()
    return typed(domain.folder.relative_to(here)) if domain.folder.is_relative_to(here) else str(domain.folder)


def _plain(value: Any) -> str:
    return " and ".join(value) if isinstance(value, list) else str(value).lower()


def _summary(model: type) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
