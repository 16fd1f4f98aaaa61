"""What adaptive stopping reads of a run: what a round goes by, and the candidates that are decided."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from autodata.checkpoints.ledger import Reader

_DECIDED = "json_extract(packet, '$.stopping.accepted') IS NOT NULL"
_FLAGS = ("walked", "would_stop", "accepted")
_COLUMNS = ", ".join(f"json_extract(packet, '$.stopping.{flag}') AS {flag}" for flag in _FLAGS)
_FINISHED = f"""
SELECT {_COLUMNS},
    (SELECT json_group_array(json_object('stage', stage, 'idx', idx, 'score', score)) FROM attempts a
     WHERE a.round_id = r.round_id AND score IS NOT NULL) AS scores
FROM rounds r WHERE {_DECIDED} ORDER BY r.rowid
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
        scores = sorted(json.loads(row["scores"]), key=lambda one: int(one["idx"]))
        of = {
            stage: tuple(Fraction(one["score"]) for one in scores if one["stage"] == stage)
            for stage in ("weak", "strong")
        }
        found.append({**_flags(row), **of})
    return found


async def losses_of_stopping(ledger: Reader) -> dict[str, int]:
    """Return candidates that are decided, those of them walked to the end, these accepted, and these lost.

    Lost are those that would have been stopped.
    """
    rows = [_flags(row) for row in await ledger.read(f"SELECT {_COLUMNS} FROM rounds WHERE {_DECIDED}")]  # noqa: S608 - of this module
    accepted = [row for row in rows if row["walked"] and row["accepted"]]
    return {
        "candidates": len(rows),
        "walked": sum(row["walked"] for row in rows),
        "accepted": len(accepted),
        "lost": sum(row["would_stop"] for row in accepted),
    }


def _flags(row: dict[str, Any]) -> dict[str, bool]:
    """Return what is recorded as 0 or 1, which a Postgres server gives back as text."""
    return {flag: bool(int(row[flag])) for flag in _FLAGS}
