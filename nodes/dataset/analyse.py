"""Analyse a batch: an analyst reads figures and a bounded sample of its rounds, and writes lessons for the next ones.

It sees nothing but what this run asked about: rounds of the batch, never a document, and none that is still to come.
What it reads comes from outside and is fenced (rule 7). What it writes reaches challengers alone, as advice (rule 6).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.runtime import Runtime

from autodata.checkpoints.errors import UnusableReply
from autodata.checkpoints.lessons import Batch, Lesson, Steer
from autodata.checkpoints.queries.lessons import batches, closed_rounds_of, lesson_versions
from autodata.checkpoints.texts import preview
from autodata.checkpoints.writes import record_taught
from autodata.checkpoints.writes.documents import now
from autodata.models.call import CallSite
from autodata.models.caller import Caller
from autodata.models.structured import schema_text
from autodata.nodes.dataset.lessons import merged, shown_lessons
from autodata.nodes.dataset.schemas import BatchAnalysis, analysis_schema
from autodata.nodes.dataset.settings import LessonsConfig
from autodata.nodes.dataset.state import DatasetContext, DatasetState
from autodata.prompts import PromptPack, fence

ROLE = "dataset_analyst"
SHOWN_BATCHES = 12
"""Batches whose figures are shown, the latest ones."""
QUESTION_CHARS = 600


async def analyse_batch(state: DatasetState, runtime: Runtime[DatasetContext]) -> dict[str, Any]:
    """Ask for lessons from a batch whose documents have ended, and record them with the batch's end, together.

    A batch without a closed round teaches nothing. Neither does a reply that cannot be read after all repairs: the run
    goes on, and says so. Raises the errors of a call.
    """
    context = runtime.context
    ledger = context.ledger
    known = await batches(ledger)
    batch = next(one for one in known if one.batch == state["batch"])
    rounds = await closed_rounds_of(ledger, batch.documents)
    versions, note = await lesson_versions(ledger), ""
    changes: Sequence[Lesson] = ()
    if rounds and context.settings.new:
        try:
            changes = await asked(context.caller, context.prompts, context.settings, known, batch, rounds, versions)
        except UnusableReply as error:
            note = " ".join(str(error).split())
            context.walker.note(f"batch {batch.batch} taught nothing: {note}")
    await record_taught(ledger, batch.batch, changes, now(), note=note)
    return {"next": "end" if context.walker.stopped else "choose"}


async def asked(
    caller: Caller,
    prompts: PromptPack,
    settings: LessonsConfig,
    known: Sequence[Batch],
    batch: Batch,
    rounds: Sequence[Mapping[str, Any]],
    versions: Sequence[Lesson],
) -> Sequence[Lesson]:
    """Ask the analyst; return new lessons, and new versions of those that are switched off. Raises a call's errors."""
    labels = {f"r{number}": row for number, row in enumerate(sampled(rounds, settings.sample), 1)}
    schema = analysis_schema(tuple(labels))
    # The lessons that the batch was begun with: what a person changes meanwhile makes no other question of this one.
    begun = [lesson for lesson in versions if lesson.ref in batch.lessons]
    prompt = prompts[ROLE]
    upto = [one for one in known if one.batch <= batch.batch]
    messages = prompt.render(
        {
            "figures": fence("figures", shown_figures(upto)),
            "coverage": fence("coverage", shown_steer(batch.figures.coverage)),
            "lessons": fence("lessons", shown_lessons(begun)) if begun else "None yet.",
            "material": fence("rounds", shown_rounds(labels)),
            "schema": schema_text(schema),
        }
    )
    site = CallSite(
        thread_id=f"dataset/{batch.batch}",
        document_id="",
        n=batch.batch,
        node="analyse_batch",
        role=ROLE,
        prompt_version=prompt.version,
    )
    found: BatchAnalysis
    found, _ = await caller.parsed(site, messages, schema)
    evidence = {label: str(row["round_id"]) for label, row in labels.items()}
    return merged(versions, found, evidence, batch, settings)


def sampled(rounds: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Return at most `count` rounds in their order: one of each outcome and failure mode in turn, the rarest first.

    Of one sort the rounds are taken evenly spread, so that they are of several documents. The same for the same batch.
    """
    sorts: dict[str, list[Mapping[str, Any]]] = {}
    for row in rounds:
        sorts.setdefault(row["failure_mode"] or row["outcome"], []).append(row)
    ordered = [_spread(sorts[name], count) for name in sorted(sorts, key=lambda name: (len(sorts[name]), name))]
    chosen: list[Mapping[str, Any]] = []
    while len(chosen) < count and any(ordered):
        for rows in ordered:
            if rows and len(chosen) < count:
                chosen.append(rows.pop(0))
    ids = {row["round_id"] for row in chosen}
    return [row for row in rounds if row["round_id"] in ids]


def _spread(rows: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    if len(rows) <= count:
        return [*rows]
    return [rows[place * len(rows) // count] for place in range(count)]


def shown_figures(known: Sequence[Batch]) -> str:
    """Return the figures of the latest batches, one line each."""
    lines = []
    for one in known[-SHOWN_BATCHES:]:
        figures = one.figures
        means = (("weak mean", figures.weak_mean), ("strong mean", figures.strong_mean))
        parts = [
            f"{figures.accepted} accepted of {figures.documents} documents",
            f"{figures.rounds} rounds",
            f"{figures.calls} calls",
            *(f"{name} {mean:.2f}" for name, mean in means if mean is not None),
            *(f"{count} {mode}" for mode, count in figures.modes.items()),
        ]
        lines.append(f"batch {one.batch}: {', '.join(parts)}")
    return "\n".join(lines)


def shown_steer(found: Steer) -> str:
    """Return which skills and types of question are asked often and seldom, in lines."""
    often, seldom = ("; ".join(names) or "nothing yet" for names in (found.often, found.seldom))
    return f"asked often: {often}\nasked seldom: {seldom}"


def shown_rounds(labels: Mapping[str, Mapping[str, Any]]) -> str:
    """Return rounds as the analyst reads them: question, skills, type and figures. No document and no answer."""
    documents: dict[str, int] = {}
    blocks = []
    for label, row in labels.items():
        document = documents.setdefault(row["document_id"], len(documents) + 1)
        candidate = json.loads(row["candidate"]) if row["candidate"] else {}
        means = (("weak mean", row["weak_mean"]), ("strong mean", row["strong_mean"]), ("gap", row["gap"]))
        figures = "".join(f", {name} {value:.2f}" for name, value in means if value is not None)
        skills = candidate.get("skills") or candidate.get("target_capabilities") or ()
        lines = [
            f"{label}: {row['failure_mode'] or row['outcome']} (document {document}, its round {row['n']}){figures}",
            *([f"reason: {preview(row['reason'])}"] if row["reason"] else []),
            *([f"type: {candidate['question_type']}"] if candidate.get("question_type") else []),
            *([f"skills: {'; '.join(map(str, skills))}"] if skills else []),
            f"question: {' '.join(str(candidate.get('question', '(none)')).split())[:QUESTION_CHARS]}",
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
