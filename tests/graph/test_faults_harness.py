"""The fault harness: every boundary of the code is in it, it catches what is planted, and a few of its scenarios."""

from __future__ import annotations

import ast
import inspect
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints import corrections, writes
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.saver import FileSaver
from autodata.models import faults as model_faults
from benchmarks.faults import left_out
from benchmarks.faults.breaks import BEHIND, FAULTS, Break
from benchmarks.faults.page import CHECKED, PAGE, PART, RESULTS, kinds, section
from benchmarks.faults.scenarios import CANARY, Outcome, Unbroken, planned, run_scenario, unbroken
from benchmarks.faults.worlds import KEY, World, plain
from benchmarks.page import part_of
from tests.support.packages import PACKAGES, ROOT
from tests.support.stages import first_quick

FACTS = World("facts", plain("facts", "concrete"))
WHOLE = {"write_text", "write_bytes", "rename", "fsync", "flock"}


@pytest.fixture(scope="module", autouse=True)
def key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY, CANARY)
        yield


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    return unbroken(FACTS, tmp_path_factory.mktemp("unbroken"))


# Every boundary


def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return found


def test_every_function_that_writes_to_the_ledger_is_broken_or_left_out_with_a_reason() -> None:
    known = {seam.partition(" ")[2] for seam in results()["seams"] if seam.startswith(("save ", "carry "))}
    functions = {
        name for module in (writes, corrections) for name in vars(module) if name.startswith(("record_", "carry_"))
    }
    assert functions - known == set(left_out.SAVES)
    assert not known & left_out.SAVES.keys()


def test_every_method_of_the_saver_that_writes_is_broken_or_left_out_with_a_reason() -> None:
    known = {seam.partition(" ")[2] for seam in results()["seams"] if seam.startswith("checkpoint ")}
    own = {
        name
        for name, method in vars(FileSaver).items()
        if inspect.iscoroutinefunction(method) and not name.startswith("_") and name != "aclose"
    }
    assert own - known == set(left_out.SAVER)


def writers_of_files() -> set[str]:
    """Return the functions of the package that write, rename, flush or lock a file."""
    found = set()
    for path in (path for package in ("api", *PACKAGES) for path in (ROOT / package).rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(map(_writes, ast.walk(function))):
                found.add(f"{path.relative_to(ROOT).as_posix()} {function.name}")
    return found


def _writes(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    modes = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    opens = node.func.attr == "open" and any(len(mode) < len("wxyz") and set(mode) & set("wax+") for mode in modes)
    return node.func.attr in WHOLE or (node.func.attr == "replace" and len(node.args) == 1) or opens


@pytest.mark.slow  # it parses every module
def test_every_function_that_writes_a_file_is_broken_or_left_out_with_a_reason() -> None:
    broken = {
        "checkpoints/ledger.py run_lock": "open lock",
        "corpus/exporters/files.py _write_file": "rename .examples.jsonl.PID.tmp",
        "corpus/exporters/folder.py _write": "write autodata-export.json",
        "corpus/exporters/folder.py _put": "rename .examples.PID.tmp",
        "runner/config.py write_resolved": "rename config.part",
    }
    assert writers_of_files() == {*broken, *left_out.FILES}
    assert set(broken.values()) <= set(results()["seams"])


def test_every_fault_and_every_sort_of_boundary_is_drawn() -> None:
    drawn = results()["broken"]
    assert set(drawn) == set(FAULTS)
    assert {fault for faults in drawn.values() for fault in faults} == {fault for of in FAULTS.values() for fault in of}


def test_the_page_is_of_the_latest_scenarios_and_nothing_did_not_hold() -> None:
    assert part_of(PART, PAGE.read_text("utf-8")) == section(results())
    assert part_of(CHECKED, PAGE.read_text("utf-8")) == kinds()
    assert results()["scenarios"] >= 1000
    assert results()["violations"] == []


# It catches what is planted


def broken(facts: Unbroken, folder: Path, plan: Break) -> Outcome:
    return run_scenario(0, facts, plan, folder)


SAVED = Break("save record_settled", 1, "delay")


def skipping(table: str, keep: Callable[[int], bool] = lambda n: False) -> Any:
    """Return a `Ledger.save` that leaves out a table's rows."""
    original, seen = Ledger.save, [0]

    async def save(self: Ledger, **tables: Any) -> None:
        if table in tables:
            seen[0] += 1
            if not keep(seen[0]):
                tables.pop(table)
        await original(self, **tables)

    return save


@pytest.mark.parametrize(
    ("table", "says"),
    first_quick(
        ("examples", "lost_example"),
        ("marks", "marks differs"),
        ("verdicts", "verdicts differs"),
        ("calls", "lost_reply"),
    ),
)
def test_a_write_that_is_skipped_is_caught(
    facts: Unbroken, table: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "save", skipping(table))
    found = broken(facts, tmp_path, SAVED)
    assert any(says in violation for violation in found.violations), found.violations


@pytest.mark.slow
def test_what_is_paid_for_twice_is_caught(facts: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, withheld = Ledger.find_call, set[str]()

    async def unknown(self: Ledger, key: str, thread: str | None = None) -> None:
        if await original(self, key, thread):
            withheld.add(key)

    # Within a step that has paid: it alone is done again, and a step without calls asks the journal for nothing.
    paid = Break("save record_attempts", 1, "disk full")
    assert broken(facts, tmp_path, paid).violations == []
    monkeypatch.setattr(Ledger, "find_call", unknown)
    (tmp_path / "again").mkdir()
    found = broken(facts, tmp_path / "again", paid)
    assert withheld, "the break led to no replay: nothing was planted"
    says = {f"a call was paid for again though the journal held it: {key[:12]}" for key in withheld}
    assert says <= set(found.violations), found.violations


@pytest.mark.slow
def test_a_key_in_the_ledger_is_caught(facts: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Break("call weak_solver", 1, "refused")
    assert broken(facts, tmp_path, refused).violations == []
    monkeypatch.setattr(model_faults, "without_secrets", lambda text: text)
    monkeypatch.setattr("autodata.runner.document_runner.without_secrets", lambda text: text)
    (tmp_path / "again").mkdir()
    found = broken(facts, tmp_path / "again", refused)
    assert found.violations == ["the key stands in run/run.db"]


@pytest.mark.slow
def test_an_error_that_no_person_can_act_on_is_caught(
    facts: Unbroken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autodata.runner.config.DiskFailed", OSError)
    found = broken(facts, tmp_path, Break("write config.part", 1, "disk full"))
    assert any(violation.startswith("OSError came out") for violation in found.violations), found.violations


# Scenarios; those that kill are no test's, for a process with threads is not forked: `make faults`


@pytest.mark.parametrize(
    "plan",
    first_quick(
        Break("checkpoint aput_writes", 5, "disk failing"),
        Break("save record_marks", 2, "cancel"),
        Break("call verifier", 1, "corrupted reply"),
        Break("save record_failure", 1, "disk full", ("call weak_solver", "refused")),
    ),
    ids=lambda plan: plan.seam,
)
def test_scenarios_of_one_run_hold(facts: Unbroken, plan: Break, tmp_path: Path) -> None:
    found = broken(facts, tmp_path, plan)
    assert found.violations == []
    assert found.sessions == 2


def test_a_seed_draws_one_scenario(facts: Unbroken) -> None:
    drawn = [planned(facts, random.Random(seed)) for seed in (1, 1, *range(2, 400))]
    assert drawn[0] == drawn[1]
    assert {plan.seam for plan in drawn} == {*facts.passed, *BEHIND}
