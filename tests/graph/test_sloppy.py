"""Models that say too much, or say it in another shape: no paid reply is lost, and every score is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from autodata.prompts import PromptPack
from autodata.prompts.pack import parse_prompt
from tests.graph.support import DEFAULTS, DOCUMENT_TEXT, Answer, Bench, Call, Script, candidate, compare, judge, review
from tests.support.stages import first_quick

CLEAN = {"challenger": 1, "quality_verifier": 1}
Change = Callable[[dict[str, Any]], Answer]


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def points(draft: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"Criterion": row["criterion"], "weight": f"{row['weight']:+d} points"} for row in draft["rubric"]]


DRAFTS: dict[str, Change] = {
    "skills in one text": lambda draft: draft | {"skills": "causal reasoning, statistics"},
    "six skills": lambda draft: draft | {"skills": list("abcdef")},
    "a reference in parts": lambda draft: draft | {"reference_answer": [draft["reference_answer"], "And so on."]},
    "weights in points": lambda draft: draft | {"rubric": points(draft)},
    "a rubric by number": lambda draft: draft | {"rubric": {str(k): row for k, row in enumerate(draft["rubric"], 1)}},
    "keys in camel case": lambda draft: {camel(key): value for key, value in draft.items()},
}
REVIEWS: dict[str, Change] = {
    "no feedback": lambda found: found | {"feedback": ""},
    "null feedback": lambda found: found | {"feedback": None, "leak_reason": None},
    "long feedback": lambda found: found | {"feedback": "ask deeper " * 500},
    "words": lambda found: found | {"question_quality": "Good", "leaks": "no", "type_matches": "Yes."},
}
JUDGED: dict[str, Change] = {
    "long reasons": lambda found: {"marks": [mark | {"reason": "because " * 200} for mark in found["marks"]]},
    "no reasons": lambda found: {"marks": [mark | {"reason": None} for mark in found["marks"]]},
    "a bare list": lambda found: json.dumps(found["marks"]),
    "by number": lambda found: {str(mark["number"]): mark for mark in found["marks"]},
    "by number, bare": lambda found: {f"Criterion {mark['number']}": mark["met"] for mark in found["marks"]},
    "words": lambda found: {
        "Marks": [
            {"number": f"{mark['number']}.", "met": "met" if mark["met"] else "not met", "score": 0.5, "confidence": 1}
            for mark in found["marks"]
        ]
    },
}


def sloppy(text: str, draft: Change, found: Change, judged: Change) -> Bench:
    def judging(call: Call) -> Answer:
        said = judge(call)
        assert isinstance(said, dict)
        return judged(said)

    scripts: dict[str, Script] = {
        "challenger": lambda call: draft(candidate(call.number)),
        "quality_verifier": lambda call: found(review()),
        "verifier": judging,
    }
    return Bench(scripts, text=text, max_rounds=3)


async def scores(bench: Bench) -> list[tuple[str, float]]:
    state = await bench.run()
    assert state["status"] == "accepted"
    return sorted((row["attempt_id"].split("/", 4)[-1], row["score_value"]) for row in bench.rows("attempts"))


def same(value: dict[str, Any]) -> Answer:
    return value


ROWS = [
    *(pytest.param(change, same, same, id=f"challenger: {name}") for name, change in DRAFTS.items()),
    *(pytest.param(same, change, same, id=f"quality verifier: {name}") for name, change in REVIEWS.items()),
    *(pytest.param(same, same, change, id=f"judge: {name}") for name, change in JUDGED.items()),
]


@pytest.mark.parametrize(("draft", "found", "judged"), first_quick(*ROWS, quick=4))
async def test_no_reply_is_asked_for_twice(draft: Change, found: Change, judged: Change) -> None:
    plain, other = sloppy(DOCUMENT_TEXT, same, same, same), sloppy(DOCUMENT_TEXT, draft, found, judged)
    assert [score for _, score in await scores(other)] == [score for _, score in await scores(plain)]
    assert other.counts() == plain.counts()


@pytest.mark.parametrize("number", first_quick(*range(4)))
async def test_documents_of_models_that_are_sloppy_in_everything_cost_no_call_more(number: int) -> None:
    """Each of them once cost every round's calls, and gave no example."""

    def draft(value: dict[str, Any]) -> Answer:
        for change in list(DRAFTS.values())[:-1]:
            changed = change(value)
            assert isinstance(changed, dict)
            value = changed if change is not DRAFTS["a rubric by number"] else value
        return value

    text = f"Station {number} stands apart.\n\n{DOCUMENT_TEXT}"
    every = sloppy(text, draft, REVIEWS["long feedback"], JUDGED["long reasons"])
    plain = sloppy(text, same, same, same)
    await scores(every), await scores(plain)
    assert every.counts() == plain.counts()
    assert all(len(row["reason"]) == 400 for row in every.rows("marks"))


async def test_an_ambiguous_verdict_is_still_asked_for_again() -> None:
    def judging(call: Call) -> Answer:
        said = judge(call)
        assert isinstance(said, dict)
        if call.number == 1:
            said["marks"][0]["met"] = "partially"
        return said

    bench = Bench({"verifier": judging}, max_rounds=1)
    plain = Bench(max_rounds=1)
    assert (await bench.run())["status"] == (await plain.run())["status"] == "accepted"
    assert len(bench.of("verifier")) == len(plain.of("verifier")) + 1


def quoting(script: Script | None = None) -> Bench:
    """Return a bench of facts whose judge's prompt leaves it at what a verifier's prompt asks for: quotes, and why."""
    bench = Bench({"verifier": script} if script else {}, domain="facts")
    pack = bench.services.pack
    text = pack["verifier"].text.replace("verdict_alone = true\n", "")
    prompts = {**pack.prompts, "verifier": parse_prompt("verifier", text, "verifier.md")}
    bench.services = replace(bench.services, pack=PromptPack("facts", prompts))
    bench.chats["verifier"].schema_title = "ReferenceMark"
    return bench


async def test_a_judge_that_never_quotes_the_reference_is_asked_once_more_and_then_counts() -> None:
    def unquoted(call: Call) -> Answer:
        said = compare(call)
        assert isinstance(said, dict)
        return {"reference_says": "see there", "answer_says": "that", "correct": said["correct"]}

    bench, plain = quoting(unquoted), quoting()
    assert (await bench.run())["status"] == (await plain.run())["status"] == "accepted"
    assert len(bench.of("verifier")) == 2 * len(plain.of("verifier"))
    assert [row["met"] for row in bench.rows("marks")] == [row["met"] for row in plain.rows("marks")]
    assert all("the reference is not quoted" in row["reason"] for row in bench.rows("marks"))
    assert not any("not quoted" in row["reason"] for row in plain.rows("marks"))


@pytest.mark.parametrize(
    ("bare", "expected"), [("true", True), ('{"correct": "incorrect"}', False), ('{"Correct": "Yes"}', True)]
)
async def test_a_verdict_alone_counts_too(bare: str, expected: bool) -> None:
    bench = Bench({"verifier": lambda call: bare}, domain="facts", max_rounds=1)
    await bench.run()
    assert {row["met"] for row in bench.rows("marks")} == {int(expected)}


async def test_a_judge_that_quotes_when_asked_again_is_held_to_that() -> None:
    def second(call: Call) -> Answer:
        said = DEFAULTS["facts"]["verifier"]
        assert callable(said)
        return said(call) if "quote the reference" in call.prompt else {"reference_says": "", "correct": True}

    bench = quoting(second)
    assert (await bench.run())["status"] == "accepted"
    assert not any("not quoted" in row["reason"] for row in bench.rows("marks"))
