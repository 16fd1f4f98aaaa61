"""What a run may still spend: each request reserves the most it can take, and gives back what it did not.

A reservation is taken where a request has its slot at the endpoint, right before it is sent. Nothing is sent that the
bounds could not pay for, however many requests are in flight.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from autodata.checkpoints.errors import BudgetSpent
from autodata.checkpoints.usage import Usage
from autodata.models.config import BudgetConfig, ModelSettings

BYTES_PER_TOKEN = 3
"""A careful estimate for prompts: prose has about four bytes a token, other scripts one character of three bytes."""


def ceiling(settings: ModelSettings, messages: list[dict[str, str]]) -> Usage:
    """Return the most that one request can take: its prompt, as estimated, and the longest reply."""
    size = sum(len(message["content"].encode("utf-8", "replace")) for message in messages)
    tokens_in = math.ceil(size / BYTES_PER_TOKEN)
    return Usage(tokens_in, settings.max_tokens, price(settings, tokens_in, settings.max_tokens))


def price(settings: ModelSettings, tokens_in: int | None, tokens_out: int | None) -> float | None:
    """Return the US dollars of a call; None when a price or the usage is not known."""
    price_in, price_out = settings.price_in, settings.price_out
    if price_in is None or price_out is None or tokens_in is None or tokens_out is None:
        return None
    return (tokens_in * price_in + tokens_out * price_out) / 1e6


def reported_usage(usage: Mapping[str, Any], *, text: str, truncated: bool) -> tuple[int | None, int | None]:
    """Return the tokens in and out that a server reported; None for what it did not report.

    A prompt of no tokens, or an answer of none that has text or reached the token limit, was not counted: servers that
    do not count send zeros, and LangChain puts 0 for what is missing.
    """
    tokens_in, tokens_out = (_count(usage.get(name)) for name in ("input_tokens", "output_tokens"))
    if not tokens_out and (text or truncated or not tokens_in):
        tokens_out = None
    return tokens_in or None, tokens_out


def reported_details(
    usage: Mapping[str, Any], raw: Mapping[str, Any], tokens_in: int | None
) -> tuple[int | None, int | None]:
    """Return the prompt tokens read from a cache and the tokens of reasoning that a server reported; None for neither.

    `usage` is LangChain's account of what was reported, `raw` the server's own where it is kept: DeepSeek reports its
    cache under a name that LangChain leaves out. A prompt that was not counted, or has more cached tokens than tokens,
    has no known cached ones.
    """
    cached = _detail(usage.get("input_token_details"), "cache_read")
    if cached is None:
        cached = _detail(raw.get("prompt_tokens_details"), "cached_tokens")
    if cached is None:
        cached = _count(raw.get("prompt_cache_hit_tokens"))
    reasoning = _detail(usage.get("output_token_details"), "reasoning")
    if reasoning is None:
        reasoning = _detail(raw.get("completion_tokens_details"), "reasoning_tokens")
    known = cached is not None and tokens_in is not None and cached <= tokens_in
    return cached if known else None, reasoning


def _detail(details: object, name: str) -> int | None:
    """Return a figure by its name, or by the one that LangChain gives it in a service tier: `flex_cache_read`."""
    if not isinstance(details, Mapping):
        return None
    found = (details.get(prefix + name) for prefix in ("", "priority_", "flex_"))
    return next((count for value in found if (count := _count(value)) is not None), None)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def charged(tokens_in: int | None, tokens_out: int | None, most: Usage, settings: ModelSettings) -> Usage:
    """Return what a call counts for under the bounds: what was reported, or else the most it can have been."""
    known_in = most.tokens_in if tokens_in is None else tokens_in
    known_out = most.tokens_out if tokens_out is None else tokens_out
    return Usage(known_in, known_out, price(settings, known_in, known_out))


class Reservations(Protocol):
    """Where several processes that spend one budget reserve what their requests take."""

    async def hold(self, call: Any, most: Usage) -> str:
        """Reserve one request of a `models.call.Call`; return by what it is settled, empty when it must wait.

        Raises BudgetSpent when no request of this size can be sent any more, Drained when none is to be sent.
        """

    async def settle(self, held: str, used: Usage | None, *, paid: bool) -> None:
        """Return a reservation, as `Budget.settle`."""


@dataclass
class Budget:
    """What may still be spent. What is `spent` starts at what the run folder's journal already holds."""

    config: BudgetConfig
    spent_calls: int = 0
    spent_usd: float = 0.0
    spent_tokens: int = 0
    started: float = field(default_factory=time.monotonic)
    in_flight: int = 0
    reserved_usd: float = 0.0
    reserved_tokens: int = 0
    on_spent: Callable[[str], None] = lambda reason: None
    shared: Reservations | None = None
    """Where other processes spend of the same budget; None where this one is alone."""
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)

    def require(self, most: Usage) -> None:
        """Raise BudgetSpent, naming the bound, when no request of this size can be sent any more.

        What is in flight may still come to less than it has reserved, so its reservations do not count here.
        """
        if reason := self._short(most, 0, 0, 0.0):
            self.on_spent(reason)
            raise BudgetSpent(reason)

    def reserve(self, most: Usage) -> asyncio.Future[None] | None:
        """Reserve one request; None when that is done.

        When only what is in flight stands in its way, return what to wait for before trying again. Raises BudgetSpent
        as `require`.
        """
        self.require(most)
        if self.in_flight and self._short(most, self.in_flight, self.reserved_tokens, self.reserved_usd):
            change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(change)
            return change
        self.in_flight += 1
        self.reserved_tokens += most.tokens
        self.reserved_usd += most.usd or 0.0
        return None

    def settle(self, most: Usage, used: Usage | None, *, paid: bool) -> None:
        """Return a reservation. `used` is what the request took, None for nothing; `paid`: a reply came."""
        self.in_flight -= 1
        self.reserved_tokens -= most.tokens
        # Nothing in flight is nothing reserved: the sums of fractions may be off by a little.
        self.reserved_usd = self.reserved_usd - (most.usd or 0.0) if self.in_flight else 0.0
        self.spent_calls += paid
        if used is not None:
            self.spent_tokens += used.tokens
            self.spent_usd += used.usd or 0.0
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if not change.done():
                change.set_result(None)

    def _short(  # noqa: PLR0911 - one return a bound
        self, most: Usage, calls: int, tokens: int, usd: float
    ) -> str:
        """Return which bound has no room for one more request beside these reservations; empty when all have."""
        config = self.config
        if config.max_calls is not None and self.spent_calls + calls >= config.max_calls:
            return f"the budget --max-calls {config.max_calls} is spent"
        if config.max_tokens is not None and self.spent_tokens + tokens + most.tokens > config.max_tokens:
            if self.spent_tokens >= config.max_tokens:
                return f"the budget --max-tokens {config.max_tokens} is spent"
            left_tokens = config.max_tokens - self.spent_tokens
            return (
                f"the budget --max-tokens {config.max_tokens} has {left_tokens} left, and the next call can take"
                f" {most.tokens}: raise it, or lower the role's max_tokens"
            )
        cost = most.usd or 0.0
        if config.max_usd is not None and (cost or self.spent_usd >= config.max_usd):
            left = config.max_usd - self.spent_usd - usd
            if left <= 0 and self.spent_usd >= config.max_usd:
                return f"the budget --max-usd {config.max_usd:g} is spent"
            if cost > left * (1 + 1e-9):
                return (
                    f"the budget --max-usd {config.max_usd:g} has {config.max_usd - self.spent_usd:.4g} left, and the"
                    f" next call can cost {cost:.4g}: raise it, or lower the role's max_tokens"
                )
        if config.max_seconds is not None and time.monotonic() - self.started >= config.max_seconds:
            return f"the budget --max-seconds {config.max_seconds:g} is spent"
        return ""
