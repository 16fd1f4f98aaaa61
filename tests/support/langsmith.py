"""A stand-in for LangSmith on the loopback interface: keeps what it is sent and answers what its client asks.

Within a test: `async with LangSmith() as service:`, with LANGSMITH_ENDPOINT set to `service.url`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import uuid4

from aiohttp import web

Json = dict[str, Any]


class LangSmith:
    """The service. `runs`, `feedback`, `datasets` and `examples` are by id; `requests` counts method and path."""

    def __init__(
        self, *, silent: bool = False, refuses: int = 0, multipart: bool = True, query_v2: bool = True
    ) -> None:
        self.silent = silent
        """Accepts every request and never answers."""
        self.refuses = refuses
        """The HTTP status of every answer, where one is set."""
        self.multipart = multipart
        """Whether runs are accepted in multipart requests; an older server has no such path."""
        self.query_v2 = query_v2
        """Whether runs are queried by the second version of the API; a server older than 0.16 has no such path."""
        self.runs: dict[str, Json] = {}
        self.feedback: dict[str, Json] = {}
        self.datasets: dict[str, Json] = {}
        self.examples: dict[str, Json] = {}
        self.projects: dict[str, str] = {}
        self.requests: Counter[str] = Counter()
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[bytes] = []
        self.unknown: list[str] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/{path:.*}", self._any)
        self._gone = asyncio.Event()
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=3600, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._gone.set()
        await self._runner.cleanup()

    @property
    def sent(self) -> str:
        """Everything that was sent, in one text."""
        return b"\n".join(self.bodies).decode("utf-8", "replace")

    def of_kind(self, kind: str) -> list[Json]:
        """Return the runs of one kind, in the order in which they started."""
        found = [run for run in self.runs.values() if run["extra"]["metadata"].get("kind") == kind]
        return sorted(found, key=lambda run: str(run["dotted_order"]))

    async def _any(self, request: web.Request) -> web.Response:
        method, path = request.method, f"/{request.match_info['path']}"
        self.requests[f"{method} {re.sub(r'[0-9a-f-]{36}', '*', path)}"] += 1
        self.headers.append(dict(request.headers))
        body = await request.read()
        self.bodies.append(body)
        if self.silent:
            await self._gone.wait()
        if self.refuses:
            return web.json_response({"detail": "refused by the stand-in"}, status=self.refuses)
        if path == "/runs/multipart" and self.multipart:
            await self._take(request, body)
            return web.json_response({}, status=202)
        plain = json.loads(body) if body and request.content_type == "application/json" else {}
        answers: dict[str, Any] = {
            "GET /info": lambda: {
                "version": "0.16.0" if self.query_v2 else "0.13.0",
                "instance_flags": {},
                "batch_ingest_config": None,
            },
            "POST /runs/batch": lambda: self._batch(plain),
            "POST /feedback": lambda: self.feedback.setdefault(plain["id"], plain),
            "GET /sessions": lambda: self._project(request.query.get("name")),
            "POST /sessions": lambda: self._make_project(plain["name"]),
            "POST /runs/query": lambda: self._query(plain),
            **({"POST /api/v2/runs/query": lambda: self._query_v2(plain)} if self.query_v2 else {}),
            "GET /datasets": lambda: [d for d in self.datasets.values() if d["name"] == request.query.get("name")],
            "POST /datasets": lambda: self._make_dataset(plain),
            "GET /examples": lambda: self._listed(request.query),
            "POST /examples/bulk": lambda: [self._add_example(item) for item in plain],
            "GET /settings": lambda: {"id": str(uuid4()), "display_name": "stand-in", "created_at": _NOW},
        }
        if (answer := answers.get(f"{method} {path}")) is None:
            if path not in {"/runs/multipart", "/api/v2/runs/query"}:
                self.unknown.append(f"{method} {path}")
            return web.json_response({"detail": "no such path"}, status=404)
        return web.json_response(answer())

    async def _take(self, request: web.Request, body: bytes) -> None:
        boundary = re.search(r"boundary=(\S+)", request.headers["Content-Type"])
        assert boundary
        for part in body.split(b"--" + boundary[1].encode())[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]+)"', head)
            assert name
            operation, identity, *fields = name[1].decode().split(".")
            value = json.loads(content.rstrip(b"\r\n"))
            if operation == "feedback":
                self.feedback[identity] = value
            else:
                run = self.runs.setdefault(identity, {"operations": []})
                if not fields:
                    run["operations"].append(operation)
                run.update({fields[0]: value} if fields else value)
                self._make_project(run.get("session_name") or "default")

    def _batch(self, body: Json) -> Json:
        for operation in ("post", "patch"):
            for run in body.get(operation, []):
                self.runs.setdefault(run["id"], {"operations": []}).update(run)
                self.runs[run["id"]]["operations"].append(operation)
                self._make_project(run.get("session_name") or "default")
        return {}

    def _project(self, wanted: str | None) -> list[Json]:
        return [self._shown(name) for name in self.projects if wanted in {None, name}]

    def _make_project(self, name: str) -> Json:
        self.projects.setdefault(name, str(uuid4()))
        return self._shown(name)

    def _shown(self, name: str) -> Json:
        shown = {"id": self.projects[name], "name": name, "start_time": _NOW, "tenant_id": str(uuid4())}
        return shown | {"reference_dataset_id": None}

    def _query(self, body: Json) -> Json:
        """Answer the first version of a query, page by page."""
        page, following = self._page(body["session"], body)
        shown = [{"id": None, **run, "events": [], "status": "success"} for run in page]
        return {"runs": shown, "cursors": {"next": following}}

    def _query_v2(self, body: Json) -> Json:
        """Answer the second version, which returns the fields that were asked for; of one day, where no time is."""
        assert set(body["selects"]) == {"ID", "START_TIME", "METADATA", "OUTPUTS"}
        assert datetime.fromisoformat(body["min_start_time"]) < datetime.now(UTC) - timedelta(days=366)
        page, following = self._page(body["project_ids"], body)
        names = {"id": "id", "start_time": "start_time", "outputs": "outputs"}
        shown = [
            {shown: run.get(name) for shown, name in names.items()} | {"metadata": run["extra"]["metadata"]}
            for run in page
        ]
        return {"items": shown, "next_cursor": following}

    def _page(self, projects: list[str], body: Json) -> tuple[list[Json], str | None]:
        """Return runs of projects that have all the tags of a filter `and(has(tags, "a"), has(tags, "b"))`."""
        wanted = set(re.findall(r'has\(tags, "([^"]+)"\)', body.get("filter", "")))
        rest = re.sub(r'has\(tags, "[^"]+"\)|and\(|[\s,()]', "", body.get("filter", ""))
        assert not rest, f"the stand-in does not know {rest}"
        names = {name for name, identity in self.projects.items() if identity in projects}
        found = [r for r in self.runs.values() if r.get("session_name") in names and wanted <= set(r.get("tags") or [])]
        first, size = int(body.get("cursor", 0)), 3  # small pages, so that there are several
        return found[first : first + size], str(first + size) if first + size < len(found) else None

    def _make_dataset(self, body: Json) -> Json:
        made = {**body, "id": str(uuid4()), "created_at": _NOW, "modified_at": _NOW, "tenant_id": str(uuid4())}
        self.datasets[made["id"]] = made
        return made

    def _add_example(self, item: Json) -> Json:
        assert item["id"] not in self.examples, "an example with this id is there already"
        self.examples[item["id"]] = {**item, "created_at": _NOW, "modified_at": _NOW, "source_run_id": None}
        return self.examples[item["id"]]

    def _listed(self, query: Mapping[str, str]) -> list[Json]:
        found = [item for item in self.examples.values() if item["dataset_id"] == query["dataset"]]
        first, limit = int(query.get("offset", 0)), int(query.get("limit", 100))
        return found[first : first + limit]


_NOW = "2026-01-01T00:00:00+00:00"
