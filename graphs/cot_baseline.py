"""CoT Self-Instruct, the paper's baseline: the same prompts and checks, one round, no gate.

START -> [extractor] -> challenger -> [quality_verifier] -> weak_solver -> verifier -> strong_solver -> verifier ->
[loop_judge] -> accept -> END. A candidate that a check refuses is closed by feedback, and its document ends rejected.
A loop judge is asked for the figures only: what it says is recorded, and sends nothing back.
"""

from __future__ import annotations

from collections.abc import Hashable

from langgraph.graph import END, StateGraph

from autodata.domains.domain import CS, Domain, one_shot
from autodata.graphs.frame import Frame
from autodata.graphs.self_instruct import after_verifier, opening, own_frame
from autodata.nodes.context import Context
from autodata.nodes.loop_judge import loop_judge
from autodata.nodes.state import Output, State
from autodata.nodes.state_check import checked


def build_cot_baseline(domain: Domain = CS, *, frame: Frame | None = None) -> StateGraph[State, Context, State, Output]:
    """Return a domain's uncompiled baseline graph, of the same nodes as its loop.

    Compile it with a checkpointer of your choice; the services must hold the policy and the domain of a
    `BaselineConfig`, and one round. With `frame` it is drawn into the frame's graph, and that is returned.
    """
    frame = frame or own_frame()
    opening(one_shot(domain), frame)
    measured = "accept"
    if domain.loop_judge:
        measured = "loop_judge"
        frame.add_node("loop_judge", checked(loop_judge))
        frame.add_edge("loop_judge", "accept")
    ways: dict[Hashable, str] = {"weak_solver": "weak_solver", "strong_solver": "strong_solver", "accept": measured}
    ways |= {"loop_judge": measured, "feedback": "feedback"}  # of verdicts that somebody has written into the state
    frame.add_conditional_edges("verifier", after_verifier, ways)
    frame.add_edge("feedback", END)
    return frame.graph
