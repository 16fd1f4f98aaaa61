"""Exports of a whole run, from the command line and from Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from autodata import generate, open_run
from autodata.checkpoints.errors import UserError
from autodata.examples import documents_folder
from tests.support.commands import invoke


@pytest.fixture(scope="module")
def cs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cs") / "run"
    models = {"default": "simulated:strong", "weak_solver": "simulated:weak"}
    assert len(generate(documents_folder(), models=models, out=folder, progress=False)) > 1
    return folder


@pytest.mark.slow
def test_an_export_has_attempts_and_sources(cs: Path, tmp_path: Path) -> None:
    """A folder is for the Hugging Face hub unless a format is named; splits hold whole documents."""
    assert invoke("export", cs, "--out", tmp_path / "hf", "--split", "0.5/0.5", "--source").exit_code == 0
    sides = {path.name.split("-")[0]: read_table(path).to_pylist() for path in (tmp_path / "hf" / "data").iterdir()}
    rows = [row for side in sides.values() for row in side]
    assert sides.keys() == {"train", "test"}
    assert all(row["source"] and row["document_sha256"] and row["run"] for row in rows)
    for row in rows:
        scores = {
            stage: [one["score"] for one in row["attempts"] if one["stage"] == stage] for stage in ("weak", "strong")
        }
        assert scores == {"weak": row["weak_scores"], "strong": row["strong_scores"]}
    assert open_run(cs).export(tmp_path / "mine.jsonl") == len(rows)
    kept = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text("utf-8").splitlines()]
    assert open_run(cs).examples == kept
    assert invoke("export", cs, "--format", "trl-grpo", "--out", tmp_path / "grpo").exit_code == 0
    assert "{{criteria}}" in json.loads((tmp_path / "grpo" / "judge.json").read_text("utf-8"))["user"]
    temporary = replace(open_run(cs), run_folder=None)
    with pytest.raises(UserError, match="give out="):
        temporary.export(tmp_path / "none")
