"""Making a report's texts fit on its page: each stands there once, and long ones are shortened as far as it takes.

A text of a trajectory becomes its number in a table of texts. An entry of the table is the text, or where it was
shortened `[its beginning, the characters of the whole]`. A document's own text that is shortened has its words as a
third part, the rarest first as far as there is room, so that the document is still found by them.
"""

from __future__ import annotations

import base64
import gzip
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

from autodata.checkpoints.texts import json_text


@dataclass(frozen=True)
class Limit:
    """How many characters of a text may stand on a page, by what it is."""

    answers: int
    """Of an answer, and of any other text."""
    questions: int
    """Of a question, and of a criterion."""
    reasons: int
    """Of the reason for a mark, of which there are many; 0 leaves them out."""
    sources: int
    """Of a document's own text; 0 leaves it out."""
    words: int
    """Further words by which a document is found whose text is shortened: so many words, not characters."""


LIMITS = tuple(
    Limit(*numbers)
    for numbers in (
        (20_000, 20_000, 2_000, 20_000, 5_000),
        (20_000, 20_000, 2_000, 4_000, 2_000),
        (8_000, 8_000, 1_000, 1_500, 1_000),
        (4_000, 4_000, 500, 600, 600),
        (2_500, 3_000, 300, 300, 400),
        (1_500, 2_500, 200, 200, 300),
        (1_000, 2_000, 120, 150, 200),
        (700, 1_500, 80, 120, 150),
        (500, 1_200, 60, 100, 100),
        (350, 1_000, 40, 80, 60),
        (250, 800, 0, 60, 40),
        (180, 600, 0, 40, 20),
        (120, 400, 0, 0, 0),
        (80, 250, 0, 0, 0),
        (40, 120, 0, 0, 0),
    )
)
"""From the longest to the shortest: the first that fits is taken. Documents go first, then reasons, questions last."""

Class = Literal["answers", "questions", "reasons", "sources"]
_WORD = re.compile(r"[^\W_]{3,}")

_OWN_TEXTS = ("reason", "feedback", "passage", "context", "reference", "quality", "judgement")
_LEAST = 12
"""Texts below so many characters stand where they are: a number would save nothing."""


@dataclass(frozen=True)
class Packed:
    """What the page's data script holds."""

    text: str
    """JSON that no parser of HTML takes for markup, or such JSON compressed by gzip, in base64."""
    compressed: bool
    limit: Limit | None
    """What texts were shortened to; None when none was."""


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
    bare = _without_reasons(skeleton)

    @cache
    def compressed(limit: Limit | None) -> str:
        kept = skeleton if limit is None or limit.reasons else bare
        return _compressed({**kept, "texts": table.cut(limit)})

    def fits(limit: Limit | None) -> bool:
        # Texts that gzip makes more than twelve times smaller are rare: they are not worth the time to try all of them.
        return table.size(limit) <= bytes_left * 12 and len(compressed(limit)) <= bytes_left

    limits = (None, *LIMITS)
    # What fits comes after what does not, so that few have to be tried; where nothing fits, the shortest is taken.
    limit = limits[min(bisect_left(limits, True, key=fits), len(LIMITS))]
    return Packed(compressed(limit), True, limit)


def _without_reasons(skeleton: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a page with marks that have no reasons."""

    def bare(row: Mapping[str, Any]) -> dict[str, Any]:
        attempts = [
            {name: value for name, value in one.items() if name != "reasons"} for one in row.get("attempts", ())
        ]
        return {**row, "attempts": attempts} if attempts else dict(row)

    runs = [
        {**run, "documents": [{**one, "rounds": [bare(row) for row in one["rounds"]]} for one in run["documents"]]}
        for run in skeleton["runs"]
    ]
    return {**skeleton, "runs": runs}


def _script_json(value: object) -> str:
    """Return JSON that can stand in a script element whatever its texts are."""
    escaped = json_text(value).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return escaped.encode(errors="replace").decode()


def _compressed(value: object) -> str:
    return base64.b64encode(gzip.compress(json_text(value).encode(errors="replace"), 6, mtime=0)).decode()


class _Table:
    """The texts of a page, each once for every class of texts that it belongs to."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, Class], int] = {}

    def add(self, text: str, of: Class = "answers") -> str | int:
        return text if len(text) < _LEAST else self._places.setdefault((text, of), len(self._places))

    def cut(self, limit: Limit | None) -> list[Any]:
        return [self._shortened(text, of, limit) for text, of in self._places]

    def size(self, limit: Limit | None) -> int:
        """Return about how many bytes the texts take."""
        return sum(len(text[: _most(limit, of)].encode(errors="replace")) for text, of in self._places)

    def _shortened(self, text: str, of: Class, limit: Limit | None) -> Any:
        most = _most(limit, of)
        if limit is None or most is None or len(text) <= most:
            return text
        if of == "sources" and limit.words:
            return [text[:most], len(text), " ".join(self._words(text, text[:most])[: limit.words])]
        return [text[:most], len(text)] if most else ""

    def _words(self, text: str, kept: str) -> list[str]:
        """Return the words of a document that are not in its beginning, those of the fewest documents first."""
        here = set(_WORD.findall(kept.lower()))
        return [word for word in self._by_rarity[text] if word not in here]

    @cached_property
    def _by_rarity(self) -> dict[str, list[str]]:
        words = {text: dict.fromkeys(_WORD.findall(text.lower())) for text, of in self._places if of == "sources"}
        documents = Counter(word for found in words.values() for word in found)
        return {text: sorted(found, key=lambda word: (documents[word], word)) for text, found in words.items()}


def _most(limit: Limit | None, of: Class) -> int | None:
    return None if limit is None else int(getattr(limit, of))


def _document(document: Mapping[str, Any], table: _Table) -> dict[str, Any]:
    packed: dict[str, Any] = {name: value for name, value in document.items() if value not in ("", [])}
    packed["rounds"] = [_round(row, table) for row in document["rounds"]]
    packed["errors"] = [table.add(text) for text in document["errors"]]
    packed |= {name: table.add(document[name]) for name in ("name", "title", "why", "note")}
    if document.get("text"):
        packed["text"] = table.add(document["text"], "sources")
    return packed


def _round(row: Mapping[str, Any], table: _Table) -> dict[str, Any]:
    packed: dict[str, Any] = dict(row)
    packed |= {name: table.add(row[name]) for name in _OWN_TEXTS}
    packed["question"] = table.add(row["question"], "questions")
    packed["type"] = table.add(row["type"])
    packed["skills"] = [table.add(skill) for skill in row["skills"]]
    packed["rubric"] = [[weight, table.add(text, "questions"), kind] for weight, text, kind in row["rubric"]]
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
        **{name: value for name, value in attempt.items() if name != "marks" and value != "" and value is not False},
        "answer": table.add(attempt["answer"]),
        "model": table.add(attempt["model"]),
        "met": "".join("1" if met else "0" for _, _, met, _ in marks),
        "reasons": [table.add(reason, "reasons") for *_, reason in marks],
    }
    if [[text, weight] for text, weight, *_ in marks] != criteria:
        packed["criteria"] = [[weight, table.add(text, "questions"), ""] for text, weight, *_ in marks]
    return packed
