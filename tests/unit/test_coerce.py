"""What every reply schema takes and refuses: a table of shapes as models write them, and what they are read as."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import reduce
from typing import Any

import pytest
from pydantic import BaseModel

from autodata.checkpoints.records import Candidate
from autodata.domains.tasks.judgement import Extract, LoopJudgement
from autodata.domains.tasks.legal import LegalCandidate, LegalDraft
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.domains.tasks.schemas import (
    ReferenceCandidate,
    ReferenceDraft,
    ReferenceMark,
    RubricCandidate,
    RubricMarks,
    RubricReview,
    Screening,
    SupportReview,
    screening_schema,
)
from autodata.domains.tasks.verifiable import ScienceDraft, VerifiableCandidate, VerifiableTask
from autodata.models.coerce import ReplyModel
from autodata.models.scan import Unusable
from autodata.models.structured import parse_reply, schema_text
from autodata.models.values import flag, integer, ordinal
from autodata.nodes.optimizer.schemas import Analysis, EditorTurn
from autodata.nodes.solver_modes import SampleChoice

AGAIN = object()
"""The model is asked again."""

RUBRIC = [{"criterion": "Names X", "weight": 5}, {"criterion": "Names Y", "weight": -3}]
DRAFT = {
    "question_type": "cause",
    "skills": ["reasoning"],
    "context": "A log is kept.",
    "question": "What follows?",
    "reference_answer": "Redo skips it.",
    "rubric": RUBRIC,
}
CANDIDATE = RubricCandidate.model_validate(DRAFT)
ONE = CANDIDATE.model_copy(update={"rubric": CANDIDATE.rubric[:1]})
FACT = {"question": "In which year did it begin?", "reference_answer": "2011"}
REVIEW = {
    "leak_reason": "read both",
    "leaks": False,
    "question_quality": "GOOD",
    "single_question": True,
    "every_positive_needs_reasoning": True,
    "every_negative_names_an_error": True,
    "no_item_tests_format": True,
    "type_matches": True,
    "feedback": "ask deeper",
}
EXTRACT = {
    "suitable_for_synthetic_question": True,
    "suitability_note": "it states a rule",
    "document_type": "opinion",
    "topic_keywords": ["a", "b", "c"],
    "issues": ["I"],
    "facts": ["F"],
    "holdings": ["H"],
}
ITEM = {
    "number": 1,
    "criterion": "Asserts one",
    "category": "rule",
    "capability": "issue_spotting",
    "weight_class": "important",
    "weight": 5,
}
LEGAL = {"target_capabilities": ["issue_spotting"], "question": "What can I do?", "rubric": [ITEM]}
JUDGEMENT = {
    "weak_pattern": "w",
    "strong_pattern": "s",
    "gap_interpretation": "g",
    "rubric_concerns": "r",
    "grpo_suitability": "high",
    "verdict": "accept",
    "verdict_reason": "fine",
    "suggestion_for_writer": "",
}
CAUSE = {"cause": "It leaks.", "evidence": ["a1"], "advice": "Forbid it."}
EDIT = {"action": "replace", "file": "challenger.md", "old": "a", "new": "b"}
TURN = {"thought": "so", "edits": [EDIT], "summary": "s", "done": True}
MARKS, ONE_MARK = TASK_TYPES["rubric"].marks(CANDIDATE), TASK_TYPES["rubric"].marks(ONE)
YES, NO = {"number": 1, "reason": "r", "met": True}, {"number": 2, "reason": "r", "met": False}
QUOTED = TASK_TYPES["reference"].marks(ReferenceCandidate.model_validate(FACT))
MARK = {"reference_says": "2011", "answer_says": "in 2011", "correct": True}
SCREEN = screening_schema(2)
GOOD, BAD = {"number": 1, "reason": "r", "promising": True}, {"number": 2, "reason": "r", "promising": False}

Row = tuple[type[BaseModel], Any, str, Any]


def without(whole: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in whole.items() if key not in keys}


def put(whole: Mapping[str, Any], path: str, value: Any, wanted: Any, schema: type[BaseModel]) -> Row:
    """Return a row: a sound reply with one value changed, and what is read in its place."""
    changed = json.loads(json.dumps(whole))
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    reduce(lambda inner, part: inner[part], way, changed)[last] = value
    return schema, changed, path, wanted


def marks(*said: Any) -> dict[str, Any]:
    return {"marks": list(said)}


BOTH = [(1, True), (2, False)]
MET = "met"
"""As a path: the numbers and verdicts of all marks."""

YES_WORDS: list[Any] = ["true", "Yes", " YES. ", "**yes**", "y", 1, 1.0, "1", [True], "met", "Met."]
NO_WORDS: list[Any] = ["false", "No", "no!", 0, "0", "not met", "NOT_MET", "unmet", "Not-met", [False]]
DOUBT: list[Any] = ["partially", "mostly met", "yes/no", "", None, 2, 0.5, "met?", "pass", [], {}, [True, True]]
FLAGS: list[tuple[Any, Any]] = [
    *((word, True) for word in YES_WORDS),
    *((word, False) for word in NO_WORDS),
    *((word, AGAIN) for word in DOUBT),
]
NUMBERS: list[tuple[Any, Any]] = [
    *((said, 1) for said in ("1", "1.", "#1", "1)", "(1)", "Criterion 1", "criterion_1", "No. 1", "**1**", 1.0, [1])),
    *((said, AGAIN) for said in (0, -1, "-1", 1.5, "1.5", "one", "1-2", "1 of 2", True, None, "", "not 1", 3)),
]
WEIGHTS: list[tuple[Any, Any]] = [
    *((said, 5) for said in ("5", "+5", "5 points", "5pts", "(+5)", 5.0, "5.0", [5], "+ 5 Points")),
    *((said, -3) for said in ("-3", "\u22123", "-3 points", -3.0)),
    *((said, AGAIN) for said in (5.5, "5.5", "high", "minus 5", "up to 5", "5/10", "5 or 6", 11, True, None, 0, "")),
]

TABLE: list[Row] = [
    *(put(marks(YES, NO), "marks.0.met", said, wanted, MARKS) for said, wanted in FLAGS),
    *(put(marks(YES, NO), "marks.0.number", said, wanted, MARKS) for said, wanted in NUMBERS),
    *(
        put(DRAFT, "rubric.0.weight" if wanted != -3 else "rubric.1.weight", said, wanted, RubricCandidate)
        for said, wanted in WEIGHTS
    ),
    # Shapes of a judge's marks.
    (MARKS, [YES, NO], MET, BOTH),
    (MARKS, [NO, YES], MET, [(2, False), (1, True)]),
    (MARKS, {"1": YES, "2": NO}, MET, BOTH),
    (MARKS, {"2": {"met": False}, "1": {"met": True}}, MET, BOTH),
    (MARKS, {"1": True, "2": False}, MET, BOTH),
    (MARKS, {"1": "yes", "2": "not met", "overall": "fair"}, MET, BOTH),
    (MARKS, {"criterion_1": True, "criterion_2": False}, MET, BOTH),
    (MARKS, {"marks": {"1": {"met": True, "reason": ""}, "2": {"met": False}}}, MET, BOTH),
    (MARKS, marks({"1": {"met": True}}, {"2": {"met": False}}), MET, BOTH),
    (MARKS, marks({"1": True}, {"2": False}), MET, BOTH),
    (MARKS, {"Marks": [YES, NO]}, MET, BOTH),
    (MARKS, {"evaluation": [YES, NO]}, MET, BOTH),
    (MARKS, {"result": {"marks": [YES, NO]}}, MET, BOTH),
    (MARKS, {"result": {"1": True, "2": False}}, MET, BOTH),
    (MARKS, [{"marks": [YES, NO]}], MET, BOTH),
    (MARKS, {"marks": json.dumps([YES, NO])}, MET, BOTH),
    (MARKS, marks({"Number": 1, "Met": True}, {"NUMBER": "2", "is_met": "no"}), MET, BOTH),
    (MARKS, marks({"criterion": 1, "met": True}, {"criterionNumber": "2", "met": False}), MET, BOTH),
    (
        MARKS,
        marks({"id": "1", "met": True, "confidence": 0.1, "score": 0}, {"id": "2", "met": False, "score": 1}),
        MET,
        BOTH,
    ),
    (MARKS, {"marks": [YES, NO], "summary": "fair", "score": 0.9}, MET, BOTH),
    (MARKS, marks(YES | {"criterion": "Names X"}, NO), MET, BOTH),
    (ONE_MARK, YES, MET, [(1, True)]),
    (ONE_MARK, {"marks": YES}, MET, [(1, True)]),
    (ONE_MARK, {"1": True}, MET, [(1, True)]),
    (MARKS, marks(YES), MET, AGAIN),
    (MARKS, marks(YES, YES), MET, AGAIN),
    (MARKS, marks(YES, NO, NO | {"number": 3}), MET, AGAIN),
    (MARKS, marks(YES | {"number": 0}, NO | {"number": 1}), MET, AGAIN),
    (MARKS, {"0": True, "1": False}, MET, AGAIN),
    (MARKS, marks({"met": True}, {"met": False}), MET, AGAIN),
    (MARKS, marks(True, False), MET, AGAIN),
    (MARKS, marks(without(YES, "met"), NO), MET, AGAIN),
    (MARKS, marks({"1": YES | {"number": 2}}, {"2": NO}), MET, AGAIN),
    (MARKS, marks(YES | {"Met": False}, NO), MET, AGAIN),
    (MARKS, marks({"criterion": "Names X", "met": True}, NO), MET, AGAIN),
    (MARKS, {"1": {"score": 1}, "2": {"score": 0}}, MET, AGAIN),
    (MARKS, {"error": {"message": "busy", "code": 1}}, MET, AGAIN),
    (MARKS, True, MET, AGAIN),
    (ONE_MARK, {"met": True}, MET, AGAIN),
    # Texts that decide nothing.
    put(marks(YES, NO), "marks.0.reason", "x" * 2000, "x" * 399 + "…", MARKS),
    put(marks(YES, NO), "marks.0.reason", "x" * 400, "x" * 400, MARKS),
    put(marks(YES, NO), "marks.0.reason", None, "", MARKS),
    put(marks(YES, NO), "marks.0.reason", ["a", "b"], "a; b", MARKS),
    put(marks(YES, NO), "marks.0.reason", {"why": "a", "n": [1, None]}, "why: a; n: 1", MARKS),
    put(marks(YES, NO), "marks.0.reason", 7, "7", MARKS),
    put(marks(YES, NO), "marks.0.reason", True, "true", MARKS),
    put(REVIEW, "feedback", "", "", RubricReview),
    put(REVIEW, "feedback", None, "", RubricReview),
    put(REVIEW, "feedback", "y" * 5000, "y" * 599 + "…", RubricReview),
    put(REVIEW, "feedback", ["a", "b"], "a; b", RubricReview),
    put(REVIEW, "leak_reason", "  ", "", RubricReview),
    (RubricReview, without(REVIEW, "feedback", "leak_reason"), "feedback", ""),
    # A quality verifier's findings.
    *(put(REVIEW, "question_quality", said, "GOOD", RubricReview) for said in ("Good", "good.", " GOOD ", ["GOOD"])),
    *(put(REVIEW, "question_quality", said, "TOO_EASY", RubricReview) for said in ("too easy", "Too-Easy", "TOOEASY")),
    *(put(REVIEW, "question_quality", said, AGAIN, RubricReview) for said in ("EASY", "", None, 1, "good or too easy")),
    put(REVIEW, "leaks", "no", False, RubricReview),
    put(REVIEW, "leaks", "no leaks", False, RubricReview),
    put(REVIEW, "leaks", "possibly", AGAIN, RubricReview),
    put(REVIEW, "leaks", None, AGAIN, RubricReview),
    (RubricReview, without(REVIEW, "type_matches"), "type_matches", AGAIN),
    (RubricReview, {key.title().replace("_", ""): value for key, value in REVIEW.items()}, "single_question", True),
    (RubricReview, {key.replace("_", " "): value for key, value in REVIEW.items()}, "single_question", True),
    (RubricReview, [REVIEW], "leaks", False),
    (RubricReview, {"review": REVIEW}, "leaks", False),
    (SupportReview, {"reason": "z" * 900, "supported": "supported"}, "supported", True),
    (SupportReview, {"reason": "", "supported": "Not supported."}, "supported", False),
    (SupportReview, {"reason": "", "supported": "unsupported"}, "supported", False),
    (SupportReview, {"supported": False}, "reason", ""),
    (SupportReview, False, "supported", False),
    (SupportReview, {"reason": "r", "supported": "partially supported"}, "supported", AGAIN),
    (SupportReview, {"reason": "r"}, "supported", AGAIN),
    # A challenger's drafts.
    put(DRAFT, "skills", "reasoning", ("reasoning",), RubricCandidate),
    put(DRAFT, "skills", "reasoning, statistics; proof", ("reasoning", "statistics", "proof"), RubricCandidate),
    put(DRAFT, "skills", "- reasoning\n2. proof, by cases\n", ("reasoning", "proof, by cases"), RubricCandidate),
    put(DRAFT, "skills", list("abcdef"), tuple("abcde"), RubricCandidate),
    put(DRAFT, "skills", {"1": "a", "2": "b"}, ("a", "b"), RubricCandidate),
    put(DRAFT, "skills", [{"skill": "a"}, None, " ", "b"], ("a", "b"), RubricCandidate),
    put(DRAFT, "skills", ["w" * 400], ("w" * 299 + "…",), RubricCandidate),
    put(DRAFT, "skills", None, (), RubricCandidate),
    put(DRAFT, "question_type", ["cause", "effect"], "cause; effect", RubricCandidate),
    put(DRAFT, "question_type", "q" * 400, "q" * 299 + "…", RubricCandidate),
    put(DRAFT, "question_type", "", AGAIN, RubricCandidate),
    put(DRAFT, "reference_answer", ["First this.", "Then that."], "First this.\nThen that.", RubricCandidate),
    put(DRAFT, "reference_answer", {"cause": "this", "effect": "that"}, "cause: this\neffect: that", RubricCandidate),
    put(DRAFT, "reference_answer", [], AGAIN, RubricCandidate),
    put(DRAFT, "reference_answer", None, AGAIN, RubricCandidate),
    put(DRAFT, "reference_answer", "r" * 4001, AGAIN, RubricCandidate),
    put(DRAFT, "context", None, "", RubricCandidate),
    put(DRAFT, "context", ["One.", "Two."], "One.\n\nTwo.", RubricCandidate),
    put(DRAFT, "question", ["What follows?"], "What follows?", RubricCandidate),
    put(DRAFT, "question", ["What follows?", "Why?"], AGAIN, RubricCandidate),
    put(DRAFT, "rubric", {"1": RUBRIC[0], "2": RUBRIC[1]}, CANDIDATE.rubric, RubricCandidate),
    put(DRAFT, "rubric", {"items": RUBRIC}, CANDIDATE.rubric, RubricCandidate),
    put(DRAFT, "rubric", json.dumps(RUBRIC), CANDIDATE.rubric, RubricCandidate),
    put(DRAFT, "rubric", RUBRIC[0], CANDIDATE.rubric[:1], RubricCandidate),
    put(DRAFT, "rubric.0", {"Criterion": "Names X", "points": "5"}, CANDIDATE.rubric[0], RubricCandidate),
    put(DRAFT, "rubric.0", RUBRIC[0] | {"category": None}, CANDIDATE.rubric[0], RubricCandidate),
    (
        RubricCandidate,
        DRAFT | {"rubric": [RUBRIC[0] | {"category": "c" * 99, "number": 1}]},
        "rubric.0.category",
        "c" * 79 + "…",
    ),
    put(DRAFT, "rubric", {"positive": RUBRIC[:1], "negative": RUBRIC[1:]}, AGAIN, RubricCandidate),
    put(DRAFT, "rubric.0.criterion", "x" * 601, AGAIN, RubricCandidate),
    put(DRAFT, "rubric.0.criterion", "", AGAIN, RubricCandidate),
    put(DRAFT, "rubric.0", "Names X (5 points)", AGAIN, RubricCandidate),
    put(DRAFT, "rubric", [], AGAIN, RubricCandidate),
    put(DRAFT, "rubric", "a rubric", AGAIN, RubricCandidate),
    (RubricCandidate, {"candidate": DRAFT}, "question", "What follows?"),
    (RubricCandidate, [DRAFT], "question", "What follows?"),
    put(FACT, "reference_answer", 2011, "2011", ReferenceDraft),
    put(FACT, "reference_answer", ["2011"], "2011", ReferenceDraft),
    put(FACT, "reference_answer", ["2011", "2012"], AGAIN, ReferenceDraft),
    put(FACT, "reference_answer", True, AGAIN, ReferenceDraft),
    put(FACT, "reference_answer", None, AGAIN, ReferenceDraft),
    put(FACT, "reference_answer", {"year": 2011}, AGAIN, ReferenceDraft),
    (ReferenceDraft, {"Question": "In which year?", "referenceAnswer": "2011"}, "reference_answer", "2011"),
    (ScienceDraft, {"question": "How long?", "answer": ["sqrt(2)"]}, "answer", "sqrt(2)"),
    (ScienceDraft, {"question": "How long?", "answer": ["sqrt(2)", "sqrt(3)"]}, "answer", AGAIN),
    (ScienceDraft, {"Question": "How long?", "ANSWER": "sqrt(2)"}, "answer", "sqrt(2)"),
    put(
        LEGAL,
        "target_capabilities",
        "Issue Spotting, rule-application",
        ("issue_spotting", "rule_application"),
        LegalDraft,
    ),
    put(LEGAL, "target_capabilities", [f"tag_{k}" for k in range(10)], tuple(f"tag_{k}" for k in range(8)), LegalDraft),
    put(LEGAL, "target_capabilities", [], AGAIN, LegalDraft),
    put(LEGAL, "target_capabilities", None, AGAIN, LegalDraft),
    put(LEGAL, "rubric.0.capability", "Issue-Spotting", "issue_spotting", LegalDraft),
    put(LEGAL, "rubric.0.capability", "", AGAIN, LegalDraft),
    put(LEGAL, "rubric.0.weight_class", "Important", "important", LegalDraft),
    put(LEGAL, "rubric.0.weight_class", "critical", AGAIN, LegalDraft),
    put(LEGAL, "rubric.0.weight", "5 points", 5, LegalDraft),
    put(LEGAL, "rubric.0.number", "1.", 1, LegalDraft),
    put(LEGAL, "rubric.0.number", 0, AGAIN, LegalDraft),
    put(LEGAL, "rubric.0.category", "c" * 400, "c" * 299 + "…", LegalDraft),
    put(LEGAL, "rubric", {"1": without(ITEM, "number")}, LegalDraft.model_validate(LEGAL).rubric, LegalDraft),
    # An extract: only a plain no ends a document.
    *(
        put(EXTRACT, "suitable_for_synthetic_question", said, False, Extract)
        for said in (False, "No.", "not suitable", 0)
    ),
    *(put(EXTRACT, "suitable_for_synthetic_question", said, True, Extract) for said in (None, "unsure", "perhaps", 1)),
    (Extract, without(EXTRACT, "suitable_for_synthetic_question"), "issues", AGAIN),
    (Extract, without(EXTRACT, "issues"), "issues", AGAIN),
    put(EXTRACT, "suitability_note", "n" * 900, "n" * 599 + "…", Extract),
    put(EXTRACT, "document_type", None, "", Extract),
    put(EXTRACT, "topic_keywords", "tort, duty", ("tort", "duty"), Extract),
    put(
        EXTRACT,
        "issues",
        "- Was there a duty, and to whom?\n- Was it broken?",
        ("Was there a duty, and to whom?", "Was it broken?"),
        Extract,
    ),
    put(EXTRACT, "facts", ["f" * 500] * 12, ("f" * 399 + "…",) * 10, Extract),
    put(EXTRACT, "holdings", None, (), Extract),
    # A loop judge.
    put(JUDGEMENT, "verdict", "ACCEPT", "accept", LoopJudgement),
    put(JUDGEMENT, "verdict", "reject", AGAIN, LoopJudgement),
    put(JUDGEMENT, "verdict", "accept/improve", AGAIN, LoopJudgement),
    put(JUDGEMENT, "verdict", "improve", AGAIN, LoopJudgement),
    put(JUDGEMENT, "grpo_suitability", "Medium.", "medium", LoopJudgement),
    put(JUDGEMENT, "grpo_suitability", "medium-high", AGAIN, LoopJudgement),
    put(JUDGEMENT, "weak_pattern", ["a", "b"], "a; b", LoopJudgement),
    put(JUDGEMENT, "rubric_concerns", None, "", LoopJudgement),
    put(JUDGEMENT, "strong_pattern", "p" * 3000, "p" * 1199 + "…", LoopJudgement),
    (LoopJudgement, without(JUDGEMENT, "verdict"), "verdict", AGAIN),
    # A screen, and a pick among samples.
    (SCREEN, [GOOD, BAD], "candidates.1.promising", False),
    (SCREEN, {"1": {"promising": "promising"}, "2": {"promising": "not promising"}}, "candidates.1.promising", False),
    (SCREEN, {"candidate 1": True, "candidate 2": False}, "candidates.0.promising", True),
    put({"candidates": [GOOD, BAD]}, "candidates.0.reason", "r" * 999, "r" * 299 + "…", SCREEN),
    (SCREEN, {"candidates": [GOOD]}, "candidates", AGAIN),
    (SCREEN, {"0": True, "1": False}, "candidates", AGAIN),
    (SampleChoice, {"number": "Sample 2"}, "number", 2),
    (SampleChoice, {"number": "sample-2"}, "number", 2),
    (SampleChoice, 2, "number", 2),
    (SampleChoice, {"number": "1 or 2"}, "number", AGAIN),
    (SampleChoice, {"number": 0}, "number", AGAIN),
    # A judge who compares with a reference.
    put(MARK, "correct", "correct", True, QUOTED),
    put(MARK, "correct", "Incorrect.", False, QUOTED),
    put(MARK, "correct", "partly correct", AGAIN, QUOTED),
    put(MARK, "answer_says", None, "", QUOTED),
    put(MARK, "answer_says", "2011 " * 99, ("2011 " * 99)[:99].rstrip() + "…", QUOTED),
    put(MARK, "reference_says", 2011, "2011", QUOTED),
    put(MARK, "reference_says", "1969", AGAIN, QUOTED),
    (QUOTED, {"correct": True}, "correct", AGAIN),
    (ReferenceMark, {"correct": True}, "correct", True),
    (ReferenceMark, False, "correct", False),
    (ReferenceMark, without(MARK, "correct"), "correct", AGAIN),
    # Analyst and editor.
    (Analysis, [CAUSE], "causes.0.evidence", ("a1",)),
    (Analysis, {"causes": CAUSE}, "summary", ""),
    (Analysis, {"causes": {"1": CAUSE, "2": CAUSE}, "summary": None}, "causes.1.advice", "Forbid it."),
    (Analysis, {"causes": [CAUSE | {"evidence": "a1, r2"}], "summary": "s"}, "causes.0.evidence", ("a1", "r2")),
    (Analysis, {"causes": [CAUSE | {"evidence": []}], "summary": "s"}, "causes", AGAIN),
    (Analysis, {"causes": [], "summary": "s"}, "causes", AGAIN),
    (Analysis, {"causes": [CAUSE | {"cause": ""}], "summary": "s"}, "causes", AGAIN),
    put({"causes": [CAUSE], "summary": "s"}, "causes.0.cause", "c" * 2000, "c" * 1499 + "…", Analysis),
    put(TURN, "edits", EDIT, EditorTurn.model_validate(TURN).edits, EditorTurn),
    put(TURN, "edits", None, (), EditorTurn),
    put(TURN, "edits.0.action", "Replace", "replace", EditorTurn),
    put(TURN, "edits.0.new", ["one", "two"], "one\ntwo", EditorTurn),
    put(TURN, "edits.0.new", None, "", EditorTurn),
    put(TURN, "edits.0.new", "n" * 6001, AGAIN, EditorTurn),
    put(TURN, "edits.0.line", "3", 3, EditorTurn),
    put(TURN, "edits.0.line", -1, AGAIN, EditorTurn),
    put(TURN, "edits", [EDIT] * 9, AGAIN, EditorTurn),
    put(TURN, "thought", "t" * 9000, "t" * 1999 + "…", EditorTurn),
    put(TURN, "done", "yes", True, EditorTurn),
    put(TURN, "done", "almost", AGAIN, EditorTurn),
]


def found(value: Any, path: str) -> Any:
    if path == MET:
        return [(mark.number, mark.met) for mark in value.marks]
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else getattr(value, part)
    return value


@pytest.mark.parametrize(
    ("schema", "reply", "path", "wanted"),
    [pytest.param(*row, id=f"{k}-{row[0].__name__}-{row[2]}") for k, row in enumerate(TABLE)],
)
def test_what_is_said_without_doubt_is_taken_and_the_rest_is_asked_again(
    schema: type[BaseModel], reply: Any, path: str, wanted: Any
) -> None:
    text = json.dumps(reply)
    if wanted is AGAIN:
        with pytest.raises(Unusable):
            parse_reply(text, schema)
    else:
        read = found(parse_reply(text, schema), path)
        assert read == wanted
        assert type(read) is type(wanted)


@pytest.mark.parametrize("schema", sorted({row[0] for row in TABLE}, key=str))
def test_no_table_row_of_a_schema_is_without_its_opposite(schema: type[BaseModel]) -> None:
    wanted = [row[3] is AGAIN for row in TABLE if row[0] is schema]
    assert issubclass(schema, ReplyModel)
    assert not all(wanted)


@pytest.mark.parametrize(
    "kept",
    [
        CANDIDATE,
        ReferenceCandidate.model_validate(FACT),
        VerifiableCandidate(question="How long?", reference_answer="sqrt(2)"),
        LegalCandidate.model_validate(LEGAL),
    ],
)
def test_a_stored_candidate_is_read_back_to_the_letter(kept: Candidate) -> None:
    again = type(kept).model_validate(kept.model_dump(mode="json"))
    assert (again, again.candidate_id) == (kept, kept.candidate_id)


@pytest.mark.parametrize(
    ("schema", "limit"),
    [
        (RubricMarks, '"reason":{"default":"","maxLength":400,'),
        (RubricReview, '"feedback":{"maxLength":600,"minLength":1,'),
        (RubricCandidate, '"weight":{"maximum":10,"minimum":-10,"type":"integer"}'),
        (Extract, '"maxItems":5,"minItems":3,'),
        (Screening, '"required":["number","promising"]'),
        (VerifiableTask().marks(CANDIDATE), '"reference_says":{"maxLength":400,"type":"string"}'),
    ],
)
def test_models_see_the_limits_all_the_same(schema: type[BaseModel], limit: str) -> None:
    assert limit in schema_text(schema)


def test_a_field_says_its_own_yes_and_no() -> None:
    assert [flag(word, "met") for word in ("met", "not met", "correct", "incorrect")] == [True, False, None, None]
    assert [flag(word, "correct") for word in ("met", "correct", "incorrect")] == [None, True, False]
    assert [flag("", name) for name in ("", "met")] == [None, None]
    assert (integer("5 points"), ordinal("5 points"), ordinal("Criterion 5"), integer("Criterion 5")) == (
        5,
        None,
        5,
        None,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "hostile",
    [
        "[" * 500_000,
        "{" * 500_000,
        "[" * 400 + "]" * 400,
        " " * 1_000_000 + "x",
        "-" * 1_000_000,
        "criterion " * 100_000,
        ", " * 500_000,
        "\n- " * 300_000,
        '{"a":1}' * 140_000,
        "_" * 1_000_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_values_are_read_in_no_time(hostile: str) -> None:
    """Every marker sees each text as the value of its field."""
    begun = time.process_time()
    for schema, whole in (
        (MARKS, marks(YES | dict.fromkeys(("number", "met", "reason"), hostile), NO)),
        (RubricCandidate, DRAFT | dict.fromkeys(("skills", "rubric", "question_type"), hostile)),
        (LegalDraft, LEGAL | {"target_capabilities": hostile, "rubric": [ITEM | {"weight_class": hostile}]}),
        (MARKS, {hostile: YES}),
        (MARKS, hostile),
    ):
        with pytest.raises(ValueError, match="validation error"):
            schema.model_validate(whole)
    assert time.process_time() - begun < 10
