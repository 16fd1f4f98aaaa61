"""A worker's part of what its run shares: reservations of the budget, and slots of endpoints (extra `workers`)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

from autodata.checkpoints.errors import Drained
from autodata.checkpoints.usage import Usage
from autodata.checkpoints.workers import budget as counters
from autodata.checkpoints.workers.database import Database
from autodata.checkpoints.workers.slots import share_of
from autodata.models.budget import Budget
from autodata.models.call import Call
from autodata.models.endpoint import Endpoint


@dataclass(frozen=True)
class RunReservations:
    """Reserves each request of a worker in the counters of its run, and keeps the worker's own budget up to them."""

    database: Database
    run: str
    worker: int
    budget: Budget

    async def hold(self, call: Call, most: Usage) -> str:
        """Reserve one request; empty when the requests of other workers leave no room for it now.

        Raises BudgetSpent when no request of this size can be sent any more, Drained when the run was stopped.
        """
        site = call.site
        request = counters.Request(
            uuid4().hex, call.key, site.document_id, site.thread_id, site.role, call.settings.model, most
        )
        found = await counters.hold(self.database, self.run, self.worker, request)
        spent = self.budget
        spent.spent_calls, spent.spent_tokens, spent.spent_usd = found.calls, found.tokens, found.usd
        if found.held:
            return request.id
        if found.stopped:
            raise Drained("the call was not sent, for the run was stopped")
        self.budget.require(most)
        return ""

    async def settle(self, held: str, used: Usage | None, *, paid: bool) -> None:
        """Give a reservation back, and count what its request took."""
        await counters.settle(self.database, held, used, paid=paid)


@dataclass
class Shares:
    """How many requests this worker may have at each endpoint, for as long as its lease surely holds."""

    endpoints: Sequence[Endpoint]
    until: float = 0.0
    """When the shares are worth nothing any more, by this process's clock."""
    granted: dict[int, int] = field(default_factory=dict)

    def take_over(self) -> None:
        """Let the endpoints go by these shares from now on. A server of one's own is nobody else's."""
        self.endpoints = [one for one in self.endpoints if not one.text_limits]
        for endpoint in self.endpoints:
            endpoint.slots.granted = partial(self._of, id(endpoint))

    def _of(self, key: int) -> int:
        return self.granted.get(key, 0) if time.monotonic() < self.until else 0

    async def renew(self, database: Database, worker: int, until: float) -> None:
        """Ask for shares anew; they hold until then."""
        self.until = until
        for endpoint in self.endpoints:
            slots = endpoint.slots
            # Nothing goes out while the share is asked for: it may come back smaller.
            self.granted[id(endpoint)] = taken = slots.taken
            wanted = min(max(slots.wanted, taken), slots.limit)
            self.granted[id(endpoint)] = await share_of(database, worker, endpoint.name, slots.most, taken, wanted)
            slots.look_again()
