"""The searches of a server for better prompts: each in a folder of its own beside the server's ledger.

Packs, evaluations and iterations of one search must not be seen by another, so each has its own `run.db` and its own
checkpoints of evaluations, as the folder of `autodata optimize` has. A folder is open while a run works on its search.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autodata.checkpoints.ledger import Ledger, open_readonly, run_lock
from autodata.checkpoints.records import UserError, canonical_json, digest
from autodata.models.caller import Budget, Caller
from autodata.models.endpoint import RoleModel
from autodata.nodes.optimizer.state import Search
from autodata.prompts import PromptPack
from autodata.runner.checkpointer import open_run_saver
from autodata.runner.config import RunConfig, bearing, changes, with_newer_settings
from autodata.runner.optimization.session import Optimization, OptimizeRunConfig
from autodata.runner.run_folder import House, bind, make_folder, spent_budget
from autodata.tracing.setup import open_tracing

SEARCHES = "searches"
"""Where a server's searches are, in its folder."""


@dataclass(frozen=True)
class Order:
    """What a search is to be made with."""

    config: OptimizeRunConfig
    pack: PromptPack
    """The baseline: the domain's prompts, with a caller's texts in place of some."""
    optimizer: PromptPack
    """The prompts of analyst and editor."""
    models: Mapping[str, RoleModel]

    def key(self, thread: str, splits: Mapping[str, Sequence[str]]) -> str:
        """Return the name of the search that a thread makes on these documents: other settings, another search."""
        return digest([thread, splits, bearing(self.config.resolved(self.pack.version)), self.optimizer.version], 24)


class _Shared(Caller):
    """A caller on endpoints that others use too: it ends with its own sitting, and stops nobody else's calls."""

    def drain(self) -> None:
        """Leave the endpoints as they are."""


class _SharedHouse(House):
    """An open folder whose models are the server's."""

    def caller(self, config: RunConfig, block: int = 0) -> Caller:
        """Return what makes calls under the seeds of a block, on the folder's journal and the server's models."""
        return _Shared(
            self.ledger,
            self.models,
            retries=config.retries,
            budget=self.budget,
            run_seed=config.seed,
            block=block,
            watch=self.tracer,
        )


@dataclass
class Sitting:
    """A search that is being worked on."""

    optimization: Optimization
    order: Order
    _search: Search | None = None

    async def search(self, iterations: int, on_event: Callable[[Mapping[str, Any]], None]) -> Search:
        """Return what the optimiser's nodes share, for one node. The documents must be in the ledger by now."""
        if self._search is None:
            self._search = replace(await self.optimization.search(), prompts=self.order.optimizer)
        settings = self._search.settings.model_copy(update={"iterations": iterations})
        return replace(self._search, settings=settings, on_event=on_event)


@dataclass
class Room:
    """The open folder of one search."""

    folder: Path
    ledger: Ledger
    stack: AsyncExitStack
    sitting: Sitting | None = None

    async def request(self) -> dict[str, Any]:
        """Return what the search was asked for. Raises UserError when nothing is left of it."""
        rows = await self.ledger.read("select value from meta where key = 'request'")
        if not rows:
            raise UserError("this thread's search is no longer on the server: send its input again")
        found: dict[str, Any] = json.loads(rows[0]["value"])
        return found

    async def begin(self, request: Mapping[str, Any]) -> None:
        """Keep what the search was asked for: a run that goes on with the thread is not told again."""
        await self.ledger.save(meta=[{"key": "request", "value": canonical_json(dict(request))}])

    async def sit(self, order: Order, budget: Budget) -> Sitting:
        """Return the search's sitting, begun if it was not yet.

        Raises UserError when the search was begun under other settings.
        """
        if self.sitting is None:
            resolved = order.config.resolved(order.pack.version)
            rows = await self.ledger.read("select value from meta where key = 'bearing'")
            before = with_newer_settings(json.loads(rows[0]["value"]), resolved) if rows else {}
            if rows and (changed := changes(before, bearing(resolved))):
                raise UserError(
                    f"this thread's search began under other settings of the server ({'; '.join(changed[:5])}): set"
                    " them back, or send the input again for a new search"
                )
            await bind(self.ledger, self.folder, resolved)
            house = await self._house(order, budget)
            optimization = Optimization(order.config, house)
            await optimization.archive.enter_baseline()
            self.sitting = Sitting(optimization, order)
        return self.sitting

    async def _house(self, order: Order, budget: Budget) -> House:
        config = order.config
        saver = await self.stack.enter_async_context(open_run_saver(config.checkpoints, self.folder, self.ledger))
        # The server traces its own runs; what `autodata trace` draws is kept all the same.
        tracing = open_tracing(
            config.tracing.model_copy(update={"otel": False, "langsmith": False}),
            self.ledger,
            self.folder,
            roles=config.roles(),
            domain=config.chosen_domain.name,
            prompt_version=order.pack.version,
        )
        tracer = await self.stack.enter_async_context(tracing)
        return _SharedHouse(self.folder, order.pack, self.ledger, saver, order.models, budget, tracer)


class Searches:
    """The searches of a server's folder, each opened by the run that works on it."""

    def __init__(self, folder: Path, config: RunConfig, budget: Budget) -> None:
        """Keep searches in folders within this one, which need not be there yet; all spend one budget."""
        self._folder, self._config, self.budget = folder, config, budget
        self._rooms: dict[str, Room] = {}
        self._opening = asyncio.Lock()

    async def count_spent(self) -> None:
        """Count what searches have spent into the budget, where anything of it is bounded."""
        bounds = self._config.budget
        if bounds.max_calls is None and bounds.max_tokens is None and bounds.max_usd is None:
            return
        for path in await asyncio.to_thread(lambda: sorted(self._folder.glob("*/run.db"))):
            async with open_readonly(path) as ledger:
                spent = await spent_budget(self._config, ledger)
            self.budget.spent_calls += spent.spent_calls
            self.budget.spent_usd += spent.spent_usd
            self.budget.spent_tokens += spent.spent_tokens

    async def room(self, key: str) -> Room:
        """Return a search's folder, made and opened if it is not. Raises UserError and RunFailed as a run folder."""
        async with self._opening:
            if key not in self._rooms:
                folder = self._folder / key
                await asyncio.to_thread(make_folder, folder)
                async with AsyncExitStack() as stack:
                    await asyncio.to_thread(stack.enter_context, run_lock(folder))
                    ledger = await stack.enter_async_context(Ledger.open(folder / "run.db"))
                    self._rooms[key] = Room(folder, ledger, stack.pop_all())
            return self._rooms[key]

    @asynccontextmanager
    async def working(self, key: str) -> AsyncIterator[Room]:
        """Open a search's folder for a node. What fails closes it: the next node begins with models that are up."""
        room = await self.room(key)
        try:
            yield room
        except Exception:
            await self.leave(key)
            raise

    async def leave(self, key: str) -> None:
        """Close a search's folder, if it is open."""
        async with self._opening:
            room = self._rooms.pop(key, None)
            if room is not None:
                await room.stack.aclose()

    async def aclose(self) -> None:
        """Close every folder."""
        for key in tuple(self._rooms):
            await self.leave(key)
