"""`autodata calibrate` on a simulated run: what it recovers, what it pays for, what it leaves alone."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.queries.measured import use_by_document
from autodata.checkpoints.records import Document
from autodata.cli.app import app
from autodata.jobs.calibration import agreement, flips
from autodata.jobs.calibration.calibrate import _differing
from tests.graph.test_runner import QUICK, settings
from tests.support.runs import read_tables, run_session

NOISE = 0.1
WORLD = {"steady": True, "judge_noise": NOISE}


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw less: what is drawn is looked at by tests of the statistics."""
    monkeypatch.setattr(flips, "DRAWN", 20)
    monkeypatch.setattr(agreement, "RESAMPLES", 100)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    documents = [item for item in QUICK if isinstance(item, Document)]
    values = settings(simulated=WORLD, judges={"panel": [{"model": "large-judge"}], "rule": "majority"})
    asyncio.run(run_session(folder, values, documents))
    return folder


def printed(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["calibrate", *map(str, arguments)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.stdout


def parsed(*arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(*arguments, "--json"))
    return found


def calls(folder: Path) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        async with open_readonly(folder / "run.db") as ledger:
            return await ledger.read("SELECT thread_id, document_id, role, node FROM calls")

    return asyncio.run(read())


def test_it_pays_once_and_touches_nothing_of_the_run(run: Path, tmp_path: Path) -> None:
    before, made = read_tables(run), len(calls(run))
    line = printed(run, "--sample", "8", "--repeats", "2", "--dry-run")
    assert line.strip() == "8 attempts, 40 calls at most"
    found = parsed(run, "--sample", "8", "--repeats", "2")
    new = [row for row in calls(run) if row["node"] == "calibrate"]
    assert len(calls(run)) - made == len(new) == 40
    assert {row["thread_id"].partition("/")[0] for row in new} == {"calibrate"}
    assert parsed(run, "--sample", "8", "--repeats", "2") == found
    assert len(calls(run)) == made + 40
    after = read_tables(run)
    assert {name for name in after if after[name] != before[name]} == {"calls"}

    async def measured() -> set[str]:
        async with open_readonly(run / "run.db") as ledger:
            return {row["document_id"] for row in await use_by_document(ledger)}

    assert not any("calibrate" in one for one in asyncio.run(measured()))


def test_people_fill_in_a_sheet_of_the_sample(run: Path, tmp_path: Path) -> None:
    sheet, made = tmp_path / "sheet.csv", len(calls(run))
    assert "write yes or no under met" in printed(run, "--sample", "8", "--sheet", sheet)
    assert len(calls(run)) == made, "a sheet costs nothing"
    with sheet.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["attempt_id"] for row in rows}) == 8
    assert {row["met"] for row in rows} == {""}
    assert all(row["text"] and row["question"] and row["answer"] for row in rows)
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "met": "yes"} for row in rows)
    found = parsed(run, "--sample", "8", "--repeats", "2", "--labels", sheet)["people"]["file"]
    assert (found["attempts"], found["findings"], found["unknown"]) == (8, len(rows), 0)
    assert found["agreement"]["low"] < found["agreement"]["value"] < found["agreement"]["high"]


@pytest.mark.slow
def test_the_command_recovers_the_noise_that_is_planted_in_a_run(tmp_path: Path) -> None:
    asyncio.run(run_session(tmp_path, settings(simulated=WORLD), [one for one in QUICK if isinstance(one, Document)]))
    found = parsed(tmp_path, "--sample", "20", "--repeats", "3")["all"]["noise"]
    assert found["low"] <= NOISE <= found["high"]
    assert found["high"] - found["low"] < NOISE


def test_findings_that_always_differ_turn_every_mark() -> None:
    """An agreement of 0 is a figure, and not one that is missing."""
    assert _differing(agreement.agreement_of([[(True, False)], [(False, True)]])) == 1
    assert _differing(agreement.agreement_of([])) == 0


@pytest.mark.slow
def test_it_says_what_follows(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = parsed(run, "--sample", "8", "--repeats", "2")
    assert found["attempts"] == 8
    assert found["judges"]["judge_2"]["agreement"]["value"] > 0.7
    assert found["all"]["agreement"]["low"] < found["all"]["agreement"]["value"] < found["all"]["agreement"]["high"]
    picture = tmp_path / "noise.svg"
    text = printed(run, "--sample", "8", "--repeats", "2", "--plot", picture)
    assert "verdicts that would flip if all were marked again" in text
    assert "guard band for 5%" in text
    assert picture.read_text("utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plot", "x.gif"], "ends in .svg or .png"),
        (["--sample", "8", "--repeats", "50", "--labels", "nowhere.csv"], "cannot be read"),
    ],
)
def test_mistakes_are_one_line(run: Path, arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["calibrate", str(run), *arguments])
    assert result.exit_code == 2 or said in str(result.exception)
    assert said in result.output or said in str(result.exception)
