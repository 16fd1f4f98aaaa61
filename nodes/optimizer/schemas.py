"""What the analyst and the editor are asked for: structured output, so that models without tool calls can do it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Reply(BaseModel):
    """Base: extra keys of a reply are dropped."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Cause(Reply):
    """One systematic cause of failures."""

    cause: str = Field(min_length=1, max_length=1500)
    evidence: tuple[str, ...] = Field(min_length=1, max_length=12)
    """Labels of the attempts and rounds that show it, as they stand in the material: `a3`, `r1`."""
    advice: str = Field(min_length=1, max_length=1500)


class Analysis(Reply):
    """The analyst's root-cause analysis of a sample of failures (paper, section 6, step 3)."""

    causes: tuple[Cause, ...] = Field(min_length=1, max_length=6)
    summary: str = Field(min_length=1, max_length=2000)


class Edit(Reply):
    """One action on the copy of the prompt pack. Which fields it needs depends on `action`."""

    action: Literal["view", "replace", "insert"]
    file: str = Field(max_length=200)
    old: str = Field(default="", max_length=6000)
    """`replace`: text that stands in the file exactly once."""
    new: str = Field(default="", max_length=6000)
    """`replace`: what stands there instead; `insert`: the lines to insert."""
    line: int = Field(default=0, ge=0)
    """`insert`: after which line, counted from 1; 0 is before the first."""


class EditorTurn(Reply):
    """One turn of the editing agent: actions, then whether it is done."""

    thought: str = Field(default="", max_length=2000)
    edits: tuple[Edit, ...] = Field(default=(), max_length=8)
    summary: str = Field(default="", max_length=600)
    """What the whole change is for, in a sentence: kept in the history log."""
    done: bool
