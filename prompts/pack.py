"""Prompt packs: `<domain>/<role>.md`, TOML front matter between `+++` lines, sections `# system` and `# user`.

A template knows plain `{{name}}` and nothing else: no logic, no attribute access, no second pass over what was
inserted. Names are the placeholders the front matter declares and the keys of its `[limits]`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import digest
from autodata.prompts.roles import PLACEHOLDERS, ROLE

_NAME = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_ODD_NAME = re.compile(r"\{\{[^{}\n]*\}\}")
_SECTION = re.compile(r"^# (system|user)[ \t]*$", re.MULTILINE)


class FrontMatter(BaseModel):
    """The head of a prompt file."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)

    placeholders: tuple[str, ...]
    editable: bool = False
    limits: dict[str, int] = Field(default_factory=dict)
    """Whole numbers that the text names as placeholders and that code checks where it can, such as rubric counts."""
    verdict_alone: bool = False
    """Of a verifier: whether its verdict is all that it is asked for, without what it reads or why."""
    angles: tuple[str, ...] = ()
    """What `{{angle}}` says to each of several challengers side by side, in turn."""


@dataclass(frozen=True)
class Prompt:
    """One role's prompt. `version` is a hash of the file's text."""

    role: str
    text: str
    front: FrontMatter
    system: str
    user: str

    @property
    def version(self) -> str:
        """12 hex digits of the SHA-256 of the file's text."""
        return digest(self.text, 12)

    def render(self, values: Mapping[str, str]) -> list[dict[str, str]]:
        """Return the chat messages with every placeholder filled, in one pass over the template.

        Raises KeyError when a declared placeholder has no value.
        """
        known = {name: values[name] for name in self.front.placeholders}
        known |= {name: str(number) for name, number in self.front.limits.items()}
        fill = {"system": self.system, "user": self.user}
        return [
            {"role": role, "content": _NAME.sub(lambda match: known[match.group(1)], template).strip()}
            for role, template in fill.items()
            if template.strip()
        ]


@dataclass(frozen=True)
class PromptPack:
    """All prompts of a domain. `version` is a hash over the sorted (role, version) pairs."""

    name: str
    prompts: Mapping[str, Prompt]

    @property
    def version(self) -> str:
        """12 hex digits of the SHA-256 over the sorted (role, version) pairs."""
        return digest(sorted((role, prompt.version) for role, prompt in self.prompts.items()), 12)

    def __getitem__(self, role: str) -> Prompt:
        """Return the prompt of a role."""
        return self.prompts[role]

    def diff(self, other: PromptPack) -> str:
        """Return the unified diff that turns this pack into another; empty when they are the same."""
        lines: list[str] = []
        for role in sorted({*self.prompts, *other.prompts}):
            before, after = (
                lines_of(pack.prompts[role].text if role in pack.prompts else "") for pack in (self, other)
            )
            lines += difflib.unified_diff(before, after, f"a/{role}.md", f"b/{role}.md")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def parse_prompt(role: str, text: str, where: str) -> Prompt:
    """Read one prompt file's text. Raises UserError naming `where` and what is wrong."""
    parts = text.split("+++\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise UserError(f"{where}: a prompt starts with TOML front matter between two lines of '+++'")
    try:
        front = FrontMatter.model_validate(tomllib.loads(parts[1]))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise UserError(f"{where}: front matter: {_one_line(error)}") from error
    pieces = _SECTION.split(parts[2])
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    if pieces[0].strip() or "user" not in sections or len(pieces) != 2 * len(sections) + 1:
        raise UserError(f"{where}: after the front matter come '# system' and '# user', each once")
    if odd := _ODD_NAME.search(_NAME.sub("", parts[2])):
        raise UserError(f"{where}: {odd[0]} is no placeholder: names are lower-case letters and underscores")
    used = {name for section in sections.values() for name in _NAME.findall(section)}
    declared = {*front.placeholders, *front.limits}
    if used - declared:
        raise UserError(f"{where}: {{{{{min(used - declared)}}}}} is not declared: add it to 'placeholders'")
    if set(front.placeholders) - used:
        raise UserError(f"{where}: placeholder {min(set(front.placeholders) - used)!r} is declared but never used")
    if clash := set(front.limits) & set(front.placeholders):
        raise UserError(f"{where}: {min(clash)!r} is both a placeholder and a limit: rename the limit")
    if role not in ROLE:
        raise UserError(f"{where}: no role is called {role!r}: use one of {', '.join(sorted(PLACEHOLDERS))}")
    if forbidden := set(front.placeholders) - set(ROLE[role].placeholders):
        raise UserError(f"{where}: {role} may not see {{{{{min(forbidden)}}}}}")
    if front.editable and not ROLE[role].editable:
        raise UserError(f"{where}: the prompt of {role} can never be editable")
    return Prompt(role, text, front, sections.get("system", ""), sections["user"])


def load_pack(source: str | Path) -> PromptPack:
    """Load a pack: the name of a shipped one (`cs`, `facts`) or a folder of `<role>.md` files.

    Raises UserError when there is no such pack or a file of it is wrong.
    """
    folder = Path(__file__).parent / source if isinstance(source, str) else source
    files = sorted(folder.glob("*.md")) if os.path.isdir(folder) else []
    if not files:
        raise UserError(f"no prompt pack at {source!s}: give one of {', '.join(shipped_packs())} or a folder")
    prompts = {file.stem: parse_prompt(file.stem, _text(file), str(file)) for file in files}
    return PromptPack(folder.name, prompts)


def shipped_packs() -> list[str]:
    """Return the names of the domains' packs that come with the package."""
    return sorted(file.parent.name for file in Path(__file__).parent.glob("*/challenger.md"))


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with their ends: unlike `splitlines`, line feeds alone end one."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _one_line(error: Any) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return " ".join(str(error).split())
