"""What was found out about an endpoint: kept for the session, reported once, and written down for the next one."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from autodata.checkpoints.queries.meta import ENDPOINT
from autodata.models.dialect import Dialect

USUAL_FORMAT = "json_schema"
"""The structured output that is tried first anyway."""
LOG = logging.getLogger("autodata")


@dataclass
class Trial:
    """A dialect that one task tries at an endpoint."""

    found: Found
    dialect: Dialect


_TRIAL: ContextVar[Trial | None] = ContextVar("_TRIAL", default=None)
"""What the running task tries. Other tasks do not see it, for it is a guess."""


class Found:
    """What one endpoint takes, as far as it is known. All who use the endpoint share it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._dialect = Dialect()
        self.reported: list[str] = []
        """What was found out in this session, a line each."""
        self.on_found: Callable[[str], None] | None = None
        """Called with each of these lines as it is found out; they go to the log where it is None."""
        self.system_taken = False
        """Whether a request with a system text of its own was answered."""
        self._kept: dict[str, Any] = {}
        self._doubted = False
        self._one = asyncio.Lock()
        self.one_asks = asyncio.Lock()
        """Held by whoever asks whether the endpoint takes anything at all."""

    @property
    def dialect(self) -> Dialect:
        """How requests are sent: as was found out, or as the running task tries (`trying`)."""
        trial = self._trial
        return self._dialect if trial is None else trial.dialect

    @property
    def _trial(self) -> Trial | None:
        trial = _TRIAL.get()
        return trial if trial is not None and trial.found is self else None

    @contextmanager
    def trying(self, guess: Dialect) -> Iterator[Trial]:
        """Let what this task sends meanwhile be sent in a guessed dialect, which no other task uses.

        A refusal that names what to change changes the guess.
        """
        before = _TRIAL.set(trial := Trial(self, guess))
        try:
            yield trial
        finally:
            _TRIAL.reset(before)

    def report(self, line: str) -> None:
        """Note a finding; each is reported once."""
        if line not in self.reported:
            self.reported.append(line)
            if self.on_found is None:
                LOG.info("%s: %s", self.name, line)
            else:
                self.on_found(f"{self.name}: {line}")

    def report_to(self, say: Callable[[str], None]) -> None:
        """Report what was found out, and from now on what will be, to a function that shows it to people."""
        self.on_found = say
        for line in self.reported:
            say(f"{self.name}: {line}")

    def adapt(self, used: Dialect, error: Exception, sent: Collection[str]) -> bool:
        """Whether a refused request may be accepted in another dialect than the one it was sent in.

        It may where its refusal names what to change, and where somebody else has found that out in the meantime.
        """
        if (trial := self._trial) is not None:
            changed = used.after(error, sent)
            trial.dialect = changed or used
            return changed is not None
        if self._dialect != used:
            return True
        changed = used.after(error, sent)
        if changed is None:
            self._doubted = False
            return False
        self.speak(changed)
        return True

    def speak(self, dialect: Dialect) -> None:
        """Use a dialect from now on, and say how it differs from the one before."""
        for line in dialect.changes_since(self._dialect):
            self.report(f"{line}, for the server refuses it otherwise")
        self._doubted = dialect != self._dialect
        self._dialect = dialect

    def settled(self) -> None:
        """Note that a request was taken, or failed for another reason: nobody waits for another's any longer."""
        self._doubted = False

    @asynccontextmanager
    async def one_by_one(self) -> AsyncIterator[None]:
        """Let those that were refused try a new dialect one after the other until one of them is answered.

        Others, and those refused once it is known to be taken, do not wait.
        """
        if not self._doubted:
            yield
            return
        async with self._one:
            if self._doubted:
                yield
                return
        yield

    def to_keep(self, wire_format: str | None, schema_formats: Mapping[str, str]) -> dict[str, str]:
        """Return what table `meta` keeps of what is known now, by name; nothing where it is kept or all is as usual."""
        known: dict[str, Any] = {"dialect": self._dialect.kept()} if self._dialect != Dialect() else {}
        others = {name: one for name, one in schema_formats.items() if one != USUAL_FORMAT}
        if others:
            known |= {"wire_format": wire_format, "schema_formats": others}
        if known == self._kept:
            return {}
        self._kept = known
        return {f"{ENDPOINT}{self.name}": json.dumps(known, sort_keys=True)}

    def recall(self, kept: Mapping[str, str]) -> Mapping[str, Any]:
        """Take up what an earlier session kept in table `meta`; return all of it, nothing where it cannot be read."""
        try:
            known = json.loads(kept.get(f"{ENDPOINT}{self.name}", "{}"))
            dialect = Dialect.of(known.get("dialect", {}))
        except (ValueError, TypeError, AttributeError):
            return {}
        self._kept = known
        if dialect != Dialect() and self._dialect == Dialect():
            for line in dialect.changes_since(self._dialect):
                self.report(f"{line}, as an earlier session found out")
            self._dialect = dialect
        return dict(known)


def adjustments_of(known: Any) -> list[str]:
    """Return in words what table `meta` keeps of an endpoint, a line each; nothing of what cannot be read."""
    try:
        lines = Dialect.of(known.get("dialect", {})).changes_since(Dialect())
        formats: dict[str, list[str]] = {}
        for schema, one in known.get("schema_formats", {}).items():
            formats.setdefault(one, []).append(schema)
    except (AttributeError, TypeError, ValueError):
        return []
    for one, schemas in sorted(formats.items()):
        lines.append(f"structured output: {'prompt only' if one == 'none' else one} for {', '.join(sorted(schemas))}")
    return lines
