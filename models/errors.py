"""What can go wrong between a node and a model. The errors stand in `checkpoints/errors.py`, with all others."""

from autodata.checkpoints.errors import (
    BudgetSpent,
    CallFailed,
    Drained,
    EndpointDown,
    PlumbingError,
    Stopped,
    UnusableReply,
    cause_of,
)

__all__ = [
    "BudgetSpent",
    "CallFailed",
    "Drained",
    "EndpointDown",
    "PlumbingError",
    "Stopped",
    "UnusableReply",
    "cause_of",
]
