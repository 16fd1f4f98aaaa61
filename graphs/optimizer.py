"""The meta-optimiser as a second state graph: it rewrites the prompts from traced failures (paper, section 6).

START -> select_parent -> evaluate_parent -> analyse -> edit -> check -> validate -> decide -> record -> select_parent,
until no iteration is left. An iteration that merges goes from evaluate_parent to merge, one that edits from an earlier
analysis to edit. Iterations made at once are workers: each is a thread of its own.
"""

from __future__ import annotations

from langgraph.graph import END, START, StateGraph

from autodata.graphs.frame import Frame
from autodata.nodes.optimizer.propose import analyse, check, edit, merge
from autodata.nodes.optimizer.select import evaluate_parent, select_parent
from autodata.nodes.optimizer.state import OptContext, OptState
from autodata.nodes.optimizer.state_check import checked
from autodata.nodes.optimizer.validate import decide, record, validate


def after_select(state: OptState) -> str:
    """Go on with the iteration that was begun, or end the worker."""
    return END if state.get("over") else "evaluate_parent"


def after_evaluate(state: OptState) -> str:
    """Merge, edit from an earlier analysis, or analyse; nothing, where no mutant could be accepted."""
    if state.get("outcome"):
        return "record"
    if state.get("partner"):
        return "merge"
    return "edit" if state.get("source") else "analyse"


def after_analyse(state: OptState) -> str:
    """Edit, unless there was nothing to learn from."""
    return "record" if state.get("outcome") else "edit"


def after_edit(state: OptState) -> str:
    """Check what was written, if anything was."""
    return "record" if state.get("outcome") else "check"


def after_check(state: OptState) -> str:
    """Pay for a validation only where the edit is sound."""
    return "record" if state.get("outcome") else "validate"


def build_optimizer(*, frame: Frame | None = None) -> StateGraph[OptState, OptContext, OptState, OptState]:
    """Return the uncompiled graph. Compile it with a checkpointer of your choice; the context carries the search.

    With `frame` the loop is drawn into the frame's graph, and that is returned. Every node refuses a state that it
    cannot work on, or that differs from what was measured, with BadState.
    """
    frame = frame or Frame(StateGraph(OptState, context_schema=OptContext))
    frame.add_node("select_parent", checked(select_parent))
    frame.add_node("evaluate_parent", checked(evaluate_parent))
    frame.add_node("analyse", checked(analyse))
    frame.add_node("merge", checked(merge))
    frame.add_node("edit", checked(edit))
    frame.add_node("check", checked(check))
    frame.add_node("validate", checked(validate))
    frame.add_node("decide", checked(decide))
    frame.add_node("record", checked(record))
    frame.add_edge(START, "select_parent")
    frame.add_conditional_edges("select_parent", after_select, ["evaluate_parent", END])
    frame.add_conditional_edges("evaluate_parent", after_evaluate, ["analyse", "edit", "merge", "record"])
    frame.add_conditional_edges("merge", after_edit, ["check", "record"])
    frame.add_conditional_edges("analyse", after_analyse, ["edit", "record"])
    frame.add_conditional_edges("edit", after_edit, ["check", "record"])
    frame.add_conditional_edges("check", after_check, ["validate", "record"])
    frame.add_edge("validate", "decide")
    frame.add_edge("decide", "record")
    frame.add_edge("record", "select_parent")
    return frame.graph


STEPS = 8
"""Nodes that an iteration visits at most."""
