"""What an extractor and a loop judge are asked for, in every domain that has one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, StringConstraints, model_validator

from autodata.domains.tasks.schemas import ShortText
from autodata.models.coerce import Listed, ReplyModel
from autodata.models.markers import Advisory, Choice
from autodata.models.values import flag

Point = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
Text = Annotated[str, Advisory(1200)]
Note = Annotated[str, StringConstraints(strip_whitespace=True), Advisory(300, least=1)]


def _in_doubt_suitable(value: object) -> object:
    """Read anything but a plain no as yes: only what is clearly unfit ends a document."""
    return flag(value, "suitable") is not False


class Extract(ReplyModel):
    """What an extractor finds in a document, once, before anything else is spent."""

    model_config = ConfigDict(defer_build=True, extra="ignore", frozen=True)

    suitable_for_synthetic_question: Annotated[bool, BeforeValidator(_in_doubt_suitable)]
    suitability_note: Annotated[str, StringConstraints(strip_whitespace=True), Advisory(600)]
    """Why the document is fit or unfit; it becomes the reason of a document that is skipped."""
    document_type: Note
    topic_keywords: Annotated[tuple[ShortText, ...], Listed(5, least=3, each=300)]
    issues: Annotated[tuple[Point, ...], Listed(8, each=400, commas=False, needed=True)]
    facts: Annotated[tuple[Point, ...], Listed(10, each=400, commas=False, needed=True)]
    holdings: Annotated[tuple[Point, ...], Listed(8, each=400, commas=False, needed=True)]

    @property
    def unsuitable(self) -> bool:
        """Whether the document ends here. A no that gives no reason is a doubt, and in doubt a document is fit."""
        return not self.suitable_for_synthetic_question and bool(self.suitability_note)

    def shown(self) -> str:
        """Return what the writer is shown of it."""
        parts = [f"Kind of document: {self.document_type}", f"Topics: {', '.join(self.topic_keywords)}"]
        points = {"Issues": self.issues, "Facts": self.facts, "Holdings": self.holdings}
        parts += ["\n".join([f"{name}:", *(f"- {line}" for line in lines)]) for name, lines in points.items() if lines]
        return "\n\n".join(parts)


class LoopJudgement(ReplyModel):
    """What the loop judge makes of the pattern over all attempts."""

    model_config = ConfigDict(defer_build=True, extra="ignore", frozen=True)

    weak_pattern: Text
    strong_pattern: Text
    gap_interpretation: Text
    rubric_concerns: Text
    grpo_suitability: Annotated[Literal["high", "medium", "low"], Choice()]
    verdict: Annotated[Literal["accept", "improve"], Choice()]
    verdict_reason: Text
    suggestion_for_writer: Annotated[str, Advisory(2000)] = ""
    """Needed when the verdict is `improve`; it reaches the writer word for word."""

    @model_validator(mode="after")
    def _says_how_to_improve(self) -> LoopJudgement:
        if self.verdict == "improve" and not self.suggestion_for_writer.strip():
            raise ValueError("verdict 'improve' needs a suggestion_for_writer")
        return self
