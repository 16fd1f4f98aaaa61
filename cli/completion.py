"""`autodata completion`: what a shell needs to complete commands, options, their values and files."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from autodata.cli.app import COMPLETING


class Shell(StrEnum):
    """The shells that a script is printed for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


ASK = f"env {COMPLETING}=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args"
"""How every script asks: for a line a candidate, its help behind a tab. Of typer's answers this alone has no quotes."""

SCRIPTS = {
    # What stands behind a "=" is a word of its own, unless COMP_WORDBREAKS has lost its "=".
    Shell.BASH: f"""\
_autodata_completion() {{
    local IFS=$'\\n' line command="$1" whole=""
    case "$command" in "~/"*) command="$HOME${{command#?}}" ;; esac
    case "${{COMP_WORDS[COMP_CWORD]}}" in --*=*) whole="${{COMP_WORDS[COMP_CWORD]%%=*}}=" ;; esac
    COMPREPLY=()
    while read -r line; do
        if [ -n "$line" ]; then COMPREPLY+=("$whole${{line%%$'\\t'*}}"); fi
    done < <({ASK} _TYPER_COMPLETE_ARGS="${{COMP_LINE:0:COMP_POINT}}" "$command" 2>/dev/null)
}}

complete -o default -F _autodata_completion autodata
""",
    # The command is asked that is typed, which need not be on the path; "~" stands for a folder there, nothing is run.
    Shell.ZSH: f"""\
#compdef autodata

_autodata_completion() {{
    local -a found
    found=("${{(@f)$({ASK} _TYPER_COMPLETE_ARGS="${{words[1,CURRENT-1]}} $PREFIX" ${{~words[1]}} 2>/dev/null)}}")
    [[ $PREFIX == --*=* ]] && compset -P '*='
    if [[ -z $found[1] ]]; then
        _files
        return
    fi
    found=("${{(@)found//:/\\\\:}}")
    found=("${{(@)found/$'\\t'/:}}")
    _describe -V autodata found
}}

compdef _autodata_completion autodata
""",
    # Variables set before the command are no part of what it is asked.
    Shell.FISH: f"""\
function __autodata_candidates
    set -l line (commandline -cp | string collect | string replace --regex '^\\s*(\\w+=\\S*\\s+)*' '')
    set -l command (string split --max 1 ' ' -- $line)[1]
    set -l option (string match --regex -- '^--[^=]+=' (commandline -ct))
    set -l found ({ASK} _TYPER_COMPLETE_ARGS="$line" (string replace --regex '^~' $HOME -- $command) 2>/dev/null)
    if test -z "$found[1]"
        set found (__fish_complete_path (string replace -- "$option" '' (commandline -ct)))
    end
    if test -n "$found[1]"
        printf '%s\\n' "$option"$found
    end
end

complete --command autodata --no-files --arguments '(__autodata_candidates)'
""",
}


def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell that is to complete.")],
) -> None:
    """Print a script that completes commands, options, their values and files in bash, zsh or fish.

    bash: add  eval "$(autodata completion bash)"  to ~/.bashrc. zsh: the same with zsh in ~/.zshrc, behind compinit.
    fish: autodata completion fish > ~/.config/fish/completions/autodata.fish

    Example: autodata completion bash
    """
    typer.echo(SCRIPTS[shell], nl=False)
