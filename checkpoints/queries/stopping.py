"""What adaptive stopping reads of a run: what a round goes by, and the candidates that are decided."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from autodata.checkpoints.ledger import Reader

_DECIDED = "json_extract(packet, '$.stopping.accepted') IS NOT NULL"
_FINISHED = f"""
SELECT json_extract(packet, '$.stopping.walked') AS walked, json_extract(packet, '$.stopping.would_stop') AS would_stop,
    json_extract(packet, '$.stopping.accepted') AS accepted,
    (SELECT json_group_array(json_array(stage, idx, score)) FROM attempts a
     WHERE a.round_id = r.round_id AND score IS NOT NULL) AS scores
FROM rounds r WHERE {_DECIDED} ORDER BY r.rowid
"""  # noqa: S608 - of texts of this module
_LOSSES = f"""
SELECT count(*) AS candidates, coalesce(sum(walked), 0) AS walked, coalesce(sum(accepted AND walked), 0) AS accepted,
    coalesce(sum(accepted AND walked AND would_stop), 0) AS lost
FROM (SELECT json_extract(packet, '$.stopping.walked') AS walked,
    json_extract(packet, '$.stopping.accepted') AS accepted,
    json_extract(packet, '$.stopping.would_stop') AS would_stop FROM rounds WHERE {_DECIDED})
"""  # noqa: S608 - of texts of this module


async def stopping_of(ledger: Reader, round_id: str) -> str | None:
    """Return what adaptive stopping goes by in a round, as JSON; None where nothing is recorded."""
    rows = await ledger.read(
        "SELECT json_extract(packet, '$.stopping') AS basis FROM rounds WHERE round_id = ?", (round_id,)
    )
    return rows[0]["basis"] if rows else None


async def finished_count(ledger: Reader) -> int:
    """Return how many candidates are decided."""
    [row] = await ledger.read(f"SELECT count(*) AS n FROM rounds WHERE {_DECIDED}")  # noqa: S608 - of this module
    return int(row["n"])


async def finished_candidates(ledger: Reader) -> list[dict[str, Any]]:
    """Return (walked, would_stop, accepted, weak, strong) of the decided candidates; scores in order of index."""
    found = []
    for row in await ledger.read(_FINISHED):
        scores = sorted(json.loads(row["scores"]), key=lambda one: one[1])
        flags = {name: bool(row[name]) for name in ("walked", "would_stop", "accepted")}
        weak, strong = (tuple(Fraction(s) for name, _, s in scores if name == of) for of in ("weak", "strong"))
        found.append({**flags, "weak": weak, "strong": strong})
    return found


async def losses_of_stopping(ledger: Reader) -> dict[str, int]:
    """Return candidates that are decided, those of them walked to the end, these accepted, and these lost.

    Lost are those that would have been stopped.
    """
    [row] = await ledger.read(_LOSSES)
    return row
