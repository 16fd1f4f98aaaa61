"""What people change of a run afterwards: more rounds, documents asked about again, documents dropped."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import open_readonly, run_lock
from autodata.runner.config import load_config
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from tests.support.commands import invoke, parsed, printed, refusal, words
from tests.support.runs import generated
from tests.support.stages import first_quick

CONFIG = """
max_rounds = {rounds}
{more}
[models.default]
provider = "simulated"
[models.strong_solver]
model = "weak"
"""
"""Both solvers are alike, so that nothing is accepted."""


async def _go_on(folder: Path, rounds: int = 2, more: str = "") -> None:
    file = folder / "c.toml"
    file.write_text(CONFIG.format(rounds=rounds, more=more), "utf-8")
    async with open_runner(load_config(file), folder / "run") as runner:
        await add_documents(runner.ledger, generated(2))
        await runner.run()


def go_on(folder: Path, rounds: int = 2, more: str = "") -> None:
    asyncio.run(_go_on(folder, rounds, more))


def read(folder: Path, sql: str) -> list[dict[str, Any]]:
    async def rows() -> list[dict[str, Any]]:
        async with open_readonly(folder / "run" / "run.db") as ledger:
            return await ledger.read(sql)

    return asyncio.run(rows())


def keys(folder: Path) -> set[str]:
    return {row["key"] for row in read(folder, "SELECT key FROM calls")}


def closed(folder: Path) -> list[dict[str, Any]]:
    return read(folder, "SELECT document_id, n, candidate_id, outcome FROM rounds ORDER BY document_id, n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose two documents ended rejected after two rounds."""
    folder = tmp_path_factory.mktemp("made")
    go_on(folder)
    assert [row["n"] for row in closed(folder)] == [1, 2, 1, 2]
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.mark.slow
@pytest.mark.parametrize("keep", first_quick("rounds", "none"))
def test_more_rounds_go_on_where_a_document_ended_and_are_what_they_would_have_been(
    tmp_path: Path, keep: str, made: Path
) -> None:
    more = f'checkpoints.keep = "{keep}"'
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    go_on(whole, 4, more)
    go_on(parts, 2, more)
    before = keys(parts)
    go_on(parts, 4, more)
    assert closed(parts) == closed(whole)
    assert before < keys(parts) == keys(whole), "nothing is paid for twice, and no other calls are made"
    assert {row["status_reason"] for row in parsed("show", parts / "run", "--json")} == {"max_rounds"}


def test_fewer_rounds_are_another_configuration(folder: Path) -> None:
    with pytest.raises(UserError, match="max_rounds: 2 -> 1"):
        go_on(folder, 1)


def test_more_rounds_with_another_change_are_refused_and_change_nothing(folder: Path) -> None:
    before = parsed("show", folder / "run", "--json")
    with pytest.raises(UserError, match=r"another configuration \(seed: 0 -> 7\)"):
        go_on(folder, 4, "seed = 7")
    assert parsed("show", folder / "run", "--json") == before


def test_documents_that_did_not_end_for_want_of_rounds_stay_as_they_are(folder: Path) -> None:
    first, second = (row["name"] for row in parsed("show", folder / "run", "--json"))
    printed("drop", folder / "run", first)
    go_on(folder, 3)
    rows = {row["name"]: row for row in parsed("show", folder / "run", "--json")}
    assert (rows[first]["status"], rows[first]["rounds"]) == ("dropped", 2)
    assert (rows[second]["status"], rows[second]["rounds"]) == ("rejected", 3)


@pytest.mark.slow
def test_a_rejected_document_gets_as_many_rounds_again_in_a_new_epoch(folder: Path) -> None:
    name = parsed("show", folder / "run", "--json")[0]["name"]
    before, rounds = keys(folder), closed(folder)
    result = invoke("retry", folder / "run", name, "--json")
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in parsed("show", folder / "run", "--json")}
    assert (rows.pop(name)["rounds"], [row["rounds"] for row in rows.values()]) == (4, [2])
    assert before < keys(folder)
    assert [row for row in closed(folder) if row["n"] <= 2] == rounds, "what was before stays"
    [epochs] = read(folder, "SELECT group_concat(DISTINCT epoch) AS of FROM calls WHERE n > 2")
    assert epochs["of"] == "1"
    invoke("retry", folder / "run", "--rejected", "--json")
    assert sorted(row["rounds"] for row in parsed("show", folder / "run", "--json")) == [4, 6]


def test_errored_documents_alone_are_taken_up_and_pay_for_what_is_missing_alone(tmp_path: Path) -> None:
    go_on(tmp_path, 2, "seed = 1\nsimulated.faults.malformed = 1.0\nretries.pause_after_documents = 10")
    assert [row["status"] for row in parsed("show", tmp_path / "run", "--json")] == ["errored", "errored"]
    [cause] = parsed("status", tmp_path / "run", "--json")["errors"]
    assert len(cause["documents"]) == 2
    assert f"2 documents: {cause['cause'][:40]}" in words(printed("status", tmp_path / "run", columns=300))
    before = keys(tmp_path)
    chosen = parsed("show", tmp_path / "run", "--errored", "--json")[1]["name"]
    result = invoke("retry", tmp_path / "run", chosen)
    assert result.exit_code == 1, "it errors again: the world is as it was"
    [row] = read(tmp_path, f"SELECT epoch FROM documents WHERE name = '{chosen}'")
    assert row["epoch"] == 1
    assert before < keys(tmp_path)
    assert {row["epoch"] for row in read(tmp_path, "SELECT epoch FROM documents")} == {0, 1}


def test_what_cannot_be_asked_again_is_reported(folder: Path) -> None:
    assert "name some, or give --errored or --rejected" in refusal("retry", folder / "run")
    assert "has no document that ended errored" in refusal("retry", folder / "run", "--errored")
    assert "no such folder" in refusal("retry", folder / "nothing", "--errored")
    name = parsed("show", folder / "run", "--json")[0]["name"]
    printed("drop", folder / "run", name)
    assert "is dropped: only what ended errored or rejected" in refusal("retry", folder / "run", name)


# Dropped


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    """A run with accepted examples."""
    file = tmp_path / "c.toml"
    file.write_text('domain = "facts"\nmax_rounds = 6\n[models.default]\nprovider = "simulated"\n', "utf-8")

    async def make() -> None:
        async with open_runner(load_config(file), tmp_path / "run") as runner:
            await add_documents(runner.ledger, generated(3, 6))
            await runner.run()

    asyncio.run(make())
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("by", first_quick("name", "example"))
def test_a_dropped_document_is_in_no_export_and_no_count_until_it_is_taken_back(accepted: Path, by: str) -> None:
    run = accepted / "run"
    rows = read(accepted, "SELECT d.name, e.example_id FROM examples e JOIN documents d USING (document_id)")
    assert rows, "the simulated model makes some"
    name, wanted = rows[0]["name"], rows[0]["name" if by == "name" else "example_id"]
    summary, lines, shown = (
        parsed("status", run, "--json"),
        printed("export", run, "--out", "-"),
        parsed("show", run, "--json"),
    )
    assert "with its example" in printed("drop", run, wanted, "--reason", "no use")
    after = parsed("status", run, "--json")
    assert after["accepted"] == summary["accepted"] - 1
    assert after["documents"] == summary["documents"] - 1
    assert (summary["dropped"], after["dropped"]) == (0, 1)
    assert len(printed("export", run, "--out", "-").splitlines()) == len(lines.splitlines()) - 1
    [row] = parsed("show", run, "--dropped", "--json")
    assert (row["name"], row["status_reason"]) == (name, "no use")
    assert parsed("list", accepted, "--json")[0]["documents"] == summary["documents"] - 1
    assert "dropped already" in refusal("drop", run, wanted)
    printed("drop", run, wanted, "--undo")
    assert parsed("status", run, "--json") == summary
    assert printed("export", run, "--out", "-") == lines
    assert parsed("show", run, "--json") == shown
    assert "is not dropped" in refusal("drop", run, wanted, "--undo")


# The runs under a folder


def test_the_runs_under_a_folder_are_listed_with_what_is_left_to_do(folder: Path) -> None:
    (folder / "broken").mkdir()
    (folder / "broken" / "run.db").write_text("no database", "utf-8")
    rows = {Path(row["run"]).name: row for row in parsed("list", folder, "--json")}
    assert rows.keys() == {"run", "broken"}
    assert (rows["run"]["state"], rows["run"]["documents"], rows["run"]["accepted"]) == ("complete", 2, 0)
    assert (rows["run"]["kind"], rows["run"]["domain"], rows["run"]["cost_usd"]) == ("run", "cs", None)
    assert rows["run"]["age_seconds"] >= 0
    assert rows["broken"]["state"] == "unreadable"
    assert "cannot be used as a ledger" in rows["broken"]["problem"]
    shown = words(printed("list", folder, columns=300))
    assert f"{folder / 'run'} run cs complete 2 0 -" in shown
    assert f"{folder / 'broken'}" in shown
    assert "run cs complete 2 0 -" in words(printed("list", folder, columns=80))
    with run_lock(folder / "run"):
        assert {row["state"] for row in parsed("list", folder, "--json")} == {"running", "unreadable"}
    assert "no such folder" in refusal("list", folder / "nothing")


async def test_a_run_without_a_document_is_listed_as_empty(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[models.default]\nprovider = "simulated"\n', "utf-8")
    async with open_runner(load_config(config), tmp_path / "run"):
        pass
    [row] = await asyncio.to_thread(parsed, "list", tmp_path, "--json")
    assert (row["state"], row["documents"]) == ("empty", 0)
