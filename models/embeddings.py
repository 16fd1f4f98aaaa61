"""Vectors of texts from an OpenAI-compatible endpoint, under the rules of every call: keys, slots, retries, budget.

What came back is handed to `keep` before anything else, so that a request is paid for once.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
import openai

from autodata.checkpoints.errors import CallFailed, DiskFailed, EndpointDown
from autodata.checkpoints.usage import Usage
from autodata.checkpoints.vectors import embedded_text, hash_of
from autodata.models.budget import BYTES_PER_TOKEN, Budget, charged, price
from autodata.models.config import ModelSettings, RetryConfig
from autodata.models.endpoint import Endpoint
from autodata.models.factory import openai_client
from autodata.models.faults import Fault, classify
from autodata.models.reach import what_to_do, where_to_look

ROLE = "embeddings"
BATCH = 32
"""Texts of one request: what servers of one's own take without a setting."""


@dataclass(frozen=True)
class Embedded:
    """What one request brought."""

    vectors: Mapping[str, Sequence[float]]
    """By the text's hash."""
    tokens: int | None
    """As the endpoint counted them."""
    used: Usage
    """As it counts under the budget."""


@dataclass(frozen=True)
class Embedder:
    """An embedding model, ready to be asked."""

    settings: ModelSettings
    client: openai.AsyncOpenAI
    endpoint: Endpoint
    budget: Budget
    retries: RetryConfig
    keep: Callable[[Embedded], None]

    async def embed(self, texts: Sequence[str]) -> None:
        """Ask for the vectors of texts, each once, and hand them to `keep`, request by request.

        Raises CallFailed, EndpointDown and BudgetSpent once nothing is in flight any more; what came before is kept.
        """
        once = {hash_of(text): embedded_text(text) for text in texts}
        hashes = list(once)
        batches = [hashes[start : start + BATCH] for start in range(0, len(hashes), BATCH)]
        done = await asyncio.gather(
            *(self._batch({one: once[one] for one in batch}) for batch in batches), return_exceptions=True
        )
        if errors := [error for error in done if error is not None]:
            raise next((error for error in errors if not isinstance(error, EndpointDown)), errors[0])

    async def _batch(self, texts: Mapping[str, str]) -> None:
        async with self.endpoint.slots.slot():
            for tried in range(1, self.retries.max_attempts + 1):
                self.endpoint.raise_if_stopped()
                left = self.endpoint.leaving()
                try:
                    self.keep(await self._reserved(texts))
                except Exception as error:
                    fault = classify(error, answered=self.endpoint.answered)
                    if fault is None:
                        if isinstance(error, DiskFailed):  # what came could not be kept: nothing more is paid for
                            self.endpoint.give_up(str(error))
                        raise
                    await self._after(fault, tried, error, self.endpoint.missed(fault, left))
                else:
                    self.endpoint.responded()
                    self.endpoint.succeeded()
                    return

    async def _reserved(self, texts: Mapping[str, str]) -> Embedded:
        """Send one request with the most it can take reserved. Raises BudgetSpent where that is not left."""
        size = sum(len(text.encode(errors="replace")) for text in texts.values())
        tokens = math.ceil(size / BYTES_PER_TOKEN) + len(texts)
        most = Usage(tokens, 0, price(self.settings, tokens, 0))
        while (change := self.budget.reserve(most)) is not None:
            await self.endpoint.until(change)
        used: Usage | None = None
        try:
            batch = await self._sent(texts, most)
            used = batch.used
            return batch
        except Exception as error:
            fault = classify(error)
            # A ValueError is of a reply that came and cannot be used.
            if fault is not None and (fault.may_be_billed or isinstance(error, ValueError)):
                used = most
            raise
        finally:
            self.budget.settle(most, used, paid=used is not None)

    async def _sent(self, texts: Mapping[str, str], most: Usage) -> Embedded:
        reply = await self.client.embeddings.create(
            model=self.settings.model, input=list(texts.values()), encoding_format="float"
        )
        data = sorted(reply.data, key=lambda one: one.index)
        vectors = [[float(number) for number in one.embedding] for one in data]
        if len(vectors) != len(texts) or [one.index for one in data] != list(range(len(texts))):
            raise ValueError(f"{len(vectors)} vectors came for {len(texts)} texts")
        if len({len(one) for one in vectors}) != 1 or not all(
            any(one) and all(map(math.isfinite, one)) for one in vectors
        ):
            raise ValueError("its vectors have no length, differing ones, or numbers that are infinite or none")
        counted = getattr(reply.usage, "prompt_tokens", None) or None
        used = charged(counted, 0, most, self.settings)
        return Embedded(dict(zip(texts, vectors, strict=True)), counted, used)

    async def _after(self, fault: Fault, tried: int, error: Exception, missed: int) -> None:
        """Wait before the next try, or raise what the fault means; `missed` requests found nothing at the address."""
        name = self.endpoint.name
        if missed >= self.retries.unreached_tries:
            advice = where_to_look(fault.message, self.settings)
            self.endpoint.give_up(f"nothing was reached in {missed} tries: {fault.message}: {advice}")
            raise EndpointDown(self.endpoint.down or fault.message) from error
        if fault.kind == "down" or fault.doubts_configuration:
            advice = f": {what_to_do(fault, self.settings)}" if fault.kind == "down" else ""
            self.endpoint.give_up(f"{fault.message}{advice}")
            raise EndpointDown(self.endpoint.down or fault.message) from error
        if fault.kind == "refused":
            raise CallFailed(f"{name} refused the request: {fault.message}", refused=True) from error
        if tried == self.retries.max_attempts:
            raise CallFailed(f"{name}: no vectors in {tried} attempts: {fault.message}") from error
        longest = min(self.retries.max_seconds, self.retries.base_seconds * 2 ** min(tried - 1, 60))
        wait = longest * random.random()  # noqa: S311 - jitter
        if asked := min(fault.retry_after or 0.0, self.retries.retry_after_max_seconds):
            await self.endpoint.hold(max(wait, asked))
        else:
            await self.endpoint.pause(wait)


def embedder(
    settings: ModelSettings,
    base_url: str,
    http: httpx.AsyncClient,
    budget: Budget,
    keep: Callable[[Embedded], None],
    retries: RetryConfig | None = None,
) -> Embedder:
    """Return an embedder of the model at an address. Raises UserError where a variable that holds a key is not set."""
    client = openai_client(ROLE, settings, base_url, http)
    endpoint = Endpoint(f"{settings.model} at {base_url}", settings.max_concurrency)
    return Embedder(settings, client, endpoint, budget, retries or RetryConfig(), keep)
