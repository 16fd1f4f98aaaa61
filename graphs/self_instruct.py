"""The inner loop as one cyclic state graph (paper, section 1).

START -> challenger -> quality_verifier -> weak_solver -> verifier -> strong_solver -> verifier -> accept -> END,
with an edge back to the challenger, through feedback, for every kind of rejection.
"""

from __future__ import annotations

from langgraph.graph import END, START, StateGraph

from autodata.checkpoints.records import Decision, Stage
from autodata.nodes.challenger import challenger
from autodata.nodes.closing import accept, feedback
from autodata.nodes.domain import CS, Domain
from autodata.nodes.quality import quality_verifier
from autodata.nodes.solvers import strong_solver, weak_solver
from autodata.nodes.state import Context, State
from autodata.nodes.verifier import verifier


def after_challenger(state: State) -> str:
    """Go on to the quality check, or end a document without a passage, or send a hopeless candidate back."""
    if state.get("status"):
        return END
    return "feedback" if state.get("rejection") else "quality_verifier"


def after_quality(state: State) -> str:
    """Pay solvers only for a candidate that passed."""
    return "feedback" if state.get("rejection") else "weak_solver"


def after_verifier(state: State) -> str:
    """Follow the policy's decision."""
    verdict = state.get("verdict") or {}
    decision = verdict.get("decision")
    if decision == Decision.MORE:
        return "strong_solver" if verdict.get("stage") == Stage.STRONG else "weak_solver"
    if decision == Decision.STRONG:
        return "strong_solver"
    return "accept" if decision == Decision.ACCEPT else "feedback"


def after_feedback(state: State) -> str:
    """Ask for an entirely new question, or end after the last round."""
    return END if state.get("status") else "challenger"


def build_self_instruct(domain: Domain = CS) -> StateGraph[State, Context, State, State]:
    """Return a domain's uncompiled graph. Only a domain that picks passages can end a document at the challenger.

    The edge from the verifier back to the weak solver is there for every domain: a domain that stops attempts early
    makes them in waves, and in any domain a person who edits the candidate before the verifier makes all missing.
    Compile it with a checkpointer of your choice; the context carries the services.
    """
    graph = StateGraph(State, context_schema=Context)
    graph.add_node("challenger", challenger)
    graph.add_node("quality_verifier", quality_verifier)
    graph.add_node("weak_solver", weak_solver)
    graph.add_node("verifier", verifier)
    graph.add_node("strong_solver", strong_solver)
    graph.add_node("feedback", feedback)
    graph.add_node("accept", accept)
    skips = [END] if domain.passage_words else []
    graph.add_edge(START, "challenger")
    graph.add_conditional_edges("challenger", after_challenger, ["quality_verifier", "feedback", *skips])
    graph.add_conditional_edges("quality_verifier", after_quality, ["weak_solver", "feedback"])
    graph.add_edge("weak_solver", "verifier")
    graph.add_edge("strong_solver", "verifier")
    graph.add_conditional_edges("verifier", after_verifier, ["weak_solver", "strong_solver", "accept", "feedback"])
    graph.add_conditional_edges("feedback", after_feedback, ["challenger", END])
    graph.add_edge("accept", END)
    return graph


def steps_for(max_rounds: int, attempts: int) -> int:
    """Return a recursion limit that no legal run reaches: a round takes four nodes and two per attempt at most."""
    return max_rounds * (6 + 2 * attempts) + 10
