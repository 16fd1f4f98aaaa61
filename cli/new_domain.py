"""The start of a domain of one's own: a commented domain.toml from the model, and prompts to change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from autodata.checkpoints.docstrings import description
from autodata.checkpoints.errors import UserError
from autodata.cli.commented import allowed, comment, toml
from autodata.domains.domain import DOMAINS, Domain
from autodata.domains.loader import FILE, require_own_name
from autodata.prompts import PromptPack
from autodata.prompts.patch import write_pack

_HEAD = """\
A domain of your own, begun as a copy of "{like}". Every setting is here: a line like "# name = value" shows the \
default, or an example where it says so; remove the "# " to change it.
Beside this file stands one Markdown prompt for each role that the domain uses, and feedback.md.
Then type: autodata init --domain {folder} --out autodata.toml
And then: autodata run --domain {folder} --documents PATH --out RUN
"""

_EXAMPLES: dict[str, Any] = {"passage_words": 150}
"""Shown where the default is nothing."""


def write_domain(folder: Path, like: str) -> None:
    """Write a folder with domain.toml and the prompts of a shipped domain.

    Raises UserError when the folder exists, cannot be written, or has a name that a domain cannot have.
    """
    if like not in DOMAINS:
        raise UserError(f"--like {like}: no such domain: use one of {', '.join(sorted(DOMAINS))}")
    name, domain = folder.absolute().name, DOMAINS[like]
    require_own_name(name, str(folder))
    named = domain.model_dump(exclude={"name"})
    try:
        Domain.model_validate({**named, "name": name})
    except ValueError as error:
        raise UserError(f"{folder}: a domain's name holds letters, digits, - and _, and starts with no sign") from error
    if folder.exists():
        raise UserError(
            f"{folder} exists: choose another name; a configuration for the domain in it:"
            f" autodata init --domain {typed(folder)} --out FILE"
        )
    pack = domain.pack()
    used = {role: prompt for role, prompt in pack.prompts.items() if role in domain.prompted}
    write_pack(PromptPack(name, used), folder)
    try:
        (folder / FILE).write_text(domain_toml(domain, folder), "utf-8", newline="\n")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(f"{folder}: cannot be written ({error.strerror}): choose another name") from error


def typed(folder: Path) -> str:
    """Return a folder as it is typed where a name could be meant: with a separator."""
    return str(folder) if len(folder.parts) > 1 else f"./{folder}"


def domain_toml(like: Domain, folder: Path) -> str:
    """Return the text of a commented domain.toml with the settings of a shipped domain."""
    lines = [*comment(_HEAD.format(like=like.name, folder=typed(folder))), *_fields(like, folder)]
    lines += ["", *comment(f"{description(Domain, 'role_defaults')} One table per role:")]
    for role in like.roles:
        lines += ["", f"[role_defaults.{role}]"]
        lines += [f"{name} = {toml(value)}" for name, value in like.role_defaults.get(role, {}).items()]
    return "\n".join(lines) + "\n"


def _fields(like: Domain, folder: Path) -> Iterator[str]:
    for name, info in Domain.model_fields.items():
        if name == "role_defaults":
            continue
        value, default = getattr(like, name), info.get_default()
        text = description(Domain, name).replace("None:", "Left out:")
        active = info.is_required() or value != default
        if name == "name":
            value, active = folder.absolute().name, False
        elif value is None:
            value, text = _EXAMPLES[name], f"{text} For example:"
        yield ""
        yield from comment(" ".join(part for part in (text, allowed(info)) if part))
        yield f"{'' if active else '# '}{name} = {toml(value)}"
