"""Vectors of a run's questions, from an endpoint or a model file that a person named: nothing is sent unasked."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.vectors import Spent, embedded_text, hash_of, vector_file
from autodata.models.budget import Budget
from autodata.models.config import BudgetConfig, ModelSettings, RetryConfig
from autodata.models.embeddings import BATCH, Embedded, embedder
from autodata.models.openai_chat import new_client
from autodata.models.slots import address_of

CONCURRENCY = 4
LOCAL_CTX = 1_024
"""Tokens of context of a model file: room for the longest text that is sent."""


@dataclass(frozen=True)
class Asked:
    """Which embedding model is to be asked, and what that may take, all commands on the folder together."""

    settings: ModelSettings
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    retries: RetryConfig = field(default_factory=RetryConfig)


@dataclass(frozen=True)
class Vectors:
    """The vectors that were asked for."""

    name: str
    """What the model is called."""
    vectors: Mapping[str, bytes]
    """By the text, as float32."""
    spent: Spent
    """All that vectors of this folder took."""


def asked_model(
    model: str,
    url: str | None,
    *,
    key_env: str | None = None,
    price: float | None = None,
    budget: BudgetConfig | None = None,
) -> Asked:
    """Return settings from what a person typed. Raises UserError for what does not go together.

    Without an address the model is a GGUF file, or the name of a shipped one, run on this machine.
    """
    budget = budget or BudgetConfig()
    if budget.max_usd is not None and price is None:
        raise UserError("--max-usd needs --embeddings-price: what a million tokens cost, in US dollars")
    if url is None and key_env:
        raise UserError("--embeddings-key-env goes with --embeddings-url: a file on this machine needs no key")
    values: dict[str, object] = {"provider": "openai" if url else "local", "model": model, "base_url": url}
    values |= {"api_key_env": key_env, "price_in": price, "price_out": None if price is None else 0.0}
    try:
        settings = ModelSettings.model_validate(values | {"max_concurrency": CONCURRENCY})
    except ValueError as error:
        said = str(error).splitlines()[2].strip().removeprefix("Value error, ").partition(" [type=")[0]
        raise UserError(f"--embeddings-url or --embeddings-key-env: {said}") from error
    return Asked(settings, budget)


async def vectors_of(run: Path, texts: Sequence[str], asked: Asked, say: Callable[[str], None]) -> Vectors:
    """Return the vectors of texts: those that are kept in the run folder, and the rest from the model.

    `say` is given where texts go, before any is sent. Raises UserError, CallFailed, EndpointDown and BudgetSpent; what
    came before is kept.
    """
    model, name = await _identity(asked.settings)
    with vector_file(run) as kept:
        known = kept.found(model, texts)
        by_hash = {hash_of(text): text for text in texts}
        missing = [text for one, text in by_hash.items() if one not in known]
        if not missing:
            say(f"Questions go to nobody: all have vectors of {name} already")
        else:
            spent = kept.spent()
            budget = Budget(
                asked.budget,
                spent_calls=spent.requests,
                spent_usd=spent.usd or 0.0,
                spent_tokens=spent.charged,
            )

            def keep(batch: Embedded) -> None:
                used = batch.used
                kept.keep(model, name, batch.vectors, tokens=batch.tokens, charged=used.tokens, usd=used.usd)

            say(_where(asked.settings, missing, len(by_hash) - len(missing)))
            if await _lacks_pooling(asked.settings):
                say(f"{name} names no pooling, as embedding models do: a chat model's vectors say little of meaning")
            async with _address(asked.settings) as base_url, new_client() as http:
                await embedder(asked.settings, base_url, http, budget, keep, asked.retries).embed(missing)
        found = kept.found(model, texts)
        if len({len(vector) for vector in found.values()}) > 1:
            raise UserError(
                f"{name}: its vectors had another length before: remove {run / 'embeddings.db'}, and type this again"
            )
        return Vectors(name, {text: found[hash_of(text)] for text in texts}, kept.spent())


def _where(settings: ModelSettings, texts: Sequence[str], kept: int) -> str:
    from autodata.runner.destinations import host

    place = "a model server of its own (this machine)" if settings.provider == "local" else host(settings.address or "")
    chars = sum(len(embedded_text(text)) for text in texts)
    requests = -(-len(texts) // BATCH)
    asked = f"{len(texts):,} questions, {chars:,} characters in {requests:,} requests, for vectors of {settings.model}"
    return f"Questions go to: {place}: {asked}" + (f"; {kept:,} have theirs already" if kept else "")


async def _identity(settings: ModelSettings) -> tuple[str, str]:
    """Return what a model's vectors go by, and what it is called: a file by what it holds."""
    if settings.provider != "local":
        return f"{address_of(settings.address)} {settings.model}", settings.model
    from autodata.models.local.weights import find_weights

    path = await find_weights(settings.model)
    return f"local {await asyncio.to_thread(_hash, path)}", Path(settings.model).name


async def _lacks_pooling(settings: ModelSettings) -> bool:
    """Whether a model is a file of this machine that does not say how one vector is made of a text."""
    if settings.provider != "local":
        return False
    from autodata.models.local.llama_server import names_pooling
    from autodata.models.local.weights import find_weights

    path = await find_weights(settings.model)
    return path.is_file() and not await asyncio.to_thread(names_pooling, path)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@asynccontextmanager
async def _address(settings: ModelSettings) -> AsyncIterator[str]:
    """Yield where the model answers; a model file is served for as long as the context lasts."""
    if settings.provider != "local":
        yield settings.address or ""
        return
    from autodata.models.local.serving import LocalServing

    async with aclosing(LocalServing(n_parallel=CONCURRENCY, ctx=LOCAL_CTX, embedding=True)) as serving:
        yield await serving.base_url(settings.model)
