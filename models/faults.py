"""What a failed request means for the call and the run, and what happened, in plain words."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from autodata.models.bodies import seconds_to_wait, spent, words_of
from autodata.models.known_secrets import without_secrets
from autodata.models.reach import nothing_there

SHOWN = 300
"""Characters of a server's words that are shown."""

_RETRIED = frozenset({408, 409, 425, 429})
_DOWN = frozenset({401, 402, 403, 404})
_ABOUT_THE_REQUEST = frozenset({400, 404, 405, 415, 422})
_ABOUT_THE_ACCOUNT = frozenset({400, 402, 403, 429})
_GATEWAY_TIMED_OUT = frozenset({504, 524})
_ASKED_TOO_MUCH = frozenset({429, 503, 529})
"""Statuses with which servers say that they are asked too much: a rate, no capacity, and Anthropic's "overloaded"."""
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


_USED_UP = {
    "credit": "the account's credit is used up (this is no rate: waiting does not help)",
    "day": "the account's quota of the day is used up (this is no rate per minute: go on tomorrow)",
}
_MORE_THAN_THE_RATE = re.compile(r"request too large|requested \d+,? .{0,40}exceeds the limit", re.IGNORECASE)
_KEY_REFUSED = re.compile(
    r"api[ _-]?key (?:not valid|not found|expired)"
    r"|(?:invalid|incorrect|missing|expired) (?:api|access|subscription)[ _-]?(?:key|token)"
    r"|invalid_api_key|API_KEY_INVALID",
    re.IGNORECASE,
)
_MODEL_WROTE_NO_JSON = re.compile(r"json_validate_failed|failed to (?:generate|validate) json", re.IGNORECASE)
"""Words with which a server that checks replies against a format refuses one: Groq's."""
_ABOUT_PARAMETERS = re.compile(r"\b(?:requested|all|given|these) parameters\b|response_format", re.IGNORECASE)
"""Words of a 404 that is about what was asked for, not about the model: OpenRouter's "No endpoints found that ..."."""


_WRAPPING = ("openai.APIConnectionError", "autodata.ConnectionFailed", "httpx.HTTPError")
"""Errors whose own words say less than those of what caused them."""


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
    about_key: bool = False
    """The key is not taken, whatever the status says so."""
    may_be_billed: bool = False
    """No reply came in time, or one that cannot be read, though the model may have worked."""
    unreadable: bool = False
    """A reply came that is no chat completion, and does not say that it is an error."""
    used_up: bool = False
    """The account has nothing left: credit, or the requests of a day."""
    nothing_there: bool = False
    """Nothing was found at the address: an unknown host, or a refused connection."""

    @property
    def asked_too_much(self) -> bool:
        """Whether the server can take fewer requests at once, or in a minute, than it gets."""
        return self.kind == "retry" and self.status in _ASKED_TOO_MUCH

    @property
    def doubts_configuration(self) -> bool:
        """Whether it may be the settings that are refused, which every other request has, too."""
        return self.kind == "refused" and self.status in _ABOUT_THE_REQUEST and not self.about_input


def classify(error: Exception, *, answered: bool = False) -> Fault | None:
    """Return what an exception of a request means; None when it is a defect in code, not a failure of infrastructure.

    A 403 of an endpoint that has `answered` is about this very input (a gateway's moderation), not about the key.
    """
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    message = describe(error)
    if isinstance(status, int) and status >= 400:  # below it, the reply came but could not be read
        return _of_status(error, status, message, answered=answered)
    if _of_client(error):
        unreadable = isinstance(status, int)
        missed = not unreadable and nothing_there(_chain(error))
        billed = not missed and (unreadable or timed_out(error))
        return Fault("retry", message, may_be_billed=billed, unreadable=unreadable, nothing_there=missed)
    if isinstance(error, ValueError | LookupError | TypeError | AttributeError):  # a body that is no chat completion
        unreadable = not (error.args and isinstance(error.args[0], Mapping))  # an `error` sent as if all were well
        message = f"unreadable response: {message}"
        return Fault("retry", message, may_be_billed=unreadable, unreadable=unreadable)
    return None


def _of_status(error: Exception, status: int, message: str, *, answered: bool) -> Fault:
    """Return what an answer means that is no reply, by its status and its words."""
    wait = _retry_after(error)
    used_up = spent(error) if status in _ABOUT_THE_ACCOUNT else ""
    if used_up and (used_up != "day" or wait is None):  # a server that says when to come back knows best
        return Fault("down", f"{_USED_UP[used_up]}: {message}", status=status, used_up=True)
    about_parameters = status == 404 and _ABOUT_PARAMETERS.search(message)
    about_key = status in {400, 403} and _KEY_REFUSED.search(message)
    if about_key or (status in _DOWN and not about_parameters and not (answered and status == 403)):
        return Fault("down", message, status=status, about_key=bool(about_key))
    if status == 400 and _MODEL_WROTE_NO_JSON.search(message):  # of a reply, not of the request: another may do
        return Fault("retry", message, wait, status)
    too_much = status == 429 and _MORE_THAN_THE_RATE.search(message)  # no wait makes room for it
    if (status in _RETRIED or status >= 500) and not too_much:
        return Fault("retry", message, wait, status, may_be_billed=status in _GATEWAY_TIMED_OUT)
    about_input = bool(too_much or _TOO_LONG.search(message) or _MODERATED.search(message)) or status == 413
    return Fault("refused", message, status=status, about_input=about_input)


def by_class(error: BaseException, *names: str) -> bool:
    """Whether an error is of one of these classes, `library.Class` each, without importing the library to ask."""
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return not kinds.isdisjoint(names)


def _of_client(error: Exception) -> bool:
    """Whether a client library or the system raised it; OpenAI's has an HTTP library of its own, of another name."""
    known = isinstance(error, OSError | TimeoutError) or by_class(
        error, "openai.OpenAIError", *_WRAPPING, "autodata.RequestRefused", "aiohttp.ClientError"
    )
    return known or type(error).__module__.partition(".")[0] in {
        "httpx",
        "httpx2",
        "httpcore",
    }


def describe(error: BaseException) -> str:
    """Say in one line what happened to a request, in plain words.

    What client libraries say does not show it: to them a refused connection, an unknown host and a bad certificate are
    all a request that timed out.
    """
    chain = list(_chain(error))
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 400:
        return _short(
            f"HTTP {status}: {words_of(error) or _own(error) or 'no reason given'}"
            if _is_response(error)
            else _own(error)
        )
    found = next((words for cause in chain if (words := _what(cause))), "")
    innermost = _own(chain[-1]) if by_class(error, *_WRAPPING) else _own(error)
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
    if isinstance(cause, OSError) and cause.errno in {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}:
        return "the host cannot be reached"
    if isinstance(cause, ConnectionRefusedError):
        return "the connection was refused: nothing listens at that address"
    if isinstance(cause, ConnectionResetError | BrokenPipeError | ConnectionAbortedError) or name in {
        "ServerDisconnectedError",
        "RemoteProtocolError",
        "ClientPayloadError",
        "IncompleteReadError",
    }:
        return "the server closed the connection"
    if by_class(cause, "aiohttp.ClientResponseError"):
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
        several = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else None
        cause = cause.__cause__ or cause.__context__ or several


def _is_response(error: BaseException) -> bool:
    return getattr(error, "response", None) is not None


def _own(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _short(text: str) -> str:
    text = without_secrets(text)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _retry_after(error: BaseException) -> float | None:
    """Return the seconds after which a server says to come back: by a header, or in its body.

    `Retry-After` holds seconds or a date; those in milliseconds say the same more exactly.
    """
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    for name, unit in (("retry-after-ms", 1000.0), ("x-ms-retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with contextlib.suppress(ValueError):
            return max(0.0, float(str(headers.get(name, ""))) / unit)
    with contextlib.suppress(ValueError):
        return max(0.0, parsedate_to_datetime(str(headers.get("retry-after", ""))).timestamp() - time.time())
    return seconds_to_wait(error)
