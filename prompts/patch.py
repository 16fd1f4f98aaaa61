"""Packs as they are kept: a unified diff applied strictly, and a folder written whole.

The diffs are those that `PromptPack.diff` makes, and nothing looser: no fuzz, no offsets, no new or deleted files.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autodata.checkpoints.errors import PatchError, UserError
from autodata.prompts.pack import Prompt, PromptPack, lines_of, parse_prompt

_FILE = re.compile(r"--- a/(.+)\n\+\+\+ b/(.+)\n")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n")
_NO_NEWLINE = "\\ No newline at end of file\n"


@dataclass
class _Hunk:
    old_start: int
    new_start: int
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Sign (blank, `-` or `+`) and content, with its line feed unless it has none."""

    def side(self, sign: str) -> list[str]:
        return [content for mark, content in self.lines if mark in {" ", sign}]


def apply_diff(pack: PromptPack, diff: str) -> PromptPack:
    """Return the pack that a unified diff, as `PromptPack.diff` makes it, turns a pack into.

    Line numbers and context must fit exactly. Raises PatchError: for files that are not `<role>.md` of the pack, for
    new, deleted, renamed or binary files, and for a result that is no prompt.
    """
    prompts = dict(pack.prompts)
    changed: set[str] = set()
    for role, hunks in _files(pack, diff):
        if role in changed:
            raise PatchError(f"{role}.md: stands in the diff twice")
        changed.add(role)
        prompts[role] = _patched(pack[role], hunks)
    return PromptPack(pack.name, prompts)


def write_pack(pack: PromptPack, folder: Path) -> None:
    """Write a pack's files into a folder, which is made; each file appears whole or not at all.

    Nothing that exists is overwritten, and no symbolic link is followed, neither the folder nor a file. Raises
    UserError, with nothing written, when a file or a link stands in the way.
    """
    if folder.is_symlink():
        raise UserError(f"{folder} is a symbolic link: name the folder it leads to, or another one")
    files = {folder / f"{role}.md": prompt.text for role, prompt in pack.prompts.items()}
    if there := next((file for file in files if os.path.lexists(file)), None):
        raise UserError(f"{there} exists: choose another folder")
    written: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            part = file.with_name(f".{file.name}.{secrets.token_hex(6)}.part")
            written.append((part, file))
            with part.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        for part, file in written:
            part.replace(file)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}): choose another folder") from error
    finally:
        for part, _ in written:
            part.unlink(missing_ok=True)


def _files(pack: PromptPack, diff: str) -> Iterator[tuple[str, list[_Hunk]]]:
    """Read the diff file by file: the role and its hunks."""
    at = 0
    while at < len(diff):
        head = _FILE.match(diff, at)
        if head is None:
            raise PatchError(f"line {_line(diff, at)} of the diff: '--- a/ROLE.md' and '+++ b/ROLE.md' are expected")
        before, after = head[1], head[2]
        if before != after:
            raise PatchError(f"{_shown(before)}: no file can be created, removed or renamed by a diff")
        role = before.removesuffix(".md")
        if f"{role}.md" != before or role not in pack.prompts:
            raise PatchError(f"{_shown(before)}: no prompt of the pack: it has {', '.join(pack.prompts)}")
        hunks, at = _hunks(diff, head.end(), before)
        yield role, hunks


def _hunks(diff: str, at: int, file: str) -> tuple[list[_Hunk], int]:
    """Read the hunks of one file; return them and where they end."""
    hunks: list[_Hunk] = []
    while head := _HUNK.match(diff, at):
        hunk = _Hunk(int(head[1]), int(head[3]))
        old, new = (1 if head[group] is None else int(head[group]) for group in (2, 4))
        at = head.end()
        while old or new or diff.startswith(_NO_NEWLINE, at):
            if diff.startswith(_NO_NEWLINE, at):
                if not hunk.lines or not hunk.lines[-1][1].endswith("\n"):
                    raise PatchError(f"line {_line(diff, at)} of the diff: follows no line")
                sign, content = hunk.lines[-1]
                hunk.lines[-1] = (sign, content[:-1])
                at += len(_NO_NEWLINE)
                continue
            end = diff.find("\n", at) + 1
            sign = diff[at : at + 1]
            if not end or sign not in {" ", "-", "+"}:
                raise PatchError(f"line {_line(diff, at)} of the diff: {file}: the hunk ends too early")
            old, new = old - (sign != "+"), new - (sign != "-")
            if old < 0 or new < 0:
                raise PatchError(f"line {_line(diff, at)} of the diff: {file}: the hunk is longer than it says")
            hunk.lines.append((sign, diff[at + 1 : end]))
            at = end
        if not hunk.lines:
            raise PatchError(f"line {_line(diff, at)} of the diff: {file}: the hunk is empty")
        hunks.append(hunk)
    if not hunks:
        raise PatchError(f"line {_line(diff, at)} of the diff: {file}: '@@ -N,N +N,N @@' is expected")
    return hunks, at


def _patched(prompt: Prompt, hunks: list[_Hunk]) -> Prompt:
    old, new, at = lines_of(prompt.text), list[str](), 0
    for hunk in hunks:
        before, after = hunk.side("-"), hunk.side("+")
        start = hunk.old_start - (1 if before else 0)
        new += old[at:start]
        placed = start >= at and len(new) == hunk.new_start - (1 if after else 0)
        if not placed or old[start : start + len(before)] != before:
            raise PatchError(f"{prompt.role}.md: the hunk at line {hunk.old_start} does not fit the file")
        new += after
        at = start + len(before)
    new += old[at:]
    if any(not line.endswith("\n") for line in new[:-1]):
        raise PatchError(f"{prompt.role}.md: a line in the middle would have no end")
    try:
        return parse_prompt(prompt.role, "".join(new), f"{prompt.role}.md")
    except UserError as error:
        raise PatchError(str(error)) from error


def _line(diff: str, at: int) -> int:
    return diff.count("\n", 0, at) + 1


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else f"{name[:59]}…")
