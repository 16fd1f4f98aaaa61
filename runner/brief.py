"""What became of a document in brief: for an agent, which pays for every token that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from autodata.checkpoints.records import Check

MOST_BYTES = 4_000
"""Size of a brief at most, as JSON in UTF-8 and as Python's `repr`: MCP endpoints of LangGraph send the latter."""

SIMULATED_NOTE = (
    "SIMULATED MODELS: no language model is called; all texts are placeholders of a small statistical world."
)

_STEPS = ((2_000, 40), (1_200, 30), (800, 24), (500, 18), (300, 12), (200, 8), (120, 6), (60, 4), (30, 3))
"""Longest text in characters, and most entries of a list, tried in turn until a brief is small enough."""
_DEEPEST = 5


@with_config(ConfigDict(use_attribute_docstrings=True))
class Brief(TypedDict):
    """What became of a document, in at most 4 KB."""

    status: str
    """accepted, rejected or skipped; refused: the document cannot be asked about; errored: a model gave no usable
    reply, which says nothing about the document."""
    why: str
    """What was compared and needed for acceptance; or why there is no example."""
    scores: dict[str, Any]
    """Means of the weak and the strong solver in 0..1, their gap and each attempt's score; of the last round when
    there is no example."""
    example: dict[str, Any] | None
    """The accepted candidate: question, reference answer and what scores an answer."""
    rounds: int
    """Rounds that were closed."""
    shortened: list[str]
    """What is not here whole: texts and lists that were cut, by name."""
    note: str
    """What a reader must know of this run, for instance that its models are simulated."""


def brief(result: Mapping[str, Any], *, note: str = "") -> Brief:
    """Return a graph's answer in brief: status, why, scores and example. `result` is the output of a loop."""
    example, rounds = result.get("example"), result.get("rounds") or []
    last = rounds[-1] if rounds else {}
    return _fitted(
        Brief(
            status=str(result.get("status") or ""),
            why=_why_accepted(example) if example else _why_not(result, last),
            scores=_scores(example or last),
            example=_candidate(example) if example else None,
            rounds=len(rounds),
            shortened=[],
            note=note,
        )
    )


def without(status: str, why: str) -> Brief:
    """Return the brief of a document that no round was made of."""
    return _fitted(Brief(status=status, why=why, scores={}, example=None, rounds=0, shortened=[], note=""))


def as_text(one: Brief) -> str:
    """Return a brief as JSON, for a message or a tool's answer. Half of a surrogate pair is written as an escape."""
    return json.dumps(one, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _why_accepted(example: Mapping[str, Any]) -> str:
    checks = "; ".join(str(Check.model_validate(check)) for check in example.get("checks") or ())
    return checks or f"accepted by {example.get('preset')}"


def _why_not(result: Mapping[str, Any], last: Mapping[str, Any]) -> str:
    reason, of_round = str(result.get("status_reason") or ""), str(last.get("reason") or "")
    parts = [reason, *([f"last round: {of_round}"] if of_round and of_round not in reason else [])]
    return "; ".join(part for part in parts if part)


def _scores(source: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: _number(source.get(name)) for name in ("weak_mean", "strong_mean", "gap")}
    for solver in ("weak", "strong"):
        if (scores := source.get(f"{solver}_scores")) is not None:
            found[solver] = [_number(score) for score in scores]
    return found


def _number(value: Any) -> float | None:
    return None if value is None else round(float(Fraction(value)), 4)


def _candidate(example: Mapping[str, Any]) -> dict[str, Any]:
    passage = example.get("passage")
    return {**example["candidate"], **({"passage": passage} if passage else {})}


def _fitted(whole: Brief) -> Brief:
    """Return a brief that is small enough, what was cut named."""
    for chars, items in _STEPS:
        cut = _cut_to(whole, chars, items)
        if _size(cut) <= MOST_BYTES:
            return cut
    example = whole["example"]
    question = None if example is None else {"question": str(example.get("question", ""))[:30]}
    return {**_cut_to({**whole, "example": question}, 30, 3), "shortened": ["example", "why", "scores"]}


def _cut_to(whole: Brief, chars: int, items: int) -> Brief:
    example = whole["example"]
    cut: Brief = {
        **whole,
        "status": whole["status"][:30],
        "why": _cut(whole["why"], chars, items),
        "scores": _cut(whole["scores"], chars, items),
        "example": _cut(example, chars, items),
    }
    kept: Mapping[str, Any] = cut["example"] or {}
    names = [_cut(name, chars, items) for name, value in (example or {}).items() if kept.get(name) != value]
    others = {"why": (whole["why"], cut["why"]), "scores": (whole["scores"], cut["scores"])}
    names += [name for name, (before, after) in others.items() if before != after]
    return {**cut, "shortened": names[:20]}


def _cut(value: Any, chars: int, items: int, depth: int = 0) -> Any:
    if isinstance(value, str):
        return value if len(value) <= chars else value[: chars - 1] + "…"
    if depth > _DEEPEST and isinstance(value, list | tuple | dict):
        return "…"
    if isinstance(value, list | tuple):
        return [_cut(one, chars, items, depth + 1) for one in value[:items]]
    if isinstance(value, dict):
        some = [*value.items()][:items]
        return {_cut(str(key), chars, items): _cut(one, chars, items, depth + 1) for key, one in some}
    if isinstance(value, int | float) and len(str(value)) > chars:
        return _cut(str(value), chars, items)
    return value


def _size(one: Brief) -> int:
    return max(len(text.encode("utf-8", "backslashreplace")) for text in (as_text(one), repr(one)))
