"""What the analyst of a dataset is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, create_model

from autodata.checkpoints.lessons import MOST_CHARS, MOST_EVIDENCE
from autodata.models.coerce import Items, Listed, ReplyModel
from autodata.models.markers import Gist

_MOST_NEW = 10


class Reply(ReplyModel):
    """Base: extra keys of a reply are dropped."""

    model_config = ConfigDict(defer_build=True, extra="ignore", frozen=True)


class LessonDraft(Reply):
    """A lesson, as the analyst writes it."""

    text: Annotated[str, Gist(MOST_CHARS)]
    evidence: Annotated[tuple[str, ...], Listed(MOST_EVIDENCE, least=1, needed=True)]
    """Labels of the rounds that show it, as they stand in the material: `r2`."""


class BatchAnalysis(Reply):
    """What a batch taught: lessons to add, perhaps none, and ids of lessons in force that it speaks against."""

    lessons: Annotated[tuple[LessonDraft, ...], Field(max_length=_MOST_NEW), Items(optional=True)] = ()
    retire: Annotated[tuple[str, ...], Listed(_MOST_NEW)] = ()


@lru_cache(maxsize=32)
def analysis_schema(labels: tuple[str, ...]) -> type[BatchAnalysis]:
    """Return `BatchAnalysis` for one material: evidence must be labels that stand in it."""
    known = frozenset(labels)

    def existing(evidence: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(dict.fromkeys(bare(evidence)))
        if unknown := [label for label in plain if label not in known]:
            raise ValueError(f"{', '.join(unknown)}: no such label in the material: use {labels[0]} to {labels[-1]}")
        return plain

    evidence = Annotated[tuple[str, ...], Listed(MOST_EVIDENCE, least=1, needed=True), AfterValidator(existing)]
    draft = create_model("LessonDraft", __base__=LessonDraft, evidence=(evidence, ...))
    lessons = Annotated[tuple[draft, ...], Field(max_length=_MOST_NEW), Items(optional=True)]
    return create_model("BatchAnalysis", __base__=BatchAnalysis, lessons=(lessons, ()))


def bare(labels: Iterable[str]) -> list[str]:
    """Return labels without the brackets and quotes that models put around them, in small letters."""
    return [label.strip().strip("[]()<>`'\"").lower() for label in labels]
