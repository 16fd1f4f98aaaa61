"""What runs, in what order: the state graphs, the run's configuration, the document runner.

What is listed here is the public interface of the package: see docs/api.md.
"""

from autodata.checkpoints.records import Attempt, Example, Mark, Round, RunFailed, UserError, Verdict
from autodata.graphs.baseline import BaselineConfig, build_cot_baseline
from autodata.graphs.config import RunConfig, load_config
from autodata.graphs.self_instruct import build_self_instruct
from autodata.graphs.services import open_services
from autodata.nodes.domain import Domain, find_domain
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
from autodata.nodes.state import Context, Output, State

__all__ = [
    "AcceptedEvent",
    "Attempt",
    "AttemptEvent",
    "BaselineConfig",
    "CandidateEvent",
    "Context",
    "Domain",
    "DraftsEvent",
    "Example",
    "ExtractEvent",
    "FeedbackEvent",
    "GraphEvent",
    "JudgementEvent",
    "Mark",
    "MarkEvent",
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
    "UserError",
    "Verdict",
    "VerdictEvent",
    "build_cot_baseline",
    "build_self_instruct",
    "find_domain",
    "load_config",
    "open_services",
    "parse_event",
]
