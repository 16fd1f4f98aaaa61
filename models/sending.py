"""Sending one call until a reply comes: slots, reservations of the budget, waits, and what each failure means."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace

from autodata.checkpoints.errors import CallFailed, EndpointDown
from autodata.checkpoints.usage import Usage
from autodata.models.budget import Budget, charged
from autodata.models.call import Call
from autodata.models.config import RetryConfig
from autodata.models.endings import ANSWERS
from autodata.models.endpoint import Endpoint, RoleModel
from autodata.models.faults import Fault, classify
from autodata.models.reply import Reply, to_reply

FIRST_REFUSAL = "first_refusal"
"""The node of the trivial question that is asked when the first request of an endpoint was refused."""


@dataclass
class _Spending:
    """What one request came to; nothing until a reply came, or it timed out."""

    used: Usage | None = None
    paid: bool = False


@dataclass(frozen=True)
class Sender:
    """Sends calls to their endpoints under one budget. It knows nothing of the journal."""

    retries: RetryConfig
    budget: Budget
    ask_trivial: Callable[[Call], Awaitable[None]]
    """Asks a trivial question at the endpoint of a call that was refused; a failure of it is not raised."""
    note_timeout: Callable[[Call, Usage], Awaitable[None]]
    """Keeps that the call's latest request timed out and may be billed."""

    async def send_with_retries(self, call: Call, most: Usage) -> tuple[Reply, float]:
        """Send until a reply comes; return it and the seconds that its own request took. `most` is reserved meanwhile.

        Waits between attempts are random, doubling, and end at once when the endpoint is given up or drained. Raises
        CallFailed, EndpointDown, Drained and BudgetSpent.
        """
        for tried in range(1, self.retries.max_attempts + 1):
            try:
                reply, seconds = await self._send(call, most)
            except Exception as error:
                fault = classify(error, answered=call.model.endpoint.answered)
                if fault is None:
                    raise
                if fault.doubts_configuration and not await self._takes_others(call):
                    words = f"refused its first request, so the settings are wrong: {fault.message}"
                    fault = replace(fault, kind="down", message=words)
                if fault.may_be_billed:
                    await self.note_timeout(call, most)
                await self._after_fault(call.model, fault, tried, error)
            else:
                if reply.ending in ANSWERS:
                    call.model.endpoint.succeeded()
                return reply, seconds
        raise AssertionError("unreachable: the last attempt returns or raises")

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
            with model.endpoint.health.request():
                message = await model.send(call.messages, call.seed, call.schema, call.metadata)
            seconds = time.monotonic() - started
            reply = to_reply(message, model)
            spending.used = charged(reply.tokens_in, reply.tokens_out, most, model.settings)
            spending.paid = True
        return reply, seconds

    async def _takes_others(self, call: Call) -> bool:
        """Whether an endpoint that refused a request takes others: whether it ever answered, or answers a trivial one.

        The trivial one has all the settings of the role, and none of the text. Meanwhile nothing else goes out.
        """
        endpoint = call.model.endpoint
        if endpoint.answered or endpoint.known or _asks_trivial(call):
            return True
        async with endpoint.held():
            await self.ask_trivial(call)
        return endpoint.answered

    def _slot(self, call: Call) -> AbstractAsyncContextManager[None]:
        """Hold a slot of the endpoint; the question about a first refusal goes out while others are held back."""
        return nullcontext() if _asks_trivial(call) else call.model.endpoint.slots.slot()

    @asynccontextmanager
    async def _reserved(self, call: Call, most: Usage) -> AsyncIterator[_Spending]:
        """Hold a reservation for one request, taken as soon as the endpoint may be asked and the budget has room.

        A request that timed out counts as the most it can have taken: its endpoint may bill it. Raises BudgetSpent,
        EndpointDown and Drained.
        """
        await self._reserve(call, most)
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

    async def _reserve(self, call: Call, most: Usage) -> None:
        endpoint: Endpoint = call.model.endpoint
        held_back = not _asks_trivial(call)
        while True:
            if held_back:
                await endpoint.ready()
            endpoint.raise_if_stopped()
            change = self.budget.reserve(most)
            if change is None:
                return
            if not held_back:  # what it would wait for may wait for it
                raise CallFailed(f"{endpoint.name}: no budget for a trivial question", refused=True)
            await endpoint.until(change)

    async def _after_fault(self, model: RoleModel, fault: Fault, tried: int, error: Exception) -> None:
        """Wait before the next attempt, or raise what the fault means: CallFailed or EndpointDown."""
        endpoint, retries = model.endpoint, self.retries
        endpoint.health.failed(fault.message)
        if fault.kind == "down":
            endpoint.give_up(fault.message)
            raise EndpointDown(endpoint.down or fault.message) from error
        if fault.kind == "refused":
            raise CallFailed(f"{endpoint.name} refused the request: {fault.message}", refused=True) from error
        if tried == retries.max_attempts:
            endpoint.exhausted(fault.message, retries.pause_after)
            endpoint.raise_if_down()
            raise CallFailed(f"{endpoint.name}: no reply in {tried} attempts: {fault.message}") from error
        wait = self._wait(tried)
        with endpoint.health.retry():
            if told := min(fault.retry_after or 0.0, retries.retry_after_max_seconds):
                await endpoint.hold(max(wait, told))
            else:
                await endpoint.pause(wait)

    def _wait(self, tried: int) -> float:
        """Return the seconds to wait after a failure, the `tried`th in a row."""
        longest: float = min(self.retries.max_seconds, self.retries.base_seconds * 2 ** min(tried - 1, 60))
        return longest * random.random()  # noqa: S311 - jitter


def _asks_trivial(call: Call) -> bool:
    return call.site.node == FIRST_REFUSAL
