"""What a thread's state must look like before a node works on it: any client of a server may edit it.

A state that a node cannot work on is refused in one line that names the key, before anybody is paid.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Literal, TypeVar, cast

from langgraph.runtime import Runtime
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from autodata.checkpoints.errors import BadState
from autodata.checkpoints.records import Attempt, Confirmation, FailureMode, Round, Stage, Verdict
from autodata.domains.acceptance.adaptive import Basis
from autodata.models.validation import problems
from autodata.nodes.context import Context, Services
from autodata.nodes.state import State
from autodata.nodes.step import Step

Node = TypeVar("Node", bound=Callable[[State, Runtime[Context]], Awaitable[dict[str, Any]]])

_OF_CANDIDATE = ("candidate",)
_OF_VERDICT = ("candidate", "verdict")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "screen": ("queue",),
    "quality_verifier": _OF_CANDIDATE,
    "weak_solver": _OF_CANDIDATE,
    "strong_solver": _OF_CANDIDATE,
    "verifier": _OF_CANDIDATE,
    "loop_judge": _OF_VERDICT,
    "human_review": _OF_VERDICT,
    "audit": _OF_VERDICT,
    "confirm": _OF_VERDICT,
    "accept": _OF_VERDICT,
    "feedback": ("rejection",),
}
"""What a node cannot do without. All of them stand in a round, too."""

_EMPTY: Mapping[str, Any] = {
    **{"n": 0, "reviews": 0, "feedback": "", "status": "", "status_reason": "", "candidate_id": "", "answered": ""},
    **{"queue": (), "attempts": (), "rounds": ()},
}
"""What stands for null, and for a key that is missing."""


class _Shape(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid", str_strip_whitespace=False)


class _Brief(_Shape):
    document_id: str = Field(min_length=1, max_length=200)
    name: str
    title: str
    chars: StrictInt = Field(ge=0)
    preview: str


class _Passage(_Shape):
    text: str
    anchor: str


class _Rejection(_Shape):
    failure_mode: FailureMode
    reason: str
    reviewer: str = ""


class _Asked(_Shape):
    label_id: str
    at: StrictInt = Field(ge=0, le=10**15)
    error: str = ""


class _State(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="ignore")

    document: _Brief
    n: StrictInt = Field(ge=0, le=10_000)
    passage: _Passage | None = None
    extract: dict[str, Any] | None = None
    grounding: list[str] | None = None
    queue: list[dict[str, Any]]
    candidate: dict[str, Any] | None = None
    candidate_id: str
    quality: dict[str, Any] | None = None
    attempts: list[Attempt]
    stopping: Basis | None = None
    verdict: Verdict | None = None
    judgement: dict[str, Any] | None = None
    confirmation: Confirmation | None = None
    rejection: _Rejection | None = None
    feedback: str
    rounds: list[Round]
    reviews: StrictInt = Field(ge=0, le=10_000)
    asked: _Asked | None = None
    answered: str
    status: Literal["", "pending", "waiting", "accepted", "rejected", "skipped", "errored"]
    status_reason: str
    example: dict[str, Any] | None = None


def readable(state: Mapping[str, Any]) -> State:
    """Return a state as nodes read it, with what is empty in place of null. Raises BadState."""
    return cast("State", filled(state, _EMPTY, _State))


def filled(state: Mapping[str, Any], empty: Mapping[str, Any], schema: type[BaseModel]) -> dict[str, Any]:
    """Return a state with what is empty in place of null, as `schema` takes it. Raises BadState."""
    values = {**state, **{name: nothing for name, nothing in empty.items() if state.get(name) is None}}
    values |= {name: list(values[name]) for name, nothing in empty.items() if nothing == () and values[name] == ()}
    try:
        schema.model_validate(values)
    except ValidationError as error:
        raise BadState(f"state.{problems(error, schema, repeat=False)}") from None
    return values


def checked(node: Node) -> Node:
    """Return a node that looks at its state first. It raises BadState for one that it cannot work on."""

    @wraps(node)
    async def run(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
        return await node(await workable(node.__name__, state, runtime), runtime)

    return cast("Node", run)


async def workable(name: str, state: Mapping[str, Any], runtime: Runtime[Context]) -> State:
    """Return the state as the node of this name reads it. Raises BadState when it cannot work on it."""
    read = readable(state)
    if name in NEEDED and not read["n"]:
        raise BadState("state.n: no round is open: set it to a number from 1, or send the input again")
    for key in NEEDED.get(name, ()):
        if not read.get(key) and not (key == "queue" and read.get("candidate")):
            raise BadState(f"state.{key}: {name} needs one: set it, or go on from an earlier state")
    services = runtime.context.services
    _require_candidates(services, read)
    _require_extract(services, read)
    _require_judgement(services, read, name)
    if name in {"loop_judge", "audit", "confirm", "accept"}:
        _require_marked(Step(read, runtime))
    await _require_known(services, read)
    return read


def _require_candidates(services: Services, state: State) -> None:
    given = [("queue", one) for one in state["queue"]]
    if (candidate := state.get("candidate")) is not None:
        given.append(("candidate", candidate))
    for key, one in given:
        try:
            services.domain.scorer.candidate(one)
        except ValidationError as error:
            raise BadState(f"state.{key}: {problems(error, BaseModel, repeat=False)}") from None


def _require_extract(services: Services, state: State) -> None:
    if (extract := state.get("extract")) is None:
        return
    schema = services.domain.extract
    try:
        schema.model_validate(extract)
    except ValidationError as error:
        raise BadState(f"state.extract.{problems(error, schema, repeat=False)}") from None


def _require_marked(step: Step) -> None:
    for stage in Stage:
        if not step.scores(stage):
            raise BadState(f"state.attempts: no marked attempt of the {stage.value} solver at this candidate")


def _require_judgement(services: Services, state: State, name: str) -> None:
    if (judgement := state.get("judgement")) is None:
        return
    if not services.domain.loop_judge:
        raise BadState("state.judgement: this domain has no loop judge: set it to null")
    said = {key: value for key, value in judgement.items() if key not in {"layer", "candidate_id"}}
    if judgement.get("layer") == 1 and name not in {"audit", "confirm", "accept"}:
        return
    schema = services.domain.judgement
    try:
        schema.model_validate(said)
    except ValidationError as error:
        raise BadState(f"state.judgement: {problems(error, schema, repeat=False)}") from None


async def _require_known(services: Services, state: State) -> None:
    """Raise BadState for references to texts that are not in the ledger."""
    wanted = [("document", f"document/{state['document']['document_id']}")]
    wanted += [("grounding", f"document/{one}") for one in state.get("grounding") or ()]
    wanted += [("attempts", one["answer_ref"]) for one in state["attempts"] if not one.get("mark")]
    for key, reference in wanted:
        try:
            await services.blobs.get(reference)
        except (KeyError, ValueError):
            raise BadState(f"state.{key}: it refers to a text that is not there: send the input again") from None
