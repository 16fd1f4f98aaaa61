"""Long work runs on uvloop where it is installed and not refused, else on asyncio's own loop."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from autodata.checkpoints.errors import UserError
from autodata.jobs import event_loop
from autodata.jobs.blocking import run_blocking
from autodata.jobs.event_loop import VARIABLE, run_long


async def kind_of_loop() -> type[asyncio.AbstractEventLoop]:
    return type(asyncio.get_running_loop())


@pytest.mark.parametrize(("chosen", "fast"), [("", True), ("uvloop", True), (" UVLOOP ", True), ("asyncio", False)])
def test_the_variable_chooses(chosen: str, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    assert issubclass(run_long(kind_of_loop()), uvloop.Loop) is fast
    assert issubclass(run_blocking(kind_of_loop), uvloop.Loop) is fast


def test_without_uvloop_the_loop_is_asyncios_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(event_loop, "find_spec", lambda name: None)
    assert not issubclass(run_long(kind_of_loop()), uvloop.Loop)
    monkeypatch.setenv(VARIABLE, "uvloop")
    with pytest.raises(UserError, match=r"^AUTODATA_EVENT_LOOP=uvloop: .*autodata-langgraph\[fast\]"):
        run_long(kind_of_loop())


def test_any_other_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "trio")
    with pytest.raises(UserError, match="write asyncio or uvloop"):
        run_long(kind_of_loop())


def test_what_the_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_long(fail())
