"""The server engine: documents as background runs of a LangGraph Agent Server, their results in a local run folder.

A document has one thread on the server, named after the run folder and the document: whoever repeats the command
joins the run that is there already, or collects its result. What was paid for stands in the server's own journal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4, uuid5

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError, ConflictError

from autodata.checkpoints.asked import asked_key, question_key
from autodata.checkpoints.document_queue import DocumentQueue
from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import digest
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.numbers import tied_to_numbers
from autodata.checkpoints.queries.meta import meta
from autodata.checkpoints.records import DocumentStatus
from autodata.checkpoints.usage import Usage
from autodata.checkpoints.writes import Failure, record_collected, record_failure, record_meta
from autodata.models.faults import describe
from autodata.runner.config import require_kind, write_resolved
from autodata.runner.events import CollectedEvent, DrainedEvent, EndedEvent, ErroredEvent, RunEvent, StartedEvent
from autodata.runner.fingerprint import changed_since, kept_of
from autodata.runner.outcome import InARow, Outcome
from autodata.runner.run_folder import open_ledger
from autodata.runner.target import Target

KIND = "run --server"
WAIT_SECONDS = 300.0
"""Longest wait for one answer of the server. A run that takes longer is asked after again."""
ENDED = frozenset({"accepted", "rejected", "skipped"})


@dataclass(frozen=True)
class RemoteRun:
    """What a server is asked to do: one of its graphs, and a context that it takes from a caller."""

    graph: str
    context: Mapping[str, Any]
    concurrency: int = 8
    limit: int | None = None
    target: int | None = None
    pause_after_documents: int = 5
    """Documents in a row that end errored for the same cause after which no more are submitted."""
    reading: Mapping[str, str] = field(default_factory=dict)
    """The settings of reading documents here that results depend on, as a fingerprint has them."""

    def resolved(self) -> dict[str, Any]:
        """Return what `RUN/config.toml` holds."""
        return {"kind": KIND, "graph": self.graph, "context": dict(self.context)}


@dataclass(frozen=True)
class _ServerError:
    """What a server says of a run that failed."""

    error: str
    message: str

    def __str__(self) -> str:
        return f"{self.error}: {' '.join(self.message.split())[:300]}"


class RemoteRunner:
    """One session: submit, join and collect until all documents have ended or something says stop."""

    def __init__(self, run: RemoteRun, ledger: Ledger, client: LangGraphClient, folder_id: UUID, url: str) -> None:
        self._run, self.ledger, self._client, self._folder_id, self._url = run, ledger, client, folder_id, url
        self._queue = DocumentQueue(ledger)
        self._stop = asyncio.Event()
        self._target = Target(run.target)
        self._in_a_row = InARow(run.pause_after_documents)
        self.outcome = Outcome()
        self.usage = Usage()
        """What the server says of the documents collected in this session."""
        self.on_event: Callable[[RunEvent], None] = lambda event: None

    def drain(self, reason: str, *, failed: bool = False) -> None:
        """Submit and wait for nothing more. Runs go on at the server; the same command joins them."""
        self.outcome.stop(reason, failed=failed)
        self._stop.set()

    def thread_id(self, document_id: str) -> str:
        """Return the server's thread of a document: the same one whenever this folder asks."""
        return str(uuid5(self._folder_id, document_id))

    async def run(self) -> Outcome:
        """Take every open document to its end, `concurrency` at a time. Raises UserError for what is refused."""
        await self._target.begin(self.ledger)
        self._look_at_target()
        rows = await self._queue.open(self._run.limit)
        waiting = iter(rows)

        async def work() -> None:
            for row in waiting:
                if self._stop.is_set():
                    return
                await self._document(row)

        workers = [asyncio.create_task(work()) for _ in range(min(self._run.concurrency, len(rows)))]
        stop = asyncio.create_task(self._stop.wait())
        try:
            left: set[asyncio.Task[Any]] = set(workers)
            while left and not stop.done():
                done, _ = await asyncio.wait({*left, stop}, return_when=asyncio.FIRST_COMPLETED)
                left -= done
                for task in done - {stop}:
                    task.result()
        finally:
            for task in (*workers, stop):
                task.cancel()
            await asyncio.gather(*workers, stop, return_exceptions=True)
        return self.outcome

    def _look_at_target(self) -> None:
        if reached := self._target.reached:
            self.drain(reached)

    async def _document(self, row: Mapping[str, Any]) -> None:
        document_id, name = row["document_id"], row["name"]
        self.on_event(StartedEvent(document_id, name, resumed=False))
        try:
            found = await self._result(row)
        except APIStatusError as error:
            if error.response.status_code in {400, 401, 403, 404, 422}:
                raise UserError(
                    f"{self._url}: the server refused: {_one_line(error)}: check --server, --graph"
                ) from error
            self.drain(f"{self._url}: {_one_line(error)}", failed=True)
        except httpx.HTTPError as error:
            self.drain(f"{self._url} cannot be reached: {describe(error)}", failed=True)
        else:
            if isinstance(found, _ServerError):
                await self._failed(row, found)
            elif found is None:
                self.on_event(DrainedEvent(document_id))
            else:
                await self._collect(row, found)

    async def _failed(self, row: Mapping[str, Any], error: _ServerError) -> None:
        """Keep what ended one document; what stops them all, or is the caller's mistake, stops the session."""
        if error.error == "Refused":
            raise UserError(f"{self._url}: {error.message}")
        if error.error == "Stopped":
            self.drain(f"{self._url}: {error.message}", failed=True)
            return
        document_id, reason = row["document_id"], str(error)
        line = f"{row['name']}: {reason}"
        self.outcome.errored.append(line)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        failure_id = digest([document_id, reason, now])
        thread = self.thread_id(document_id)
        await record_failure(
            self.ledger, Failure(failure_id, document_id, thread, error.error, error.message, reason=reason)
        )
        self.on_event(ErroredEvent(document_id, row["name"], reason))
        kind, _, brief = reason.partition(": ")
        if (why := self._in_a_row.errored(kind, brief, line)) and self.outcome.has_one_cause(self._in_a_row.lines):
            self.drain(why, failed=True)

    async def _result(self, row: Mapping[str, Any]) -> dict[str, Any] | _ServerError | None:
        """Return a document's result: collected, joined or asked for. None: it waits for a person at the server."""
        client, thread = self._client, self.thread_id(row["document_id"])
        about = {"autodata_document": row["document_id"], "autodata_name": row["name"]}
        await client.threads.create(thread_id=thread, graph_id=self._run.graph, if_exists="do_nothing", metadata=about)
        submitted = False
        while True:
            runs = await client.runs.list(thread, limit=1)
            if runs and runs[0]["status"] in {"pending", "running"}:
                with suppress(httpx.ReadTimeout):  # it takes longer: ask again
                    await client.runs.join(thread, runs[0]["run_id"])
                continue
            state = await client.threads.get_state(thread)
            values: Any = state["values"] or {}
            if not state["next"] and values.get("status") in ENDED:
                return dict(values)
            if runs and runs[0]["status"] == "interrupted" and state["next"]:
                return None
            if submitted:
                return await self._error_of(thread)
            await self._submit(thread, row, begun=bool(state["next"]))
            submitted = True

    async def _submit(self, thread: str, row: Mapping[str, Any], *, begun: bool) -> None:
        """Create a background run, from the thread's checkpoint if it has one. Another one there is joined instead."""
        given = None
        if not begun:
            text = await self.ledger.get(f"document/{row['document_id']}")
            given = {"text": text, "title": row["title"], "name": row["name"]}
        with suppress(ConflictError):
            await self._client.runs.create(
                thread,
                self._run.graph,
                input=given,
                context=dict(self._run.context) or None,
                multitask_strategy="reject",
            )

    async def _error_of(self, thread: str) -> _ServerError:
        found: Any = (await self._client.threads.get(thread)).get("error") or {}
        if isinstance(found, str):
            with suppress(ValueError):
                found = json.loads(found)
        if not isinstance(found, dict):
            return _ServerError("Failed", str(found))
        return _ServerError(
            str(found.get("error", "Failed")), str(found.get("message", "the run ended without a result"))
        )

    async def _collect(self, row: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Store a result in one transaction: status, rounds, candidates, verdicts, the example."""
        self._in_a_row.ended()
        document_id, history = row["document_id"], values.get("history") or []
        key, tied = "", False
        if example := values.get("example"):
            question = example["candidate"]["question"]
            text = await self.ledger.get(f"document/{document_id}")
            key, tied = question_key(question), await asyncio.to_thread(tied_to_numbers, question, text)
        thread = self.thread_id(document_id)
        await record_collected(self.ledger, document_id, thread, values, question_key=key, tied=tied)
        for entry in values.get("usage") or []:
            self.usage += Usage.of_row(entry)
        asked = asked_key(question, example["candidate"].get("context") or "") if example else ""
        self.on_event(CollectedEvent(document_id, len(history), DocumentStatus(values["status"]), asked))
        self.on_event(EndedEvent(document_id))
        if example:
            self._target.count(example["candidate"])
        self._look_at_target()


@asynccontextmanager
async def open_remote(run: RemoteRun, folder: Path, url: str, key: str | None) -> AsyncIterator[RemoteRunner]:
    """Open or create the run folder of documents that a server works on. Nothing is sent yet.

    Raises UserError for a folder of another kind or asking for something else, an address that is none, or a key that
    would be sent in the clear.
    """
    require_address(url, key)
    async with open_ledger(folder) as ledger:
        folder_id = await _bind(ledger, folder, run)
        # The key is named by the caller alone: the client would take any that it finds in the environment.
        async with get_client(url=url, api_key=key, timeout=WAIT_SECONDS) as client:
            yield RemoteRunner(run, ledger, client, folder_id, url)


def require_address(url: str, key: str | None) -> None:
    """Raise UserError for an address that is none, holds a secret, or would take a key in the clear."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError(f"--server {url.partition('?')[0]}: an http:// or https:// address is needed")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UserError("--server: credentials do not belong in an address: use --server-key-env")
    if key and parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise UserError(f"--server {url}: a key is not sent without encryption: use https://")


async def _bind(ledger: Ledger, folder: Path, run: RemoteRun) -> UUID:
    """Tie a folder to what the server is asked for; return the folder's own id, which names its threads."""
    known = await meta(ledger)
    fields = {
        "graph": run.graph,
        **run.reading,
        **{f"context.{name}": str(value) for name, value in run.context.items()},
    }
    if "bearing" in known:
        require_kind(known, KIND, folder)
    if changed := changed_since(known, fields, folder):
        raise UserError(
            f"{folder} was made with another configuration ({'; '.join(changed[:5])}): use another --out, or the"
            " old values"
        )
    folder_id = known.get("folder_id") or str(uuid4())
    domain = run.graph.removeprefix("self_instruct_")
    values = {**kept_of(fields), "kind": KIND, "domain": domain, "folder_id": folder_id}
    await record_meta(ledger, values)
    write_resolved(folder / "config.toml", run.resolved())
    return UUID(folder_id)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
