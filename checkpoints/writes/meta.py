"""What a folder says of itself, a value by name: what it is tied to, whose it is, what was decided once."""

from __future__ import annotations

from collections.abc import Mapping

from autodata.checkpoints.protocols import Store
from autodata.checkpoints.queries.meta import TARGET


async def record_meta(store: Store, values: Mapping[str, str]) -> None:
    """Record values by name, all together; those of other names stay as they are."""
    await store.save(meta=[{"key": name, "value": value} for name, value in values.items()])


async def record_target(store: Store, target: int | None) -> None:
    """Record how many distinct examples the latest session wants; None takes the earlier target away."""
    await store.save(meta=[{"key": TARGET, "value": "" if target is None else str(target)}])
