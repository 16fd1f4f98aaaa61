"""What code says about a question by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.asked import question_key
from autodata.domains.tasks.questions import (
    contains_tokens,
    normalised,
    not_standing_alone,
    paper_references,
    tried_before,
)

ALONE = [
    "In which year did Dorota Wexley begin the Velin engine?",
    "How long is the header of a Velin log record, in bytes?",
    "What is the boiling point of ethanol at 101.325 kPa?",
    "Did the Apollo 11 crew leave its flag on the Moon?",  # something is named before the pronoun
    "Why does TCP Reno halve its window after three duplicate acknowledgements?",
    "What does WAL stand for in the context of PostgreSQL?",
    "Who wrote 'On Computable Numbers', and when?",
    "Which units are the articles of the Meter Convention about?",  # "articles" is not "article"
    "Is thesis 95 the last of the theses that Luther wrote?",  # "thesis" holds "this" only as letters
]

NOT_ALONE = [
    ("What does the text say about cement?", "the text"),
    ("Which engine is named in this passage?", "this passage"),
    ("According to the report, when did the dam open?", "According to the"),
    ("How many seals are described in the document?", "described in"),
    ("What value is mentioned above?", "mentioned above"),
    ("Why do the authors prefer Portland cement?", "the authors"),
    ("What is shown in Table 3?", "Table 3"),
    ("What does figure 2 say about 1969?", "figure 2"),
    ("In the given example, what is the header's length?", "given example"),
    ("What is the main idea of THE ARTICLE?", "THE ARTICLE"),
    ("In which year was this begun?", "this"),
    ("How many of those were built by Boeing in 1970?", "those"),
    ("These were built by Boeing: how many?", "These"),
    ("How long is it?", "it"),
    ("When did they begin?", "they"),
    ("What was his first work?", "his"),
    ("Who named its header?", "its"),
]


@pytest.mark.parametrize("question", ALONE)
def test_a_question_that_names_its_subject_stands_alone(question: str) -> None:
    assert not_standing_alone(question) is None


@pytest.mark.parametrize(("question", "pointer"), NOT_ALONE)
def test_a_question_that_leans_on_its_source_does_not(question: str, pointer: str) -> None:
    reason = not_standing_alone(question)
    assert reason is not None
    assert repr(pointer) in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How long is it?", "the question has a dangling pronoun: 'it'"),
        ("How long is the text?", "the question points at its source: 'the text'"),
    ],
)
def test_the_reason_names_the_failure_before_its_colon(question: str, reason: str) -> None:
    """Feedback of a domain that hides rejected questions shows what stands before the colon only."""
    assert not_standing_alone(question) == reason


def test_a_capital_at_the_start_names_nothing() -> None:
    assert not_standing_alone("When was it built?") is not None
    assert not_standing_alone("When was Rome sacked, and by whom was it rebuilt?") is None
    assert not_standing_alone("Of the 12 labours, which was its last?") is None


@pytest.mark.parametrize(
    ("text", "part", "inside"),
    [
        ("It was 1969.", "1969", True),
        ("It was 19690.", "1969", False),
        ("It was 1969.", "It was 1969", True),
        ("IT WAS, in 1969!", "it was in 1969", True),
        ("It was in July 1969", "It was 1969", False),  # no gaps
        ("1969 was it", "It was 1969", False),  # no other order
        ("The value is 3.5 m.", "3.5 m", True),
        ("The value is 3.5 m.", "5 m", False),
        ("The value is 3.5 m.", "3", False),
        ("1,000 km", "1,000 km", True),
        ("1,000 km", "1000 km", False),  # left to the judge
        ("It is -5 degrees.", "5 degrees", False),
        ("It is −5 degrees.", "-5 degrees", True),
        ("From 1914-1918.", "1918", True),
        ("42% of all", "42%", True),
        ("42 years", "42%", False),
        ("$5", "€5", False),
        ("write-ahead logging", "write ahead", True),
        ("Ångström and Sørensen", "ångström", True),
        ("a cat", "cat a", False),
        ("concatenate", "cat", False),
        ("anything", "?!", False),
        ("anything", "", False),
        ("", "x", False),
    ],
)
def test_tokens_are_found_whole_and_in_a_row(text: str, part: str, inside: bool) -> None:
    assert contains_tokens(text, part) is inside


words = st.lists(st.from_regex(r"[a-z]{1,8}|[0-9]{1,4}(\.[0-9]{1,2})?", fullmatch=True), min_size=1, max_size=8)


@given(words, words, words)
def test_what_was_put_in_is_found(before: list[str], part: list[str], after: list[str]) -> None:
    text = f"{' '.join(before)}, {' '.join(part)}; {' '.join(after)}"
    assert contains_tokens(text, f"  {' '.join(part).upper()}. ")


@given(words)
def test_normalising_twice_changes_nothing(some: list[str]) -> None:
    once = normalised("? " + " - ".join(some))
    assert normalised(once) == once == " ".join(some)


@pytest.mark.parametrize(
    ("question", "earlier", "tried"),
    [
        ("How tall is Everest?", ["how tall is  everest"], True),
        ("How tall is Everest?", ["HOW TALL, is 'Everest'?!"], True),
        ("How tall is Everest?", ["How tall is Mont Blanc?", "How tall is Everest?"], True),
        ("How tall is Everest?", ["How tall is Everest really?"], False),
        ("Is 3.5 enough?", ["Is 35 enough?"], False),
        ("Is -3 enough?", ["Is 3 enough?"], False),
        ("How tall is Everest?", [], False),
        ("Solve x + 3 = 5.", ["Solve x - 3 = 5."], False),
        ("Solve x + 3 = 5.", ["solve x+3=5"], True),
        ("What is 3 * 4?", ["What is 3 / 4?"], False),
        ("What is 2^3?", ["What is 2*3?"], False),
        ("Is x < 3?", ["Is x > 3?"], False),
        ("Is x <= 3?", ["Is x < 3?"], False),
        ("Is x = 3?", ["Is x ≠ 3?"], False),
        ("What is 5!?", ["What is 5?"], False),
        ("Is x != 3?", ["Is x = 3?"], False),
        ("Is x!=3?", ["Is x != 3?"], True),
        ("Is !a true?", ["Is a true?"], False),
        ("Is b && !a true?", ["Is b && a true?"], False),
        ("Is (!a) true?", ["Is (a) true?"], False),
        ("Wait! Is a true?", ["Wait. Is a true?"], True),
        ("What is f . g here?", ["What is f g here?"], False),
        ("What is n! in full?", ["What is n in full?"], False),
        ("What is f'(2)?", ["What is f(2)?"], False),
        ("What is |x|?", ["What is x?"], False),
        ("What is A ∪ B?", ["What is A ∩ B?"], False),
        (r"What is \frac{a}{b}?", [r"What is \sqrt{a}{b}?"], False),
        ("What is the ratio 1:2?", ["What is the ratio 1/2?"], False),
        ("What is the ratio 1 : 2?", ["What is the ratio 1 2?"], False),
        ("Is .5 enough?", ["Is 5 enough?"], False),
        ("Is 1 1/2 enough?", ["Is 11/2 enough?"], False),
        ("What is E squared?", ["What is e squared?"], False),
        ("What is mgH?", ["What is mgh?"], False),
        ("Is a ± b right?", ["Is a b right?"], False),
        ("What is √2?", ["What is 2?"], False),
        ("What is 5 %?", ["What is 5?"], False),
        ("Is it x² here?", ["Is it x here?"], False),
    ],
)
def test_a_question_tried_before_is_known_again(question: str, earlier: list[str], tried: bool) -> None:
    assert tried_before(question, earlier) is tried


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("In this paper we show, and Table 3 lists, what the authors found.", ["this paper", "Table 3", "the authors"]),
        ("See Section 4 and equation 12.", ["Section 4", "equation 12"]),
        ("As described above, the method fails.", ["As described above"]),
        ("In the context of caching, the context switch is costly.", []),
        ("A database locks a table; sections of code wait; paper is cheap.", []),
    ],
)
def test_phrases_that_tie_a_text_to_its_source(text: str, phrases: list[str]) -> None:
    assert paper_references(text) == phrases


def test_greek_letters_of_a_symbol_keep_their_case_and_those_of_a_word_do_not() -> None:
    assert question_key("What is Δx?") != question_key("What is δx?")
    assert question_key("What is ΣF?") != question_key("What is σF?")
    assert question_key("ΑΘΗΝΑ") == question_key("αθηνα")
