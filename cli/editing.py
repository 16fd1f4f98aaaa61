"""Changing a candidate by hand: as a file, or in the editor that the environment names, until code finds it sound."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from autodata.checkpoints.errors import UserError

HEAD = """\
Change the candidate, save and close the editor. Every field may change; it is verified anew before it counts.
Close without a change to leave it as it is.
"""


def parse_changes(text: str) -> dict[str, Any]:
    """Return the fields in a JSON or TOML text. Raises ValueError that says where it is neither."""
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"neither TOML nor JSON: {error}") from error
    return dict(found)


def read_changes(path: Path) -> dict[str, Any]:
    """Return the fields in a JSON or TOML file. Raises UserError when it cannot be read."""
    try:
        return parse_changes(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: cannot be read as a candidate: {reason}") from error


def in_editor(
    candidate: Mapping[str, Any],
    check: Callable[[dict[str, Any]], object],
    again: Callable[[str], bool],
    *,
    head: str = HEAD,
) -> dict[str, Any] | None:
    """Let a person change a candidate, or whatever `head` speaks of.

    Return its fields once `check` raises no ValueError, None if it was left.
    `again` gets what is wrong and answers whether the editor opens once more, on what was written.
    Raises UserError when there is no editor.
    """
    shown = tomli_w.dumps(
        {name: value for name, value in candidate.items() if value is not None}, multiline_strings=True
    )
    before = text = _commented(head) + shown
    while True:
        text = _edited(text)
        if text == before:
            return None
        try:
            changes = parse_changes(text)
            check(changes)
        except ValueError as error:
            if not again(str(error)):
                return None
            body = "\n".join(line for line in text.split("\n") if not line.startswith("# Not yet:"))
            text = f"# Not yet: {error}".replace("\n", " ") + f"\n{body}"
        else:
            return changes


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())


def _edited(text: str) -> str:
    """Return a text as the editor leaves it."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="autodata-") as folder:
        path = Path(folder) / "candidate.toml"
        path.write_text(text, "utf-8")
        try:
            done = subprocess.run([*shlex.split(command), str(path)], check=False)  # noqa: S603 - the user's own editor
        except (OSError, ValueError) as error:
            raise UserError(
                f"the editor {command!r} cannot be started: set EDITOR, for instance EDITOR=nano"
            ) from error
        if done.returncode:
            raise UserError(f"the editor {command!r} failed with exit code {done.returncode}: nothing was changed")
        return path.read_text("utf-8", errors="replace")
