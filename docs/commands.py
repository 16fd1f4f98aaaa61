"""Write the generated part of docs/cli.md: every command with its options, from the parsers: `make docs`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from autodata.cli.app import COMMANDS, app

PAGE = Path(__file__).with_name("cli.md")
_PART = re.compile(r"(<!-- generated: commands -->\n).*(<!-- end -->)", re.DOTALL)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command by its whole name, those within a group behind it, in the order of the help."""
    group: Any = get_command(app)
    context: Any = typer.Context(group)
    for name in COMMANDS:
        found = group.get_command(context, name)
        yield name, found
        for inner, command in getattr(found, "commands", {}).items():
            yield f"{name} {inner}", command


def described(name: str, command: Any) -> str:
    """Return the section of one command."""
    said, _, example = (command.help or "").partition("Example: ")
    paragraphs = [" ".join(part.split()) for part in said.split("\n\n") if part.strip()]
    rows = [row for param in command.params if not getattr(param, "hidden", False) for row in _row(param)]
    table = ["| argument or option | meaning |", "|---|---|", *rows] if rows else []
    lines = [f"### autodata {name}", "", "\n\n".join(map(_plain, paragraphs))]
    lines += ["", "\n".join(table)] if table else []
    lines += ["", f"Example: `{' '.join(example.split())}`"] if example else []
    return "\n".join(lines)


def _row(param: Any) -> Iterator[str]:
    if "--help" in param.opts:
        return
    names = [*param.opts, *param.secondary_opts] if param.param_type_name == "option" else [_metavar(param)]
    yield f"| {', '.join(f'`{name}`' for name in names)} | {_plain(getattr(param, 'help', '') or '')} |"


def _metavar(param: Any) -> str:
    return str(param.metavar or param.name.upper()).strip("[]{}").replace("]...", "...")


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def rendered(text: str) -> str:
    """Return the page with its generated part as it is now."""
    body = "\n\n".join(described(name, command) for name, command in commands())
    return _PART.sub(lambda match: f"{match[1]}{body}\n{match[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text("utf-8")), "utf-8")
