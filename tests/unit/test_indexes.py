"""Every index of the ledger serves a query, and what adds up calls reads no reply for it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints import queries
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.usage import answered_models, charged, usage_of_all
from autodata.checkpoints.schema import TABLES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@pytest.fixture
async def asked(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Ledger, list[tuple[str, Any]]]]:
    """A new ledger, and what it is asked from now on."""
    said: list[tuple[str, Any]] = []
    async with Ledger.open(path) as ledger:
        read = ledger.read

        async def noted(sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[dict[str, Any]]:
            said.append((sql, params))
            return await read(sql, params)

        monkeypatch.setattr(ledger, "read", noted)
        yield ledger, said


def plans(path: Path, said: Sequence[tuple[str, Any]]) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [row[3] for sql, params in said for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", params)]


def made_up(parameter: inspect.Parameter) -> Any:
    """Return a value of a parameter's type."""
    kind = str(parameter.annotation)
    if parameter.name == "table":
        return "attempts"
    if kind.startswith("Sequence[int]"):
        return [1, 2]
    plain: list[tuple[str, Any]] = [("str", "x"), ("int", 1), ("float", 1.0), ("bool", True)]
    return next((value for name, value in plain if kind.startswith(name)), [])


async def test_every_index_serves_a_query(path: Path, asked: tuple[Ledger, list[tuple[str, Any]]]) -> None:
    ledger, said = asked
    await ledger.find_call("x", "x")
    for found in pkgutil.iter_modules(queries.__path__):
        module = importlib.import_module(f"{queries.__name__}.{found.name}")
        for function in vars(module).values():
            if not inspect.iscoroutinefunction(function) or function.__name__.startswith("_"):
                continue
            _, *parameters = inspect.signature(function).parameters.values()
            values = [made_up(one) for one in parameters if one.kind is not one.KEYWORD_ONLY]
            with suppress(LookupError, TypeError, ValueError):  # of a document that is not there
                await function(ledger, *values)
    shown = " ".join(plans(path, said)) + " "
    named = {
        "idx_" + "_".join((name, *columns))
        for name, table in TABLES.items()
        for columns in table.indexes
        if columns[0] not in table.foreign  # a parent's change looks its children up
    }
    assert {name for name in named if f"INDEX {name} " not in shown} == set()
    assert len(named) > 5


@pytest.mark.parametrize("query", [usage_of_all, charged, answered_models])
async def test_no_reply_is_read_to_add_up_calls(
    query: Any, path: Path, asked: tuple[Ledger, list[tuple[str, Any]]]
) -> None:
    ledger, said = asked
    await query(ledger)
    of_calls = [line for line in plans(path, said) if "calls" in line and "calls)" not in line]
    assert of_calls
    assert all("COVERING INDEX" in line for line in of_calls if line.startswith(("SCAN calls", "SEARCH calls")))
    assert any("COVERING INDEX" in line for line in of_calls)
