"""The analyst: reads a bounded sample of failures, whole, and names their root causes (paper, section 6, step 3).

Every cause cites attempts or rounds of the material by label, and only labels that exist are let through: a reply that
cites others is sent back naming them. What is kept cites the real ids.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema, create_model

from autodata.models.call import CallSite
from autodata.models.caller import Caller
from autodata.models.coerce import Items, Listed
from autodata.models.structured import schema_text
from autodata.nodes.optimizer.edit_sandbox import editable_roles
from autodata.nodes.optimizer.failure_digest import MATERIAL_CHARS, render_material
from autodata.nodes.optimizer.schemas import Analysis, Cause
from autodata.nodes.optimizer.trajectories import Failure
from autodata.prompts import Prompt, PromptPack, fence

NOTHING_FAILED = "Nothing failed: every document tried was accepted in its first round."


@dataclass(frozen=True)
class RootCause:
    """One systematic cause. `evidence` holds the ids of attempts and rounds, as they are in the ledger."""

    cause: str
    evidence: tuple[str, ...]
    advice: str


@dataclass(frozen=True)
class Analyzed:
    """What the analyst found in a sample. Without any failure there are no causes."""

    causes: tuple[RootCause, ...]
    summary: str

    def recorded(self) -> dict[str, Any]:
        """Return the analysis as plain JSON values for the ledger and for the editor."""
        return {
            "summary": self.summary,
            "causes": [
                {"cause": one.cause, "evidence": list(one.evidence), "advice": one.advice} for one in self.causes
            ],
        }


def sample_failures(failures: Sequence[Failure], k: int, seed: int) -> list[Failure]:
    """Return at most `k` failures, in their order: spread over the failure modes, the same for the same seed.

    One of each mode in turn, the most frequent mode first, until there are enough; of a mode, documents that are not
    in the sample yet come first.
    """
    rng = random.Random(seed)  # noqa: S311 - reproducible
    modes: dict[str, list[Failure]] = {}
    for failure in sorted(failures, key=lambda one: one.round_id):
        modes.setdefault(failure.failure_mode, []).append(failure)
    for mode in sorted(modes):
        rng.shuffle(modes[mode])
    order = sorted(modes, key=lambda mode: (-len(modes[mode]), mode))
    chosen: list[Failure] = []
    seen: Counter[str] = Counter()
    while len(chosen) < k and any(modes.values()):
        for mode in order:
            if modes[mode] and len(chosen) < k:
                taken = min(modes[mode], key=lambda one: seen[one.document_id])
                modes[mode].remove(taken)
                seen[taken.document_id] += 1
                chosen.append(taken)
    ids = {failure.round_id for failure in chosen}
    return [failure for failure in failures if failure.round_id in ids]


async def analyse(
    caller: Caller,
    site: CallSite,
    prompt: Prompt,
    sample: Sequence[Failure],
    *,
    history: Sequence[str] = (),
    pack: PromptPack | None = None,
    contrast: Sequence[Failure] = (),
    excerpts: Mapping[str, str] | None = None,
    limit: int = MATERIAL_CHARS,
) -> Analyzed:
    """Ask the analyst for the root causes of a sample of failures; with none there is nothing to ask.

    `pack` is the one that failed: its editable prompts are shown. `contrast` are accepted rounds, `excerpts` what is
    shown of documents, by id. `limit` bounds the material, in characters. Raises
    the errors of a call; UnusableReply when every reply cited what is not there, or could not be read.
    """
    if not sample:
        return Analyzed((), NOTHING_FAILED)
    text, labels = render_material(sample, limit, contrast=contrast, excerpts=excerpts or {})
    schema = _analysis_schema(tuple(labels))
    messages = prompt.render(
        {
            "prompts": shown_prompts(pack) if pack else "(not shown)",
            "material": text,
            "history": shown_history(history),
            "schema": schema_text(schema),
        }
    )
    found, _ = await caller.parsed(replace(site, prompt_version=prompt.version), messages, schema)
    causes = tuple(
        RootCause(one.cause, tuple(labels[label] for label in one.evidence), one.advice) for one in found.causes
    )
    return Analyzed(causes, found.summary)


def shown_prompts(pack: PromptPack) -> str:
    """Return the editable prompts of a pack, fenced: they speak to others."""
    return "\n\n".join(f"{role}.md:\n" + fence("file", pack[role].text) for role in editable_roles(pack))


def shown_history(history: Sequence[str]) -> str:
    """Return the history log as analyst and editor read it: models wrote parts of it, so it is fenced (rule 7)."""
    return (
        fence("history", "\n".join(f"- {' '.join(entry.split())}" for entry in history)) if history else "Nothing yet."
    )


def shown_analysis(analysis: Mapping[str, Any]) -> str:
    """Return an analysis, as recorded, for the editor: without the ids, which say nothing to it."""
    lines = [" ".join(str(analysis.get("summary", "")).split())]
    for number, cause in enumerate(analysis.get("causes", ()), 1):
        lines.append(f"\n{number}. {cause['cause']}\nSeen {len(cause['evidence'])} times. Advice: {cause['advice']}")
    return fence("analysis", "\n".join(lines))


@lru_cache(maxsize=32)
def _analysis_schema(labels: tuple[str, ...]) -> type[Analysis]:
    """Return Analysis for one material: evidence must be labels that stand in it."""
    known = frozenset(labels)
    counts = {sign: sum(label.startswith(sign) for label in labels) for sign in "ra"}
    use = ", ".join(f"{sign}1 to {sign}{n}" if n > 1 else f"{sign}1" for sign, n in counts.items() if n)

    def existing(evidence: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(dict.fromkeys(label.strip().strip("[]()<>`'\"").lower() for label in evidence))
        if unknown := [label for label in plain if label not in known]:
            raise ValueError(f"{', '.join(unknown)}: no such label in the material: use {use}")
        return plain

    one_of = {"type": "string", "enum": list(labels)}
    listed = {"type": "array", "items": one_of, "minItems": 1, "maxItems": 12}
    evidence = Annotated[
        tuple[str, ...], Listed(12, least=1, needed=True), AfterValidator(existing), WithJsonSchema(listed)
    ]
    cause = create_model("Cause", __base__=Cause, evidence=(evidence, ...))
    causes = Annotated[tuple[cause, ...], Field(min_length=1, max_length=6), Items()]
    return create_model("Analysis", __base__=Analysis, causes=(causes, ...))
