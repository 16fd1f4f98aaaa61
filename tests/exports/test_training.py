"""docs/training.md run as written: two runs, and between them the training scripts on a tiny random model.

`make exports` makes the trainer's environment in `.venvs/trl`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autodata import open_run
from autodata.models.local.checkpoint import weights_hash
from autodata.runner.config import read_resolved
from tests.exports.judge import Judge

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text("utf-8")
TRAINER = ROOT / ".venvs" / "trl"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Return the folder in which every command of the page ran, and what each printed."""
    folder = tmp_path_factory.mktemp("training")
    (folder / ".venv-train").symlink_to(TRAINER)
    (folder / "examples").symlink_to(ROOT / "examples")
    shutil.copytree(ROOT / "examples" / "documents", folder / "papers")
    (toml,) = blocks("toml")
    (folder / "autodata.toml").write_text(toml, "utf-8")
    printed: dict[str, str] = {}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with Judge(varies=True) as judge:  # of equal rewards nothing is learned
        known = {"AUTODATA_JUDGE_URL": judge.url, "AUTODATA_JUDGE_MODEL": "m", "HF_HUB_OFFLINE": "1", "PATH": path}
        for line in "".join(blocks("sh")).splitlines():
            done = subprocess.run(
                shlex.split(line),
                cwd=folder,
                env={**os.environ, **known},
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            assert done.returncode == 0, (line, done.stdout[-2_000:], done.stderr[-4_000:])
            printed[line] = done.stdout
        assert judge.asked, "the reward asks the judge"
    return folder, printed


def test_every_script_takes_its_steps_and_saves_a_model(walked: tuple[Path, dict[str, str]]) -> None:
    folder, printed = walked
    scripts = {Path(line.split()[1]).name: said for line, said in printed.items() if ".venv-train" in line}
    assert scripts.keys() == {path.name for path in (ROOT / "examples" / "train").glob("*.py")}
    assert {name for name, said in scripts.items() if "2 steps" in said} == {"sft.py", "grpo.py", "kto.py"}
    hashes = [weights_hash(folder / name) for name in ("base", "sft", "grpo", "challenger-sft", "challenger")]
    assert len(set(hashes)) == 5, "each was trained, or at least changed"


def test_the_trained_model_is_the_next_weak_solver(walked: tuple[Path, dict[str, str]]) -> None:
    folder, _ = walked
    weak = read_resolved(folder / "runs" / "round-2" / "config.toml")["models"]["weak_solver"]
    assert (weak["provider"], weak["model"]) == ("local", str(folder / "grpo"))
    assert weak["weights"] == weights_hash(folder / "grpo")
    before, after = (open_run(folder / "runs" / name) for name in ("round-1", "round-2"))
    assert after.usage_by_role["weak_solver"].calls
    assert after.examples
    for example in after.examples:
        models = {played["role"]: played["model"] for played in example["models"]}
        assert models["weak_solver"] == f"grpo@{weak['weights'][:12]}"
        assert models["strong_solver"] == "strong"
        assert all(one["answer"] for one in example["attempts"] if one["stage"] == "weak")
    assert before.examples


def test_other_weights_are_refused_in_one_line(walked: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    folder, _ = walked
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine, symlinks=True)
    resolved = mine / "runs" / "round-2" / "config.toml"
    resolved.write_text(resolved.read_text("utf-8").replace(str(folder), str(mine)), "utf-8")
    shutil.copy(mine / "base" / "model.safetensors", mine / "grpo" / "model.safetensors")
    again = [str(Path(sys.executable).parent / "autodata"), "run", "--weak-from", "grpo", "--out", "runs/round-2"]
    done = subprocess.run(again, cwd=mine, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "models.weak_solver.weights: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_small_server_says_what_it_does_not_do(walked: tuple[Path, dict[str, str]]) -> None:
    """Run where the libraries are: a chat, a cut one, the same seed twice, and refusals."""
    folder, _ = walked
    done = subprocess.run(
        [str(TRAINER / "bin" / "python"), str(Path(__file__).parent / "scripts" / "small_server.py"), folder / "grpo"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["models"] == ["tiny"]
    usage, differs = found["adapter"]
    assert usage["completion_tokens"] == 8
    assert differs, "an adapter is laid over its base"
    assert found["abandoned"] == 5, "asked before, after each of three tokens, and at the end"
    assert found["same seed"]
    assert not found["other seed"]
    assert found["finish"] == "length"
    assert found["tokens"] == 8
    assert found["format"] == [400, "response_format is not supported"]
    assert found["long"] == [400, "the prompt is longer than the context length of 256 tokens"]
    assert found["path"][0] == 404


def test_an_export_into_the_same_folder_is_what_the_next_training_reads(tmp_path: Path) -> None:
    python, scripts = TRAINER / "bin" / "python", ROOT / "examples" / "train"
    known = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}

    def said(*command: str) -> str:
        done = subprocess.run(
            [str(python), *command], cwd=tmp_path, env=known, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr[-4_000:]
        return done.stdout

    said(str(scripts / "tiny_model.py"), "base")
    data = tmp_path / "data"
    for count, columns in ((2, {"score": 1.0}), (3, {"gap": None})):
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        card = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: train.jsonl\n---\n"
        (data / "README.md").write_text(card, "utf-8")
        turns = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "That."}]
        (data / "train.jsonl").write_text(count * (json.dumps({"messages": turns, **columns}) + "\n"), "utf-8")
        given = ("--data", "data", "--model", "base", "--out", f"out-{count}", "--steps", "1")
        assert f"on {count} chats" in said(str(scripts / "sft.py"), *given)
