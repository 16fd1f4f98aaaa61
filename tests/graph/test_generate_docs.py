"""The programs of the README, of docs/python.md and of examples/, run as they stand there."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from autodata import open_run
from autodata.models.local.weights import KNOWN_MODELS
from tests.support.pages import DOCS, Program, programs
from tests.support.stages import first_quick

ROOT = DOCS.parent
PROGRAMS = [*programs(DOCS / "python.md"), *programs(DOCS / "optimizer.md")]


@pytest.fixture(autouse=True)
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder that holds the shipped documents as `papers`."""
    shutil.copytree(ROOT / "examples" / "documents", tmp_path / "papers")
    monkeypatch.chdir(tmp_path)


def test_the_programs_are_found() -> None:
    assert [program.heading for program in PROGRAMS] == [
        "The whole job",
        "What it will cost, and how it goes on",
        "Going on",
        "Better prompts",
        "In async code and notebooks",
        "From Python",
    ]


@pytest.mark.parametrize("program", first_quick(*sorted(PROGRAMS, key=lambda one: one.heading != "Going on")), ids=str)
def test_a_program_prints_what_the_page_says(program: Program) -> None:
    assert program.run() == program.printed


def test_the_five_lines_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = MarkdownIt("commonmark").parse((ROOT / "README.md").read_text("utf-8"))
    (code,) = [token.content for token in tokens if token.type == "fence" and token.info == "python"]
    assert len([line for line in code.splitlines() if line]) <= 5
    providers = dict(re.findall(r'"(openai|local):([^"]+)"', code))
    assert providers["local"] in KNOWN_MODELS
    code = code.replace(f"openai:{providers['openai']}", "simulated:strong")
    code = code.replace(f"local:{providers['local']}", "simulated:weak")
    for paper in sorted(Path("papers").iterdir())[:-2]:
        paper.unlink()  # two are enough to see that the lines work
    exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "__main__"})
    result = open_run("runs/python")
    assert capsys.readouterr().out.startswith(repr(result))
    assert result.status == "complete"
    assert len(result) > 0


@pytest.mark.slow
def test_the_example_runs_with_other_models(capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module("autodata.examples.make_examples")
    assert module.LOCAL.removeprefix("local:") in KNOWN_MODELS
    module.main("simulated:strong", "simulated:weak")
    out = capsys.readouterr().out
    assert out.startswith("<GenerationResult: ")
