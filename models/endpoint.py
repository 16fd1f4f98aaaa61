"""An endpoint as the calls see it: how many requests at once, whether it is down, which structured output it takes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from autodata.checkpoints.errors import Drained, EndpointDown
from autodata.models.faults import Fault
from autodata.models.found import Found
from autodata.models.health import Health
from autodata.models.prompt_length import Prompts
from autodata.models.reach import Reach
from autodata.models.slots import Slots

WireFormat = Literal["json_schema", "json_object", "none"]
FORMATS: tuple[WireFormat, ...] = ("json_schema", "json_object", "none")
"""From the one that says most of a reply to none at all."""


LAPSED_PAUSE = 0.1
"""Seconds between two looks whether a share that lapsed was renewed."""
PROBE_AFTER = 4
"""Calls in a row without a reply after which requests go out one at a time, in turn: then it takes as many requests as
these calls may have each before the endpoint is given up, for some calls fail several times and are answered then."""


@dataclass(frozen=True)
class Leaving:
    """How an endpoint stood when a request left for it."""

    reductions: int = 0
    """How often its slots had been lowered."""
    alone: bool = False
    """Whether requests went out one at a time, to see whether it is back."""
    missed: int = 0
    """How many requests had found nothing at its address."""


class Endpoint:
    """Shared by all roles that use the same model at the same address."""

    def __init__(self, name: str, max_concurrency: int, *, structured: bool = True, local: bool = False) -> None:
        self.name = name
        self.text_limits = local
        """Whether schemas go out with the lengths of texts: llama.cpp keeps to them, other servers may refuse them."""
        self.slots = Slots(max_concurrency)
        self.health = Health()
        self.reach = Reach()
        self.down: str | None = None
        """Why the endpoint was given up; None while it is in use."""
        self.wire_format: WireFormat | None = None if structured else "none"
        """The structured output it takes; None until the first structured reply has shown it."""
        self.schema_formats: dict[str, WireFormat] = {}
        """The structured output it has taken for each schema, by the schema's name."""
        self.answered = False
        """Whether any reply came from it in this session."""
        self.known = False
        """Whether the run folder holds replies of its model already."""
        self.stream_usage = True
        """Whether streams are asked for their token counts; False once the server has refused `stream_options`."""
        self.found = Found(name)
        """How requests are changed for it, and what else was found out."""
        self.prompts = Prompts()
        """How long its prompts were, to see when the server counts too few tokens for one."""
        self._drained = False
        self._formats_from: dict[str, WireFormat] = {}
        self._first_format: WireFormat = FORMATS[0]
        self._probing: asyncio.Event | None = None
        self._probe_failed = False
        self._stopped = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._holding = 0
        self._failures_in_a_row = 0
        self._without_reply: set[str] = set()
        self.probes: int | None = None
        """Requests in a row without a reply that went out alone, to see whether it is back; None while it answers."""

    def raise_if_down(self) -> None:
        """Raise EndpointDown once the endpoint was given up."""
        if self.down is not None:
            raise EndpointDown(self.down)

    def raise_if_stopped(self) -> None:
        """Raise EndpointDown once the endpoint was given up, Drained once the session is ending."""
        self.raise_if_down()
        if self._drained:
            raise Drained(f"{self.name}: the call was not sent, for the run is ending")

    def succeeded(self) -> None:
        """Note a reply that can be used: the row of failures is broken."""
        self.answered = True
        self._failures_in_a_row = 0
        self.slots.answered()

    def responded(self) -> None:
        """Note a reply of any kind, a refusal too: the server is there, and requests go out side by side again."""
        self._without_reply.clear()
        self.probes = None
        self.slots.side_by_side()

    def exhausted(self, message: str, pause_after: int) -> None:
        """Note a call that got no reply in all its attempts; the `pause_after`th in a row gives the endpoint up."""
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= pause_after:
            self.give_up(f"{self._failures_in_a_row} calls in a row failed: {message}")

    def leaving(self) -> Leaving:
        """Return how the endpoint stands when a request leaves for it; `failed` and `missed` ask for it."""
        return Leaving(self.slots.reductions, alone=self.probes is not None, missed=self.reach.tries)

    def missed(self, fault: Fault, left: Leaving) -> int:
        """Return how many requests in a row found nothing at the address, with this one; 0 once anything was there.

        An endpoint that answered before, in this session or an earlier one of the run, may come back: there it is 0.
        """
        if self.answered or self.known:
            return 0
        self.reach.found = self.reach.found or not fault.nothing_there
        return 0 if self.reach.found else self.reach.missed(left.missed)

    def failed(self, call: str, fault: Fault, left: Leaving, most: int) -> None:
        """Note a request without a reply, by its call's key.

        A server that is asked too much is asked less at once. When several calls in a row had no reply, requests go
        out one at a time until one is answered; after `most` of those in a row the endpoint is given up.
        """
        if fault.asked_too_much:
            self.slots.reduce(left.reductions)
        if self.probes is None:
            self._without_reply.add(call)
            if len(self._without_reply) >= PROBE_AFTER:
                self.probes = 0
                self.slots.one_at_a_time()
        elif left.alone:
            self.probes += 1
            if self.probes >= most:
                self.give_up(f"{self.probes} requests in a row, sent one at a time, got no reply: {fault.message}")

    def give_up(self, message: str) -> None:
        """Mark the endpoint down; everybody waiting on it wakes."""
        self.down = self.down or f"{self.name}: {message}"
        self._stopped.set()

    def drain(self) -> None:
        """Send nothing more; everybody waiting on it wakes. Requests in flight go on."""
        self._drained = True
        self._stopped.set()

    async def pause(self, seconds: float) -> None:
        """Wait before another attempt. Raises EndpointDown or Drained as soon as nothing may be sent any more."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
        self.raise_if_stopped()

    async def hold(self, seconds: float) -> None:
        """Pause as the server asked, and let no other request go out meanwhile."""
        async with self.held():
            await self.pause(seconds)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let no other request go out for as long as the context lasts."""
        self._holding += 1
        self._free.clear()
        try:
            yield
        finally:
            self._holding -= 1
            if not self._holding:
                self._free.set()

    async def ready(self) -> None:
        """Wait until a request may go out. Raises EndpointDown or Drained when none may any more."""
        while not self._free.is_set():  # whoever holds it leaves at once when the endpoint is given up or drained
            await self._free.wait()
        self.raise_if_stopped()

    async def still_granted(self) -> None:
        """Wait while other processes leave this one nothing, as after it hung. Raises EndpointDown or Drained."""
        self.raise_if_stopped()
        while self.slots.lapsed:
            await self.pause(LAPSED_PAUSE)

    async def until(self, change: asyncio.Future[None]) -> None:
        """Wait for something that happens elsewhere. Raises EndpointDown or Drained when nothing may be sent now."""
        stopped = asyncio.ensure_future(self._stopped.wait())
        either: set[asyncio.Future[Any]] = {change, stopped}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            change.cancel()
        self.raise_if_stopped()

    def format_for(self, schema: str) -> WireFormat | None:
        """Return the structured output that is known to be taken for a schema; None while it is not."""
        if self.wire_format == "none":
            return "none"
        return self.schema_formats.get(schema)

    def format_to_try(self, schema: str) -> WireFormat:
        """Return the format that a schema's first request is sent with."""
        return self._formats_from.get(schema) or self.wire_format or self._first_format

    def learned(self, schema: str, wire_format: WireFormat) -> None:
        """Note the format that was taken for a schema."""
        if self.wire_format is None and wire_format != FORMATS[0]:
            self.found.report(f"structured output: {'prompt only' if wire_format == 'none' else wire_format}")
        self.wire_format = self.wire_format or wire_format
        self.schema_formats.setdefault(schema, wire_format)
        self._probe_failed = False

    def doubt(self, schema: str, wire_format: WireFormat) -> None:
        """Note that a format brought nothing for a schema: the next request for it goes out with the one below."""
        if wire_format == FORMATS[-1]:  # no format is at fault
            self._formats_from.pop(schema, None)
            self._first_format = FORMATS[0]
        else:
            self._formats_from[schema] = FORMATS[FORMATS.index(wire_format) + 1]

    def to_keep(self) -> dict[str, str]:
        """Return what keeps for later sessions what was found out, by name in table `meta`; nothing where it is known.

        A server of one's own has another address each time, and is the same each time.
        """
        return {} if self.text_limits else self.found.to_keep(self.wire_format, self.schema_formats)

    def recall(self, kept: Mapping[str, str]) -> None:
        """Take up what an earlier session found out: formats are begun with, and shown again before they are known."""
        known = self.found.recall(kept)
        formats = known.get("schema_formats")
        if self.wire_format is not None or not isinstance(formats, Mapping):
            return
        self._formats_from |= {str(name): one for name, one in formats.items() if one in FORMATS}
        if (first := known.get("wire_format")) in FORMATS:
            self._first_format = first

    @asynccontextmanager
    async def finding_out(self, schema: str) -> AsyncIterator[None]:
        """Let one request at a time find out a format, until one has failed to: then the others wait no longer.

        Whoever waited looks again at what is known. Raises EndpointDown or Drained when nothing may be sent any more.
        Nobody waits once a schema was taken in any format, for others will most likely be taken in it too, nor at a
        server of one's own: it takes JSON Schemas, and a request that it refuses is free.
        """
        if self.text_limits:
            yield
            return
        while self._probing is not None and not self._probe_failed and self.wire_format is None:
            await self._probing.wait()
            await self.ready()
        if self._probing is not None or self._probe_failed or self.wire_format is not None:
            yield
            return
        self._probing = over = asyncio.Event()
        try:
            yield
        finally:
            self._probe_failed = self.format_for(schema) is None
            self._probing = None
            over.set()
