"""The terminal queue on a real terminal: single keys, a typed reason, an editor, and a run in another process."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from autodata.examples import documents_folder

MODELS = '[models.default]\nprovider = "simulated"\nmodel = "strong"\n[models.weak_solver]\nmodel = "weak"\n'
PATIENCE_SECONDS = 30
"""How long a silent command is waited for before the test gives it up."""
AUTODATA = [sys.executable, "-c", "from autodata_launch import main; main()"]
CONTROLLED = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
"""Makes standard input the terminal whose Ctrl-C reaches the process."""
CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"


class Terminal:
    """A command on a terminal of its own, and all it has shown."""

    def __init__(self, folder: Path, *arguments: str, editor: str = "false") -> None:
        self._master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", "USER": "ada", "EDITOR": editor}
        environment.pop("VISUAL", None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{CONTROLLED}; {AUTODATA[-1]}", *arguments],
            cwd=folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def wait_for(self, text: str) -> None:
        """Read until a text is shown that was not waited for before."""
        while text not in self.shown[self._seen :]:
            assert self._read(), f"{text!r} was never shown:\n{self.shown}"
        self._seen = self.shown.index(text, self._seen) + len(text)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        return self.process.wait()

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE_SECONDS)
        assert ready, f"nothing happens:\n{self.shown}"
        try:
            read = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", read.decode(errors="replace")).replace("\r\n", "\n")
        return bool(read)


def run(folder: Path, *arguments: str) -> str:
    command = [*AUTODATA, "run", "--config", "given.toml", "--out", "run", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def labels(folder: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(folder / "run" / "run.db")) as db:
        return list(
            db.execute("select decision, reason, reviewer from labels where decision is not null order by rowid")
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a run of which at least three candidates wait."""
    (tmp_path / "given.toml").write_text(f'max_rounds = 6\nreview = "all"\n{MODELS}', "utf-8")
    said = run(tmp_path, str(documents_folder()))
    assert "5 candidates wait for a person: autodata review run" in " ".join(said.split())
    return tmp_path


def test_keys_are_taken_one_by_one(folder: Path) -> None:
    editor = folder / "editor.sh"
    editor.write_text('sed -i \'s/^reference_answer = .*/reference_answer = "Mine."/\' "$1"\n', "utf-8")
    with Terminal(folder, "review", "run", editor=shlex.join(["sh", str(editor)])) as terminal:
        terminal.wait_for("1 of 5: ")
        terminal.wait_for("[q]uit")
        terminal.type("a")
        terminal.wait_for("approved: kept")
        terminal.wait_for("2 of 5: ")
        terminal.wait_for("[q]uit")
        terminal.type("r")
        terminal.wait_for("Why?")
        terminal.type("It asks fr\x7for a number.\n")
        terminal.wait_for("rejected: kept")
        terminal.wait_for("3 of 5: ")
        terminal.wait_for("[q]uit")
        terminal.type("e")
        terminal.wait_for("edited: kept")
        terminal.wait_for("4 of 5: ")
        terminal.wait_for("[q]uit")
        terminal.type("r")
        terminal.wait_for("Why?")
        terminal.type(CTRL_C)
        terminal.type("\n")  # a signal just before the read is only seen with the next key
        terminal.wait_for("[q]uit")
        terminal.type(UP + "s")
        terminal.wait_for("5 of 5: ")
        terminal.wait_for("[q]uit")
        terminal.type(CTRL_C)
        assert terminal.end() == 0
        assert "3 answered (approve 1, edit 1, reject 1), 2 left to look at" in " ".join(terminal.shown.split())
        assert "Traceback" not in terminal.shown
    said = [("approve", "", "ada"), ("edit", "", "ada"), ("reject", "It asks for a number.", "ada")]
    assert sorted(labels(folder)) == said
    run(folder)
    with closing(sqlite3.connect(folder / "run" / "run.db")) as db:
        statuses = [status for (status,) in db.execute("select status from documents order by rowid")]
        asked = db.execute("select count(*) from labels where decision is null").fetchone()[0]
    assert asked == statuses.count("waiting") >= 2
    assert set(statuses) <= {"accepted", "rejected", "waiting"}


def test_the_queue_ends_with_its_input(folder: Path) -> None:
    with Terminal(folder, "review", "run", "--reviewer", "Grace Hopper") as terminal:
        terminal.wait_for("[q]uit")
        terminal.type("a")
        terminal.wait_for("approved: kept")
        terminal.wait_for("[q]uit")
        terminal.type(CTRL_D)
        assert terminal.end() == 0
    assert labels(folder) == [("approve", "", "Grace Hopper")]


def test_an_answer_is_kept_whatever_becomes_of_the_queue(folder: Path) -> None:
    with Terminal(folder, "review", "run") as terminal:
        terminal.wait_for("[q]uit")
        terminal.type("a")
        terminal.wait_for("approved: kept")
        terminal.process.kill()
    assert labels(folder) == [("approve", "", "ada")]


def test_the_run_goes_on_from_the_queue(folder: Path) -> None:
    with Terminal(folder, "review", "run", "--go") as terminal:
        for position in range(1, 6):
            terminal.wait_for(f"{position} of 5: ")
            terminal.wait_for("[q]uit")
            terminal.type("a")
        assert terminal.end() == 0
        assert "5 answered (approve 5), 0 left to look at" in " ".join(terminal.shown.split())
    with closing(sqlite3.connect(folder / "run" / "run.db")) as db:
        statuses = [status for (status,) in db.execute("select status from documents")]
    assert "accepted" in statuses or "waiting" in statuses
