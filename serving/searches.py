"""The searches of a server for better prompts: each in a folder of its own beside the server's ledger.

Packs, evaluations and iterations of one search must not be seen by another, so each has its own `run.db` and its own
checkpoints of evaluations, as the folder of `autodata optimize` has. A folder is open while a run works on its search.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import canonical_json, digest
from autodata.checkpoints.ledger import Ledger, open_readonly
from autodata.checkpoints.queries.meta import meta, meta_value
from autodata.checkpoints.writes import record_meta
from autodata.models.budget import Budget
from autodata.models.caller import Caller
from autodata.models.role_model import RoleModel
from autodata.nodes.optimizer.events import SearchEvent
from autodata.nodes.optimizer.state import Search
from autodata.prompts import PromptPack
from autodata.runner.checkpointer import open_run_saver
from autodata.runner.config import RunConfig, at_defaults
from autodata.runner.fences import fences_of
from autodata.runner.fingerprint import changed_since, fingerprint
from autodata.runner.optimization.session import Optimization, OptimizeRunConfig
from autodata.runner.run_folder import RunFolder, bind, open_ledger, spent_budget, traced

SEARCHES = "searches"
"""Where a server's searches are, in its folder."""
GONE = "state.search: this thread's search is not on this server: send its input again"
NOT_OWN = "state.search: it is another thread's: send the input again"
_KEY = re.compile(r"[0-9a-f]{24}")


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
        return digest(
            [thread, splits, fingerprint(self.config.resolved(self.pack.version)), self.optimizer.version], 24
        )


class _Shared(Caller):
    """A caller on endpoints that others use too: it ends with its own session, and stops nobody else's calls."""

    def drain(self) -> None:
        """Leave the endpoints as they are."""


@dataclass
class Session:
    """A search that is being worked on."""

    optimization: Optimization
    order: Order
    _search: Search | None = None

    async def search(self, iterations: int, on_event: Callable[[SearchEvent], None]) -> Search:
        """Return what the optimiser's nodes share, for one node. The documents must be in the ledger by now."""
        if self._search is None:
            self._search = replace(await self.optimization.search(), prompts=self.order.optimizer)
        settings = self._search.settings.model_copy(update={"iterations": iterations})
        return replace(self._search, settings=settings, on_event=on_event)


@dataclass
class SearchFolder:
    """The open folder of one search."""

    folder: Path
    ledger: Ledger
    stack: AsyncExitStack
    session: Session | None = None

    async def request(self) -> dict[str, Any]:
        """Return what the search was asked for. Raises UserError when nothing is left of it."""
        request = await meta_value(self.ledger, "request")
        if request is None:
            raise UserError(GONE)
        found: dict[str, Any] = json.loads(request)
        return found

    async def require(self, thread: str) -> None:
        """Raise UserError unless the search is this thread's own."""
        if (await self.request()).get("thread", thread) != thread:
            raise UserError(NOT_OWN)

    async def begin(self, request: Mapping[str, Any]) -> None:
        """Keep what the search was asked for: a run that goes on with the thread does not get it again."""
        await record_meta(self.ledger, {"request": canonical_json(dict(request))})

    async def start_session(self, order: Order, budget: Budget) -> Session:
        """Return the search's session, begun if it was not yet.

        Raises UserError when the search was begun under other settings.
        """
        if self.session is None:
            resolved = order.config.resolved(order.pack.version)
            known, now = await meta(self.ledger), fingerprint(resolved)
            if changed := changed_since(known, now, self.folder, later=at_defaults(resolved)):
                raise UserError(
                    f"this thread's search began under other settings of the server ({'; '.join(changed[:5])}): set"
                    " them back, or send the input again for a new search"
                )
            await bind(self.ledger, self.folder, resolved)
            run_folder = await self._run_folder(order, budget)
            optimization = Optimization(order.config, run_folder)
            await optimization.archive.add_baseline()
            self.session = Session(optimization, order)
        return self.session

    async def _run_folder(self, order: Order, budget: Budget) -> RunFolder:
        config = order.config
        saver = await self.stack.enter_async_context(open_run_saver(config.checkpoints, self.folder, self.ledger))
        # The server traces its own runs; what `autodata trace` draws is kept all the same.
        tracing = config.tracing.model_copy(update={"otel": False, "langsmith": False, "exporters": ()})
        tracer = await self.stack.enter_async_context(traced(config, tracing, self.ledger, self.folder, order.pack))
        fences = await fences_of(self.ledger)
        return RunFolder(
            order.pack, self.ledger, order.models, budget, self.folder, saver, tracer, calls=_Shared, fences=fences
        )


class Searches:
    """The searches of a server's folder, each opened by the run that works on it."""

    def __init__(self, folder: Path, config: RunConfig, budget: Budget) -> None:
        """Keep searches in folders within this one, which need not be there yet; all spend one budget."""
        self._folder, self._config, self.budget = folder, config, budget
        self._opened: dict[str, SearchFolder] = {}
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

    async def folder_of(self, key: str, *, new: bool = False) -> SearchFolder:
        """Return a search's folder, opened if it is not; with `new` it is made, too.

        Raises UserError for a search that is not there, UserError and RunFailed as a run folder.
        """
        if not _KEY.fullmatch(key):  # it names a folder, and a client may have written it
            raise UserError(GONE)
        async with self._opening:
            if key not in self._opened:
                folder = self._folder / key
                if not new and not await asyncio.to_thread((folder / "run.db").exists):
                    raise UserError(GONE)
                async with AsyncExitStack() as stack:
                    ledger = await stack.enter_async_context(open_ledger(folder))
                    self._opened[key] = SearchFolder(folder, ledger, stack.pop_all())
            return self._opened[key]

    @asynccontextmanager
    async def working(self, key: str, thread: str) -> AsyncIterator[SearchFolder]:
        """Open a thread's search for a node. What fails closes it: the next node begins with models that are up.

        Raises UserError for a search that is another thread's, and leaves it as it is.
        """
        opened = await self.folder_of(key)
        await opened.require(thread)
        try:
            yield opened
        except Exception:
            await self.leave(key)
            raise

    async def begin(self, key: str, request: Mapping[str, Any]) -> None:
        """Make or open a search's folder, and keep what the search was asked for."""
        await (await self.folder_of(key, new=True)).begin(request)

    async def leave(self, key: str) -> None:
        """Close a search's folder, if it is open."""
        async with self._opening:
            opened = self._opened.pop(key, None)
            if opened is not None:
                await opened.stack.aclose()

    async def aclose(self) -> None:
        """Close every folder."""
        for key in tuple(self._opened):
            await self.leave(key)
