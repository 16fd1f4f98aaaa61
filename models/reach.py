"""Whether anything is at an endpoint's address: if not, waiting long brings nothing. What to do about a fault."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autodata.models.config import ModelSettings
    from autodata.models.faults import Fault

_NO_WAY = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN})


@dataclass
class Reach:
    """Requests of one endpoint that found nothing at its address, until the first one finds something."""

    found: bool = False
    """Whether anything was there in this session: a reply, an error of the server's, or a connection that broke."""
    tries: int = 0
    """Requests in a row that found nothing; those that left together count once."""

    def missed(self, left_after: int) -> int:
        """Note a request that found nothing, by the `tries` that stood when it left; return how many stand now."""
        if left_after == self.tries:
            self.tries += 1
        return self.tries


def nothing_there(chain: Iterable[BaseException]) -> bool:
    """Whether a request failed because its host is unknown, cannot be reached, or refuses connections at that port."""
    return any(
        isinstance(cause, socket.gaierror) or (isinstance(cause, OSError) and cause.errno in _NO_WAY) for cause in chain
    )


def where_to_look(message: str, settings: ModelSettings) -> str:
    """Return what to do about an address at which nothing answers, in a few words."""
    address = settings.address
    if address is None:
        return "check the network"
    if "name could not be resolved" in message:
        return f"check the host in base_url, {address}, and the network"
    return f"see that a server answers at {address}, or correct base_url"


def what_to_do(fault: Fault, settings: ModelSettings) -> str:
    """Return what to do about a request that failed, in a few words."""
    status, variable = fault.status, settings.key_variable
    of_path = "which ends in /v1 as a rule" if settings.azure is None else "the name of the deployment"
    by_status = {
        401: f"check the key in {variable}" if variable else "set api_key_env",
        402: "the account has no credit left",
        403: f"check what the key in {variable or 'api_key_env'} may use",
        404: f"check model {settings.model!r} and {'base_url' if settings.azure is None else 'azure'}, {of_path}",
        429: "the limit of the account or server is reached: wait, or lower max_concurrency",
    }
    if fault.used_up:
        return "look at the account's plan and billing"
    if fault.about_key:
        return by_status[401]
    if status in by_status:
        return by_status[status]
    if status is not None and status >= 500:
        return "the server fails: look at its log"
    if status is not None:
        return "look at temperature, top_p, max_tokens and extra_body"
    return where_to_look(fault.message, settings)
