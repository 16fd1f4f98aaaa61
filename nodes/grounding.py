"""Grounding: other documents of the run, shown to challengers as examples (paper, section 5)."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from autodata.checkpoints.ids import PART, whole_id
from autodata.models.seeds import seed_for
from autodata.nodes.step import Step
from autodata.prompts import fence

SHOWN_CHARS = 600
"""A grounding document is shown by its beginning, at most this many characters."""


async def sample_grounding(step: Step) -> list[str]:
    """Return the ids of the documents shown as examples in this document's thread, sampled by the run's seed.

    Call it once, when the thread starts, and keep the ids in `state["grounding"]`: documents added to the run later
    change nothing then. There are as many as the domain asks for, or as many others as the run has.
    """
    services, own = step.services, step.document_id
    return grounding_of(await services.blobs.documents(), own, services.domain.grounding, services.run_seed)


def grounding_of(ids: Sequence[str], own: str, wanted: int, run_seed: int) -> list[str]:
    """Return which of a run's documents, by id in their order, are shown beside document `own`: `wanted` at most."""
    # Parts of one document stand side by side in the order of ids; they are no other documents.
    whole = whole_id(own)
    place, behind = bisect_left(ids, whole), bisect_left(ids, f"{whole}{PART}\U0010ffff")
    alike = behind - place
    others = range(len(ids) - alike)
    rng = random.Random(seed_for(run_seed, "grounding", own))  # noqa: S311 - reproducible
    picked = rng.sample(others, min(wanted, len(others)))
    return [ids[k + (alike if k >= place else 0)] for k in picked]


async def shown_grounding(step: Step) -> str:
    """Return the beginnings of the thread's grounding documents, each fenced; empty without any."""
    ids = step.state.get("grounding") or []
    return shown(await asyncio.gather(*(step.services.blobs.get(f"document/{one}") for one in ids)))


def shown(texts: Iterable[str]) -> str:
    """Return the beginnings of texts, each fenced; empty without any."""
    return "\n\n".join(fence("example", beginning(text)) for text in texts)


def beginning(text: str, limit: int = SHOWN_CHARS) -> str:
    """Return the start of a text, whole words up to `limit` characters, marked when cut."""
    if len(text) <= limit:
        return text
    head, _, _ = text[:limit].rpartition(" ")
    return (head or text[:limit]).rstrip() + " …"
