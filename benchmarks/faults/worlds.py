"""What is broken: small runs of every kind on the simulated model, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata.checkpoints.corrections import record_asked_again, record_dropped, record_taken_back
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.corrections import dropped_documents, standing
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.records import Document
from autodata.checkpoints.writes import record_meta
from autodata.cli.drop import ended
from autodata.cli.review import OpenReviews
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.jobs.exports import export_run
from autodata.models.simulated.world import META_WORLD
from autodata.runner.config import BaselineConfig, RunConfig
from autodata.runner.document_runner import open_runner
from autodata.runner.ingest import add_documents
from autodata.runner.optimization.session import OptimizeRunConfig, open_optimization
from autodata.runner.run_folder import open_ledger

KEY = "AUTODATA_FAULTS_KEY"
"""The variable whose value must be found nowhere."""
EXPORT = "examples.jsonl"

Session = Callable[[Path], Awaitable[str]]


@dataclass(frozen=True)
class World:
    """One kind of run: a session of it, which the same call takes up again, and whether its documents are alone."""

    name: str
    session: Session
    """Returns why it stopped early, empty when all its work was done."""
    apart: bool = True
    """Whether what becomes of one document changes nothing for another."""
