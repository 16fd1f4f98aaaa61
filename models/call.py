"""One call: where it stands in a run, its key in the journal, its rows there, and what a tracer sees of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import BaseModel

from autodata.checkpoints.ids import canonical_json, digest, digest_of_json, joined_json
from autodata.checkpoints.usage import Usage
from autodata.checkpoints.writes import PaidCall, UnansweredRequest
from autodata.checkpoints.writes.calls import Cause
from autodata.models.config import ModelSettings
from autodata.models.endpoint import Leaving
from autodata.models.reply import Messages, Reply
from autodata.models.role_model import RoleModel

_SERVER = frozenset({"provider", "base_url"})


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


@dataclass
class Call:
    """One call on its way: who asks what, and later how it came out."""

    site: CallSite
    model: RoleModel
    messages: Messages
    schema: type[BaseModel] | None
    seed: int
    number: int
    """Which try of its epoch, from 0: repairs and re-asks count up."""
    epoch: int
    """The epoch that paid for it, which is an earlier one when it replays."""
    params: Mapping[str, Any] = field(init=False)
    key: str = field(init=False)
    """Its identity, which is its row's in table `calls`."""
    requests: int = 0
    """Requests sent until the reply came, those that failed included; 0 when it was replayed."""
    left: Leaving = field(default_factory=Leaving)
    """How its endpoint stood when its latest request left."""
    in_flight: bool = False
    """Whether a request has left and its reply has not come."""
    unanswered: int = 0
    """Requests among them that got no reply and may be billed."""
    reply: Reply | None = None
    unusable: str = ""
    """Why the reply could not be read, where it could not."""
    error: BaseException | None = None

    def __post_init__(self) -> None:
        """Work out the key.

        What stands here is in the keys of every run folder: a change makes all that was paid for unknown. It needs a
        migration, and tests/unit/test_calls.py holds a key by which it is seen.
        """
        site, schema = self.site, self.schema
        self.params = {**self.model.params, "seed": self.seed, "schema": schema.__name__ if schema else None}
        whole = {
            "thread": site.thread_id,
            "round": site.n,
            "node": site.node,
            "index": site.index,
            "try": self.number,
            "epoch": self.epoch,
            "provider": self.settings.provider,
            "base_url": self.model.address,
            "model": self.settings.model,
            "params": self.params,
            "messages": self.messages,
        }
        # The messages are most of it: their JSON is written once, for both keys and the hash that the journal keeps.
        self._identity = {name: canonical_json(value) for name, value in whole.items()}
        self.key = digest_of_json(joined_json(self._identity), 64)

    def sent(self) -> None:
        """Note that a request leaves now."""
        self.in_flight = True

    @property
    def key_of_version_3(self) -> str:
        """The key that the call had in folders of schema 1 to 3, which did not distinguish servers.

        Only replies from such a folder are found by it: there the folder and the model's name vouch for them, as ever.
        """
        return digest_of_json(
            joined_json({name: text for name, text in self._identity.items() if name not in _SERVER}), 64
        )

    @property
    def settings(self) -> ModelSettings:
        """The settings of the role that asks."""
        return self.model.settings

    @property
    def metadata(self) -> dict[str, Any]:
        """What traces are filtered by; texts are not in it."""
        site = self.site
        return {
            "thread": site.thread_id,
            "document_id": site.document_id,
            "round": site.n,
            "node": site.node,
            "role": site.role,
            "attempt": site.index,
            "try": self.number,
            "epoch": self.epoch,
            "role_prompt_version": site.prompt_version,
            "call_key": self.key,
        }

    def paid(self, reply: Reply, charged: Usage, seconds: float) -> PaidCall:
        """Return what the journal keeps of it: the reply, what it counts for, and how long its own request took."""
        site = self.site
        return PaidCall(
            key=self.key,
            document_id=site.document_id,
            thread_id=site.thread_id,
            n=site.n,
            role=site.role,
            node=site.node,
            index=site.index,
            number=self.number,
            epoch=self.epoch,
            model=self.settings.model,
            params=self.params,
            messages_hash=digest_of_json(self._identity["messages"], 64),
            prompt_version=site.prompt_version,
            response=reply.text,
            finish_reason=reply.finish_reason,
            reported=reply.usage,
            charged=charged,
            seconds=seconds,
        )

    def without_reply(self, cause: Cause, most: Usage) -> UnansweredRequest:
        """Return what the journal keeps of its latest request, which got no reply and may be billed up to `most`."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        return UnansweredRequest(
            request_id=digest([self.key, self.requests, moment, time.monotonic_ns()], 64),
            call_key=self.key,
            document_id=self.site.document_id,
            thread_id=self.site.thread_id,
            role=self.site.role,
            model=self.settings.model,
            cause=cause,
            most=most,
        )


def replayed(row: Mapping[str, Any]) -> Reply:
    """Return the reply in a row of table `calls`."""
    return Reply(
        row["response"],
        row["finish_reason"],
        row["tokens_in"],
        row["tokens_out"],
        row["cost_usd"],
        replayed=True,
        tokens_cached=row["tokens_cached"],
        tokens_reasoning=row["tokens_reasoning"],
    )


class Watch(Protocol):
    """Called after every call. It must return at once and never raise."""

    def call_started(self, call: Call) -> None:
        """Note a call that is about to be sent. One that replays from the journal never starts."""

    def call_ended(self, call: Call) -> None:
        """Note how a call came out: a reply, read or not, or an error."""


class NoWatch:
    """Watches nothing."""

    def call_started(self, call: Call) -> None:
        """Ignore it."""

    def call_ended(self, call: Call) -> None:
        """Ignore it."""
