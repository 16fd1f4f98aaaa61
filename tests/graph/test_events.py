"""What the graphs stream: every event that is emitted fits its type, and every type is emitted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from autodata.checkpoints.records import FailureMode, Stage
from autodata.nodes.events import AcceptedEvent, AttemptEvent, FeedbackEvent, GraphEvent, MarkEvent, parse_event
from tests.graph.legal import legal
from tests.graph.support import Bench, review, scored, screened

NODES = Path(__file__).resolve().parents[2] / "nodes"
TYPES: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["event"].annotation)[0]: model for model in get_args(get_args(GraphEvent)[0])
}


def emitted() -> Iterator[tuple[str, str, list[str]]]:
    """Every call of `emit` in the nodes' code: where, the event's name, and the names of its values."""
    for path in sorted(NODES.rglob("*.py")):
        for call in re.finditer(r'\.emit\(\s*"(\w+)"(.*?)\)\n', path.read_text("utf-8"), re.DOTALL):
            yield path.name, call[1], re.findall(r",\s*(\w+)=", call[2])


@pytest.mark.parametrize(("where", "name", "values"), list(emitted()), ids=str)
def test_what_the_code_emits_has_a_type_with_exactly_these_values(where: str, name: str, values: list[str]) -> None:
    assert TYPES[name].model_fields.keys() == {"event", "document_id", "n", *values}, where


def test_every_type_is_emitted_somewhere() -> None:
    assert {name for _, name, _ in emitted()} == set(TYPES)


async def events_of(bench: Bench) -> list[dict[str, Any]]:
    await bench.run()
    if await bench.question():
        await bench.answer(decision="reject", reason="Nobody asks this.", reviewer="Ada")
        await bench.answer(decision="approve")
    return bench.events


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
