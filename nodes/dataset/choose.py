"""Choose the next batch: documents of which little was asked so far, with what their challengers are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.ids import whole_name
from autodata.checkpoints.lessons import Batch, Steer
from autodata.checkpoints.queries.lessons import (
    asked_in_examples,
    batches,
    latest,
    lesson_versions,
    names_of,
    openings,
)
from autodata.checkpoints.shingles import long_word, words_by
from autodata.checkpoints.writes import record_batch
from autodata.checkpoints.writes.documents import now
from autodata.nodes.dataset.state import DatasetContext, DatasetState

LOOKED_AT = 200
"""Documents that a batch is chosen among, the first ones left; and earlier ones that they are compared with."""
OPENING_CHARS = 2_000
"""Characters of a document by which it is compared."""
OFTEN, SELDOM = Fraction(2), Fraction(1, 2)
"""Times an equal share from which on a skill or type is asked often, and below which it is asked seldom."""
MOSTLY = Fraction(1, 2)
"""What this share of the accepted examples holds is asked often, too, however few others there are."""
LEAST = 3
"""Examples that hold what is asked often, at least."""
MOST_NAMES, NAME_CHARS = 6, 80
"""Names of skills and types that a challenger is shown, of each sort, and their length."""

_WORD = long_word(6)


async def choose_batch(state: DatasetState, runtime: Runtime[DatasetContext]) -> dict[str, Any]:
    """Go on with the batch that was begun, or choose the next documents and write down what they are shown."""
    context = runtime.context
    walker, ledger = context.walker, context.ledger
    known = await batches(ledger)
    left = walker.left()
    last = known[-1] if known else None
    if walker.stopped:
        return {"next": "end"}
    if last and last.state == "open":
        return {"batch": last.batch, "next": "walk"}
    if not left:
        return {"next": "end"}
    if last and last.state == "walked":
        return {"batch": last.batch, "next": "analyse"}
    if why := no_gain(known, context.settings.patience):
        walker.stop(why)
        return {"next": "end"}
    tried = [document for batch in known for document in batch.documents]
    among = [str(row["document_id"]) for row in left[:LOOKED_AT]]
    names = {str(row["document_id"]): str(row["name"]) for row in left[:LOOKED_AT]} | await names_of(ledger, tried)
    texts = await openings(ledger, [*among, *tried[-LOOKED_AT:]], OPENING_CHARS)
    lessons = latest(await lesson_versions(ledger))
    batch = Batch(
        batch=(last.batch if last else 0) + 1,
        documents=tuple(least_covered(among, tried, names, texts, context.settings.batch)),
        lessons=tuple(lesson.ref for lesson in lessons if lesson.active),
        steer=steer(await asked_in_examples(ledger)),
    )
    await record_batch(ledger, batch, now())
    return {"batch": batch.batch, "next": "walk"}


def no_gain(known: Sequence[Batch], patience: int) -> str:
    """Return why a run stops that accepts no more a call than before, in words; empty while it goes on.

    It stops after `patience` batches in a row none of which accepted more examples a call than the best before them; 0
    never stops it. Rates are compared as exact fractions.
    """
    if not patience or len(known) <= patience:
        return ""
    rates = [Fraction(one.figures.accepted, max(1, one.figures.calls)) for one in known]
    best, lately = max(rates[:-patience]), max(rates[-patience:])
    if lately > best:
        return ""
    return (
        f"no gain: none of the last {patience} batches accepted more examples a call than the best before them"
        f" ({float(best):.3f}): raise lessons.patience, or set it to 0, to go on"
    )


def least_covered(
    among: Sequence[str], tried: Sequence[str], names: Mapping[str, str], texts: Mapping[str, str], count: int
) -> list[str]:
    """Return the documents to take next: those whose file was tried least, then those whose words are newest.

    Parts of one file are of one source. A document's words are those of its opening with six letters or more; what
    counts is the share of them that openings before it held. Of equals the first counts, so the same for the same run.
    """
    of_source = Counter(whole_name(names.get(document, document)) for document in tried)
    seen: set[str] = set()
    for document in tried:
        seen |= _words(texts.get(document, ""))
    words = {document: _words(texts.get(document, "")) for document in among}
    left, chosen = list(among), list[str]()
    while left and len(chosen) < count:
        best = min(left, key=lambda one: (of_source[whole_name(names.get(one, one))], _share(words[one], seen)))
        left.remove(best)
        chosen.append(best)
        of_source[whole_name(names.get(best, best))] += 1
        seen |= words[best]
    return chosen


def steer(asked: Sequence[tuple[Sequence[str], str]]) -> Steer:
    """Return which skills and types the accepted examples hold often, and which seldom, each sort by itself.

    `asked` holds the skills and the type of each example. Names come from models: they are cut, and only shown fenced.
    """
    skills = Counter(name for names, _ in asked for name in {_plain(one) for one in names} if name)
    types = Counter(name for _, one in asked if (name := _plain(one)))
    often: list[str] = []
    seldom: list[str] = []
    for counts in (skills, types):
        equal = Fraction(counts.total(), max(1, len(counts)))
        ordered = counts.most_common()
        enough = max(Fraction(LEAST), min(OFTEN * equal, MOSTLY * len(asked)))
        often += [name for name, count in ordered if count >= enough][: MOST_NAMES // 2]
        seldom += [name for name, count in reversed(ordered) if count < SELDOM * equal][: MOST_NAMES // 2]
    return Steer(often=tuple(often), seldom=tuple(seldom))


def _plain(name: str) -> str:
    return " ".join(name.lower().split())[:NAME_CHARS]


def _words(text: str) -> set[str]:
    return set(words_by(_WORD, text))


def _share(words: set[str], seen: set[str]) -> float:
    return len(words & seen) / len(words) if words else 0.0
