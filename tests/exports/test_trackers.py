"""Figures of a search in MLflow's own file store and in wandb's offline files, each written by its library."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from autodata import open_search
from autodata.examples import documents_folder
from tests.exports.test_libraries import script


def test_mlflow_and_wandb_hold_the_figures_of_a_search_and_no_text(tmp_path: Path) -> None:
    held = script("track.py", "trackers", sysconfig.get_paths()["purelib"], tmp_path)
    assert held["notes"] == []
    assert (held["runs"], held["status"]) == (1, "FINISHED"), "the second session goes on with the run of the first"
    assert held["params"]["models.editor"] == "simulated:strong"
    metrics = held["metrics"]
    assert metrics["rate"][-1] == [2, held["rate"]]
    assert [metrics["rate_low"][-1][1], metrics["rate_high"][-1][1]] == list(held["interval"])
    assert metrics["calls"][-1] == [2, held["calls"]]
    assert {step for step, _ in metrics["iterations"]} == {0, 1, 2}
    assert open_search(tmp_path / "search").rate == held["rate"]
    offline = [file.read_bytes() for file in tmp_path.glob("wandb/offline-run-*/*.wandb")]
    assert len(offline) == 2
    assert all(name in b"".join(offline) for name in (b"rate_low", b"mutant_score", b"optimize.iterations"))
    texts = [paper.read_text("utf-8").split("\n\n")[1][:60].encode() for paper in documents_folder().glob("*.md")]
    prompts = [b"{{document}}", b"# system"]
    kept = [
        file.read_bytes() for place in ("mlruns", "wandb") for file in (tmp_path / place).rglob("*") if file.is_file()
    ]
    assert kept
    assert not any(text in content for text in [*texts, *prompts] for content in kept)
    assert not list(tmp_path.glob("wandb/**/requirements.txt"))
