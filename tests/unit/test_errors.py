"""The tree of errors: its page is whole, and one function makes exit codes of them."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import autodata
from autodata.checkpoints import errors
from autodata.checkpoints.errors import AutodataError, Matter, exit_code_of, matter_of
from autodata.checkpoints.records import DiskFailed, RunFailed, UserError
from autodata.cli import app
from autodata.models.errors import BudgetSpent, CallFailed, EndpointDown, UnusableReply
from autodata.nodes.solver_modes import NothingMadeOfSamples
from autodata.nodes.state import BadState
from autodata.serving.errors import Errored, Refused, Stopped, telling


def below(kind: type[AutodataError]) -> Iterator[type[AutodataError]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def test_the_printed_tree_is_the_tree() -> None:
    for module in pkgutil.walk_packages(autodata.__path__, "autodata."):
        if not module.name.startswith(("autodata.cli.launch", "autodata.examples")):
            importlib.import_module(module.name)
    drawn = re.findall(r"^    (?:([│ ]*)[├└]── )?(\w+) {2,}", errors.__doc__ or "", re.MULTILINE)
    parents: list[str] = []
    found = {}
    for indent, name in drawn:
        depth = 0 if name == "AutodataError" else 1 + len(indent) // 4
        parents = [*parents[:depth], name]
        found[name] = parents[depth - 1] if depth else ""
    real = {
        kind.__name__: kind.__bases__[0].__name__ for kind in below(AutodataError) if "tests" not in kind.__module__
    }
    assert found == {"AutodataError": "", **real}


@pytest.mark.parametrize(
    ("error", "code", "matter"),
    [
        (UserError("x"), 2, Matter.USER),
        (BadState("x"), 2, Matter.USER),
        (RunFailed("x"), 1, Matter.RUN),
        (DiskFailed("x"), 2, Matter.RUN),
        (CallFailed("x"), 1, Matter.DOCUMENT),
        (UnusableReply("x"), 1, Matter.DOCUMENT),
        (NothingMadeOfSamples("x"), 1, Matter.DOCUMENT),
        (EndpointDown("x"), 1, Matter.RUN),
        (BudgetSpent("x"), 1, Matter.RUN),
        (ValueError("x"), 1, Matter.DEFECT),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_an_exit_code_and_a_matter(
    error: Exception, code: int, matter: Matter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (exit_code_of(error), matter_of(error)) == (code, matter)

    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    if matter is Matter.DEFECT:
        with pytest.raises(ValueError, match="x"):
            app.main()
        return
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == code
    assert capsys.readouterr().err == "autodata: x\n"


@pytest.mark.parametrize(
    ("error", "told", "text"),
    [
        (UserError("no"), Refused, "no"),
        (BadState("no"), Refused, "no"),
        (CallFailed("no"), Errored, "call_failed: no"),
        (NothingMadeOfSamples("no"), Errored, "unusable_reply: no"),
        (EndpointDown("no"), Stopped, "no"),
        (DiskFailed("no"), Stopped, "no"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_server_tells_each_as_one_of_pythons_kinds(error: Exception, told: type[Exception], text: str) -> None:
    with pytest.raises(told, match=f"^{text}$"), telling():
        raise error
