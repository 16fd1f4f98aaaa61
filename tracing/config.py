"""What is traced, where it goes, and what must not go there."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from autodata.models.config import Settings


class TracingConfig(Settings):
    """The run tree: kept in the run folder, and sent to LangSmith or an OpenTelemetry collector if you have one.

    Tracing never fails a run. The key of LangSmith comes from LANGSMITH_API_KEY, its address from LANGSMITH_ENDPOINT.
    """

    local: bool = True
    """Keep the run tree in run.db, for `autodata trace`."""
    langsmith: bool | None = None
    """Send it to LangSmith, with the key in LANGSMITH_API_KEY. None: only if LANGSMITH_TRACING=true. A key alone sends
    nothing. A run folder does not remember it: a configuration file or the environment asks each time."""
    project: str | None = None
    """LangSmith's project. None: that of LANGSMITH_PROJECT, or `default`."""
    otel: bool = False
    """Send it to an OpenTelemetry collector by OTLP over HTTP (`pip install 'autodata-langgraph[otel]'`)."""
    otel_endpoint: str | None = None
    """The collector's address for traces, ending in /v1/traces as a rule. None: that of OTEL_EXPORTER_OTLP_ENDPOINT."""
    exporters: tuple[str, ...] = ()
    """Exporters of installed packages to send it to as well, by name; `autodata plugins` lists them."""
    texts: bool = True
    """Whether prompts, replies, questions and answers leave with it, or the figures alone."""
    redact: tuple[str, ...] = ()
    """Regular expressions of what is blacked out before anything leaves. Keys always are."""
    exit_seconds: float = Field(default=5.0, ge=0, le=600)
    """Longest wait at the end of a session for what has not been sent yet; what is left then is lost to the trace."""

    @field_validator("redact")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                found = re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
            if found.search(""):
                raise ValueError(f"{pattern!r} matches nothing at all: say what it must find")
        return patterns

    @field_validator("otel_endpoint")
    @classmethod
    def _no_credentials_in_url(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/]", url):
            raise ValueError("an http:// or https:// address is needed")
        if url is not None and ("@" in urlsplit(url).netloc or "?" in url or "#" in url):
            raise ValueError("credentials do not belong in an address: use OTEL_EXPORTER_OTLP_HEADERS")
        return url
