"""`autodata check`: each way in which a folder can be spoilt is found, and what is mended is as it was."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.ledger import run_lock
from autodata.checkpoints.schema import TABLES
from autodata.jobs.check import Checked, check_run
from autodata.jobs.check_problems import KINDS, Repair
from tests.graph.test_runner import LATE, QUICK, settings
from tests.support.commands import invoke, refusal
from tests.support.runs import generated, read_tables, run_session
from tests.support.stages import first_quick

DOCUMENTS = [QUICK[1], LATE]
"""One is accepted in its first round, the other after rejected ones."""
VALUES = settings("cs", max_rounds=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    asyncio.run(run_session(folder, VALUES, DOCUMENTS))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


@dataclass(frozen=True)
class Changed:
    """What changes a database file behind Autodata's back, foreign keys or not."""

    file: str
    statements: tuple[str, ...]

    def __call__(self, run: Path) -> None:
        with closing(sqlite3.connect(run / self.file)) as db, db:
            for statement in self.statements:
                assert db.execute(statement).rowcount, statement


def ledger(*statements: str) -> Changed:
    return Changed("run.db", statements)


def garbage(file: str) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        with (run / file).open("r+b") as stream:
            stream.seek(4096)
            stream.write(b"\xff" * 4096)

    return spoil


def config(old: str, new: str) -> Callable[[Path], None]:
    def edit(run: Path) -> None:
        text = (run / "config.toml").read_text("utf-8")
        assert old in text
        (run / "config.toml").write_text(text.replace(old, new), "utf-8")

    return edit


def half_written(run: Path) -> None:
    (run / "config.part").write_text("half", "utf-8")


def copied(table: str, **changes: str) -> str:
    """Return a statement that copies a row of a table under another key."""
    columns = ", ".join(f'"{name}"' for name in TABLES[table].columns)
    values = ", ".join(changes.get(name, f'"{name}"') for name in TABLES[table].columns)
    return f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} LIMIT 1"


FAILURE = "INSERT INTO failures (failure_id, document_id, kind, message, created_at) VALUES ('f', 'gone', 'k', 'm', '')"
SECOND = "(SELECT document_id FROM documents WHERE rounds > 1 LIMIT 1)"


@dataclass(frozen=True)
class Spoilt:
    """One way to spoil a folder, the kind of problem that it is, and what mends it."""

    kind: str
    how: Callable[[Path], None]
    repair: Repair | None = None
    alone: bool = True
    """Whether nothing else is found."""


SPOILT = [
    Spoilt("altered_example", ledger("UPDATE examples SET example = replace(example, '?', '!')"), Repair.WALK_AGAIN),
    Spoilt("damaged_file", garbage("run.db")),
    Spoilt("damaged_file", garbage("checkpoints.db"), Repair.SET_ASIDE),
    Spoilt("missing_file", lambda run: (run / "config.toml").unlink()),
    Spoilt("leftover_file", half_written, Repair.DELETE),
    Spoilt("other_configuration", config("max_rounds = 4", "max_rounds = 3")),
    Spoilt("orphan_row", ledger("DELETE FROM rounds WHERE outcome = 'accepted'"), Repair.WALK_AGAIN, alone=False),
    Spoilt("orphan_row", ledger(FAILURE), alone=False),
    Spoilt("altered_document", ledger("UPDATE documents SET text = text || ' more'")),
    Spoilt("altered_document", ledger("UPDATE documents SET text = replace(text, 'e', 'a')")),
    Spoilt("altered_candidate", ledger("UPDATE candidates SET candidate = replace(candidate, '?', '!')"), alone=False),
    Spoilt("altered_candidate", ledger("UPDATE candidates SET question = 'Why?'")),
    Spoilt("altered_attempt", ledger("UPDATE attempts SET answer = answer || '.'"), Repair.WALK_AGAIN),
    Spoilt("altered_score", ledger("UPDATE marks SET met = 1 - met"), Repair.WALK_AGAIN),
    Spoilt("altered_score", ledger("UPDATE attempts SET score_value = 2"), Repair.WALK_AGAIN),
    Spoilt("altered_mean", ledger("UPDATE verdicts SET weak_mean = 0.01"), Repair.WALK_AGAIN),
    Spoilt("altered_mean", ledger("DELETE FROM attempts WHERE stage = 'strong'"), Repair.WALK_AGAIN, alone=False),
    Spoilt("lost_example", ledger("DELETE FROM examples"), Repair.WALK_AGAIN, alone=False),
    Spoilt("doubled_example", ledger(copied("examples", example_id="'x'")), alone=False),
    Spoilt("wrong_status", ledger("UPDATE documents SET status = 'rejected'"), Repair.WALK_AGAIN),
    Spoilt("wrong_status", ledger("UPDATE documents SET status = 'errored'"), Repair.WALK_AGAIN),
    Spoilt("wrong_rounds", ledger("UPDATE documents SET rounds = 9"), Repair.WALK_AGAIN),
    Spoilt(
        "lost_round", ledger(f"DELETE FROM rounds WHERE n = 1 AND document_id = {SECOND}"), Repair.WALK_AGAIN, False
    ),
    Spoilt(
        "lost_round",
        ledger(f"UPDATE rounds SET outcome = 'open' WHERE n = 1 AND document_id = {SECOND}"),
        Repair.WALK_AGAIN,
    ),
    Spoilt("lost_reply", ledger("DELETE FROM calls WHERE node = 'weak_solver'")),
    Spoilt("paid_twice", ledger(copied("calls", key="'x'"))),
    Spoilt("wrong_charge", ledger("UPDATE calls SET charged_in = 1")),
    Spoilt(
        "unreadable_checkpoint",
        Changed("checkpoints.db", ("UPDATE checkpoints SET checkpoint = x'c1'",)),
        Repair.FORGET_THREAD,
    ),
    Spoilt(
        "orphan_checkpoint",
        Changed("checkpoints.db", ("UPDATE checkpoints SET thread_id = 'main/gone'",)),
        Repair.FORGET_THREAD,
    ),
    Spoilt("checkpoint_ahead", ledger(f"DELETE FROM rounds WHERE document_id = {SECOND}"), Repair.WALK_AGAIN, False),
]


def checked(run: Path, *, repair: bool = False) -> Checked:
    return asyncio.run(check_run(run, repair=repair))


def go_on(run: Path) -> None:
    asyncio.run(run_session(run, VALUES, DOCUMENTS))


def test_a_whole_run_is_sound(run: Path) -> None:
    before = read_tables(run)
    result = invoke("check", run)
    assert (result.exit_code, "nothing is wrong" in result.stdout) == (0, True)
    shown = json.loads(invoke("check", run, "--json", "--repair").stdout)
    assert (shown["sound"], shown["problems"], shown["notes"]) == (True, [], [])
    assert shown["looked_at"]["documents"] == 2
    assert min(shown["looked_at"].values()) > 0
    assert read_tables(run) == before


@pytest.mark.parametrize("spoilt", first_quick(*SPOILT), ids=lambda one: one.kind)
def test_what_is_wrong_is_found_and_named(spoilt: Spoilt, run: Path) -> None:
    spoilt.how(run)
    found = checked(run)
    assert not found.sound
    kinds = {problem.kind for problem in found.problems}
    assert spoilt.kind in kinds
    assert not spoilt.alone or kinds == {spoilt.kind}
    assert {problem.repair for problem in found.problems if problem.kind == spoilt.kind} == {spoilt.repair}
    result = invoke("check", run)
    assert (result.exit_code, spoilt.kind in result.stdout) == (1, True)


@pytest.mark.parametrize(
    "spoilt", first_quick(*(one for one in SPOILT if one.repair)), ids=lambda one: f"{one.kind} {one.repair}"
)
def test_what_is_mended_is_as_it_was_and_nothing_is_paid_again(spoilt: Spoilt, made: Path, run: Path) -> None:
    spoilt.how(run)
    mended = checked(run, repair=True)
    assert mended.sound, [problem for problem in mended.problems if not problem.repaired]
    assert checked(run).sound, "what the next session does by itself is no problem any more"
    go_on(run)
    assert checked(run).problems == []
    assert read_tables(run) == read_tables(made)


def test_every_kind_of_problem_is_tried() -> None:
    assert {one.kind for one in SPOILT} | {"wrong_total"} == set(KINDS)


@pytest.mark.slow
async def test_sums_of_a_search_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.faults.worlds import KEY, searched

    monkeypatch.setenv(KEY, "k")
    assert await searched(tmp_path) == ""
    assert (await check_run(tmp_path)).problems == []
    ledger("UPDATE evaluations SET passed = passed + 1 WHERE state = 'done'")(tmp_path)
    found = await check_run(tmp_path)
    assert {problem.kind for problem in found.problems} == {"wrong_total"}


def test_what_cannot_be_checked_is_refused(run: Path, tmp_path: Path) -> None:
    assert "no such folder" in refusal("check", tmp_path / "none")
    with run_lock(run):
        assert "in use" in refusal("check", run)


def test_many_problems_of_a_kind_are_shown_in_part(run: Path) -> None:
    ledger("UPDATE calls SET charged_in = 1")(run)
    result = invoke("check", run, columns=200)
    assert "more of wrong_charge: --json lists them" in result.stdout
    whole: dict[str, Any] = json.loads(invoke("check", run, "--json").stdout)
    assert len(whole["problems"]) > 20


async def test_documents_in_work_are_no_problem(tmp_path: Path) -> None:
    watched: list[bool] = []

    def drain(runner: Any, event: Any) -> None:
        if event.event == "verdict" and not watched:
            watched.append(True)
            runner.drain("asked to")

    await run_session(tmp_path, settings("cs", max_rounds=2), generated(2), drain)
    assert (await check_run(tmp_path)).problems == []
