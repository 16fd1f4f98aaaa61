"""What calls took, and how it adds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

MAY_BE_BILLED = "may be billed"
"""What is said of a request that got no reply: its endpoint may have worked on it all the same."""


@dataclass(frozen=True)
class Usage:
    """Tokens of calls as their endpoints counted them, and what they cost in US dollars.

    None stands for what nobody counted, or for a model without a price; it adds nothing. A reply that was taken from
    the journal took nothing and is in no usage.
    """

    tokens_in: int | None = None
    """Tokens of prompts, cached ones included."""
    tokens_out: int | None = None
    """Tokens of replies, those of reasoning included where the endpoint includes them."""
    usd: float | None = None
    calls: int = 0
    """Replies that were paid for."""
    tokens_cached: int | None = None
    """Tokens of prompts that the endpoint read from its cache, which many sell for less. No price here knows of it."""
    tokens_reasoning: int | None = None
    """Tokens that a model thought with before it answered."""
    cache_known_in: int | None = None
    """Tokens of the prompts whose endpoint reported how many were cached; None where none did."""
    unanswered: int = 0
    """Requests that got no reply, in time or before they were called off: no calls, and they may be billed."""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the usage in a row of `queries.usage`, or in a summary; what it lacks is not known."""
        return cls(
            row.get("tokens_in"),
            row.get("tokens_out"),
            row.get("cost_usd"),
            row.get("calls") or 0,
            row.get("tokens_cached"),
            row.get("tokens_reasoning"),
            row.get("cache_known_in"),
            (row.get("timed_out") or 0) + (row.get("cancelled") or 0),
        )

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies together."""
        return (self.tokens_in or 0) + (self.tokens_out or 0)

    @property
    def cached_share(self) -> float | None:
        """The share (0..1) of prompt tokens read from a cache, of the calls whose endpoint reported it; else None."""
        if self.tokens_cached is None or not self.cache_known_in:
            return None
        return self.tokens_cached / self.cache_known_in

    def __add__(self, other: Usage) -> Usage:
        """Return both together."""
        return Usage(
            _sum(self.tokens_in, other.tokens_in),
            _sum(self.tokens_out, other.tokens_out),
            _sum(self.usd, other.usd),
            self.calls + other.calls,
            _sum(self.tokens_cached, other.tokens_cached),
            _sum(self.tokens_reasoning, other.tokens_reasoning),
            _sum(self.cache_known_in, other.cache_known_in),
            self.unanswered + other.unanswered,
        )


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
