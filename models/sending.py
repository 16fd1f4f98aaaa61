"""Sending one call until a reply comes: slots, reservations of the budget, waits, and what each failure means."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace

from autodata.checkpoints.errors import CallFailed, EndpointDown
from autodata.checkpoints.usage import Usage
from autodata.checkpoints.writes.calls import Cause
from autodata.models.budget import Budget, charged
from autodata.models.call import Call
from autodata.models.config import RetryConfig
from autodata.models.dialect import names_a_field
from autodata.models.endings import ANSWERS, PROMPT_CUT, reason_with
from autodata.models.endpoint import PROBE_AFTER, Endpoint
from autodata.models.faults import Fault, classify
from autodata.models.prompt_length import counted, cut_short
from autodata.models.reach import what_to_do, where_to_look
from autodata.models.reply import PLAIN, Reply, to_reply

logger = logging.getLogger(__name__)

FIRST_REFUSAL = "first_refusal"
"""The node of the trivial question that is asked when the first request of an endpoint was refused."""


SHARED_PAUSE = 0.5
"""Seconds until a budget that other processes' requests hold is asked again."""

_OF_TEMPLATES = frozenset({400, 422, 500})
"""Statuses with which servers answer when the model's template fails."""


@dataclass
class _Spending:
    """What one request came to; nothing until a reply came, it timed out, or it was called off."""

    used: Usage | None = None
    paid: bool = False


@dataclass(frozen=True)
class Sender:
    """Sends calls to their endpoints under one budget. It knows nothing of the journal."""

    retries: RetryConfig
    budget: Budget
    ask_trivial: Callable[[Call], Awaitable[None]]
    """Asks a trivial question at the endpoint of a call that was refused; a failure of it is not raised."""
    note_unanswered: Callable[[Call, Cause, Usage], Awaitable[None]]
    """Keeps that the call's latest request got no reply, for this cause, and may be billed."""

    async def send_with_retries(self, call: Call, most: Usage) -> tuple[Reply, float]:
        """Send until a reply comes; return it and the seconds that its own request took. `most` is reserved meanwhile.

        Waits between attempts are random, doubling, and end at once when the endpoint is given up or drained. Raises
        CallFailed, EndpointDown, Drained and BudgetSpent.
        """
        tried = 0
        while True:
            tried += 1
            try:
                reply, seconds = await self._send(call, most)
            except Exception as error:
                fault = classify(error, answered=call.model.endpoint.answered)
                if fault is None:
                    raise
                if missed := call.model.endpoint.missed(fault, call.left):
                    await self._after_nothing(call, fault, missed, error)
                    tried -= 1
                    continue
                if fault.doubts_configuration:
                    before = call.model.endpoint.found.dialect
                    if not await self._takes_others(call, error):
                        words = f"refused its first request, so the settings are wrong: {fault.message}"
                        fault = replace(fault, kind="down", message=words)
                    elif call.model.endpoint.found.dialect != before:
                        continue
                if fault.may_be_billed:
                    await self.note_unanswered(call, "unreadable" if fault.unreadable else "timeout", most)
                last = fault.kind == "refused" or tried == self.retries.max_attempts
                sent = await self._without_system(call, fault, most) if last else None
                if sent is None:
                    await self._after_fault(call, fault, tried, error)
                    continue
                reply, seconds = sent
            call.model.endpoint.responded()
            if reply.ending in ANSWERS:
                call.model.endpoint.succeeded()
            return reply, seconds

    async def settle_paid(self, call: Call, used: Usage) -> None:
        """Settle the reservation of a reply that is in the journal, where other processes spend of the budget.

        Not before: what a dead process had reserved is either found in the journal or may have been billed.
        """
        if call.held and self.budget.shared is not None:
            held, call.held = call.held, ""
            await self.budget.shared.settle(held, used, paid=True)

    async def pause_after(self, call: Call, reply: Reply, message: str, tried: int, tries: int) -> None:
        """Wait before a call whose reply ended badly is made again; after the last try count it as one without reply.

        A reply from the journal is asked for again at once. Raises EndpointDown and Drained.
        """
        if reply.replayed:
            return
        endpoint = call.model.endpoint
        if tried < tries:
            await endpoint.pause(self._wait(tried))
            return
        endpoint.exhausted(message, self.retries.pause_after)
        endpoint.raise_if_down()

    async def _send(self, call: Call, most: Usage) -> tuple[Reply, float]:
        """Send one request, once there is a slot and room in the budget."""
        model = call.model
        async with self._slot(call), self._reserved(call, most) as spending:
            started = time.monotonic()
            call.requests += 1
            call.left = model.endpoint.leaving()
            try:
                with model.endpoint.health.request():
                    message = await model.send(call.messages, call.seed, call.schema, call.metadata, on_sent=call.sent)
            except asyncio.CancelledError:
                if call.in_flight and not model.settings.free:
                    spending.used = most
                    await self._note_cancelled(call, most)
                raise
            finally:
                call.in_flight = False
            seconds = time.monotonic() - started
            reply = to_reply(message, model, call.schema)
            if cut := cut_short(model.endpoint.prompts.new_of(call.messages), counted(message)):
                model.endpoint.found.report(cut)
                reply = replace(reply, finish_reason=reason_with(PROMPT_CUT, cut))
            spending.used = charged(reply.tokens_in, reply.tokens_out, most, model.settings)
            spending.paid = True
        return reply, seconds

    async def _note_cancelled(self, call: Call, most: Usage) -> None:
        """Keep that a request was called off while its endpoint worked on it: it goes on there, and may be billed."""
        try:
            await self.note_unanswered(call, "cancelled", most)
        except Exception:  # a ledger that cannot be written any more must not hide that the work is over
            logger.debug("a cancelled request could not be recorded", exc_info=True)

    async def _takes_others(self, call: Call, error: Exception) -> bool:
        """Whether an endpoint that refused a request takes others: whether it ever answered, or answers a trivial one.

        The trivial one has all the settings of the role, and none of the text. Where it is refused, too, and `error`
        names none of the settings, it is asked without each of those that servers refuse, and a dialect in which it is
        answered is kept. Meanwhile nothing else goes out.
        """
        endpoint, found = call.model.endpoint, call.model.endpoint.found
        if endpoint.answered or endpoint.known or _asks_trivial(call):
            return True
        async with found.one_asks, endpoint.held():
            endpoint.raise_if_down()  # whoever asked before has found it out
            if endpoint.answered:
                return True
            await self.ask_trivial(call)
            if endpoint.answered or endpoint.down is not None or names_a_field(error, call.model.sent(call.messages)):
                return endpoint.answered
            for guess in found.dialect.guesses(call.model.sent(PLAIN)):
                with found.trying(guess) as trial:
                    await self.ask_trivial(call)
                if endpoint.answered:
                    found.speak(trial.dialect)
                    found.settled()
                if endpoint.answered or endpoint.down is not None:
                    break
        return endpoint.answered

    async def _without_system(self, call: Call, fault: Fault, most: Usage) -> tuple[Reply, float] | None:
        """Send once more with the system text within the first question, where that may be what fails; None for no.

        Some templates fail for the role without a word. It is tried only where no request with one was ever answered.
        """
        endpoint, found = call.model.endpoint, call.model.endpoint.found
        before = found.dialect
        unexplained = fault.status in _OF_TEMPLATES and not (fault.about_input or found.system_taken or endpoint.known)
        if not unexplained or before.folded or "system" not in call.model.sent(call.messages):
            return None
        try:
            with found.trying(replace(before, folded=True)) as trial:
                sent = await self._send(call, most)
        except Exception as error:
            if classify(error) is None:
                raise
            return None
        if found.dialect == before:
            found.speak(trial.dialect)
            found.settled()
        return sent

    def _slot(self, call: Call) -> AbstractAsyncContextManager[None]:
        """Hold a slot of the endpoint; the question about a first refusal goes out while others are held back."""
        return nullcontext() if _asks_trivial(call) else call.model.endpoint.slots.slot()

    @asynccontextmanager
    async def _reserved(self, call: Call, most: Usage) -> AsyncIterator[_Spending]:
        """Hold a reservation for one request, taken as soon as the endpoint may be asked and the budget has room.

        A request without a reply counts as the most it can have taken: its endpoint may bill it. Raises BudgetSpent,
        EndpointDown and Drained.
        """
        held = await self._reserve(call, most)
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
            if spending.paid:
                call.held = held
            elif held and self.budget.shared is not None:
                await self.budget.shared.settle(held, spending.used, paid=False)

    async def _reserve(self, call: Call, most: Usage) -> str:
        """Reserve a request; return by what it is settled where other processes spend of the budget, else nothing."""
        endpoint: Endpoint = call.model.endpoint
        held_back = not _asks_trivial(call)
        while True:
            if held_back:
                await endpoint.ready()
            endpoint.raise_if_stopped()
            change = self.budget.reserve(most)
            if change is None:
                return await self._reserve_shared(call, most)
            if not held_back:  # what it would wait for may wait for it
                raise CallFailed(f"{endpoint.name}: no budget for a trivial question", refused=True)
            await endpoint.until(change)

    async def _reserve_shared(self, call: Call, most: Usage) -> str:
        """Reserve a request where other processes spend of the same budget, once their requests leave room for it."""
        if self.budget.shared is None:
            return ""
        try:
            while not (held := await self.budget.shared.hold(call, most)):
                await call.model.endpoint.pause(SHARED_PAUSE)
        except BaseException:
            self.budget.settle(most, None, paid=False)
            raise
        return held

    async def _after_fault(self, call: Call, fault: Fault, tried: int, error: Exception) -> None:
        """Wait before the next attempt, or raise what the fault means: CallFailed or EndpointDown."""
        endpoint, retries = call.model.endpoint, self.retries
        endpoint.health.failed(fault.message)
        if fault.kind == "down":
            endpoint.give_up(f"{fault.message}: {what_to_do(fault, call.settings)}")
            raise EndpointDown(endpoint.down or fault.message) from error
        if fault.kind == "refused":
            endpoint.responded()
            raise CallFailed(f"{endpoint.name} refused the request: {fault.message}", refused=True) from error
        most = retries.probes or PROBE_AFTER * retries.max_attempts
        # A server that is asked too much, or fails, has a place to look; a request that timed out names its setting.
        advice = f": {what_to_do(fault, call.settings)}" if fault.asked_too_much or (fault.status or 0) >= 500 else ""
        endpoint.failed(call.key, replace(fault, message=f"{fault.message}{advice}"), call.left, most)
        if tried == retries.max_attempts:
            endpoint.exhausted(f"{fault.message}{advice}", retries.pause_after)
            endpoint.raise_if_down()
            raise CallFailed(f"{endpoint.name}: no reply in {tried} attempts: {fault.message}") from error
        alone = call.left.alone and endpoint.probes is not None
        wait = self._wait(tried)
        with endpoint.health.retry():
            asked = min(fault.retry_after or 0.0, retries.retry_after_max_seconds)
            if asked or alone:
                await endpoint.hold(max(wait, asked))
            else:
                await endpoint.pause(wait)

    async def _after_nothing(self, call: Call, fault: Fault, missed: int, error: Exception) -> None:
        """Hold all requests back for a moment, after `missed` that found nothing at an address where nothing ever was.

        These are no attempts of the call. Raises EndpointDown after the last one: another call would find nothing.
        """
        endpoint = call.model.endpoint
        endpoint.health.failed(fault.message)
        if missed >= self.retries.unreached_tries:
            advice = where_to_look(fault.message, call.settings)
            endpoint.give_up(f"nothing was reached in {missed} tries: {fault.message}: {advice}")
            raise EndpointDown(endpoint.down or fault.message) from error
        with endpoint.health.retry():
            await endpoint.hold(self._longest_wait(missed))

    def _longest_wait(self, tried: int) -> float:
        return float(min(self.retries.max_seconds, self.retries.base_seconds * 2 ** min(tried - 1, 60)))

    def _wait(self, tried: int) -> float:
        """Return the seconds to wait after a failure, the `tried`th in a row."""
        longest = self._longest_wait(tried)
        return longest * random.random()  # noqa: S311 - jitter


def _asks_trivial(call: Call) -> bool:
    return call.site.node == FIRST_REFUSAL
