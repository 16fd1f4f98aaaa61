"""What a search's state must look like before a node works on it: any client of a server may edit it.

A state that a node cannot work on, or that says something else than the search's archive, is refused in one line that
names the key, before anybody is paid. An edit may change what is shown to people and agents, such as the analysis; it
changes no parent, no score and no outcome, for those are what was measured.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from fractions import Fraction
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar, cast

from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from autodata.checkpoints.errors import BadState
from autodata.nodes.optimizer.evaluate import evaluation_id, training_id
from autodata.nodes.optimizer.racing import paired
from autodata.nodes.optimizer.select import plan_of
from autodata.nodes.optimizer.state import OptContext, OptState, Search
from autodata.nodes.optimizer.validate import compared_of
from autodata.nodes.state_check import filled

Node = TypeVar("Node", bound=Callable[[OptState, Runtime[OptContext]], Awaitable[dict[str, Any]]])

_BEGUN = ("n", "parent", "sampled")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "select_parent": (),
    "evaluate_parent": _BEGUN,
    "analyse": (*_BEGUN, "training", "minibatch"),
    "edit": _BEGUN,
    "merge": (*_BEGUN, "partner"),
    "check": (*_BEGUN, "mutant"),
    "validate": (*_BEGUN, "mutant", "scores"),
    "decide": _BEGUN,
    "record": (*_BEGUN, "outcome", "reason"),
}
"""What a node cannot do without."""

_EMPTY: Mapping[str, Any] = {
    **{"lane": 0, "n": 0, "parent": "", "sampled": 0, "block": 0, "training": "", "mutant": "", "summary": ""},
    **{"partner": "", "source": 0},
    **{"outcome": "", "reason": "", "record": False, "over": False, "scores": {}},
    **{"minibatch": (), "history": (), "refusals": (), "problems": ()},
}
"""What stands for null, and for a key that is missing."""

Count = Annotated[StrictInt, Field(ge=0, le=10**9)]
Share = Annotated[StrictStr, Field(pattern=r"^\d{1,9}(/[1-9]\d{0,8})?$")]
"""A score: an exact fraction."""


class _Cause(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid")

    cause: StrictStr
    evidence: list[StrictStr]
    advice: StrictStr


class _Analysis(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid")

    summary: StrictStr
    causes: list[_Cause]


class _Scores(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid")

    parent: Share | None = None
    mutant: Share | None = None
    record: Share | None = None
    confirmed: Share | None = None


class _State(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="ignore")

    lane: Count
    n: Count
    parent: StrictStr
    sampled: Count
    block: Count
    training: StrictStr
    minibatch: list[StrictStr]
    history: list[Count]
    analysis: _Analysis | None = None
    partner: StrictStr
    source: Count
    mutant: StrictStr
    summary: StrictStr
    refusals: list[StrictStr]
    problems: list[StrictStr]
    scores: _Scores
    record: StrictBool
    outcome: Literal["", "accepted", "rejected", "invalid", "unchanged", "errored"]
    reason: StrictStr
    over: StrictBool


def readable(state: Mapping[str, Any]) -> OptState:
    """Return a state as nodes read it, with what is empty in place of null. Raises BadState."""
    return cast("OptState", filled(state, _EMPTY, _State))


def checked(node: Node) -> Node:
    """Return a node that looks at its state first. It raises BadState for one that it cannot work on."""

    @wraps(node)
    async def run(state: OptState, runtime: Runtime[OptContext]) -> dict[str, Any]:
        return await node(await workable(node.__name__, state, runtime.context.search), runtime)

    return cast("Node", run)


async def workable(name: str, state: Mapping[str, Any], search: Search) -> OptState:
    """Return the state as the node of this name reads it. Raises BadState when it cannot work on it."""
    read = readable(state)
    for key in NEEDED[name]:
        if not read.get(key):
            raise BadState(f"state.{key}: {name} needs one: go on from an earlier state, or send the input again")
    if name == "select_parent":
        return read
    row = await _iteration(name, read, search)
    _require_begun(read, row)
    if name == "evaluate_parent":  # what it makes is still the last iteration's
        return read
    _require_evaluated(read, row)
    if read["mutant"]:
        await _require_known(read["mutant"], search)
    if search.acceptance.name == "strict":
        await _require_measured(name, read, search)
    else:
        _require_compared(name, read, row)
    if name == "record":
        _require_decided(read, row)
    return read


async def _iteration(name: str, state: OptState, search: Search) -> Mapping[str, Any]:
    """Return the row of the state's iteration. One that has ended may only be recorded again as it was."""
    try:
        row = await search.archive.iteration(state["n"])
    except KeyError:
        raise BadState("state.n: no such iteration was begun: go on from an earlier state") from None
    same = name == "record" and (row["outcome"], row["mutant"] or "") == (state["outcome"], state["mutant"])
    if row["outcome"] != "open" and not same:
        raise BadState("state.n: this iteration has ended, and what was recorded stays: go on from the latest state")
    return row


def _require_begun(state: OptState, row: Mapping[str, Any]) -> None:
    """Raise BadState where the state says something else than was written down when the iteration began."""
    plan = plan_of(row)
    began = {name: row[name] for name in ("lane", "parent", "sampled")}
    began |= {"partner": plan.get("merged", ""), "source": plan.get("analysis_of", 0)}
    _require_same(state, {**began, "history": json.loads(row["history"] or "[]")})


def _require_evaluated(state: OptState, row: Mapping[str, Any]) -> None:
    """Raise BadState where the state says something else than was written down when the parent was evaluated."""
    if row["block"] is None:
        raise BadState("state.training: the parent was not evaluated yet: go on from an earlier state")
    training = "" if plan_of(row) else training_id(row["parent"], state["n"])
    made = {"training": training, "minibatch": json.loads(row["minibatch"])}
    _require_same(state, {**made, "block": row["block"]})


def _require_same(state: OptState, written: Mapping[str, Any]) -> None:
    found: Mapping[str, Any] = state
    for key, value in written.items():
        if found[key] != value:
            raise BadState(f"state.{key}: the iteration was begun with another: go on from an earlier state")


async def _require_known(version: str, search: Search) -> None:
    try:
        await search.archive.pack(version)
    except KeyError:
        raise BadState("state.mutant: no prompts of this search have this version: go on from an earlier state") from (
            None
        )


async def _require_measured(name: str, state: OptState, search: Search) -> None:
    """Raise BadState for scores that are not those of the evaluations."""
    scores = state["scores"]
    if not scores.get("parent"):
        if scores or name == "validate" or (name == "decide" and not state["outcome"]):
            raise BadState("state.scores: the parent's is missing: go on from an earlier state")
        return
    parent = await search.archive.result(evaluation_id("validate", state["parent"], state["block"]))
    measured: dict[str, Fraction | None] = {"parent": parent.score if parent else None}
    if scores.get("mutant"):
        mutant = await search.archive.result(evaluation_id("validate", state["mutant"], state["block"]))
        both = paired(parent.trials, mutant.trials) if parent and mutant else None
        if both is None:
            raise BadState("state.scores.mutant: it was not evaluated yet: go on from an earlier state")
        measured = {"parent": both[0], "mutant": both[1]}
        if name == "validate":  # it runs again: the parent's score may be that of all documents, or of those of both
            measured.pop("parent")
    elif name == "decide" and not state["outcome"]:
        raise BadState("state.scores.mutant: decide needs one: go on from an earlier state")
    for key, score in measured.items():
        if score is None or Fraction(scores[key]) != score:
            raise BadState(f"state.scores.{key}: it is not what was measured: go on from an earlier state")


def _require_compared(name: str, state: OptState, row: Mapping[str, Any]) -> None:
    """Raise BadState for estimates that are not those of the comparison as it is recorded."""
    scores, known = state["scores"], compared_of(row)
    if not scores.get("parent") and (scores or name == "validate"):
        raise BadState("state.scores: the parent's is missing: go on from an earlier state")
    if known is None:
        if scores.get("mutant") or (name == "decide" and not state["outcome"]):
            raise BadState("state.scores.mutant: it was not compared yet: go on from an earlier state")
        return
    if name == "validate":  # it runs again
        return
    if known.get("mutant") and not scores.get("mutant"):
        raise BadState("state.scores.mutant: decide needs one: go on from an earlier state")
    for key in ("parent", "mutant"):
        if scores.get(key) != known.get(key):
            raise BadState(f"state.scores.{key}: it is not what was measured: go on from an earlier state")


def _require_decided(state: OptState, row: Mapping[str, Any]) -> None:
    """Raise BadState for an outcome that does not follow from the scores."""
    scores = {key: Fraction(value) for key, value in state["scores"].items() if value}
    known = compared_of(row)
    better = (
        "mutant" in scores and scores["mutant"] > scores["parent"] if known is None else known["outcome"] == "accepted"
    )
    if better is not (state["outcome"] == "accepted"):
        raise BadState("state.outcome: it does not follow from the scores: go on from an earlier state")
    if state["record"] is not bool(row["led"]):
        raise BadState("state.record: it does not follow from the scores: go on from an earlier state")
