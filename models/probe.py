"""Trying one endpoint with a few tiny calls: is the key there, does it answer, in which form, what does it report."""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from autodata.checkpoints.errors import CallFailed, EndpointDown, RunFailed, UnusableReply, UserError
from autodata.checkpoints.ids import canonical_json
from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.call import CallSite
from autodata.models.caller import Caller
from autodata.models.coerce import ReplyModel
from autodata.models.config import ModelSettings, RetryConfig, variables_in
from autodata.models.factory import Serving, connect
from autodata.models.faults import Fault as Refusal
from autodata.models.faults import classify
from autodata.models.judges import PREFIX
from autodata.models.local.weights import KNOWN_MODELS, default_cache, known_hash
from autodata.models.markers import Flag, Integer
from autodata.models.reach import what_to_do
from autodata.models.reply import Messages
from autodata.models.role_model import RoleModel
from autodata.models.structured import schema_text
from autodata.prompts.roles import READERS_OF_SOURCE, STRUCTURED_ROLES

Roles = Mapping[str, ModelSettings]
Say = Callable[[str], None]

SHORTEST_KEY = 8
"""A shorter key is no secret, but a word like `none` for a server that wants any."""

LONGEST_WAIT = 2.0
"""Longest wait between two requests here, in seconds; a server's own `Retry-After` is obeyed."""
MARKER = "KESTREL-4417"
"""The word at the beginning of a long prompt."""
SHORTEST_PROMPT = 1000
"""Characters of the shortest prompt that is tried where longer ones are refused."""

_HELLO: Messages = [{"role": "user", "content": "Reply with the one word: ready"}]


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
    context: str = "-"
    """How long a prompt was read whole."""
    adjusted: list[str] = field(default_factory=list)
    """How requests are changed for what the endpoint refuses."""
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


def group(roles: Roles) -> list[dict[str, ModelSettings]]:
    """Return the roles by endpoint: the same provider, address, model and key."""
    groups: dict[tuple[str | None, ...], dict[str, ModelSettings]] = {}
    for role, settings in roles.items():
        outside = canonical_json([settings.headers, settings.query])
        where = (settings.provider, settings.address, settings.model, settings.api_key_env, outside)
        groups.setdefault(where, {})[role] = settings
    return list(groups.values())


async def probe(
    roles: Roles,
    serving: Serving,
    say: Say,
    retries: RetryConfig | None = None,
    *,
    longest: int = 0,
    passages: bool = False,
) -> Finding:
    """Try the endpoint that the roles share, by the calls of a run: adjusted, retried, read and repaired alike.

    `retries` are the run's own; waits between them are shorter. With `longest`, a prompt of so many characters is sent,
    to see whether the server reads all of it; `passages` says that documents may have any length all the same.
    """
    settings = next(iter(roles.values()))
    where = f" at {settings.address}" if settings.address else f" ({settings.provider})"
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
            trial = _Trial(found, retries or RetryConfig(), await connect(roles, stack, serving=serving))
            await trial.plain_calls(lambda: connect(roles, stack, serving=serving))
        except (UserError, RunFailed) as error:
            found.fault(found.roles, "cannot be used", str(error))
            return found
        await trial.structured_call()
        if longest > 0 and found.usable:
            say(f"trying {found.endpoint} with a prompt of {longest:,} characters")
            await trial.long_prompt(longest, passages=passages)
        found.adjusted = list(trial.reported)
    _hide_key(found, settings)
    return found


class _Trial:
    """The calls with which one endpoint is tried."""

    def __init__(self, found: Finding, retries: RetryConfig, models: Mapping[str, RoleModel]) -> None:
        self.found, self.models = found, models
        self._retries = retries.model_copy(update={"max_seconds": min(LONGEST_WAIT, retries.max_seconds)})
        self._answered: list[str] = []
        self._journal = MemoryLedger()
        self._caller = Caller(self._journal, models, retries=self._retries)

    @property
    def reported(self) -> list[str]:
        """What was found out about the endpoint, and how requests are changed for it."""
        return next(iter(self.models.values())).endpoint.found.reported

    async def plain_calls(self, anew: Callable[[], Awaitable[Mapping[str, RoleModel]]]) -> None:
        """Make one plain call for every distinct set of parameters. `anew` connects after a refusal for one of them."""
        found = self.found
        for names in _by_parameters(self.models):
            try:
                reply = await self._caller.text(_site(names[0], "plain"), _HELLO)
            except (CallFailed, EndpointDown) as error:
                refusal = _refusal(error)
                one_request = refusal.kind == "refused"
                advice = what_to_do(refusal, self.models[names[0]].settings)
                found.fault(names if one_request else found.roles, refusal.message, advice)
                if not one_request:
                    break
                self.models = await anew()
                self._caller = Caller(self._journal, self.models, retries=self._retries)
                continue
            except UnusableReply as error:
                self._answered += names
                self._note(names)
                found.fault(names, str(error).partition("no usable reply: ")[2], "try another model")
                continue
            self._answered += names
            self._note(names)
            if not reply.answer:
                found.fault(
                    names, "an empty reply, cut off by the token limit", "raise max_tokens: reasoning took all of it"
                )
        if found.latency_s is None:
            found.plain = "failed"

    def _note(self, names: tuple[str, ...]) -> None:
        """Note the latest reply to a plain call."""
        model, found = self.models[names[0]], self.found
        if found.seed == "-":
            taken = "seed" not in model.endpoint.found.dialect.without
            found.seed = ("accepted" if taken else "refused, left out") if model.sends_seed else "not sent"
        if found.latency_s is None:
            _note_reply(found, list(self._journal.tables["calls"].values())[-1], model)

    async def structured_call(self) -> None:
        """Ask for one structured reply, if any role that answered needs them."""
        found, roles = (
            self.found,
            tuple(role for role in self._answered if role in STRUCTURED_ROLES or role.startswith(PREFIX)),
        )
        if not roles:
            return
        model = self.models[roles[0]]
        try:
            await self._caller.parsed(_site(roles[0], "structured"), _SUM, _Sum)
        except (CallFailed, EndpointDown) as error:
            refusal = _refusal(error)
            found.structured = "failed"
            found.fault(roles, f"structured output: {refusal.message}", what_to_do(refusal, model.settings))
            return
        except UnusableReply as error:
            found.structured = f"{self._form(model)}, unreadable"
            problem = str(error).partition("no usable reply: ")[2]
            advice = "raise max_tokens or name a stronger model"
            found.fault(roles, f"structured output cannot be read ({problem})", advice)
            return
        found.structured = self._form(model)

    def _form(self, model: RoleModel) -> str:
        self.found.wire_format = model.endpoint.format_for(_Sum.__name__) or model.endpoint.wire_format
        return "prompt only" if self.found.wire_format == "none" else str(self.found.wire_format)

    async def long_prompt(self, longest: int, *, passages: bool) -> None:
        """See whether a prompt as long as the run's longest is read whole, by a word at its very beginning."""
        roles = tuple(role for role in self._answered if role in READERS_OF_SOURCE)
        if not roles:
            return
        found, size = self.found, longest
        once = self._retries.model_copy(update={"max_attempts": 1})
        caller = Caller(self._journal, self.models, retries=once)
        local = self.models[roles[0]].settings.provider == "local"
        advice = "raise local.ctx" if local else "raise the server's context length"
        advice += "" if passages else ", or lower documents.max_chars"
        while size >= SHORTEST_PROMPT:
            try:
                reply = await caller.text(_site(roles[0], f"context/{size}"), marked(size))
            except CallFailed as error:
                refusal = _refusal(error)
                if not (refusal.about_input or error.refused):
                    found.fault(roles, f"a prompt of {size:,} characters: {refusal.message}", advice, fatal=False)
                    return
                found.notes.append(f"a prompt of {size:,} characters is too long: {refusal.message}")
                size //= 2
                continue
            except (EndpointDown, UnusableReply) as error:
                found.fault(roles, f"a prompt of {size:,} characters: {error}", advice, fatal=False)
                return
            found.context = f"{size:,} characters" if MARKER in reply.answer else f"{size:,} characters, not sure"
            if MARKER not in reply.answer:
                found.notes.append("the word at the beginning of a long prompt was not found again: it may be cut")
            break
        if size < longest:
            fits = f"about {size:,} characters are" if size >= SHORTEST_PROMPT else "not even a short one is"
            enough = f"set documents.max_chars = {size}" if size >= SHORTEST_PROMPT else "lower documents.max_chars"
            lower = advice.replace("lower documents.max_chars", enough)
            found.fault(roles, f"a prompt of {longest:,} characters is too long: {fits} read whole", lower, fatal=False)


def marked(size: int) -> Messages:
    """Return a prompt of about so many characters that asks for the word at its beginning."""
    # A number of its own: a server that knows the prompt already might count it for less.
    lines, length = [f"The code word is {MARKER}. Remember it. ({secrets.token_hex(8)})"], 0
    while length < size:
        lines.append(f"Entry {len(lines)}: the sky was clear, the wind was light, and nothing else was seen.")
        length += len(lines[-1]) + 1
    lines.append("\nWhat is the code word in the very first line? Reply with it alone.")
    return [{"role": "user", "content": "\n".join(lines)}]


def _site(role: str, what: str) -> CallSite:
    return CallSite("doctor", "doctor", 0, f"doctor/{what}", role)


def _refusal(error: Exception) -> Refusal:
    """Return what a failed call means: what its last request met."""
    cause = error.__cause__
    known = classify(cause) if isinstance(cause, Exception) else None
    return known or Refusal("retry", " ".join(str(error).split()))


def _note_reply(found: Finding, row: Mapping[str, Any], model: RoleModel) -> None:
    seconds = float(row["latency_s"])
    found.latency_s = seconds
    found.plain = f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
    found.tokens_in, found.tokens_out = row["tokens_in"], row["tokens_out"]
    if found.tokens_in is None and found.tokens_out is None:
        found.usage = "not reported"
        priced = model.settings.price_in is not None or model.settings.price_out is not None
        advice = (
            "--max-usd counts the most each reply can have cost"
            if priced
            else "its tokens will be missing from all counts"
        )
        found.fault(found.roles, "replies carry no token counts", advice, fatal=False)
        return
    found.usage = f"{found.tokens_in} in, {found.tokens_out} out"


def _by_parameters(models: Mapping[str, RoleModel]) -> Iterator[tuple[str, ...]]:
    """Yield the roles that send the same parameters, together."""
    groups: dict[str, list[str]] = {}
    for role, model in models.items():
        groups.setdefault(canonical_json({**model.params, "seed": model.sends_seed}), []).append(role)
    return (tuple(names) for names in groups.values())


def _key(settings: ModelSettings) -> str:
    """Return whether the key's variable is set. The key itself is never shown."""
    variable = settings.key_variable
    if variable is None:
        return "none needed" if settings.provider in {"openai", "local"} else "the provider's own"
    value = os.environ.get(variable, "")
    around = ", without the space around it" if value != value.strip() else ""
    return f"{variable} {'set' + around if value.strip() else 'not set'}"


def _hide_key(found: Finding, settings: ModelSettings) -> None:
    """Take the keys out of what a server said about them."""
    names = {
        settings.key_variable or "OPENAI_API_KEY",
        *(v for h in settings.headers.values() for v in variables_in(h)),
    }
    for key in (os.environ.get(name, "").strip() for name in names):
        if len(key) >= SHORTEST_KEY:
            found.faults = [replace(fault, problem=fault.problem.replace(key, "***")) for fault in found.faults]
            found.notes = [note.replace(key, "***") for note in found.notes]


def _weights(name: str) -> str:
    """Return where a local model's weights are."""
    model = KNOWN_MODELS.get(name)
    if model is None:
        return f"weights: {Path(name).expanduser()}"
    cached = [path for path in default_cache().glob("*.gguf") if known_hash(path) == model.sha256]
    if cached and cached[0].stat().st_size == model.size:
        return f"weights were cached ({model.size / 1e6:,.0f} MB)"
    return f"weights were not cached: {model.size / 1e6:,.0f} MB to fetch"
