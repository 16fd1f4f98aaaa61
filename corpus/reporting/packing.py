"""Making a report's texts fit on its page: each stands there once, and long ones are shortened as far as it takes.

A text of a trajectory becomes its number in a table of texts. An entry of the table is the text, or where it was
shortened `[its beginning, the characters of the whole]`.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodata.checkpoints.texts import json_text

LIMITS = (None, 20_000, 8_000, 4_000, 2_500, 1_500, 1_000, 700, 500, 350, 250, 180, 120)
"""How many characters of an answer may stand on the page, from all of them to the fewest; the first that fits."""

QUESTIONS = 4
"""Questions and criteria are shortened to so many times the characters of an answer: they are what is looked for."""

REASONS = 4
"""Reasons for a mark are shortened to one such part of the characters of an answer: they are many."""

_OWN_TEXTS = ("reason", "feedback", "passage", "context", "reference", "quality", "judgement")
_LEAST = 12
"""Texts below so many characters stand where they are: a number would save nothing."""


@dataclass(frozen=True)
class Packed:
    """What the page's data script holds."""

    text: str
    """JSON that no parser of HTML takes for markup, or such JSON compressed by gzip, in base64."""
    compressed: bool
    limit: int | None
    """Characters of an answer that are on the page; None when no text is shortened."""


def pack(value: Mapping[str, Any], bytes_left: int) -> Packed:
    """Return the data of a page in at most so many bytes, where the shortest limit allows it.

    `value` has `runs`, each with `documents` as `read_trajectories` returns them. Texts are whole where they fit, if
    need be compressed; where they do not, they are shortened.
    """
    table = _Table()
    skeleton = {
        **value,
        "runs": [{**run, "documents": [_document(one, table) for one in run["documents"]]} for run in value["runs"]],
    }
    plain = _script_json({**skeleton, "texts": table.cut(None)})
    if len(plain.encode()) <= bytes_left:
        return Packed(plain, False, None)
    for limit in LIMITS:
        # No text that gzip makes more than twelve times smaller is worth the time to try it whole.
        if limit != LIMITS[-1] and table.size(limit) > bytes_left * 12:
            continue
        text = _compressed({**skeleton, "texts": table.cut(limit)})
        if len(text) <= bytes_left or limit == LIMITS[-1]:
            return Packed(text, True, limit)
    raise AssertionError("the shortest limit is always taken")


def _script_json(value: object) -> str:
    """Return JSON that can stand in a script element whatever its texts are."""
    escaped = json_text(value).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return escaped.encode(errors="replace").decode()


def _compressed(value: object) -> str:
    return base64.b64encode(gzip.compress(json_text(value).encode(errors="replace"), 6, mtime=0)).decode()


class _Table:
    """The texts of a page, each once. `scale` says how long a text of its kind may be, against an answer."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, float], int] = {}

    def add(self, text: str, scale: float = 1) -> str | int:
        return text if len(text) < _LEAST else self._places.setdefault((text, scale), len(self._places))

    def cut(self, limit: int | None) -> list[Any]:
        return [_shortened(text, _most(limit, scale)) for text, scale in self._places]

    def size(self, limit: int | None) -> int:
        """Return about how many bytes the texts take."""
        return sum(len(text[: _most(limit, scale)].encode(errors="replace")) for text, scale in self._places)


def _most(limit: int | None, scale: float) -> int | None:
    return None if limit is None else int(limit * scale)


def _shortened(text: str, most: int | None) -> Any:
    return text if most is None or len(text) <= most else [text[:most], len(text)]


def _document(document: Mapping[str, Any], table: _Table) -> dict[str, Any]:
    packed: dict[str, Any] = {name: value for name, value in document.items() if value not in ("", [])}
    packed["rounds"] = [_round(row, table) for row in document["rounds"]]
    packed["errors"] = [table.add(text) for text in document["errors"]]
    packed |= {name: table.add(document[name]) for name in ("name", "title", "why", "note")}
    return packed


def _round(row: Mapping[str, Any], table: _Table) -> dict[str, Any]:
    packed: dict[str, Any] = dict(row)
    packed |= {name: table.add(row[name]) for name in _OWN_TEXTS}
    packed["question"] = table.add(row["question"], QUESTIONS)
    packed["type"] = table.add(row["type"])
    packed["skills"] = [table.add(skill) for skill in row["skills"]]
    packed["rubric"] = [[weight, table.add(text, QUESTIONS), kind] for weight, text, kind in row["rubric"]]
    criteria = [[text, weight] for weight, text, _ in row["rubric"]]
    packed["attempts"] = [_attempt(one, criteria, table) for one in row["attempts"]]
    packed["verdicts"] = [
        {
            **one,
            "summary": table.add(one["summary"]),
            "checks": [
                [table.add(name), table.add(value), bound, passed] for name, value, bound, passed in one["checks"]
            ],
        }
        for one in row["verdicts"]
    ]
    packed["labels"] = [table.add(text) for text in row["labels"]]
    return {name: value for name, value in packed.items() if value not in ("", [], None)}


def _attempt(attempt: Mapping[str, Any], criteria: Sequence[Any], table: _Table) -> dict[str, Any]:
    """Pack an attempt. Its marks are `met` (a sign 1 or 0 each), `reasons`, and `criteria` where not the rubric's."""
    marks = attempt["marks"]
    packed: dict[str, Any] = {
        **{name: value for name, value in attempt.items() if name != "marks" and value not in ("", False)},
        "answer": table.add(attempt["answer"]),
        "model": table.add(attempt["model"]),
        "met": "".join("1" if met else "0" for _, _, met, _ in marks),
        "reasons": [table.add(reason, 1 / REASONS) for *_, reason in marks],
    }
    if [[text, weight] for text, weight, *_ in marks] != criteria:
        packed["criteria"] = [[weight, table.add(text, QUESTIONS), ""] for text, weight, *_ in marks]
    return packed
