"""What a folder says of itself: table `meta`, a value by name."""

from __future__ import annotations

from autodata.checkpoints.ledger import Reader


async def meta(ledger: Reader) -> dict[str, str]:
    """Return all of it."""
    return {row["key"]: row["value"] for row in await ledger.read("SELECT key, value FROM meta")}


async def meta_value(ledger: Reader, key: str) -> str | None:
    """Return one value, None where there is none."""
    rows = await ledger.read("SELECT value FROM meta WHERE key = ?", (key,))
    return rows[0]["value"] if rows else None
