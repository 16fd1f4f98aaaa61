"""The meta-optimiser as a second state graph: it rewrites the prompts from traced failures (paper, section 6).

START -> select_parent -> evaluate_parent -> analyse -> edit -> check -> validate -> decide -> record -> select_parent,
until no iteration is left. Iterations made at once are lanes: each is a thread of its own.
"""

from __future__ import annotations

from langgraph.graph import END, START, StateGraph

from autodata.nodes.optimizer.propose import analyse, check, edit
from autodata.nodes.optimizer.select import evaluate_parent, select_parent
from autodata.nodes.optimizer.state import OptContext, OptState
from autodata.nodes.optimizer.state_check import checked
from autodata.nodes.optimizer.validate import decide, record, validate


def after_select(state: OptState) -> str:
    """Go on with the iteration that was begun, or end the lane."""
    return END if state.get("over") else "evaluate_parent"


def after_analyse(state: OptState) -> str:
    """Edit, unless there was nothing to learn from."""
    return "record" if state.get("outcome") else "edit"


def after_edit(state: OptState) -> str:
    """Check what was written, if anything was."""
    return "record" if state.get("outcome") else "check"


def after_check(state: OptState) -> str:
    """Pay for a validation only where the edit is sound."""
    return "record" if state.get("outcome") else "validate"


def build_optimizer() -> StateGraph[OptState, OptContext, OptState, OptState]:
    """Return the uncompiled graph. Compile it with a checkpointer of your choice; the context carries the search.

    Every node refuses a state that it cannot work on, or that differs from what was measured, with BadState.
    """
    graph = StateGraph(OptState, context_schema=OptContext)
    graph.add_node("select_parent", checked(select_parent))
    graph.add_node("evaluate_parent", checked(evaluate_parent))
    graph.add_node("analyse", checked(analyse))
    graph.add_node("edit", checked(edit))
    graph.add_node("check", checked(check))
    graph.add_node("validate", checked(validate))
    graph.add_node("decide", checked(decide))
    graph.add_node("record", checked(record))
    graph.add_edge(START, "select_parent")
    graph.add_conditional_edges("select_parent", after_select, ["evaluate_parent", END])
    graph.add_edge("evaluate_parent", "analyse")
    graph.add_conditional_edges("analyse", after_analyse, ["edit", "record"])
    graph.add_conditional_edges("edit", after_edit, ["check", "record"])
    graph.add_conditional_edges("check", after_check, ["validate", "record"])
    graph.add_edge("validate", "decide")
    graph.add_edge("decide", "record")
    graph.add_edge("record", "select_parent")
    return graph


STEPS = 8
"""Nodes that an iteration visits at most."""
