"""The editing agent's copy of a prompt pack: it views and edits by name, and touches no file on disk.

What may be edited is a list of exact names, `<role>.md` for the roles whose prompts are editable. Every other name, and
every edit of a file's head, is refused with one line, which goes back to the agent, and is recorded (rule 6).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from autodata.checkpoints.errors import UserError
from autodata.nodes.optimizer.schemas import Edit
from autodata.prompts import PromptPack, fence
from autodata.prompts.pack import lines_of, parse_prompt
from autodata.prompts.roles import EDITABLE, PLACEHOLDERS

PROTECTED_ROLES = frozenset(PLACEHOLDERS) - EDITABLE
"""Roles whose prompts nobody edits: solvers, judges and whoever reads for them."""

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Unicode categories of characters that a reader does not see, or sees as another line."""


@dataclass(frozen=True)
class Refusal:
    """Something that the editor tried and that code refused. `turn` counts from 1."""

    turn: int
    action: str
    """`view`, `replace`, `insert`, or `check` for a complaint about the whole."""
    file: str
    """The name as it was given, cut when long; empty for the whole."""
    reason: str
    """One line, as it was shown to the editor."""

    def __str__(self) -> str:
        """Return it as one line."""
        return f"turn {self.turn}: {self.action}: {self.reason}"


class Refused(ValueError):
    """An action that is not carried out. The message is one line for the editor."""


def editable_roles(pack: PromptPack) -> tuple[str, ...]:
    """Return the roles whose prompts may be edited: by the package's rule, and by the head of their own file."""
    return tuple(role for role, prompt in pack.prompts.items() if role in EDITABLE and prompt.front.editable)


def require_own_files(pack: PromptPack, folder: Path) -> None:
    """Raise UserError where an editable prompt of a folder is a link: what it leads to is not the pack's own."""
    for role in editable_roles(pack):
        file = folder / f"{role}.md"
        if file.is_symlink():
            raise UserError(f"{file} is a symbolic link: put the prompt itself there, or set editable = false in it")


def head_of(text: str) -> str:
    """Return the head of a prompt file: all up to and with the second line of `+++`."""
    return text[: len(text) - len(text.split("+++\n", 2)[-1])]


class EditSandbox:
    """A copy of a pack with the editor's changes. Deterministic: the same actions leave the same texts."""

    def __init__(self, pack: PromptPack) -> None:
        """Take a copy. Raises UserError when the pack has no editable prompt."""
        self.start = pack
        self._prompts = {f"{role}.md": pack[role] for role in editable_roles(pack)}
        if not self._prompts:
            raise UserError(f"prompt pack {pack.name}: no prompt is editable: set editable = true in one of them")
        self.refusals: list[Refusal] = []
        self.turn = 0
        self._numbers: dict[str, list[int]] = {}
        self._changed: set[str] = set()
        self._viewed: set[str] = set()
        self.begin_turn()

    @property
    def files(self) -> tuple[str, ...]:
        """The names that may be used."""
        return tuple(self._prompts)

    def text(self, file: str) -> str:
        """Return the present text of one of `files`."""
        return self._prompts[file].text

    def begin_turn(self) -> None:
        """Start a turn: from here on line numbers mean the files as they are now."""
        self.turn += 1
        self._changed, self._viewed = set(), set()
        self._numbers = {file: list(range(1, len(lines_of(self.text(file))) + 1)) for file in self._prompts}

    def changed(self) -> tuple[str, ...]:
        """Return the files that this turn changed."""
        return tuple(file for file in self._prompts if file in self._changed)

    def viewed(self) -> tuple[str, ...]:
        """Return the files that this turn asked to see."""
        return tuple(file for file in self._prompts if file in self._viewed)

    def act(self, edit: Edit) -> str:
        """Carry out one action and return what is reported of it. Raises Refused, having recorded it."""
        try:
            self._require_name(edit.file)
            if edit.action == "view":
                self._viewed.add(edit.file)
                return self.view(edit.file)
            if edit.action == "replace":
                self._replace(edit.file, _unix(edit.old), _visible(edit.new))
            else:
                self._insert(edit.file, edit.line, _visible(edit.new))
        except Refused as refused:
            self.refuse(edit.action, edit.file, str(refused))
            raise
        return "done"

    def refuse(self, action: str, file: str, reason: str) -> None:
        """Record a refusal."""
        self.refusals.append(Refusal(self.turn, action, shown_name(file), reason))

    def view(self, file: str) -> str:
        """Return one of `files` with line numbers, fenced: the prompt speaks to others."""
        lines = self.text(file).split("\n")
        if not lines[-1]:
            lines.pop()
        return f"{file}:\n" + fence("file", "\n".join(f"{n:>3}| {line}" for n, line in enumerate(lines, 1)))

    def pack(self) -> PromptPack:
        """Return the pack as edited."""
        edited = {prompt.role: prompt for prompt in self._prompts.values()}
        return PromptPack(self.start.name, {**self.start.prompts, **edited})

    def _require_name(self, name: str) -> None:
        """Raise Refused unless a name is, to the letter, one that may be edited."""
        if name in self._prompts:
            return
        use = f"use one of {', '.join(self._prompts)}"
        stem = name.removesuffix(".md").lower()
        if not name.isascii() or not name.isprintable():
            raise Refused(f"{shown_name(name)}: a file's name is plain letters: {use}")
        if re.search(r"[/\\:~%]|\.\.", name):
            raise Refused(f"{shown_name(name)}: nothing outside the prompt pack can be reached: {use}")
        if stem in PROTECTED_ROLES:
            raise Refused(f"{shown_name(name)}: the prompt of {stem} is never edited, nor shown: {use}")
        if stem in EDITABLE and f"{stem}.md" == name:
            raise Refused(f"{shown_name(name)}: not editable in this pack: {use}")
        if "." in name and not name.endswith(".md"):
            raise Refused(f"{shown_name(name)}: settings, schemas and thresholds are not edited: {use}")
        raise Refused(f"{shown_name(name)}: no such file: {use}")

    def _replace(self, file: str, old: str, new: str) -> None:
        text = self.text(file)
        if not old:
            raise Refused(f"{file}: 'old' is empty: copy the text to replace from the file")
        count = text.count(old)
        if not count:
            hint = " (leave the line numbers out)" if re.search(r"^ *\d+\| ", old, re.MULTILINE) else ""
            raise Refused(f"{file}: 'old' does not stand in the file{hint}: copy it to the letter, line ends included")
        at = text.find(old)
        if count > 1 or text.find(old, at + 1) >= 0:
            raise Refused(f"{file}: 'old' stands in the file more than once: take in more of what is around it")
        if old == new:
            raise Refused(f"{file}: 'new' is the same as 'old'")
        first = text.count("\n", 0, at)
        last = text.count("\n", 0, at + len(old) - 1)
        self._put(file, text[:at] + new + text[at + len(old) :], first, last + 1)

    def _insert(self, file: str, line: int, new: str) -> None:
        lines = lines_of(self.text(file))
        numbers = self._numbers[file]
        if not new.strip():
            raise Refused(f"{file}: 'new' is empty: give the lines to insert")
        if line and line not in numbers:
            last = max(numbers, default=0)
            why = "was changed in this turn" if line <= last else f"is not there: the last is {last}"
            raise Refused(f"{file}: line {line} {why}: look at the file and insert again")
        at = numbers.index(line) + 1 if line else 0
        before = "".join(lines[:at])
        if before and not before.endswith("\n"):
            before += "\n"
        self._put(file, before + new.removesuffix("\n") + "\n" + "".join(lines[at:]), at, at)

    def _put(self, file: str, text: str, first: int, last: int) -> None:
        """Make a text the file's, whose lines `first` (from 0) up to before `last` have changed."""
        before = self.text(file)
        if head_of(text) != head_of(before):
            raise Refused(f"{file}: the head between the lines +++ stays as it is: edit what comes below it")
        try:
            self._prompts[file] = parse_prompt(file.removesuffix(".md"), text, file)
        except UserError as error:
            raise Refused(f"{error}: one action must leave the file whole") from error
        numbers = self._numbers[file]
        length = len(lines_of(text)) - (len(numbers) - (last - first))
        inner = numbers[first:last]
        if len(inner) != length:  # the lines have no numbers of their own; behind the last is behind the last
            inner = [0] * (length - 1) + inner[-1:] if inner and length > 0 else [0] * max(length, 0)
        self._numbers[file] = [*numbers[:first], *inner, *numbers[last:]]
        self._changed.add(file)


def invisible(text: str) -> str:
    """Return the first character of a text that nobody sees, line feeds and tabs aside; empty without any."""
    return next((sign for sign in text if sign not in "\n\t" and unicodedata.category(sign) in _UNSEEN), "")


def shown_name(name: str) -> str:
    """Return a name fit for one line: plain, and cut when long."""
    return name if name.isascii() and name.isprintable() and len(name) <= 60 else ascii(name[:60])


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")


def _visible(text: str) -> str:
    """Return an edit's text with unix line ends. Raises Refused for characters that nobody sees."""
    if sign := invisible(_unix(text)):
        raise Refused(f"the text holds the invisible character U+{ord(sign):04X}: leave it out")
    return _unix(text)
