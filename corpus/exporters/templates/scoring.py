"""Scores an answer to a row of this export as the run that made it did: by a judge, criterion by criterion.

It needs the standard library alone. The judge is any OpenAI-compatible endpoint, named by three environment variables:
AUTODATA_JUDGE_URL (such as http://localhost:8000/v1), AUTODATA_JUDGE_MODEL and, where needed, AUTODATA_JUDGE_KEY. A
judge says met or not met; the score is arithmetic: the weights of met criteria over the positive weights, within 0..1.
"""

from __future__ import annotations

import email.utils
import hashlib
import http.client
import json
import math
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

TRIES = 3
SECONDS = 120
MOST_CHARS = 100_000
SIDE_BY_SIDE = 8
_PLACE = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_OWN_NUMBER = re.compile(
    r"(?:[-*\u2022]\s|(?:criterion|item|point|no\.?)?\s{0,3}#?\s{0,3}"
    r"(?:\d{1,3}\s{0,3}[.):]|[(\[]\d{1,3}[)\]][.:]?)(?=\s|[^\W\d]))\s*",
    re.IGNORECASE,
)
_NAMES = r"(?:seed:|mm:|ant)?(?:think(?:ing)?|thoughts?|reasoning)"
_REASONING_BEGIN = re.compile(
    rf"\s*(?:<{_NAMES}>|\[THINK\]|\u25c1think\u25b7|<\|START_THINKING\|>|<\|channel\|>(?:analysis|commentary)\b)",
    re.IGNORECASE,
)
_REASONING_END = re.compile(
    rf"</{_NAMES}>|\[/THINK\]|\u25c1/think\u25b7|<\|END_THINKING\|>|<\|channel\|>final<\|message\|>", re.IGNORECASE
)
_OBJECT_BEGINS = re.compile(r"\s*\"")
_FINAL = "<|message|>"
"""The end of a mark of channels: a later final channel takes the place of an earlier one."""
LONGEST_WAIT = 60.0
WORDS = {"true": True, "yes": True, "false": False, "no": False}
"""What a judge may say that is asked for its verdict alone."""
MOST_STARTS = 2000
"""A judge's reply with more opening braces than this is a model that repeats itself."""

Judge = Callable[[Sequence[Mapping[str, str]]], str]
"""Answers chat messages with a text."""


class Unreadable(ValueError):
    """A judge's reply that says nothing about the answer: no score, not a score of 0."""


def judge_prompt(folder: Path | None = None) -> dict[str, Any]:
    """Return the judge's prompt: `judge.json`, which stands beside this file."""
    found: dict[str, Any] = json.loads(((folder or Path(__file__).parent) / "judge.json").read_text("utf-8"))
    return found


def final_answer(text: str) -> str:
    """Return what stands behind a model's reasoning; nothing where it was cut off, or where it is not clear what does.

    Where a text begins with reasoning, and a closing mark comes again with a text before it, nobody can say whether the
    reasoning or the answer mentions it.
    """
    begun, ends = _REASONING_BEGIN.match(text), [*_REASONING_END.finditer(text)]
    if not ends:
        return "" if begun else text.strip()
    for mark, after in pairwise(ends):
        between = text[mark.end() : after.start()].strip()
        opens = _REASONING_BEGIN.match(between) or after[0].endswith(_FINAL)
        if begun and between and not opens:
            return ""
    return text[ends[-1].end() :].strip()


def messages(row: Mapping[str, Any], answer: str, prompt: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what the judge is asked about an answer to a row."""
    criteria = "\n".join(f"{n}. {one_line(item['criterion'])}" for n, item in enumerate(rubric(row), 1))
    values = {
        "context": fence("context", row.get("context") or ""),
        "question": fence("question", row["question"]),
        "answer": fence("answer", answer[:MOST_CHARS]),
        "criteria": fence("criteria", criteria),
        "reference": fence("reference", row.get("reference_answer") or ""),
        "schema": json.dumps(schema(row, prompt)),
        **{name: str(number) for name, number in prompt.get("limits", {}).items()},
    }
    texts = {"system": prompt["system"], "user": prompt["user"]}
    return [
        {"role": role, "content": _PLACE.sub(lambda place: values[place[1]], text).strip()}
        for role, text in texts.items()
        if text.strip()
    ]


def schema(row: Mapping[str, Any], prompt: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON schema of the judge's reply; where its prompt wants no more, its verdict alone."""
    if not rubric(row):
        quoted = () if (prompt or {}).get("verdict_alone") else ("reference_says", "answer_says")
        said = {name: {"type": "string"} for name in quoted}
        return {"type": "object", "properties": {**said, "correct": {"type": "boolean"}}, "required": ["correct"]}
    properties = {"number": {"type": "integer"}, "reason": {"type": "string"}, "met": {"type": "boolean"}}
    mark = {"type": "object", "properties": properties, "required": ["number", "met"]}
    marks = {"type": "array", "minItems": len(rubric(row)), "maxItems": len(rubric(row)), "items": mark}
    return {"type": "object", "properties": {"marks": marks}, "required": ["marks"]}


def read(row: Mapping[str, Any], reply: str, prompt: Mapping[str, Any] | None = None) -> float:
    """Return the score in a judge's reply, in 0..1.

    Where the judge's prompt wants its verdict alone, one word is enough. Raises Unreadable when a mark is missing,
    doubled, or neither true nor false.
    """
    items, said = rubric(row), final_answer(reply)
    if (prompt or {}).get("verdict_alone") and not items and (word := said.strip(" .!*`'\"").lower()) in WORDS:
        return float(WORDS[word])
    found = _last_object(said)
    if not items:
        if not isinstance(found.get("correct"), bool):
            raise Unreadable("correct: true or false is needed")
        return float(found["correct"])
    marks = found.get("marks")
    if not isinstance(marks, list) or not all(isinstance(mark, dict) for mark in marks):
        raise Unreadable("marks: a list of objects is needed")
    met = {str(mark.get("number")): mark.get("met") for mark in marks}
    if sorted(met) != sorted(map(str, range(1, len(items) + 1))) or len(marks) != len(items):
        raise Unreadable(f"marks: one for each criterion 1 to {len(items)} is needed")
    if not all(isinstance(one, bool) for one in met.values()):
        raise Unreadable("met: true or false is needed")
    reachable = sum(item["weight"] for item in items if item["weight"] > 0)
    earned = sum(item["weight"] for number, item in enumerate(items, 1) if met[str(number)])
    return min(1.0, max(0.0, float(earned) / float(reachable)))


def by_code(row: Mapping[str, Any], answer: str, prompt: Mapping[str, Any]) -> float | None:
    """Return a score that needs no judge, or None.

    Where answers are exact and Autodata is installed beside the trainer, its comparison decides; without it only an
    answer that is the reference to the letter counts.
    """
    if rubric(row):
        return None
    if prompt.get("verifiable"):
        try:
            verifiable = import_module("autodata.domains.tasks.verifiable")
        except ImportError:
            pass
        else:
            kind = verifiable.VerifiableTask()
            scored = kind.scored_by_code(kind.candidate({**row}), answer)
            return None if scored is None else float(scored.score)
    same = " ".join(answer.split()) == " ".join((row.get("reference_answer") or "").split())
    return 1.0 if same and answer.strip() else None


def score(row: Mapping[str, Any], text: str, judge: Judge | None = None) -> float | None:
    """Return the score of a model's text for a row, in 0..1; None where the judge's replies cannot be read.

    `judge` answers chat messages; without one the endpoint of the environment does. Raises OSError when it is dead.
    """
    answer = final_answer(text)
    if not answer:
        return 0.0
    prompt = judge_prompt()
    if (exact := by_code(row, answer, prompt)) is not None:
        return exact
    asked = messages(row, answer, prompt)
    for _ in range(TRIES):
        try:
            return read(row, (judge or endpoint)(asked), prompt)
        except Unreadable:
            continue
    return None


def scores(rows: Sequence[Mapping[str, Any]], texts: Sequence[str], judge: Judge | None = None) -> list[float | None]:
    """Return the scores of texts for their rows, several judged side by side."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        asked = [threads.submit(score, row, text, judge) for row, text in zip(rows, texts, strict=True)]
        return [one.result() for one in asked]


def endpoint(asked: Sequence[Mapping[str, str]]) -> str:
    """Return what the endpoint of the environment answers. Raises OSError when it does not."""
    url, model = os.environ["AUTODATA_JUDGE_URL"].rstrip("/"), os.environ["AUTODATA_JUDGE_MODEL"]
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("AUTODATA_JUDGE_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    if not url.startswith(("http://", "https://")):
        raise OSError(f"AUTODATA_JUDGE_URL: {url}: an address that begins with http:// or https:// is needed")
    body = json.dumps({"model": model, "messages": list(asked), "temperature": 0}).encode()
    for left in reversed(range(TRIES)):
        request = urllib.request.Request(f"{url}/chat/completions", body, headers)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310 - checked above
                return str(json.load(reply)["choices"][0]["message"]["content"] or "")
        except urllib.error.HTTPError as error:
            if error.code not in {408, 429, 500, 502, 503, 504} or not left:
                raise
            time.sleep(_wait(error.headers.get("Retry-After")))
        except (ValueError, LookupError, TypeError, http.client.HTTPException) as error:
            if not left:
                raise OSError(f"{url}: what came is no chat completion: {error!r}") from error
            time.sleep(_wait(None))
    raise OSError("unreachable")


def _wait(said: str | None) -> float:
    """Return the seconds to wait before another try: what a server says, in seconds or as a date, within a minute."""
    try:
        seconds = float(said or 2)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(said or "").timestamp() - time.time()
        except ValueError:
            seconds = 2.0
    return min(LONGEST_WAIT, max(0.0, seconds)) if math.isfinite(seconds) else LONGEST_WAIT


def rubric(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row's criteria, also where a format keeps them as JSON."""
    found = row.get("rubric") or []
    return json.loads(found) if isinstance(found, str) else list(found)


def one_line(criterion: str) -> str:
    """Return a criterion on one line, without a number of its own, which would be taken for the list's."""
    whole = " ".join(criterion.split())
    text = whole
    while (own := _OWN_NUMBER.match(text)) and own.end() < len(text):
        text = text[own.end() :]
    return text


def fence(label: str, text: str) -> str:
    """Return a text between tags that it cannot close: the tag carries a part of the text's own hash."""
    tag = f"{label}-{hashlib.sha256(json.dumps(text).encode()).hexdigest()[:12]}"
    return f"<{tag}>\n{text}\n</{tag}>"


def _last_object(text: str) -> dict[str, Any]:
    """Return the last object of a text. Raises Unreadable without one, or where one that cannot be read comes last."""
    decoder, place, found = json.JSONDecoder(), 0, None
    for _ in range(MOST_STARTS):
        if (place := text.find("{", place)) < 0:
            break
        try:
            found, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
            if _OBJECT_BEGINS.match(text, place):
                found = None  # the judge began anew: what came before does not count
    else:
        found = None
    if not isinstance(found, dict):
        raise Unreadable("no JSON object")
    return found
