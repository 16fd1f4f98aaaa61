"""Calls: paid for once, journalled before use, and repaired where a reply cannot be read."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel, Field, StringConstraints, create_model

from autodata.checkpoints.errors import CallFailed, Drained, UnusableReply
from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.call import CallSite
from autodata.models.caller import Reply
from autodata.models.coerce import ReplyModel
from autodata.models.markers import Advisory, Flag
from autodata.models.seeds import seed_for
from tests.unit.scripted import ASK, SITE, Script, Status, bench, calls, said

GOOD, BAD_SHAPE, NOT_JSON = '{"value": 3}', '{"value": "three"}', "I would rather not."


class Answer(BaseModel):
    value: int = Field(ge=0)


async def test_a_completed_call_is_replayed_and_never_paid_again() -> None:
    journal, heard = MemoryLedger(), list[CallSite]()
    first, chat = bench("Forty-two.", journal=journal, on_call=lambda site, reply: heard.append(site))
    reply = await first.text(SITE, ASK)
    again, silent = bench(
        AssertionError("asked again"), journal=journal, on_call=lambda site, reply: heard.append(site)
    )
    replayed = await again.text(SITE, ASK)
    assert replayed == dataclasses.replace(reply, replayed=True)
    assert (len(chat.asked), silent.asked, heard) == (1, [], [SITE])
    assert (again.budget.spent_calls, again.budget.spent_usd, again.budget.in_flight) == (0, 0.0, 0)


async def test_the_journal_holds_what_was_paid_for() -> None:
    journal = MemoryLedger()
    site = dataclasses.replace(SITE, index="weak/2", epoch=3, prompt_version="abc")
    await bench(GOOD, journal=journal)[0].parsed(site, ASK, Answer)
    (row,) = calls(journal)
    shown = {name: row[name] for name in ("thread_id", "document_id", "n", "node", "role", "idx", "try", "epoch")}
    assert shown == {
        "thread_id": "main/d",
        "document_id": "d",
        "n": 1,
        "node": "solver",
        "role": "solver",
        "idx": "weak/2",
        "try": 0,
        "epoch": 3,
    }
    assert (row["model"], row["prompt_version"], row["response"], row["finish_reason"]) == ("m", "abc", GOOD, "stop")
    assert (row["tokens_in"], row["tokens_out"], row["cost_usd"]) == (100, 10, pytest.approx(300e-6))
    assert row["latency_s"] >= 0


@pytest.mark.parametrize(
    ("changed", "new"),
    [
        ({"thread_id": "other/d"}, True),
        ({"n": 2}, True),
        ({"node": "accept"}, True),
        ({"index": "1"}, True),
        ({"epoch": 1}, False),  # a usable reply of an earlier epoch still counts
        ({"prompt_version": "new"}, False),  # the words themselves are what counts
    ],
)
async def test_what_makes_a_call_another_call(changed: dict[str, Any], new: bool) -> None:
    journal = MemoryLedger()
    await bench("Yes.", journal=journal)[0].text(SITE, ASK)
    caller, chat = bench("Yes.", journal=journal)
    await caller.text(dataclasses.replace(SITE, **changed), ASK)
    assert bool(chat.asked) is new


@pytest.mark.parametrize(
    ("settings", "new"),
    [
        ({"top_p": 0.5}, True),
        ({"max_tokens": 7}, True),
        ({"extra_body": {"top_k": 3}}, True),
        ({"timeout": 5}, False),
        ({"base_url": "http://elsewhere/v1"}, True),
        ({"provider": "another"}, True),
        ({"max_concurrency": 1}, False),
    ],
)
async def test_what_shapes_a_reply_belongs_to_its_identity(settings: dict[str, Any], new: bool) -> None:
    journal = MemoryLedger()
    await bench("Yes.", journal=journal)[0].text(SITE, ASK)
    caller, chat = bench("Yes.", journal=journal, settings=settings)
    await caller.text(SITE, ASK)
    assert bool(chat.asked) is new


async def test_the_key_of_a_call_never_changes() -> None:
    """A change of the key makes all that was ever paid for unknown: it needs a migration of the run folders."""
    journal = MemoryLedger()
    settings = {"base_url": "http://H.test:80/v1/", "max_tokens": 50}
    caller, _ = bench(GOOD, journal=journal, settings=settings, run_seed=7)
    await caller.parsed(dataclasses.replace(SITE, index="weak/0", epoch=0), ASK, Answer)
    (row,) = calls(journal)
    assert row["key"] == "4c0c3f57184a533b2700decba309a8da8712c039780b56b7927e65d87031d57d"


async def test_other_words_or_another_schema_are_another_call() -> None:
    class Other(Answer):
        pass

    caller, chat = bench(GOOD)
    await caller.parsed(SITE, ASK, Answer)
    await caller.parsed(SITE, ASK, Other)
    await caller.parsed(SITE, [{"role": "user", "content": "Again?"}], Answer)
    await caller.text(SITE, ASK)
    assert len(chat.asked) == 4


async def test_every_attempt_try_and_epoch_has_its_own_seed() -> None:
    caller, chat = bench(NOT_JSON, retries={"unusable_tries": 3})
    for changed in ({}, {"index": "1"}, {"n": 2}, {"document_id": "e", "thread_id": "main/e"}, {"epoch": 1}):
        with pytest.raises(UnusableReply):
            await caller.parsed(dataclasses.replace(SITE, **changed), ASK, Answer)
    assert len(chat.asked) == len(set(chat.seeds)) == 15
    assert all(0 <= seed < 2**31 for seed in chat.seeds)


async def test_seeds_follow_the_run_and_nothing_else() -> None:
    async def seed(site: CallSite = SITE, **options: Any) -> int:
        caller, chat = bench("Yes.", **options)
        await caller.text(site, ASK)
        return chat.seeds[0]

    one = await seed()
    assert one == await seed()
    assert one == await seed(dataclasses.replace(SITE, prompt_version="new", thread_id="optimiser/d"))
    assert len({one, await seed(run_seed=1), await seed(block=1)}) == 3


@pytest.mark.parametrize("parts", [(1, "a"), (1, "b"), ("1", "a"), (1, "a", ""), ("a", 1)])
def test_a_seed_depends_on_every_part(parts: tuple[object, ...]) -> None:
    assert (seed_for(*parts) == seed_for(1, "a")) is (parts == (1, "a"))


async def test_a_repair_turn_shows_the_reply_and_the_error() -> None:
    caller, chat = bench(f"<think>hm</think>{BAD_SHAPE}", GOOD)
    answer, reply = await caller.parsed(SITE, ASK, Answer)
    assert (answer.value, reply.text) == (3, GOOD)
    (question, shown, complaint) = chat.asked[1][0]
    assert (question, shown) == (ASK[0]["content"], BAD_SHAPE)
    assert "value: Input should be a valid integer" in complaint
    assert '"title":"Answer"' in complaint


@pytest.mark.parametrize(
    ("script", "turns", "shape"),
    [
        ((NOT_JSON,), [1, 3, 3, 3], False),
        ((BAD_SHAPE,), [1, 3, 3, 3], True),
        (('{"error": {"message": "overloaded"}}',), [1, 3, 3, 3], False),
        ((NOT_JSON, NOT_JSON, NOT_JSON, BAD_SHAPE), [1, 3, 3, 3], True),
        ((BAD_SHAPE, BAD_SHAPE, BAD_SHAPE, NOT_JSON), [1, 3, 3, 3], False),
        (("",), [1, 1, 1, 1], False),
        ((said('{"value": 3', "length"),), [1, 1, 1, 1], False),  # what was cut off is not shown again
    ],
)
async def test_a_reply_that_cannot_be_read_is_given_up(script: Sequence[Script], turns: list[int], shape: bool) -> None:
    caller, chat = bench(*script)
    with pytest.raises(UnusableReply, match=r"^solver: no usable reply: ") as raised:
        await caller.parsed(SITE, ASK, Answer)
    assert raised.value.shape is shape
    assert [len(messages) for messages, _ in chat.asked] == turns
    assert len({tuple(messages) for messages, _ in chat.asked}) == 4  # at temperature 0 the same request is wasted
    assert caller.budget.spent_calls == 4  # they were paid for all the same


async def test_every_further_try_repairs_the_latest_reply_alone() -> None:
    caller, chat = bench(NOT_JSON, BAD_SHAPE, said('{"value": 31', "length"), GOOD)
    await caller.parsed(SITE, ASK, Answer)
    asked = [messages for messages, _ in chat.asked]
    assert [messages[:2] for messages in asked[1:3]] == [[ASK[0]["content"], NOT_JSON], [ASK[0]["content"], BAD_SHAPE]]
    (cut,) = asked[3]
    assert cut.startswith(ASK[0]["content"])
    assert "be brief" in cut
    assert '{"value": 31' not in cut


async def test_a_verdict_on_the_shape_is_not_asked_for_again_in_a_later_epoch() -> None:
    journal = MemoryLedger()
    paid: list[int] = []
    for epoch in (0, 0, 1, 1, 2):
        caller, _ = bench(BAD_SHAPE, journal=journal)
        with pytest.raises(UnusableReply) as raised:
            await caller.parsed(dataclasses.replace(SITE, epoch=epoch), ASK, Answer, shape_is_verdict=True)
        assert raised.value.shape
        paid.append(len(calls(journal)))
    assert paid == [4] * 5
    caller, chat = bench(GOOD, journal=journal)
    await caller.parsed(dataclasses.replace(SITE, epoch=1), ASK, Answer)
    assert len(chat.asked) == 1  # a judge is asked again


@pytest.mark.parametrize("script", [(NOT_JSON,), (BAD_SHAPE, BAD_SHAPE, BAD_SHAPE, NOT_JSON), (BAD_SHAPE, Status(400))])
async def test_what_is_no_verdict_is_asked_for_again_in_a_later_epoch(script: Sequence[Script]) -> None:
    journal = MemoryLedger()
    caller, _ = bench(*script, journal=journal)
    with pytest.raises((UnusableReply, CallFailed)):
        await caller.parsed(SITE, ASK, Answer, shape_is_verdict=True)
    caller, chat = bench(GOOD, journal=journal)
    await caller.parsed(dataclasses.replace(SITE, epoch=1), ASK, Answer, shape_is_verdict=True)
    assert len(chat.asked) == 1


class Proved(ReplyModel):
    verdict: Annotated[bool, Flag()]
    proof: Annotated[str, Advisory(9), StringConstraints(min_length=1)]


class Bare(ReplyModel):
    verdict: Annotated[bool, Flag()]


Proved.second_best = Bare
FOR, AGAINST, PROVED = '{"verdict": true}', '{"verdict": false}', '{"verdict": false, "proof": "so"}'


@pytest.mark.parametrize(
    ("script", "verdict", "proof", "asked"),
    [
        ([PROVED], False, True, 1),
        ([FOR, PROVED], False, True, 2),
        ([FOR, FOR, PROVED], True, False, 2),
        ([FOR, NOT_JSON, FOR, PROVED], True, False, 3),
        ([FOR, AGAINST, PROVED], False, True, 3),
        ([FOR, AGAINST, FOR, AGAINST], False, False, 4),
        ([AGAINST, FOR, NOT_JSON, NOT_JSON], True, False, 4),
        ([NOT_JSON, NOT_JSON, NOT_JSON, FOR], True, False, 4),
    ],
)
async def test_a_verdict_without_proof_counts_once_repeated_or_when_tries_are_used_up(
    script: Sequence[Script], verdict: bool, proof: bool, asked: int
) -> None:
    caller, chat = bench(*script)
    found, _ = await caller.parsed(SITE, ASK, Proved)
    assert (found.verdict, isinstance(found, Proved), len(chat.asked)) == (verdict, proof, asked)
    again, _ = await caller.parsed(SITE, ASK, Proved)
    assert (again, len(chat.asked)) == (found, asked)


async def test_a_journal_that_ended_without_proof_is_read_anew_for_nothing() -> None:
    caller, chat = bench(FOR, AGAINST, FOR, AGAINST)
    strict = create_model("Proved", __base__=Proved)
    strict.second_best = None
    with pytest.raises(UnusableReply):
        await caller.parsed(SITE, ASK, strict)
    found, _ = await caller.parsed(dataclasses.replace(SITE, epoch=1), ASK, Proved)
    assert (found.verdict, len(chat.asked)) == (False, 4)


async def test_draining_replays_but_sends_nothing() -> None:
    journal = MemoryLedger()
    await bench("Yes.", journal=journal)[0].text(SITE, ASK)
    caller, chat = bench(AssertionError("asked again"), journal=journal)
    caller.drain()
    assert (await caller.text(SITE, ASK)).replayed
    with pytest.raises(Drained):
        await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    assert (chat.asked, caller.budget.in_flight) == ([], 0)


async def test_draining_waits_for_the_request_in_flight_and_starts_no_new_try() -> None:
    journal = MemoryLedger()
    caller, chat = bench(BAD_SHAPE, GOOD, journal=journal)
    task = asyncio.create_task(caller.parsed(SITE, ASK, Answer))
    for _ in range(100):
        await asyncio.sleep(0)
        if chat.asked:
            break
    caller.drain()
    with pytest.raises(Drained):
        await task
    assert [row["response"] for row in calls(journal)] == [BAD_SHAPE]
    assert (len(chat.asked), caller.budget.spent_calls, caller.budget.in_flight) == (1, 1, 0)


@pytest.mark.parametrize("tries", [2, 3, 5])
async def test_the_number_of_tries_is_a_setting(tries: int) -> None:
    caller, chat = bench(NOT_JSON, retries={"unusable_tries": tries})
    with pytest.raises(UnusableReply):
        await caller.parsed(SITE, ASK, Answer)
    assert len(chat.asked) == tries


@pytest.mark.parametrize(
    ("first", "answer", "asked"),
    [
        ("", "Later.", 2),
        ("  \n", "Later.", 2),
        ("<think>only this</think>", "Later.", 2),
        (said("", "error"), "Later.", 2),
        (said("", "length"), "", 1),
        (said("<think>and on and on", "length"), "", 1),
        (said("Half an ans", "length"), "Half an ans", 1),
        ("Now.", "Now.", 1),
    ],
)
async def test_an_empty_reply_is_asked_for_again_unless_it_was_cut_off(first: Script, answer: str, asked: int) -> None:
    caller, chat = bench(first, "Later.")
    reply = await caller.text(SITE, ASK)
    assert (reply.answer, len(chat.asked)) == (answer, asked)
    assert all(messages == [ASK[0]["content"]] for messages, _ in chat.asked)


async def test_replies_that_are_all_empty_are_no_answer() -> None:
    caller, chat = bench("")
    with pytest.raises(UnusableReply, match="the reply was empty") as raised:
        await caller.text(SITE, ASK)
    assert (raised.value.shape, len(set(chat.seeds))) == (False, 4)


async def test_a_later_epoch_reuses_usable_replies_and_pays_only_for_its_own() -> None:
    journal = MemoryLedger()
    caller, chat = bench(NOT_JSON, BAD_SHAPE, NOT_JSON, Status(400), journal=journal)
    with pytest.raises(CallFailed):
        await caller.parsed(SITE, ASK, Answer)
    assert len(calls(journal)) == 3

    caller, chat = bench(BAD_SHAPE, GOOD, journal=journal)
    answer, _ = await caller.parsed(dataclasses.replace(SITE, epoch=1), ASK, Answer)
    assert (answer.value, len(chat.asked)) == (3, 2)  # the fourth try of epoch 0 is not made up for
    assert [(row["epoch"], row["try"]) for row in calls(journal)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert len(chat.asked[0][0]) == 1  # a new epoch starts afresh, not with a repair

    caller, chat = bench(AssertionError("asked again"), journal=journal)
    answer, reply = await caller.parsed(dataclasses.replace(SITE, epoch=5), ASK, Answer)
    assert (answer.value, reply.replayed, chat.asked) == (3, True, [])


async def test_a_reply_is_durable_before_anybody_sees_it() -> None:
    order: list[str] = []

    class Slow(MemoryLedger):
        async def save(self, **tables: Any) -> None:
            await asyncio.sleep(0)
            order.append("saved")
            await super().save(**tables)

    caller, _ = bench("Yes.", journal=Slow(), on_call=lambda site, reply: order.append("reported"))
    await caller.text(SITE, ASK)
    assert order == ["saved", "reported"]


async def test_a_reply_that_cannot_be_stored_is_not_used() -> None:
    class Full(MemoryLedger):
        async def save(self, **tables: Any) -> None:
            raise OSError("no space left on device")

    heard: list[Reply] = []
    caller, chat = bench("Yes.", journal=Full(), on_call=lambda site, reply: heard.append(reply))
    with pytest.raises(OSError, match="no space left"):
        await caller.text(SITE, ASK)
    assert (heard, len(chat.asked)) == ([], 1)  # the request itself succeeded: it is not made again
    assert (caller.budget.spent_calls, caller.budget.in_flight) == (1, 0)


@pytest.mark.parametrize(
    ("metadata", "finish", "truncated"),
    [
        ({"finish_reason": "stop"}, "stop", False),
        ({"finish_reason": "length"}, "length", True),
        ({"finish_reason": "MAX_TOKENS"}, "MAX_TOKENS", True),
        ({"stop_reason": "max_tokens"}, "max_tokens", True),
        ({"stopReason": "end_turn"}, "end_turn", False),
        ({"done_reason": "length"}, "length", True),
        ({"finish_reason": None}, "stop", False),
        ({}, "stop", False),
    ],
)
async def test_finish_reasons_of_several_providers(metadata: dict[str, Any], finish: str, truncated: bool) -> None:
    caller, _ = bench(AIMessage("Yes.", response_metadata=metadata))
    reply = await caller.text(SITE, ASK)
    assert (reply.finish_reason, reply.truncated) == (finish, truncated)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "in "}, {"type": "text", "text": "blocks"}], "in blocks"),
        ([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "said"}], "said"),
        ("half a pair \ud83d", "half a pair ?"),  # could be neither stored nor hashed
    ],
)
async def test_a_reply_is_plain_text_that_can_be_stored(content: Any, text: str) -> None:
    caller, _ = bench(AIMessage(content))
    reply = await caller.text(SITE, ASK)
    assert type(reply.text) is str
    assert reply.text.encode().decode() == text
