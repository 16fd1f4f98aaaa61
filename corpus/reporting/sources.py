"""What a report is made from: each folder that was named, read whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.lessons import Batch, Lesson
from autodata.checkpoints.queries.lessons import batches, latest, lesson_versions, names_of
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.queries.usage import usage_by_role
from autodata.checkpoints.vectors import kept_vectors
from autodata.corpus.reporting.search import PackScore, Search, read_search
from autodata.corpus.reporting.trajectories import read_trajectories
from autodata.corpus.summary import summarise


@dataclass(frozen=True)
class Shown:
    """A lesson as it stands now, with the rounds that it cites as a person knows them."""

    lesson: Lesson
    seen: Sequence[str]


@dataclass(frozen=True)
class Taught:
    """A batch of a run with lessons, and what it taught."""

    batch: Batch
    lessons: Sequence[Shown]


@dataclass(frozen=True)
class Source:
    """A run, or a search for better prompts, as a report tells of it."""

    name: str
    domain: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    """What `autodata status --json` prints."""
    usage: Sequence[Mapping[str, Any]] = ()
    """(role, calls, tokens_in, tokens_out, cost_usd)."""
    documents: Sequence[Mapping[str, Any]] = ()
    """As `read_trajectories` returns them; none of a search, whose documents went through the loop many times."""
    search: Search | None = None
    embedded: tuple[str, Mapping[str, bytes]] | None = None
    """An embedding model's name, and its vectors of all accepted questions, where `autodata analyse` has asked it."""
    batches: Sequence[Taught] = ()
    """The batches of a run with lessons, in order."""


async def read_source(
    ledger: Reader, name: str, folder: Path | None = None, *, packs: Sequence[PackScore] = ()
) -> Source:
    """Read what a folder's ledger holds; `name` is what the report calls it. `folder` is where vectors may be kept.

    `packs` are those of a search that were validated, with their rates.
    """
    usage = await usage_by_role(ledger)
    if await meta_value(ledger, "kind") == "optimize":
        return Source(name, usage=usage, search=await read_search(ledger, packs))
    documents = await read_trajectories(ledger)
    asked = [row["question"] for one in documents for row in one["rounds"] if row["outcome"] == "accepted"]
    return Source(
        name=name,
        domain=await meta_value(ledger, "domain") or "",
        summary=await summarise(ledger),
        usage=usage,
        documents=documents,
        embedded=None if folder is None else kept_vectors(folder, asked),
        batches=await _read_lessons(ledger),
    )


async def _read_lessons(ledger: Reader) -> list[Taught]:
    known = latest(await lesson_versions(ledger))
    found = await batches(ledger)
    names = await names_of(ledger, {document for one in found for document in one.documents})
    return [
        Taught(one, [Shown(lesson, places(lesson, names)) for lesson in known if lesson.batch == one.batch])
        for one in found
    ]


def places(lesson: Lesson, names: Mapping[str, str]) -> list[str]:
    """Return the rounds that a lesson cites as a person knows them: the document's name and the round's number."""
    parts = [round_id.split("/") for round_id in lesson.evidence]
    return [f"{names.get(part[1], part[1])} round {part[2]}" for part in parts if len(part) > 2]
