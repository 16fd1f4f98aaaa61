"""What a folder says of itself: table `meta`, a value by name."""

from __future__ import annotations

import json
from typing import Any

from autodata.checkpoints.ledger import Reader

ENDPOINT = "endpoint:"
"""What the names of the rows begin with that hold how requests to an endpoint were adjusted."""
TARGET = "target"
"""The name of the row with the target of the latest session; missing or empty where it had none."""


FENCES = "fences"
"""The name of the row that says how answers are fenced for judges; `runner/fences.py` reads and writes it."""
CONFIG = "config"
"""The name of the row with the whole configuration, as JSON, of a run whose ledger is at a server."""


async def meta(ledger: Reader) -> dict[str, str]:
    """Return all of it."""
    return {row["key"]: row["value"] for row in await ledger.read("SELECT key, value FROM meta")}


async def meta_value(ledger: Reader, key: str) -> str | None:
    """Return one value, None where there is none."""
    rows = await ledger.read("SELECT value FROM meta WHERE key = ?", (key,))
    return rows[0]["value"] if rows else None


async def is_answered(ledger: Reader) -> bool:
    """Return whether anything came of a run's settings: a reply, a request that may be billed, a round, an answer."""
    [row] = await ledger.read(
        "SELECT EXISTS (SELECT 1 FROM calls) OR EXISTS (SELECT 1 FROM timeouts) OR EXISTS (SELECT 1 FROM rounds)"
        " OR EXISTS (SELECT 1 FROM labels) AS any"
    )
    return bool(row["any"])


async def adjustments(ledger: Reader) -> dict[str, Any]:
    """Return what was found out about endpoints, by the endpoint's name; rows that cannot be read are left out."""
    found: dict[str, Any] = {}
    for key, value in sorted((await meta(ledger)).items()):
        if key.startswith(ENDPOINT):
            try:
                found[key.removeprefix(ENDPOINT)] = json.loads(value)
            except ValueError:
                continue
    return found
