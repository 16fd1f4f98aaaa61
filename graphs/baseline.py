"""CoT Self-Instruct, the paper's baseline: the same prompts and checks, one round, no gate.

START -> [extractor] -> challenger -> [quality_verifier] -> weak_solver -> verifier -> strong_solver -> verifier ->
accept -> END. A candidate that a check refuses is closed by feedback, and its document ends rejected.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Self

from langgraph.graph import END, START, StateGraph

from autodata.graphs.config import RunConfig
from autodata.graphs.self_instruct import after_challenger, after_extractor, after_quality, after_verifier
from autodata.nodes.acceptance import AcceptancePolicy, Measure
from autodata.nodes.challenger import challenger
from autodata.nodes.closing import accept, feedback
from autodata.nodes.domain import CS, Domain
from autodata.nodes.extractor import extractor
from autodata.nodes.quality import quality_verifier
from autodata.nodes.solvers import strong_solver, weak_solver
from autodata.nodes.state import Context, State
from autodata.nodes.verifier import verifier


def one_shot(domain: Domain) -> Domain:
    """Return a domain without all that makes it a loop: one challenger, all attempts, no judge and no final check."""
    return domain.model_copy(update={"challengers": 1, "curtail": False, "loop_judge": False, "final_check": False})


class BaselineConfig(RunConfig):
    """A run's configuration, read as a baseline: one round, the policy `measure`, the domain as `one_shot` has it."""

    kind: ClassVar[str] = "baseline"

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the baseline of a run: its bounds and its number of rounds take no part."""
        return cls.model_validate({**config.model_dump(exclude_unset=True), "acceptance": None, "max_rounds": 1})

    @property
    def chosen_domain(self) -> Domain:
        """The domain that `domain` names, in one shot."""
        return one_shot(super().chosen_domain)

    @property
    def policy(self) -> AcceptancePolicy:
        """Measure, whatever the domain's preset is."""
        return Measure()

    def resolved(self, prompt_version: str) -> dict[str, Any]:
        """Return everything as plain values, but for the acceptance, which is no choice here."""
        return {name: value for name, value in super().resolved(prompt_version).items() if name != "acceptance"}


def build_cot_baseline(domain: Domain = CS) -> StateGraph[State, Context, State, State]:
    """Return a domain's uncompiled baseline graph, of the same nodes as its loop.

    Compile it with a checkpointer of your choice; the services must hold the policy and the domain of a
    `BaselineConfig`, and one round.
    """
    graph = StateGraph(State, context_schema=Context)
    graph.add_node("challenger", challenger)
    graph.add_node("weak_solver", weak_solver)
    graph.add_node("verifier", verifier)
    graph.add_node("strong_solver", strong_solver)
    graph.add_node("feedback", feedback)
    graph.add_node("accept", accept)
    if domain.extractor or domain.grounding:
        graph.add_node("extractor", extractor)
        graph.add_edge(START, "extractor")
        graph.add_conditional_edges("extractor", after_extractor, ["challenger", *([END] if domain.extractor else [])])
    else:
        graph.add_edge(START, "challenger")
    checked = "weak_solver"
    if domain.quality_check:
        graph.add_node("quality_verifier", quality_verifier)
        graph.add_conditional_edges("quality_verifier", after_quality, ["weak_solver", "feedback"])
        checked = "quality_verifier"
    ways: dict[Hashable, str] = {"go_on": checked, "feedback": "feedback"}
    if domain.passage_words:
        ways[END] = END
    graph.add_conditional_edges("challenger", after_challenger, ways)
    graph.add_edge("weak_solver", "verifier")
    graph.add_edge("strong_solver", "verifier")
    graph.add_conditional_edges("verifier", after_verifier, ["strong_solver", "accept"])
    graph.add_edge("feedback", END)
    graph.add_edge("accept", END)
    return graph
