"""What a configuration makes of the loop: the graph that documents walk, and services that look at the ledger."""

from __future__ import annotations

from dataclasses import replace

from langgraph.graph import StateGraph

from autodata.checkpoints.ledger import Ledger
from autodata.graphs.cot_baseline import build_cot_baseline
from autodata.graphs.self_instruct import build_self_instruct
from autodata.nodes.adaptive import AdaptiveStopping
from autodata.nodes.context import Context, Services
from autodata.nodes.novelty import AcceptedQuestions
from autodata.nodes.state import Output, State
from autodata.runner.config import BaselineConfig, RunConfig


def graph_of(config: RunConfig) -> StateGraph[State, Context, State, Output]:
    """Return the uncompiled graph that documents of a configuration walk."""
    if config.kind == BaselineConfig.kind:
        return build_cot_baseline(config.chosen_domain)
    return build_self_instruct(
        config.chosen_domain,
        review=config.review != "none",
        confirm=config.confirm.attempts > 0,
        audit=config.checks.paid,
    )


def services_of(config: RunConfig, ledger: Ledger, services: Services) -> Services:
    """Return the services with what looks at a run's ledger: known questions, and what stops hopeless candidates."""
    if config.lessons.enabled:
        services = replace(services, novelty=AcceptedQuestions(ledger, config.lessons.near_duplicate))
    if config.curtail == "adaptive":
        services = replace(services, stopping=_adaptive_stopping(config, ledger, services))
    return services


def _adaptive_stopping(config: RunConfig, ledger: Ledger, services: Services) -> AdaptiveStopping:
    """Return what stops candidates of a run that will most likely fail."""
    planned = replace(services.domain.planned, curtail=False)
    return AdaptiveStopping(
        ledger,
        services.store,
        services.policy,
        planned,
        error=config.curtail_error,
        walked=config.curtail_walked,
        seed=config.seed,
    )
