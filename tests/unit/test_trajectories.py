"""Failures from a traced project: the ledger says which rounds failed, and stands in for what is not traced."""

from __future__ import annotations

from dataclasses import replace

from autodata.checkpoints.errors import RunFailed
from autodata.nodes.optimizer.trajectories import Failure
from autodata.runner.optimization.failures import TracedTrajectories

ONE, OTHER = (Failure(f"e/d/{n}/c", "d", n, "too_easy", "from the ledger") for n in (1, 2))


class Listed:
    def __init__(self, *failures: Failure, down: bool = False) -> None:
        self.found_failures, self.down = list(failures), down

    async def failures(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        if self.down:
            raise RunFailed("LangSmith project 'p' cannot be read: no connection")
        return self.found_failures


async def test_what_was_traced_is_read_there_and_the_rest_in_the_ledger() -> None:
    traced = replace(OTHER, reason="as traced")
    foreign = replace(ONE, round_id="another search's")
    notes: list[str] = []
    found = await TracedTrajectories(Listed(ONE, OTHER), Listed(foreign, traced), notes).failures("e", ("d",))
    assert found == [ONE, traced]
    assert notes == []


async def test_a_project_that_cannot_be_read_is_noted_once_and_stops_nothing() -> None:
    notes: list[str] = []
    both = TracedTrajectories(Listed(ONE, OTHER), Listed(down=True), notes)
    assert [await both.failures("e", ("d",)) for _ in range(2)] == [[ONE, OTHER]] * 2
    (note,) = notes
    assert "cannot be read" in note
    assert "from the ledger instead" in note
