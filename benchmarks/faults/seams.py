"""The boundaries of a run, found by instrumentation, and how one of them is broken.

A boundary is named by what stands there: `call weak_solver`, `save record_accepted`, `commit`, `checkpoint aput`,
`carry carry_span`, `write config.toml`, `rename config.part`. A plain session counts how often each is passed; a broken
one is given which, at which of its passes, and what is to happen there.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.saver import FileSaver
from autodata.checkpoints.sqlite_engine import SqliteEngine
from autodata.models.faults import TimedOut
from autodata.models.role_model import RoleModel
from autodata.models.sending import Sender
from benchmarks.faults.breaks import (
    AFTER,
    BEFORE,
    BETWEEN,
    CLOCK,
    DISK,
    REFUSED,
    SAVER,
    TIME_OUT,
    Break,
    Clock,
    kill,
)
from benchmarks.faults.seams_files import put_files

_CALL: contextvars.ContextVar[str] = contextvars.ContextVar("call")


@dataclass
class Seams:
    """The boundaries of one session."""

    root: Path
    network: Path
    """Where all that leaves is written down, a line a request: it outlives the process."""
    planned: Break | None = None
    canary: str = ""
    passed: Counter[str] = field(default_factory=Counter)
    clock: Clock = field(default_factory=Clock)
    next_commit: str = ""
    """What is to happen to the commit that a save leads to."""
    hit: bool = False
    led: bool = False
    """Whether what comes before the break has happened."""
    session: asyncio.Task[Any] | None = None
    """What a second Ctrl-C cancels."""

    async def run(self, session: Callable[[Path], Awaitable[str]]) -> str:
        """Run a session with the seams in."""
        self.session = asyncio.current_task()
        with self.instrumented():
            return await session(self.root)

    def at(self, seam: str) -> str:
        """Note that a boundary is passed; return what is to happen there, empty for nothing."""
        self.passed[seam] += 1
        plan = self.planned
        if plan is not None and plan.behind is not None and seam == plan.behind[0] and not self.led:
            self.led = True
            return plan.behind[1]
        if plan is None or self.hit or seam != plan.seam or self.passed[seam] != plan.count:
            return ""
        self.hit = True
        return plan.fault

    def note(self, **line: Any) -> None:
        """Write down what left, or came back."""
        file = os.open(self.network, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
        finally:
            os.close(file)

    def general(self, fault: str) -> None:
        """Do what is the same at every boundary, before it."""
        if fault in CLOCK:
            self.clock.jump(fault)
        elif fault == "cancel":
            assert self.session is not None
            self.session.cancel()
        elif fault == BEFORE:
            kill()

    @contextmanager
    def instrumented(self) -> Iterator[None]:
        """Put the seams in, for as long as the context lasts."""
        undo: list[Callable[[], None]] = []

        def put(owner: Any, name: str, made: Callable[[Any], Any]) -> None:
            before = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
            setattr(owner, name, made(before))
            undo.append(lambda: setattr(owner, name, before))

        try:
            _calls(self, put)
            _ledger(self, put)
            for method in SAVER:
                put(FileSaver, method, partial(_checkpoint, self, method))
            put_files(self, put)
            _clocks(self, put)
            yield
        finally:
            for step in reversed(undo):
                step()


Put = Callable[[Any, str, Callable[[Any], Any]], None]


class Answered(Exception):
    """What a server answers that takes no request: 401 a key, which it repeats, 413 this very request."""

    def __init__(self, status_code: int, words: str) -> None:
        super().__init__(words)
        self.status_code = status_code


def _calls(seams: Seams, put: Put) -> None:
    """Requests: what leaves and what comes back."""

    def send(original: Any) -> Any:
        async def sending(self: Sender, call: Any, most: Any) -> Any:
            _CALL.set(call.key)
            return await original(self, call, most)

        return sending

    def ask(original: Any) -> Any:
        async def asking(self: RoleModel, chat: Any, messages: Any, notices: Any, kwargs: Any) -> Any:
            role = str(notices.config.get("run_name") or "call")
            fault, key = seams.at(f"call {role}"), _CALL.get("")
            seams.general(fault)
            if fault == "no connection":
                raise ConnectionRefusedError("no connection")
            seams.note(sent=key, body=[messages, {name: str(value) for name, value in kwargs.items()}])
            if fault == "error that repeats the key":
                raise Answered(401, f"Incorrect API key provided: {seams.canary}")
            if fault == REFUSED:
                raise Answered(413, f"request too large for {seams.canary}")
            if fault == TIME_OUT:
                raise TimedOut(self.settings.timeout, role)
            if fault == "delay":
                for _ in range(50):
                    await asyncio.sleep(0)
            message = await original(self, chat, messages, notices, kwargs)
            seams.note(replied=key)
            if fault == AFTER:
                kill()
            return _spoilt(message, fault)

        return asking

    put(Sender, "_send", send)
    put(RoleModel, "_ask", ask)


def _spoilt(message: AIMessage, fault: str) -> AIMessage:
    """Return a reply as a bad line delivers it."""
    text = str(message.text)
    if fault == "corrupted reply":
        rng = random.Random(text)
        signs = [rng.choice("\x00\ufffd{}\"'\\\u202e \n") if rng.random() < 0.2 else sign for sign in text]
        return message.model_copy(update={"content": "".join(signs)})
    if fault == "truncated reply":
        return message.model_copy(update={"content": text[: len(text) // 2]})
    return message


def _ledger(seams: Seams, put: Put) -> None:
    """Saves by the function that asks for them, and the transactions that they go into."""

    def save(original: Any) -> Any:
        async def saving(self: Ledger, **tables: Any) -> None:
            fault = seams.at(f"save {writer_of(sys._getframe(1))}")
            seams.general(fault)
            if fault in DISK:
                seams.next_commit = fault
            if fault == "delay":
                for _ in range(50):
                    await asyncio.sleep(0)
            await original(self, **tables)
            if fault == AFTER:
                kill()

        return saving

    def carry(original: Any) -> Any:
        def carrying(self: Ledger, **tables: Any) -> None:
            fault = seams.at(f"carry {writer_of(sys._getframe(1))}")
            seams.general(fault)
            original(self, **tables)
            if fault == AFTER:
                kill()

        return carrying

    def write(original: Any) -> Any:
        def writing(self: SqliteEngine, saves: Any) -> Any:
            fault = seams.at("commit") or seams.next_commit
            seams.next_commit = ""
            if fault == BEFORE:
                kill()
            if fault == "delay":
                time.sleep(0.002)
            if fault in DISK or fault == BETWEEN:
                return _broken_commit(self, fault, saves, original)
            outcome = original(self, saves)
            if fault == AFTER:
                kill()
            return outcome

        return writing

    put(Ledger, "save", save)
    put(Ledger, "carry", carry)
    put(SqliteEngine, "write", write)


def _broken_commit(engine: SqliteEngine, fault: str, saves: Any, original: Any) -> Any:
    """Write rows, and fail, or die, before they are committed."""
    upserted = engine._write_one

    def then(rows: Any) -> Any:
        upserted(rows)
        if fault == BETWEEN:
            kill()
        raise disk_error(fault)

    engine._write_one = then  # type: ignore[method-assign] # for this transaction alone
    try:
        return original(engine, saves)
    finally:
        del engine._write_one


def disk_error(fault: str) -> sqlite3.OperationalError:
    """Return what SQLite raises when a disk is full or fails."""
    full = fault == "disk full"
    error = sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR
    return error


def writer_of(frame: Any) -> str:
    """Return the function of the package that makes the rows: the first of `writes` or `corrections` up the stack."""
    at = frame
    while at is not None:
        module = at.f_globals.get("__name__", "")
        if module.startswith("autodata.checkpoints.writes.") or module == "autodata.checkpoints.corrections":
            return str(at.f_code.co_name)
        at = at.f_back
    return "elsewhere"


def _checkpoint(seams: Seams, name: str, original: Any) -> Any:
    async def checkpointing(self: FileSaver, *args: Any, **kwargs: Any) -> Any:
        fault = seams.at(f"checkpoint {name}")
        seams.general(fault)
        if fault in DISK:
            raise disk_error(fault)
        if fault == "delay":
            for _ in range(50):
                await asyncio.sleep(0)
        result = await original(self, *args, **kwargs)
        if fault == AFTER:
            kill()
        return result

    return checkpointing


def _clocks(seams: Seams, put: Put) -> None:
    wall, monotonic = time.time, time.monotonic

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seams.clock.wall)

    put(time, "time", lambda original: lambda: wall() + seams.clock.wall)
    put(time, "monotonic", lambda original: lambda: monotonic() + seams.clock.monotonic)
    for name, module in list(sys.modules.items()):
        if name.startswith("autodata.") and getattr(module, "datetime", None) is datetime:
            put(module, "datetime", lambda original: Jumping)
