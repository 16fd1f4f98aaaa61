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
    from autodata.jobs.beforehand import estimate
    from autodata.jobs.estimate import Estimate
    from autodata.jobs.forecast import Range
    from autodata.jobs.generate import agenerate, generate, open_run
    from autodata.jobs.optimize import SearchOptions, aoptimize, open_search, optimize
    from autodata.jobs.prompt_evaluator import PromptEvaluator
    from autodata.jobs.result import GenerationResult
    from autodata.jobs.search_result import OptimizeResult
    from autodata.jobs.standing import EndpointStanding, Standing
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
    from autodata.nodes.optimizer.acceptance import Acceptance, Ask, Comparison, Ruling
    from autodata.nodes.optimizer.estimate import Estimates, Estimator, Evidence
    from autodata.nodes.optimizer.evaluator import Trial
    from autodata.nodes.optimizer.events import (
        AnalysedEvent,
        EditedEvent,
        EvaluatedEvent,
        EvaluatingEvent,
        IterationEvent,
        RecordedEvent,
    )
    from autodata.nodes.optimizer.proposer import Material, Proposal, Proposer
    from autodata.nodes.optimizer.selectors import Selector
    from autodata.nodes.optimizer.trajectories import Exchange, Failure
    from autodata.nodes.state import Output, State
    from autodata.runner.agents import as_tool, build_chat
    from autodata.runner.config import BaselineConfig, RunConfig, load_config
    from autodata.runner.events import TrialEvent
    from autodata.runner.optimization.callbacks import SearchCallback
    from autodata.runner.optimization.stopping import SearchStanding, Stopper
    from autodata.runner.optimization.trackers import Tracker
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
    "jobs.beforehand": ("estimate",),
    "jobs.estimate": ("Estimate",),
    "jobs.forecast": ("Range",),
    "jobs.generate": ("agenerate", "generate", "open_run"),
    "jobs.optimize": ("SearchOptions", "aoptimize", "open_search", "optimize"),
    "jobs.prompt_evaluator": ("PromptEvaluator",),
    "jobs.result": ("GenerationResult",),
    "jobs.search_result": ("OptimizeResult",),
    "jobs.standing": ("EndpointStanding", "Standing"),
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
    "nodes.optimizer.acceptance": ("Acceptance", "Ask", "Comparison", "Ruling"),
    "nodes.optimizer.estimate": ("Estimates", "Estimator", "Evidence"),
    "nodes.optimizer.evaluator": ("Trial",),
    "nodes.optimizer.events": (
        "AnalysedEvent",
        "EditedEvent",
        "EvaluatedEvent",
        "EvaluatingEvent",
        "IterationEvent",
        "RecordedEvent",
    ),
    "nodes.optimizer.proposer": ("Material", "Proposal", "Proposer"),
    "nodes.optimizer.selectors": ("Selector",),
    "nodes.optimizer.trajectories": ("Exchange", "Failure"),
    "nodes.state": ("Output", "State"),
    "runner.agents": ("as_tool", "build_chat"),
    "runner.config": ("BaselineConfig", "RunConfig", "load_config"),
    "runner.events": ("TrialEvent",),
    "runner.optimization.callbacks": ("SearchCallback",),
    "runner.optimization.stopping": ("SearchStanding", "Stopper"),
    "runner.optimization.trackers": ("Tracker",),
    "runner.services": ("open_services",),
}
"""Where each public name is defined."""

_HOME_OF = {name: f"autodata.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "Acceptance",
    "AcceptedEvent",
    "AnalysedEvent",
    "Ask",
    "Attempt",
    "AttemptEvent",
    "AutodataError",
    "BaselineConfig",
    "BudgetSpent",
    "CallFailed",
    "CandidateEvent",
    "Comparison",
    "Context",
    "DiskFailed",
    "Domain",
    "DraftsEvent",
    "EditedEvent",
    "EndpointDown",
    "EndpointStanding",
    "Estimate",
    "Estimates",
    "Estimator",
    "EvaluatedEvent",
    "EvaluatingEvent",
    "Evidence",
    "Example",
    "Exchange",
    "ExtractEvent",
    "Failure",
    "FeedbackEvent",
    "GenerationResult",
    "GraphEvent",
    "IterationEvent",
    "JudgementEvent",
    "Mark",
    "MarkEvent",
    "Material",
    "OptimizeResult",
    "Options",
    "Output",
    "PromptEvaluator",
    "Proposal",
    "Proposer",
    "QualityEvent",
    "Range",
    "RecordedEvent",
    "RejectedEvent",
    "Rejection",
    "ReviewEvent",
    "ReviewedEvent",
    "Round",
    "Ruling",
    "RunConfig",
    "RunFailed",
    "ScreenEvent",
    "SearchCallback",
    "SearchOptions",
    "SearchStanding",
    "Selector",
    "Standing",
    "State",
    "Stopper",
    "Tracker",
    "Trial",
    "TrialEvent",
    "UnusableReply",
    "Usage",
    "UserError",
    "Verdict",
    "VerdictEvent",
    "agenerate",
    "aoptimize",
    "as_tool",
    "build_chat",
    "build_cot_baseline",
    "build_self_instruct",
    "estimate",
    "find_domain",
    "generate",
    "load_config",
    "open_run",
    "open_search",
    "open_services",
    "optimize",
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
