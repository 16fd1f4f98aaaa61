"""What a comparison rests on: on one shared block, what parent or mutant did on another does not count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from autodata.checkpoints.records import DocumentStatus
from autodata.nodes.optimizer.acceptance import Sequential, Strict
from autodata.nodes.optimizer.compare import compared
from autodata.nodes.optimizer.evaluate import evaluation_id
from autodata.nodes.optimizer.evaluator import Trial
from autodata.nodes.optimizer.state import Result

OUTCOMES = {"A": DocumentStatus.ACCEPTED, "R": DocumentStatus.REJECTED}


class Known:
    """An archive of what was tried: outcomes by pack and block, `-` for a document that was not come to."""

    def __init__(self, **tried: str) -> None:
        self._results = {}
        for name, outcomes in tried.items():
            pack, block = name.split("_")
            evaluation = evaluation_id("validate", pack, int(block))
            trials = [Trial(f"d{k}", OUTCOMES[one], 1, 1) for k, one in enumerate(outcomes.strip("-"))]
            self._results[evaluation] = Result(
                evaluation, pack, "validate", int(block), tuple(trials), complete="-" not in outcomes
            )

    async def result(self, evaluation: str) -> Result | None:
        return self._results.get(evaluation)

    async def evidence(self) -> list[Any]:
        return [SimpleNamespace(pack=pack, validated=8) for pack in ("parent", "mutant")]

    async def pack(self, version: str) -> Any:
        raise AssertionError(f"{version} is tried again")


async def ruled(acceptance: Strict | Sequential, **tried: str) -> str:
    estimator = SimpleNamespace(estimate=lambda evidence: SimpleNamespace(better=lambda mutant, parent: 0.5))
    search: Any = SimpleNamespace(acceptance=acceptance, archive=Known(**tried), estimator=estimator)
    state: Any = {"parent": "parent", "mutant": "mutant", "block": 1, "n": 3}
    return (await compared(search, state)).outcome


async def test_a_mutant_that_was_tried_before_on_another_block_is_given_up_on_this_one() -> None:
    exact = Strict(racing="exact")
    assert await ruled(exact, parent_1="AARR", mutant_1="RR--") == "rejected"
    assert await ruled(exact, parent_1="AARR", mutant_1="RR--", mutant_2="AAAA", mutant_3="AAAA") == "rejected"


async def test_a_whole_shared_block_is_compared_with_itself_alone() -> None:
    assert await ruled(Strict(), parent_1="ARRR", mutant_1="AARR", parent_2="AAAA", mutant_2="RRRR") == "accepted"
    assert await ruled(Strict(), parent_1="AARR", mutant_1="ARRR", parent_2="RRRR", mutant_2="AAAA") == "rejected"


async def test_a_comparison_in_batches_takes_the_blocks_behind_too() -> None:
    assert await ruled(Sequential(most=8), parent_1="AARR", mutant_1="AARR", mutant_2="AAAA") == "rejected"
