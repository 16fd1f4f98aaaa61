"""The inner loop as one cyclic state graph (paper, section 1).

START -> challenger -> quality_verifier -> weak_solver -> verifier -> strong_solver -> verifier -> accept -> END,
with an edge back to the challenger, through feedback, for every kind of rejection: what code refuses at the final check
is one of them, what the quality verifier refuses there ends the document.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from langgraph.graph import END, START, StateGraph

from autodata.checkpoints.records import Decision, Stage
from autodata.domains.domain import CS, Domain
from autodata.graphs.frame import Frame
from autodata.nodes.accept import accept
from autodata.nodes.audit import audit as audit_node
from autodata.nodes.challenger import challenger
from autodata.nodes.confirm import confirm as confirm_node
from autodata.nodes.context import Context
from autodata.nodes.extractor import extractor
from autodata.nodes.feedback import feedback
from autodata.nodes.human_review import human_review
from autodata.nodes.loop_judge import loop_judge
from autodata.nodes.quality_verifier import quality_verifier
from autodata.nodes.screen import screen
from autodata.nodes.solvers import strong_solver, weak_solver
from autodata.nodes.state import Output, State
from autodata.nodes.state_check import checked
from autodata.nodes.verifier import verifier


def after_extractor(state: State) -> str:
    """End an unsuitable document before anything else is spent."""
    return END if state.get("status") else "challenger"


def after_challenger(state: State) -> str:
    """Go on to the checks, or end a document without a passage, or send a hopeless candidate back."""
    if state.get("status"):
        return END
    return "feedback" if state.get("rejection") else "go_on"


def after_quality(state: State) -> str:
    """Pay solvers only for a candidate that passed."""
    return "feedback" if state.get("rejection") else "weak_solver"


def after_weak_solver(state: State) -> str:
    """Mark the attempts, or send back what code refused before any was paid."""
    return "feedback" if state.get("rejection") else "verifier"


def after_accept(state: State) -> str:
    """End with the document, or send back what code refused at the final check."""
    return "feedback" if state.get("rejection") and not state.get("status") else END


def after_verifier(state: State) -> str:
    """Follow the policy's decision."""
    found: Any = state.get("verdict")
    verdict = found if isinstance(found, dict) else {}
    decision = verdict.get("decision")
    if decision == Decision.MORE:
        return "strong_solver" if verdict.get("stage") == Stage.STRONG else "weak_solver"
    following: dict[str, str] = {
        Decision.STRONG: "strong_solver",
        Decision.JUDGE: "loop_judge",
        Decision.ACCEPT: "accept",
    }
    return following.get(decision, "feedback") if isinstance(decision, str) else "feedback"


def after_judge(state: State) -> str:
    """Accept what neither layer sent back."""
    return "feedback" if state.get("rejection") else "accept"


def after_audit(state: State) -> str:
    """Go on with what is to be trusted."""
    return "feedback" if state.get("rejection") else "go_on"


def after_confirm(state: State) -> str:
    """Accept what fresh attempts bore out, or where they were only to be measured."""
    return "feedback" if state.get("rejection") else "accept"


def after_feedback(state: State) -> str:
    """Ask for an entirely new question, or end after the last round."""
    return END if state.get("status") else "challenger"


def after_review(state: State) -> str:
    """Ask while a question is open; verify an edited candidate anew; else end the round as gates and person have it."""
    if state.get("asked"):
        return "human_review"
    if not state.get("verdict"):
        return "anew"
    return "feedback" if state.get("rejection") else "accept"


def build_self_instruct(
    domain: Domain = CS, *, review: bool = False, confirm: bool = False, audit: bool = False, frame: Frame | None = None
) -> StateGraph[State, Context, State, Output]:
    """Return a domain's uncompiled graph: only the nodes that the domain has are drawn.

    With `review`, every candidate with a verdict passes the node `human_review`; which of them a person is asked about
    is the services' to say (`Services.review`), so a graph that is served can have the node and pass through it. Such a
    graph needs a checkpointer: it stops with an interrupt, and goes on with `Command(resume=...)`.

    With `confirm`, what is to be accepted passes the node `confirm`, where fresh attempts are made, as many as the
    services say (`Services.confirm`); with `audit`, it passes the node `audit` before, where canaries and the closed
    context are tried (`Services.checks`).

    The edge from the verifier back to the weak solver is there for every domain: a domain that stops attempts early
    makes them in batches, and in any domain a person who edits the candidate before the verifier makes all missing.
    Every edge has a way for whatever a client has written into the state, so that an edit is never an error of a
    router: `checked` refuses what a node cannot work on. Compile it with a checkpointer of your choice; the context
    carries the services. With `frame` the loop is drawn into the frame's graph, and that is returned.
    """
    frame = frame or own_frame()
    opening(domain, frame)
    after: dict[Hashable, str] = {name: name for name in ("weak_solver", "strong_solver")}
    ends: dict[Hashable, str] = {"accept": "accept", "feedback": "feedback"}
    if confirm:
        frame.add_node("confirm", checked(confirm_node))
        frame.add_conditional_edges("confirm", after_confirm, ["accept", "feedback"])
        ends["accept"] = "confirm"
    if audit:
        frame.add_node("audit", checked(audit_node))
        frame.add_conditional_edges("audit", after_audit, {"go_on": ends["accept"], "feedback": "feedback"})
        ends["accept"] = "audit"
    if review:
        frame.add_node("human_review", checked(human_review))
        anew = "quality_verifier" if domain.quality_check else "weak_solver"
        frame.add_conditional_edges(
            "human_review", after_review, {**ends, "anew": anew, "human_review": "human_review"}
        )
        ends = dict.fromkeys(ends, "human_review")
    if domain.loop_judge:
        frame.add_node("loop_judge", checked(loop_judge))
        frame.add_conditional_edges("loop_judge", after_judge, ends)
        after |= {"loop_judge": "loop_judge", "accept": "loop_judge", "feedback": ends["feedback"]}
    else:
        after |= ends | {"loop_judge": ends["feedback"]}
    frame.add_conditional_edges("verifier", after_verifier, after)
    frame.add_conditional_edges("feedback", after_feedback, ["challenger", END])
    return frame.graph


def own_frame() -> Frame:
    """Return the frame of a loop that stands alone: its context carries the services."""
    return Frame(StateGraph(State, context_schema=Context, output_schema=Output))


def opening(domain: Domain, frame: Frame) -> None:
    """Draw what the loop and the baseline share: all from the start to the verifier, and the end behind accept."""
    frame.add_node("challenger", checked(challenger))
    frame.add_node("weak_solver", checked(weak_solver))
    frame.add_node("verifier", checked(verifier))
    frame.add_node("strong_solver", checked(strong_solver))
    frame.add_node("feedback", checked(feedback))
    frame.add_node("accept", checked(accept))
    if domain.extractor or domain.grounding:
        frame.add_node("extractor", checked(extractor))
        frame.add_edge(START, "extractor")
        frame.add_conditional_edges("extractor", after_extractor, ["challenger", END])
    else:
        frame.add_edge(START, "challenger")
    first_check = "weak_solver"
    if domain.quality_check:
        frame.add_node("quality_verifier", checked(quality_verifier))
        frame.add_conditional_edges("quality_verifier", after_quality, ["weak_solver", "feedback"])
        first_check = "quality_verifier"
    ways: dict[Hashable, str] = {
        "go_on": first_check,
        "feedback": "feedback",
        END: END,
    }
    if domain.challengers > 1:
        frame.add_node("screen", checked(screen))
        frame.add_conditional_edges("challenger", after_challenger, {**ways, "go_on": "screen"})
        frame.add_conditional_edges("screen", after_challenger, ways)
    else:
        frame.add_conditional_edges("challenger", after_challenger, ways)
    if domain.quality_check:
        frame.add_edge("weak_solver", "verifier")
    else:
        frame.add_conditional_edges("weak_solver", after_weak_solver, ["verifier", "feedback"])
    frame.add_edge("strong_solver", "verifier")
    frame.add_conditional_edges("accept", after_accept, ["feedback", END])


def steps_for(max_rounds: int, attempts: int) -> int:
    """Return a recursion limit that no legal run reaches: a round takes six nodes and two per attempt at most.

    A person's answer starts the count again, so that edits do not count.
    """
    return max_rounds * (8 + 2 * attempts) + 10
