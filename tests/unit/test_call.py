"""A call by itself: what is true before a request has left, its keys in the journal, and what a tracer sees."""

from __future__ import annotations

import dataclasses
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from autodata.checkpoints.ids import canonical_json, digest_of_json
from autodata.checkpoints.ledger import MemoryLedger
from autodata.checkpoints.usage import Usage
from autodata.models.call import Call, replayed
from autodata.models.config import ModelSettings
from autodata.models.endpoint import Endpoint
from autodata.models.reply import Reply
from autodata.models.role_model import RoleModel
from tests.unit.scripted import ASK, SITE, Scripted, bench, calls, usage

MOST = Usage(8, 4096, 0.5)


def call(**settings: Any) -> Call:
    model = RoleModel(ModelSettings(model="m", **settings), Scripted(script=[]), Endpoint("m", 1))
    return Call(dataclasses.replace(SITE, index="weak/2", epoch=3, prompt_version="v"), model, ASK, None, 7, 1, 2)


def test_of_a_call_that_waits_nothing_was_sent() -> None:
    waiting = call()
    assert (waiting.requests, waiting.unanswered, waiting.in_flight, waiting.held) == (0, 0, False, "")
    waiting.sent()
    assert waiting.in_flight


def test_where_a_call_stands_cannot_change() -> None:
    site: Any = SITE
    with pytest.raises(FrozenInstanceError):
        site.n = 2


def test_the_key_of_folders_before_schema_4_holds_no_server_and_never_changes() -> None:
    old = "c2b7ddde7114daa664379a3c88368c3daac58d23b289a2f5fa380043f656bbfb"
    assert [call(**server).key_of_version_3 for server in ({}, {"base_url": "http://h.test/v1"})] == [old, old]
    assert call().key == "0b6cdb6f2354dbe53901c831f588ab263a950c0f287ed0646890e40f105bb61b"


def test_a_tracer_sees_where_a_call_stands_and_no_text() -> None:
    traced = call()
    assert traced.metadata == {
        "thread": "main/d",
        "document_id": "d",
        "round": 1,
        "node": "solver",
        "role": "solver",
        "attempt": "weak/2",
        "try": 1,
        "epoch": 2,
        "role_prompt_version": "v",
        "call_key": traced.key,
    }


def test_what_the_journal_keeps_of_a_call_holds_the_hash_of_its_messages() -> None:
    paid = call().paid(Reply("Yes.", "stop", 8, 2, 0.1), MOST, 1.5)
    assert paid.messages_hash == digest_of_json(canonical_json(ASK), 64)
    assert (len(paid.messages_hash), paid.number, paid.epoch, paid.seconds) == (64, 1, 2, 1.5)
    assert (paid.charged, paid.reported) == (MOST, Reply("Yes.", "stop", 8, 2, 0.1).usage)


def test_requests_without_a_reply_have_an_id_each() -> None:
    asked = call()
    lost = [asked.without_reply("timeout", MOST) for _ in range(2)]
    assert lost[0].request_id != lost[1].request_id
    assert [len(one.request_id) for one in lost] == [64, 64]
    assert {(one.call_key, one.document_id, one.model, one.cause, one.most) for one in lost} == {
        (asked.key, "d", "m", "timeout", MOST)
    }


async def test_a_reply_from_the_journal_is_marked_so_and_holds_every_count() -> None:
    reported = usage(100, 10) | {"input_token_details": {"cache_read": 60}, "output_token_details": {"reasoning": 7}}
    journal = MemoryLedger()
    reply = await bench(AIMessage("Yes.", usage_metadata=reported), journal=journal)[0].text(SITE, ASK)
    (row,) = calls(journal)
    assert replayed(row) == dataclasses.replace(reply, replayed=True)
