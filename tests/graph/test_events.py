"""What the graphs stream: every event that is emitted fits its type, and every type is emitted."""

from __future__ import annotations

import ast
import json
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from autodata.checkpoints.records import FailureMode, Stage
from autodata.domains.acceptance.checks import ChecksConfig
from autodata.nodes.events import (
    AcceptedEvent,
    AttemptEvent,
    FeedbackEvent,
    GraphEvent,
    MarkEvent,
    parse_event,
    wire_form,
)
from autodata.nodes.optimizer.events import EvaluatedEvent, SearchEvent
from autodata.runner.events import RunEvent
from tests.graph.legal import legal
from tests.graph.support import Bench, review, scored, screened
from tests.graph.test_audit import auditing, strict

NODES = Path(__file__).resolve().parents[2] / "nodes"
RUNNER = NODES.parent / "runner"
TYPES: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["event"].annotation)[0]: model for model in get_args(get_args(GraphEvent)[0])
}


SEARCH_TYPES: dict[str, type[BaseModel]] = {model.__name__: model for model in get_args(SearchEvent)}
RUN_TYPES = {kind.__name__: kind for kind in get_args(RunEvent) if not get_args(kind)}


def made_in(folder: Path, method: str) -> list[tuple[str, str]]:
    """Every call of a method that emits an event: the file, and the name of the type that is made there."""
    return [
        (path.name, made_by(node.args[0]))
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method
    ]


def made_by(event: ast.expr) -> str:
    """The type that an expression makes: `Type(...)` or `Type.model_validate(...)`; of any other its source."""
    called = event.func if isinstance(event, ast.Call) else event
    if isinstance(called, ast.Attribute) and called.attr == "model_validate":
        called = called.value
    return ast.unparse(called)


def test_the_nodes_emit_declared_types_and_every_one_of_them() -> None:
    assert {made for _, made in made_in(NODES, "emit")} == {kind.__name__ for kind in TYPES.values()}


def test_the_optimiser_emits_declared_types_and_every_one_of_them() -> None:
    assert {made for _, made in made_in(NODES / "optimizer", "on_event")} == set(SEARCH_TYPES)


def test_runners_emit_declared_types_and_every_one_of_them() -> None:
    """What a runner passes on is a parsed event of the graph, or an evaluation's, by the name `event`."""
    assert {made for _, made in made_in(RUNNER, "on_event")} == {"event", "TrialEvent", *RUN_TYPES}


def test_every_name_on_the_wire_means_one_type() -> None:
    names = [kind.model_fields["event"].default for kind in [*TYPES.values(), *SEARCH_TYPES.values()]]
    names += [kind.event for kind in RUN_TYPES.values()]
    assert len(names) == len(set(names))


def test_the_wire_form_of_an_evaluation_holds_its_figures() -> None:
    event = EvaluatedEvent(
        evaluation="e", pack="p", split="test", block=0, iteration=1, made=4, passed=3, complete=True, score=0.75
    )
    assert json.dumps(wire_form(event)) == (
        '{"event": "evaluated", "evaluation": "e", "pack": "p", "split": "test", "block": 0, "iteration": 1,'
        ' "passed": 3, "complete": true, "score": 0.75}'
    )


async def events_of(bench: Bench) -> list[dict[str, Any]]:
    await bench.run()
    if await bench.question():
        await bench.answer(decision="reject", reason="Nobody asks this.", reviewer="Ada")
        await bench.answer(decision="approve")
    return bench.events


@pytest.mark.slow
async def test_every_kind_of_event_fits_its_type() -> None:
    """Benches that between them emit all of them, each checked as it comes over a wire."""
    benches = [
        Bench({"weak_solver": lambda call: scored("9/10")[0]}, max_rounds=1),
        Bench({"quality_verifier": [review(leaks=True), *[review()] * 2]}, max_rounds=2),
        Bench({"quality_verifier": [review(), review(leaks=True)]}, max_rounds=1),
        Bench({"challenger": lambda call: {"question": "Why?"}}, max_rounds=1),
        Bench(domain="facts"),
        Bench(domain="science"),
        Bench({"screen": lambda call: screened(*[False] * 4)}, domain="science", max_rounds=1),
        legal(),
        Bench(review="accepted"),
        auditing(ChecksConfig(canaries="always"), confirm=2, scripts={"verifier": strict}),
    ]
    seen: set[str] = set()
    for bench in benches:
        for event in await events_of(bench):
            parsed = parse_event(json.loads(json.dumps(event)))
            assert type(parsed) is TYPES[event["event"]]
            assert parsed.model_fields_set == set(event)
            assert parsed.model_dump(mode="json") == event
            seen.add(event["event"])
    assert seen == set(TYPES)


async def test_events_are_read_with_exact_scores_and_known_modes() -> None:
    bench = Bench({"weak_solver": scored(*["9/10"] * 3, "1/10", "2/10", "3/10")})
    events = [parse_event(event) for event in await events_of(bench)]
    marks = [event.mark.score for event in events if isinstance(event, MarkEvent) and event.stage is Stage.WEAK]
    assert marks == [*[Fraction(9, 10)] * 3, Fraction(1, 10), Fraction(1, 5), Fraction(3, 10)]
    [feedback] = [event for event in events if isinstance(event, FeedbackEvent)]
    assert (feedback.n, feedback.failure_mode, feedback.last) == (1, FailureMode.TOO_EASY, False)
    assert all(event.attempt.mark is None for event in events if isinstance(event, AttemptEvent))
    assert isinstance(events[-1], AcceptedEvent)
    assert events[-1].example.rounds == events[-1].n == 2


@pytest.mark.parametrize("value", [{}, {"event": "other", "document_id": "d", "n": 1}, {"event": "rejected", "n": 1}])
def test_what_is_none_of_ours_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse_event(value)


def test_what_a_later_version_adds_is_passed_over() -> None:
    known = {"event": "rejected", "document_id": "d", "n": 1, "reason": "leaks"}
    assert parse_event({**known, "added": 1}) == parse_event(known)
