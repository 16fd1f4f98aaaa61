"""Where traces can go: the package's own exporters, and those of entry points `autodata.trace_exporters`."""

from __future__ import annotations

from collections.abc import Callable

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.registry import Registry
from autodata.tracing.config import TracingConfig
from autodata.tracing.langsmith import open_langsmith
from autodata.tracing.otel import open_otel
from autodata.tracing.redact import Redactor
from autodata.tracing.spans import Exporter

Opener = Callable[[TracingConfig, Redactor], Exporter | None]
"""Opens an exporter, which redacts with what it is given and honours `texts`; None where it is not asked for.

It raises UserError when it is asked for and lacks something: a library, a key.
"""

TRACE_EXPORTERS: Registry[Opener] = Registry(
    "autodata.trace_exporters", "trace exporter", {"otel": open_otel, "langsmith": open_langsmith}
)
"""Each exporter by name. Those of the package have settings of their own; others are named in `tracing.exporters`."""


def open_exporters(config: TracingConfig, redactor: Redactor) -> list[Exporter]:
    """Open the exporters that are asked for: an installed one that nobody names gets nothing. Raises UserError."""
    if own := [name for name in config.exporters if name in TRACE_EXPORTERS.shipped]:
        raise UserError(f"tracing.exporters: {own[0]!r} has a setting of its own: use tracing.{own[0]} = true")
    names = (*TRACE_EXPORTERS.shipped, *dict.fromkeys(config.exporters))
    opened = (TRACE_EXPORTERS.find(name, "tracing.exporters")(config, redactor) for name in names)
    return [exporter for exporter in opened if exporter is not None]
