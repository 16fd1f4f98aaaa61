"""Extractor: reads the document once, before the first round, and may find it unsuitable (paper, section 4).

The same node fixes the documents that a challenger is shown as examples. Neither is ever made anew: not in a later
round, not when the thread goes on after an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.writes import record_extract
from autodata.domains.domain import Domain
from autodata.models.structured import schema_text
from autodata.nodes.context import Context
from autodata.nodes.events import ExtractEvent
from autodata.nodes.grounding import sample_grounding
from autodata.nodes.state import State
from autodata.nodes.step import Step
from autodata.prompts import fence


async def extractor(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Make what the thread needs before its first round. An unsuitable document ends `skipped`, with the note."""
    step = Step(state, runtime)
    domain = step.services.domain
    update: dict[str, Any] = {}
    if domain.extractor and not state.get("extract"):
        update |= await _extracted(step)
    if domain.grounding and not update.get("status") and state.get("grounding") is None:
        update["grounding"] = await sample_grounding(step)
    return update


async def _extracted(step: Step) -> dict[str, Any]:
    services, schema = step.services, step.services.domain.extract
    messages = services.pack["extractor"].render(
        {
            "source": fence("document", await services.blobs.get(f"document/{step.document_id}")),
            "title": fence("title", step.state["document"]["title"]),
            "schema": schema_text(schema),
        }
    )
    found, _ = await services.caller.parsed(step.site("extractor"), messages, schema)
    extract = found.model_dump(mode="json")
    update: dict[str, Any] = {"extract": extract}
    if found.unsuitable:
        update |= {"status": DocumentStatus.SKIPPED.value, "status_reason": found.suitability_note}
    why = found.suitability_note if found.unsuitable else None
    await record_extract(services.store, step.document_id, extract, why)
    step.emit(ExtractEvent(**step.place, extract=extract, skipped=found.unsuitable))
    return update


def shown_extract(domain: Domain, extract: Mapping[str, Any] | None) -> str:
    """Return what the writer is shown of a domain's extract, fenced; empty without one."""
    if not extract:
        return ""
    return fence("extract", domain.extract.model_validate(extract).shown())
