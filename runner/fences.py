"""How a run's judges are shown an answer: the tags around it are in the keys of calls, so a folder keeps to its own."""

from __future__ import annotations

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.meta import FENCES, is_answered, meta_value
from autodata.checkpoints.writes import record_meta
from autodata.nodes.context import FENCED_BY_PLACE, FENCED_BY_TEXT


async def fences_of(ledger: Ledger) -> int:
    """Return how a folder fences answers, noted in it when it is new.

    A folder with replies from before it was noted goes on as it began: otherwise every mark of it that is asked for
    again would be paid for again.
    """
    known = await meta_value(ledger, FENCES)
    if known is not None:
        return int(known)
    found = FENCED_BY_TEXT if await is_answered(ledger) else FENCED_BY_PLACE
    await record_meta(ledger, {FENCES: str(found)})
    return found
