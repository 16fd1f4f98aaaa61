"""`autodata lessons`: what a run's batches taught: read it, edit it, switch it off."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autodata.checkpoints.errors import UserError
from autodata.cli.terminal import AsJson, RunArgument, console, print_json
from autodata.jobs.printable import printable

if TYPE_CHECKING:
    from autodata.checkpoints.lessons import Batch, Lesson

HEAD = """\
Change the lesson, save and close the editor. It is one sentence, and challengers of the next batches are shown it.
Close without a change to leave it as it is.
"""
Ids = list[str] | None


def lessons(
    run: RunArgument,
    edit: Annotated[
        str | None, typer.Option("--edit", metavar="ID", help="Change a lesson's text, in your editor or by --text.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="With --edit: the new text.")] = None,
    off: Annotated[
        Ids, typer.Option("--off", metavar="ID", help="Switch a lesson off. Give it again for more.")
    ] = None,
    on: Annotated[Ids, typer.Option("--on", metavar="ID", help="Switch one on again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the lessons of a run made with --lessons: what each says, where it comes from, whether it is in force.

    A change is a new version of the lesson, and holds from the next batch on; the batch in work goes on as it began.
    What a person changed, the analyst never switches off. Without a change nothing is written.

    Example: autodata lessons runs/first --off L3
    """
    if text is not None and edit is None:
        raise UserError("--text goes with --edit ID")
    known, batches, names = asyncio.run(_read(run))
    if not batches:
        raise UserError(f"{run} has no lessons: they are made by 'autodata run --lessons', a batch at a time")
    changes = _changes(known, edit, text, off or [], on or [])
    if changes:
        asyncio.run(_write(run, changes))
        known, batches, names = asyncio.run(_read(run))
    if as_json:
        print_json(
            {
                "lessons": [lesson.model_dump(mode="json") for lesson in known],
                "batches": [batch.model_dump(mode="json") for batch in batches],
            }
        )
        return
    _show(_latest(known), batches, names)


async def _read(run: Path) -> tuple[Sequence[Lesson], Sequence[Batch], Mapping[str, str]]:
    """Return every version of every lesson, the batches, and the names of their documents by id."""
    from autodata.checkpoints.queries.lessons import batches, lesson_versions, names_of
    from autodata.jobs.run_ledger import ledger_of

    async with ledger_of(run) as ledger:
        found = await batches(ledger)
        documents = {document for batch in found for document in batch.documents}
        return await lesson_versions(ledger), found, await names_of(ledger, documents)


async def _write(run: Path, changes: Sequence[Lesson]) -> None:
    from autodata.checkpoints.writes import record_lessons
    from autodata.checkpoints.writes.documents import now
    from autodata.runner.run_folder import open_ledger

    async with open_ledger(run) as ledger:
        await record_lessons(ledger, changes, now())


def _changes(
    known: Sequence[Lesson], edit: str | None, text: str | None, off: Sequence[str], on: Sequence[str]
) -> list[Lesson]:
    """Return new versions of what is to change. Raises UserError for an unknown lesson and a text that is none."""
    named = [*([edit] if edit else []), *off, *on]
    if twice := {one for one in named if [*map(str.upper, named)].count(one.upper()) > 1}:
        raise UserError(f"{min(twice)}: named twice: say one thing of each lesson")
    found = {one: _find(known, one) for one in named}
    changes = [_next(found[one], active=active) for active, ids in ((False, off), (True, on)) for one in ids]
    if edit:
        written = _edited(found[edit]) if text is None else _line(text)
        if written is not None and written != found[edit].text:
            changes.append(_next(found[edit], text=written))
    return changes


def _find(known: Sequence[Lesson], wanted: str) -> Lesson:
    latest = {lesson.lesson_id: lesson for lesson in _latest(known)}
    if lesson := latest.get(wanted.upper()):
        return lesson
    has = f"it has {', '.join(latest)}" if latest else "it has none yet"
    raise UserError(f"no lesson {wanted!r}: {has}")


def _next(lesson: Lesson, **changes: Any) -> Lesson:
    return lesson.model_copy(update={**changes, "version": lesson.version + 1, "author": "person"})


def _latest(known: Sequence[Lesson]) -> list[Lesson]:
    from autodata.checkpoints.queries.lessons import latest

    return latest(known)


def _line(text: object) -> str:
    """Return a lesson's text in one line. Raises UserError for one that is none, or too long."""
    from autodata.checkpoints.lessons import MOST_CHARS

    line = " ".join(str(text or "").split())
    if not line or len(line) > MOST_CHARS:
        what = f"of {len(line)} characters" if line else "that is empty"
        raise UserError(f"a lesson {what}: write one sentence of 1 to {MOST_CHARS}")
    return line


def _edited(lesson: Lesson) -> str | None:
    """Return the text as a person leaves it in the editor; None where they left it as it was."""
    from autodata.cli.editing import in_editor

    def check(fields: dict[str, Any]) -> None:
        try:
            _line(fields.get("text"))
        except UserError as error:
            raise ValueError(str(error)) from error

    def again(problem: str) -> bool:
        return typer.confirm(f"{problem}. Edit again?", default=True, err=True)

    fields = in_editor({"text": lesson.text}, check, again, head=HEAD)
    return None if fields is None else _line(fields["text"])


def _show(known: Sequence[Lesson], batches: Sequence[Batch], names: Mapping[str, str]) -> None:
    out = console()
    for batch in batches:
        figures = batch.figures
        made = (
            "in work"
            if batch.state == "open"
            else f"{figures.accepted} of {figures.documents} accepted, {figures.rounds} rounds, {figures.calls} calls"
        )
        under = f", shown {', '.join(batch.lessons)}" if batch.lessons else ""
        out.print(printable(f"batch {batch.batch}: {made}{under}{f': {batch.note}' if batch.note else ''}"))
        for lesson in known:
            if lesson.batch == batch.batch:
                _show_lesson(lesson, names)


def _show_lesson(lesson: Lesson, names: Mapping[str, str]) -> None:
    from autodata.corpus.reporting.sources import places

    state = "" if lesson.active else f" (off, by {'the run' if lesson.author == 'code' else f'a {lesson.author}'})"
    edited = " (changed by a person)" if lesson.active and lesson.author == "person" else ""
    console().print(printable(f"  {lesson.lesson_id}{state}{edited}: {lesson.text}"), soft_wrap=True)
    if seen := places(lesson, names):
        console().print(printable(f"     seen in {', '.join(seen)}"), soft_wrap=True)
