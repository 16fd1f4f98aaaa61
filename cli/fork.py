"""`autodata fork`: take a document back to one of its rounds, change something there, and go on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.queries.documents import documents
from autodata.cli.editing import in_editor, read_changes
from autodata.cli.run import finish
from autodata.cli.show import find_document
from autodata.cli.terminal import RunArgument, console
from autodata.jobs.printable import printable
from autodata.jobs.run_ledger import ledger_of

if TYPE_CHECKING:
    from autodata.runner.config import RunConfig
    from autodata.runner.fork import Moment


def fork(
    run: RunArgument,
    document: Annotated[str, typer.Argument(help="A document's name or id, or the beginning of one.")],
    n: Annotated[int, typer.Option("--round", help="The round to go back to.", min=1)],
    candidate: Annotated[
        Path | None, typer.Option("--candidate", help="TOML or JSON with the candidate's fields that change.")
    ] = None,
    edit: Annotated[bool, typer.Option("--edit", help="Change the candidate in $EDITOR.")] = False,
    feedback: Annotated[
        str | None, typer.Option("--feedback", help="The feedback for the next challenger instead: a text, or a file.")
    ] = None,
) -> None:
    """Take a document back to a round, change its candidate, rubric or feedback, and go on from there.

    The run stays as it is: the fork is a run folder of its own, RUN/forks/1, of which all commands can be asked.

    Example: autodata fork runs/first mrna-vaccine-cold-chain.md --round 1 --feedback "Ask about the cold."
    """
    from autodata.runner.config import stored_config
    from autodata.runner.fork import Change, find_moment, make_fork

    if sum((candidate is not None, edit, feedback is not None)) != 1:
        raise UserError("say what is changed: one of --candidate FILE, --edit and --feedback TEXT")
    document_id = asyncio.run(_find(run, document))
    settings = stored_config(run / "config.toml")
    moment = asyncio.run(find_moment(settings, run, document_id, n))
    if feedback is not None:
        change = Change(feedback=_text_of(feedback))
    else:
        change = Change(candidate=read_changes(candidate) if candidate else _edited(settings, moment))
    folder = asyncio.run(make_fork(settings, moment, change))
    console().print(Text(f"{folder}: goes on from round {n} of {document}, {change.name} changed"), soft_wrap=True)
    finish(stored_config(folder / "config.toml"), [], folder, as_json=False)


async def _find(run: Path, wanted: str) -> str:
    async with ledger_of(run) as ledger:
        rows = await documents(ledger)
    return str(find_document(rows, wanted, run)["document_id"])


def _text_of(value: str) -> str:
    """Return the text of a file if `value` names one, else `value` itself."""
    try:
        return Path(value).read_text("utf-8-sig").strip() if Path(value).is_file() else value.strip()
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise UserError(f"{value}: cannot be read as text: give --feedback TEXT or a text file") from error
        return value.strip()  # too long for a file's name, or no name at all


def _edited(settings: RunConfig, moment: Moment) -> dict[str, Any]:
    """Let the person change the candidate; return only the fields that changed."""
    from autodata.runner.fork import Change, require_sound

    if moment.candidate is None:
        raise UserError(f"round {moment.n} has no candidate: change the feedback of the round before it")
    before = moment.candidate.model_dump(mode="json")

    def check(changes: dict[str, Any]) -> None:
        try:
            require_sound(settings, moment, Change(candidate=changes))
        except UserError as error:
            raise ValueError(str(error)) from error

    def again(problem: str) -> bool:
        return typer.confirm(f"Not yet: {printable(problem)}\nEdit again?", default=True)

    changes = in_editor(before, check, again)
    if changes is None:
        raise UserError("nothing is changed: no fork was made")
    return {name: value for name, value in changes.items() if value != before.get(name)}
