from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel

from autodata.models.coerce import Items, ReplyModel
from autodata.models.markers import Flag, Prose
from autodata.models.reasoning import strip_reasoning
from autodata.models.scan import Unusable
from autodata.models.structured import parse_reply, repair_message, response_format, schema_text


class Item(BaseModel):
    name: str = Field(min_length=1)
    weight: int = Field(ge=-10, le=10)


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str
    verdict: Literal["pass", "fail"]
    score: float = 0.0
    items: list[Item] = []


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Labels(BaseModel):
    labels: dict[str, int]


class Names(RootModel[list[str]]):
    pass


PASS = '{"reason": "r", "verdict": "pass"}'
FAIL = '{"reason": "r", "verdict": "fail"}'

RECOVERED: dict[str, tuple[str, dict[str, Any]]] = {
    "bare": (PASS, {"verdict": "pass"}),
    "byte order mark": ("\ufeff" + PASS, {"verdict": "pass"}),
    "json fence": (f"Here you are:\n```json\n{PASS}\n```\nHope it helps.", {"verdict": "pass"}),
    "plain fence": (f"```\n{PASS}\n```", {"verdict": "pass"}),
    "tilde fence": (f"~~~ json\n{PASS}\n~~~", {"verdict": "pass"}),
    "fence on one line": (f"```json {PASS}```", {"verdict": "pass"}),
    "fence never closed": (f"```json\n{PASS}", {"verdict": "pass"}),
    "last of several fences": (f"```json\n{PASS}\n```\nNo:\n```json\n{FAIL}\n```", {"verdict": "fail"}),
    "last fence that validates": (f'```json\n{PASS}\n```\n```json\n{{"x": 1}}\n```', {"verdict": "pass"}),
    "a fenced draft before a loose object": (f"```json\n{PASS}\n```\nNo: {FAIL}", {"verdict": "fail"}),
    "a later object without a key of the schema": (f'{PASS}\n```json\n{{"x": 1}}\n```', {"verdict": "pass"}),
    "a set in prose after it": (f"{PASS}, for all of {{x: x > 0}}", {"verdict": "pass"}),
    "a loose draft before a fence": (f"Perhaps {PASS}.\n```json\n{FAIL}\n```", {"verdict": "fail"}),
    "single backslashes": (
        r'{"reason": "\frac{1}{2} \times \alpha", "verdict": "pass"}',
        {"reason": r"\frac{1}{2} \times \alpha"},
    ),
    "prose around": (f"My answer is {PASS}. Done.", {"verdict": "pass"}),
    "last word binds": (f"First {PASS} but on reflection {FAIL}", {"verdict": "fail"}),
    "last that validates": (f'{PASS} such as {{"example": true}}', {"verdict": "pass"}),
    "braces in prose": (rf"With \frac{{a}}{{b}} and {{1, 2 we get {PASS}", {"verdict": "pass"}),
    "a set in prose": (f"the set {{x: x > 0}} gives {PASS}", {"verdict": "pass"}),
    "fence inside a string": (f'So: {{"reason": "```json\\n{{}}\\n```", "verdict": "fail"}} {""}', {"verdict": "fail"}),
    "object inside a string": ('{"reason": "not {\\"verdict\\": 1}", "verdict": "pass"}', {"verdict": "pass"}),
    "trailing commas": (
        '{"reason": "r", "verdict": "pass", "items": [{"name": "a", "weight": 1,}, ], }',
        {"items": [{"name": "a", "weight": 1}]},
    ),
    "comma and comment at the end": ('{"reason": "r", "verdict": "pass", // fine\n}', {"verdict": "pass"}),
    "plus signs": (
        '{"reason": "+8", "verdict": "pass", "items": [{"name": "a", "weight": +8}]}',
        {"reason": "+8", "items": [{"name": "a", "weight": 8}]},
    ),
    "exponent keeps its plus": ('{"reason": "r", "verdict": "pass", "score": 5e+1}', {"score": 50.0}),
    "smart quotes": ('{“reason”: “he said "no"”, “verdict”: “pass”}', {"reason": 'he said "no"'}),
    "smart quotes within a text": ('{"reason": "a “b” c", "verdict": "pass"}', {"reason": "a “b” c"}),
    "comments": (f"{{// why\n{PASS[1:-1]} // so\n}}", {"verdict": "pass"}),
    "address in a text is no comment": (
        '{"reason": "http://a, True,]", "verdict": "pass"}',
        {"reason": "http://a, True,]"},
    ),
    "raw newline and tab": ('{"reason": "a\n\tb", "verdict": "pass"}', {"reason": "a\n\tb"}),
    "wrapped under result": (f'{{"result": {PASS}}}', {"verdict": "pass"}),
    "wrapped under the class name": (f'{{"Verdict": {PASS}}}', {"verdict": "pass"}),
    "word in capitals": ('{"reason": "r", "verdict": "PASS"}', {"verdict": "pass"}),
    "list of the object": (f"[{PASS}]", {"verdict": "pass"}),
    "list in a fence": (f"```json\n[\n{PASS}\n]\n```", {"verdict": "pass"}),
    "JSON in a JSON string": (json.dumps(PASS), {"verdict": "pass"}),
    "wrapped twice": (f'{{"a": {{"b": {PASS}}}}}', {"verdict": "pass"}),
    "think block": (f"<think>maybe {FAIL}</think>\n{PASS}", {"verdict": "pass"}),
    "empty think block": (f"<think>\n\n</think>\n\n{PASS}", {"verdict": "pass"}),
    "closing tag only": (f"so {FAIL}?\n</think>\n{PASS}", {"verdict": "pass"}),
    "thinking after the answer": (f"{PASS}\n<think>\nor {FAIL}?\n</think>", {"verdict": "pass"}),
    "tag in a string": ('{"reason": "ends with </think> or <think>", "verdict": "pass"}', {"verdict": "pass"}),
    "tag in a string after a block": (
        '<think>t</think>{"reason": "the </think> tag", "verdict": "pass"}',
        {"reason": "the </think> tag"},
    ),
    "corrected on a new line": (f'{{"reason": "a 5" pipe", "verdict": "pass"}}\nSorry:\n{FAIL}', {"verdict": "fail"}),
}

REFUSED: dict[str, tuple[str, str | None, str]] = {
    "nothing": ("", "stop", "empty"),
    "blanks": (" \n\ufeff\t", None, "empty"),
    "reasoning only": ("<think>hmm</think>", "stop", "empty"),
    "reasoning never ends": (f"<think>hmm {PASS}", "stop", "empty"),
    "reasoning cut off": ("<think>hmm", "length", "truncated"),
    "cut in a string": (PASS[:-4], "length", "truncated"),
    "cut, though the server says stop": (PASS[:-4], "stop", "truncated"),
    "cut after a value": (PASS[:-1], None, "truncated"),
    "cut after a comma": ('{"reason": "r",', None, "truncated"),
    "cut in a literal": ('{"reason": "r", "verdict": "pass", "score": 0.', None, "truncated"),
    "cut in an escape": ('{"reason": "\\u00e', None, "truncated"),
    "cut in a fence": (f"```json\n{PASS[:-1]}", "length", "truncated"),
    "cut in a list with whole items": (
        '{"reason": "r", "verdict": "pass", "items": [\n{"name": "a", "weight": 1},\n{"na',
        "stop",
        "truncated",
    ),
    "a second thought cut off": (f'{PASS} wait, {{"reason": "r", "verd', "length", "truncated"),
    "prose cut off": ("The answer is", "length", "truncated"),
    "prose": ("I cannot judge this.", "stop", "not_json"),
    "bare keys": ('{reason: "r", verdict: "pass"}', None, "not_json"),
    "single quotes": ("{'reason': 'r', 'verdict': 'pass'}", None, "not_json"),
    "quotes within a text": ('{"reason": "he said "no" to it", "verdict": "pass"}', None, "not_json"),
    "missing comma": ('{"reason": "r" "verdict": "pass"}', None, "not_json"),
    "two plus signs": ('{"reason": "r", "verdict": "pass", "score": ++8}', None, "not_json"),
    "sum is no number": ('{"reason": "r", "verdict": "pass", "score": 1+8}', None, "not_json"),
    "wrong brackets": ('{"reason": "r", "verdict": "pass", "items": [}', None, "not_json"),
    "very deep": ('{"a":' * 500 + "1" + "}" * 500, None, "not_json"),
    "inner object of a broken one": (f'{{"a" 1, "b": {PASS}}}', None, "not_json"),
    "a later attempt does not fit": (f'{PASS}\nNo: {{"reason": "r", "verdict": "no"}}', None, "invalid"),
    "a later attempt in a fence does not fit": (f'{PASS}\n```json\n{{"verdict": "fail"}}\n```', None, "invalid"),
    "a later attempt cannot be read": (
        f'{PASS}\nNo: {{"reason": "he said "no"", "verdict": "fail"}}',
        None,
        "not_json",
    ),
    "a later attempt with bare keys": (f'{PASS}\nNo: {{reason: "r", verdict: "fail"}}', None, "not_json"),
    "a break or LaTeX": (r'{"reason": "$x$ and\nu_0", "verdict": "pass"}', None, "not_json"),
    "missing key": ('{"reason": "r"}', None, "invalid"),
    "unknown key": (PASS[:-1] + ', "extra": 1}', None, "invalid"),
    "wrong word": ('{"reason": "r", "verdict": "passable"}', None, "invalid"),
    "out of range": (PASS[:-1] + ', "items": [{"name": "a", "weight": 11}]}', None, "invalid"),
    "same key twice": ('{"reason": "r", "verdict": "fail", "verdict": "pass"}', None, "invalid"),
    "same key twice, deep": (PASS[:-1] + ', "items": [{"name": "a", "weight": 1, "weight": 1}]}', None, "invalid"),
    "not a number": (PASS[:-1] + ', "score": NaN}', None, "invalid"),
    "infinite": (PASS[:-1] + ', "score": -Infinity}', None, "invalid"),
    "infinite by its exponent": (PASS[:-1] + ', "score": 1e999}', None, "invalid"),
    "endless digits": (PASS[:-1] + f', "score": {"9" * 5000}}}', None, "invalid"),
    "half a surrogate pair": ('{"reason": "\\ud800", "verdict": "pass"}', None, "invalid"),
    "list of numbers": ("[1, 2]", None, "invalid"),
    "list of numbers in a fence": ("```json\n[1, 2]\n```", None, "invalid"),
    "null": ("null", None, "invalid"),
    "whole but wrong, then cut off": ('{"reason": "r"} and', "length", "invalid"),
}


@pytest.mark.parametrize(("text", "expected"), RECOVERED.values(), ids=RECOVERED)
def test_odd_reply_is_recovered(text: str, expected: dict[str, Any]) -> None:
    found = parse_reply(text, Verdict).model_dump()
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(("text", "finish_reason", "kind"), REFUSED.values(), ids=REFUSED)
def test_unusable_reply_is_refused(text: str, finish_reason: str | None, kind: str) -> None:
    with pytest.raises(Unusable) as refused:
        parse_reply(text, Verdict, finish_reason=finish_reason)
    assert refused.value.kind == kind
    message = str(refused.value)
    assert message
    assert "\n" not in message
    assert len(message) < 1500


@pytest.mark.parametrize(("word", "value"), [("True", True), ("False", False), ("None", None)])
def test_python_words_are_read_outside_of_texts_only(word: str, value: object) -> None:
    class Flag(BaseModel):
        flag: bool | None
        text: str

    assert parse_reply(f'{{"flag": {word}, "text": "{word}"}}', Flag) == Flag.model_validate(
        {"flag": value, "text": word}
    )


def test_a_key_of_the_schema_is_never_unwrapped() -> None:
    class Holder(BaseModel):
        holder: dict[str, str]

    assert parse_reply('{"holder": {"holder": "x"}}', Holder).holder == {"holder": "x"}


def test_lists_are_fine_where_the_schema_is_one() -> None:
    assert parse_reply('```json\n["a", "b"]\n```', Names).root == ["a", "b"]


def test_at_most_five_problems_are_listed_with_their_paths() -> None:
    bad = json.dumps({"reason": {}, "verdict": "x", "items": [{"name": ""}, {"weight": 99}, 3]})
    with pytest.raises(Unusable) as refused:
        parse_reply(bad, Verdict)
    message = str(refused.value)
    assert message.startswith("The JSON does not fit the schema. reason: Input should be a valid string; verdict: ")
    assert "items[0].name: " in message
    assert message.count("; ") == 5
    assert message.endswith("; and 2 more.")


def test_hostile_texts_are_given_up_in_time() -> None:
    for text in ('{"' * 20_000, '{"\n' * 20_000, "{ " * 50_000, "<think>" * 20_000, '{"a":' * 20_000, ", " * 50_000):
        with pytest.raises(Unusable):
            parse_reply("x" + text, Verdict)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("answer", "answer"),
        ("<think>a</think>answer", "answer"),
        ("<THINK>a</Think>\n answer ", "answer"),
        ('<thinking budget="9">a</thinking>answer', "answer"),
        ("<reasoning>a</reasoning>\n<think>b</think>answer", "answer"),
        ("<think>a</think><think>b</think>answer", "answer"),
        ("<think>a<think>b</think>c</think>answer", "answer"),
        ("<think>a <think> b</think>answer", "answer"),
        ("<think/>answer", "answer"),
        ("a\n</think>\nanswer", "answer"),
        ("a</think>b</think>answer", "answer"),
        ("a\n<think>\nb\n</think>\nc\n</think>\nanswer", "answer"),
        ("a, so the <think> tag\n</think>\nanswer", "answer"),
        ("<think>never closed", ""),
        ("<think>a</think><think>never closed", ""),
        ('<think>never closed, though {"tag": "</think>"} is mentioned', ""),
        ('<think>he says "hi"</think>"hi"', '"hi"'),
        ("<think>not `</think>` yet</think>answer", "answer"),
        ("Sure.\n<think>\na\n</think>\nanswer", "Sure.\n\nanswer"),
        ("<think>a</think>The <think> tag opens and </think> closes.", "The <think> tag opens and </think> closes."),
        ("The <think> tag opens and </think> closes.", "The <think> tag opens and </think> closes."),
        ("a</think>It ends with `</think>`.", "It ends with `</think>`."),
        ("a</think>Between <think> and </think>.", "Between <think> and </think>."),
        ('{"q": "What does </think> do?"}', '{"q": "What does </think> do?"}'),
        ("I <thinker> of it", "I <thinker> of it"),
    ],
)
def test_reasoning_is_stripped(text: str, left: str) -> None:
    assert strip_reasoning(text) == left


texts = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=60)
prose = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="{}[]<>`~"), max_size=60)
odd_prose = st.one_of(prose, st.just(r"so \frac{a}{b} = {1} and [3]"), st.just('a 5" pipe, {'))
verdicts = st.builds(
    Verdict,
    reason=texts | st.sampled_from(["</think>", "```json\n{}\n```", '{"verdict": "pass"}', "<think>", "“”"]),
    verdict=st.sampled_from(["pass", "fail"]),
    score=st.floats(allow_nan=False, allow_infinity=False),
    items=st.lists(st.builds(Item, name=texts.filter(bool), weight=st.integers(-10, 10)), max_size=3),
)


@given(
    verdict=verdicts,
    before=odd_prose,
    after=prose,
    fence=st.sampled_from(["", "```", "~~~", "```json"]),
    thought=st.none() | st.tuples(st.sampled_from(["think", "THINKING", "reasoning"]), odd_prose),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 2]),
)
def test_a_valid_object_is_recovered_from_whatever_surrounds_it(
    verdict: Verdict,
    before: str,
    after: str,
    fence: str,
    thought: tuple[str, str] | None,
    ascii_only: bool,
    indent: int | None,
) -> None:
    value = json.dumps(verdict.model_dump(), ensure_ascii=ascii_only, indent=indent)
    body = f"{fence}\n{value}\n{fence[:3]}\n" if fence else value
    think = f"<{thought[0]}>{thought[1]} {FAIL}\n</{thought[0]}>" if thought else ""
    assert parse_reply(f"{think}{before}\n{body}{after}", Verdict, finish_reason="stop") == verdict


pieces = st.sampled_from(
    [
        *"{}[]\"'“”:,+-1\\\n \ufeff",
        *("//", "1e999", "NaN", "True", "```", "~~~", "<think>", "</think>", "<reasoning/>", "\\u"),
        *('"reason"', '"verdict"', '"pass"', PASS, PASS[:-3]),
    ]
)


@given(st.one_of(st.text(), st.lists(pieces, max_size=25).map("".join)), st.sampled_from([None, "stop", "length"]))
def test_any_text_gives_an_answer_or_unusable(text: str, finish_reason: str | None) -> None:
    try:
        outcome = str(parse_reply(text, Verdict, finish_reason=finish_reason).verdict)
    except Unusable as error:
        outcome = error.kind
    assert outcome in {"pass", "fail", "empty", "truncated", "not_json", "invalid"}


@given(verdicts, st.data())
def test_a_cut_object_is_never_an_answer(verdict: Verdict, data: st.DataObject) -> None:
    whole = verdict.model_dump_json()
    text = whole[: data.draw(st.integers(1, len(whole) - 1))]
    with pytest.raises(Unusable) as refused:
        parse_reply(text, Verdict, finish_reason="length")
    assert refused.value.kind == "truncated"


def test_schema_text_is_compact_and_inlines_definitions() -> None:
    class Order(BaseModel):
        title: str = Field(description="what it is called")
        best: Item | None = None

    assert schema_text(Order) == (
        '{"properties":{"title":{"description":"what it is called","type":"string"},"best":{"anyOf":[{"properties":'
        '{"name":{"minLength":1,"type":"string"},"weight":{"maximum":10,"minimum":-10,"type":"integer"}},'
        '"required":["name","weight"],"type":"object"},{"type":"null"}],"default":null}},"required":["title"],'
        '"title":"Order","type":"object"}'
    )


def test_recursive_definitions_stay_references() -> None:
    schema = json.loads(schema_text(Tree))
    assert schema["title"] == "Tree"
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}


def objects_in(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for item in schema for found in objects_in(item)]
    if not isinstance(schema, dict):
        return []
    here = [schema] if schema.get("type") == "object" else []
    return here + [found for item in schema.values() for found in objects_in(item)]


@pytest.mark.parametrize("schema", [Verdict, Tree, Item])
def test_strict_form_requires_every_property_and_allows_no_other(schema: type[BaseModel]) -> None:
    sent = response_format(schema, "json_schema")
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["name"] == schema.__name__
    assert sent["json_schema"]["strict"] is True
    form = sent["json_schema"]["schema"]
    for node in objects_in(form):
        assert node["required"] == list(node["properties"])
        assert node["additionalProperties"] is False
    text = json.dumps(form)
    assert not any(f'"{word}"' in text for word in ("default", "title", "minLength", "maxLength"))


@pytest.mark.parametrize("schema", [Labels, Names])
def test_schemas_that_cannot_be_closed_are_not_called_strict(schema: type[BaseModel]) -> None:
    assert response_format(schema, "json_schema")["json_schema"]["strict"] is False


def test_property_order_is_kept_for_guided_output() -> None:
    form = response_format(Verdict, "json_schema")["json_schema"]["schema"]
    assert list(form["properties"]) == ["reason", "verdict", "score", "items"]
    assert list(json.loads(schema_text(Verdict))["properties"]) == ["reason", "verdict", "score", "items"]


def test_json_object_mode_carries_no_schema() -> None:
    assert response_format(Verdict, "json_object") == {"type": "json_object"}


def test_repair_message_shows_what_was_wrong_and_the_schema() -> None:
    with pytest.raises(Unusable) as refused:
        parse_reply('{"reason": "r"}', Verdict)
    message = repair_message(refused.value, Verdict)
    assert "verdict: Field required" in message
    assert message.endswith(schema_text(Verdict))
    assert repair_message(refused.value, Verdict, 2) != message


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ('{"reason": "r"}', True),
        ('{"answer": {"reason": "r"}}', True),
        ('{"reason": "r", "reason": "s"}', True),
        ('{"verdict": "pass", "score": NaN}', True),
        ('{"error": {"message": "overloaded", "code": 529}}', False),
        ('{"error": {"code": 1, "code": 2}}', False),
        ("{}", False),
        ('"pass"', False),
    ],
)
def test_only_an_object_with_a_key_of_the_schema_is_an_attempt_at_it(text: str, shape: bool) -> None:
    with pytest.raises(Unusable) as refused:
        parse_reply(text, Verdict)
    assert (refused.value.kind, refused.value.shape) == ("invalid", shape)


# Whether a reply that could not be read is a verdict on its shape


class Marked(BaseModel):
    number: int
    met: bool


class MarkList(ReplyModel):
    marks: Annotated[tuple[Marked, ...], Items()]


class Leak(ReplyModel):
    leak_found: Annotated[bool, Flag()]
    reason: str


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (Leak, '{"leak_found": "perhaps", "reason": "r"}'),
        (Leak, '{"Leak Found": "perhaps"}'),
        (Leak, '{"isLeakFound": "perhaps"}'),
        (Leak, '{"answer": {"Leak-Found": "perhaps"}}'),
        (Leak, '{"Leak Found": perhaps}'),
        (MarkList, '[{"number": 1, "met": "perhaps"}]'),
        (MarkList, '{"1": {"Met": "perhaps"}}'),
        (MarkList, '{"Number": 1, "Met": "perhaps"}'),
    ],
)
def test_a_wrong_answer_is_distinguished_from_none_by_keys_in_any_spelling(schema: type[BaseModel], text: str) -> None:
    with pytest.raises(Unusable) as caught:
        parse_reply(text, schema)
    assert caught.value.shape


@pytest.mark.parametrize("text", ['{"colour": "red"}', '{"colour": red}', "[1, 2]", "no"])
def test_another_value_is_no_answer(text: str) -> None:
    with pytest.raises(Unusable) as caught:
        parse_reply(text, Leak)
    assert not caught.value.shape


# Schemas without markers, as a task type of one's own may give them


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    number: int
    label: str
    weight: int = Field(ge=-10, le=10)


class Plain(BaseModel):
    question: str
    skills: list[str]
    level: Literal["easy", "hard"]
    colour: Colour = Colour.RED
    usable: bool
    limit: int | None = None
    parts: tuple[Part, ...]
    source: str = Field(default="", alias="sourceText")


PLAIN = {
    "question": "Why?",
    "skills": ["recall"],
    "level": "hard",
    "usable": True,
    "parts": [{"number": 1, "label": "a", "weight": 5}],
}


@pytest.mark.parametrize(
    "said",
    [
        PLAIN,
        [PLAIN],
        {"example": PLAIN},
        {key.upper(): one for key, one in PLAIN.items()},
        PLAIN | {"question": ["Why?"]},
        PLAIN | {"skills": "recall"},
        PLAIN | {"skills": {"1": "recall"}},
        PLAIN | {"level": "Hard"},
        PLAIN | {"colour": "RED"},
        PLAIN | {"usable": "Yes."},
        PLAIN | {"usable": "usable"},
        PLAIN | {"parts": {"number": 1, "label": "a", "weight": "5 points"}},
        PLAIN | {"parts": {"1": {"label": "a", "weight": "+5"}}},
        PLAIN | {"parts": json.dumps(PLAIN["parts"])},
        PLAIN | {"parts": [{"Number": 1, "Label": ["a"], "Weight": 5.0}]},
        PLAIN | {"sourceText": ""},
        PLAIN | {"SourceText": [""]},
    ],
)
def test_a_plain_schema_is_read_leniently(said: Any) -> None:
    assert parse_reply(json.dumps(said), Plain) == Plain.model_validate(PLAIN)


@pytest.mark.parametrize(
    "said",
    [
        PLAIN | {"usable": "partly"},
        PLAIN | {"level": "medium"},
        PLAIN | {"question": ["Why?", "How?"]},
        PLAIN | {"parts": [{"number": 1, "label": "a", "weight": "5 or 6"}]},
        PLAIN | {"parts": [{"number": 1, "label": "a", "weight": 11}]},
        {key: one for key, one in PLAIN.items() if key != "usable"},
        PLAIN | {"Level": "easy"},
    ],
)
def test_what_leaves_a_doubt_in_a_plain_schema_is_asked_again(said: Any) -> None:
    with pytest.raises(Unusable):
        parse_reply(json.dumps(said), Plain)


class Spelled(BaseModel):
    text: str
    each: list[str] = []
    number: float = 0.0


class WithMarker(ReplyModel):
    text: Annotated[str, Prose()]
    number: float = 0.0
    count: int | None = None


@pytest.mark.parametrize("schema", [Spelled, WithMarker])
@pytest.mark.parametrize(
    "said", ["1.10", "3.14159265358979323846264338327950288", "6.02214076e23", "1E-5", "-0.0", "7"]
)
def test_a_number_that_becomes_a_text_keeps_its_spelling(schema: type[Spelled] | type[WithMarker], said: str) -> None:
    found = parse_reply(f'{{"text": {said}, "number": {said}}}', schema)
    assert found.text == said
    assert found.number == float(said)
    assert type(found.number) is float


def test_numbers_of_a_list_of_texts_keep_their_spelling() -> None:
    assert parse_reply('{"text": "a", "each": [1.10, 2.50]}', Spelled).each == ["1.10", "2.50"]


class Counted(BaseModel):
    count: int
    shares: list[float] = []
    by_name: dict[str, int] = {}
    either: bool | int = 0


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (Counted, '{"count": true}'),
        (Counted, '{"count": 1, "shares": [0.5, false]}'),
        (Counted, '{"count": 1, "by_name": {"a": true}}'),
        (WithMarker, '{"text": "a", "number": true}'),
        (WithMarker, '{"text": "a", "count": false}'),
    ],
)
def test_true_is_no_number(schema: type[BaseModel], said: str) -> None:
    with pytest.raises(Unusable, match="a number is needed"):
        parse_reply(said, schema)


def test_true_is_true_where_either_is_taken() -> None:
    assert parse_reply('{"count": 1, "either": true}', Counted).either is True
