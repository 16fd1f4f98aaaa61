"""One session of a run: open its folder, add documents, work until all have ended or something says stop."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodata.checkpoints.queries.documents import count_documents, count_usable, examples
from autodata.corpus.summary import summarise

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

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

    notes: list[str] = []

    def note(line: str) -> None:
        notes.append(line)
        progress.say(line)

    with progress:
        progress.say(destinations(config.roles().values(), config.tracing))
        async with open_runner(config, out, progress=progress.preparing, models=models) as runner:
            begun(runner)
            runner.on_event = progress.on_event
            runner.report_findings(progress.say)
            for warning in cautions(config.chosen_domain, config.roles()):
                note(f"warning: {warning}")
            found = await ingest(runner.ledger, inputs)
            for line in inputs.lines(found, out if kept else None):
                note(line)
            if not await count_usable(runner.ledger):
                raise inputs.nothing_usable(found.skipped)
            progress.total = await count_documents(runner.ledger, "pending", "waiting", "errored")
            outcome = await runner.run()
            made = [json.loads(text) for text in await examples(runner.ledger)]
            return Session(outcome, await summarise(runner.ledger), made, notes)
