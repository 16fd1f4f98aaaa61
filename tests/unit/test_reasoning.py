"""Reasoning in the dialects of the field is no part of an answer; what an answer only mentions stays."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from autodata.models.reasoning import MAX_MARKS, strip_reasoning
from autodata.models.structured import parse_reply

REASONING, ANSWER = "It could be forty-one metres, but I doubt it.", "Thirty metres."

NAMES = """think thinking thought thoughts reasoning reflection analysis scratchpad inner_monologue chain-of-thought
    seed:think mm:think antthinking reasoning_content THINK Thinking longcat_think""".split()
TAGS = [
    "<{n}>{r}</{n}>{a}",
    "<{n}>\n{r}\n</{n}>\n\n{a}",
    '<{n} kind="x">{r}</{n}>{a}',
    "< {n} >{r}</ {n} >{a}",
    "{r}</{n}>{a}",
]
SQUARE = ["[{n}]{r}[/{n}]{a}", "[{n}]\n{r}\n[/{n}]\n{a}", "◁{n}▷{r}◁/{n}▷{a}", "{r}[/{n}]{a}", "{r}◁/{n}▷\n{a}"]
TOKENS = [
    "<|begin_of_{n}|>{r}<|end_of_{n}|>{a}",
    "<|begin_of_{n}|>{r}<|end_of_{n}|>\n<|begin_of_solution|>\n{a}\n<|end_of_solution|>",
    "<|{n}_start|>{r}<|{n}_end|>{a}",
    "<|{n}|>{r}<|/{n}|>{a}",
    "<\uff5cbegin\u2581of\u2581{n}\uff5c>{r}<\uff5cend\u2581of\u2581{n}\uff5c>{a}",
    "<|START_{n}|>{r}<|END_{n}|><|START_RESPONSE|>{a}<|END_RESPONSE|>",
    "{r}<|end_of_{n}|>{a}",
]
FORMS = [
    *(form.replace("{n}", name) for form in TAGS for name in NAMES),
    *(form.replace("{n}", name) for form in SQUARE for name in ("THINK", "think", "Thought", "reasoning")),
    *(form.replace("{n}", name) for form in TOKENS for name in ("thought", "thinking", "THINKING")),
    "<|channel|>analysis<|message|>{r}<|end|><|start|>assistant<|channel|>final<|message|>{a}",
    "<|start|>assistant<|channel|>analysis<|message|>{r}<|end|>\n<|start|>assistant<|channel|>final<|message|>{a}"
    "<|return|>",
    "<|channel|>analysis<|message|>{r}<|end|><|start|>assistant<|channel|>commentary to=x <|constrain|>json<|message|>"
    "{{}}<|call|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{a}",
    "{r}<|end|><|start|>assistant<|channel|>final<|message|>{a}",
    "<|channel|>final<|message|>{a}",
    "analysis{r}assistantfinal{a}",
    "analysisWe think so. {r}assistantcommentaryNow then.assistantfinal{a}",
    "assistantanalysis{r}assistantfinal{a}",
    "<|channel>thought\n{r}<channel|>{a}",
    "<|im_start|>think\n{r}\n<|im_start|>answer\n{a}<|im_end|>",
    "<|inner_prefix|>{r}<|inner_suffix|>{a}",
    "[unused16]{r}[unused17]{a}",
    "<unused94>thought\n{r}<unused95>{a}",
    "Here is my thought process:\n{r}\nHere is my response:\n{a}",
    "<thinking>{r}<reflection>Hm.</reflection></thinking>\n<output>{a}</output>",
    "<think>{r}</think>\n<answer>\n{a}\n</answer>",
    "<thinking>{r}</think>{a}",
    "<think>{r} An <analysis> may help.</think>{a}",
    "<think>{r}\n```python\nx = 1\n</think>\n{a}",
    "<seed:think>{r}<seed:cot_budget_reflect>much</seed:cot_budget_reflect></seed:think>{a}",
    "&lt;think&gt;{r}&lt;/think&gt;{a}",
    '<details type="reasoning" done="true">\n{r}\n</details>\n{a}',
    "```thinking\n{r}\n```\n{a}",
    "<think>{r}</think>\n\n</think>\n{a}</s>",
    "{a}\n<think>\n{r}",
]
NEVER_CLOSED = [
    *(f"<{name}>{REASONING}" for name in NAMES),
    f"[THINK]{REASONING}",
    f"◁think▷{REASONING}",
    f"<|begin_of_thought|>{REASONING}",
    f"<|channel|>analysis<|message|>{REASONING}",
    f"<|channel|>analysis<|message|>{REASONING}<|end|><|start|>assistant<|channel|>commentary<|message|>More.",
    f"analysisWe need a height. {REASONING}",
    f"<|channel>thought\n{REASONING}",
]
MENTIONED = [
    "The <think> tag opens and </think> closes.",
    "Use `</think>` at the end, or `a <think> b`.",
    'He wrote "close it with </think> here" today.',
    "```xml\n<think>\nx\n</think>\n```",
    "Look:\n```\n<reasoning>\nx\n</reasoning>\n```\nSo it is.",
    '{"a": "[THINK]x[/THINK] ◁/think▷ <|end_of_thought|> </analysis>"}',
    '{"a": "<|channel|>final<|message|>x"}',
    "Use `<|channel|>final<|message|>` to end.",
    "`<|channel|>final<|message|>` ends it.",
    "The assistant final answer is 4.",
    "analysis of the data shows it",
    "Analysis: it is fine.",
    "See [analysis](http://x) now",
    "[Reasoning] is a heading here.",
    "Some <details>\nx\n</details> more",
    "x < think > y",
    "I <thinker> of it",
    "<answer>1</answer> and <answer>2</answer>",
]


@pytest.mark.parametrize("form", FORMS)
def test_reasoning_in_every_dialect_is_no_part_of_the_answer(form: str) -> None:
    assert strip_reasoning(form.replace("{{}}", "{}").replace("{r}", REASONING).replace("{a}", ANSWER)) == ANSWER


@pytest.mark.parametrize("form", FORMS)
def test_a_draft_in_the_reasoning_is_never_the_answer(form: str) -> None:
    class Height(BaseModel):
        metres: int

    text = form.replace("{{}}", "{}").replace("{r}", 'Perhaps {"metres": 41}?').replace("{a}", '{"metres": 30}')
    assert parse_reply(text, Height).metres == 30


@pytest.mark.parametrize("text", NEVER_CLOSED)
def test_reasoning_that_never_ends_is_no_answer(text: str) -> None:
    assert strip_reasoning(text) == ""


@pytest.mark.parametrize("text", MENTIONED)
def test_marks_that_an_answer_mentions_stay(text: str) -> None:
    assert strip_reasoning(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "<think>the tag </think> ends it</think>Thirty.",
        "<think>so</think>Write the </think> tag at the end.",
        "<think>so</think>Thirty.</think>",
        "<think>one </think> two</think> three</think>Thirty.",
        "[THINK]the mark [/THINK] ends it[/THINK]Thirty.",
        '<think>so </think> {"metres": 41} </think>Thirty.',
        '<think>so </think> {"metres": 41} </think>{"metres": 30}',
    ],
)
def test_where_it_is_unclear_which_mark_ends_the_reasoning_nothing_is_an_answer(text: str) -> None:
    assert strip_reasoning(text) == ""


def test_an_object_behind_the_last_of_several_closing_marks_is_the_answer() -> None:
    text = '<think>the tag </think> ends it</think>\n{"metres": 30}'
    assert strip_reasoning(text) == '{"metres": 30}'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Sure.\n <think>so</think>Thirty.", "Sure.\n Thirty."),  # behind any number of blanks
        ("Sure.\n  <think>so</think>Thirty.", "Sure.\n  Thirty."),
        ("Sure, <think>so</think>Thirty.", "Sure, <think>so</think>Thirty."),
        ("So <think/> it is.", "So <think/> it is."),
        ("<think/>Thirty.\n<think/>", "Thirty."),
        ("Thirty.\n<think> so", "Thirty.\n<think> so"),  # no line of its own
        ("Thirty.\n<think>\nso <analysis>x</analysis> it", "Thirty.\n it"),
    ],
)
def test_a_block_begins_where_its_mark_starts_a_line(text: str, left: str) -> None:
    assert strip_reasoning(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # What opened inside was only mentioned: a second closing mark of that name shuts nothing more.
        ("<think>a <analysis>b <reflection>c</reflection> d</reflection> e</think>Thirty.", "Thirty."),
        ("<think>a <think>b</think> c</think>Thirty.", "Thirty."),
        ("<|inner_prefix|>a <|channel>thought b<channel|> c<|inner_suffix|>Thirty.", "Thirty."),
        # One closing mark for each that was mentioned before it; the next one ends the reasoning.
        ("Use <think> and </think> here, so</think>Thirty.", "Thirty."),
        ("Use <think> or <thinking> and </think> here </thinking>, so</think>Thirty.", "Thirty."),
        ("so</think>Write <think> twice: </think>.", "Write <think> twice: </think>."),
        ("so</think>again</think>Thirty.", "Thirty."),
        ("<think>so</think>\n</think>\nThirty.", "Thirty."),
    ],
)
def test_a_closing_mark_shuts_what_was_opened_under_its_name(text: str, left: str) -> None:
    assert strip_reasoning(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # A block that only a quoted mark could end ends there.
        ("<think>so I write `</think>` here. Thirty.", "` here. Thirty."),
        ('<think>so I write "</think>" here\nThirty.', '" here\nThirty.'),
        # A closing mark on a line of its own ends the block, also within code that was opened in it.
        ("<think>so\n```\nx\n</think>\nWrite\n```\ny\n```\nand `</think>`.", "Write\n```\ny\n```\nand `</think>`."),
        ("<think>so\n```\nx </think> y\n```\n</think>Thirty.", "Thirty."),
        ("````\n```\n<think>x\n```\n</think>\n````", "````\n```\n<think>x\n```\n</think>\n````"),
        ("~~~\n```\n<think>\nx\n~~~", "~~~\n```\n<think>\nx\n~~~"),
    ],
)
def test_marks_in_code_and_quotes_are_mentioned_unless_they_end_a_line_of_reasoning(text: str, left: str) -> None:
    assert strip_reasoning(text) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<answer>Thirty.", "Thirty."),
        ("<answer>Thirty.</solution>", "<answer>Thirty.</solution>"),
        ("</answer>Thirty.", "</answer>Thirty."),
        ("<answer>Thirty.</answer> Yes.", "<answer>Thirty.</answer> Yes."),
        ("Thirty.<|im_end|>\n</s>", "Thirty."),
        ("```thinking\nso\n````\nThirty.", "```thinking\nso\n````\nThirty."),
        (
            "<|channel|>final<|message|>Forty.<|end|><|start|>assistant<|channel|>final<|message|>Thirty.<|return|>",
            "Thirty.",
        ),
    ],
)
def test_marks_around_a_whole_answer_and_at_its_end_are_taken_off(text: str, left: str) -> None:
    assert strip_reasoning(text) == left


def test_a_reply_of_as_many_marks_as_one_may_hold_and_one_more() -> None:
    block, fence = "<think>a</think>", "```\n"
    assert strip_reasoning(block * (MAX_MARKS // 2) + "Thirty.") == "Thirty."
    assert strip_reasoning(block * (MAX_MARKS // 2) + block + "Thirty.") == ""
    assert strip_reasoning(f"<think>\n{fence * MAX_MARKS}</think>Thirty.") == "Thirty."
    assert strip_reasoning(f"<think>\n{fence * (MAX_MARKS + 1)}</think>Thirty.") == ""
