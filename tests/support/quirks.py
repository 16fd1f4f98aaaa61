"""One server with the quirks of many: each provider's are a named profile with the source of the fact.

A profile answers a request, or refuses it as its provider was seen to. It is asked in this process, through a transport
of httpx that stands in for the network (`in_process`), or over HTTP on the loopback interface (`QuirkServer`). What is
not refused is answered by the simulated model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from aiohttp import web

from autodata.models.probe import MARKER
from autodata.models.simulated.chat_model import SimulatedChatModel

Body = dict[str, Any]
SMALL = ("mini", "small", "lite", "nano", "haiku", "8b")
"""What the names of small models have in them: they play the weak solver."""


@dataclass(frozen=True)
class Asked:
    """One request as a server sees it."""

    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    nth: int
    """Which request of all it is, from 1."""

    @property
    def format(self) -> str:
        return str((self.body.get("response_format") or {}).get("type", "none"))

    @property
    def roles(self) -> list[str]:
        return [message["role"] for message in self.body["messages"]]


@dataclass(frozen=True)
class Answer:
    """What is sent back instead of a completion. A body that is text goes out as it is."""

    status: int
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Rule = Callable[[Asked], Answer | None]
Change = Callable[[Asked, Body], Body]


@dataclass(frozen=True)
class Profile:
    """How one provider differs from a plain OpenAI-compatible server."""

    name: str
    source: str
    """Where the fact is from: an address, or an issue."""
    rules: tuple[Rule, ...] = ()
    change: Change = lambda asked, completion: completion
    usable: bool = True
    """Whether a run gets on with it."""
    said: str = ""
    """Words of the server that the user must be shown, or what was found out."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `models.default` besides model and address, that make it differ."""


def openai_error(message: str, **more: Any) -> Body:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


def when(test: Callable[[Asked], bool], status: int, body: Any, headers: Mapping[str, str] | None = None) -> Rule:
    """Return the rule that answers so wherever the test holds."""
    return lambda asked: Answer(status, body, headers or {}) if test(asked) else None


def has(name: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.body.get(name) is not None


def asks_format(*formats: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.format in formats


def first(count: int) -> Callable[[Asked], bool]:
    return lambda asked: asked.nth <= count


def always(asked: Asked) -> bool:
    return True


def unsupported(name: str, **more: Any) -> Body:
    words = f"Unsupported parameter: '{name}' is not supported with this model."
    if name == "max_tokens":
        words += " Use 'max_completion_tokens' instead."
    return openai_error(words, param=name, code="unsupported_parameter", **more)


def not_default_temperature(asked: Asked) -> Answer | None:
    value = asked.body.get("temperature")
    if value in {None, 1}:
        return None
    words = f"Unsupported value: 'temperature' does not support {value} with this model. Only the default (1) value is"
    return Answer(400, openai_error(f"{words} supported.", param="temperature", code="unsupported_value"))


def not_alternating(asked: Asked) -> bool:
    wanted = ["user", "assistant"] * len(asked.roles)
    return asked.roles != wanted[: len(asked.roles)]


def has_system(asked: Asked) -> bool:
    return asked.roles[0] in {"system", "developer"}


def without_version(asked: Asked) -> bool:
    return "api-version" not in asked.query or "/openai/deployments/" not in asked.path


def into_reasoning(name: str) -> Change:
    """Put JSON where reasoning belongs, as guided decoding behind a parser of reasoning does."""

    def change(asked: Asked, completion: Body) -> Body:
        message = completion["choices"][0]["message"]
        if asked.format != "none":
            message[name], message["content"] = message["content"], None
        return completion

    return change


def empty_in(*formats: str) -> Change:
    def change(asked: Asked, completion: Body) -> Body:
        if asked.format in formats:
            completion["choices"][0]["message"]["content"] = ""
        return completion

    return change


def blanks_in(*formats: str) -> Change:
    """Write blanks until the limit, as models do that a format keeps from writing anything else."""

    def change(asked: Asked, completion: Body) -> Body:
        if asked.format in formats:
            choice = completion["choices"][0]
            choice["message"]["content"], choice["finish_reason"] = "\n          " * 200, "length"
        return completion

    return change


def ignores_formats(asked: Asked, completion: Body) -> Body:
    """Write JSON as models do that know of no format: in a fence, within prose."""
    message = completion["choices"][0]["message"]
    if asked.format != "none":
        message["content"] = f"Here it is:\n\n```json\n{message['content']}\n```\nThis object has all that was asked."
    return completion


def cut_at(tokens: int) -> Change:
    """Count no more prompt tokens than the context holds, whatever was sent."""

    def change(asked: Asked, completion: Body) -> Body:
        if completion["usage"]["prompt_tokens"] > tokens:
            completion["usage"]["prompt_tokens"] = tokens
            completion["choices"][0]["message"]["content"] = "I see no code word."  # it stood at the beginning
        return completion

    return change


_O_SERIES: tuple[Rule, ...] = (
    when(has("max_tokens"), 400, unsupported("max_tokens")),
    not_default_temperature,
    when(has("top_p"), 400, unsupported("top_p")),
)
_NO_JSON = openai_error("Failed to generate JSON. Please adjust your prompt.", code="json_validate_failed")
_GEMINI_SEED = [
    {
        "error": {
            "code": 400,
            "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
            "status": "INVALID_ARGUMENT",
        }
    }
]
_GEMINI_BUSY = [
    {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                    "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}],
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"},
            ],
        }
    }
]
_GEMINI_DAY = [
    {
        "error": {
            "code": 429,
            "message": "Quota exceeded for quota metric 'Requests' and limit 'Requests per day per user per tier'.",
            "status": "RESOURCE_EXHAUSTED",
        }
    }
]
_GEMINI_KEY = [
    {
        "error": {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
        }
    }
]


def _extra_seed() -> Body:
    place = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 7}
    return {"object": "error", "message": {"detail": [place]}, "type": "invalid_request_error", "code": None}


def _wrapped(message: str) -> Body:
    """Return an error as gateways wrap it: the provider's body as text within their own."""
    inner = json.dumps(openai_error(message, param="temperature", code="unsupported_value"))
    return {"error": {"message": f"Error from provider(venus,gpt-5: 400): {inner}", "type": "api_error"}}


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("plain", "https://platform.openai.com/docs/api-reference/chat"),
        Profile(
            "openai-o-series",
            "https://github.com/koosoli/ESPHomeDesigner/issues/379",
            _O_SERIES,
            settings={"temperature": 0.5, "top_p": 0.9},
            said="sent as max_completion_tokens",
        ),
        Profile(
            "openai-gpt-5",
            "https://github.com/tmc/langchaingo/issues/1355",
            (*_O_SERIES[:1], not_default_temperature),
            said="temperature is left out",
        ),
        Profile(
            "openai-o1-mini",
            "https://github.com/Lambdua/openai4j/issues/62",
            (
                *_O_SERIES,
                when(
                    has_system,
                    400,
                    openai_error(
                        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
                        param="messages[0].role",
                        code="unsupported_value",
                    ),
                ),
            ),
            said="system text is sent within",
        ),
        Profile(
            "azure",
            "https://github.com/anomalyco/opencode/issues/37964",
            (
                when(lambda a: not a.headers.get("api-key"), 401, openai_error("Access denied: missing key.")),
                when(without_version, 404, openai_error("Resource not found", code="404")),
                *_O_SERIES[:1],
                not_default_temperature,
            ),
            said="sent as max_completion_tokens",
        ),
        Profile(
            "azure-before-o-series",
            "https://github.com/openai/openai-python/issues/1724",
            (
                when(
                    has("max_completion_tokens"),
                    400,
                    openai_error("Unrecognized request argument supplied: max_completion_tokens"),
                ),
            ),
        ),
        Profile(
            "azure-throttled",
            "https://github.com/simonkurtz-MSFT/python-openai-loadbalancer/issues/14",
            (when(first(2), 429, openai_error("Too many requests"), {"retry-after-ms": "3", "retry-after": "900"}),),
        ),
        Profile(
            "litellm-o-series",
            "https://github.com/langmanus/langmanus/issues/93",
            (
                when(
                    lambda a: a.body.get("temperature") not in {None, 1},
                    400,
                    openai_error(
                        "litellm.UnsupportedParamsError: O-series models don't support temperature=0.0. Only"
                        " temperature=1 is supported. To drop unsupported openai params set drop_params = True"
                    ),
                ),
            ),
            said="temperature is left out",
        ),
        Profile(
            "gateway-wraps-gpt-5",
            "https://github.com/musistudio/claude-code-router/issues/849",
            (
                when(
                    lambda a: a.body.get("temperature") not in {None, 1},
                    400,
                    _wrapped(
                        "Unsupported value: 'temperature' does not support 0.0 with this model."
                        " Only the default (1) value is supported."
                    ),
                ),
            ),
            said="temperature is left out",
        ),
        Profile(
            "kimi",
            "https://github.com/anomalyco/opencode/issues/33957",
            (
                when(
                    lambda a: a.body.get("temperature") not in {None, 1},
                    400,
                    openai_error("invalid temperature: only 1 is allowed for this model"),
                ),
                when(has("top_p"), 400, openai_error("invalid top_p: only 0.95 is allowed for this model")),
            ),
            settings={"top_p": 0.9},
            said="top_p is left out",
        ),
        Profile(
            "anthropic",
            "https://github.com/cloud-apim/otoroshi-llm-extension/issues/140",
            (
                when(
                    lambda a: a.body.get("temperature") is not None and a.body.get("top_p") is not None,
                    400,
                    openai_error(
                        "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
                    ),
                ),
            ),
            change=ignores_formats,
            settings={"top_p": 0.9},
            said="top_p is left out",
        ),
        Profile(
            "anthropic-no-credit",
            "https://github.com/anthropics/claude-code/issues/66314",
            (
                when(
                    always,
                    400,
                    openai_error("Your credit balance is too low to access the Anthropic API."),
                ),
            ),
            usable=False,
            said="credit balance is too low",
        ),
        Profile(
            "gemini",
            "https://github.com/Vali-98/ChatterUI/issues/227",
            (when(has("seed"), 400, _GEMINI_SEED),),
            said="seed is left out",
        ),
        Profile(
            "gemini-busy",
            "https://github.com/diegosouzapw/OmniRoute/issues/9504",
            (when(first(2), 429, _GEMINI_BUSY),),
        ),
        Profile(
            "gemini-day-used-up",
            "https://github.com/google-gemini/gemini-cli/issues/10925",
            (when(always, 429, _GEMINI_DAY),),
            usable=False,
            said="quota of the day is used up",
        ),
        Profile(
            "gemini-wrong-key",
            "https://github.com/brunnurs/valuenet/issues/12",
            (when(always, 400, _GEMINI_KEY),),
            usable=False,
            said="API key not valid",
        ),
        Profile(
            "openrouter-no-endpoint",
            "https://openrouter.ai/docs/features/provider-routing",
            (
                when(
                    lambda a: a.format != "none" or "seed" in a.body,
                    404,
                    {
                        "error": {
                            "message": "No endpoints found that can handle the requested parameters.",
                            "code": 404,
                        }
                    },
                ),
            ),
            said="seed is left out",
        ),
        Profile(
            "openrouter-raw",
            "https://github.com/campfirein/byterover-cli/issues/43",
            (
                when(
                    always,
                    400,
                    {
                        "error": {
                            "message": "Provider returned error",
                            "code": 400,
                            "metadata": {"raw": '{"detail":"top_k must be positive"}', "provider_name": "Somebody"},
                        }
                    },
                ),
            ),
            usable=False,
            said="top_k must be positive",
        ),
        Profile(
            "deepseek",
            "https://github.com/UKGovernmentBEIS/inspect_ai/issues/4916",
            (when(asks_format("json_schema"), 400, openai_error("This response_format type is unavailable now")),),
            said="json_object",
        ),
        Profile(
            "deepseek-no-balance",
            "https://github.com/continuedev/continue/issues/9942",
            (when(always, 402, openai_error("Insufficient Balance")),),
            usable=False,
            said="Insufficient Balance",
        ),
        Profile(
            "lm-studio",
            "https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/169",
            (
                when(
                    asks_format("json_object"),
                    400,
                    {"error": "'response_format.type' must be 'json_schema' or 'text'"},
                ),
            ),
            said="json_schema",
        ),
        Profile(
            "ollama",
            "https://github.com/ollama/ollama/issues/17889",
            change=cut_at(4096),
            said="4,096 tokens",
        ),
        Profile(
            "vllm-alternating",
            "https://github.com/microsoft/autogen/issues/1037",
            (
                when(
                    not_alternating,
                    400,
                    {
                        "object": "error",
                        "message": "Conversation roles must alternate user/assistant/user/assistant/...",
                        "type": "BadRequestError",
                        "code": 400,
                    },
                ),
            ),
            said="turns of the same side",
        ),
        Profile(
            "vllm-reasoning-parser",
            "https://github.com/vllm-project/vllm/issues/16182",
            change=into_reasoning("reasoning_content"),
            said="structured answers stand in 'reasoning_content'",
        ),
        Profile(
            "reasoning-beside",
            "https://github.com/vllm-project/vllm/issues/50948",
            change=into_reasoning("reasoning"),
            said="structured answers stand in 'reasoning'",
        ),
        Profile(
            "llama-cpp-gemma",
            "https://github.com/Mangi-11/Eta/issues/59",
            (
                when(
                    has_system,
                    500,
                    {"error": {"code": 500, "message": "Jinja Exception: System role not supported", "type": "server"}},
                ),
            ),
            said="system text is sent within",
        ),
        Profile(
            "sglang-gemma",
            "https://github.com/sgl-project/sglang/issues/892",
            (when(has_system, 500, "Internal Server Error"),),
            said="system text is sent within",
        ),
        Profile(
            "llama-cpp-grammar",
            "https://github.com/flagdizero/jenny-android-ai-agent/issues/2",
            (
                when(
                    asks_format("json_schema"),
                    500,
                    {"error": {"code": 500, "message": "failed to parse grammar", "type": "server_error"}},
                ),
            ),
            said="json_object",
        ),
        Profile(
            "mistral",
            "https://github.com/mistralai/platform-docs-public/issues/7",
            (when(has("seed"), 422, _extra_seed()),),
            said="seed is left out",
        ),
        Profile(
            "dashscope-stream-only",
            "https://github.com/FoundationAgents/OpenManus/issues/330",
            (
                when(
                    lambda a: not a.body.get("stream"),
                    400,
                    openai_error(
                        "This model only support stream mode, please enable the stream parameter to access the model."
                    ),
                ),
            ),
            said="replies are streamed",
        ),
        Profile(
            "empty-under-a-format",
            "https://github.com/wicm84266964/Buddy2api/pull/23",
            change=empty_in("json_schema", "json_object"),
            said="prompt only",
        ),
        Profile(
            "blanks-under-json-object",
            "https://github.com/openai/openai-python/issues/857",
            (when(asks_format("json_schema"), 400, openai_error("response_format json_schema is not supported")),),
            change=blanks_in("json_object"),
            said="prompt only",
        ),
        Profile(
            "format-ignored",
            "https://github.com/ROCm/FastFlowLM/issues/554",
            change=ignores_formats,
        ),
        Profile(
            "groq-no-json",
            "https://github.com/Bklieger/infinite-bookshelf/issues/42",
            (when(lambda a: a.format != "none" and a.nth % 3 == 0, 400, _NO_JSON),),
        ),
        Profile(
            "wordless",
            "https://github.com/drnic/groq-ruby/issues/12",
            (when(has("seed"), 400, "Bad Request"),),
            said="seed is left out",
        ),
        Profile(
            "openai-no-quota",
            "https://github.com/ChatGPTNextWeb/NextChat/issues/3123",
            (
                when(
                    always,
                    429,
                    {
                        "error": {
                            "message": "You exceeded your current quota, please check your plan and billing details.",
                            "type": "insufficient_quota",
                            "param": None,
                            "code": "insufficient_quota",
                        }
                    },
                ),
            ),
            usable=False,
            said="credit is used up",
        ),
        Profile(
            "temperature-out-of-range",
            "https://github.com/scottyeager/Pal/issues/28",
            (
                when(
                    lambda a: a.body.get("temperature", 0) > 0.6,
                    422,
                    {
                        "object": "error",
                        "message": {
                            "detail": [
                                {
                                    "type": "less_than_equal",
                                    "loc": ["body", "temperature"],
                                    "msg": "Input should be less than or equal to 0.6",
                                }
                            ]
                        },
                    },
                ),
            ),
            usable=False,
            settings={"temperature": 1.5},
            said="less than or equal to 0.6",
        ),
    )
}


class Quirky:
    """Answers requests as a profile says, and keeps them."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.requests: list[Asked] = []
        self.refusals: list[Asked] = []

    @property
    def refused(self) -> int:
        """How many requests were refused."""
        return len(self.refusals)

    def answer(self, host: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Body) -> Answer:
        """Return what the server sends back."""
        asked = Asked(host, path, dict(query), {k.lower(): v for k, v in headers.items()}, body, len(self.requests) + 1)
        self.requests.append(asked)
        if not path.endswith("/chat/completions"):
            return Answer(404, {"detail": "Not Found"})
        for rule in self.profile.rules:
            if (refusal := rule(asked)) is not None:
                self.refusals.append(asked)
                return refusal
        completion = self.profile.change(asked, _completion(asked))
        if body.get("stream"):
            return Answer(200, _streamed(completion), {"content-type": "text/event-stream"})
        return Answer(200, completion)


def _completion(asked: Asked) -> Body:
    messages = [{"role": one["role"], "content": one["content"]} for one in asked.body["messages"]]
    text = "\n\n".join(message["content"] for message in messages)
    finish = "stop"
    if '"title":"_Sum"' in text.replace(" ", ""):
        reply = '{"total": 42, "even": true}'
    elif MARKER in text:
        reply = MARKER
    else:
        solver = "weak" if any(word in str(asked.body["model"]) for word in SMALL) else "strong"
        reply, finish = SimulatedChatModel(solver=solver).reply(messages, asked.body.get("seed") or asked.nth)
    count = len(text) // 4
    usage = {"prompt_tokens": count, "completion_tokens": len(reply) // 4 + 1}
    return {
        "id": f"chatcmpl-{asked.nth}",
        "object": "chat.completion",
        "created": 1,
        "model": asked.body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": finish}],
        "usage": {**usage, "total_tokens": sum(usage.values())},
    }


def _streamed(completion: Body) -> str:
    """Return a completion as server-sent events: its message in two pieces, then how it ended, then its usage."""
    choice = completion["choices"][0]
    message = choice["message"]
    whole = {"id": completion["id"], "object": "chat.completion.chunk", "created": 1, "model": completion["model"]}
    content = message.get("content") or ""
    deltas: list[Body] = [{"role": "assistant", "content": content[:7]}, {"content": content[7:]}]
    deltas[0] |= {name: value for name, value in message.items() if name not in {"role", "content"}}
    events = [{**whole, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({**whole, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    events.append({**whole, "choices": [], "usage": completion["usage"]})
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


def in_process(server: Quirky) -> Any:
    """Return an HTTP client whose every request is answered by the profile, in this process."""

    def answer(request: httpx.Request) -> httpx.Response:
        url = request.url
        replied = server.answer(
            url.host, url.path, dict(url.params), dict(request.headers), json.loads(request.content)
        )
        if isinstance(replied.body, str):
            return httpx.Response(
                replied.status, text=replied.body, headers={"content-type": "text/plain", **replied.headers}
            )
        return httpx.Response(replied.status, json=replied.body, headers=dict(replied.headers))

    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


class QuirkServer(Quirky):
    """A profile over HTTP on the loopback interface: `async with QuirkServer(profile) as server`."""

    base_url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=3600, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.root = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.base_url = f"{self.root}/v1"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        replied = self.answer(request.host, request.path, request.query, request.headers, await request.json())
        if isinstance(replied.body, str):
            kind = replied.headers.get("content-type", "text/plain")
            rest = {name: value for name, value in replied.headers.items() if name != "content-type"}
            return web.Response(status=replied.status, text=replied.body, content_type=kind, headers=rest)
        return web.json_response(replied.body, status=replied.status, headers=dict(replied.headers))
