"""How many documents are in work at once: as many as keep the endpoints' slots busy, unless the user says."""

from __future__ import annotations

from collections.abc import Mapping

from autodata.checkpoints.errors import UserError
from autodata.models.config import ModelSettings
from autodata.models.slots import address_of
from autodata.runner.config import RunConfig

MOST = 1000
"""The most documents in work at once, whatever the slots."""


def documents_at_once(config: RunConfig) -> int:
    """Return `concurrency`, or one and a half documents for each request that the endpoints take at once, rounded up.

    A document waits for its own calls and has fewer of them in some steps than in others: with as many documents as
    slots some of these would stand empty. Without models, which is reported elsewhere, it is 1.
    """
    if config.concurrency is not None:
        return config.concurrency
    try:
        roles = config.roles()
    except UserError:
        return 1
    return min(MOST, max(1, (3 * slots_of(roles, config.local.n_parallel) + 1) // 2))


def slots_of(roles: Mapping[str, ModelSettings], n_parallel: int) -> int:
    """Return how many requests all endpoints together take at once; a local server takes `n_parallel` of each model."""
    slots: dict[tuple[str, str, str], int] = {}
    for settings in roles.values():
        where = (settings.provider, address_of(settings.address, settings.query), settings.model)
        most = min(settings.max_concurrency, n_parallel) if settings.provider == "local" else settings.max_concurrency
        slots[where] = min(most, slots.get(where, most))
    return sum(slots.values())


def side_by_side(config: RunConfig) -> str:
    """Return how many documents are in work at once, and why, in one line."""
    count = documents_at_once(config)
    documents = "1 document" if count == 1 else f"{count:,} documents"
    if config.concurrency is not None:
        return f"At once: {documents} (concurrency)"
    slots = slots_of(config.roles(), config.local.n_parallel)
    return f"At once: {documents}, for the endpoints take {slots:,} request{'s' if slots != 1 else ''}"
