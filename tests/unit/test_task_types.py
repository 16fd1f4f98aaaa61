"""Kinds of candidate: what code enforces, what a prompt's limits enforce, and how marks become a score."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from autodata import nodes
from autodata.checkpoints.records import Candidate
from autodata.domains.acceptance.rubric_score import one_line
from autodata.domains.tasks.base import marks_of
from autodata.domains.tasks.reference import VERDICT_ALONE
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.domains.tasks.rubric import RubricTask
from autodata.domains.tasks.schemas import (
    ReferenceCandidate,
    ReferenceMark,
    RubricCandidate,
    RubricMarks,
    RubricReview,
    SupportReview,
)
from autodata.models.scan import Unusable
from autodata.models.structured import parse_reply, response_format
from autodata.prompts import load_pack
from autodata.prompts.pack import shipped_packs

RUBRIC, REFERENCE = TASK_TYPES["rubric"], TASK_TYPES["reference"]
LIMITS = load_pack("cs")["quality_verifier"].front.limits


def rows(*weights: int) -> list[dict[str, Any]]:
    return [{"criterion": f"criterion {n}", "weight": weight} for n, weight in enumerate(weights, 1)]


def rubric(*weights: int, **changed: Any) -> RubricCandidate:
    values: dict[str, Any] = {
        "question_type": "counterfactual",
        "skills": ["causal reasoning"],
        "context": "A store appends every change to a log before it touches a page, and flushes it at each commit.",
        "question": "What follows if two pages share one sequence number?",
        "reference_answer": "Redo skips a change that it should apply.",
        "rubric": rows(*(weights or (10, -5))),
    }
    candidate = RUBRIC.candidate(values | changed)
    assert isinstance(candidate, RubricCandidate)
    return candidate


def reference(
    question: str = "In which year did the Velin engine begin?", answer: str = "It began in 2011."
) -> Candidate:
    return REFERENCE.candidate({"question": question, "reference_answer": answer})


def review(**changed: Any) -> RubricReview:
    fine: dict[str, Any] = {
        "every_positive_needs_reasoning": True,
        "every_negative_names_an_error": True,
        "no_item_tests_format": True,
    }
    fine |= {"leak_reason": "compared both", "leaks": False, "question_quality": "GOOD", "single_question": True}
    return RubricReview.model_validate(fine | {"type_matches": True, "feedback": "Ask for more."} | changed)


@pytest.mark.parametrize(
    "weights",
    [
        (7, 7, 6, 5, 5, 4, 3, 2, 2, 1),  # positive only, capped at 7: what an optimiser may come to
        (1,),
        (10, -10),
        (1, -10, -10, -10),
        tuple([1] * 40),
    ],
)
def test_structure_alone_decides_what_a_rubric_may_be(weights: tuple[int, ...]) -> None:
    assert [item.weight for item in rubric(*weights).rubric] == list(weights)


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ([], "at least 1 item"),
        (rows(*[1] * 41), "at most 40 items"),
        (rows(0, 5), "a weight of 0 scores nothing"),
        (rows(11), "less than or equal to 10"),
        (rows(5, -11), "greater than or equal to -10"),
        (rows(-1, -5), "no weight is positive"),
        ([{"criterion": "x", "weight": 2.5}], "integer"),
        ([{"criterion": "x", "weight": "high"}], "integer"),
        ([{"criterion": "  ", "weight": 1}], "at least 1 character"),
        ([{"criterion": "x" * 601, "weight": 1}], "at most 600 characters"),
        ([{"weight": 1}], "Field required"),
        (
            [{"criterion": "Names X", "weight": 1}, {"criterion": " names  x ", "weight": 2}],
            "two rubric items say the same",
        ),
    ],
)
def test_a_rubric_that_arithmetic_cannot_use_is_refused(wrong: list[dict[str, Any]], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        rubric(rubric=wrong)


def test_a_plus_sign_is_read_as_the_number_it_means() -> None:
    reply = rubric(8, -3).model_dump_json().replace('"weight":8', '"weight":+8')
    assert parse_reply(reply, RUBRIC.draft) == rubric(8, -3)


def test_a_candidate_is_known_by_exactly_its_content() -> None:
    assert rubric(5, 4).candidate_id == rubric(5, 4).candidate_id
    assert rubric(5, 4, ignored="extra").candidate_id == rubric(5, 4).candidate_id
    others = [rubric(4, 5), rubric(5, 3), rubric(5, 4, question="Another?"), rubric(5, 4, skills=["other"])]
    assert len({candidate.candidate_id for candidate in (rubric(5, 4), *others)}) == 5


# Weights of a rubric and what the limits of the shipped prompt find: one row on each side of every limit.
COUNTS: list[tuple[tuple[int, ...], list[str]]] = [
    ((5,) * 7 + (-5,) * 3, []),
    ((5,) * 6 + (-5,) * 3, ["the rubric has 9 items, at least 10 allowed"]),
    ((5,) * 17 + (-5,) * 3, []),
    ((5,) * 18 + (-5,) * 3, ["the rubric has 21 items, at most 20 allowed"]),
    ((5,) * 4 + (-5,) * 6, []),
    ((5,) * 3 + (-5,) * 7, ["the rubric has 3 positive items, at least 4 allowed"]),
    ((5,) * 8 + (-5,) * 2, ["the rubric has 2 negative items, at least 3 allowed"]),
    ((7,) * 10, ["the rubric has 0 negative items, at least 3 allowed"]),
]


@pytest.mark.parametrize(("weights", "found"), COUNTS)
def test_counts_come_from_the_limits_of_the_quality_verifiers_prompt(
    weights: tuple[int, ...], found: list[str]
) -> None:
    problems = RUBRIC.findings(review(), rubric(*weights), LIMITS)
    assert problems == [*found, *([review().feedback] if found else [])]
    assert RUBRIC.findings(review(), rubric(*weights), {}) == []  # the schema knows no counts


def test_limits_may_be_edited() -> None:
    assert RUBRIC.findings(review(), rubric(*[7] * 10), {"negative_max": 0, "items_min": 10}) == []
    assert RUBRIC.findings(review(), rubric(7, -1), {"negative_max": 0}) != []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"leaks": True, "leak_reason": "it is said in line 1"}, "it is said in line 1"),
        ({"question_quality": "TOO_EASY"}, "TOO_EASY"),
        ({"question_quality": "RECALL"}, "RECALL"),
        ({"single_question": False}, "more than one question"),
        ({"every_positive_needs_reasoning": False}, "no reasoning beyond the context"),
        ({"every_negative_names_an_error": False}, "no specific error"),
        ({"no_item_tests_format": False}, "tests format"),
        ({"type_matches": False}, "does not match its stated type"),
    ],
)
def test_every_finding_fails_the_candidate_by_itself(changed: Mapping[str, Any], reason: str) -> None:
    problems = RUBRIC.findings(review(**changed), rubric(), {})
    assert len(problems) == 2
    assert reason in problems[0]
    assert problems[1] == "Ask for more."  # the reviewer's advice comes last


def test_all_findings_are_reported() -> None:
    changed = {"leaks": True, "question_quality": "RECALL", "single_question": False, "type_matches": False}
    assert len(RUBRIC.findings(review(**changed), rubric(), {"items_min": 3})) == 6


def test_a_rubric_without_negative_items_cannot_fail_on_them() -> None:
    assert RUBRIC.findings(review(every_negative_names_an_error=False), rubric(5, 5), {}) == []


def test_only_a_supported_answer_passes() -> None:
    supported, invented = (SupportReview(reason="line 2 says 1969", supported=value) for value in (True, False))
    assert REFERENCE.findings(supported, reference(), {}) == []
    assert "line 2 says 1969" in REFERENCE.findings(invented, reference(), {})[0]


@pytest.mark.parametrize(
    ("numbers", "complete"),
    [
        ([1, 2, 3], True),
        ([3, 1, 2], True),
        ([1, 2], False),
        ([1, 2, 2], False),
        ([1, 2, 4], False),
        ([0, 1, 2], False),
        ([1, 2, 3, 3], False),
        ([1, 2, 3, 4], False),
        ([], False),
    ],
)
def test_every_criterion_is_marked_exactly_once(numbers: list[int], complete: bool) -> None:
    schema = RUBRIC.marks(rubric(5, 4, -3))
    values = {"marks": [{"number": number, "reason": "so", "met": True} for number in numbers]}
    if complete:
        assert isinstance(schema.model_validate(values), RubricMarks)
    else:
        with pytest.raises(ValidationError):
            schema.model_validate(values)


def test_the_judge_sees_what_is_missing() -> None:
    with pytest.raises(Unusable, match=r"one mark for each criterion 1 to 2 is needed, got numbers \[1, 1\]"):
        parse_reply('{"marks":[{"number":1,"met":true},{"number":1,"met":true}]}', RUBRIC.marks(rubric(5, 4)))


def test_marks_count_for_their_own_criterion_in_any_order() -> None:
    candidate = rubric(6, 4, -3)
    marks = [{"number": 3, "reason": "c", "met": True}, {"number": 1, "reason": "a", "met": True}]
    found = RUBRIC.marks(candidate).model_validate({"marks": [*marks, {"number": 2, "reason": "b", "met": False}]})
    scored = RUBRIC.scored(candidate, found)
    assert (scored.score, scored.met, scored.reasons) == (Fraction(3, 10), (True, False, True), ("a", "b", "c"))
    assert RUBRIC.criteria(candidate) == [("criterion 1", 6), ("criterion 2", 4), ("criterion 3", -3)]


def test_no_number_a_model_states_is_used() -> None:
    candidate = rubric(6, 4)
    marks = [{"number": n, "met": False, "score": 1.0, "weight": 10} for n in (1, 2)]
    assert RUBRIC.scored(candidate, RUBRIC.marks(candidate).model_validate({"marks": marks, "score": 1})).score == 0


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("It began in 2011.", True),
        ("As far as I know it began in 2011, in Utrecht.", False),  # words around it may say anything
        ("IT BEGAN IN 2011", True),
        ("It began in 20110.", False),
        ("It began in 2011 or 2012.", False),
        ("In 2011.", False),  # right perhaps, but that is for the judge to say
        ("It did not begin in 2011.", False),
        ("", False),
    ],
)
def test_an_answer_that_is_the_reference_needs_no_judge(answer: str, right: bool) -> None:
    scored = REFERENCE.scored_by_code(reference(), answer)
    assert (scored is not None) is right
    if scored:
        assert (scored.score, scored.met) == (Fraction(1), (True,))


@pytest.mark.parametrize("written", ["{}", "{} ", "<question-1f0c>\n{}\n</question-1f0c>", "**{}**"])
def test_an_answer_that_is_the_question_again_is_wrong_without_a_judge(written: str) -> None:
    question = reference().question
    scored = REFERENCE.scored_by_code(reference(), written.format(question))
    assert scored
    assert (scored.score, scored.met) == (Fraction(0), (False,))
    assert REFERENCE.scored_by_code(reference(), f"{question} In the year of the flood.") is None


def test_another_number_is_wrong_without_a_judge() -> None:
    scored = REFERENCE.scored_by_code(reference(), "It began in 1998.")
    assert scored
    assert (scored.score, scored.met) == (Fraction(0), (False,))


def test_an_answer_to_a_rubric_always_needs_a_judge() -> None:
    assert RUBRIC.scored_by_code(rubric(), rubric().reference_answer) is None


@pytest.mark.parametrize("correct", [True, False])
def test_a_reference_mark_is_right_or_wrong(correct: bool) -> None:
    mark = REFERENCE.marks(reference()).model_validate(
        {"reference_says": "2011", "answer_says": "2012", "correct": correct}
    )
    assert isinstance(mark, ReferenceMark)
    scored = REFERENCE.scored(reference(), mark)
    assert (scored.score, scored.met) == (Fraction(int(correct)), (correct,))
    assert "2012" in scored.reasons[0]


@pytest.mark.parametrize(("text", "correct"), [("true", True), ("No.", False), ('{"correct": true}', True)])
def test_a_verdict_alone_is_taken_in_every_clear_form(text: str, correct: bool) -> None:
    schema = marks_of(REFERENCE, reference(), verdict_alone=True)
    scored = REFERENCE.scored(reference(), parse_reply(text, schema))
    assert (scored.score, scored.met) == (Fraction(int(correct)), (correct,))
    assert scored.reasons == (VERDICT_ALONE,)


@pytest.mark.parametrize("text", ["maybe", "true or false", "", "{}", '{"correct": "partly"}', "2"])
def test_a_verdict_that_is_not_clear_is_refused(text: str) -> None:
    with pytest.raises(Unusable):
        parse_reply(text, marks_of(REFERENCE, reference(), verdict_alone=True))


def test_a_verdict_alone_is_one_token_at_a_local_server_and_an_object_elsewhere() -> None:
    schema = marks_of(REFERENCE, reference(), verdict_alone=True)
    local = response_format(schema, "json_schema", text_limits=True)["json_schema"]
    assert (local["name"], local["schema"]) == ("ReferenceVerdict", {"type": "boolean"})
    other = response_format(schema, "json_schema")["json_schema"]
    assert (other["strict"], list(other["schema"]["properties"])) == (True, ["correct"])


def test_a_judge_gives_more_than_its_verdict_unless_its_prompt_and_its_task_type_say_otherwise() -> None:
    assert issubclass(marks_of(REFERENCE, reference(), verdict_alone=False), ReferenceMark)
    assert "marks" in marks_of(RUBRIC, rubric(), verdict_alone=True).model_fields
    alone = {name for name in shipped_packs() if load_pack(name)["verifier"].front.verdict_alone}
    assert alone == {"facts"}  # made for small models


def test_a_judge_that_misquotes_the_reference_is_not_believed() -> None:
    with pytest.raises(ValidationError, match="must quote the reference answer"):
        REFERENCE.marks(reference()).model_validate({"reference_says": "1969", "answer_says": "1969", "correct": True})


def test_a_reference_of_signs_alone_can_still_be_judged() -> None:
    schema = REFERENCE.marks(reference(answer="∞"))
    assert schema.model_validate({"reference_says": "∞", "answer_says": "∞", "correct": True})


@pytest.mark.parametrize(
    ("question", "answer", "problems"),
    [
        ("In which year did the Velin engine begin?", "It began in 2011.", []),
        ("Did the Velin engine begin in 2011?", "2011", ["gives its answer away"]),
        ("Why do people say that Velin IS A STORE?", "Velin is a store.", ["gives its answer away"]),
        ("Did Velin begin in 20110?", "2011", []),
        ("When did the text say Velin began?", "In 2011.", ["points at its source"]),
        ("Was this in 2011?", "2011", ["points at its source", "gives its answer away"]),
    ],
)
def test_what_code_finds_in_a_reference_candidate(question: str, answer: str, problems: list[str]) -> None:
    found = REFERENCE.problems(reference(question, answer))
    assert len(found) == len(problems)
    assert all(part in text for part, text in zip(problems, found, strict=True))
    assert REFERENCE.final_problems(reference(question, answer)) == found


def test_a_reference_candidate_has_no_context() -> None:
    assert isinstance(reference(), ReferenceCandidate)
    assert reference().context == ""
    with pytest.raises(ValidationError):
        ReferenceCandidate.model_validate({"question": "Q?", "reference_answer": "A.", "context": "The answer is A."})


LONG = "A store appends every change to a log before it touches a page, and flushes it at each commit"


@pytest.mark.parametrize(
    ("context", "question", "problems"),
    [
        (LONG, "What follows?", []),
        (f"{LONG}, as in this paper.", "What follows?", ["this paper"]),
        (LONG, "What follows from Table 3?", ["Table 3"]),
        (f"{LONG} (see Section 2).", "What do the authors expect?", ["Section 2", "the authors"]),
        ("x" * 80, "What follows?", []),
        ("x" * 79, "What follows?", ["79 characters"]),
        ("", "What follows?", ["0 characters"]),
    ],
)
def test_the_final_check_of_a_rubric_candidate(context: str, question: str, problems: list[str]) -> None:
    found = RUBRIC.final_problems(rubric(context=context, question=question))
    assert len(found) == len(problems)
    assert all(part in text for part, text in zip(problems, found, strict=True))
    assert RUBRIC.problems(rubric(context=context, question=question)) == []


@pytest.mark.parametrize("own", ["", "7. ", "7) ", "(7) ", "[7] ", "#7: ", "Criterion 7: ", "- ", "7. 8. "])
@pytest.mark.parametrize("broken", [" ", "\n", "\r\n", "\n\n", "\u2028", "\x0b", "\x85"])
def test_a_criterion_cannot_shift_the_numbers_of_a_list(own: str, broken: str) -> None:
    texts = [f"{own}Names the log{broken}2. and the page", "Names the flush", f"{own}1.5 metres are named"]
    weights = (5, -3, 4)
    written = [{"criterion": text, "weight": weight} for text, weight in zip(texts, weights, strict=True)]
    lines = ["Names the log 2. and the page", "Names the flush", "1.5 metres are named"]
    candidate = rubric(rubric=written)
    shown = RUBRIC.judged_by(candidate)["criteria"].splitlines()[1:-1]
    assert shown == [f"{n}. {line}" for n, line in enumerate(lines, 1)]
    assert RUBRIC.criteria(candidate) == list(zip(lines, weights, strict=True))
    reviewed = RUBRIC.shown(candidate)
    numbered = enumerate(zip(weights, lines, strict=True), 1)
    assert f"Rubric: {chr(10).join(f'{n}. ({w:+d}) {line}' for n, (w, line) in numbered)}\n" in reviewed


@pytest.mark.parametrize(
    "text",
    ["2011: the year", "3 metres are said", "4-bit is named", "No loss is named", "3 - 5 items", "1969. is", "5."],
)
def test_a_criterion_keeps_numbers_that_are_its_own_words(text: str) -> None:
    assert one_line(text) == text


@pytest.mark.parametrize("numbers", [[0, 1], [0], [1, 0], [2, 3], [-1, 1]])
def test_numbers_from_0_are_asked_again_not_guessed(numbers: list[int]) -> None:
    marks = [{"number": number, "met": True} for number in numbers]
    with pytest.raises(Unusable):
        parse_reply(json.dumps({"marks": marks}), RUBRIC.marks(rubric(5, 4)))


QUOTING = 'The log is \u201cflushed at each commit\u201d, as "redo skips every page" says, and "hot" is a word.'


def test_quotes_that_the_document_lacks_are_noted_with_where_they_stand() -> None:
    found = RUBRIC.missing(rubric(context=QUOTING), ["A log,  FLUSHED at each\ncommit."])  # type: ignore[attr-defined]
    assert (found.problems, found.quotes) == ((), ({"where": "context", "quote": "redo skips every page"},))


def test_generic_modules_import_no_domain() -> None:
    folder = Path(nodes.__file__).parent
    generic = {
        "loop_judge",
        "loop_judge_packet",
        "extractor",
        "challenger",
        "quality_verifier",
        "feedback",
        "accept",
        "rounds",
        "verifier",
        "code_checks",
    }
    for name in generic:
        text = (folder / f"{name}.py").read_text("utf-8")
        assert not re.search(r"tasks\.(legal|legal_filters)\b", text), name


def test_the_shortest_context_is_a_setting() -> None:
    assert RubricTask(min_context_chars=0).final_problems(rubric(context="")) == []


def test_the_judge_sees_criteria_without_weights_and_never_a_rubrics_reference() -> None:
    candidate = rubric(9, -7)
    shown = RUBRIC.judged_by(candidate)
    assert set(shown) == {"criteria"}
    assert "1. criterion 1\n2. criterion 2" in shown["criteria"]
    assert candidate.reference_answer not in shown["criteria"]
    assert not {"9", "-7", "+9"} & set(shown["criteria"].split())
    assert set(REFERENCE.judged_by(reference())) == {"reference"}


@pytest.mark.parametrize(("kind", "candidate"), [("rubric", rubric()), ("reference", reference())])
def test_the_quality_verifier_sees_all_of_a_candidate(kind: Any, candidate: Candidate) -> None:
    shown = TASK_TYPES[kind].shown(candidate)
    assert candidate.question in shown
    assert candidate.reference_answer in shown
    assert candidate.context in shown
    if isinstance(candidate, RubricCandidate):
        assert all(f"({item.weight:+d}) {item.criterion}" in shown for item in candidate.rubric)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda: RUBRIC.findings(SupportReview(reason="r", supported=True), rubric(), {}),
        lambda: REFERENCE.findings(review(), reference(), {}),
        lambda: RUBRIC.scored(rubric(), ReferenceMark(reference_says="a", answer_says="a", correct=True)),
        lambda: REFERENCE.scored(reference(), RubricMarks(marks=())),
        lambda: RUBRIC.shown(reference()),
    ],
)
def test_kinds_do_not_mix(mixed: Callable[[], BaseModel]) -> None:
    with pytest.raises(TypeError, match="candidate"):
        mixed()
