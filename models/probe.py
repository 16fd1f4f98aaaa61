"""Trying one endpoint with a few tiny calls: is the key there, does it answer, in which form, what does it report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.ids import canonical_json
from autodata.models.coerce import ReplyModel
from autodata.models.config import ModelSettings, RetryConfig
from autodata.models.endings import ANSWERS, ending_of, explained
from autodata.models.endpoint import Fault as Refusal
from autodata.models.endpoint import RoleModel
from autodata.models.factory import Serving, connect
from autodata.models.faults import classify
from autodata.models.local.weights import KNOWN_MODELS, default_cache, known_hash
from autodata.models.markers import Flag, Integer
from autodata.models.reasoning import strip_reasoning
from autodata.models.reply import Messages, repaired, to_reply
from autodata.models.scan import Unusable
from autodata.models.structured import repair_message, schema_text
from autodata.prompts.roles import STRUCTURED_ROLES

Roles = Mapping[str, ModelSettings]
Say = Callable[[str], None]

SHORTEST_KEY = 8
"""A shorter key is no secret, but a word like `none` for a server that wants any."""

_HELLO = [{"role": "user", "content": "Reply with the one word: ready"}]


class _Sum(ReplyModel):
    """What the structured call asks for."""

    total: Annotated[int, Integer()]
    even: Annotated[bool, Flag()]


_SUM: Messages = [
    {
        "role": "user",
        "content": "Add 19 and 23. Reply with one JSON object that fits this JSON Schema, and nothing else:\n"
        + schema_text(_Sum),
    }
]


@dataclass(frozen=True)
class Fault:
    """Something wrong with an endpoint for some roles. A fatal one means that they could not be used."""

    roles: tuple[str, ...]
    problem: str
    advice: str
    fatal: bool = True


@dataclass
class Finding:
    """What was found out about one endpoint, in words; `-` for what was not tried."""

    endpoint: str
    provider: str
    model: str
    roles: tuple[str, ...]
    key: str = "none needed"
    plain: str = "-"
    structured: str = "-"
    seed: str = "-"
    usage: str = "-"
    latency_s: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    wire_format: str | None = None
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Whether all roles could be used."""
        return not any(fault.fatal for fault in self.faults)

    def fault(self, roles: tuple[str, ...], problem: str, advice: str, *, fatal: bool = True) -> None:
        """Note something wrong. What was found for other roles before is reported once, for all of them."""
        for place, known in enumerate(self.faults):
            if (known.problem, known.advice) == (problem, advice):
                self.faults[place] = replace(known, roles=tuple(r for r in self.roles if r in {*known.roles, *roles}))
                return
        self.faults.append(Fault(roles, problem, advice, fatal))


class _Failed(Exception):
    """A call that gave no reply, with what that means."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def group(roles: Roles) -> list[dict[str, ModelSettings]]:
    """Return the roles by endpoint: the same provider, address, model and key."""
    groups: dict[tuple[str | None, ...], dict[str, ModelSettings]] = {}
    for role, settings in roles.items():
        where = (settings.provider, settings.base_url, settings.model, settings.api_key_env)
        groups.setdefault(where, {})[role] = settings
    return list(groups.values())


async def probe(roles: Roles, serving: Serving, say: Say, tries: int | None = None) -> Finding:
    """Try the endpoint that the roles share. A failed request is not made again.

    A structured reply that cannot be read is asked for again as a run would: `tries` replies in all, by default as many
    as a run's.
    """
    settings = next(iter(roles.values()))
    here = settings.provider in {"local", "simulated"} or settings.base_url is None
    where = f" ({settings.provider})" if here else f" at {settings.base_url}"
    found = Finding(f"{settings.model}{where}", settings.provider, settings.model, tuple(roles))
    say(f"trying {found.endpoint}")
    if settings.provider == "simulated":
        found.plain = found.structured = found.seed = found.usage = "simulated"
        return found
    if settings.provider == "local":
        found.notes.append(_weights(settings.model))
    found.key = _key(settings)
    if "not set" in found.key:
        variable = found.key.split()[0]
        found.fault(found.roles, f"the environment variable {variable} is not set", f"export {variable}=...")
        return found
    async with AsyncExitStack() as stack:
        try:
            models = await connect(roles, stack, serving=serving)
        except (UserError, RunFailed) as error:
            found.fault(found.roles, "cannot be used", str(error))
            return found
        await _try_calls(found, models, tries or RetryConfig().unusable_tries)
    _hide_key(found, settings)
    return found


async def _try_calls(found: Finding, models: Mapping[str, RoleModel], tries: int) -> None:
    """Make one plain call for every distinct set of parameters, then a structured one for the roles that need it."""
    answered: list[str] = []
    for names in _by_parameters(models):
        model = models[names[0]]
        try:
            message, seconds = await _plain(found, names, model)
        except _Failed as failed:
            one_request = failed.refusal.kind == "refused"
            problem, advice = failed.refusal.message, _advice(failed.refusal, model.settings)
            found.fault(names if one_request else found.roles, problem, advice)
            if not one_request:
                break
            continue
        answered += names
        if found.latency_s is None:
            _note_reply(found, message, seconds, model)
        reason = str(message.response_metadata.get("finish_reason") or "")
        if (ending := ending_of(reason)) not in ANSWERS:
            found.fault(names, explained(reason), "look at what the server or gateway says about it")
        elif not strip_reasoning(message.text):
            cut = ending == "cut"
            advice = "raise max_tokens: reasoning took all of it" if cut else "try another model"
            found.fault(names, f"an empty reply{', cut off by the token limit' if cut else ''}", advice)
    if found.latency_s is None:
        found.plain = "failed"
    if readers := tuple(role for role in answered if role in STRUCTURED_ROLES):
        await _structured(found, readers, models[readers[0]], tries)


async def _plain(found: Finding, names: tuple[str, ...], model: RoleModel) -> tuple[AIMessage, float]:
    """Make a plain call. One that is refused is made again without the seed, to tell whether that is the reason."""
    try:
        reply = await _send(model, _HELLO, None)
    except _Failed as failed:
        if failed.refusal.kind != "refused" or not model.sends_seed:
            raise
        try:
            reply = await _send(replace(model, sends_seed=False), _HELLO, None)
        except _Failed:
            raise failed from None
        found.seed = "refused"
        found.fault(names, f"refuses a seed ({failed.refusal.message})", "set send_seed = false")
        return reply
    if found.seed == "-":
        found.seed = "accepted" if model.sends_seed else "not sent"
    return reply


async def _structured(found: Finding, roles: tuple[str, ...], model: RoleModel, tries: int) -> None:
    """Ask for a structured reply as a run does: read alike, and repaired as often."""
    if found.seed == "refused":
        model = replace(model, sends_seed=False)
    problem, turn = "", _SUM
    for seed in range(1, tries + 1):
        try:
            message, _ = await _send(model, turn, _Sum, seed)
        except _Failed as failed:
            found.structured = "failed"
            advice = _advice(failed.refusal, model.settings)
            found.fault(roles, f"structured output: {failed.refusal.message}", advice)
            return
        found.wire_format = model.endpoint.wire_format
        form = "prompt only" if found.wire_format == "none" else str(found.wire_format)
        reply = to_reply(message, model)
        try:
            reply.read(_Sum)
        except Unusable as error:
            problem, found.structured = str(error), f"{form}, unreadable"
            turn = repaired(_SUM, reply, error, repair_message(error, _Sum, seed))
        else:
            found.structured = form
            return
    found.fault(roles, f"structured output cannot be read ({problem})", "raise max_tokens or name a stronger model")


async def _send(
    model: RoleModel, messages: list[dict[str, str]], schema: type[BaseModel] | None, seed: int = 1
) -> tuple[AIMessage, float]:
    """Send one request; return the reply and how many seconds it took. Raises _Failed."""
    started = time.monotonic()
    try:
        message = await model.send(messages, seed, schema)
    except Exception as error:
        refusal = classify(error)
        if refusal is None:
            raise
        raise _Failed(refusal) from error
    return message, time.monotonic() - started


def _note_reply(found: Finding, message: AIMessage, seconds: float, model: RoleModel) -> None:
    usage = message.usage_metadata
    found.latency_s = round(seconds, 3)
    found.plain = f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    if usage is None:
        found.usage = "not reported"
        priced = model.settings.price_in is not None or model.settings.price_out is not None
        advice = (
            "--max-usd counts the most each reply can have cost"
            if priced
            else "its tokens will be missing from all counts"
        )
        found.fault(found.roles, "replies carry no token counts", advice, fatal=False)
        return
    found.tokens_in, found.tokens_out = usage["input_tokens"], usage["output_tokens"]
    found.usage = f"{found.tokens_in} in, {found.tokens_out} out"


def _by_parameters(models: Mapping[str, RoleModel]) -> Iterator[tuple[str, ...]]:
    """Yield the roles that send the same parameters, together."""
    groups: dict[str, list[str]] = {}
    for role, model in models.items():
        groups.setdefault(canonical_json({**model.params, "seed": model.sends_seed}), []).append(role)
    return (tuple(names) for names in groups.values())


def _key(settings: ModelSettings) -> str:
    """Return whether the key's variable is set. The key itself is never shown."""
    variable = settings.api_key_env or ("OPENAI_API_KEY" if _needs_key(settings) else None)
    if variable is None:
        return "none needed" if settings.provider in {"openai", "local"} else "the provider's own"
    return f"{variable} {'set' if os.environ.get(variable) else 'not set'}"


def _hide_key(found: Finding, settings: ModelSettings) -> None:
    """Take the key out of what a server said about it."""
    key = os.environ.get(settings.api_key_env or "OPENAI_API_KEY", "")
    if len(key) >= SHORTEST_KEY:
        found.faults = [replace(fault, problem=fault.problem.replace(key, "***")) for fault in found.faults]


def _needs_key(settings: ModelSettings) -> bool:
    return settings.provider == "openai" and settings.base_url is None


def _weights(name: str) -> str:
    """Return where a local model's weights are."""
    model = KNOWN_MODELS.get(name)
    if model is None:
        return f"weights: {Path(name).expanduser()}"
    cached = [path for path in default_cache().glob("*.gguf") if known_hash(path) == model.sha256]
    if cached and cached[0].stat().st_size == model.size:
        return f"weights were cached ({model.size / 1e6:,.0f} MB)"
    return f"weights were not cached: {model.size / 1e6:,.0f} MB to fetch"


def _advice(refusal: Refusal, settings: ModelSettings) -> str:
    """Return what to do about a request that failed, in a few words."""
    status = refusal.status
    variable = settings.api_key_env or "OPENAI_API_KEY"
    by_status = {
        401: f"check the key in {variable}" if settings.api_key_env or not settings.base_url else "set api_key_env",
        402: "the account has no credit left",
        403: f"check what the key in {variable} may use",
        404: f"check model {settings.model!r} and base_url, which ends in /v1 as a rule",
        429: "the limit of the account or server is reached: wait, or lower max_concurrency",
    }
    if status in by_status:
        return by_status[status]
    if status is not None and status >= 500:
        return "the server fails: look at its log"
    if status is not None:
        return "look at temperature, top_p, max_tokens and extra_body"
    if settings.base_url is None:
        return "check the network"
    return f"see that a server answers at {settings.base_url}"
