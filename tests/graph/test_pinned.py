"""What must not change: recorded run folders of every schema version, and recorded keys, seeds and ids."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.asked import question_key
from autodata.checkpoints.ids import attempt_id, digest, document_id, round_id
from autodata.checkpoints.ledger import Ledger, open_readonly
from autodata.checkpoints.migrations import MIGRATIONS
from autodata.checkpoints.records import Candidate, Stage
from autodata.checkpoints.schema import SCHEMA_VERSION
from autodata.models.seeds import seed_for
from autodata.runner.config import RunConfig, at_defaults, load_config
from autodata.runner.fingerprint import changed_since, fingerprint, kept_of
from tests.support import pinned
from tests.support.commands import refusal
from tests.support.stages import first_quick

NAMES = sorted(folder.name for folder in pinned.FOLDER.iterdir())
NOW = ["cs", "facts"]
OLD = [f"version-{version}" for version in sorted(MIGRATIONS)]


def test_every_version_has_a_recorded_folder() -> None:
    assert sorted([*NOW, *OLD]) == NAMES
    assert [*sorted(MIGRATIONS), SCHEMA_VERSION] == [str(n) for n in range(1, int(SCHEMA_VERSION) + 1)]


@pytest.fixture
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return pinned.unpack(request.param, tmp_path / "folder")


def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pinned.FOLDER / name / "expected.json").read_text("utf-8"))
    return found


def journal(run: Path) -> dict[str, tuple[Any, ...]]:
    with closing(sqlite3.connect(run / "run.db")) as db:
        rows = db.execute(
            "SELECT key, thread_id, params, messages_hash, response, created_at FROM calls ORDER BY rowid"
        )
        return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(("name", "run"), [(name, name) for name in NAMES], indirect=["run"])
def test_a_recorded_folder_is_read_shown_and_exported(name: str, run: Path) -> None:
    assert pinned.shown(run) == expected(name)["before"], "if this is meant, type: make golden"


@pytest.mark.parametrize(("name", "run"), first_quick(*((name, name) for name in [*NOW, *OLD])), indirect=["run"])
async def test_a_recorded_folder_is_gone_on_with_to_the_recorded_end(name: str, run: Path) -> None:
    before = journal(run)
    paid = await pinned.resume(run)
    after = journal(run)
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + len(paid) == len(before) + expected(name)["paid"]
    assert not {row[1:3] for key, row in after.items() if key not in before} & {row[1:3] for row in before.values()}
    assert pinned.contents(run) == expected(name)["decided"], "if this is meant, type: make golden"
    assert await pinned.resume(run) == []


@pytest.mark.slow
@pytest.mark.parametrize("run", first_quick("facts", "cs"), indirect=True)
async def test_what_was_paid_for_is_found_again_without_checkpoints_and_gives_the_same_rows(run: Path) -> None:
    """Every recorded key, seed and id comes out of the code anew: nothing but documents and journal is kept."""
    whole = await pinned.resume(Path(shutil.copytree(run.parent, run.parent.parent / "whole")) / "run")
    async with Ledger.open(run / "run.db"):
        pass  # the tables of this version
    before, recorded = journal(run), pinned.tables(run)
    (run / "checkpoints.db").unlink()
    with closing(sqlite3.connect(run / "run.db")) as db:
        for table in ("marks", "verdicts", "attempts", "examples", "spans", "failures", "rounds", "candidates"):
            db.execute(f"DELETE FROM {table}")
        # What errored stays so: it is taken up in another epoch, which is in the keys of its calls.
        db.execute("UPDATE documents SET rounds = 0, settled = 0")
        db.execute("UPDATE documents SET status = 'pending', status_reason = '' WHERE status != 'errored'")
        db.commit()
    assert sorted(await pinned.resume(run)) == sorted(whole), (
        "a recorded call was paid for again, or a new one is another"
    )
    assert {key: row for key, row in journal(run).items() if key in before} == before
    made = pinned.tables(run)
    for name in ("candidates", "marks", "verdicts", "examples"):
        assert set(recorded[name]) <= set(made[name]), name
    assert made == pinned.tables(run.parent.parent / "whole" / "run")


@pytest.mark.parametrize("run", OLD, indirect=True)
@pytest.mark.parametrize("opened", [Ledger.open, open_readonly])
async def test_an_older_file_is_brought_forward_to_the_tables_of_a_new_one(
    run: Path, opened: Any, tmp_path: Path
) -> None:
    before = journal(run)
    async with opened(run / "run.db") as ledger:
        rows = await ledger.read("SELECT value FROM meta WHERE key = 'schema_version'")
        assert rows == [{"value": SCHEMA_VERSION}]
        assert (await ledger.read("SELECT count(*) AS n FROM calls WHERE charged_out IS NULL")) == [{"n": 0}]
    async with Ledger.open(tmp_path / "new.db"):
        pass
    assert shape(run / "run.db") == shape(tmp_path / "new.db")
    assert journal(run) == before


def shape(path: Path) -> dict[str, Any]:
    """Return every table's columns, whatever their order, and every index's columns."""
    with closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: (
                {row[1]: row[2:4] for row in db.execute(f"PRAGMA table_info([{name}])")},
                {
                    tuple(row[2] for row in db.execute(f"PRAGMA index_info([{index[1]}])"))
                    for index in db.execute(f"PRAGMA index_list([{name}])")
                },
            )
            for name in names
            if not name.startswith("sqlite_")
        }


@pytest.mark.parametrize("run", ["cs"], indirect=True)
@pytest.mark.parametrize(
    "command",
    [
        "run --config autodata.toml --out run",
        "baseline --config autodata.toml --out run",
        "status run",
        "show run",
        "show run 00.txt",
        "export run --format jsonl --out examples.jsonl",
        "review run",
        "trace run 00.txt",
        "fork run 00.txt --round 1 --feedback harder",
        "compare run run",
    ],
)
def test_a_newer_folder_is_refused_in_one_line_by_every_command(
    run: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    newer = str(int(SCHEMA_VERSION) + 1)
    with closing(sqlite3.connect(run / "run.db")) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [newer])
        db.commit()
    message = refusal(*command.split())
    assert message.startswith(
        f"{Path('run') / 'run.db'} was made by a later version of Autodata (its schema version is {newer}"
    )
    assert message.endswith("or use another folder")


def test_ids_are_the_recorded_ones() -> None:
    document = document_id("The pump\r\nof Delft  \n")
    candidate = Candidate(question="Why?", reference_answer="Because.", context="A setting.").candidate_id
    of_round = round_id(f"main/{document}", 2, candidate)
    assert document == "f7b3a73452f1da48"
    assert candidate == "22454ebec63957eb"
    assert of_round == f"main/{document}/2/{candidate}"
    assert attempt_id(of_round, Stage.WEAK, 0) == f"main/{document}/2/{candidate}/weak/0"
    assert attempt_id(of_round, Stage.STRONG, 2) == f"main/{document}/2/{candidate}/strong/2"
    assert digest({"b": [1, None, "é"], "a": 1}) == "6c461b47143044cd"
    assert question_key("  Why  is it? ") == "bdf10a4691c148bd"


def test_seeds_are_the_recorded_ones() -> None:
    assert seed_for(7, 0, "d0c", 1, "challenger/challenger", "0", 0, 0) == 1558335029
    assert seed_for(7, 0, "d0c", 3, "verifier/verifier", "weak/1", 2, 1) == 933078409


async def test_journal_keys_are_the_recorded_ones(tmp_path: Path) -> None:
    """The first call of the recorded folders. That the code makes these keys is shown by replaying them above."""
    new = journal(pinned.unpack("cs", tmp_path / "cs"))
    old = journal(pinned.unpack("version-3", tmp_path / "old"))
    assert next(iter(new)) == "901debf775adede6ae306cffacd0a3a3a7080cddc32780a47d11e69ec77619bb"
    assert next(iter(old)) == "a2705af1e28d4c47e2837282feb054d2ab505342b0b15db0e9951001e8d12fe5"


def test_a_setting_that_came_later_does_not_lock_a_folder_and_a_changed_one_does() -> None:
    config = load_config(pinned.FOLDER / "cs" / "autodata.toml")
    now = config.resolved("p")
    known = fingerprint(now)
    before = {name: value for name, value in known.items() if name not in {"review", "simulated.sloppy", "max_rounds"}}
    kept = kept_of(before)
    assert changed_since(kept, known, "run", later=at_defaults(now)) == ["max_rounds: not set -> 3"], (
        "3 is not the default, so nobody knows that it was 3 before"
    )
    other = RunConfig.model_validate({**config.model_dump(exclude_unset=True), "review": "all"}).resolved("p")
    changed = changed_since(kept, fingerprint(other), "run", later=at_defaults(other))
    assert changed == ["max_rounds: not set -> 3", "review: not set -> all"]
