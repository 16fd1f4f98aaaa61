"""One session of a search: read its splits, open its folder, search until nothing is left or something says stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.places import has_ledger
from autodata.checkpoints.queries.searches import iterations
from autodata.checkpoints.queries.usage import usage_of_all
from autodata.checkpoints.records import Document, Skipped
from autodata.checkpoints.usage import Usage
from autodata.corpus.sources import Source
from autodata.jobs.estimate_search import estimate_search, expected, few_proposals
from autodata.jobs.inputs import Inputs
from autodata.jobs.search_report import SearchReport
from autodata.nodes.solver_modes import cautions
from autodata.runner.destinations import destinations
from autodata.runner.optimization.own import NOTHING, Own
from autodata.runner.optimization.session import Optimization, OptimizeRunConfig, open_optimization
from autodata.runner.optimization.splits import require_splits
from autodata.runner.optimization.trackers import places_of
from autodata.runner.outcome import Outcome

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from autodata.jobs.search_progress import OptimizeProgress


@dataclass(frozen=True)
class SearchInputs:
    """The documents of a search by split, and what a person must know of them before anything is paid."""

    splits: Mapping[str, Sequence[Document]]
    warnings: Sequence[str] = ()


def read_splits(config: OptimizeRunConfig, sources: Mapping[str, Sequence[Source]], out: Path) -> SearchInputs:
    """Read the documents of the splits. A folder that holds a search needs none.

    Raises UserError for what cannot be read, a document in two splits, or a split that is missing.
    """
    read = {split: Inputs(config, given) for split, given in sources.items() if given}
    found = {split: documents_of(inputs, split) for split, inputs in read.items()}
    splits = {split: documents for split, (documents, _) in found.items()}
    warnings = [f"warning: {warning}" for warning in cautions(config.chosen_domain, config.roles())]
    if config.confirm.attempts or config.checks.paid:
        warnings.append("a search compares packs by what selects: it confirms and audits no example")
    warnings += [f"--{split}: {line}" for split, inputs in read.items() for line in inputs.lines(found[split][1], out)]
    if not has_ledger(out):
        if not splits:
            raise UserError(f"{out} holds no search yet: give --train PATH and --validate PATH")
        require_splits(splits)
        estimate = estimate_search(config, lengths_of(splits))
        warnings += filter(None, [expected(estimate), few_proposals(estimate)])
    return SearchInputs(splits, warnings)


def documents_of(inputs: Inputs, split: str) -> tuple[list[Document], list[Skipped]]:
    """Return the documents of a split, each once, and what is none. Raises UserError when no input can be used."""
    found: dict[str, Document] = {}
    skipped: list[Skipped] = []
    for item in inputs:
        if isinstance(item, Skipped):
            skipped.append(item)
        else:
            found[item.document_id] = item
    if not found:
        raise UserError(f"--{split}: {inputs.nothing_usable(skipped)}")
    return [*found.values()], skipped


def lengths_of(splits: Mapping[str, Sequence[Document]]) -> dict[str, list[int]]:
    """Return the lengths of each split's documents, in characters."""
    return {split: [len(document.text) for document in found] for split, found in splits.items()}


async def work(
    config: OptimizeRunConfig,
    inputs: SearchInputs,
    out: Path,
    progress: OptimizeProgress,
    *,
    models: Mapping[str, BaseChatModel] | None = None,
    own: Own = NOTHING,
    begun: Callable[[Optimization], None] = lambda session: None,
    pilot: int | None = None,
) -> tuple[Outcome, SearchReport]:
    """Search in a folder, after saying where documents go; with `pilot`, only try so many documents.

    `begun` is given the session before anything is spent. Raises UserError and RunFailed as `open_optimization` does.
    """
    with progress:
        progress.say(destinations(config.roles().values(), config.tracing))
        if places := places_of(config.optimize, own.trackers):
            progress.say(f"figures of the search are sent to {places}: no document, no prompt and no reply")
        async with open_optimization(config, out, progress=progress.preparing, models=models, own=own) as session:
            begun(session)
            session.on_event = progress.on_event
            for line in inputs.warnings:
                progress.say(line)
            session.report_findings(progress.say)
            for line in await session.add_documents(inputs.splits):
                progress.say(line)
            rows = await iterations(session.ledger)
            progress.began(
                ended=sum(row["outcome"] != "open" for row in rows),
                accepted=sum(row["outcome"] == "accepted" for row in rows),
                spent=Usage.of_row(await usage_of_all(session.ledger)),
                endpoints=session.endpoints,
            )
            outcome = await (session.pilot(pilot) if pilot else session.run())
            return outcome, await SearchReport.read(session.ledger, session.archive, config)
