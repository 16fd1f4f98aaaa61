"""Parts of a search that its caller gives: rules, stoppers, and who watches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.meta import OWN_PARTS, own_parts
from autodata.checkpoints.queries.searches import count_begun
from autodata.checkpoints.writes import record_meta
from autodata.nodes.optimizer.acceptance import Acceptance
from autodata.nodes.optimizer.estimate import Estimator
from autodata.nodes.optimizer.proposer import Proposer
from autodata.nodes.optimizer.selectors import Selector
from autodata.runner.optimization.callbacks import SearchCallback
from autodata.runner.optimization.stopping import Stopper
from autodata.runner.optimization.trackers import Tracker

RULES = ("estimator", "selector", "acceptance", "proposer")
"""The parts that results depend on: a folder keeps what they are called, and goes on with the same ones alone."""


@dataclass(frozen=True)
class Own:
    """Parts of the caller's own; None stands for what the settings name."""

    estimator: Estimator | None = None
    selector: Selector | None = None
    acceptance: Acceptance | None = None
    proposer: Proposer | None = None
    stoppers: Sequence[Stopper] = ()
    """Besides those that the settings name."""
    callbacks: Sequence[SearchCallback] = ()
    trackers: Sequence[Tracker] = ()
    """Besides those that the settings name."""

    def names(self) -> dict[str, str]:
        """Return the class of each part that results depend on, by the part."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name in RULES}
        return {name: type(part).__qualname__ for name, part in given.items() if part is not None}


NOTHING = Own()


async def require_same_parts(ledger: Ledger, own: Own) -> None:
    """Keep what the parts are called. Raises UserError where a search that has begun had others."""
    kept, given = await own_parts(ledger), own.names()
    if kept == given:
        return
    if await count_begun(ledger):
        for name in RULES:
            if kept.get(name) != given.get(name):
                before = f"{name}={kept[name]}()" if name in kept else f"no {name} of its own"
                raise UserError(f"this search was begun with {before}: go on with the same, or use another folder")
    await record_meta(ledger, {OWN_PARTS: canonical_json(given)})
