"""The newcomer's command, on the real model: what `make demo` runs, with the same settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from autodata.cli.demo import LOCAL, SIMULATED_NOTE
from autodata.runner.config import read_config

AUTODATA = [str(Path(sys.executable).parent / "autodata")]
CONFIG = read_config(LOCAL, "demo")


def autodata(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*AUTODATA, *arguments], check=False, cwd=cwd, capture_output=True, text=True, timeout=1200)


def test_demo_on_the_real_model_makes_examples_and_a_second_one_reuses_them(tmp_path: Path) -> None:
    first = autodata("demo", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    stopped = [line for line in first.stderr.splitlines() if line.startswith("stopped: ")]
    assert len(stopped) == 1
    assert f"target of {CONFIG.target} accepted" in stopped[0] or "--max-seconds 300" in stopped[0]
    status = json.loads(autodata("status", "demo-run", "--json", cwd=tmp_path).stdout)
    assert status["calls"] > 0
    assert status["tokens_in"] > status["tokens_out"] > 0
    assert status["errored"] == 0
    assert status["cost_usd"] is None
    assert status["cached_share"] > 0.3  # prompts of a role begin alike, and the server has read that beginning
    assert {"challenger", "quality_verifier", "weak_solver"} <= set(status["calls_by_role"])
    exported = autodata("export", "demo-run", "--format", "jsonl", "--out", "-", cwd=tmp_path)
    examples = [json.loads(line) for line in exported.stdout.splitlines()]
    assert len(examples) == status["accepted"]
    for example in examples:
        assert sum(score > 0.5 for score in example["weak_scores"]) <= 1
        assert sum(score > 0.5 for score in example["strong_scores"]) >= 3
        assert example["question"]
        assert example["passage"]
    if "target" in stopped[0]:
        assert status["accepted"] >= 3
        second = autodata("demo", cwd=tmp_path)
        assert second.returncode == 0, second.stderr
        assert json.loads(autodata("status", "demo-run", "--json", cwd=tmp_path).stdout) == status


def test_simulated_demo_says_so_first_and_needs_seconds(tmp_path: Path) -> None:
    done = autodata("demo", "--models", "simulated", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == SIMULATED_NOTE
    status = json.loads(autodata("status", "demo-run-simulated", "--json", cwd=tmp_path).stdout)
    assert status["accepted"] + status["rejected"] == status["documents"] == 5


def test_a_run_on_the_smallest_real_model_ends_every_document(tmp_path: Path) -> None:
    (tmp_path / "autodata.toml").write_text(
        'domain = "facts"\nmax_rounds = 2\nlimit = 2\n\n[models.default]\nprovider = "local"\nmodel = "smollm2-135m"\n'
    )
    documents = Path(__file__).parents[2] / "examples" / "documents"
    done = autodata("run", "--documents", str(documents), "--out", "run", "--json", cwd=tmp_path)
    status = json.loads(done.stdout)
    assert status["documents"] == 2
    assert status["pending"] == 0
    assert status["calls_by_role"]["challenger"] >= 2
    assert status["tokens_in"] > 0
    assert done.returncode == (1 if status["errored"] else 0), done.stderr
