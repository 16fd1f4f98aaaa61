"""Verifiable candidates: their rules, the answer an attempt gives, and who decides on it."""

from __future__ import annotations

from fractions import Fraction
from time import process_time

import pytest
from pydantic import ValidationError

from autodata.checkpoints.asked import question_key
from autodata.domains.domain import SCIENCE
from autodata.domains.tasks.answers import final_answer, says_answer
from autodata.domains.tasks.base import vote_of as vote
from autodata.domains.tasks.passages import pick, sentences
from autodata.domains.tasks.questions import not_standing_alone
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.domains.tasks.schemas import screening_schema
from autodata.domains.tasks.verifiable import ScienceDraft, VerifiableTask, answer_problems, question_problems
from autodata.models.config import ModelsConfig, ModelSettings
from autodata.nodes.solver_modes import LINES_A_TURN, calculations, majority

KIND = VerifiableTask()


@pytest.mark.parametrize(
    "answer",
    [
        "sqrt(2)/3",
        r"$\frac{\pi}{4}$",
        "x = 5/3",
        "Noether's theorem",
        "5 m",
        "n(n+1)/2",
        r"10^{-3}\,\text{kg}",
        "The answer is the Heisenberg group of order 27.",
        "e^{2}",
        "T = 2\\pi\\sqrt{L/g}, with L the length and g the acceleration of gravity.",
    ],
)
def test_an_exact_form_or_a_named_thing_is_an_answer(answer: str) -> None:
    assert answer_problems(answer) == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("42", "bare integer: 42"),
        ("-7", "bare integer"),
        ("$1,000$", "bare integer"),
        (r"\boxed{12}.", "bare integer"),
        ("n = 12", "bare integer"),
        ("3.14159265", "precision: '3.14159265'"),
        ("about 2", "precision: 'about'"),
        (r"x \approx 2/3", r"precision"),
        ("6e23", "precision: '6e23'"),
        ("1.5 m", "precision: '1.5'"),
        ("sqrt(2)\nor so", "more than one sentence"),
        ("It is sqrt(2). Note that it is positive.", "more than one sentence"),
    ],
)
def test_other_answers_are_refused(answer: str, problem: str) -> None:
    assert problem in "; ".join(answer_problems(answer))


@pytest.mark.parametrize(
    ("question", "problems"),
    [
        ("What is the period of a pendulum of length L?", 0),
        ("Let f(x) = x^2. Find the minimum of this function on [1, 2].", 0),
        ("What is x? And what is y?", 1),
        ("What does Table 3 give for x?", 1),
    ],
)
def test_a_question_is_one_and_stands_alone(question: str, problems: int) -> None:
    assert len(question_problems(question)) == problems


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("First.\nAnswer: sqrt(2)", "sqrt(2)"),
        ("Answer: 1\nNo, wait.\n**Answer:** $2/3$.", "2/3"),
        ("The final answer is below.\nFinal answer: x", "x"),
        (r"Hence \boxed{1} and so \boxed{\frac{1}{\sqrt{2}}}.", r"\frac{1}{\sqrt{2}}"),
        ("sqrt(2)/3", "sqrt(2)/3"),
        ("It is long.\nAnd it says nothing.", None),
        ("answer = 5/3", "5/3"),
        ("First.\n**Answer: x^2**", "x^2"),
        ("First.\n*Answer: x^2*", "x^2"),
        ("First.\n* Answer: z*", "z*"),
        ("First.\nAnswer: z*", "z*"),
        ("First.\nAnswer:\n$$\n\\frac{1}{2}\n$$\nDone.", "\\frac{1}{2}"),
        ("First.\nAnswer: \\[ x \\].", "x"),
        ("First.\nAnswer:\n\nx + 1\nand so on", "x + 1"),
        ("Answer: x\nLater.\nAnswer:", "x"),
        ("Answer: $$x$$ and $$y$$", "$$x$$ and $$y$$"),
        (r"So \boxed{\{1, \{2, \{3, {4}\}\}\}} it is.\n".replace(r"\n", "\n") * 2, r"\{1, \{2, \{3, {4}\}\}\}"),
        (r"{ \boxed{2} and \boxed{3", "2"),
    ],
)
def test_the_answer_of_an_attempt(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("cut", "answer"),
    [
        ("First step.\nSecond st", False),
        ("x = 3", False),  # whole, one line is its answer; cut off, it may be the first of many
        ("", False),
        ("First step.\nAnswer:", False),
        ("First step.\nThe answer is wr", False),
        ("First step.\nAnswer: 2/3\nTo check this, we", True),
        ("First step.\nAnswer: 2/", True),
        (r"Hence \boxed{2/3}. To check", True),
        (r"Hence \boxed{2/", False),
        (r"Hence \boxed{2} or \boxed{3", True),
    ],
)
def test_a_text_that_was_cut_off_holds_an_answer_only_where_it_says_so(cut: str, answer: bool) -> None:
    assert KIND.holds_answer(cut) is answer


@pytest.mark.parametrize(
    ("attempt", "score"),
    [
        (r"So\nAnswer: $\frac{\sqrt{2}}{3}$".replace(r"\n", "\n"), Fraction(1)),
        ("So\nAnswer: sqrt(2)/4", Fraction(0)),
        ("So\nAnswer: the square root of two, thirded", None),
        ("So it is.\nI think.", None),
        ("", None),
    ],
)
def test_code_scores_what_it_can(attempt: str, score: Fraction | None) -> None:
    pytest.importorskip("mpmath")
    candidate = KIND.candidate({"question": "What is it?", "answer": "sqrt(2)/3"})
    found = KIND.scored_by_code(candidate, attempt)
    assert (found.score if found else None) == score


PIECES = r"**NN|* N| |N|answer|answer |Answer:N|Answer: **N|Answer: $$|\boxed{|\boxed |{|}|CALC:|CALC: `*|CALC: 1N|> |#"
PIECES += r"|A. |a. B |x. |1|1.|1 e|to a|\|approx|,|x! "


@pytest.mark.slow
@pytest.mark.parametrize("piece", [piece.replace("N", "\n") for piece in PIECES.split("|")])
def test_a_long_text_is_read_in_a_time_that_grows_with_its_length(piece: str) -> None:
    """What grows with the square of the length takes minutes here."""
    for text in (f"Answer: {piece * (100_000 // len(piece))}x", f"CALC: {piece * (100_000 // len(piece))}"):
        started = process_time()
        final_answer(text)
        says_answer(text)
        calculations(text)
        answer_problems(text)
        sentences(text)
        pick(text, 1, 0)
        question_problems(text)
        question_key(text)
        not_standing_alone(text)
        assert process_time() - started < 10


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("CALC: 1+1", ["1+1"]),
        ("So\n> `CALC: 2*3`\nand\n**CALC: x**", ["2*3", "x"]),
        ("CALC:\nCALC:   \nCALC: `*", []),
        ("See CALC: 1", []),
        ("CALC: 1\r\nCALC: 2\r\n", ["1", "2"]),
        ("CALC: 1\n" * 9, ["1"] * LINES_A_TURN),
    ],
)
def test_lines_that_ask_for_the_calculator(text: str, asked: list[str]) -> None:
    found = calculations(text)
    assert [expression for expression, _ in found] == asked
    assert all(text[:end].rstrip("\r`*").endswith(expression) for expression, end in found)


def test_a_draft_and_a_stored_candidate_are_read_alike() -> None:
    draft = ScienceDraft(question="What is it?", answer="sqrt(2)")
    candidate = KIND.candidate(draft.model_dump())
    assert candidate.reference_answer == "sqrt(2)"
    assert KIND.candidate(candidate.model_dump(mode="json")) == candidate


def test_a_screening_names_every_candidate_once() -> None:
    schema = screening_schema(2)
    rows = [{"number": 2, "promising": True}, {"number": 1, "promising": False}]
    assert len(schema.model_validate({"candidates": rows}).candidates) == 2
    for wrong in (rows[:1], [rows[0], rows[0]], [*rows, {"number": 3, "promising": True}]):
        with pytest.raises(ValidationError):
            schema.model_validate({"candidates": wrong})


@pytest.mark.parametrize(
    ("votes", "winner"),
    [("a", 0), ("abb", 1), ("aabb", 0), ("abcbc", 1), ("abc", 0), ("cbaba", 1)],
)
def test_the_earliest_of_the_most_frequent_wins(votes: str, winner: int) -> None:
    assert majority(list(votes)) == winner


def test_what_counts_as_one_vote() -> None:
    same = ["Long.\nAnswer: $\\dfrac{1}{2}$", "Short.\nanswer: \\frac{1}{2}.", r"\boxed{\frac{1}{2}}"]
    assert len({vote(KIND, text) for text in same}) == 1
    assert len({vote(KIND, f"Answer: {text}") for text in ("1/2", "2/1", "1*2")}) == 3
    assert vote(TASK_TYPES["reference"], "It was  DELFT.") == vote(TASK_TYPES["reference"], "it was Delft")


@pytest.mark.parametrize("role", ["default", "verifier", "challenger"])
@pytest.mark.parametrize(("name", "value"), [("samples", 3), ("tools", True), ("privileged", False)])
def test_modes_are_of_solvers_only(role: str, name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=f"{role}.{name}: a mode of solvers: set it at weak_solver or strong"):
        ModelsConfig.model_validate({role: {name: value}})
    solvers = ModelsConfig.model_validate({"weak_solver": {name: value}, "strong_solver": {name: value}})
    assert getattr(solvers.weak_solver, name) == value
    plain = ModelSettings().model_dump(exclude_none=True)
    assert ModelsConfig.model_validate({role: plain}), "as a run folder stores them, with every default"


def test_the_domain_is_the_papers() -> None:
    assert (SCIENCE.weak_attempts, SCIENCE.strong_attempts, SCIENCE.acceptance) == (4, 4, "counts")
    assert 3 <= SCIENCE.challengers <= 5
    assert SCIENCE.roles == ("challenger", "screen", "weak_solver", "strong_solver", "verifier")
    angles = SCIENCE.pack()["challenger"].front.angles
    assert len(set(angles)) == SCIENCE.challengers
