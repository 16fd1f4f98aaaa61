"""CoT Self-Instruct, the paper's baseline: the same prompts and checks, one round, no gate.

START -> [extractor] -> challenger -> [quality_verifier] -> weak_solver -> verifier -> strong_solver -> verifier ->
[loop_judge] -> accept -> END. A candidate that a check refuses is closed by feedback, and its document ends rejected.
A loop judge is asked for the figures only: what it says is recorded, and sends nothing back.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, Self

from langgraph.graph import END, StateGraph

from autodata.graphs.config import RunConfig
from autodata.graphs.self_instruct import after_verifier, opening
from autodata.nodes.acceptance import AcceptancePolicy, Measure
from autodata.nodes.domain import CS, Domain
from autodata.nodes.loop_judge import loop_judge
from autodata.nodes.state import Context, Output, State


def one_shot(domain: Domain) -> Domain:
    """Return a domain without all that makes it a loop: one challenger, all attempts, no final check."""
    return domain.model_copy(update={"challengers": 1, "curtail": False, "final_check": False})


class BaselineConfig(RunConfig):
    """A run's configuration, read as a baseline: one round, the policy `measure`, the domain as `one_shot` has it."""

    kind: ClassVar[str] = "baseline"

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the baseline of a run: its bounds and its number of rounds take no part."""
        return cls.model_validate(
            {**config.model_dump(exclude_unset=True), "acceptance": None, "max_rounds": 1, "review": "none"}
        )

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


def build_cot_baseline(domain: Domain = CS) -> StateGraph[State, Context, State, Output]:
    """Return a domain's uncompiled baseline graph, of the same nodes as its loop.

    Compile it with a checkpointer of your choice; the services must hold the policy and the domain of a
    `BaselineConfig`, and one round.
    """
    graph = opening(one_shot(domain))
    measured = "accept"
    if domain.loop_judge:
        measured = "loop_judge"
        graph.add_node("loop_judge", loop_judge)
        graph.add_edge("loop_judge", "accept")
    ways: dict[Hashable, str] = {"weak_solver": "weak_solver", "strong_solver": "strong_solver", "accept": measured}
    graph.add_conditional_edges("verifier", after_verifier, ways)
    graph.add_edge("feedback", END)
    return graph
