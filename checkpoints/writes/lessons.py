"""What is recorded of the outer loop: a batch as it begins, its figures once it has ended, and lessons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodata.checkpoints.lessons import Batch, BatchFigures, Lesson
from autodata.checkpoints.protocols import Store


async def record_batch(store: Store, batch: Batch, at: str) -> None:
    """Record a batch that begins: its documents, and what their challengers are shown."""
    row = {
        "batch": batch.batch,
        "documents": batch.documents,
        "lessons": batch.lessons,
        "steer": batch.steer.model_dump(mode="json"),
        "state": batch.state,
        "created_at": at,
    }
    await store.save(batches=[row])


async def record_walked(store: Store, batch: int, figures: BatchFigures) -> None:
    """Record that all documents of a batch have ended, and how."""
    await store.save(batches=[{"batch": batch, "state": "walked", "figures": figures.model_dump(mode="json")}])


async def record_taught(store: Store, batch: int, lessons: Sequence[Lesson], at: str, *, note: str = "") -> None:
    """Record what a batch taught, and that it has ended: new lessons, and new versions of those that are retired."""
    rows = [_lesson_row(lesson, at) for lesson in lessons]
    await store.save(batches=[{"batch": batch, "state": "ended", "note": note}], lessons=rows)


async def record_lessons(store: Store, lessons: Sequence[Lesson], at: str) -> None:
    """Record new versions of lessons, as a person wants them."""
    await store.save(lessons=[_lesson_row(lesson, at) for lesson in lessons])


def _lesson_row(lesson: Lesson, at: str) -> dict[str, Any]:
    return {**lesson.model_dump(mode="json"), "created_at": at}
