"""The error tree: what is printed at its top is what it is, and one function says what an error means for a run."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator

import pytest
from langgraph.errors import GraphDrained

import autodata
from autodata.checkpoints import errors
from autodata.checkpoints.errors import AutodataError, Effect, effect_of, exit_code_of
from autodata.cli import app
from autodata.nodes.solver_modes import NothingMadeOfSamples
from autodata.serving.errors import Errored, Refused, Stopped, in_server_errors


def _below(kind: type[AutodataError]) -> Iterator[type[AutodataError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def test_the_tree_printed_at_the_top_of_the_module_is_the_tree_of_all_classes_of_the_package() -> None:
    for module in pkgutil.walk_packages(autodata.__path__, "autodata."):
        if not module.name.startswith(("autodata.cli.launch", "autodata.examples")):
            importlib.import_module(module.name)
    printed = re.findall(r"^    (?:([│ ]*)[├└]── )?(\w+) {2,}", str(errors.__doc__), re.MULTILINE)
    parents: list[str] = []
    found = {}
    for indent, name in printed:
        depth = 0 if name == "AutodataError" else 1 + len(indent) // 4
        parents = [*parents[:depth], name]
        found[name] = parents[depth - 1] if depth else ""
    real = {kind.__name__: kind.__bases__[0].__name__ for kind in _below(AutodataError) if _shipped(kind)}
    assert found == {"AutodataError": "", **real}


def _shipped(kind: type) -> bool:
    return kind.__module__.startswith("autodata.")


@pytest.mark.parametrize(
    ("error", "effect", "code"),
    [
        (errors.UserError("x"), Effect.USER, 2),
        (errors.BadState("x"), Effect.BAD_STATE, 2),
        (errors.PatchError("x"), Effect.FAILED, 1),
        (errors.RunFailed("x"), Effect.FAILED, 1),
        (errors.DiskFailed("x"), Effect.FAILED, 2),
        (sqlite3.OperationalError("x"), Effect.FAILED, 1),
        (errors.CallFailed("x"), Effect.ERRORED, 1),
        (errors.UnusableReply("x"), Effect.ERRORED, 1),
        (NothingMadeOfSamples("x"), Effect.ERRORED, 1),
        (errors.EndpointDown("x"), Effect.PAUSED, 1),
        (errors.BudgetSpent("x"), Effect.BUDGET_SPENT, 1),
        (errors.Drained("x"), Effect.DRAINED, 1),
        (GraphDrained("x"), Effect.DRAINED, 1),
        (errors.Stopped("x"), Effect.STOPPED, 1),
        (ValueError("x"), Effect.DEFECT, 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_one_function_says_what_an_error_means_for_a_run_and_one_its_exit_code(
    error: Exception,
    effect: Effect,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (effect_of(error), exit_code_of(error)) == (effect, code)

    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    if not isinstance(error, AutodataError):  # a defect shows where it is
        with pytest.raises(type(error)):
            app.main()
        return
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "autodata: x\n"


def test_every_other_kind_of_error_ends_a_command_with_exit_code_1() -> None:
    mended_by_the_user = {kind.__name__ for kind in _below(AutodataError) if _shipped(kind) and kind.exit_code == 2}
    assert mended_by_the_user == {"UserError", "BadState", "DiskFailed"}


@pytest.mark.parametrize(
    ("error", "raised", "text"),
    [
        (errors.UserError("no"), Refused, "no"),
        (errors.BadState("no"), Refused, "no"),
        (errors.CallFailed("no"), Errored, "call_failed: no"),
        (NothingMadeOfSamples("no"), Errored, "unusable_reply: no"),
        (errors.BudgetSpent("no"), Stopped, "no"),
        (errors.EndpointDown("no"), Stopped, "no"),
        (errors.DiskFailed("no"), Stopped, "no"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_server_raises_pythons_own_kinds_for_its_callers(
    error: Exception, raised: type[Exception], text: str
) -> None:
    with pytest.raises(raised, match=f"^{text}$"), in_server_errors():
        raise error
