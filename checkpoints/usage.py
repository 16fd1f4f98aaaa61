"""What calls took, and how it adds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Usage:
    """Tokens of calls as their endpoints counted them, and what they cost in US dollars.

    None stands for what nobody counted, or for a model without a price; it adds nothing.
    """

    tokens_in: int | None = None
    tokens_out: int | None = None
    usd: float | None = None
    calls: int = 0

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Return the usage in a row that has some of `calls`, `tokens_in`, `tokens_out` and `cost_usd`."""
        return cls(row.get("tokens_in"), row.get("tokens_out"), row.get("cost_usd"), row.get("calls") or 0)

    @property
    def tokens(self) -> int:
        """Tokens of prompts and replies together."""
        return (self.tokens_in or 0) + (self.tokens_out or 0)

    def __add__(self, other: Usage) -> Usage:
        """Return both together."""
        return Usage(
            _sum(self.tokens_in, other.tokens_in),
            _sum(self.tokens_out, other.tokens_out),
            _sum(self.usd, other.usd),
            self.calls + other.calls,
        )


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other
