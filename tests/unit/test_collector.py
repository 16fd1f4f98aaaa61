"""What a run changes of the garbage collector is there again afterwards, whatever happened meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from autodata.runner.collector import NEW_OBJECTS, calm_collector


@pytest.fixture(autouse=True)
def as_in_a_program() -> Iterator[None]:
    """Undo what tests/conftest.py does to the collector."""
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.freeze()


def fail_calmly(seen: list[object]) -> None:
    with calm_collector():
        seen.extend((gc.get_threshold(), gc.get_freeze_count() > 1000))
        raise ValueError("wrong")


def test_the_collector_is_calm_meanwhile_and_as_before_afterwards() -> None:
    before, seen = gc.get_threshold(), list[object]()
    with pytest.raises(ValueError, match="wrong"):
        fail_calmly(seen)
    assert seen == [(NEW_OBJECTS, *before[1:]), True]
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_runs_within_runs_and_programs_that_see_to_it_themselves_are_left_alone() -> None:
    with calm_collector():
        frozen = gc.get_freeze_count()
        with calm_collector():
            assert gc.get_freeze_count() == frozen
        assert gc.get_freeze_count() == frozen
    gc.disable()
    try:
        with calm_collector():
            assert gc.get_freeze_count() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize(("collections", "collected"), [(0, 0), (1, 1)])
def test_a_young_process_is_not_looked_through_first(
    monkeypatch: pytest.MonkeyPatch, collections: int, collected: int
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(gc, "get_stats", lambda: [{"collections": 9}, {"collections": collections}])
    monkeypatch.setattr(gc, "collect", lambda: seen.append(1))
    with calm_collector():
        assert gc.get_freeze_count() > 0
    assert len(seen) == collected
