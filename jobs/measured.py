"""What documents of a run folder took, one by one, read from its ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.measured import call_times, use_by_document
from autodata.jobs.forecast import Measured, RoleUse

CHARS_PER_TOKEN = 4
"""Characters of prose that make a token, about."""
PAUSE_SECONDS = 600.0
"""A longer silence between two calls of a document is one between two sessions, and does not count."""


async def measured(
    ledger: Reader, readers: Sequence[str], chars: float | None, *, search: bool = False
) -> list[Measured]:
    """Return what each document took that has ended after calls; in a search, in each evaluation.

    `readers` are the roles that are shown a whole document: their prompts count as those of a document of `chars`
    characters; None leaves them as they were.
    """
    seconds = _seconds(await call_times(ledger, search=search))
    uses: dict[str, dict[str, RoleUse]] = defaultdict(dict)
    whole: dict[str, Mapping[str, Any]] = {}
    for row in await use_by_document(ledger, search=search):
        reported = RoleUse(row["calls"], row["tokens_in"], row["tokens_out"])
        if chars is not None and row["role"] in readers:
            reported = lengthened(reported, chars - row["chars"])
        uses[row["document_id"]][row["role"]] = reported
        whole[row["document_id"]] = row
    return [
        Measured(bool(row["accepted"]), row["rounds"], seconds[document_id], uses[document_id])
        for document_id, row in whole.items()
    ]


def lengthened(use: RoleUse, chars: float) -> RoleUse:
    """Return what calls take when the document in each prompt is longer by so many characters."""
    return RoleUse(use.calls, max(use.calls, use.tokens_in + use.calls * chars / CHARS_PER_TOKEN), use.tokens_out)


def _seconds(times: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return how long each document was in work: calls side by side count once, pauses between sessions not at all."""
    seconds: dict[str, float] = defaultdict(float)
    last: dict[str, float] = {}
    for row in times:
        document_id, ended = row["document_id"], row["ended"]
        since = ended - max(last.get(document_id, 0.0), 0.0)
        if document_id not in last or since > PAUSE_SECONDS:
            since = row["seconds"]
        seconds[document_id] += since
        last[document_id] = ended
    return seconds
