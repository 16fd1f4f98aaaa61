"""One place through which every model call goes: journal, budget, retries, repair (rules 2, 3, 9).

A call is looked up in the journal first; only what is not there is paid for, and it is durable before it is used:

    text, parsed, answers -> _first_usable -> _complete -> Sender.send_with_retries
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel

from autodata.checkpoints.errors import CallFailed, UnusableReply
from autodata.checkpoints.protocols import Journal
from autodata.checkpoints.usage import Usage
from autodata.checkpoints.writes import record_call, record_unanswered
from autodata.checkpoints.writes.calls import Cause
from autodata.models.budget import Budget, ceiling, charged
from autodata.models.call import Call, CallSite, NoWatch, Watch, replayed
from autodata.models.coerce import ReplyModel
from autodata.models.config import BudgetConfig, RetryConfig
from autodata.models.reply import Messages, Reply, repaired
from autodata.models.role_model import RoleModel
from autodata.models.scan import Unusable
from autodata.models.seeds import seed_for
from autodata.models.sending import FIRST_REFUSAL, Sender
from autodata.models.structured import repair_message

__all__ = ["FIRST_REFUSAL", "PROBE", "Budget", "CallSite", "Caller", "Messages", "Reply"]

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

PROBE: Messages = [{"role": "user", "content": "What is 2 + 2? Answer with the number alone."}]
"""The trivial question that separates an endpoint which answers from one that does not (paper, section 5)."""


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
        self._tries = (retries or RetryConfig()).unusable_tries
        self.budget = budget or Budget(BudgetConfig())
        self._seed = (run_seed, block)
        self.on_call = on_call
        self.watch: Watch = watch or NoWatch()
        self._sender = Sender(retries or RetryConfig(), self.budget, self._ask_trivial, self._note_unanswered)

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
                beside = f": all that was written stands in {reply.beside!r}" if reply.beside else ""
                raise Unusable("empty", f"the reply was empty{beside}")

        return (await self._first_usable(site, messages, read, None))[1]

    async def parsed(
        self,
        site: CallSite,
        messages: Messages,
        schema: type[M],
        *,
        shape_is_verdict: bool = False,
        tries: int | None = None,
    ) -> tuple[M, Reply]:
        """Return a reply read into `schema`, after at most `tries` replies; each repairs the one before.

        `tries` is `retries.unusable_tries` unless given, always the same for one site.

        With `shape_is_verdict`, an epoch whose last reply broke the schema's rules is final: no later one asks again.
        A schema may name a second best, which lacks only a proof: the second reply that fits it and decides the same as
        the one before is taken, else the last that fits it once the epoch's replies are used up.
        Raises UnusableReply when none could be read, and the errors of a call.
        """

        def read(reply: Reply) -> M:
            return reply.read(schema)

        return await self._first_usable(site, messages, read, schema, tries=tries, shape_is_verdict=shape_is_verdict)

    async def answers(self, site: CallSite, *, may_pay: bool = True) -> bool:
        """Return whether a role's endpoint answers a trivial question, which is asked once an epoch.

        Without `may_pay` only earlier epochs are looked into. Raises the errors of a call.
        """

        def read(reply: Reply) -> None:
            if not re.search(r"\b(?:4|four)\b", reply.answer, re.IGNORECASE):
                raise Unusable("empty", "the trivial question was not answered")

        try:
            await self._first_usable(site, PROBE, read, None, tries=1, may_pay=may_pay)
        except UnusableReply:
            return False
        return True

    async def _first_usable(
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
        last, reply, tries = Unusable("empty", "no reply"), Reply("", "", None, None, None), tries or self._tries
        for epoch in range(site.epoch + 1):
            turn = messages
            unproved: tuple[Any, Reply] | None = None
            for number in range(tries):
                call = self._call(site, turn, schema, number, epoch)
                completed = await self._complete(call, may_pay=may_pay and epoch == site.epoch)
                if completed is None:
                    break
                reply = completed
                try:
                    reply.require_answer()
                    return read(reply), reply
                except Unusable as error:
                    last, call.unusable = error, str(error)
                    bare: Any = reply.second_best(schema)
                    if bare is not None:
                        if unproved and _decided(unproved[0]) == _decided(bare):
                            return bare, reply
                        unproved = bare, reply
                finally:
                    self.watch.call_ended(call)
                if reply.ending == "refused":
                    break
                if last.kind == "ended":
                    await self._sender.pause_after(call, reply, str(last), number + 1, tries)
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
        return UnusableReply(f"{site.role}: no usable reply: {last}", shape=last.shape, replayed=reply.replayed)

    def _call(
        self, site: CallSite, messages: Messages, schema: type[BaseModel] | None, number: int, epoch: int
    ) -> Call:
        """Return one try of an epoch, with a seed of its own."""
        who = f"{site.node}/{site.role}"
        seed = seed_for(*self._seed, site.document_id, site.n, who, site.index, number, epoch)
        return Call(site, self.roles[site.role], messages, schema, seed, number, epoch)

    async def _complete(self, call: Call, *, may_pay: bool) -> Reply | None:
        """Return a call's reply: from the journal, else paid for and journalled; None where it may not be paid for."""
        thread, journal = call.site.thread_id, self._journal
        row = await journal.find_call(call.key, thread) or await journal.find_call(call.key_of_version_3, thread)
        if row:
            call.reply = replayed(row)
            return call.reply
        if not may_pay:
            return None
        call.model.endpoint.raise_if_stopped()
        most = ceiling(call.settings, call.messages)
        self.budget.require(most)
        self.watch.call_started(call)
        try:
            call.reply, seconds = await self._sender.send_with_retries(call, most)
            used = charged(call.reply.tokens_in, call.reply.tokens_out, most, call.settings)
            await record_call(self._journal, call.paid(call.reply, used, seconds), call.model.endpoint.to_keep())
            await self._sender.settle_paid(call, used)
        except BaseException as error:  # reported to the tracer, and raised as it is
            call.error = error
            self.watch.call_ended(call)
            raise
        self.on_call(call.site, call.reply)
        return call.reply

    async def _ask_trivial(self, call: Call) -> None:
        """Ask the endpoint of a call that was refused a trivial question; whether it answers is seen there."""
        with suppress(CallFailed):
            await self.answers(replace(call.site, node=FIRST_REFUSAL, index="0"))

    async def _note_unanswered(self, call: Call, cause: Cause, most: Usage) -> None:
        """Keep that a request got no reply, so that people and later sessions know what may be billed."""
        call.unanswered += 1
        await record_unanswered(self._journal, call.without_reply(cause, most))


def _decided(found: Any) -> Any:
    return found.decided() if isinstance(found, ReplyModel) else found
