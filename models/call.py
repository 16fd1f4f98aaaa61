"""What a tracer sees of the calls: each one when it is made, and again when its reply was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from autodata.models.caller import CallSite, Reply
    from autodata.models.config import ModelSettings


@dataclass
class Call:
    """One call on its way: who asks what, and later how it came out. `key` is its row's in table `calls`."""

    key: str
    site: CallSite
    number: int
    """Which try of its epoch, from 0: repairs and re-asks count up."""
    epoch: int
    """The epoch that paid for it, which is an earlier one when it replays."""
    settings: ModelSettings
    params: Mapping[str, Any]
    messages: list[dict[str, str]]
    requests: int = 0
    """Requests sent until the reply came, those that failed included; 0 when it was replayed."""
    reply: Reply | None = None
    unusable: str = ""
    """Why the reply could not be read, where it could not."""
    error: BaseException | None = None

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


class Watch(Protocol):
    """Told of every call. It must return at once and never raise."""

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
