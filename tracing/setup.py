"""Opening a session's tracer: what the configuration and the environment ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.writes import record_meta
from autodata.models.config import ModelSettings, variables_in
from autodata.tracing.config import TracingConfig
from autodata.tracing.redact import Redactor
from autodata.tracing.registry import open_exporters
from autodata.tracing.tracer import Tracer


@asynccontextmanager
async def open_tracing(
    config: TracingConfig,
    ledger: Ledger,
    folder: Path,
    *,
    roles: Mapping[str, ModelSettings],
    domain: str,
    prompt_version: str,
) -> AsyncIterator[Tracer]:
    """Open the tracer of a session; closing it waits for exporters, `exit_seconds` at most.

    Raises UserError when an export is asked for that is not installed, or lacks its key.
    """
    variables = {settings.key_variable or "" for settings in roles.values()}
    variables |= {name for one in roles.values() for value in one.headers.values() for name in variables_in(value)}
    redactor = Redactor(config.redact, variables)
    exporters = open_exporters(config, redactor)
    base = {"domain": domain, "prompt_version": prompt_version, "run": _name(folder)}
    if exporters:
        base |= {"run_id": await _run_id(ledger), "autodata_version": version("autodata-langgraph")}
    tracer = Tracer(
        ledger,
        redactor,
        local=config.local,
        exporters=exporters,
        base=base,
        exit_seconds=config.exit_seconds,
    )
    try:
        yield tracer
    finally:
        await tracer.close()


def _name(folder: Path) -> str:
    return folder.absolute().name


async def _run_id(ledger: Ledger) -> str:
    """Return the id of a run folder, which a copy of it shares; it is made for the first export."""
    known = await meta_value(ledger, "run_id")
    if known is not None:
        return known
    made = uuid4().hex
    await record_meta(ledger, {"run_id": made})
    return made
