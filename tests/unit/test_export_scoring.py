"""The scorer that goes into exports scores as the run's own judge and code do."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.corpus.exporters.templates import scoring
from autodata.domains.acceptance.rubric_score import one_line, rubric_score
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.prompts import fence

PROMPT = {"system": "", "user": "{{context}} {{question}} {{criteria}} {{answer}} {{schema}}", "limits": {}}
WEIGHTS = st.lists(st.integers(-10, 10).filter(bool), min_size=1, max_size=12).filter(lambda all_: max(all_) > 0)


def row(weights: list[int], **changes: Any) -> dict[str, Any]:
    items = [{"criterion": f"names {n}", "weight": weight} for n, weight in enumerate(weights)]
    return {"question": "Why?", "context": "", "reference_answer": "", "rubric": json.dumps(items), **changes}


def reply(met: list[bool]) -> str:
    return json.dumps({"marks": [{"number": n, "reason": "", "met": one} for n, one in enumerate(met, 1)]})


@given(WEIGHTS, st.data())
def test_a_score_is_that_of_the_run(weights: list[int], data: st.DataObject) -> None:
    met = data.draw(st.lists(st.booleans(), min_size=len(weights), max_size=len(weights)))
    assert scoring.read(row(weights), reply(met)) == pytest.approx(float(rubric_score(weights, met)))


@given(st.text(max_size=60) | st.from_regex(r"(Criterion )?\d{1,2}[.)] ?\w{1,5}", fullmatch=True))
def test_criteria_and_fences_are_those_of_the_run(text: str) -> None:
    assert scoring.one_line(text) == one_line(text)
    opened = scoring.fence("answer", text).splitlines()[0]
    assert opened.startswith("<answer-")
    assert len(opened) == len(fence("answer", "x").splitlines()[0])
    assert f"</{opened[1:]}" not in text


@pytest.mark.parametrize(
    "said",
    [
        "",
        "no object",
        "[]",
        '{"marks": 3}',
        '{"marks": [3, 4]}',
        reply([True]),
        reply([True, True, True]),
        '{"marks": [{"number": 1, "met": true}, {"number": 1, "met": true}]}',
        '{"marks": [{"number": 1, "met": true}, {"number": 2, "met": "yes"}]}',
        '{"marks": [{"number": 0, "met": true}, {"number": 1, "met": true}]}',
        "<think>" + reply([True, True]),
        '{"a":' * 5_000,
        '{"marks": [{"number": [1], "met": true}, {"number": {}, "met": true}]}',
        reply([True, True]) + ' No: {"marks": [{"number": 1, "met": fal',
        '{"a": 1} ' * 5_000 + reply([True, True]),
    ],
)
def test_a_reply_that_says_nothing_is_no_score(said: str) -> None:
    with pytest.raises(scoring.Unreadable):
        scoring.read(row([1, 2]), said)


def test_a_draft_and_reasoning_before_the_last_object_do_not_count() -> None:
    said = (
        f"<think>{reply([True, True])}</think> First {reply([False, False])}, no: ```json\n{reply([True, False])}\n```"
    )
    assert scoring.read(row([1, 3]), said) == 0.25


def test_numbers_may_be_texts() -> None:
    said = '{"marks": [{"number": "2", "met": true}, {"number": "1", "met": false}]}'
    assert scoring.read(row([1, 3]), said) == 0.75


@pytest.mark.parametrize(
    "text",
    ["<think>a</think>B", "[THINK]a[/THINK]B", "<thought>a</thought> B", "<seed:think>a</seed:think>B", "a</think>\nB"],
)
def test_reasoning_of_other_dialects_is_no_part_of_an_answer(text: str) -> None:
    assert scoring.final_answer(text) == "B"
    assert scoring.final_answer("[THINK]a") == scoring.final_answer("<thought>a") == ""


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think>The tag </think> ends it.", ""),
        ("<think>it says </think> here</think>B", ""),
        ("<think>a</think> <think>b</think>B", "B"),
        ("<think>a</think></think>B", "B"),
        ("it says </think> here</think>B", "B"),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>A<|channel|>final<|message|>B", "B"),
    ],
)
def test_reasoning_that_seems_to_close_twice_leaves_nothing_to_score(text: str, answer: str) -> None:
    assert scoring.final_answer(text) == answer


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(None, 2.0), ("3", 3.0), ("soon", 2.0), ("inf", 60.0), ("-1", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_an_endpoint_may_say_when_to_come_back_in_any_form(said: str | None, seconds: float) -> None:
    assert scoring._wait(said) == seconds


COMPLETION = '{"choices": [{"message": {"content": "yes"}}]}'
NO_COMPLETION = ["<html>busy</html>", "", "[]", "null", '{"error": "busy"}', '{"choices": []}', '{"choices": [null]}']


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[float]]:
    """Stand in for the endpoint: what it answers, in turn, and the waits between; no socket is opened."""
    answers: list[str] = []
    waits: list[float] = []
    monkeypatch.setenv("AUTODATA_JUDGE_URL", "http://judge.test/v1")
    monkeypatch.setenv("AUTODATA_JUDGE_MODEL", "m")
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(answers.pop(0).encode()))
    monkeypatch.setattr("time.sleep", waits.append)
    return answers, waits


@pytest.mark.parametrize("body", NO_COMPLETION)
def test_an_answer_that_is_no_chat_completion_is_asked_for_again(
    body: str, asked: tuple[list[str], list[float]]
) -> None:
    answers, waits = asked
    answers += [body, body, COMPLETION]
    assert scoring.endpoint([]) == "yes"
    assert waits == [2.0, 2.0]


@pytest.mark.parametrize("body", NO_COMPLETION)
def test_an_endpoint_without_any_chat_completion_is_dead_and_no_score(
    body: str, asked: tuple[list[str], list[float]]
) -> None:
    answers, _ = asked
    answers += [body] * scoring.TRIES
    with pytest.raises(OSError, match="no chat completion"):
        scoring.endpoint([])
    assert answers == []


def test_a_reference_is_marked_right_or_wrong() -> None:
    plain = row([], reference_answer="1997")
    assert scoring.read(plain, '{"reference_says": "1997", "answer_says": "1997", "correct": true}') == 1.0
    assert scoring.read(plain, '{"correct": false}') == 0.0
    with pytest.raises(scoring.Unreadable):
        scoring.read(plain, '{"correct": 1}')
    assert scoring.by_code(plain, " 1997 ", PROMPT) == 1.0
    assert scoring.by_code(plain, "It was not 1995 but 1997.", PROMPT) is None


@pytest.mark.parametrize(
    ("said", "score"), [("true", 1.0), ("No.", 0.0), ("**True**", 1.0), ('{"correct": false}', 0.0), ("maybe", None)]
)
def test_a_verdict_alone_may_be_one_word_where_the_prompt_asks_for_no_more(said: str, score: float | None) -> None:
    plain, alone = row([], reference_answer="1997"), {**PROMPT, "verdict_alone": True}
    assert scoring.schema(plain, alone)["properties"].keys() == {"correct"}
    if score is None:
        with pytest.raises(scoring.Unreadable):
            scoring.read(plain, said, alone)
    else:
        assert scoring.read(plain, said, alone) == score
    with pytest.raises(scoring.Unreadable):
        scoring.read(plain, "true", PROMPT)
    with pytest.raises(scoring.Unreadable):
        scoring.read(row([1]), "true", alone)


@pytest.mark.parametrize(("answer", "score"), [("\\boxed{\\frac12}", 1.0), ("\\boxed{\\frac13}", 0.0)])
def test_exact_answers_are_compared_as_the_run_does(answer: str, score: float) -> None:
    problem = row([], question="What is half of one?", reference_answer="1/2")
    kind = TASK_TYPES["verifiable"]
    own = kind.scored_by_code(kind.candidate({**problem, "rubric": []}), answer)
    assert own is not None
    assert scoring.by_code(problem, answer, {**PROMPT, "verifiable": True}) == float(own.score) == score


def test_an_answer_is_scored_whatever_the_judge_slips_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "judge_prompt", lambda: PROMPT)
    asked: list[Any] = []

    def judge(messages: Any) -> str:
        asked.append(messages)
        return "" if len(asked) == 1 else reply([True, False])

    assert scoring.score(row([1, 1]), "<think>{{question}}</think>An answer. {{criteria}}", judge) == 0.5
    assert len(asked) == 2
    (message,) = asked[0]
    assert "An answer. {{criteria}}" in message["content"], "what is inserted is no template"
    assert "{{question}}" not in message["content"], "reasoning is no part of an answer"
    assert scoring.score(row([1]), "<think>never closed", judge) == 0.0
    assert scoring.score(row([1]), "x", lambda messages: "nothing") is None
    assert scoring.scores([row([1, 1])] * 3, ["a", "", "b"], judge) == [0.5, 0.0, 0.5]


def test_what_is_asked_fits_the_prompt_of_the_run() -> None:
    found = scoring.messages(
        row([1, 2], context="C"), "A", {**PROMPT, "system": "S {{items_max}}", "limits": {"items_max": 9}}
    )
    assert [one["role"] for one in found] == ["system", "user"]
    assert found[0]["content"] == "S 9"
    assert "1. names 0\n2. names 1" in found[1]["content"]
