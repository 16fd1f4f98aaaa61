"""The image that `langgraph build` makes: its Dockerfile can be read, and nothing private goes into it."""

from __future__ import annotations

import fnmatch
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parents[2]
CONFIG = json.loads((ROOT / "langgraph.json").read_text("utf-8"))


def dockerfile(config: Path, folder: Path) -> DockerfileParser:
    """Return the Dockerfile that the installed langgraph-cli writes for a configuration."""
    command = [str(Path(sys.executable).with_name("langgraph")), "dockerfile", "-c", str(config), "Dockerfile"]
    quiet = {"LANGGRAPH_CLI_NO_ANALYTICS": "1", "LANGGRAPH_NO_VERSION_CHECK": "true"}
    subprocess.run(command, cwd=folder, env={**os.environ, **quiet}, check=True, capture_output=True, timeout=600)
    with (folder / "Dockerfile").open("rb+") as file:
        return DockerfileParser(fileobj=file, cache_content=True, env_replace=False)


@pytest.mark.slow
def test_the_dockerfile_says_what_langgraph_json_says(tmp_path: Path) -> None:
    parser = dockerfile(ROOT / "langgraph.json", tmp_path)
    assert json.loads(parser.envs["LANGSERVE_GRAPHS"]) == CONFIG["graphs"]
    assert json.loads(parser.envs["LANGGRAPH_CHECKPOINTER"]) == CONFIG["checkpointer"]
    assert parser.envs["LANGCHAIN_TRACING"] == "false", "an image with a key would send documents unasked"
    assert parser.baseimage.startswith("langchain/langgraph-api")
    assert any(one["instruction"] == "ADD" and one["value"].startswith(". ") for one in parser.structure)


@pytest.mark.slow
def test_a_description_with_an_apostrophe_is_what_breaks_it(tmp_path: Path) -> None:
    config = json.loads(json.dumps(CONFIG))
    config["graphs"]["cot_baseline"]["description"] = "The paper's baseline."
    config["dependencies"] = ["autodata-langgraph"]
    (tmp_path / "langgraph.json").write_text(json.dumps(config), "utf-8")
    parser = dockerfile(tmp_path / "langgraph.json", tmp_path)
    with pytest.raises(ValueError, match=r"Syntax error|Expecting|delimiter"):
        json.loads(parser.envs["LANGSERVE_GRAPHS"])


@pytest.mark.slow
def test_an_image_without_a_checkout_takes_the_package_by_its_name(tmp_path: Path) -> None:
    """A copy of langgraph.json beside nothing: with "." the package would not be in the image."""
    for first, inside in ((".", False), ("autodata-langgraph[science]", True)):
        config = {**CONFIG, "dependencies": [first, *CONFIG["dependencies"][1:]]}
        (tmp_path / "langgraph.json").write_text(json.dumps(config), "utf-8")
        parser = dockerfile(tmp_path / "langgraph.json", tmp_path)
        installed = [one["value"] for one in parser.structure if one["instruction"] == "RUN"]
        assert any(first in line.split() for line in installed) is inside


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path out: the last pattern that matches it, or a folder above it, decides."""
    kept_out = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        parts = path.split("/")
        above = ["/".join(parts[: k + 1]) for k in range(len(parts))]
        anywhere = pattern.removeprefix("**/")
        names = [p for one in above for p in ([one, one.rpartition("/")[2]] if pattern != anywhere else [one])]
        if any(fnmatch.fnmatchcase(name, anywhere) for name in names):
            kept_out = not line.startswith("!")
    return kept_out


@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".env.local", "examples/.env", "server.pem", "keys/id.key", ".venv/bin/python", "x/.venv/y"),
        *("runs/one/run.db", ".autodata/server/run.db", "mine/run.db-wal", "mine/checkpoints.db", "demo-run/x"),
        *(".git/config", ".langgraph_api/store.pckl", "nodes/__pycache__/x.pyc", "build/wheel/x"),
    ],
)
def test_keys_environments_and_runs_stay_out_of_the_image(path: str) -> None:
    assert ignored(path)


def test_all_that_an_image_needs_goes_into_it() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout")
    needed = [
        name
        for name in listed.stdout.splitlines()
        if name.split("/")[0] not in {"tests", "docs", "benchmarks"} and not name.startswith(".")
    ]
    assert len(needed) > 150
    assert [name for name in needed if ignored(name)] == []
