"""One place through which every model call goes: journal, budget, retries, repair (laws 2, 3, 9).

A call is looked up in the journal first; only what is not there is paid for, and it is durable before it is used.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

from langchain_core.messages import AIMessage
from pydantic import BaseModel

from autodata.checkpoints.records import Journal, canonical_json, digest
from autodata.models.budget import Budget, Usage, ceiling, charged, told_usage
from autodata.models.call import Call, NoWatch, Watch
from autodata.models.coerce import ReplyModel
from autodata.models.config import BudgetConfig, RetryConfig
from autodata.models.endings import ANSWERS, Ending, ending_of, explained, reason_with
from autodata.models.endpoint import Fault, RoleModel, classify
from autodata.models.errors import CallFailed, EndpointDown, UnusableReply
from autodata.models.structured import Unusable, parse_reply, repair_message, strip_reasoning
from autodata.models.texts import clean

__all__ = ["FIRST_REFUSAL", "PROBE", "Budget", "CallSite", "Caller", "Messages", "Reply", "seed_for"]

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Messages = list[dict[str, str]]


PROBE: Messages = [{"role": "user", "content": "What is 2 + 2? Answer with the number alone."}]
"""The trivial question that tells an endpoint which answers from one that does not (paper, section 5)."""
FIRST_REFUSAL = "first_refusal"
"""The node of the trivial question that is asked when the first request of an endpoint was refused."""


def seed_for(*parts: object) -> int:
    """Return a seed in 0..2**31-1 that depends on every part and on nothing else."""
    return int(digest(list(parts)), 16) & 0x7FFFFFFF


@dataclass(frozen=True)
class CallSite:
    """Where in a run a call stands; with the messages and parameters it is the call's identity."""

    thread_id: str
    document_id: str
    n: int
    node: str
    role: str
    index: str = "0"
    """Which of the node's calls: an attempt's number, or `weak/0` for the mark of one."""
    epoch: int = 0
    prompt_version: str = ""


@dataclass(frozen=True)
class Reply:
    """One completed call."""

    text: str
    finish_reason: str
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    replayed: bool = False

    @property
    def ending(self) -> Ending:
        """How it ended; only `whole` and `cut` ones are answers."""
        return ending_of(self.finish_reason)

    @property
    def truncated(self) -> bool:
        """Whether a limit of tokens or context cut it off."""
        return self.ending == "cut"

    @cached_property
    def answer(self) -> str:
        """The text without reasoning."""
        return strip_reasoning(clean(self.text))


@dataclass(frozen=True)
class _Request:
    site: CallSite
    epoch: int
    number: int
    messages: Messages
    schema: type[BaseModel] | None


@dataclass
class _Spending:
    """What one request came to; nothing until a reply came, or it timed out."""

    used: Usage | None = None
    paid: bool = False


class Caller:
    """Makes the calls of a run. One per evaluation; safe to share between all its documents."""

    def __init__(
        self,
        journal: Journal,
        roles: Mapping[str, RoleModel],
        *,
        retries: RetryConfig | None = None,
        budget: Budget | None = None,
        run_seed: int = 0,
        block: int = 0,
        on_call: Callable[[CallSite, Reply], None] = lambda site, reply: None,
        watch: Watch | None = None,
    ) -> None:
        self._journal = journal
        self.roles = roles
        self._retries = retries or RetryConfig()
        self.budget = budget or Budget(BudgetConfig())
        self._seed = (run_seed, block)
        self.on_call = on_call
        self.watch: Watch = watch or NoWatch()

    def drain(self) -> None:
        """Send nothing more: calls not yet sent raise Drained at once; those in flight are waited for and journalled.

        What the journal holds is replayed all the same.
        """
        for model in self.roles.values():
            model.endpoint.drain()

    async def text(self, site: CallSite, messages: Messages) -> Reply:
        """Return a free-text reply. An empty one is asked for again, unless the token limit cut it off.

        Raises UnusableReply when every reply was empty, and the errors of a call.
        """

        def read(reply: Reply) -> None:
            if not reply.answer and not reply.truncated:
                raise Unusable("empty", "the reply was empty")

        return (await self._usable(site, messages, read, None))[1]

    async def parsed(
        self, site: CallSite, messages: Messages, schema: type[M], *, shape_is_verdict: bool = False
    ) -> tuple[M, Reply]:
        """Return a reply read into `schema`, after at most `unusable_tries` replies; each repairs the one before.

        With `shape_is_verdict`, an epoch whose last reply broke the schema's rules is final: no later one asks again.
        A schema may name a second best, which lacks only a proof: the second reply that fits it and decides the same as
        the one before is taken, else the last that fits it once the epoch's replies are used up.
        Raises UnusableReply when none could be read, and the errors of a call.
        """

        def read(reply: Reply) -> M:
            return parse_reply(reply.text, schema, finish_reason=_finish(reply))

        return await self._usable(site, messages, read, schema, shape_is_verdict=shape_is_verdict)

    async def answers(self, site: CallSite, *, may_pay: bool = True) -> bool:
        """Return whether a role's endpoint answers a trivial question, which is asked once an epoch.

        Without `may_pay` only earlier epochs are looked into. Raises the errors of a call.
        """

        def read(reply: Reply) -> None:
            if not re.search(r"\b(?:4|four)\b", reply.answer, re.IGNORECASE):
                raise Unusable("empty", "the trivial question was not answered")

        try:
            await self._usable(site, PROBE, read, None, tries=1, may_pay=may_pay)
        except UnusableReply:
            return False
        return True

    async def _usable(
        self,
        site: CallSite,
        messages: Messages,
        read: Callable[[Reply], T],
        schema: type[BaseModel] | None,
        *,
        tries: int | None = None,
        may_pay: bool = True,
        shape_is_verdict: bool = False,
    ) -> tuple[T, Reply]:
        """Walk the tries of every epoch in order: old ones replay, and only the present epoch may pay.

        A reply that ended for a reason of the server's is no answer: it counts as a try, and is asked for again as it
        was; one that a filter ended is not. Raises CallFailed when such a reply was the last.
        """
        last, reply = Unusable("empty", "no reply"), Reply("", "", None, None, None)
        for epoch in range(site.epoch + 1):
            turn = messages
            unproved: tuple[T, Reply] | None = None
            for number in range(tries or self._retries.unusable_tries):
                request = _Request(site, epoch, number, turn, schema)
                completed = await self._complete(request, may_pay=may_pay and epoch == site.epoch)
                if completed is None:
                    break
                call, reply = completed
                try:
                    _require_answer(reply)
                    return read(reply), reply
                except Unusable as error:
                    last, call.unusable = error, str(error)
                    bare = _second_best(reply, schema)
                    if bare and unproved and _decided(unproved[0]) == _decided(bare[0]):
                        return bare
                    unproved = bare or unproved
                finally:
                    self.watch.call_ended(call)
                if reply.ending == "refused":
                    break
                if last.kind == "ended":
                    await self._after_bad_ending(site, reply, str(last), number + 1, tries)
                    continue
                turn = repaired(messages, reply, last, repair_message(last, schema, number + 1)) if schema else messages
            else:
                if unproved:
                    return unproved
                if shape_is_verdict and last.shape:
                    break
        raise self._unanswered(site, last, reply, may_pay=may_pay)

    def _unanswered(self, site: CallSite, last: Unusable, reply: Reply, *, may_pay: bool) -> CallFailed | UnusableReply:
        """Return what it means that no try gave an answer."""
        if last.kind == "ended" and may_pay:
            refused = reply.ending == "refused"
            return CallFailed(f"{self.roles[site.role].endpoint.name}: {last}", refused=refused)
        return UnusableReply(f"{site.role}: no usable reply: {last}", shape=last.shape)

    async def _after_bad_ending(
        self, site: CallSite, reply: Reply, message: str, tried: int, tries: int | None
    ) -> None:
        """Wait before a reply is asked for again; after the last try count the call as one without a reply.

        A reply from the journal is asked for again at once.
        """
        if reply.replayed:
            return
        endpoint, retries = self.roles[site.role].endpoint, self._retries
        if tried < (tries or retries.unusable_tries):
            await endpoint.pause(_wait(retries, tried))
            return
        endpoint.exhausted(message, retries.pause_after)
        endpoint.raise_if_down()

    async def _complete(self, request: _Request, *, may_pay: bool) -> tuple[Call, Reply] | None:
        site, model = request.site, self.roles[request.site.role]
        seed = seed_for(
            *self._seed, site.document_id, site.n, f"{site.node}/{site.role}", site.index, request.number, request.epoch
        )
        params = {**model.params, "seed": seed, "schema": request.schema.__name__ if request.schema else None}
        # What stands here is in the keys of every run folder: a change makes all that was paid for unknown. It needs a
        # migration, and tests/unit/test_calls.py holds a key by which it is seen.
        identity = {
            "thread": site.thread_id,
            "round": site.n,
            "node": site.node,
            "index": site.index,
            "try": request.number,
            "epoch": request.epoch,
            "provider": model.settings.provider,
            "base_url": model.address,
            "model": model.settings.model,
            "params": params,
            "messages": request.messages,
        }
        key = digest(identity, 64)
        call = Call(key, site, request.number, request.epoch, model.settings, params, request.messages)
        if row := await self._journal.find_call(key) or await self._journal.find_call(_key_of_version_3(identity)):
            call.reply = Reply(
                row["response"], row["finish_reason"], row["tokens_in"], row["tokens_out"], row["cost_usd"], True
            )
            return call, call.reply
        if not may_pay:
            return None
        model.endpoint.raise_if_stopped()
        most = ceiling(model.settings, request.messages)
        self.budget.require(most)
        reply: Reply | None = None
        self.watch.call_started(call)
        try:
            reply, seconds = await self._request(request, model, seed, call, most)
            used = charged(reply.tokens_in, reply.tokens_out, most, model.settings)
            row = {
                "key": key,
                "document_id": site.document_id,
                "thread_id": site.thread_id,
                "n": site.n,
                "role": site.role,
                "node": site.node,
                "idx": site.index,
                "try": request.number,
                "epoch": request.epoch,
                "model": model.settings.model,
                "params": canonical_json(params),
                "messages_hash": digest(request.messages, 64),
                "prompt_version": site.prompt_version,
                "response": reply.text,
                "finish_reason": reply.finish_reason,
                "tokens_in": reply.tokens_in,
                "tokens_out": reply.tokens_out,
                "latency_s": round(seconds, 3),
                "cost_usd": reply.cost_usd,
                "charged_in": used.tokens_in,
                "charged_out": used.tokens_out,
                "charged_usd": used.usd,
                "created_at": _now(),
            }
            await self._journal.save(calls=[row])
        except BaseException as error:  # told to the tracer, and raised as it is
            call.reply, call.error = reply, error
            self.watch.call_ended(call)
            raise
        call.reply = reply
        self.on_call(site, reply)
        return call, reply

    async def _request(
        self, request: _Request, model: RoleModel, seed: int, call: Call, most: Usage
    ) -> tuple[Reply, float]:
        """Send until a reply comes; return it and the seconds that its own request took.

        Waits between attempts are random, doubling, and end at once when the endpoint is given up or drained.
        """
        endpoint, retries = model.endpoint, self._retries
        for tried in range(1, retries.max_attempts + 1):
            try:
                async with self._slot(request, model), self._reserved(request, model, most) as spending:
                    started = time.monotonic()
                    call.requests = tried
                    message = await model.send(request.messages, seed, request.schema, call.metadata)
                    seconds = time.monotonic() - started
                    reply = to_reply(message, model)
                    spending.used = charged(reply.tokens_in, reply.tokens_out, most, model.settings)
                    spending.paid = True
            except Exception as error:
                fault = classify(error, answered=endpoint.answered)
                if fault is None:
                    raise
                if fault.doubts_configuration and not await self._takes_others(request, model):
                    words = f"refused its first request, so the settings are wrong: {fault.message}"
                    fault = replace(fault, kind="down", message=words)
                if fault.may_be_billed:
                    await self._note_timeout(call, most)
                await self._after_fault(model, fault, tried, error)
            else:
                if reply.ending in ANSWERS:
                    endpoint.succeeded()
                return reply, seconds
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _takes_others(self, request: _Request, model: RoleModel) -> bool:
        """Whether an endpoint that refused a request takes others: whether it ever answered, or answers a trivial one.

        The trivial one has all the settings of the role, and none of the text. Meanwhile nothing else goes out.
        """
        endpoint = model.endpoint
        if endpoint.answered or endpoint.known or request.site.node == FIRST_REFUSAL:
            return True
        async with endpoint.held():
            with suppress(CallFailed):
                await self.answers(replace(request.site, node=FIRST_REFUSAL, index="0"))
        return endpoint.answered

    def _slot(self, request: _Request, model: RoleModel) -> AbstractAsyncContextManager[None]:
        """Hold a slot of the endpoint; the question about a first refusal goes out while others are held back."""
        return nullcontext() if request.site.node == FIRST_REFUSAL else model.endpoint.slots.slot()

    @asynccontextmanager
    async def _reserved(self, request: _Request, model: RoleModel, most: Usage) -> AsyncIterator[_Spending]:
        """Hold a reservation for one request, taken as soon as the endpoint may be asked and the budget has room.

        A request that timed out counts as the most it can have taken: its endpoint may bill it. Raises BudgetSpent,
        EndpointDown and Drained.
        """
        endpoint, held_back = model.endpoint, request.site.node != FIRST_REFUSAL
        while True:
            if held_back:
                await endpoint.ready()
            endpoint.raise_if_stopped()
            change = self.budget.reserve(most)
            if change is None:
                break
            if not held_back:  # what it would wait for may wait for it
                raise CallFailed(f"{endpoint.name}: no budget for a trivial question", refused=True)
            await endpoint.until(change)
        spending = _Spending()
        try:
            yield spending
        except Exception as error:
            fault = classify(error)
            if fault is not None and fault.may_be_billed:
                spending.used = most
            raise
        finally:
            self.budget.settle(most, spending.used, paid=spending.paid)

    async def _note_timeout(self, call: Call, most: Usage) -> None:
        """Keep that a request timed out, so that people and later sessions know what may be billed."""
        row = {
            "timeout_id": digest([call.key, call.requests, _now(), time.monotonic_ns()], 64),
            "call_key": call.key,
            "document_id": call.site.document_id,
            "thread_id": call.site.thread_id,
            "role": call.site.role,
            "model": call.settings.model,
            "charged_in": most.tokens_in,
            "charged_out": most.tokens_out,
            "charged_usd": most.usd,
            "created_at": _now(),
        }
        await self._journal.save(timeouts=[row])

    async def _after_fault(self, model: RoleModel, fault: Fault, tried: int, error: Exception) -> None:
        """Wait before the next attempt, or raise what the fault means: CallFailed or EndpointDown."""
        endpoint, retries = model.endpoint, self._retries
        if fault.kind == "down":
            endpoint.give_up(fault.message)
            raise EndpointDown(endpoint.down or fault.message) from error
        if fault.kind == "refused":
            raise CallFailed(f"{endpoint.name} refused the request: {fault.message}", refused=True) from error
        if tried == retries.max_attempts:
            endpoint.exhausted(fault.message, retries.pause_after)
            endpoint.raise_if_down()
            raise CallFailed(f"{endpoint.name}: no reply in {tried} attempts: {fault.message}") from error
        wait = _wait(retries, tried)
        if told := min(fault.retry_after or 0.0, retries.retry_after_max_seconds):
            await endpoint.hold(max(wait, told))
        else:
            await endpoint.pause(wait)


def _key_of_version_3(identity: Mapping[str, Any]) -> str:
    """Return the key that a call had in run folders of schema 1 to 3, which did not tell servers apart.

    Only replies from such a folder are found by it: there the folder and the model's name vouch for them, as ever.
    """
    return digest({name: value for name, value in identity.items() if name not in {"provider", "base_url"}}, 64)


def _second_best(reply: Reply, schema: type[BaseModel] | None) -> tuple[Any, Reply] | None:
    """Return a reply read as what a schema names as its second best, with the reply; None without one."""
    bare = schema.second_best if schema and issubclass(schema, ReplyModel) and reply.ending in ANSWERS else None
    try:
        return (parse_reply(reply.text, bare, finish_reason=_finish(reply)), reply) if bare else None
    except Unusable:
        return None


def _decided(found: Any) -> Any:
    return found.decided() if isinstance(found, ReplyModel) else found


def _wait(retries: RetryConfig, tried: int) -> float:
    """Return the seconds to wait after a failure, the `tried`th in a row."""
    longest: float = min(retries.max_seconds, retries.base_seconds * 2 ** min(tried - 1, 60))
    return longest * random.random()  # noqa: S311 - jitter


def _require_answer(reply: Reply) -> None:
    """Raise Unusable for a reply that ended as no answer does."""
    if reply.ending not in ANSWERS:
        raise Unusable("ended", explained(reply.finish_reason))


def _finish(reply: Reply) -> str:
    return "length" if reply.truncated else reply.finish_reason


def repaired(messages: Messages, reply: Reply, error: Unusable, complaint: str) -> Messages:
    """Return the messages that ask to repair a reply. One that was cut off or empty is not shown again."""
    if error.kind in {"not_json", "invalid"}:
        shown = {"role": "assistant", "content": reply.answer or reply.text}
        return [*messages, shown, {"role": "user", "content": complaint}]
    *earlier, last = messages  # one message: some servers refuse two turns of the same side in a row
    return [*earlier, {**last, "content": f"{last['content']}\n\n{complaint}"}]


def to_reply(message: AIMessage, model: RoleModel) -> Reply:
    """Return what a provider's message says, whatever the provider calls it."""
    usage: Mapping[str, Any] = message.usage_metadata or {}
    metadata = message.response_metadata
    told = ("finish_reason", "stop_reason", "stopReason", "done_reason")  # each provider has its own name for it
    finish = next((metadata[name] for name in told if metadata.get(name)), "stop")
    # Half a surrogate pair can be neither stored nor hashed; control characters have no business in any text.
    text = clean(str(message.text).encode("utf-8", "replace").decode())
    error, refusal = metadata.get("error"), message.additional_kwargs.get("refusal")
    if error:
        said = error.get("message") if isinstance(error, Mapping) else error
        finish = reason_with(finish if ending_of(str(finish)) not in ANSWERS else "error", said)
    elif refusal and not text.strip():
        finish = reason_with("refusal", refusal)
    reply = Reply(text, str(finish), None, None, None)
    tokens_in, tokens_out = told_usage(usage, text=text, truncated=reply.truncated)
    return replace(reply, tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=model.cost(tokens_in, tokens_out))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
