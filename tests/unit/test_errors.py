"""The error tree: what is printed at its top is what it is, and one function says what an error means."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import pytest
from langgraph.errors import GraphDrained

from autodata.checkpoints import errors
from autodata.checkpoints.errors import AutodataError, Effect, effect_of
from autodata.nodes.solver_modes import NothingMadeOfSamples
from autodata.serving.errors import Errored, Refused, Stopped, telling


def _tree(kind: type[Exception], depth: int = 0) -> Iterator[tuple[int, str]]:
    yield depth, kind.__name__
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _tree(below, depth + 1)


def test_the_tree_printed_at_the_top_of_the_module_is_the_tree_of_its_classes() -> None:
    printed = re.findall(r"^    ((?:[│├└─ ]{4})*)([A-Z]\w+)", str(errors.__doc__), re.M)
    assert [(len(indent) // 4, name) for indent, name in printed] == list(_tree(AutodataError))


@pytest.mark.parametrize(
    ("error", "effect"),
    [
        (errors.UserError("x"), Effect.USER),
        (errors.RunFailed("x"), Effect.FAILED),
        (errors.DiskFailed("x"), Effect.FAILED),
        (sqlite3.OperationalError("x"), Effect.FAILED),
        (errors.CallFailed("x"), Effect.ERRORED),
        (errors.UnusableReply("x"), Effect.ERRORED),
        (NothingMadeOfSamples("x"), Effect.ERRORED),
        (errors.EndpointDown("x"), Effect.PAUSED),
        (errors.BudgetSpent("x"), Effect.BUDGET_SPENT),
        (errors.Drained("x"), Effect.DRAINED),
        (GraphDrained("x"), Effect.DRAINED),
        (errors.Stopped("x"), Effect.STOPPED),
        (ValueError("x"), Effect.DEFECT),
    ],
)
def test_one_function_says_what_an_error_means_for_a_run(error: Exception, effect: Effect) -> None:
    assert effect_of(error) is effect


def test_only_the_users_mistake_and_a_failing_disk_end_a_command_with_exit_code_2() -> None:
    codes = {name: kind.exit_code for name, kind in vars(errors).items() if isinstance(kind, type) and _ours(kind)}
    assert {name for name, code in codes.items() if code != 1} == {"UserError", "DiskFailed"}
    assert {codes["UserError"], codes["DiskFailed"]} == {2}


def _ours(kind: type) -> bool:
    return issubclass(kind, AutodataError)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.UserError("x"), Refused),
        (errors.CallFailed("x"), Errored),
        (NothingMadeOfSamples("x"), Errored),
        (errors.BudgetSpent("x"), Stopped),
        (errors.EndpointDown("x"), Stopped),
        (errors.DiskFailed("x"), Stopped),
    ],
)
def test_a_server_tells_its_callers_in_pythons_own_kinds(error: Exception, told: type[Exception]) -> None:
    with pytest.raises(told), telling():
        raise error
