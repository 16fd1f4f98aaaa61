"""How long a document may be: what the context of the models that read it leaves, where it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from autodata.models.config import ModelSettings
from autodata.prompts.roles import READERS_OF_SOURCE

CHARS_PER_TOKEN: Final = 3
"""A careful estimate, for prose."""
PROMPT_TOKENS: Final = 1_500
"""Tokens kept for all of a prompt but its document: instructions, schema, what earlier rounds found."""
LEAST_CHARS: Final = 200
"""Fewest characters of a document that are worth asking about."""
MOST_CHARS: Final = 60_000
"""Longest document in characters where no context is known, or a larger one: each round pays for it again."""

CHARS_PER_WORD: Final = 8
"""A careful estimate, the space behind a word included."""


def prompt_chars(words: int) -> int:
    """Return about how many characters the longest prompt over a passage of so many words has."""
    return words * CHARS_PER_WORD + PROMPT_TOKENS * CHARS_PER_TOKEN


def contexts(roles: Mapping[str, ModelSettings], local_ctx: int) -> Iterator[tuple[str, int, int]]:
    """Yield (role, context, longest reply), in tokens, of the roles that read a document and whose context is known."""
    for role in READERS_OF_SOURCE:
        settings = roles.get(role)
        if settings is None:
            continue
        context = local_ctx if settings.provider == "local" else settings.context
        if context is not None:
            yield role, context, settings.max_tokens


def most_chars(roles: Mapping[str, ModelSettings], local_ctx: int) -> int:
    """Return the longest document, in characters, that every reader's context has room for; below 1 for none."""
    rooms = [(context - reply - PROMPT_TOKENS) * CHARS_PER_TOKEN for _, context, reply in contexts(roles, local_ctx)]
    return min([MOST_CHARS, *rooms])
