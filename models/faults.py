"""What a failed request means for the call and the run, and what happened, in plain words."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import aiohttp
import httpx
import openai

SHOWN = 300
"""Characters of a server's words that are shown."""

_RETRIED = frozenset({408, 409, 425, 429})
_DOWN = frozenset({401, 402, 403, 404})
_ABOUT_THE_REQUEST = frozenset({400, 422})
_GATEWAY_TIMED_OUT = frozenset({504, 524})
FORMAT_DOUBTED = frozenset({404, 405, 500, 501})
"""Statuses besides a plain refusal with which servers answer a `response_format` that they cannot serve."""

_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|window|size|limit)|maximum context|\bn_ctx\b|too many (?:input |prompt )?tokens"
    r"|\b(?:prompt|input|request|message|content|conversation|text|payload|string)s?\b[^.;]{0,60}"
    r"\b(?:too (?:long|large)|longer than|exceeds?|exceeded)\b"
    r"|reduce the (?:length|size)|max(?:imum)?[ _](?:input|prompt)[ _](?:length|size|tokens)"
    r"|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
_MODERATED = re.compile(
    r"content[ _-]?(?:filter|policy|management|moderation)|moderation|data_inspection|inappropriate|safety"
    r"|harm(?:ful)?\b|usage polic|sensitive",
    re.IGNORECASE,
)


class TimedOut(TimeoutError):
    """A request got no whole reply within the seconds that the role's setting allows."""

    def __init__(self, seconds: float, role: str) -> None:
        setting = f"models.{role}.timeout" if role else "the role's timeout"
        super().__init__(f"timed out: no whole reply within {seconds:g} s ({setting})")


@dataclass(frozen=True)
class Fault:
    """What a failed request means: `retry`, `refused` (this request only) or `down` (any request would fail)."""

    kind: Literal["retry", "refused", "down"]
    message: str
    retry_after: float | None = None
    status: int | None = None
    about_input: bool = False
    """Refused for this very input: another one may be taken."""
    may_be_billed: bool = False
    """No reply came in time, though the model may have worked."""

    @property
    def doubts_configuration(self) -> bool:
        """Whether it may be the settings that are refused, which every other request has, too."""
        return self.kind == "refused" and self.status in _ABOUT_THE_REQUEST and not self.about_input


def classify(error: Exception, *, answered: bool = False) -> Fault | None:
    """Tell what an exception of a request means; None when it is no failure of the infrastructure but a defect in code.

    A 403 of an endpoint that has `answered` is about this very input (a gateway's moderation), not about the key.
    """
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    message = describe(error)
    if isinstance(status, int) and status >= 400:  # below it, the reply came but could not be read
        quota = "insufficient_quota" in {getattr(error, "code", None), getattr(error, "type", None)}
        if (status in _DOWN and not (answered and status == 403)) or quota or "insufficient_quota" in str(error):
            return Fault("down", message, status=status)
        if status in _RETRIED or status >= 500:
            billed = status in _GATEWAY_TIMED_OUT
            return Fault("retry", message, _retry_after(response), status, may_be_billed=billed)
        about_input = bool(_TOO_LONG.search(message) or _MODERATED.search(message)) or status == 413
        return Fault("refused", message, status=status, about_input=about_input)
    if _of_client(error):
        return Fault("retry", message, may_be_billed=timed_out(error))
    if isinstance(error, ValueError | LookupError | TypeError | AttributeError):  # a body that is no chat completion
        return Fault("retry", f"unreadable response: {message}")
    return None


def _of_client(error: Exception) -> bool:
    """Whether a client library or the system raised it; OpenAI's has an HTTP library of its own, of another name."""
    known = openai.OpenAIError | httpx.HTTPError | aiohttp.ClientError | OSError | TimeoutError
    return isinstance(error, known) or type(error).__module__.partition(".")[0] in {"httpx", "httpx2", "httpcore"}


def describe(error: BaseException) -> str:
    """Say in one line what happened to a request, in plain words.

    What client libraries say does not tell it: to them a refused connection, an unknown host and a bad certificate are
    all a request that timed out.
    """
    chain = list(_chain(error))
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 400:
        return _short(f"HTTP {status}: {_words(error) or 'no reason given'}" if _is_response(error) else _own(error))
    found = next((words for cause in chain if (words := _what(cause))), "")
    innermost = _own(chain[-1]) if isinstance(error, openai.APIConnectionError | httpx.HTTPError) else _own(error)
    if found and innermost and innermost not in found:
        found = f"{found} ({innermost})"
    return _short(found or innermost)


def _what(cause: BaseException) -> str:  # noqa: PLR0911 - one return a kind
    """Return in plain words what one exception of a chain says, empty for one that says nothing by itself."""
    name = type(cause).__name__
    if isinstance(cause, TimedOut):
        return str(cause)
    if isinstance(cause, socket.gaierror):
        return "the host's name could not be resolved"
    if isinstance(cause, ssl.SSLError | ssl.CertificateError):
        return "no secure connection (TLS)"
    if isinstance(cause, ConnectionRefusedError):
        return "the connection was refused: nothing listens at that address"
    if isinstance(cause, ConnectionResetError | BrokenPipeError | ConnectionAbortedError) or name in {
        "ServerDisconnectedError",
        "RemoteProtocolError",
        "ClientPayloadError",
        "IncompleteReadError",
    }:
        return "the server closed the connection"
    if isinstance(cause, aiohttp.ClientResponseError):
        return "unreadable response"
    if _is_timeout(cause):
        return "timed out"
    return ""


def _is_timeout(cause: BaseException) -> bool:
    """Whether an exception is a time-out by itself: what wraps another cause is judged by that one."""
    nothing_behind = cause.__cause__ is None and cause.__context__ is None
    return isinstance(cause, TimeoutError) or (nothing_behind and "timeout" in type(cause).__name__.lower())


def timed_out(error: BaseException) -> bool:
    """Whether a request was sent and its reply did not come in time; one that never got through is billed by nobody."""
    if isinstance(error, TimedOut):
        return True
    found = next((words for cause in _chain(error) if (words := _what(cause))), "")
    connecting = any(type(cause).__name__ in {"ConnectionTimeoutError"} for cause in _chain(error))
    return found == "timed out" and not connecting


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what caused it, the innermost last; a chain that runs in a circle ends."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_response(error: BaseException) -> bool:
    return getattr(error, "response", None) is not None


def _words(error: BaseException) -> str:
    """Return the server's own words, whatever the shape of its body."""
    text = ""
    with contextlib.suppress(Exception):  # a body that was streamed, or is no text
        text = str(getattr(error, "response", None).text)  # type: ignore[union-attr]
    body: Any = getattr(error, "body", None)
    with contextlib.suppress(ValueError):
        body = json.loads(text)
    said = " - ".join(dict.fromkeys(_said(body)))
    return said or " ".join(text.split()) or _own(error)


_HOLD_WORDS = ("error", "errors", "message", "msg", "detail", "details", "error_description", "title", "reason")


def _said(body: Any, depth: int = 0) -> Iterator[str]:
    """Yield the words in a body: those of `error`, `message`, `detail` and the like, and a provider's behind them."""
    if depth > 6:
        return
    if isinstance(body, str):
        inner: Any = None
        with contextlib.suppress(ValueError):  # a provider's body, wrapped as text
            inner = json.loads(body)
        within = list(_said(inner, depth + 1)) if isinstance(inner, Mapping | list) else []
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


def _own(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _retry_after(response: object) -> float | None:
    """Return the seconds of a `Retry-After` header, which holds seconds or a date."""
    header = str((getattr(response, "headers", None) or {}).get("retry-after", ""))
    with contextlib.suppress(ValueError):
        return max(0.0, float(header))
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    return None
