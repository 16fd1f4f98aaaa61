"""Lessons as text and as a bounded list: what a challenger is shown of them, and what an analysis does to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autodata.checkpoints.lessons import MOST_EVIDENCE, Batch, Lesson, Steer
from autodata.checkpoints.queries.lessons import latest
from autodata.checkpoints.shingles import ShingleIndex
from autodata.nodes.context import NOTHING, ShownLessons
from autodata.nodes.dataset.schemas import BatchAnalysis, bare
from autodata.nodes.dataset.settings import LessonsConfig
from autodata.prompts import PromptPack, fence

SECTION = "lessons"
"""The prompt of the pack `dataset` that holds the section of a challenger's prompt."""


def shown_lessons(lessons: Sequence[Lesson]) -> str:
    """Return lessons one a line, each with its id."""
    return "\n".join(f"- {lesson.lesson_id}: {lesson.text}" for lesson in lessons)


def section_of(prompts: PromptPack, lessons: Sequence[Lesson], found: Steer) -> ShownLessons:
    """Return what the challengers of a batch are shown: its lessons, and what is asked often and seldom, fenced.

    Without either there is nothing to show, and the prompt is as it is without lessons.
    """
    lines = [shown_lessons(lessons)] if lessons else []
    lines += [f"- asked often so far, so ask for something else: {'; '.join(found.often)}"] if found.often else []
    lines += [f"- asked seldom so far, so ask for it where it fits: {'; '.join(found.seldom)}"] if found.seldom else []
    if not lines:
        return NOTHING
    text = prompts[SECTION].render({"lessons": fence("lessons", "\n".join(lines))})[-1]["content"]
    return ShownLessons(text, tuple(lesson.ref for lesson in lessons))


def merged(
    versions: Sequence[Lesson],
    found: BatchAnalysis,
    evidence: Mapping[str, str],
    batch: Batch,
    settings: LessonsConfig,
) -> list[Lesson]:
    """Return what an analysis adds to the versions of lessons: new lessons, and those switched off.

    A text that is nearly one of a known lesson is left out, so that one a person switched off does not come back. What
    a person wrote or switched is theirs: only the analyst's own lessons are retired, those it names first, then the
    oldest beyond `settings.most`. `evidence` is the round behind each label.
    """
    known = latest(versions)
    index: ShingleIndex[str] = ShingleIndex()
    for lesson in known:
        index.add(lesson.lesson_id, lesson.text)
    number = max((lesson.number for lesson in known), default=0)
    added: list[Lesson] = []
    for draft in found.lessons:
        text = " ".join(draft.text.split())
        if len(added) == settings.new or not text or index.nearest(text) is not None:
            continue
        number += 1
        added.append(
            Lesson(
                lesson_id=f"L{number}",
                text=text,
                evidence=tuple(evidence[label] for label in draft.evidence)[:MOST_EVIDENCE],
                figures=batch.figures.plain,
                batch=batch.batch,
            )
        )
        index.add(added[-1].lesson_id, text)
    named = {label.upper() for label in bare(found.retire)}
    active = [lesson for lesson in known if lesson.active]
    retired = [lesson for lesson in active if lesson.author != "person" and lesson.lesson_id in named]
    kept = [lesson for lesson in active if lesson not in retired]
    over = max(0, len(kept) + len(added) - settings.most)
    retired += [lesson for lesson in kept if lesson.author != "person"][:over]
    room = settings.most - len([lesson for lesson in kept if lesson not in retired])
    off = [
        lesson.model_copy(update={"version": lesson.version + 1, "active": False, "author": "code"})
        for lesson in retired
    ]
    return [*added[: max(0, room)], *off]
