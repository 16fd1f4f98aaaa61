"""What `autodata doctor` says of endpoints that are well, and of every way in which they may not be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from typer.testing import CliRunner, Result

from autodata.checkpoints.errors import UserError
from autodata.cli.app import app
from autodata.domains.domain import DOMAINS
from autodata.models.config import ModelSettings, RetryConfig
from autodata.models.endpoint import Endpoint
from autodata.models.local.serving import LocalServing
from autodata.models.local.weights import KNOWN_MODELS
from autodata.models.probe import probe
from autodata.models.role_model import RoleModel
from autodata.prompts.roles import ROLES
from tests.support.stages import first_quick

USAGE = {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13}
SUM = '{"total": 42, "even": true}'
SECRET = "sk-0123456789abcdef"
Answer = Callable[[ModelSettings, Mapping[str, Any]], AIMessage]


class Refused(Exception):
    def __init__(self, status_code: int, message: str = "no") -> None:
        super().__init__(message)
        self.status_code = status_code


class Scripted(BaseChatModel):
    settings: ModelSettings
    answer: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        request = {"structured": "JSON Schema" in str(messages[0].content), **kwargs}
        message = self.answer(self.settings, request)
        return ChatResult(generations=[ChatGeneration(message=message)])


def reply(text: str, finish: str = "stop", usage: Mapping[str, int] | None = USAGE) -> AIMessage:
    return AIMessage(text, usage_metadata=usage, response_metadata={"finish_reason": finish})


def well(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
    return reply(SUM if request["structured"] else "ready")


def wire_format(request: Mapping[str, Any]) -> str:
    return str(request.get("extra_body", {}).get("response_format", {}).get("type", "none"))


@pytest.fixture
def try_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(answer: Answer, *flags: str, settings: str = "", roles: str = "") -> Result:
        async def connect(
            roles: Mapping[str, ModelSettings], stack: AsyncExitStack, **kwargs: Any
        ) -> dict[str, RoleModel]:
            endpoint = Endpoint("one", 4)
            return {
                role: RoleModel(one, Scripted(settings=one, answer=answer), endpoint, one.send_seed)
                for role, one in roles.items()
            }

        monkeypatch.setattr("autodata.models.probe.connect", connect)
        path = tmp_path / "autodata.toml"
        default = f'[models.default]\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n{settings}\n'
        retries = "" if "[retries]" in roles else "[retries]\nbase_seconds = 0\n"
        path.write_text(default + roles + retries)
        # What is scripted can add and say ready: it knows no prompt of a role.
        flags = ("--no-rehearse", *flags)
        return CliRunner().invoke(app, ["doctor", "--config", str(path), *flags], env={"COLUMNS": "120"})

    return run


def only(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)["endpoints"]
    assert len(found) == 1
    return dict(found[0])


def say_nothing(what: str, done: int = 0, total: int = 0) -> None:
    pass


@pytest.mark.parametrize(("words", "read"), [("KESTREL-4417", "characters"), ("No idea.", "not sure")])
def test_a_local_model_is_shown_a_long_prompt_too(monkeypatch: pytest.MonkeyPatch, words: str, read: str) -> None:
    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        return reply(SUM if request["structured"] else words, usage={**USAGE, "input_tokens": 700, "total_tokens": 702})

    async def connect(roles: Mapping[str, ModelSettings], stack: AsyncExitStack, **kwargs: Any) -> dict[str, RoleModel]:
        endpoint = Endpoint("one", 4)
        return {
            role: RoleModel(one, Scripted(settings=one, answer=answer), endpoint, one.send_seed)
            for role, one in roles.items()
        }

    monkeypatch.setattr("autodata.models.probe.connect", connect)
    settings = ModelSettings(provider="local", model="m")
    found = asyncio.run(probe({"extractor": settings}, LocalServing(), say_nothing, longest=2000))
    assert found.context.startswith("2,000 characters")
    assert found.context.endswith(read)


def test_all_is_well(try_it: Callable[..., Result]) -> None:
    found = only(result := try_it(well, "--json"))
    assert result.exit_code == 0
    assert found["usable"]
    assert found["faults"] == []
    assert found["endpoint"] == "m at http://127.0.0.1:9/v1"
    assert found["roles"] == ["challenger", "quality_verifier", "weak_solver", "strong_solver", "verifier"]
    assert (found["structured"], found["wire_format"]) == ("json_schema", "json_schema")
    assert (found["seed"], found["usage"], found["key"]) == ("accepted", "11 in, 2 out", "none needed")
    assert (found["tokens_in"], found["tokens_out"]) == (11, 2)
    assert found["latency_s"] >= 0
    table = try_it(well)
    assert table.exit_code == 0
    assert "Every role can be used." in table.stdout
    assert max(len(line) for line in table.stdout.splitlines() if not line.startswith("warning: ")) <= 120


@pytest.mark.parametrize(
    ("refused", "found_format", "said"),
    [(("json_schema",), "json_object", "json_object"), (("json_schema", "json_object"), "none", "prompt only")],
)
def test_the_wire_format_is_found_out(
    try_it: Callable[..., Result], refused: tuple[str, ...], found_format: str, said: str
) -> None:
    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        if wire_format(request) in refused:
            raise Refused(400)
        return well(settings, request)

    found = only(result := try_it(answer, "--json"))
    assert result.exit_code == 0
    assert (found["wire_format"], found["structured"]) == (found_format, said)


@pytest.mark.parametrize(
    ("error", "advice", "tries"),
    [
        (Refused(401, "bad key"), "api_key_env", 1),
        (Refused(404, "no such model"), "check model 'm' and base_url", 1),
        (Refused(429, "insufficient_quota"), "plan and billing", 1),
        (Refused(400, "API key not valid"), "api_key_env", 1),
        (Refused(429, "slow down"), "wait, or lower max_concurrency", 6),
        (Refused(503, "upstream"), "the server fails", 6),
        (ConnectionRefusedError("connection refused"), "see that a server answers at http://127.0.0.1:9/v1", 6),
        (TimeoutError(), "see that a server answers", 6),
        (KeyError("choices"), "see that a server answers", 6),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else "",
)
def test_an_endpoint_that_cannot_be_used(
    try_it: Callable[..., Result], error: Exception, advice: str, tries: int
) -> None:
    requests: list[Mapping[str, Any]] = []

    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        requests.append(request)
        raise error

    found = only(result := try_it(answer, "--json"))
    assert result.exit_code == 1
    assert not found["usable"]
    assert len(requests) == tries  # as often as a run asks
    (fault,) = found["faults"]
    assert fault["roles"] == found["roles"]
    assert advice in fault["advice"]
    assert found["plain"] == "failed"
    shown = try_it(answer)
    assert shown.exit_code == 1
    assert advice in " ".join(shown.stdout.split())
    assert "Every role" not in shown.stdout


def test_a_seed_that_is_refused(try_it: Callable[..., Result]) -> None:
    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        if "seed" in request:
            raise Refused(400, "unknown field seed")
        return well(settings, request)

    found = only(result := try_it(answer, "--json"))
    assert (result.exit_code, found["faults"]) == (0, [])
    assert (found["seed"], found["structured"]) == ("refused, left out", "json_schema")
    assert found["adjusted"] == ["seed is left out, for the server refuses it otherwise"]
    found = only(result := try_it(answer, "--json", settings="send_seed = false"))
    assert (result.exit_code, found["seed"]) == (0, "not sent")


def test_parameters_that_one_role_s_model_refuses(try_it: Callable[..., Result]) -> None:
    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        if settings.temperature == 0.5:
            raise Refused(400, "temperature must be 1")
        return well(settings, request)

    found = only(result := try_it(answer, "--json", roles="[models.weak_solver]\ntemperature = 0.5\n"))
    assert result.exit_code == 1
    (fault,) = found["faults"]
    assert fault["roles"] == ["weak_solver"]
    assert "temperature" in fault["advice"]
    assert found["structured"] == "json_schema"


@pytest.mark.parametrize(
    ("text", "finish", "said"),
    [("", "length", "raise max_tokens"), ("<think>hm", "length", "raise max_tokens"), ("", "stop", "another model")],
)
def test_an_empty_reply(try_it: Callable[..., Result], text: str, finish: str, said: str) -> None:
    found = only(result := try_it(lambda settings, request: reply(text, finish), "--json"))
    assert result.exit_code == 1
    assert said in found["faults"][0]["advice"]


def test_structured_output_that_cannot_be_read_matters_to_those_who_need_it(try_it: Callable[..., Result]) -> None:
    asked: list[int] = []

    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        if request["structured"]:
            asked.append(request["seed"])
        return reply("well, 42")

    found = only(result := try_it(answer, "--json"))
    assert result.exit_code == 1
    (fault,) = found["faults"]
    assert fault["roles"] == ["challenger", "quality_verifier", "verifier"]
    assert found["structured"] == "json_schema, unreadable"
    assert len(set(asked)) == len(asked) == RetryConfig().unusable_tries  # as often as a run asks


@pytest.mark.parametrize(
    "said",
    [
        '{"total": "42", "even": "yes"}',
        '{"Total": 42.0, "isEven": true}',
        '[{"total": 42, "even": true}]',
        '{"answer": {"total": 42, "even": "Even."}}',
        '{"total": 42, "even": true, "reason": "19 + 23"}',
    ],
)
def test_replies_are_read_as_a_run_reads_them(try_it: Callable[..., Result], said: str) -> None:
    found = only(try_it(lambda settings, request: reply(said if request["structured"] else "ready"), "--json"))
    assert (found["structured"], found["faults"]) == ("json_schema", [])


@pytest.mark.parametrize(("tries", "usable"), [(2, False), (3, True)])
def test_a_reply_is_repaired_as_often_as_a_run_would(try_it: Callable[..., Result], tries: int, usable: bool) -> None:
    asked: list[int] = []

    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        if request["structured"]:
            asked.append(request["seed"])
        return reply(SUM if len(asked) > 2 else '{"total": "about 42", "even": "perhaps"}')

    result = try_it(answer, "--json", roles=f"[retries]\nbase_seconds = 0\nunusable_tries = {tries}\n")
    assert (result.exit_code == 0, only(result)["usable"], len(asked)) == (usable, usable, tries)


def test_usage_that_is_not_reported_is_said_but_is_no_failure(try_it: Callable[..., Result]) -> None:
    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        return reply(SUM if request["structured"] else "ready", usage=None)

    found = only(result := try_it(answer, "--json"))
    assert (result.exit_code, found["usable"], found["usage"]) == (0, True, "not reported")
    assert not found["faults"][0]["fatal"]
    assert (
        "--max-usd" in only(try_it(answer, "--json", settings="price_in = 1.0\nprice_out = 1.0"))["faults"][0]["advice"]
    )


def test_a_defect_is_not_hidden(try_it: Callable[..., Result]) -> None:
    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        raise ZeroDivisionError

    assert isinstance(try_it(answer).exception, ZeroDivisionError)


def test_a_missing_key_costs_no_request(try_it: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        raise AssertionError("a request was made")

    monkeypatch.delenv("MY_KEY", raising=False)
    found = only(result := try_it(answer, "--json", settings='api_key_env = "MY_KEY"'))
    assert result.exit_code == 1
    assert found["key"] == "MY_KEY not set"
    assert found["faults"][0]["advice"] == "export MY_KEY=..."


def test_a_key_is_never_shown(try_it: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(settings: ModelSettings, request: Mapping[str, Any]) -> AIMessage:
        raise Refused(401, f"incorrect key {SECRET}")

    monkeypatch.setenv("MY_KEY", SECRET)
    for flags in ([], ["--json"]):
        result = try_it(answer, *flags, settings='api_key_env = "MY_KEY"')
        assert result.exit_code == 1
        assert "incorrect key ***" in result.stdout
        assert "MY_KEY set" in " ".join(result.stdout.split())
        assert SECRET not in result.output


def test_endpoints_are_distinguished(try_it: Callable[..., Result]) -> None:
    roles = '[models.weak_solver]\nmodel = "w"\n[models.verifier]\nbase_url = "http://127.0.0.1:8/v1"\n'
    found = json.loads(try_it(well, "--json", roles=roles).stdout)["endpoints"]
    assert [one["roles"] for one in found] == [
        ["challenger", "quality_verifier", "strong_solver"],
        ["weak_solver"],
        ["verifier"],
    ]
    assert [one["structured"] for one in found] == ["json_schema", "-", "json_schema"]


def test_simulated_models_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[models.default]\nprovider = "simulated"\nmodel = "strong"\n')
    result = CliRunner().invoke(app, ["doctor", "--config", str(path), "--json"])
    assert result.exit_code == 0
    assert only(result)["plain"] == "simulated"


@pytest.mark.parametrize("domain", first_quick("cs", "facts", "legal", "science"))
def test_every_role_of_a_domain_is_rehearsed(tmp_path: Path, domain: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f'domain = "{domain}"\n[models.default]\nprovider = "simulated"\nmodel = "strong"\n')
    result = CliRunner().invoke(app, ["doctor", "--config", str(path), "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    rehearsal = json.loads(result.stdout)["rehearsal"]
    assert [part["role"] for part in rehearsal["parts"]] == list(DOMAINS[domain].roles)
    assert all(part["tried"] and part["calls"] == 1 and not part["problem"] for part in rehearsal["parts"])
    assert rehearsal["calls"] == len(DOMAINS[domain].roles)


@pytest.mark.parametrize(("new", "more"), [(3, ["dataset_analyst"]), (0, [])])
def test_the_analyst_of_a_run_with_lessons_is_rehearsed(tmp_path: Path, new: int, more: list[str]) -> None:
    path = tmp_path / "a.toml"
    lessons = f"[lessons]\nenabled = true\nnew = {new}\n"
    path.write_text(f'{lessons}[models.default]\nprovider = "simulated"\nmodel = "strong"\n')
    result = CliRunner().invoke(app, ["doctor", "--config", str(path), "--json"])
    assert (result.exit_code, result.stderr) == (0, "")
    parts = json.loads(result.stdout)["rehearsal"]["parts"]
    assert [part["role"] for part in parts] == [*DOMAINS["cs"].roles, *more]
    assert all(part["tried"] and part["calls"] == 1 and not part["problem"] for part in parts)


def test_a_local_model_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[models.default]\nprovider = "local"\nmodel = "nowhere.gguf"\n')
    result = CliRunner().invoke(app, ["doctor", "--config", str(path), "--json"])
    assert result.exit_code == 1
    assert "no local model 'nowhere.gguf'" in only(result)["faults"][0]["advice"]
    assert only(result)["notes"] == ["weights: nowhere.gguf"]


def test_whether_weights_are_cached(
    try_it: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = KNOWN_MODELS["smollm2-135m"]
    monkeypatch.setattr("autodata.models.probe.default_cache", lambda: tmp_path)
    roles = "".join(f'[models.{role}]\nprovider = "local"\nmodel = "{model.name}"\n' for role in ROLES)
    assert only(try_it(well, "--json", roles=roles))["notes"] == ["weights were not cached: 98 MB to fetch"]
    with (tmp_path / f"{model.sha256}.gguf").open("wb") as file:
        file.truncate(model.size)
    assert only(try_it(well, "--json", roles=roles))["notes"] == ["weights were cached (98 MB)"]


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "no such configuration"), ("", "no model is named"), ("modles = 1", "unknown key 'modles'")],
)
def test_configurations_that_are_wrong(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "a.toml"
    if text is not None:
        path.write_text(text)
    result = CliRunner().invoke(app, ["doctor", "--config", str(path)])
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
