"""Schemas of the legal roles: what code refuses whatever a model says."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from autodata.checkpoints.records import Decision, Stage
from autodata.domains.acceptance.policies import PRESETS, Planned
from autodata.domains.domain import LEGAL
from autodata.domains.tasks.judgement import Extract, LoopJudgement
from autodata.domains.tasks.legal import BANDS, LegalCandidate, LegalDraft
from autodata.models.structured import schema_text


def item(number: int, weight_class: str = "important", weight: Any = 5, **more: Any) -> dict[str, Any]:
    given = {
        "number": number,
        "criterion": f"Asserts point {number}",
        "category": "rule",
        "capability": "issue_spotting",
    }
    return given | {"weight_class": weight_class, "weight": weight} | more


def draft(*rubric: dict[str, Any], **more: Any) -> dict[str, Any]:
    items = list(rubric) or [item(1), item(2, "negative", -3)]
    return {"target_capabilities": ["issue_spotting"], "question": "What can I do?", "rubric": items} | more


def extract(**more: Any) -> dict[str, Any]:
    lists = {"topic_keywords": ["a", "b", "c"], "issues": ["I"], "facts": ["F"], "holdings": ["H"]}
    return {
        "suitable_for_synthetic_question": True,
        "suitability_note": "it states a rule",
        "document_type": "opinion",
    } | (lists | more)


def judgement(**more: Any) -> dict[str, Any]:
    texts = dict.fromkeys(("weak_pattern", "strong_pattern", "gap_interpretation", "rubric_concerns"), "said")
    rest = {"grpo_suitability": "high", "verdict": "accept", "verdict_reason": "fine", "suggestion_for_writer": ""}
    return texts | rest | more


def refused(schema: type[BaseModel], data: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as found:
        schema.model_validate(data)
    return str(found.value)


@pytest.mark.parametrize("weight", range(-12, 13))
@pytest.mark.parametrize("weight_class", [*BANDS, "minor"])
def test_a_weight_must_lie_in_the_band_of_its_class(weight_class: str, weight: int) -> None:
    bands = {"critical": {8, 9, 10}, "important": {5, 6, 7}, "slight": {2, 3, 4}, "negative": {*range(-10, 0)}}
    rows = [item(1), item(2, weight_class, weight)]
    if weight in bands.get(weight_class, set()):
        assert LegalDraft.model_validate(draft(*rows)).rubric[1].weight == weight
    else:
        assert "rubric.1" in refused(LegalDraft, draft(*rows))


@pytest.mark.parametrize("key", sorted(item(1)))
def test_all_six_keys_are_needed(key: str) -> None:
    row = item(2)
    del row[key]
    assert f"rubric.1.{key}" in refused(LegalDraft, draft(item(1), row))


@pytest.mark.parametrize(
    ("rubric", "said"),
    [
        ([item(2), item(3)], "numbered 1 to 2 in order"),
        ([item(2), item(1)], "numbered 1 to 2 in order"),
        ([item(1), item(1, criterion="Asserts more")], "numbered 1 to 2 in order"),
        ([item(1), item(2, criterion="asserts  POINT 1")], "each criterion must be unique"),
        ([item(1, "negative", -2)], "at least one criterion must earn points"),
        ([item(1, weight=5.5)], "valid integer"),
        ([item(1, capability="3 strikes")], "match pattern"),
        ([item(1, capability=" - ")], "match pattern"),
        ([], "at least 1 item"),
    ],
)
def test_a_rubric_with_a_wrong_structure(rubric: list[dict[str, Any]], said: str) -> None:
    assert said in refused(LegalDraft, draft() | {"rubric": rubric})


@pytest.mark.parametrize("numbers", [({}, {}), ({"id": "1."}, {"id": "2."}), ({"no": 1}, {"no": 2})])
def test_items_in_order_are_numbered_by_their_place(numbers: tuple[dict[str, Any], ...]) -> None:
    rows = [item(1), item(2)]
    kept = [
        {key: one for key, one in row.items() if key != "number"} | own for row, own in zip(rows, numbers, strict=True)
    ]
    assert [one.number for one in LegalDraft.model_validate(draft(*kept)).rubric] == [1, 2]


@pytest.mark.parametrize("key", ["target_capabilities", "question", "rubric"])
def test_a_draft_is_three_keys(key: str) -> None:
    assert list(LegalDraft.model_fields) == ["target_capabilities", "question", "rubric"]
    refused(LegalDraft, {name: value for name, value in draft().items() if name != key})


def test_a_candidate_has_neither_reference_nor_context() -> None:
    candidate = LEGAL.scorer.candidate(draft())
    assert isinstance(candidate, LegalCandidate)
    assert (candidate.reference_answer, candidate.context) == ("", "")
    assert LEGAL.scorer.candidate(candidate.model_dump(mode="json")) == candidate
    refused(LegalCandidate, draft(reference_answer="42"))
    refused(LegalCandidate, draft(context="setting"))


def test_judge_and_score() -> None:
    kind = LEGAL.scorer
    candidate = kind.candidate(draft(item(1, "critical", 8), item(2, "slight", 2), item(3, "negative", -4)))
    judged = kind.judged_by(candidate)
    assert set(judged) == {"criteria"}
    assert "1. Asserts point 1\n2. Asserts point 2\n3. Asserts point 3" in judged["criteria"]
    marks = kind.marks(candidate)
    met = [{"number": k, "reason": "seen", "met": k != 2} for k in (1, 2, 3)]
    scored = kind.scored(candidate, marks.model_validate({"marks": met}))
    assert (scored.score, scored.met) == (Fraction(2, 5), (True, False, True))
    refused(marks, {"marks": met[:2]})
    assert kind.scored_by_code(candidate, "any answer") is None


@pytest.mark.parametrize("unsure", [True, None, "unsure", "true", "", 0.5, "perhaps not"])
def test_in_doubt_a_document_is_suitable(unsure: object) -> None:
    assert not Extract.model_validate(extract(suitable_for_synthetic_question=unsure)).unsuitable


def test_a_clear_no_with_its_note_is_unsuitable_and_one_without_is_a_doubt() -> None:
    for no in (False, "false", "No"):
        assert Extract.model_validate(extract(suitable_for_synthetic_question=no)).unsuitable
    assert not Extract.model_validate(extract(suitable_for_synthetic_question=False, suitability_note=" ")).unsuitable


@pytest.mark.parametrize("key", sorted(extract()))
def test_an_extract_has_seven_fields_of_which_three_decide_nothing(key: str) -> None:
    assert len(Extract.model_fields) == 7
    rest = {name: value for name, value in extract().items() if name != key}
    if key in {"document_type", "suitability_note", "topic_keywords"}:
        assert not getattr(Extract.model_validate(rest), key)
    else:
        refused(Extract, rest)


@pytest.mark.parametrize("count", [2, 3, 5, 6])
def test_of_too_many_keywords_five_are_kept(count: int) -> None:
    data = extract(topic_keywords=[f"k{k}" for k in range(count)])
    assert Extract.model_validate(data).topic_keywords == tuple(f"k{k}" for k in range(min(count, 5)))


def test_a_judgement_has_eight_fields() -> None:
    assert list(LoopJudgement.model_fields) == list(judgement())
    for name in judgement():
        rest = {key: value for key, value in judgement().items() if key != name}
        if name in {"grpo_suitability", "verdict"}:
            assert name in refused(LoopJudgement, rest)
        else:
            assert getattr(LoopJudgement.model_validate(rest), name) == ""


@pytest.mark.parametrize(("name", "value"), [("grpo_suitability", "very high"), ("verdict", "reject"), ("verdict", "")])
def test_levels_and_verdicts_are_fixed_words(name: str, value: str) -> None:
    assert name in refused(LoopJudgement, judgement(**{name: value}))


def test_improve_needs_a_suggestion_and_keeps_it_word_for_word() -> None:
    for nothing in ("", "  \n"):
        assert "needs a suggestion" in refused(
            LoopJudgement, judgement(verdict="improve", suggestion_for_writer=nothing)
        )
    said = "  Two  spaces,\n## a heading, and an end. "
    found = LoopJudgement.model_validate(judgement(verdict="improve", suggestion_for_writer=said))
    assert found.suggestion_for_writer == said
    missing = {key: value for key, value in judgement(verdict="improve").items() if key != "suggestion_for_writer"}
    assert "needs a suggestion" in refused(LoopJudgement, missing)


def test_the_policy_asks_for_all_attempts_and_then_for_the_judge() -> None:
    policy, planned = PRESETS["loop_judge"], Planned(5, 3)
    zero, one = Fraction(0), Fraction(1)
    for made in range(5):
        ruling = policy.rule([one] * made, [], planned)
        assert (ruling.decision, ruling.stage, ruling.more) == (Decision.MORE, Stage.WEAK, 5 - made)
    for made in range(3):  # the strong solver runs whatever the weak one scored
        for score in (zero, one):
            ruling = policy.rule([score] * 5, [zero] * made, planned)
            assert (ruling.decision, ruling.stage, ruling.more) == (Decision.MORE, Stage.STRONG, 3 - made)
    ruling = policy.rule([zero, one, zero, zero, zero], [one, one, zero], planned)
    assert (ruling.decision, ruling.failure_mode, ruling.more) == (Decision.JUDGE, None, 0)
    listed = [(check.name, check.value, check.bound, check.passed) for check in ruling.checks]
    assert listed == [("weak mean", "0.20", "", True), ("strong mean", "0.6667", "", True), ("gap", "0.4667", "", True)]


def test_the_schemas_are_known_by_their_titles() -> None:
    for schema in (Extract, LegalDraft, LoopJudgement):
        assert f'"title":"{schema.__name__}"' in schema_text(schema)
