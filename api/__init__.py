"""Autodata: synthetic data whose difficulty is a dial. The public names, and nothing else.

Each name is imported from its module when it is first used, so that `import autodata` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodata.checkpoints.errors import (
        AutodataError,
        BudgetSpent,
        CallFailed,
        DiskFailed,
        EndpointDown,
        RunFailed,
        UnusableReply,
        UserError,
    )
    from autodata.checkpoints.records import Attempt, Example, Mark, Round, Verdict
    from autodata.checkpoints.usage import Usage
    from autodata.domains.domain import Domain
    from autodata.domains.loader import find_domain
    from autodata.graphs.cot_baseline import build_cot_baseline
    from autodata.graphs.self_instruct import build_self_instruct
    from autodata.jobs.arguments import Options
    from autodata.jobs.generate import agenerate, generate, open_run
    from autodata.jobs.result import GenerationResult
    from autodata.nodes.context import Context
    from autodata.nodes.events import (
        AcceptedEvent,
        AttemptEvent,
        CandidateEvent,
        DraftsEvent,
        ExtractEvent,
        FeedbackEvent,
        GraphEvent,
        JudgementEvent,
        MarkEvent,
        QualityEvent,
        RejectedEvent,
        Rejection,
        ReviewedEvent,
        ReviewEvent,
        ScreenEvent,
        VerdictEvent,
        parse_event,
    )
    from autodata.nodes.state import Output, State
    from autodata.runner.agents import as_tool, build_chat
    from autodata.runner.config import BaselineConfig, RunConfig, load_config
    from autodata.runner.services import open_services

    __version__: str

_HOMES = {
    "checkpoints.errors": (
        "AutodataError",
        "BudgetSpent",
        "CallFailed",
        "DiskFailed",
        "EndpointDown",
        "RunFailed",
        "UnusableReply",
        "UserError",
    ),
    "checkpoints.records": ("Attempt", "Example", "Mark", "Round", "Verdict"),
    "checkpoints.usage": ("Usage",),
    "domains.domain": ("Domain",),
    "domains.loader": ("find_domain",),
    "graphs.cot_baseline": ("build_cot_baseline",),
    "graphs.self_instruct": ("build_self_instruct",),
    "jobs.arguments": ("Options",),
    "jobs.generate": ("agenerate", "generate", "open_run"),
    "jobs.result": ("GenerationResult",),
    "nodes.context": ("Context",),
    "nodes.events": (
        "AcceptedEvent",
        "AttemptEvent",
        "CandidateEvent",
        "DraftsEvent",
        "ExtractEvent",
        "FeedbackEvent",
        "GraphEvent",
        "JudgementEvent",
        "MarkEvent",
        "QualityEvent",
        "RejectedEvent",
        "Rejection",
        "ReviewEvent",
        "ReviewedEvent",
        "ScreenEvent",
        "VerdictEvent",
        "parse_event",
    ),
    "nodes.state": ("Output", "State"),
    "runner.agents": ("as_tool", "build_chat"),
    "runner.config": ("BaselineConfig", "RunConfig", "load_config"),
    "runner.services": ("open_services",),
}
"""Where each public name is defined."""

_HOME_OF = {name: f"autodata.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "AcceptedEvent",
    "Attempt",
    "AttemptEvent",
    "AutodataError",
    "BaselineConfig",
    "BudgetSpent",
    "CallFailed",
    "CandidateEvent",
    "Context",
    "DiskFailed",
    "Domain",
    "DraftsEvent",
    "EndpointDown",
    "Example",
    "ExtractEvent",
    "FeedbackEvent",
    "GenerationResult",
    "GraphEvent",
    "JudgementEvent",
    "Mark",
    "MarkEvent",
    "Options",
    "Output",
    "QualityEvent",
    "RejectedEvent",
    "Rejection",
    "ReviewEvent",
    "ReviewedEvent",
    "Round",
    "RunConfig",
    "RunFailed",
    "ScreenEvent",
    "State",
    "UnusableReply",
    "Usage",
    "UserError",
    "Verdict",
    "VerdictEvent",
    "agenerate",
    "as_tool",
    "build_chat",
    "build_cot_baseline",
    "build_self_instruct",
    "find_domain",
    "generate",
    "load_config",
    "open_run",
    "open_services",
    "parse_event",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("autodata-langgraph")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'autodata' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
