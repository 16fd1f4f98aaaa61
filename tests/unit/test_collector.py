"""What a run changes of the garbage collector is there again afterwards, whatever happened meanwhile."""

from __future__ import annotations

import gc

import pytest

from autodata.runner.collector import NEW_OBJECTS, calm_collector


def test_the_collector_is_calm_meanwhile_and_as_before_afterwards() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="wrong"), calm_collector():
        assert gc.get_threshold() == (NEW_OBJECTS, *before[1:])
        assert gc.get_freeze_count() > 1000
        raise ValueError("wrong")
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
