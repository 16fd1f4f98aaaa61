"""Seeing that a server cut a prompt: its own count of tokens is far below what was sent.

A server whose context is too short may refuse a long prompt, or cut it without a word and answer what is left. Its
count of prompt tokens is then the only sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage

from autodata.checkpoints.ids import digest
from autodata.models.budget import reported_usage

CHUNK = 1000
"""Characters of a prompt by which it is known again."""
REMEMBERED = 50_000
"""Chunks that are remembered of an endpoint at most."""
LEAST_TOKENS_A_WORD = 0.75
"""Tokenizers take one token a word or more; a few join frequent words."""
LETTERS_A_TOKEN = 16
"""A long word takes at least a token for so many letters."""
SHORTEST = 400
"""Prompts of fewer words are not looked at: templates and counts differ by as much."""

_WORD = re.compile(r"\w+")


def least_tokens(text: str) -> int:
    """Return the number of tokens that a text takes at least, whatever the tokenizer."""
    words = sum(1 + len(word) // LETTERS_A_TOKEN for word in _WORD.findall(text))
    return int(words * LEAST_TOKENS_A_WORD) if words >= SHORTEST else 0


class Prompts:
    """The beginnings of the prompts that an endpoint was sent: some servers leave out of their count what they know."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def new_of(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the part of a prompt that no earlier one began with alike, and remember the prompt."""
        text = "\n\n".join(message["content"] for message in messages)
        known, beginning, still = 0, "", True
        for end in range(CHUNK, len(text) + 1, CHUNK):
            beginning = digest([beginning, text[end - CHUNK : end]])
            if still and beginning in self._seen:
                known = end
            else:
                still = False
                if len(self._seen) < REMEMBERED:
                    self._seen.add(beginning)
        return text[known:]


def counted(message: AIMessage) -> int | None:
    """Return the tokens that a server counted for a prompt, those included that it had in its cache; None for none.

    Some count the latter apart, and leave them out of the prompt's own count.
    """
    usage: Mapping[str, Any] = message.usage_metadata or {}
    cached = (usage.get("input_token_details") or {}).get("cache_read")
    whole, _ = reported_usage(usage, text=str(message.text), truncated=False)
    return whole + cached if whole is not None and isinstance(cached, int) else whole


def cut_short(new: str, tokens_in: int | None) -> str:
    """Return in words that a server counted too few tokens for what it was sent; empty where it did not.

    `new` is the part of the prompt that the server cannot have known before.
    """
    if tokens_in is None or tokens_in >= (least := least_tokens(new)):
        return ""
    return (
        f"the server counted {tokens_in:,} tokens for a prompt that has at least {least:,}, so it cut the prompt:"
        " raise its context length (Ollama: num_ctx, llama.cpp: --ctx-size), or lower documents.max_chars"
    )
