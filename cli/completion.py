"""`autodata completion`: what a shell needs to complete commands, options and files."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined] # typer lists none

from autodata.cli.app import COMPLETING


class Shell(StrEnum):
    """The shells that a script is printed for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell that is to complete.")],
) -> None:
    """Print a script that completes commands, options and files in bash, zsh or fish.

    bash: add  eval "$(autodata completion bash)"  to ~/.bashrc. zsh: the same with zsh in ~/.zshrc, behind compinit.
    fish: autodata completion fish > ~/.config/fish/completions/autodata.fish

    Example: autodata completion bash
    """
    typer.echo(get_completion_script(prog_name="autodata", complete_var=COMPLETING, shell=shell.value))
