"""How the command starts and ends: the entry point, exit codes, and one line instead of a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.cli import app as command_line

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sysconfig.get_path("scripts")) / "autodata"


def typed(*words: str, pythonpath: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a shell would."""
    return subprocess.run(
        [sys.executable, str(COMMAND), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(pythonpath)},
        cwd=pythonpath,
        timeout=600,
    )


def test_a_package_that_hides_this_one_is_named(tmp_path: Path) -> None:
    hiding = tmp_path / "autodata" / "__init__.py"
    hiding.parent.mkdir()
    hiding.write_text('raise RuntimeError("the package that hides this one was imported")\n')
    ended = typed("--version", pythonpath=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert f"another package named 'autodata' is installed ({hiding})" in ended.stderr
    assert "pip uninstall autodata" in ended.stderr


def test_a_folder_of_that_name_hides_nothing_and_a_mistake_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "autodata").mkdir()
    ended = typed("status", "no run", pythonpath=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "autodata: no run: no such folder: name a folder that 'autodata run --out' made\n"


def ends_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> object:
    """Let the application raise an error, and return the code that the command exits with."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(command_line, "app", fail)
    with pytest.raises(SystemExit) as exit_:
        command_line.main()
    return exit_.value.code


@pytest.mark.parametrize(("error", "code"), [(UserError("who, where, what"), 2), (RunFailed("who, where, what"), 1)])
def test_errors_are_one_line_and_an_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(error, monkeypatch) == code
    assert capsys.readouterr() == ("", "autodata: who, where, what\n")


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "app", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        command_line.main()


def main_with(words: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Start the command line in this process, and return the code that it exits with."""
    monkeypatch.setattr(sys, "argv", ["autodata", *words])
    with pytest.raises(SystemExit) as exit_:
        command_line.main()
    return exit_.value.code


def test_the_version_is_that_of_the_project(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert not main_with(["--version"], monkeypatch)
    assert capsys.readouterr() == (f"{project['version']}\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export", "{run}", "--out", "-"], "no such folder"),
        (["show", "{run}"], "no such folder"),
        (["run", "--config", "{run}/none.toml"], "no such configuration"),
        (["graph", "--domain", "csx"], "unknown domain 'csx'"),
        (["run", "--concurrency", "many"], "--concurrency"),
        (["fly"], "fly"),
    ],
)
def test_mistakes_of_every_kind_end_with_2(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_with([word.replace("{run}", str(tmp_path / "none")) for word in words], monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert "Traceback" not in printed.err


def test_a_failing_disk_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lock that is a folder stands for a run folder that cannot be written: it fails for root, too."""
    config = tmp_path / "autodata.toml"
    config.write_text('models.default = { provider = "simulated", model = "m" }\n')
    (tmp_path / "run" / "lock").mkdir(parents=True)
    words = ["run", "--config", str(config), "--out", str(tmp_path / "run"), str(ROOT / "examples")]
    assert main_with(words, monkeypatch) == 2
    printed = capsys.readouterr().err.splitlines()[-1]
    assert printed == f"autodata: {tmp_path / 'run' / 'lock'}: Is a directory: make room and make the folder writable"
