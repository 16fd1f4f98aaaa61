"""Seeds: every random choice and every call draws from what it belongs to, so that a run repeats itself."""

from __future__ import annotations

from autodata.checkpoints.ids import digest


def seed_for(*parts: object) -> int:
    """Return a seed in 0..2**31-1 that depends on every part and on nothing else."""
    return int(digest(list(parts)), 16) & 0x7FFFFFFF
