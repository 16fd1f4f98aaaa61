"""How a reply ended: only known good endings are answers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, SecretStr

from autodata.checkpoints.errors import CallFailed, EndpointDown
from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.endings import ending_of
from autodata.models.openai_library import StockChat as _Chat
from tests.unit.scripted import ASK, SITE, bench, calls, said

WHOLE = [
    "",
    None,
    "stop",
    "STOP",
    "FinishReason.STOP",
    "FINISH_REASON_STOP",
    "end_turn",
    "endTurn",
    "stop_sequence",
    "eos",
]
CUT = [
    "length",
    "max_tokens",
    "MAX_TOKENS",
    "model_length",
    "model_context_window_exceeded",
    "maxTokens",
    "REASON_MAX_LEN",
]
REFUSED = ["content_filter", "content-filter", "SAFETY", "sensitive", "refusal", "guardrail_intervened", "RECITATION"]
FAILED = [
    *("error", "abort", "network_error", "insufficient_system_resource", "tool_calls", "function_call", "cancelled"),
    *("timeout", "load", "unknown", "OTHER", "pause_turn", "a word of next year", "error: upstream went away"),
]


class Answer(BaseModel):
    value: int


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        *((reason, "whole") for reason in WHOLE),
        *((reason, "cut") for reason in CUT),
        *((reason, "refused") for reason in REFUSED),
        *((reason, "failed") for reason in FAILED),
    ],
)
def test_every_ending_is_one_of_four(reason: str | None, ending: str) -> None:
    assert ending_of(reason) == ending


@pytest.mark.parametrize("reason", FAILED)
async def test_a_reply_that_failed_is_asked_for_again(reason: str) -> None:
    caller, chat = bench(said("Half an ans", reason), "Whole.")
    reply = await caller.text(SITE, ASK)
    assert (reply.answer, len(chat.asked), len(set(chat.seeds))) == ("Whole.", 2, 2)
    assert all(messages == [ASK[0]["content"]] for messages, _ in chat.asked)


async def test_a_structured_reply_that_failed_is_asked_for_as_it_was() -> None:
    caller, chat = bench("not JSON", said('{"value": 1}', "error"), '{"value": 2}')
    answer, _ = await caller.parsed(SITE, ASK, Answer)
    assert answer.value == 2
    assert [len(messages) for messages, _ in chat.asked] == [1, 3, 3]


async def test_replies_that_all_failed_are_paid_for_once_and_error_the_document() -> None:
    journal = MemoryLedger()
    for _ in range(2):  # the same epoch replays them
        caller, chat = bench(said("Half", "error"), journal=journal)
        with pytest.raises(CallFailed, match="ended with 'error'") as raised:
            await caller.text(SITE, ASK)
        assert not raised.value.refused
        assert len(calls(journal)) == 4
    assert (len(chat.asked), caller.budget.spent_calls) == (0, 0)
    caller, chat = bench("Whole.", journal=journal)
    assert (await caller.text(dataclasses.replace(SITE, epoch=1), ASK)).answer == "Whole."
    assert len(chat.asked) == 1


@pytest.mark.parametrize("reason", REFUSED)
async def test_a_refused_request_is_not_asked_again_before_a_later_epoch(reason: str) -> None:
    journal = MemoryLedger()
    caller, chat = bench(said("", reason), journal=journal)
    with pytest.raises(CallFailed) as raised:
        await caller.text(SITE, ASK)
    assert (raised.value.refused, len(chat.asked), caller.budget.spent_calls) == (True, 1, 1)
    caller, chat = bench("Whole.", journal=journal)
    assert (await caller.text(dataclasses.replace(SITE, epoch=1), ASK)).answer == "Whole."


async def test_a_row_of_failed_replies_gives_the_endpoint_up() -> None:
    caller, _ = bench(said("Half", "error"), retries={"pause_after": 2})
    with pytest.raises(CallFailed):
        await caller.text(SITE, ASK)
    with pytest.raises(EndpointDown, match="2 calls in a row failed"):
        await caller.text(dataclasses.replace(SITE, index="1"), ASK)


async def test_an_endpoint_that_fails_is_not_seen_to_answer_the_trivial_question() -> None:
    journal = MemoryLedger()
    caller, _ = bench(said("4", "error"), journal=journal)
    with pytest.raises(CallFailed):
        await caller.answers(SITE)
    assert not await caller.answers(SITE, may_pay=False)


async def test_a_refusal_beside_an_empty_reply_is_one() -> None:
    caller, chat = bench(AIMessage("", additional_kwargs={"refusal": "I cannot help."}))
    with pytest.raises(CallFailed, match="I cannot help") as raised:
        await caller.text(SITE, ASK)
    assert (raised.value.refused, len(chat.asked)) == (True, 1)


@pytest.mark.parametrize("finish", ["error", "stop", None])
async def test_what_a_gateway_says_beside_a_choice_is_reported(finish: str | None) -> None:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": "Half"}}
    body: dict[str, Any] = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    body["choices"] = [{**choice, "error": {"code": 502, "message": "upstream went away"}}]
    chat = _Chat(model="m", api_key=SecretStr("none"))
    result = chat._create_chat_result(ChatCompletion.model_construct(None, **body))
    (one,) = result.generations
    assert isinstance(one.message, AIMessage)
    message = AIMessage(one.text, response_metadata=one.generation_info or {})
    caller, _ = bench(message)
    with pytest.raises(CallFailed, match="upstream went away"):
        await caller.text(SITE, ASK)
