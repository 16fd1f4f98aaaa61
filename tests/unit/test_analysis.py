"""The analyst: the sample it reads, the material, and evidence that must exist."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.errors import UnusableReply
from autodata.models.call import CallSite
from autodata.models.structured import schema_text
from autodata.nodes.optimizer.analyst import (
    NOTHING_FAILED,
    Analyzed,
    RootCause,
    _analysis_schema,
    analyse,
    sample_failures,
    shown_analysis,
    shown_history,
)
from autodata.nodes.optimizer.failure_digest import cut_middle, render_material
from autodata.nodes.optimizer.schemas import Analysis
from autodata.nodes.optimizer.trajectories import Exchange, Failure
from autodata.prompts import fence, load_pack
from tests.unit.scripted import bench, calls

PROMPT = load_pack("optimizer")["analyst"]
CS = load_pack("cs")
SITE = CallSite("iteration/4", "", 4, "analyse", "solver")


def failure(n: int, mode: str = "too_easy", document: str = "", **more: Any) -> Failure:
    document = document or f"d{n}"
    return Failure(f"main/{document}/{n}/c{n}", document, n, mode, more.pop("reason", ""), **more)


def exchange(n: int, stage: str = "weak", answer: str = "", **more: Any) -> Exchange:
    return Exchange(f"main/d1/1/c1/{stage}/{n}", stage, answer or f"answer {n}", more.pop("score", 0.5), **more)


FULL = failure(
    2,
    reason="weak mean 0.80",
    candidate={"question": "Why?", "skills": ["a", "b"], "rubric": [{"criterion": "says so", "weight": 3}]},
    quality={"leaks": False, "feedback": "fine"},
    weak_mean=0.8,
    strong_mean=None,
    feedback="Write another.",
    exchanges=(
        exchange(
            0,
            answer="Because.",
            score=0.8,
            marks=({"criterion": "says so", "weight": 3, "met": True, "reason": "does"},),
        ),
        exchange(0, "strong", answer="Because of that.", score=None),
    ),
)


# the sample


def test_modes_take_turns_the_most_frequent_first() -> None:
    failures = [failure(n, "too_easy") for n in range(1, 11)] + [failure(n, "gap_too_small") for n in range(11, 14)]
    failures += [failure(14, "final_check")]
    assert [one.failure_mode for one in sample_failures(failures, 1, 7)] == ["too_easy"]
    modes = [one.failure_mode for one in sample_failures(failures, 7, 7)]
    assert modes == ["too_easy"] * 3 + ["gap_too_small"] * 3 + ["final_check"]


def test_documents_that_are_not_in_the_sample_come_first() -> None:
    failures = [failure(n, document="same") for n in range(1, 9)] + [failure(9, document="other")]
    for seed in range(20):
        assert {one.document_id for one in sample_failures(failures, 2, seed)} == {"same", "other"}


@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=15), st.integers(0, 10), st.integers(0, 99), st.randoms())
def test_a_sample_is_bounded_ordered_and_the_same_for_the_same_seed(
    modes: list[str], k: int, seed: int, random: Any
) -> None:
    failures = [failure(n, mode) for n, mode in enumerate(modes)]
    sample = sample_failures(failures, k, seed)
    assert len(sample) == min(k, len(failures))
    assert sample == [one for one in failures if one in sample]
    if k >= len(set(modes)):
        assert {one.failure_mode for one in sample} == set(modes)
    shuffled = random.sample(failures, len(failures))
    assert {one.round_id for one in sample_failures(shuffled, k, seed)} == {one.round_id for one in sample}


def test_seeds_choose() -> None:
    failures = [failure(n) for n in range(20)]
    assert len({tuple(one.n for one in sample_failures(failures, 3, seed)) for seed in range(10)}) > 5


# the material


def test_a_round_is_shown_whole() -> None:
    text, labels = render_material([FULL])
    assert labels == {"r1": "main/d2/2/c2", "a1": "main/d1/1/c1/weak/0", "a2": "main/d1/1/c1/strong/0"}
    parts = [
        "## Round r1: too_easy (document 1, its round 2), weak mean 0.80",
        "Why it failed:\n" + fence("reason", "weak mean 0.80"),
        "The task:\n" + fence("task", "question: Why?\nskills:\n- a\n- b\nrubric:\n- criterion: says so, weight: 3"),
        "What the quality verifier found:\n" + fence("quality", "leaks: False\nfeedback: fine"),
        "### Attempt a1: weak solver, score 0.80\n" + fence("answer", "Because."),
        "Marks of a1:\n" + fence("marks", "1. (+3) met: says so - does"),
        "### Attempt a2: strong solver, not marked\n" + fence("answer", "Because of that."),
        "What the challenger was told then:\n" + fence("feedback", "Write another."),
    ]
    assert text == "\n\n".join(parts)


def test_labels_go_on_and_documents_are_numbered() -> None:
    sample = [failure(1, document="x", exchanges=(exchange(0),)), failure(2, document="y"), failure(3, document="x")]
    text, labels = render_material([*sample, failure(4, exchanges=(exchange(1),))])
    assert re.findall(r"Round (r\d): \w+ \((document \d)", text) == [
        ("r1", "document 1"),
        ("r2", "document 2"),
        ("r3", "document 1"),
        ("r4", "document 3"),
    ]
    assert list(labels) == ["r1", "a1", "r2", "r3", "r4", "a2"]


def long(n: int, chars: int = 30_000) -> Failure:
    return failure(n, exchanges=tuple(exchange(k, answer=f"start{k} " + "x" * chars + f" end{k}") for k in range(3)))


def test_answers_are_cut_in_their_middle_only_when_they_must() -> None:
    text, _ = render_material([long(1, 10_000)])
    assert "left out" not in text
    text, _ = render_material([long(1)])
    assert len(text) <= 60_000
    assert text.startswith("Answers of more than 16,000 characters are cut in the middle.\n\n## Round r1")
    assert text.count("[… 14,012 characters left out …]") == 3
    assert all(f"start{k} " in text and f" end{k}" in text for k in range(3))


def test_other_texts_come_next_and_then_whole_rounds() -> None:
    wordy = failure(1, reason="r" * 50_000, feedback="f" * 50_000, exchanges=(exchange(0, answer="a" * 50_000),))
    text, labels = render_material([wordy])
    assert len(text) <= 60_000
    assert "Answers of more than 1,500 characters are cut" in text
    assert "Other texts of more than 8,000 characters are cut" in text
    many = [long(n) for n in range(40)]
    text, labels = render_material(many, 5_000)
    assert len(text) <= 5_000
    kept = sum(label.startswith("r") for label in labels)
    assert 1 < kept < 40
    assert f"{40 - kept} further rounds are left out." in text
    assert set(re.findall(r"\b(?:Round|Attempt) ([ra]\d+)", text)) == set(labels)


def test_cut_middle() -> None:
    assert cut_middle("abcdefg", 7) == cut_middle("abcdefg", None) == "abcdefg"
    assert cut_middle("abcdefg", 3) == "ab\n[… 4 characters left out …]\ng"


@given(st.text(), st.text())
def test_text_from_outside_stays_in_its_fence(answer: str, reason: str) -> None:
    hostile = failure(1, reason=reason, exchanges=(exchange(0, answer=answer or "x"),))
    text, _ = render_material([hostile])
    outside = re.sub(r"<(\w+-[0-9a-f]{12})>\n.*?\n</\1>", "", text, flags=re.DOTALL)
    assert outside == re.sub(
        r"<(\w+-[0-9a-f]{12})>\n.*?\n</\1>",
        "",
        render_material([failure(1, reason=reason and "y", exchanges=(exchange(0),))])[0],
        flags=re.DOTALL,
    )


# the analyst


def reply(*evidence: str, **more: Any) -> str:
    cause = {"cause": "The context says it.", "evidence": list(evidence), "advice": "Forbid it."}
    return json.dumps({"causes": [cause], "summary": "It leaks.", **more})


async def test_causes_cite_what_is_in_the_ledger() -> None:
    caller, chat = bench(reply("a1", "[R1]", "a1"))
    found = await analyse(caller, SITE, PROMPT, [FULL], history=["1: nothing\nhelped"], pack=CS)
    assert found == Analyzed(
        (RootCause("The context says it.", ("main/d1/1/c1/weak/0", "main/d2/2/c2"), "Forbid it."),), "It leaks."
    )
    assert found.recorded() == {
        "summary": "It leaks.",
        "causes": [
            {
                "cause": "The context says it.",
                "evidence": ["main/d1/1/c1/weak/0", "main/d2/2/c2"],
                "advice": "Forbid it.",
            }
        ],
    }
    asked = "\n".join(chat.asked[0][0])
    assert render_material([FULL])[0] in asked
    assert fence("history", "- 1: nothing helped") in asked
    assert '"title":"Analysis"' in asked
    for role in ("challenger", "quality_verifier", "feedback"):
        assert fence("file", CS[role].text) in asked
    assert CS["verifier"].system not in asked
    assert [call["prompt_version"] for call in calls(caller._journal)] == [PROMPT.version]  # type: ignore[arg-type]


async def test_evidence_that_does_not_exist_is_named_and_asked_for_again() -> None:
    caller, chat = bench(reply("a1", "a7", "r9"), reply("r1"))
    found = await analyse(caller, SITE, PROMPT, [FULL])
    assert found.causes[0].evidence == ("main/d2/2/c2",)
    complaint = chat.asked[1][0][-1]
    assert "causes[0].evidence: Value error, a7, r9: no such label in the material: use r1, a1 to a2" in complaint


@pytest.mark.parametrize("evidence", [(), ("a3",), ("main/d2/2/c2",), ("",)])
async def test_nothing_is_let_through_without_evidence(evidence: tuple[str, ...]) -> None:
    caller, _ = bench(reply(*evidence))
    with pytest.raises(UnusableReply):
        await analyse(caller, SITE, PROMPT, [FULL])


async def test_without_attempts_only_rounds_can_be_cited() -> None:
    caller, chat = bench(reply("a1"), reply("r1"))
    await analyse(caller, SITE, PROMPT, [failure(1, "malformed_candidate")])
    assert "a1: no such label in the material: use r1;" in chat.asked[1][0][-1]


async def test_when_nothing_failed_nobody_is_asked() -> None:
    caller, chat = bench("unused")
    assert await analyse(caller, SITE, PROMPT, []) == Analyzed((), NOTHING_FAILED)
    assert chat.asked == []


async def test_a_second_run_replays() -> None:
    caller, chat = bench(reply("a9"), reply("a1"))
    first = await analyse(caller, SITE, PROMPT, [FULL])
    assert await analyse(caller, SITE, PROMPT, [FULL]) == first
    assert len(chat.asked) == 2


def test_what_the_editor_is_shown_of_it() -> None:
    text = shown_analysis({"summary": "It\nleaks.", "causes": [{"cause": "C", "evidence": ["x", "y"], "advice": "A"}]})
    assert text == fence("analysis", "It leaks.\n\n1. C\nSeen 2 times. Advice: A")
    assert shown_analysis({}) == fence("analysis", "")
    assert shown_history([]) == "Nothing yet."


def test_the_schema_keeps_its_name() -> None:
    assert Analysis.model_fields.keys() == {"causes", "summary"}


# contrast, excerpts, labels in the schema


def test_accepted_rounds_and_documents_stand_behind_the_failures_without_labels() -> None:
    accepted = replace(failure(3, ""), round_id="main/d9/1/c", document_id="d9", reason="")
    text, labels = render_material([FULL], contrast=[accepted], excerpts={"d9": "How it begins", "unknown": "never"})
    assert labels == render_material([FULL])[1]
    assert text.startswith(render_material([FULL])[0])
    assert "## Accepted, for contrast (document 2, its round 3)" in text
    assert "## How document 2 reads, in part\n" + fence("document", "How it begins") in text
    assert "never" not in text


def test_contrast_is_left_out_before_a_failed_round_is_cut() -> None:
    accepted = replace(failure(3, ""), reason="x" * 1500)
    alone, _ = render_material([FULL])
    text, _ = render_material([FULL], len(alone) + 100, contrast=[accepted])
    assert text == alone


def test_the_schema_lists_the_labels_and_the_reader_is_lenient() -> None:
    schema = _analysis_schema(("r1", "a1"))
    listed = json.loads(schema_text(schema))
    assert '"enum": ["r1", "a1"]' in json.dumps(listed)
    reply = {"causes": [{"cause": "c", "evidence": ["[A1]"], "advice": "x"}], "summary": "s"}
    assert schema.model_validate(reply).causes[0].evidence == ("a1",)
