"""A stand-in for an OpenTelemetry collector on the loopback interface: keeps the spans it is sent."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Span = dict[str, Any]


class Collector:
    """The collector. `spans` are plain values; `silent` accepts requests and never answers."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.requests = 0
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[bytes] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**28)
        app.router.add_post("/v1/traces", self._take)
        self._gone = asyncio.Event()
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=3600, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1/traces"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._gone.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.headers.append(dict(request.headers))
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.bodies.append(body)
        if self.silent:
            await self._gone.wait()
        message = ExportTraceServiceRequest()
        message.ParseFromString(body)
        for of_resource in message.resource_spans:
            self.resources.append(_plain(of_resource.resource.attributes))
            for of_scope in of_resource.scope_spans:
                self.spans += [_span(span) for span in of_scope.spans]
        return web.Response(body=b"", content_type="application/x-protobuf")


def _span(span: Any) -> Span:
    return {
        "name": span.name,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_id": span.parent_span_id.hex(),
        "kind": span.kind,
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "attributes": _plain(span.attributes),
        "events": [{"name": event.name, **_plain(event.attributes)} for event in span.events],
        "status": span.status.code,
        "message": span.status.message,
    }


def _plain(attributes: Any) -> dict[str, Any]:
    return {item.key: _value(item.value) for item in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)
