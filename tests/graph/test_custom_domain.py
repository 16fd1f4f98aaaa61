"""A run of a domain of one's own: made from its folder, resumed with it, refused when it has changed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autodata.examples import documents_folder
from autodata.prompts.pack import load_pack
from autodata.runner.config import read_config, read_resolved, stored_config
from autodata.runner.fingerprint import fingerprint
from tests.support.commands import invoke, printed, refusal
from tests.support.runs import read_tables
from tests.support.stages import first_quick

MODELS = '[models.default]\nprovider = "simulated"\nmodel = "strong"\n[models.weak_solver]\nmodel = "weak"\n'
CONFIG = f"max_rounds = 8\nseed = 3\n{MODELS}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a domain `mine`, a configuration and documents."""
    monkeypatch.chdir(tmp_path)
    printed("init", "--domain", "mine", "--like", "facts")
    Path("mine.toml").write_text(CONFIG)
    shutil.copytree(documents_folder(), "papers")
    return tmp_path


def run(*more: str, out: str = "out", config: str = "mine.toml") -> dict[str, Any]:
    arguments = ["--domain", "./mine", "--config", config, "--documents", "papers", "--out", out, *more]
    result = invoke("run", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def change(old: str, new: str) -> None:
    file = Path("mine/domain.toml")
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.slow
def test_it_makes_the_examples_of_the_domain_it_was_copied_from(here: Path) -> None:
    mine = run()
    (here / "facts.toml").write_text(f'domain = "facts"\n{CONFIG}')
    shipped = json.loads(
        printed("run", "--config", "facts.toml", "--documents", "papers", "--out", "facts-run", "--json")
    )
    assert mine["accepted"] >= 1
    assert mine == shipped
    first, second = (read_tables(Path(name)) for name in ("out", "facts-run"))
    assert first["attempts"] == second["attempts"]
    with closing(sqlite3.connect(here / "out" / "run.db")) as db:
        examples = [json.loads(text) for (text,) in db.execute("select example from examples")]
    assert {example["domain"] for example in examples} == {"mine"}
    assert {example["prompt_version"] for example in examples} == {load_pack("facts").version}


@pytest.mark.slow
def test_a_rubric_domain_runs_too(here: Path) -> None:
    shutil.rmtree("mine")
    printed("init", "--domain", "mine")
    assert run("--limit", "2")["documents"] == 2


@pytest.mark.slow
def test_it_goes_on_with_and_without_its_configuration(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = run("--max-calls", "25")
    assert begun["pending"] > 0
    assert read_resolved(here / "out" / "config.toml")["domain"] == str(here / "mine")
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    further = invoke("run", "--out", here / "out", "--max-calls", "60", "--json")
    assert further.exit_code == 0, further.output
    assert 25 < json.loads(further.stdout)["calls"] <= 60
    monkeypatch.chdir(here)
    whole = run("--max-calls", "100000")
    assert whole["pending"] == 0
    assert whole == run(out="at-once")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    first_quick(
        ("weak_attempts = 4", "weak_attempts = 5", "domain.weak_attempts: 4 -> 5"),
        ('acceptance = "counts"', 'acceptance = "majority"', "domain.acceptance: counts -> majority"),
        ("show_rejected = false", "show_rejected = true", "domain.show_rejected: False -> True"),
        ("max_tokens = 300", "max_tokens = 301", "domain.role_defaults.challenger.max_tokens: 300 -> 301"),
        ('# name = "mine"', 'name = "other"', "domain: mine -> other"),
        ("passage_words = 150", "", "domain.passage_words: 150 -> not set"),
    ),
)
@pytest.mark.parametrize("with_config", first_quick(True, False))
def test_a_changed_domain_is_refused(old: str, new: str, said: str, with_config: bool) -> None:
    run("--limit", "1")
    if "passage" in old:  # then the sentence cannot be named either
        file = Path("mine/challenger.md")
        file.write_text(file.read_text().replace(', "anchor"', "").replace("{{anchor}}", ""))
    change(old, new)
    arguments = ["--domain", "./mine", "--config", "mine.toml"] if with_config else []
    message = refusal("run", *arguments, "--out", "out")
    assert message.startswith("out was made with another configuration (")
    assert said in message


@pytest.mark.slow
def test_a_changed_prompt_is_refused() -> None:
    run("--limit", "1")
    file = Path("mine/challenger.md")
    file.write_text(file.read_text() + "Be brief.\n")
    assert "prompt_version: " in refusal("run", "--out", "out")


@pytest.mark.slow
def test_what_no_result_depends_on_may_change() -> None:
    before = run("--limit", "1")
    change("[role_defaults.challenger]\n", "[role_defaults.challenger]\ntimeout = 12.0\n")
    change("weak_attempts = 4", "weak_attempts = 4  # as ever")
    assert run("--limit", "1") == before


@pytest.mark.slow
def test_a_folder_that_vanished_and_one_that_moved() -> None:
    before = run("--limit", "1")
    Path("mine").rename("moved")
    message = refusal("run", "--out", "out")
    assert "mine: no such domain folder: put it back, or name another with --domain" in message
    assert message.startswith("out/config.toml: domain: ")
    assert "name: mine" not in message
    assert "domain: mine -> moved" in refusal("run", "--out", "out", "--domain", "./moved")
    file = Path("moved/domain.toml")
    file.write_text(file.read_text().replace("# name =", "name ="))
    assert json.loads(printed("run", "--out", "out", "--domain", "./moved", "--json")) == before
    assert json.loads(printed("run", "--out", "out", "--json")) == before  # the new place is stored


def test_a_mistake_in_the_folder_makes_no_run_folder(here: Path) -> None:
    change("weak_attempts = 4", "weak_attempts = 0")
    message = refusal("run", "--domain", "./mine", "--config", "mine.toml", "--documents", "papers", "--out", "out")
    assert "mine/domain.toml: weak_attempts: " in message
    assert not (here / "out").exists()


def test_the_stored_domain_is_whole_and_reads_back(here: Path) -> None:
    run("--limit", "1")
    stored = tomllib.loads((here / "out" / "config.toml").read_text())
    settings = read_config(f'domain = "./mine"\n{CONFIG}', "test")
    assert stored["domain_settings"] == settings.chosen_domain.model_dump(mode="json", exclude_none=True)
    again = stored_config(here / "out" / "config.toml")
    version = settings.chosen_domain.pack().version
    assert fingerprint(again.resolved(version)) == fingerprint(stored)


def test_the_graph_and_a_configuration_of_an_own_domain() -> None:
    assert "quality_verifier" in printed("graph", "--domain", "./mine")
    printed("init", "--domain", "./mine", "--out", "written.toml")
    assert tomllib.loads(Path("written.toml").read_text())["domain"] == "./mine"


KIND = """
from autodata.domains.tasks.base import ReferenceTask

from {helper} import MARK


class Mine(ReferenceTask):
    mark_text = MARK
"""


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["task_of_mine", "helper_of_mine"])
def test_changed_code_of_a_task_type_is_refused(changed: str, here: Path) -> None:
    """The command as a user starts it: the run is made, the file of the task type changes, the run is resumed."""
    (here / "task_of_mine.py").write_text(KIND.format(helper="helper_of_mine"))
    (here / "helper_of_mine.py").write_text('MARK = "first"\n')
    change('kind = "reference"', 'kind = "task_of_mine:Mine"')
    environment = {**os.environ, "PYTHONPATH": str(here)}

    def autodata(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("autodata")), "run", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    given = ["--domain", "./mine", "--config", "mine.toml", "--documents", "papers", "--out", "out", "--limit", "1"]
    begun = autodata(*given)
    assert begun.returncode == 0, begun.stderr
    assert autodata("--out", "out").returncode == 0, "unchanged, it goes on"
    file = here / f"{changed}.py"
    file.write_text(file.read_text() + "OTHER = 1\n")
    for arguments in (given, ["--out", "out"]):
        refused = autodata(*arguments)
        assert refused.returncode == 2
        line = " ".join(refused.stderr.split())  # one sentence, broken at the width of the terminal
        assert "Traceback" not in line
        assert "out was made with another configuration (domain.code: task_of_mine:Mine " in line
        assert " -> task_of_mine:Mine " in line
