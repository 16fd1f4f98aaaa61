"""Completion in the shells themselves: what stands on the line after a tab. `make completion` installs all three."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(sysconfig.get_path("scripts")) / "autodata"
CLI = Path(__file__).parents[2] / "docs" / "cli.md"
INSTALLED = [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)]
WAIT = 120.0
"""Seconds until a shell that says nothing has failed."""

CASES = {
    "{} stat": "status",
    "{} prompts sh": "show",
    "{} show RUN --rej": "--rejected",
    "{} run --docum": "--documents",
    "{} completion z": "zsh",
    "{} run --domain le": "legal",
    "{} run --review=acc": "--review=accepted",
    "{} export RUN --format llam": "llama-factory",
    "{} run --config con": "config.toml",
    "{} run --documents=pap": "--documents=papers/",
    "{} run --documents papers --config con": "config.toml",
    "{} run --documents my": "my notes/",
    "{} run --domain own": "own-domain/",
    "{} status runs/fi": "runs/first/",
    "AUTODATA_TRY=1 {} stat": "status",
}
"""A line that is typed, and its last word after a tab. The braces are the command."""

BASH = """\
{install}
PS1=READY
report() {{ printf '<<%s>>' "$READLINE_LINE"; READLINE_LINE=; }}
bind -x '"\\C-t": report'
"""
ZSH = """\
autoload -U compinit && compinit -u -D
{install}
PS1=READY
report() {{ zle -I; print -rn -- "<<$BUFFER>>"; BUFFER=; }}
zle -N report
bindkey '^T' report
"""


def settings(home: Path, path: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": path, "TERM": "xterm", "LC_ALL": "C.UTF-8", "INPUTRC": "/dev/null"}


@contextmanager
def terminal(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[int]:
    """A shell on a terminal of its own, which takes what is written as typed."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, environment)
    try:
        read_until(terminal, "READY")
        yield terminal
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def read_until(terminal: int, pattern: str) -> str:
    """What a terminal showed until the pattern's group, or the pattern, came."""
    shown = ""
    while not (found := re.search(pattern, shown, re.DOTALL)):
        ready, _, _ = select.select([terminal], [], [], WAIT)
        assert ready, shown
        shown += os.read(terminal, 65536).decode(errors="replace")
    return found[found.lastindex or 0]


def typed_in(shell: str, install: str, lines: list[str], environment: dict[str, str], folder: Path) -> list[str]:
    """The last word of each line after a tab, with no quotes of the shell."""
    home = Path(environment["HOME"])
    if shell == "fish":
        asked = "\n".join([install, *(f'set found (complete -C "{line}"); echo "$found"' for line in lines)])
        done = subprocess.run(
            ["fish", "-c", asked], capture_output=True, text=True, env=environment, cwd=folder, check=True
        )
        return [line.partition("\t")[0] for line in done.stdout.splitlines()]
    file = home / (".zshrc" if shell == "zsh" else "bashrc")
    file.write_text((ZSH if shell == "zsh" else BASH).format(install=install), "utf-8")
    command = ["zsh", "-i"] if shell == "zsh" else ["bash", "--noprofile", "--rcfile", str(file), "-i"]
    found = []
    with terminal(command, environment, folder) as keys:
        for line in lines:
            os.write(keys, f"{line}\t\x14".encode())
            found.append(shlex.split(read_until(keys, "<<(.*?)>>"))[-1])
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("papers", "my notes", "own-domain", "runs/first", "bin", "home"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "config.toml").touch()
    (tmp_path / "bin" / "autodata").symlink_to(SCRIPT)
    return tmp_path


@pytest.mark.parametrize("shell", INSTALLED)
def test_a_shell_completes_as_the_documentation_installs_it(shell: str, folder: Path) -> None:
    environment = settings(folder / "home", f"{folder / 'bin'}:{os.environ['PATH']}")
    install = f'eval "$(autodata completion {shell})"'
    if shell == "fish":
        (folder / "home" / ".config" / "fish" / "completions").mkdir(parents=True)
        install = "autodata completion fish > ~/.config/fish/completions/autodata.fish"
    assert f"`{install}`" in CLI.read_text("utf-8")
    lines = [line.format("autodata") for line in CASES]
    assert dict(zip(lines, typed_in(shell, install, lines, environment, folder), strict=True)) == dict(
        zip(lines, CASES.values(), strict=True)
    )


@pytest.mark.parametrize("shell", INSTALLED)
def test_a_command_that_is_not_on_the_path_is_completed_where_it_lies(shell: str, folder: Path) -> None:
    path = ":".join(one for one in os.environ["PATH"].split(":") if not (Path(one) / "autodata").exists())
    environment = settings(folder / "home", path)
    assert shutil.which("autodata", path=path) is None
    install = f'eval "$(bin/autodata completion {shell})"'
    if shell == "fish":
        install = "bin/autodata completion fish | source"
    lines = ["bin/autodata stat", "~/../bin/autodata prompts sh", "bin/autodata run --domain le"]
    assert typed_in(shell, install, lines, environment, folder) == ["status", "show", "legal"]
