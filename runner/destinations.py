"""Where a run's documents go, said before anything is sent: the hosts of its models, and who is sent its traces."""

from __future__ import annotations

import os
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from autodata.models.config import OWN, ModelSettings
from autodata.tracing.config import TracingConfig
from autodata.tracing.langsmith import has_key, langsmith_asked, project_name
from autodata.tracing.registry import TRACE_EXPORTERS

OPENAI = "api.openai.com"
HERE = "(this machine)"


def destinations(roles: Iterable[ModelSettings], tracing: TracingConfig) -> str:
    """Return the line that a run, a search and a server begin with."""
    hosts = dict.fromkeys(_host_of(settings) for settings in roles)
    return f"Documents go to: {', '.join(hosts)}; traces: {traces(tracing)}"


def traces(tracing: TracingConfig) -> str:
    """Return who is sent traces: by name and host, or `nowhere`."""
    found: list[str] = []
    if langsmith_asked(tracing.langsmith):
        address = _environment("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT") or "https://api.smith.langchain.com"
        place = f"LangSmith project {project_name(tracing.project)} at {host(address)}"
        found.append(
            place if has_key() else "nowhere (LANGSMITH_TRACING asks for it, but LANGSMITH_API_KEY is not set)"
        )
    if tracing.otel:
        address = tracing.otel_endpoint or _environment(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
        )
        found.append(f"OpenTelemetry at {host(address or 'http://localhost:4318')}")
    for name in dict.fromkeys(tracing.exporters):
        spec = TRACE_EXPORTERS.spec(name) if name in TRACE_EXPORTERS else "not installed"
        found.append(f"the exporter {name} ({spec})")
    return ", ".join(found) or "nowhere"


def host(address: str) -> str:
    """Return the host of an address with its port, if it names one, and whether it is this machine."""
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return "an address that cannot be read"
    shown = f"[{name}]" if ":" in name else name
    return shown + (f":{port}" if port else "") + (f" {HERE}" if _is_here(name) else "")


def _host_of(settings: ModelSettings) -> str:
    if settings.provider == "simulated":
        return "nobody (simulated models)"
    if settings.provider == OWN:
        return f"the chat model {settings.model} that was given, wherever it sends them"
    if settings.provider == "local":
        return f"a model server of its own {HERE}"
    if settings.address:
        return host(settings.address)
    if settings.provider == "openai":
        return host(_environment("OPENAI_BASE_URL", "OPENAI_API_BASE") or f"https://{OPENAI}")
    return f"the address of the provider {settings.provider}"


def _environment(*names: str) -> str:
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def _is_here(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
