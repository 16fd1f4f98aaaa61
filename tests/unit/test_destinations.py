"""What a run says of where its documents go."""

from __future__ import annotations

from typing import Any

import pytest

from autodata.models.config import ModelSettings
from autodata.runner.destinations import destinations, host, traces
from autodata.tracing.config import TracingConfig


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://api.example.com/v1", "api.example.com"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000 (this machine)"),
        ("http://127.8.0.1/v1", "127.8.0.1 (this machine)"),
        ("http://localhost:1/v1", "localhost:1 (this machine)"),
        ("http://[::1]:8000/v1", "[::1]:8000 (this machine)"),
        ("https://localhost.example.com", "localhost.example.com"),
        ("https://user:secret@example.com/v1?key=secret", "example.com"),
        ("10.0.0.7:4318", "10.0.0.7:4318"),
        ("http://[secret", "an address that cannot be read"),
        ("http://x:secret/", "an address that cannot be read"),
    ],
)
def test_hosts_by_name(address: str, shown: str) -> None:
    assert host(address) == shown


def test_each_host_once_in_the_order_of_the_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_BASE", raising=False)
    given: list[dict[str, Any]] = [
        {},
        {"base_url": "http://127.0.0.1:8000/v1"},
        {"model": "other"},
        {"provider": "local"},
        {"provider": "anthropic"},
    ]
    roles = [ModelSettings.model_validate({"model": "m", **one}) for one in given]
    assert destinations(roles, TracingConfig()) == (
        "Documents go to: api.openai.com, 127.0.0.1:8000 (this machine), a model server of its own (this machine),"
        " the address of the provider anthropic; traces: nowhere"
    )
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example.com/v1")
    assert destinations(roles[:1], TracingConfig()) == "Documents go to: proxy.example.com; traces: nowhere"


def test_who_is_sent_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example.com")
    monkeypatch.setenv("LANGSMITH_API_KEY", "a-key")
    assert traces(TracingConfig()) == "nowhere"
    assert traces(TracingConfig(otel=True)) == "OpenTelemetry at collector.example.com"
    both = TracingConfig(otel=True, otel_endpoint="http://127.0.0.1:9/v1/traces", langsmith=True, project="p")
    assert traces(both) == (
        "LangSmith project p at api.smith.langchain.com, OpenTelemetry at 127.0.0.1:9 (this machine)"
    )
    monkeypatch.delenv("LANGSMITH_API_KEY")
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    assert "LANGSMITH_API_KEY is not set" in traces(TracingConfig())
