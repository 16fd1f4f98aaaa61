"""What mutation testing found that no quick test noticed: ids, spreads, limits, endings and messages, to the letter."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from fractions import Fraction
from typing import Any, Literal

import pytest
from pydantic import BaseModel, create_model

from autodata.checkpoints.ids import canonical_json, digest, digest_of_json, document_id, whole_id
from autodata.domains.acceptance.bounds import Bound
from autodata.domains.acceptance.rubric_score import count_problems, std_points, variance
from autodata.domains.tasks.schemas import ReferenceVerdict, RubricMarks, SupportReview
from autodata.models.endings import MAX_MESSAGE, PROMPT_CUT, ending_of, explained, reason_with
from autodata.models.scan import Unusable, clip, load
from autodata.models.structured import parse_reply, repair_message, response_format


def test_ids_are_what_stands_in_every_run_folder() -> None:
    assert canonical_json({"b": "é", "a": [1, None]}) == '{"a":[1,null],"b":"é"}'
    assert digest_of_json("{}") == "44136fa355b3678a"
    assert digest("é") == digest_of_json('"é"')
    assert document_id("Of oak.") == document_id("Of oak. \r\n")
    assert len(document_id("Of oak.")) == len(digest("x")) == 16
    assert whole_id("0123#2") == "0123"


def test_a_spread_is_of_squared_distances() -> None:
    scores = [Fraction(1, 4), Fraction(1, 2), Fraction(1, 1)]
    assert variance(scores) == Fraction(7, 72)
    assert variance([Fraction(1, 3)]) == 0
    assert std_points([Fraction(0), Fraction(1)]) == 50
    assert std_points([Fraction(1, 4), Fraction(3, 4)]) == 25


def test_limits_that_a_prompt_leaves_out_are_0_and_99() -> None:
    assert count_problems([1] * 99, {}) == []
    assert count_problems([1] * 100, {}) == [
        "the rubric has 100 items, at most 99 allowed",
        "the rubric has 100 positive items, at most 99 allowed",
    ]
    assert count_problems([1, -1, 0], {"negative_max": 0}) == ["the rubric has 1 negative items, at most 0 allowed"]


def test_a_bound_cannot_be_changed() -> None:
    bound: Any = Bound("<", Fraction(1, 2))
    with pytest.raises(FrozenInstanceError):
        bound.sign = ">"


def test_an_ending_is_explained_in_the_servers_words_where_the_prompt_was_cut() -> None:
    assert explained(f"{PROMPT_CUT}: the prompt lost its head") == "the prompt lost its head"
    assert explained("content_filter: violence") == "the reply ended with 'content_filter': violence"
    assert explained("zzz: after it in the alphabet") == "the reply ended with 'zzz': after it in the alphabet"
    assert explained(PROMPT_CUT) == f"the reply ended with {PROMPT_CUT!r}"


def test_reasons_are_kept_up_to_their_lengths() -> None:
    assert reason_with("r" * 61, "") == "r" * 60
    assert reason_with("x", "m" * 301) == f"x: {'m' * 300}"
    assert MAX_MESSAGE == 300


def test_one_prefix_of_a_reason_is_dropped() -> None:
    assert ending_of("finish_reason_stop") == "whole"
    assert ending_of("finish_reason_finish_reason_stop") == "failed"


def test_what_could_not_be_read_is_shown_around_its_place() -> None:
    text = '{"a": 1, "b": ' + "x" * 100
    with pytest.raises(Unusable) as caught:
        load(text)
    assert str(caught.value).endswith(f"near: {text[:14][-30:]}{'x' * 30}")
    assert clip("abcdef", 4) == "abc…"
    assert clip("abcd", 4) == "abcd"


def test_a_repair_says_how_many_replies_could_not_be_used() -> None:
    error = Unusable("empty", "The reply held no answer.")
    assert repair_message(error, SupportReview).startswith(
        "Your last reply could not be used. The reply held no answer."
    )
    assert repair_message(error, SupportReview, 2).startswith("Your last 2 replies could not be used.")


def test_a_schema_that_is_no_bare_one_is_asked_for_as_an_object() -> None:
    for limits in (False, True):
        form = response_format(SupportReview, "json_schema", text_limits=limits)["json_schema"]
        assert form["schema"]["type"] == "object"


@pytest.mark.parametrize(("length", "kind"), [(20, ""), (21, "not_json")])
def test_a_word_that_answers_has_twenty_characters_at_most(length: int, kind: str) -> None:
    word = "Yes".ljust(length, ".")
    if kind:
        with pytest.raises(Unusable) as caught:
            parse_reply(word, ReferenceVerdict)
        assert caught.value.kind == kind
    else:
        assert parse_reply(word, ReferenceVerdict).correct
        with pytest.raises(Unusable, match="held no JSON object"):
            parse_reply(word, SupportReview)


def test_a_problem_is_shown_up_to_its_length() -> None:
    class Colour(BaseModel):
        colour: Literal["red", "orange", "yellow", "green", "blue", "indigo", "violet"]
        shade: Literal[tuple(f"shade {number}" for number in range(99))]  # type: ignore[valid-type]

    with pytest.raises(Unusable) as caught:
        parse_reply('{"colour": "black", "shade": "black"}', Colour)
    one, two = str(caught.value).removeprefix("The JSON does not fit the schema. ").split("; shade: ")
    assert one.startswith("colour: Input should be 'red', 'orange'")
    assert (len(two), two[-2:]) == (201, "….")


def test_a_local_server_is_asked_for_the_one_value_of_a_bare_schema() -> None:
    found = [
        response_format(ReferenceVerdict, "json_schema", text_limits=limits)["json_schema"] for limits in (False, True)
    ]
    assert [(one["schema"]["type"], one["strict"]) for one in found] == [("object", True), ("boolean", False)]


@pytest.mark.parametrize(
    ("name", "sent"),
    [("A" * 64, "A" * 64), ("A" * 65, "A" * 64), ("Verdict[int]", "Verdict_int_"), ("Of_a-b", "Of_a-b")],
)
def test_a_schema_is_sent_by_a_name_that_servers_take(name: str, sent: str) -> None:
    found = response_format(create_model(name, value=(int, 0)), "json_schema")
    assert found["json_schema"]["name"] == sent


@pytest.mark.parametrize(
    ("text", "kind"),
    [('{"x": 1}', "invalid"), ('{"x" 1}', "truncated"), ('{"x": 1} {"x" 1}', "truncated"), ("I think", "truncated")],
)
def test_a_reply_that_a_limit_cut_is_called_so_unless_it_held_a_whole_value(text: str, kind: str) -> None:
    with pytest.raises(Unusable) as caught:
        parse_reply(text, SupportReview, finish_reason="length")
    assert caught.value.kind == kind


@pytest.mark.parametrize(("wrong", "rest"), [(5, ""), (6, "; and 1 more"), (7, "; and 2 more")])
def test_a_message_says_how_many_problems_it_leaves_out(wrong: int, rest: str) -> None:
    class Numbers(BaseModel):
        numbers: list[int]

    with pytest.raises(Unusable) as caught:
        parse_reply('{"numbers": [' + ", ".join(['"odd"'] * wrong) + "]}", Numbers)
    shown, end = str(caught.value)[:-1].partition("; and ")[::2]
    assert (shown.count("numbers["), end) == (5, rest.removeprefix("; and "))


def test_a_problem_names_its_place_by_keys_and_numbers() -> None:
    class Labels(BaseModel):
        labels: dict[str, list[int]]

    for key, shown in (("k" * 60, "k" * 60), ("k" * 61, "k" * 59 + "…")):
        with pytest.raises(Unusable, match=rf" labels\.{shown}\[1\]: Input should be a valid integer"):
            parse_reply('{"labels": {"' + key + '": [1, "odd"]}}', Labels)


def test_a_message_of_many_problems_says_how_many_more_there_are() -> None:
    with pytest.raises(Unusable, match=r"; and 6 more\.") as caught:
        parse_reply(
            '{"marks": [' + ", ".join(['{"number": "odd", "met": true, "reason": "r"}'] * 11) + "]}", RubricMarks
        )
    assert "odd" not in str(caught.value)
