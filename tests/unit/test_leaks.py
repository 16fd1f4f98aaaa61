"""Leaks that code finds: which check, where, with its evidence; and what is none."""

from __future__ import annotations

import pytest

from autodata.domains.acceptance.checks import ChecksConfig
from autodata.domains.domain import CS, FACTS
from autodata.domains.tasks.leaks import leaks, longest_run
from tests.graph.support import candidate, fact

ANSWER = "The relay drops out once both feeders are switched within one cycle of each other"
CONTEXT = (
    "A relay station loses power now and then. Engineers know that the relay drops out once both feeders are switched"
    " within one cycle, and wonder why nobody noticed."
)


def found(**more: object) -> list[tuple[str, str, str]]:
    one = CS.scorer.candidate(candidate(1, **more))  # type: ignore[arg-type]
    return [(leak.check, leak.where, leak.evidence) for leak in leaks(CS.scorer, one)]


def test_an_answer_that_the_context_tells_is_found_with_its_words() -> None:
    said = "the relay drops out once both feeders are switched within one cycle"
    assert found(context=CONTEXT, reference_answer=ANSWER) == [("answer_in_context", "reference answer", said)]


def test_a_criterion_that_the_question_tells_is_found_and_an_error_is_none() -> None:
    rubric = candidate(1)["rubric"]
    rubric[3]["criterion"] = "States that the second feeder fails late because of its inductance"
    rubric[11]["criterion"] = "Claims wrongly that the second feeder fails late because of its resistance"
    question = (
        "Why is it that the second feeder fails late because of its inductance? And why"
        " would somebody claim wrongly that the second feeder fails late because of its resistance?"
    )
    [one] = found(question=question, rubric=rubric)
    assert one[:2] == ("rubric_in_question", "criterion 4")


@pytest.mark.parametrize("place", ["question", "context"])
@pytest.mark.parametrize("what", ["answer", "rubric"])
def test_each_place_and_each_text_has_a_check_of_its_own(place: str, what: str) -> None:
    said = "the second feeder fails late because of its inductance"
    rubric = candidate(1)["rubric"]
    shown: dict[str, object] = {place: f"An engineer writes that {said}, and goes home for the day. Why is that so?"}
    if what == "answer":
        shown["reference_answer"] = f"It is known that {said}"
    else:
        rubric[3]["criterion"] = f"States that {said}"
    [(check, where, words)] = found(rubric=rubric, **shown)
    assert (check, words) == (f"{what}_in_{place}", f"that {said}")
    assert where == ("reference answer" if what == "answer" else "criterion 4")


def test_a_criterion_that_points_at_a_source_is_found() -> None:
    rubric = candidate(1)["rubric"]
    rubric[0]["criterion"] = "Names the loss that Table 3 of this paper gives"
    assert [one[0] for one in found(rubric=rubric)] == ["source_in_rubric"]


def test_in_a_script_without_spaces_two_letters_count_as_a_word() -> None:
    fact = "水泥熟料在大约一千四百五十度时离开窑炉"
    name = "中华人民共和国"
    assert found(context=f"已知{fact}。", reference_answer=f"{fact}并") == [
        ("answer_in_context", "reference answer", fact)
    ]
    assert found(context=f"在{name}", reference_answer=name) == []


def test_a_sound_candidate_has_none() -> None:
    assert found() == []
    one = FACTS.scorer.candidate(fact(1))
    assert leaks(FACTS.scorer, one) == []


@pytest.mark.parametrize(
    ("part", "text", "run"),
    [
        ("a b c d e", "x a b c d e y", "a b c d e"),
        ("a b c d", "a b c d", ""),
        ("a b c d e f g h i", "a b c d e f g z", ""),
        ("q a b c d e f g h i z", "a b c d e f g h i", "a b c d e f g h i"),
        ("a a a a a a a a a a", "a " * 40, "a a a a a a a a a a"),
    ],
)
def test_runs(part: str, text: str, run: str) -> None:
    assert " ".join(longest_run(part.split(), text.split())) == run


def test_a_sample_is_of_the_share_and_always_the_same() -> None:
    checks = ChecksConfig(canaries="sample", canary_share=0.25)
    chosen = [checks.tries_canaries(f"candidate {k}") for k in range(2000)]
    assert 420 < sum(chosen) < 580
    assert chosen == [checks.tries_canaries(f"candidate {k}") for k in range(2000)]
    assert not ChecksConfig().tries_canaries("x")
    assert ChecksConfig(canaries="always").tries_canaries("x")
