"""`autodata doctor` and `autodata run` on every endpoint of the quirk table: both get on with it, or neither does."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from autodata.cli.app import app
from autodata.models import openai_chat
from autodata.serving.exports import BUILDERS
from autodata.serving.graph import compile_served
from autodata.serving.runtime import CONFIG_VARIABLE, FOLDER_VARIABLE, shut
from tests.support.commands import invoke, parsed, printed
from tests.support.quirks import PROFILES, Profile, Quirky, cut_at, in_process
from tests.support.stages import first_quick

DOCUMENT = "The mast of Gull Point was raised in 1907. It carries two lamps, and a horn that sounds in fog.\n" * 4
AZURE = {"base_url": "https://name.openai.azure.com", "azure": {}}


def configured(profile: Profile) -> dict[str, Any]:
    """Return a configuration for a profile: a stronger model and a weaker one on the same server."""
    default = {"model": "big", "api_key_env": "QUIRK_KEY", **profile.settings}
    default |= AZURE if profile.name.startswith("azure") else {"base_url": "https://quirky.test/v1"}
    return {
        "max_rounds": 1,
        "models": {"default": default, "weak_solver": {"model": "big-mini"}},
        "retries": {"base_seconds": 0},
    }


@pytest.fixture
def quirky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def begin(profile: Profile) -> tuple[Quirky, Path]:
        monkeypatch.setenv("QUIRK_KEY", "sk-quirk-0123456789")
        server = Quirky(profile)
        monkeypatch.setattr(openai_chat, "new_client", lambda: in_process(server))
        (tmp_path / "autodata.toml").write_text(tomli_w.dumps(configured(profile)))
        (tmp_path / "d").mkdir(exist_ok=True)
        (tmp_path / "d" / "a.md").write_text(DOCUMENT)
        return server, tmp_path

    return begin


def doctor(folder: Path) -> tuple[int, dict[str, Any], str]:
    result = CliRunner().invoke(app, ["doctor", "--config", str(folder / "autodata.toml"), "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout), result.output


def run(folder: Path, out: str = "run") -> tuple[int, str]:
    words = ["run", "--config", str(folder / "autodata.toml"), "--documents", str(folder / "d")]
    result = CliRunner().invoke(app, [*words, "--out", str(folder / out)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_every_profile_names_where_its_fact_is_from() -> None:
    for profile in PROFILES.values():
        assert re.match(r"https://", profile.source)
        assert profile.said or profile.usable


def test_what_was_found_out_about_an_endpoint_is_shown_by_status(quirky: Any) -> None:
    server, folder = quirky(PROFILES["openai-o-series"])
    assert run(folder)[0] == 0
    refused = len(server.requests)
    found = parsed("status", folder / "run", "--json")["endpoints"]
    names = ["big at https://quirky.test/v1", "big-mini at https://quirky.test/v1"]
    assert list(found) == names
    assert {one["dialect"]["length"] for one in found.values()} == {"max_completion_tokens"}
    text = printed("status", folder / "run", columns=200)
    for name in names:
        assert f"{name}: the longest reply is sent as max_completion_tokens" in text
        assert f"{name}: temperature is left out" in text
    assert len(server.requests) == refused
    _, folder = quirky(PROFILES["plain"])
    assert run(folder, "usual")[0] == 0
    assert parsed("status", folder / "usual", "--json")["endpoints"] == {}
    assert "Found out about endpoints" not in printed("status", folder / "usual")


@pytest.mark.slow
def test_a_search_says_what_it_finds_out_about_an_endpoint(quirky: Any) -> None:
    _, folder = quirky(PROFILES["openai-o-series"])
    (folder / "v").mkdir()
    (folder / "v" / "b.md").write_text(DOCUMENT.replace("Gull", "Heron"))
    words = ["optimize", "--config", folder / "autodata.toml", "--train", folder / "d", "--validate", folder / "v"]
    result = invoke(*words, "--out", folder / "opt", "--iterations", "1", "--dry-run", "--pilot", "1", columns=400)
    assert result.exit_code == 0, result.output
    said = "big at https://quirky.test/v1: the longest reply is sent as max_completion_tokens"
    assert result.output.count(said) == 1


@pytest.mark.slow
async def test_a_server_says_in_its_log_what_it_finds_out_and_keeps_it(
    quirky: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server, folder = quirky(PROFILES["openai-o-series"])
    monkeypatch.setenv(CONFIG_VARIABLE, str(folder / "autodata.toml"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder / "server"))
    graph = compile_served(BUILDERS["self_instruct_cs"]())
    said = "big at https://quirky.test/v1: the longest reply is sent as max_completion_tokens"
    for again in (False, True):
        caplog.clear()
        config: Any = {"configurable": {"thread_id": str(again)}, "recursion_limit": 400}
        try:
            await graph.ainvoke({"text": DOCUMENT, "name": "a.md"}, config, context={"max_rounds": 1})
        finally:
            await shut()
        lines = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
        assert [line.startswith(said) for line in lines].count(True) == 1
        assert any("as an earlier session found out" in line for line in lines) is again
    assert len(server.requests) > 0


@pytest.mark.parametrize(
    ("profile", "read", "said"),
    [
        (PROFILES["plain"], "5,700 characters", ""),
        (replace(PROFILES["ollama"], change=cut_at(400)), "1,425 characters", "raise the server's context length"),
    ],
)
def test_doctor_measures_the_context_for_a_domain_of_passages(
    quirky: Any, profile: Profile, read: str, said: str
) -> None:
    _, folder = quirky(profile)
    config = folder / "autodata.toml"
    config.write_text(f'domain = "facts"\n{config.read_text()}')
    _, found, text = doctor(folder)
    readers = [one for one in found["endpoints"] if "challenger" in one["roles"]]
    assert [one["context"] for one in readers] == [read]
    assert said in text
    advice = [fault["advice"] for one in readers for fault in one["faults"]]
    assert not any("max_chars" in one for one in advice), "documents of any length are taken: shorter ones do not help"


ONLY_DOCTOR = {"ollama", "lm-studio"}
"""What only doctor says: how long a prompt may be, and a format that is the usual one."""
ORDER = sorted(PROFILES, key=lambda name: name != "openai-o-series")


@pytest.mark.parametrize("name", first_quick(*ORDER))
def test_doctor_and_run_come_to_the_same_verdict(quirky: Any, name: str) -> None:
    profile = PROFILES[name]
    _, folder = quirky(profile)
    code, found, said = doctor(folder)
    assert (code == 0) is profile.usable, said
    assert found["usable"] is profile.usable
    _, folder = quirky(profile)
    ended, printed = run(folder)
    assert (ended == 0) is profile.usable, printed
    assert profile.said in said
    if name not in ONLY_DOCTOR:
        assert profile.said in " ".join(printed.split())
    advice = {fault["advice"] for one in found["endpoints"] for fault in one["faults"] if fault["fatal"]}
    assert advice <= {text for text in advice if text in " ".join(printed.split())}, "the run says another thing to do"
    assert bool(advice) is not profile.usable
