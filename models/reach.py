"""Whether anything is at an endpoint's address: where nothing ever was, waiting long brings nothing."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autodata.models.config import ModelSettings

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
