"""Each export is loaded and used by the library that it is for, in an environment of that library's own.

`make exports` makes the environments in `.venvs/`, for their versions clash with ours and with each other's.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from autodata import generate
from autodata.corpus.exporters.jsonl import lines
from autodata.corpus.exporters.registry import EXPORTERS
from autodata.corpus.exporters.rows import ExampleRow, ExportSet
from autodata.examples import documents_folder
from tests.exports.judge import Judge

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
SECONDS = 600
BYTES = 20_000_000
BEYOND = 12_000_000
"""More than `datasets` infers the types of lines from."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a folder of every format in it, and one of 20 MB of lines."""
    folder = tmp_path_factory.mktemp("exports")
    models = {"default": "simulated:strong", "weak_solver": "simulated:weak"}
    result = generate(documents_folder(), models=models, out=folder / "run", progress=False)
    assert len(result) >= 3
    for name in EXPORTERS.shipped:
        count = result.export(folder / name, format=name, split="0.6/0.4", licence="cc-by-4.0")
        assert count > len(result) if name == "challenger" else count == len(result), "turns are more than examples"
    EXPORTERS["jsonl"](ExportSet(wide(cast("ExampleRow", result.examples[0]))), folder / "wide")
    return folder


def wide(row: ExampleRow) -> dict[str, list[ExampleRow]]:
    """Return more than 20 MB of rows, whose columns may be empty until well beyond what a reader infers types from."""
    bare: ExampleRow = {
        **row,
        "rubric": [],
        "skills": [],
        "attempts": [],
        "lessons": [],
        "weak_mean": None,
        "chunk": None,
    }
    full: ExampleRow = {**row, "lessons": ["L1.1"], "chunk": 2, "weak_mean": 0.25}
    first, later = (half_of // len(lines([one])) + 1 for half_of, one in ((BEYOND, bare), (BYTES - BEYOND, full)))
    return {"train": [bare] * first + [full] * later, "test": [full]}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    """Return a judge that finds every other criterion met."""
    with Judge() as server:
        yield server


def script(name: str, environment: str, *arguments: object, judge: Judge | None = None) -> Any:
    """Run a script in an environment and return the JSON of its last line."""
    variables: dict[str, Any] = {}
    if judge is not None:
        variables = {"AUTODATA_JUDGE_URL": judge.url, "AUTODATA_JUDGE_MODEL": "m"}
    return json.loads(
        run([python(environment), str(SCRIPTS / name), *map(str, arguments)], **variables).splitlines()[-1]
    )


def python(environment: str) -> str:
    return str(ROOT / ".venvs" / environment / "bin" / "python")


def run(command: list[str], cwd: Path | None = None, **variables: str) -> str:
    known = {**os.environ, **variables}  # a library may install what it needs, from where this machine does
    done = subprocess.run(command, env=known, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    return done.stdout


def half(row: dict[str, Any]) -> float:
    """Return the score of an answer that meets every other criterion of a row."""
    weights = [item["weight"] for item in json.loads(row["rubric"])]
    return float(min(1.0, max(0.0, sum(weights[::2]) / sum(weight for weight in weights if weight > 0))))


def train_rows(exported: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (exported / "inspect" / "data" / "train.jsonl").read_text("utf-8").splitlines()
    ]


def test_datasets_and_verl_read_what_they_are_given(exported: Path, judge: Judge) -> None:
    found = script("read_all.py", "trl", exported, judge=judge)
    rows = train_rows(exported)
    assert found["hf"]["train"] == len(rows) > 1
    assert found["verl"] == pytest.approx([half(row) for row in rows])
    assert found["same columns"], "with the same types"
    assert found["wide"] > 1_000
    assert found["challenger turns"].keys() == {"train", "test"}
    assert found["challenger sft"].keys() <= {"train", "test"}, "accepted turns may all be on one side"
    assert sum(found["challenger sft"].values()) == sum(found["hf"].values()) < sum(found["challenger turns"].values())
    assert found["labels"] == [False, True], "the turns are the default, accepted and rejected"
    for name in (
        "messages",
        "dpo",
        "trl-grpo",
        "inspect",
        "nemo-gym",
        "verifiers",
        "jsonl",
        "llama-factory sft",
        "llama-factory dpo",
    ):
        assert found[name].keys() == {"train", "test"}


def test_trl_takes_a_step_of_grpo_with_our_reward_and_one_of_sft_and_dpo(exported: Path, judge: Judge) -> None:
    asked = judge.asked
    found = script("trl_steps.py", "trl", exported, judge=judge)
    assert found["steps"] == {"grpo": 1, "sft": 1, "dpo": 1}
    assert len(found["rewards"]) == 2
    assert all(0 <= one <= 1 for one in found["rewards"])
    assert judge.asked > asked or set(found["rewards"]) == {0.0}


def test_inspect_runs_the_task(exported: Path) -> None:
    found = script("inspect_task.py", "inspect", exported / "inspect")
    assert found["status"] == "success"
    assert found["scores"] == pytest.approx({row["id"]: half(row) for row in train_rows(exported)})


def test_verifiers_validates_and_evaluates_the_package(exported: Path, judge: Judge, tmp_path: Path) -> None:
    bare = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    run([python("verifiers"), *bare, str(exported / "verifiers")])
    commands = Path(python("verifiers")).parent
    runtime = ["--runtime.type", "subprocess"]
    run([str(commands / "vf-validate"), "autodata-verifiers", "--only-noop", *runtime], tmp_path)
    (summary,) = tmp_path.rglob("summary.json")
    assert json.loads(summary.read_text("utf-8"))["outcomes"]["valid"] == len(train_rows(exported))
    at = {"base-url": judge.url, "api-key-var": "STUB_KEY"}
    client = [part for name, value in at.items() for part in (f"--client.{name}", value)]
    judged = [part for name, value in at.items() for part in (f"--env.taskset.task.judge.{name}", value)]
    agent = ["--env.agent.harness.id", "null", "--env.agent.runtime.type", "subprocess"]
    options = ["--no-push", "--no-rich", "--model", "m", *client, *judged, *agent]
    run([str(commands / "vf-eval"), "autodata-verifiers", *options], tmp_path, STUB_KEY="x")
    (traces,) = tmp_path.rglob("traces.jsonl")
    episodes = [json.loads(line) for line in traces.read_text("utf-8").splitlines()]
    rewards = {one["task"]["data"]["id"]: one["traces"][0]["rewards"]["criteria"]["score"] for one in episodes}
    assert rewards == pytest.approx({row["id"]: half(row) for row in train_rows(exported)})


def test_llama_factory_finds_its_files(exported: Path) -> None:
    folder = exported / "llama-factory"
    info = json.loads((folder / "dataset_info.json").read_text("utf-8"))
    assert info.keys() == {f"autodata_{kind}_{split}" for kind in ("sft", "dpo") for split in ("train", "test")}
    for name, entry in info.items():
        rows = [json.loads(line) for line in (folder / entry["file_name"]).read_text("utf-8").splitlines()]
        assert rows
        assert all(set(entry["columns"].values()) <= row.keys() for row in rows)
        assert entry["formatting"] == "sharegpt"
        assert entry.get("ranking", False) is ("dpo" in name)
        for row in rows:
            for message in row["messages"]:
                assert message[entry["tags"]["role_tag"]] in {entry["tags"]["user_tag"], entry["tags"]["assistant_tag"]}


def test_llama_factory_loads_chats_and_pairs(exported: Path) -> None:
    """By its own loader and template, up to the tokens that it trains on."""
    folder = exported / "llama-factory"
    found = script("llama_factory_data.py", "llama-factory", folder)
    for name, entry in json.loads((folder / "dataset_info.json").read_text("utf-8")).items():
        rows = [json.loads(line) for line in (folder / entry["file_name"]).read_text("utf-8").splitlines()]
        assert found[name]["rows"] == len(rows)
        wanted = {
            f"{side}_labels": rows[0][side]["content"] for side in ("chosen", "rejected") if entry.get("ranking")
        } or {"labels": rows[0]["messages"][-1]["content"]}
        texts = found[name]["texts"]
        assert texts.keys() == wanted.keys()
        for side, text in wanted.items():
            assert plain(text) in plain(texts[side])


def plain(text: str) -> str:
    """Return the signs of a text that the tiny model's tokenizer has, without blanks."""
    return "".join(sign for sign in text if "!" <= sign <= "~")
