"""How a provider is reached: addresses, keys, headers, and what is said of each when it is wrong; waits and quotas."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import httpx
import openai
import pytest

from autodata.checkpoints.errors import UserError
from autodata.domains.domain import CS, FACTS
from autodata.models.config import ModelSettings
from autodata.models.factory import Pool, connect, require_keys
from autodata.models.faults import classify
from autodata.models.slots import address_of
from autodata.nodes.solver_modes import cautions, solvers_alike
from autodata.runner.config import RunConfig, read_config
from autodata.tracing.redact import Redactor
from tests.support.quirks import PROFILES, Quirky, in_process

REQUEST: Any = httpx.Request("POST", "http://endpoint.test/v1/chat/completions")
AZURE = {"base_url": "https://name.openai.azure.com", "azure": {"deployment": "mine"}}
ASK = [{"role": "user", "content": "What is 2 + 2?"}]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            'base_url = "https://h.test/v1/chat/completions"',
            "/chat/completions is added to an address: write https://h.test/v1",
        ),
        ('base_url = "https://h.test/v1/chat/completions/"', "write https://h.test/v1"),
        ('base_url = "https://h.test/v1/responses"', "write https://h.test/v1"),
        ('base_url = "https://h.test/v1?api-version=1"', "other fields in query"),
        ('headers = { Authorization = "Bearer sk-1" }', "looks like a secret"),
        ('headers = { x-api-key = "sk-1" }', "looks like a secret"),
        ('headers = { "a b" = "1" }', "is no name of a header"),
        ('headers = { a = "one\\ntwo" }', "line break"),
        ('query = { api_key = "1" }', "looks like a secret"),
        ('query = { key = "1" }', "looks like a secret"),
        ('base_url = "https://n.test/openai/v1"\nazure = {}', "leave out /openai"),
        ('azure = { endpoint = "n.test" }', "azure.endpoint"),
        ('provider = "ollama"\nazure = {}', "goes with provider 'openai'"),
    ],
)
def test_a_setting_that_is_wrong_is_named_in_one_line(line: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        read_config(f'[models.default]\nmodel = "m"\n{line}\n', "a.toml")
    assert said in str(refused.value)
    assert "models.default" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_space_around_an_address_is_left_out() -> None:
    assert ModelSettings(model="m", base_url=" https://h.test/v1\n").base_url == "https://h.test/v1"


async def asked(settings: ModelSettings) -> Any:
    """Return the one request that a plain call with these settings makes."""
    server = Quirky(PROFILES["plain"])
    async with AsyncExitStack() as stack:
        models = await connect({"solver": settings}, stack, pool=Pool(clients=[in_process(server)]))
        await models["solver"].send(ASK, 7, None)
    return server.requests[0]


async def test_headers_and_query_go_out_with_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY", "gw-1")
    monkeypatch.setenv("GATEWAY_KEY", "gw-secret\n")
    headers = {"X-Team": "data", "cf-aig-authorization": "Bearer $GATEWAY_KEY", "X-Two": "$GATEWAY/$GATEWAY_KEY"}
    settings = ModelSettings(model="m", base_url="https://h.test/v1", headers=headers, query={"api-version": "1"})
    request = await asked(settings)
    assert request.query == {"api-version": "1"}
    assert (request.headers["x-team"], request.headers["cf-aig-authorization"]) == ("data", "Bearer gw-secret")
    assert request.headers["x-two"] == "gw-1/gw-secret"


def test_a_header_whose_variable_is_not_set_is_refused_before_anything_is_spent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GATEWAY_KEY", raising=False)
    settings = ModelSettings(model="m", base_url="https://h.test/v1", headers={"x-api-key": "$GATEWAY_KEY"})
    with pytest.raises(UserError, match=r"models\.verifier: the environment variable GATEWAY_KEY is not set"):
        require_keys({"verifier": settings})


async def test_an_azure_deployment_is_reached_by_its_own_address_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key-1\n")
    request = await asked(ModelSettings.model_validate({"model": "gpt-5", **AZURE}))
    assert (request.host, request.path) == ("name.openai.azure.com", "/openai/deployments/mine/chat/completions")
    assert request.query == {"api-version": "2024-10-21"}
    assert request.headers["api-key"] == "azure-key-1"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("key", "sent"),
    [("sk-1234\n", "sk-1234"), (" sk-1234 \r\n", "sk-1234"), ("sk-12 34", None), ("sk-\u00e9", None), ("\n", None)],
)
async def test_a_key_is_sent_without_what_a_paste_puts_around_it(
    monkeypatch: pytest.MonkeyPatch, key: str, sent: str | None
) -> None:
    monkeypatch.setenv("MY_KEY", key)
    settings = ModelSettings(model="m", base_url="https://h.test/v1", api_key_env="MY_KEY")
    if sent is None:
        with pytest.raises(UserError, match="MY_KEY") as refused:
            require_keys({"solver": settings})
        assert key.strip() == "" or key.strip() not in str(refused.value)
        return
    assert (await asked(settings)).headers["authorization"] == f"Bearer {sent}"
    assert sent not in Redactor((), {"MY_KEY"}).text(f"the key {sent}, as it was sent")


@pytest.mark.parametrize(
    ("role", "key"),
    [
        ({"base_url": "https://h.test/other"}, "K"),
        ({"base_url": "https://H.test/v1", "model": "n"}, "K"),
        ({"model": "n"}, "K"),
        ({"base_url": "https://h.test:8443/v1"}, None),
        ({"base_url": "http://h.test/v1"}, None),
        ({"base_url": "https://elsewhere.test/v1"}, None),
        ({"provider": "openai"}, None),
        ({"base_url": "https://h.test/other", "api_key_env": "OTHER"}, "OTHER"),
    ],
)
def test_the_same_host_keeps_its_key(role: dict[str, Any], key: str | None) -> None:
    default = {"model": "m", "base_url": "https://h.test/v1", "api_key_env": "K", "headers": {"x": "1"}}
    config = RunConfig.model_validate({"models": {"default": default, "verifier": role}})
    settings = config.roles()["verifier"]
    assert settings.api_key_env == key
    assert bool(settings.headers) is (key is not None)


def test_a_role_with_a_model_of_its_own_has_a_deployment_of_its_own() -> None:
    models = {
        "default": {"model": "gpt-5", **AZURE},
        "weak_solver": {"model": "gpt-5-nano"},
        "verifier": {"azure": {"deployment": "other"}},
        "challenger": {"base_url": "https://h.test/v1"},
    }
    roles = RunConfig.model_validate({"models": models}).roles()
    assert roles["strong_solver"].address == "https://name.openai.azure.com/openai/deployments/mine"
    assert roles["weak_solver"].address == "https://name.openai.azure.com/openai/deployments/gpt-5-nano"
    assert roles["verifier"].address == "https://name.openai.azure.com/openai/deployments/other"
    assert (roles["challenger"].azure, roles["challenger"].address) == (None, "https://h.test/v1")


def test_an_azure_deployment_without_its_resource_is_refused_before_anything_is_spent() -> None:
    with pytest.raises(UserError, match=r"models\.verifier\.azure: set models\.verifier\.base_url"):
        require_keys({"verifier": ModelSettings.model_validate({"model": "m", "azure": {}})})


def test_what_a_query_adds_distinguishes_servers_and_a_version_does_not() -> None:
    plain = address_of("https://h.test/v1")
    assert address_of("https://h.test/v1", {"api-version": "1"}) == plain
    assert address_of("https://h.test/v1", {"route": "b", "api-version": "1"}) == f"{plain}?route=b"


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("azure", 'use provider = "openai" with azure = '),
        ("gemini", "generativelanguage.googleapis.com"),
        ("vllm", "its address, which ends in /v1"),
        ("antropic", "did you mean 'anthropic'?"),
        ("mistralai", "pip install langchain langchain-mistralai"),
        ("bedrock_converse", "pip install langchain langchain-aws"),
        ("azure_openai", "AZURE_OPENAI_API_KEY"),
    ],
)
async def test_a_provider_that_cannot_be_used_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, provider: str, said: str
) -> None:
    for variable in ("AZURE_OPENAI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    async with AsyncExitStack() as stack:
        with pytest.raises(UserError) as refused:
            await connect({"solver": ModelSettings(provider=provider, model="m")}, stack)
    assert said in str(refused.value)
    assert "langchain-azure" not in str(refused.value)
    assert "\n" not in str(refused.value)


def failed(status: int, body: Any, headers: dict[str, str] | None = None) -> openai.APIStatusError:
    response: Any = httpx.Response(status, json=body, headers=headers or {}, request=REQUEST)
    return openai.APIStatusError("failed", response=response, body=body)


def google(delay: str, quota: str = "GenerateRequestsPerMinute") -> list[Any]:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]}, info]
    return [{"error": {"code": 429, "message": "You exceeded your current quota", "details": details}}]


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after-ms": "1500"}, {}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, {}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "60"}, {}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, {}, 7.0),
        ({}, google("34.074824224s"), 34.074824224),
        ({}, google("36s", "GenerateRequestsPerDayPerProjectPerModel-FreeTier"), 36.0),
        ({}, {"error": {"message": google("5s")[0]["error"]["message"], "metadata": {"raw": str(google("5s"))}}}, None),
        ({}, {"error": {"message": "slow down"}}, None),
        ({"retry-after": "2"}, google("34s"), 2.0),
    ],
)
def test_what_a_server_says_of_when_to_come_back(headers: dict[str, str], body: Any, seconds: float | None) -> None:
    fault = classify(failed(429, body, headers))
    assert fault is not None
    assert (fault.kind, fault.retry_after) == ("retry", seconds)


@pytest.mark.parametrize(
    ("status", "body", "kind", "used_up"),
    [
        (429, {"error": {"message": "quota", "code": "insufficient_quota"}}, "down", True),
        (429, {"error": {"message": "quota", "type": "insufficient_quota", "code": None}}, "down", True),
        (400, {"error": {"message": "Your credit balance is too low to access the API."}}, "down", True),
        (402, {"error": {"message": "Insufficient Balance"}}, "down", True),
        (429, {"error": {"message": "limit 'Requests per day per user'"}}, "down", True),
        (429, {"error": {"message": "Rate limit exceeded: free-models-per-day"}}, "down", True),
        (429, {"error": {"message": "Rate limit reached on tokens per min (TPM): Limit 30000"}}, "retry", False),
        (429, {"error": {"message": "Rate limit reached: requests per day or requests per minute"}}, "retry", False),
        (429, {"error": {"message": "Request too large for gpt-4o: Limit 30000, Requested 35000"}}, "refused", False),
        (429, {"error": {"message": "exceeded the token rate limit of your current pricing tier"}}, "retry", False),
        (400, [{"error": {"message": "API key not valid. Please pass a valid API key."}}], "down", False),
        (404, {"error": {"message": "No endpoints found that can handle the requested parameters."}}, "refused", False),
        (404, {"error": {"message": "No endpoints found for some/model."}}, "down", False),
        (400, {"error": {"message": "Failed to generate JSON", "code": "json_validate_failed"}}, "retry", False),
    ],
)
def test_an_account_that_is_empty_is_no_rate_that_is_exceeded(status: int, body: Any, kind: str, used_up: bool) -> None:
    fault = classify(failed(status, body))
    assert fault is not None
    assert (fault.kind, fault.used_up) == (kind, used_up)
    assert not used_up or "used up" in fault.message


@pytest.mark.parametrize(
    ("weak", "strong", "alike"),
    [
        ({}, {}, True),
        ({"temperature": 0.3}, {"temperature": 1.0}, True),
        ({"base_url": "http://H.test:80/v1/"}, {"base_url": "http://h.test/v1"}, True),
        ({"model": "small"}, {}, False),
        ({}, {"base_url": "http://elsewhere.test/v1"}, False),
        ({}, {"reasoning_effort": "high"}, False),
        ({}, {"samples": 5, "aggregate": "choice"}, False),
        ({}, {"tools": True}, False),
        ({}, {"privileged": True}, False),
        ({}, {"extra_body": {"thinking": True}}, False),
    ],
)
def test_one_model_as_weak_and_strong_solver_is_warned_of(
    weak: dict[str, Any], strong: dict[str, Any], alike: bool
) -> None:
    models = {"default": {"model": "m"}, "weak_solver": weak, "strong_solver": strong}
    roles = RunConfig.model_validate({"models": models}).roles()
    warning = solvers_alike(CS, roles)
    assert bool(warning) is alike
    assert warning in cautions(CS, roles) or not alike
    assert solvers_alike(FACTS, roles) == ""  # there the strong one is shown the passage
