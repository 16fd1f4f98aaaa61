"""One session of a run: open its folder, add documents, work until all have ended or something says stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodata.checkpoints.errors import RunFailed
from autodata.checkpoints.queries.chosen import accepted_keys, read_chosen
from autodata.checkpoints.queries.documents import count_usable, examples
from autodata.checkpoints.queries.standing import statuses_of
from autodata.checkpoints.queries.usage import usage_of_all
from autodata.checkpoints.usage import Usage
from autodata.corpus.summary import summarise

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from autodata.checkpoints.ledger import Reader
    from autodata.jobs.inputs import Inputs
    from autodata.jobs.progress import Progress
    from autodata.runner.config import RunConfig
    from autodata.runner.document_runner import Runner
    from autodata.runner.outcome import Outcome


@dataclass(frozen=True)
class Session:
    """What one session did."""

    outcome: Outcome
    summary: dict[str, Any]
    examples: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    """What was said of the documents and the settings before the work began."""

    @property
    def exit_code(self) -> int:
        """0 when it ended as asked (all documents, a target or a budget), 1 when something is left to do."""
        return int(self.outcome.failed or bool(self.outcome.errored))

    def raise_for_status(self) -> None:
        """Raise RunFailed when it did not end as asked."""
        if self.exit_code:
            raise RunFailed(self.outcome.stopped or self.outcome.errored[0])


async def accepted_examples(ledger: Reader) -> list[dict[str, Any]]:
    """Return the examples that are results of a run, in the order of their acceptance."""
    chosen = await read_chosen(ledger)
    every = [json.loads(text) for text in await examples(ledger)]
    return [one for one in every if chosen.results(one["example_id"])]


async def work(
    config: RunConfig,
    inputs: Inputs,
    out: Path,
    progress: Progress,
    *,
    models: Mapping[str, BaseChatModel] | None = None,
    begun: Callable[[Runner], None] = lambda runner: None,
    kept: bool = True,
) -> Session:
    """Work in a run folder, after saying where documents go. `begun` is given the runner before anything is spent.

    `models` are the caller's own chat models; `kept` says whether the folder will be there for a person to look into.
    Raises UserError and RunFailed as `open_runner` does.
    """
    from autodata.nodes.solver_modes import cautions
    from autodata.runner.destinations import destinations
    from autodata.runner.document_runner import open_runner
    from autodata.runner.ingest import ingest
    from autodata.runner.side_by_side import side_by_side

    notes: list[str] = []

    def note(line: str) -> None:
        notes.append(line)
        progress.say(line)

    with progress:
        progress.say(destinations(config.roles().values(), config.tracing))
        async with open_runner(config, out, progress=progress.preparing, models=models) as runner:
            begun(runner)
            progress.say(side_by_side(config))
            runner.on_event = progress.on_event
            runner.report_findings(progress.say)
            for warning in cautions(config.chosen_domain, config.roles()):
                note(f"warning: {warning}")
            found = await ingest(runner.ledger, inputs)
            for line in inputs.lines(found, out if kept else None):
                note(line)
            if not await count_usable(runner.ledger):
                raise inputs.nothing_usable(found.skipped)
            statuses = await statuses_of(runner.ledger)
            left = sum(statuses.get(status, 0) for status in ("pending", "waiting", "errored"))
            progress.total = min(left, config.limit or left)
            progress.began(
                statuses=statuses,
                spent=Usage.of_row(await usage_of_all(runner.ledger)),
                quality=config.chosen_domain.quality_check,
                endpoints=runner.endpoints,
                asked=await accepted_keys(runner.ledger) if config.target else None,
            )
            outcome = await runner.run()
            made = await accepted_examples(runner.ledger)
            return Session(outcome, await summarise(runner.ledger), made, notes)
