"""What an endpoint refuses is found out once, by its words or by trying, and kept; nobody waits longer than for one."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from contextlib import AsyncExitStack
from typing import Any

import httpx
import openai
import pytest

from autodata.checkpoints.errors import CallFailed, EndpointDown
from autodata.checkpoints.ledger import MemoryLedger
from autodata.models.caller import Caller
from autodata.models.config import ModelSettings, RetryConfig
from autodata.models.dialect import Dialect
from autodata.models.factory import Pool, connect
from autodata.models.prompt_length import Prompts, counted, cut_short, least_tokens
from autodata.models.role_model import RoleModel
from tests.support.quirks import PROFILES, Answer, Profile, Quirky, in_process, openai_error, when
from tests.unit.scripted import SITE

REQUEST: Any = httpx.Request("POST", "http://endpoint.test/v1/chat/completions")
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"}]
SENT = {"seed", "temperature", "top_p", "max_tokens", "system"}


def refusal(body: Any, status: int = 400) -> openai.APIStatusError:
    response: Any = httpx.Response(status, json=body, request=REQUEST)
    return openai.BadRequestError("Error code: 400", response=response, body=body)


def words(message: str, **more: Any) -> openai.APIStatusError:
    return refusal(openai_error(message, **more))


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        (
            words("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'."),
            {"length": "max_completion_tokens"},
        ),
        (words("max_tokens is not supported", param="max_tokens"), {"length": "max_completion_tokens"}),
        (words("Unknown field: seed"), {"without": ("seed",)}),
        (words("`temperature` is deprecated for this model."), {"without": ("temperature",)}),
        (words("`temperature` may only be set to 1 when thinking is enabled."), {"without": ("temperature",)}),
        (words("temperature and top_p cannot both be specified"), {"without": ("top_p",)}),
        (words("bedrock does not support parameters: ['seed', 'top_p']"), {"without": ("seed", "top_p")}),
        (
            refusal({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}),
            {"without": ("seed",)},
        ),
        (refusal([openai_error('Unknown name "seed": Cannot find field.')]), {"without": ("seed",)}),
        (refusal({"error": json.dumps(openai_error("unknown parameter seed"))}), {"without": ("seed",)}),
        (words("System role not supported"), {"folded": True}),
        (words("Developer instruction is not enabled for this model"), {"folded": True}),
        (words("'messages[0].role' does not support 'system' with this model."), {"folded": True}),
        (words("'developer' is not one of ['system', 'assistant', 'user'] - 'messages.0.role'"), {"folded": True}),
        (
            refusal(
                {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user' or 'assistant'"}]}
            ),
            {"folded": True},
        ),
        (words("Conversation roles must alternate user/assistant"), {"folded": True, "merged": True}),
        (words("This model only support stream mode, please enable the stream parameter"), {"streamed": True}),
        (words("Your organization must be verified to stream this model."), {"streamed": False}),
    ],
)
def test_what_a_refusal_names_is_changed(error: Exception, changed: dict[str, Any]) -> None:
    assert Dialect().after(error, SENT) == Dialect(**changed)


@pytest.mark.parametrize(
    "error",
    [
        words("temperature must be between 0 and 1", param="temperature"),
        words("max_tokens is too large: 99999. This model supports at most 4096 completion tokens", param="max_tokens"),
        words("Unknown parameter 'top_k'. Supported parameters are: temperature, top_p, seed"),
        words("This response_format type is unavailable now"),
        words("no such model"),
        words("the temperature of the water in your text is fine"),
        words("Unknown field: seedling"),
        refusal(openai_error("Unknown field: seed"), 401),
        refusal(openai_error("Unknown field: seed"), 429),
    ],
)
def test_other_refusals_change_nothing(error: Exception) -> None:
    if getattr(error, "status_code", 400) == 400 and isinstance(error, openai.APIStatusError):
        error.status_code = error.response.status_code
    assert Dialect().after(error, SENT) is None


def test_what_was_not_sent_is_not_left_out() -> None:
    assert Dialect().after(words("Unknown field: seed"), SENT - {"seed"}) is None
    assert Dialect(folded=True).after(words("System role not supported"), SENT - {"system"}) is None


@pytest.mark.parametrize(
    "dialect",
    [
        Dialect(),
        Dialect(without=("seed", "temperature"), length="max_completion_tokens"),
        Dialect(folded=True, merged=True, streamed=False),
        Dialect(streamed=True),
    ],
)
def test_a_dialect_that_was_kept_is_the_same_again(dialect: Dialect) -> None:
    assert Dialect.of(json.loads(json.dumps(dialect.kept()))) == dialect
    assert Dialect.of({**dialect.kept(), "of_a_later_version": 1}) == dialect


def test_turns_are_folded_and_joined() -> None:
    turns = [*ASK, {"role": "user", "content": "And 3 + 3?"}]
    assert Dialect(folded=True, merged=True).turns(turns) == [
        {"role": "user", "content": "Be brief.\n\nWhat is 2 + 2?\n\nAnd 3 + 3?"}
    ]
    assert turns[0] == ASK[0]  # what is asked stays as it is: it is part of the call's identity


async def connected(
    stack: AsyncExitStack, server: Quirky, journal: MemoryLedger | None = None, **settings: Any
) -> tuple[Caller, RoleModel]:
    one = ModelSettings(model="m", base_url="http://endpoint.test/v1", **settings)
    model = (await connect({"solver": one}, stack, pool=Pool(clients=[in_process(server)])))["solver"]
    retries = RetryConfig(base_seconds=0, max_attempts=2)
    return Caller(MemoryLedger() if journal is None else journal, {"solver": model}, retries=retries), model


def sites(count: int) -> list[Any]:
    return [dataclasses.replace(SITE, index=str(n)) for n in range(count)]


async def test_what_is_found_out_costs_a_few_requests_however_many_are_under_way() -> None:
    server = Quirky(PROFILES["openai-o1-mini"])  # four things are refused, one after the other
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, server, temperature=0.5, top_p=0.9)
        await asyncio.gather(*(caller.text(site, ASK) for site in sites(12)))
        assert model.endpoint.found.dialect == Dialect(
            without=("top_p", "temperature"), length="max_completion_tokens", folded=True
        )
        assert server.refused <= 12 + 3  # those that were under way, and then one alone
        before = len(server.requests)
        await asyncio.gather(*(caller.text(site, ASK) for site in sites(40)[12:]))
        assert len(server.requests) == before + 28
        assert caller.budget.spent_calls == 40
    assert server.requests[-1].body["max_completion_tokens"] == 4096
    assert not {"max_tokens", "temperature", "top_p"} & server.requests[-1].body.keys()
    assert "seed" in server.requests[-1].body


async def test_nobody_waits_for_a_slow_first_reply_that_was_not_refused() -> None:
    """While the one that tries a new dialect has no reply yet, new calls go out, and none waits for it."""
    server, release, waiting = Quirky(PROFILES["gemini"]), asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, server)
        real = type(model)._ask
        slow = [True]

        async def ask(self: RoleModel, chat: Any, messages: Any, reported: Any, kwargs: Any) -> Any:
            if slow[0] and "seed" not in kwargs:
                slow[0] = False
                waiting.set()
                await release.wait()
            return await real(self, chat, messages, reported, kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RoleModel, "_ask", ask)
            first = asyncio.create_task(caller.text(SITE, ASK))
            await waiting.wait()
            await asyncio.gather(*(caller.text(site, ASK) for site in sites(20)[1:]))
            assert not first.done()
            release.set()
            await first
    assert server.refused == 1


async def test_a_resumed_run_neither_tries_nor_pays_again() -> None:
    journal, profile = MemoryLedger(), PROFILES["openai-o1-mini"]
    first, second = Quirky(profile), Quirky(profile)
    async with AsyncExitStack() as stack:
        caller, _ = await connected(stack, first, journal, temperature=0.5)
        paid = await caller.text(SITE, ASK)
    assert first.refused > 0
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, second, journal, temperature=0.5)
        model.endpoint.recall({row["key"]: row["value"] for row in journal.tables["meta"].values()})
        again = await caller.text(SITE, ASK)
        assert (again.text, again.replayed, second.requests) == (paid.text, True, [])
        await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    assert (len(second.requests), second.refused) == (1, 0)
    assert any("as an earlier session found out" in line for line in model.endpoint.found.reported)


async def test_the_key_of_a_call_does_not_know_what_was_found_out() -> None:
    keys = []
    for name in ("plain", "openai-o1-mini"):
        journal = MemoryLedger()
        async with AsyncExitStack() as stack:
            caller, _ = await connected(stack, Quirky(PROFILES[name]), journal, temperature=0.5)
            await caller.text(SITE, ASK)
        keys.append(next(iter(journal.tables["calls"].values()))["key"])
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    "kept", ["{", "[]", '{"dialect": 5}', '{"dialect": {"without": 7}}', '{"schema_formats": [1]}']
)
async def test_what_cannot_be_read_of_an_earlier_session_is_found_out_anew(kept: str) -> None:
    server = Quirky(PROFILES["gemini"])
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, server)
        model.endpoint.recall({"endpoint:m at http://endpoint.test/v1": kept})
        await caller.text(SITE, ASK)
    assert server.refused == 1


async def test_a_finding_is_reported_once_and_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "autodata"):
        async with AsyncExitStack() as stack:
            caller, _ = await connected(stack, Quirky(PROFILES["gemini"]))
            await asyncio.gather(*(caller.text(site, ASK) for site in sites(5)))
    reported = "m at http://endpoint.test/v1: seed is left out, for the server refuses it otherwise"
    assert [record.getMessage() for record in caplog.records].count(reported) == 1


async def test_a_refusal_without_a_word_is_found_out_by_trying() -> None:
    rule = when(lambda asked: "max_tokens" in asked.body, 400, "Bad Request")
    server = Quirky(Profile("wordless", "https://endpoint.test", (rule,)))
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, server, temperature=0.5)
        await asyncio.gather(*(caller.text(site, ASK) for site in sites(6)))
    assert model.endpoint.found.dialect == Dialect(length="max_completion_tokens")


@pytest.mark.parametrize("status", [400, 500])
async def test_a_system_text_that_fails_without_a_word_is_found_out_too(status: int) -> None:
    rule = when(lambda asked: asked.roles[0] == "system", status, "No")
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, Quirky(Profile("gemma", "https://endpoint.test", (rule,))))
        await asyncio.gather(*(caller.text(site, ASK) for site in sites(6)))
    assert model.endpoint.found.dialect == Dialect(folded=True)


async def test_an_outage_is_not_laid_to_the_system_text() -> None:
    server = Quirky(Profile("out", "https://endpoint.test", (when(lambda asked: asked.nth > 1, 500, "No"),)))
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, server)
        await caller.text(SITE, ASK)
        with pytest.raises(CallFailed, match="no reply in 2 attempts"):
            await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    assert (len(server.requests), model.endpoint.found.dialect) == (3, Dialect())


async def test_guesses_that_lead_nowhere_are_taken_back_and_the_first_words_said() -> None:
    server = Quirky(Profile("never", "https://endpoint.test", (lambda asked: Answer(400, "No, thanks"),)))
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, server, temperature=0.5, top_p=0.9)
        results = await asyncio.gather(*(caller.text(site, ASK) for site in sites(30)), return_exceptions=True)
    assert {type(result) for result in results} == {EndpointDown}
    assert "No, thanks" in str(results[0])
    assert model.endpoint.found.dialect == Dialect()
    assert len(server.requests) <= 16 + 6  # those under way, the trivial question, and it once a guess


async def test_a_guess_is_tried_alone() -> None:
    """A request that is refused while others' guesses are tried is not sent again in one of them."""
    server = Quirky(Profile("never", "https://endpoint.test", (lambda asked: Answer(400, "No, thanks"),)))
    release = asyncio.Event()
    real = RoleModel._ask
    held = [True]

    async def ask(self: RoleModel, chat: Any, messages: Any, reported: Any, kwargs: Any) -> Any:
        if held[0] and messages == ASK:  # the first request leaves, and its refusal comes when a guess is under way
            held[0] = False
            await release.wait()
        elif messages != ASK and "seed" not in kwargs:
            release.set()
            for _ in range(50):
                await asyncio.sleep(0)
        return await real(self, chat, messages, reported, kwargs)

    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, server, temperature=0.5, top_p=0.9)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RoleModel, "_ask", ask)
            results = await asyncio.gather(*(caller.text(site, ASK) for site in sites(2)), return_exceptions=True)
    assert {type(result) for result in results} == {EndpointDown}
    assert sum(asked.body["messages"] == ASK for asked in server.requests) == 2
    assert model.endpoint.found.dialect == Dialect()


async def test_a_request_that_a_known_endpoint_refuses_is_not_guessed_at() -> None:
    server = Quirky(Profile("late", "https://endpoint.test", (when(lambda asked: asked.nth > 1, 400, "No"),)))
    async with AsyncExitStack() as stack:
        caller, _ = await connected(stack, server)
        await caller.text(SITE, ASK)
        with pytest.raises(CallFailed, match="refused the request"):
            await caller.text(dataclasses.replace(SITE, index="1"), ASK)
    assert len(server.requests) == 2


LONG = "The mast log of Gull Point says this and that. " * 1100


@pytest.mark.parametrize(
    ("text", "tokens", "cut"),
    [
        (LONG, 2050, True),
        (LONG, 8192 - 1024, True),
        (LONG, 12_000, False),
        (LONG, None, False),
        ("short", 1, False),
        ("x" * 60_000, 7_500, False),
        ("- " * 30_000, 900, False),
        ("\n" * 60_000, 500, False),
        ("語" * 20_000, 9_000, False),
        ("Donaudampfschifffahrtsgesellschaft " * 1000, 5_000, False),
        ("1234 " * 5000, 2_000, True),
    ],
)
def test_a_count_that_no_tokenizer_comes_to_shows_a_cut(text: str, tokens: int | None, cut: bool) -> None:
    assert bool(cut_short(text, tokens)) is cut
    assert not cut or f"{least_tokens(text):,}" in cut_short(text, tokens)


def test_what_a_server_may_know_already_is_not_expected_in_its_count() -> None:
    prompts = Prompts()
    first = [{"role": "user", "content": LONG}]
    assert prompts.new_of(first) == LONG
    again = prompts.new_of([{"role": "user", "content": f"{LONG} And what else?"}])
    assert again.endswith("And what else?")
    assert len(again) < 1100
    assert prompts.new_of([{"role": "user", "content": f"Another. {LONG}"}]).startswith("Another.")


@pytest.mark.parametrize(
    ("prompt", "details", "tokens"),
    [
        (50, None, 50),
        (50, {"cached_tokens": 12_000}, 12_050),
        (50, {"cached_tokens": 0}, 50),
        (0, None, None),
    ],
)
async def test_what_a_server_had_in_its_cache_counts(prompt: int, details: Any, tokens: int | None) -> None:
    def count(asked: Any, completion: dict[str, Any]) -> dict[str, Any]:
        completion["usage"] |= {"prompt_tokens": prompt, "prompt_tokens_details": details}
        return completion

    async with AsyncExitStack() as stack:
        _, model = await connected(stack, Quirky(Profile("cache", "https://endpoint.test", change=count)))
        assert counted(await model.send(ASK, 7, None)) == tokens


async def test_a_reply_to_a_cut_prompt_is_no_answer_and_is_not_paid_for_twice() -> None:
    def count(asked: Any, completion: dict[str, Any]) -> dict[str, Any]:
        completion["usage"]["prompt_tokens"] = 2050
        return completion

    journal, server = MemoryLedger(), Quirky(Profile("ollama", "https://endpoint.test", change=count))
    async with AsyncExitStack() as stack:
        caller, model = await connected(stack, server, journal)
        asked = [{"role": "user", "content": LONG}]
        for _ in range(2):  # the second time from the journal, where what it says of a cut stands, too
            with pytest.raises(CallFailed, match="counted 2,050 tokens for a prompt that has at least 8,250") as failed:
                await caller.text(SITE, asked)
            assert failed.value.refused
        assert len(server.requests) == 1
        assert caller.budget.spent_calls == 1
        assert any("raise its context length" in line for line in model.endpoint.found.reported)
