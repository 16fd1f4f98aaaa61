"""The JSON values of a text: where each stands, what is wrong with it, and where reading goes on after a broken one."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from autodata.models.scan import MAX_DEPTH, MAX_VALUES, Unusable, clip, load, values_in


def seen(text: str) -> list[Any]:
    """Return the text of each value that was found, with its value, or the message of what is wrong."""
    return [(text[one.start : one.end], str(one.error) if one.error else one.value) for one in values_in(text)[0]]


def broken(near: str) -> str:
    return f"The JSON could not be read, near: {near}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('So {"a": 1}, then {"b": [2]}.', [('{"a": 1}', {"a": 1}), ('{"b": [2]}', {"b": [2]})]),
        ('[{"a": 1}, {"a": 2}]', [('[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}])]),
        ('{"a": 1,}', [('{"a": 1,}', {"a": 1})]),
        ('{"a": [1, 2,],}', [('{"a": [1, 2,],}', {"a": [1, 2]})]),
        ('{"a": []}', [('{"a": []}', {"a": []})]),
        ("{}", [("{}", {})]),
        ('{"a": True, "b": None, "c": +1}', [('{"a": True, "b": None, "c": +1}', {"a": True, "b": None, "c": 1})]),
        ('{// why\n"a": 1}', [('{// why\n"a": 1}', {"a": 1})]),
        (r'{“a”: “say \"x\" or "y"”}', [(r'{“a”: “say \"x\" or "y"”}', {"a": 'say "x" or "y"'})]),
    ],
)
def test_values_and_where_they_stand(text: str, found: list[Any]) -> None:
    assert seen(text) == found
    assert not values_in(text)[1]


@pytest.mark.parametrize(
    "whole",
    ['{"a"}', '{"a": }', '{"a": 1 2}', '{"a" 1}', '{"a": 1]', '{"a": [,]}', '[{"a": 1} 2]', '{"a" 1, "b": [2]}'],
)
def test_a_value_that_breaks_the_grammar_ends_with_its_bracket(whole: str) -> None:
    """Its message is about what stands around the place, whatever would be wrong with the value as JSON."""
    text = whole + ' then {"b": 1}'
    assert seen(text) == [(whole, broken(text)), ('{"b": 1}', {"b": 1})]


def test_what_is_shown_of_a_broken_value_is_around_its_place() -> None:
    text = '{"a": "' + 70 * "x" + '", "b" 1, "c": ' + 70 * "y" + "}"
    place = text.index(" 1,")
    assert seen(text) == [(text, broken(text[place + 30 - 60 : place + 30]))]


def test_a_value_at_the_start_of_a_line_outlives_one_that_never_closes() -> None:
    for head in ('{"a": [1 2\n', '{"a": "no end\n', '\n{"a": [1 2\n'):
        assert seen(head + '{"b": 1} and {"c": 2}')[1:] == [('{"b": 1}', {"b": 1})]
    for head in ('{"a": [1 2 ', '\n{"a": [1 2 ', '{"a": [1 2\t'):
        assert seen(head + '{"b": 1} and {"c": 2}')[1:] == []


def test_in_a_brace_of_prose_that_never_closes_values_stand_anywhere() -> None:
    text = '{x: x > 0 and {"a": 1} or {b} or {"b": [{"c": 2}]}, {"d" 3}'
    found = seen(text)
    assert found[1:] == [('{"a": 1}', {"a": 1}), ('{"b": [{"c": 2}]}', {"b": [{"c": 2}]}), ('{"d" 3}', found[0][1])]


@pytest.mark.parametrize(
    "text", ['{"a": ', '{"a": "x', '{"a": [1, 2', '{"a": {"b": 1}', '{"a": 1', '{"a": "x\n{"b": 1}"}']
)
def test_a_text_that_ends_inside_a_value_says_so(text: str) -> None:
    found, cut_off = values_in('{"whole": 1} ' + text)
    assert cut_off is not text.endswith('"}')
    assert found[0].value == {"whole": 1}


def test_as_many_values_as_a_reply_may_hold_and_one_more() -> None:
    found, _ = values_in("{} " * MAX_VALUES)
    assert len(found) == MAX_VALUES
    with pytest.raises(Unusable, match=r"^The reply held more than 4,000 JSON values: give one\.$") as caught:
        values_in("{} " * (MAX_VALUES + 1))
    assert caught.value.kind == "invalid"


def test_as_many_brackets_as_a_value_may_hold_and_one_more() -> None:
    def nested(depth: int) -> str:
        return '{"a": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"

    assert [one.error for one in values_in(nested(MAX_DEPTH))[0]] == [None]
    (deeper,) = values_in(nested(MAX_DEPTH + 1))[0]
    assert deeper.error
    assert deeper.error.kind == "not_json"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{"a": 1, "b": 2, "b": 3}', "The key 'b' occurs twice in the same object: give every key once."),
        ('{"a": NaN}', "NaN is not a JSON number: give a finite number."),
        ('{"a": 1' + "0" * 30 + "e999}", "1" + "0" * 18 + "… is not a JSON number: give a finite number."),
        ('{"a": ' + "1" * 5000 + "}", "The JSON holds a number that is too long."),
    ],
)
def test_what_json_allows_and_no_answer_may_hold(source: str, message: str) -> None:
    with pytest.raises(Unusable) as caught:
        load(source)
    assert (str(caught.value), caught.value.kind) == (message, "invalid")


def test_what_was_found_cannot_be_changed() -> None:
    (found,) = values_in("{}")[0]
    kept: Any = found
    with pytest.raises(FrozenInstanceError):
        kept.end = 1


def test_a_text_is_clipped_to_its_length() -> None:
    assert [clip("abcd", length) for length in (5, 4, 3, 1)] == ["abcd", "abcd", "ab…", "…"]
