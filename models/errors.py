"""What can go wrong between a node and a model, and what it means for the document and the run.

The whole tree stands in `autodata.checkpoints.errors`.

None of these is ever a score, a refinement or a rejection (law 2).
"""

from __future__ import annotations

import re
from typing import ClassVar

from autodata.checkpoints.errors import AutodataError, Matter


class PlumbingError(AutodataError):
    """A call could not be completed. `kind` is stored with the document's failure."""

    kind: ClassVar[str] = "plumbing"


class CallFailed(PlumbingError):
    """The endpoint did not give a reply within the allowed requests, or refused this one. The document is errored.

    `refused` is true when the endpoint answered, and would not take this very request.
    """

    kind = "call_failed"
    matter = Matter.DOCUMENT

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class UnusableReply(PlumbingError):
    """Replies came and were paid for, but none could be read. The document is errored.

    `shape` is true when the last reply was JSON that broke the schema's rules rather than something unreadable.
    """

    kind = "unusable_reply"
    matter = Matter.DOCUMENT

    def __init__(self, message: str, *, shape: bool = False) -> None:
        super().__init__(message)
        self.shape = shape


class EndpointDown(PlumbingError):
    """An endpoint failed too often in a row, or refused key or model. The run pauses; documents stay pending."""

    kind = "endpoint_down"


class BudgetSpent(PlumbingError):
    """A budget is used up. The run drains; the document stays pending."""

    kind = "budget_spent"


class Drained(PlumbingError):
    """The sitting is ending and the call was not sent. The document stays pending."""

    kind = "drained"


class Stopped(PlumbingError):
    """A sitting is over before its work is: `failed` says whether that was a failure. What was begun stays open."""

    kind = "stopped"

    def __init__(self, reason: str, failed: bool = False) -> None:
        super().__init__(reason)
        self.failed = failed


def cause_of(kind: str, message: str) -> str:
    """Return what two failures have in common that come of the same cause: numbers, ids and quoted words left out."""
    text = re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`|«[^»]*»|“[^”]*”", "_", " ".join(message.split()))
    text = re.sub(r"\b(?=\w*\d)[\w-]+\b", "_", text)
    return f"{kind}: {text[:300]}"
