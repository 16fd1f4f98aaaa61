"""What the analyst and the editor are asked for: structured output, so that models without tool calls can do it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from autodata.models.coerce import Items, Listed, ReplyModel
from autodata.models.markers import Advisory, Choice, Flag, Gist, Integer, Prose


class Reply(ReplyModel):
    """Base: extra keys of a reply are dropped."""

    model_config = ConfigDict(defer_build=True, extra="ignore", frozen=True)


class Cause(Reply):
    """One systematic cause of failures."""

    cause: Annotated[str, Gist(1500)]
    evidence: Annotated[tuple[str, ...], Listed(12, least=1, needed=True)]
    """Labels of the attempts and rounds that show it, as they stand in the material: `a3`, `r1`."""
    advice: Annotated[str, Gist(1500)]


class Analysis(Reply):
    """The analyst's root-cause analysis of a sample of failures (paper, section 6, step 3)."""

    causes: Annotated[tuple[Cause, ...], Field(min_length=1, max_length=6), Items()]
    summary: Annotated[str, Advisory(2000, least=1)]


class Edit(Reply):
    """One action on the copy of the prompt pack. Which fields it needs depends on `action`."""

    action: Annotated[Literal["view", "replace", "insert"], Choice()]
    file: Annotated[str, Field(max_length=200), Prose()]
    old: Annotated[str, Field(max_length=6000), Prose(joined="\n", optional=True)] = ""
    """`replace`: text that stands in the file exactly once."""
    new: Annotated[str, Field(max_length=6000), Prose(joined="\n", optional=True)] = ""
    """`replace`: what stands there instead; `insert`: the lines to insert."""
    line: Annotated[int, Field(ge=0), Integer()] = 0
    """`insert`: after which line, counted from 1; 0 is before the first."""


class EditorTurn(Reply):
    """One turn of the editing agent: actions, then whether it is done."""

    thought: Annotated[str, Advisory(2000)] = ""
    edits: Annotated[tuple[Edit, ...], Field(max_length=8), Items(optional=True)] = ()
    summary: Annotated[str, Advisory(600)] = ""
    """What the whole change is for, in a sentence: kept in the history log."""
    done: Annotated[bool, Flag()]
