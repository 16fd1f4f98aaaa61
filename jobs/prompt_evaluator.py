"""Prompts of one's own tried on documents, for other engines that search: GEPA, or a loop of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from typing_extensions import Unpack

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.ids import digest
from autodata.checkpoints.records import DocumentStatus
from autodata.jobs.arguments import models_of, sources_of
from autodata.jobs.generate import Documents
from autodata.jobs.optimize import SearchOptions, configured
from autodata.jobs.search_session import read_splits
from autodata.nodes.optimizer.checks import checker
from autodata.nodes.optimizer.edit_sandbox import editable_roles
from autodata.nodes.optimizer.evaluator import EvaluationRequest, Trial
from autodata.nodes.optimizer.own_edit import applied
from autodata.nodes.optimizer.state import Search
from autodata.nodes.optimizer.trajectories import Failure
from autodata.prompts import PromptPack
from autodata.runner.chat_models import chat_models
from autodata.runner.optimization.session import open_optimization

if TYPE_CHECKING:
    from autodata.runner.chat_models import Model
    from autodata.runner.config import RunConfig


class PromptEvaluator:
    """Tries prompts on documents, as a search does: `with PromptEvaluator(train, validate, out=...) as evaluator`.

    All lies in the folder `out`, and the same prompts on the same documents are tried once, ever. It has an event loop
    of its own, so it is used where none runs. The arguments are those of `optimize`; budgets hold, and what happens to
    an evaluation that one of them cuts off goes on in the next session.
    """

    def __init__(
        self,
        train: Documents | None = None,
        validate: Documents | None = None,
        *,
        out: Path | str,
        domain: str | Path | None = None,
        models: Mapping[str, Model] | Model | None = None,
        config: RunConfig | Mapping[str, object] | Path | str | None = None,
        **options: Unpack[SearchOptions],
    ) -> None:
        """Read the documents. Raises UserError as `optimize`."""
        self._folder, self._chats = Path(out).expanduser(), chat_models(models_of(models))
        self._loop, self._stack = asyncio.Runner(), AsyncExitStack()
        self._config = self._loop.run(configured(self._folder, domain, models, config, options))
        sources = {"train": sources_of(train), "validate": sources_of(validate)}
        self._inputs = read_splits(self._config, sources, self._folder)
        self._search: Search | None = None
        self.train: tuple[str, ...] = ()
        """Ids of the training documents, in order."""
        self.validate: tuple[str, ...] = ()
        """Ids of the validation documents, in order."""

    def __enter__(self) -> Self:
        """Open the folder. Raises UserError for one of another configuration or in use."""
        try:
            self._loop.run(self._open())
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the folder."""
        try:
            self._loop.run(self._stack.aclose())
        finally:
            self._loop.close()

    async def _open(self) -> None:
        session = await self._stack.enter_async_context(
            open_optimization(self._config, self._folder, models=self._chats)
        )
        await session.add_documents(self._inputs.splits)
        await session.archive.add_baseline()
        self._search = await session.search()
        self.train, self.validate = [await session.archive.documents(split) for split in ("train", "validate")]

    @property
    def prompts(self) -> dict[str, str]:
        """The editable prompts that it begins with, by role, each a whole prompt file."""
        baseline = self._opened.baseline
        return {role: baseline[role].text for role in editable_roles(baseline)}

    def problems(self, prompts: Mapping[str, str]) -> list[str]:
        """Return why changed prompts may not be tried; empty where they may.

        They hold no text of the documents, keep placeholders and the output's contract, and address no solver or judge.
        """
        search = self._opened
        pack, refused = applied(search.baseline, prompts)
        if refused or pack.version == search.baseline.version:
            return [*refused.values()]
        check = checker(search.baseline, search.baseline, protected=search.protected, growth=search.settings.growth)
        return check(pack)

    def evaluate(self, prompts: Mapping[str, str], documents: Sequence[str]) -> list[Trial]:
        """Try prompts on documents by id, and return how each came out, in their order.

        Raises UserError for prompts with problems; RunFailed where a document errored, for that is no score: the same
        call takes it up again in the next session. Raises BudgetSpent once a budget is spent.
        """
        search = self._opened
        if problems := self.problems(prompts):
            raise UserError(f"these prompts may not be tried: {problems[0]}")
        pack, _ = applied(search.baseline, prompts)
        known = {name: split for split, ids in (("train", self.train), ("validate", self.validate)) for name in ids}
        if strange := [name for name in documents if name not in known]:
            raise UserError(f"{strange[0]} is no document of this evaluator: take ids of .train and .validate")
        wanted = tuple(dict.fromkeys(documents))
        request = EvaluationRequest(_evaluation(pack, wanted), pack, known[wanted[0]], 0, wanted)
        trials = {trial.document_id: trial for trial in self._loop.run(search.evaluator.evaluate(request))}
        if errored := [trial for trial in trials.values() if trial.status is DocumentStatus.ERRORED]:
            raise RunFailed(f"{len(errored)} of {len(wanted)} documents errored, {errored[0].document_id} first")
        return [trials[name] for name in documents]

    def failures(self, prompts: Mapping[str, str], documents: Sequence[str]) -> list[Failure]:
        """Return the failed rounds of prompts that were tried on these documents, in order of document and round."""
        search = self._opened
        pack, _ = applied(search.baseline, prompts)
        wanted = tuple(dict.fromkeys(documents))
        return self._loop.run(search.trajectories.failures(_evaluation(pack, wanted), wanted))

    @property
    def _opened(self) -> Search:
        if self._search is None:
            raise RuntimeError("use it in a with statement")
        return self._search


def _evaluation(pack: PromptPack, documents: Sequence[str]) -> str:
    return f"own-{pack.version}-{digest(list(documents), 12)}"
