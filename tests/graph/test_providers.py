"""The configurations of docs/providers.md, as they stand there, each against the quirks of its provider."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import tomli_w
from typer.testing import CliRunner

from autodata.cli.app import app
from autodata.models import openai_chat
from autodata.runner.config import read_config
from tests.graph.test_quirks import DOCUMENT
from tests.support.quirks import PROFILES, Quirky, in_process
from tests.support.stages import first_quick

PAGE = Path(__file__).resolve().parents[2] / "docs" / "providers.md"
KEY = "sk-documented-0123456789"

QUIRKS = {
    "OpenAI": ["openai-gpt-5", "openai-o-series", "openai-o1-mini"],
    "Azure OpenAI": ["azure", "azure-before-o-series", "azure-throttled"],
    "Anthropic": ["anthropic"],
    "Gemini": ["gemini", "gemini-busy"],
    "OpenRouter": ["openrouter-no-endpoint"],
    "DeepSeek": ["deepseek"],
    "Ollama": ["ollama"],
    "LM Studio": ["lm-studio"],
    "vLLM": ["vllm-alternating", "vllm-reasoning-parser"],
    "llama.cpp": ["llama-cpp-gemma", "llama-cpp-grammar"],
    "LiteLLM": ["litellm-o-series"],
}
"""Which profiles each provider's configuration must get on with."""


def documented() -> dict[str, dict[str, Any]]:
    """Return the configuration under each heading of the page."""
    parts = re.split(r"^## (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for heading, text in zip(parts[::2], parts[1::2], strict=True):
        if block := re.search(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            found[heading] = tomllib.loads(block[1])
    return found


def test_every_provider_has_a_configuration_and_a_profile() -> None:
    assert set(documented()) == set(QUIRKS)
    assert {name for names in QUIRKS.values() for name in names} <= set(PROFILES)


@pytest.mark.parametrize(
    ("provider", "profile"), first_quick(*[(provider, name) for provider, names in QUIRKS.items() for name in names])
)
def test_it_runs_as_it_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, profile: str
) -> None:
    values = documented()[provider]
    roles = read_config(tomli_w.dumps(values), "providers.md").roles()
    assert roles["weak_solver"].model != roles["strong_solver"].model
    for settings in roles.values():
        if settings.key_variable:
            monkeypatch.setenv(settings.key_variable, KEY)
    server = Quirky(PROFILES[profile])
    monkeypatch.setattr(openai_chat, "new_client", lambda: in_process(server))
    path = tmp_path / "autodata.toml"
    path.write_text(tomli_w.dumps({**values, "max_rounds": 1, "retries": {"base_seconds": 0}}))
    (tmp_path / "a.md").write_text(DOCUMENT)
    words = ["run", "--config", str(path), "--documents", str(tmp_path / "a.md"), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    # With models of one provider alone the judge is of the solvers' family: that is all that is warned of.
    warnings = [line for line in result.output.splitlines() if "warning" in line]
    assert all("are of one family: a judge favours its own" in line for line in warnings), warnings
    where = {urlsplit(settings.address or openai_chat.OPENAI).hostname for settings in roles.values()}
    assert {request.host for request in server.requests} == where
    sent = {request.headers.get("api-key") or request.headers["authorization"] for request in server.requests}
    keyed = any(settings.key_variable for settings in roles.values())
    assert sent == {KEY if provider == "Azure OpenAI" else f"Bearer {KEY if keyed else 'none'}"}
    if headers := values["models"]["default"].get("headers"):
        assert all(
            request.headers[name.lower()] == text for name, text in headers.items() for request in server.requests
        )
    assert KEY not in result.output
