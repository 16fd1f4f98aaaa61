"""Which answers of an OpenAI-compatible server are plain completions; all others are OpenAI's library's to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_READ: Final = frozenset({"role", "content", "refusal", "reasoning", "reasoning_content"})
"""What of a message is read here, besides what is empty."""
_LEFT_OUT: Final[Mapping[str, Any]] = {"system_fingerprint": None, "service_tier": None}
_COUNTED: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


def plain_completion(answer: Any) -> dict[str, Any] | None:
    """Return a whole completion as OpenAI's library would read it; None for any other answer."""
    kind = answer.headers.get("content-type", "").split(";")[0]
    if answer.status_code != 200 or not kind.endswith("json"):
        return None
    try:
        body = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("error"):
        return None
    choices, usage = body.get("choices"), body.get("usage")
    if not isinstance(choices, list) or not choices or not all(map(_is_plain, choices)):
        return None
    if usage is not None and not (
        isinstance(usage, dict) and all(isinstance(usage.get(name), int) for name in _COUNTED)
    ):
        return None
    return {**_LEFT_OUT, **body, "choices": [{"logprobs": None, **choice} for choice in choices]}


def _is_plain(choice: Any) -> bool:
    message = choice.get("message") if isinstance(choice, dict) else None
    return (
        isinstance(message, dict)
        and message.get("role") == "assistant"
        and isinstance(message.get("content"), str | None)
        and isinstance(message.get("refusal"), str | None)
        and isinstance(choice.get("finish_reason"), str | None)
        and not choice.get("error")
        and not any(value for name, value in message.items() if name not in _READ)
    )
