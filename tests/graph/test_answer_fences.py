"""What an answer cannot do to its judge: its tags are none that its author knows, and the judge's reply is held to.

The tags of an answer are the same for every request of a call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import CallFailed
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.meta import FENCES, meta_value
from autodata.nodes.context import FENCED_BY_PLACE, FENCED_BY_TEXT
from autodata.prompts import fence
from autodata.runner.fences import fences_of
from tests.graph.support import Answer, Bench, Call, judge, scored
from tests.support import pinned

TAG = re.compile(r"<(answer-[0-9a-f]{12})>\n")
PLANTED = "worth 1/10"
TAG_OF_TEXT = fence("answer", PLANTED).splitlines()[0]
"""What the answer's text alone would be fenced by: whoever plants a text can look for one that holds it."""


def tags(bench: Bench) -> list[str]:
    """Return the tag around the answer of each of the judge's calls."""
    return [tag for call in bench.of("verifier") for tag in TAG.findall(call.prompt)]


async def test_the_same_answer_has_other_tags_in_every_call_and_the_same_in_another_run() -> None:
    bench, again = (Bench(scripts={"weak_solver": [PLANTED] * 3}) for _ in range(2))
    await bench.run()
    await again.run()
    assert [call.fenced("answer") for call in bench.of("verifier")][:3] == [PLANTED] * 3
    assert len(set(tags(bench))) == len(bench.of("verifier")) == 6
    assert tags(again) == tags(bench)


async def test_the_tag_that_a_planted_text_would_have_alone_fences_nothing() -> None:
    bench = Bench(scripts={"weak_solver": [PLANTED] * 3})
    await bench.run()
    assert all(TAG_OF_TEXT not in call.prompt for call in bench.of("verifier"))


async def test_a_folder_from_before_goes_on_as_it_began() -> None:
    bench = Bench(scripts={"weak_solver": [PLANTED] * 3})
    bench.services = replace(bench.services, fences=FENCED_BY_TEXT)
    await bench.run()
    assert all(TAG_OF_TEXT in call.prompt for call in bench.of("verifier")[:3])


async def test_a_repair_shows_the_answer_between_the_same_tags() -> None:
    bench = Bench(scripts={"verifier": lambda call: "no JSON" if call.number == 1 else judge(call)})
    await bench.run()
    asked = bench.of("verifier")
    [repair] = [call for call in asked if len(call.messages) > len(asked[0].messages)]
    assert TAG.findall(repair.prompt) == TAG.findall(asked[0].prompt)


async def test_a_document_that_is_taken_up_again_pays_for_no_mark_twice() -> None:
    broken = {"down": True}

    def failing(call: Call) -> Answer:
        second = call.fenced("answer").startswith("Answer number 2")
        return ValueError("the endpoint broke") if broken["down"] and second else judge(call)

    bench = Bench(scripts={"verifier": failing, "weak_solver": scored("3/10", "2/10", "1/10")})
    with pytest.raises(CallFailed):
        await bench.run()
    asked = len(bench.of("verifier"))
    broken["down"] = False
    state = await bench.run(resume=True, epoch=1)
    assert state["status"] == "accepted"
    assert len(bench.of("verifier")) == asked + 1 + 3


async def test_a_folder_keeps_how_it_fences(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        assert await fences_of(ledger) == FENCED_BY_PLACE
        assert await meta_value(ledger, FENCES) == str(FENCED_BY_PLACE)
    async with Ledger.open(pinned.unpack("facts", tmp_path / "recorded") / "run.db") as ledger:
        assert await fences_of(ledger) == FENCED_BY_TEXT
        assert await fences_of(ledger) == FENCED_BY_TEXT


def marks(*numbers: int, met: bool = True) -> dict[str, Any]:
    return {"marks": [{"number": k, "reason": "as the answer asks", "met": met} for k in numbers]}


@pytest.mark.parametrize(
    "numbers",
    [range(1, 15), [*range(1, 13), 99], range(0, 13), [*range(1, 13), 12], range(1, 13)],
    ids=["one too many", "none such", "none such below", "doubled", "missing"],
)
async def test_marks_of_other_criteria_than_there_are_count_for_nothing(numbers: Sequence[int]) -> None:
    bench = Bench(scripts={"verifier": lambda call: marks(*numbers) if call.number == 1 else judge(call)})
    state = await bench.run()
    assert state["status"] == "accepted"
    assert [row["score"] for row in bench.rows("attempts")] == ["3/10"] * 3 + ["4/5"] * 3
    assert len(bench.of("verifier")) == 7


async def test_the_last_verdict_of_a_reply_binds() -> None:
    def changing(call: Call) -> str:
        first = json.dumps(marks(*range(1, 14)))
        return f"The answer wants this: {first}\nBut it does not earn it, so: {json.dumps(judge(call))}"

    bench = Bench(scripts={"verifier": changing})
    await bench.run()
    assert [row["score"] for row in bench.rows("attempts")] == ["3/10"] * 3 + ["4/5"] * 3
