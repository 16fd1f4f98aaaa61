"""Which criteria of the accepted rubrics distinguish answers, and which never do."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

MOST: Final = 10
"""Criteria that are shown of each kind."""
_JOINED = re.compile(
    r"\b(?:and also|as well as|and (?:also )?(?:\w+s|that|explains?|names?|states?|gives?))\b|;", re.IGNORECASE
)


def rubric_health(marks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is wrong with criteria, from (example_id, criterion, weight, stage, met) of every marked attempt."""
    items: dict[tuple[str, str], dict[str, Any]] = {}
    for mark in marks:
        key = (mark["example_id"], mark["criterion"])
        item = items.setdefault(key, {"weight": mark["weight"], "met": defaultdict(list)})
        item["met"][mark["stage"]].append(bool(mark["met"]))
    found = [
        {"example": example, "criterion": text, "weight": item["weight"], "met": item["met"]}
        for (example, text), item in items.items()
    ]
    kinds = {
        "met_by_all": [one for one in found if all(_all(one))],
        "met_by_none": [one for one in found if one["weight"] > 0 and not any(_all(one))],
        "weak_only": [one for one in found if one["weight"] > 0 and _rate(one, "weak") > _rate(one, "strong")],
        "never_fired": [one for one in found if one["weight"] < 0 and not any(_all(one))],
        "compound": [one for one in found if _JOINED.search(one["criterion"])],
    }
    return {"criteria": len(found), **{name: _reported(ones, len(found)) for name, ones in kinds.items()}}


def _all(item: Mapping[str, Any]) -> list[bool]:
    return [met for marks in item["met"].values() for met in marks]


def _rate(item: Mapping[str, Any], stage: str) -> float:
    marks = item["met"].get(stage, [])
    return sum(marks) / len(marks) if marks else 0.0


def _reported(ones: Sequence[Mapping[str, Any]], of: int) -> dict[str, Any]:
    shown = [{"example": one["example"], "criterion": one["criterion"]} for one in ones[:MOST]]
    return {"count": len(ones), "share": len(ones) / of if of else None, "shown": shown}
