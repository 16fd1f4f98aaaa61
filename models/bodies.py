"""What stands in the body of an answer that is no reply: the server's own words, when to come back, what is used up."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_HOLD_WORDS = ("error", "errors", "message", "msg", "detail", "details", "error_description", "title", "reason")

_QUOTA = re.compile(
    r"insufficient[_ ](?:quota|balance|credits?|funds)|credit balance is too low"
    r"|billing[_ ](?:hard[_ ]limit|not[_ ]active)|account is not active"
    r"|(?:out of|no|not enough) credits?\b|arrearage|overdue payment|spend(?:ing)?[_ ]limit|free-models-per-day",
    re.IGNORECASE,
)
"""What servers say to an account that has run out of money, whatever the status."""
_PER_DAY = re.compile(r"per[-_ ]?day|requests per day|\bRPD\b|\bTPD\b|daily (?:limit|quota)", re.IGNORECASE)
_PER_MINUTE = re.compile(r"per[-_ ]?(?:minute|second|hour)|\bRPM\b|\bTPM\b", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")


def body_of(error: BaseException) -> Any:
    """Return the body behind an exception, read as JSON where it is some; None where there is none."""
    body: Any = getattr(error, "body", None)
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(_text_of(error))
    return body


def words_of(error: BaseException) -> str:
    """Return the server's own words, whatever the shape of its body; empty where it has none."""
    said = " - ".join(dict.fromkeys(_said(body_of(error))))
    return said or " ".join(_text_of(error).split())


def named_in(error: BaseException) -> list[str]:
    """Return the fields that a body itself says are at fault: `param`, the place of a validation error."""
    return list(dict.fromkeys(_named(body_of(error))))


def seconds_to_wait(error: BaseException) -> float | None:
    """Return the seconds after which a body says to come back: `RetryInfo` among the details of Google's errors."""
    delays = list(_delays(body_of(error)))
    return max(delays) if delays else None


def spent(error: BaseException) -> str:
    """Return what of an account is used up: `credit`, `day`, or nothing where only a rate was exceeded.

    Waiting helps against a rate, and not against these. "You exceeded your current quota" says neither: OpenAI means
    credit by it, with a code of its own, and Google any of its limits, which it names beside it.
    """
    text = f"{_text_of(error)} {error}"
    if _QUOTA.search(text):
        return "credit"
    return "day" if _PER_DAY.search(text) and not _PER_MINUTE.search(text) else ""


def _text_of(error: BaseException) -> str:
    text = ""
    with contextlib.suppress(Exception):  # there is none, or it was streamed, or it is no text
        text = str(getattr(error, "response", None).text)  # type: ignore[union-attr]
    return text


def _said(body: Any, depth: int = 0) -> Iterator[str]:
    """Yield the words in a body: those of `error`, `message`, `detail` and the like, and a provider's behind them."""
    if depth > 6:
        return
    if isinstance(body, str):
        inner = _inner(body)
        within = list(_said(inner, depth + 1)) if inner is not None else []
        yield from within or ([" ".join(body.split())] if body.strip() else [])
    elif isinstance(body, list):
        for item in body:
            yield from _said(item, depth + 1)
    elif isinstance(body, Mapping):
        place = body.get("loc")
        where = ".".join(map(str, place)) if isinstance(place, list) else str(body.get("param") or "")
        for name in _HOLD_WORDS:
            for words in _said(body.get(name), depth + 1):
                yield f"{where}: {words}" if where and where not in words and name in {"msg", "message"} else words
        metadata = body.get("metadata")
        if isinstance(metadata, Mapping):
            yield from _said(metadata.get("raw"), depth + 1)


def _named(body: Any, depth: int = 0) -> Iterator[str]:
    if depth > 6:
        return
    if isinstance(body, str):
        yield from _named(_inner(body), depth + 1)
    elif isinstance(body, list):
        for item in body:
            yield from _named(item, depth + 1)
    elif isinstance(body, Mapping):
        if isinstance(param := body.get("param"), str) and param:
            yield param
        if isinstance(place := body.get("loc"), list):
            yield ".".join(str(part) for part in place if part != "body")
        for value in body.values():
            if isinstance(value, Mapping | list | str):
                yield from _named(value, depth + 1)


def _delays(body: Any, depth: int = 0) -> Iterator[float]:
    if depth > 6:
        return
    if isinstance(body, str):
        yield from _delays(_inner(body), depth + 1)
    elif isinstance(body, list):
        for item in body:
            yield from _delays(item, depth + 1)
    elif isinstance(body, Mapping):
        if str(body.get("@type", "")).endswith("RetryInfo") and (
            found := _DURATION.fullmatch(str(body.get("retryDelay")))
        ):
            yield float(found[1])
        for value in body.values():
            if isinstance(value, Mapping | list | str):
                yield from _delays(value, depth + 1)


def _inner(text: str) -> Any:
    """Return the body of a provider, which a gateway wraps as text; None where the text is none."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    with contextlib.suppress(ValueError, RecursionError):
        inner = json.loads(text)
        return inner if isinstance(inner, Mapping | list) else None
    return None
