"""Failures read back from a traced LangSmith project, as the optimiser's analyst wants them."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import requests
from langsmith import Client, LangsmithError, NotFoundError, utils

from autodata.checkpoints.errors import RunFailed
from autodata.nodes.optimizer.trajectories import Exchange, Failure
from autodata.tracing.langsmith import open_client
from autodata.tracing.spans import SpanKind

_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
"""Before any trace: a query that names no time looks at the last day alone."""
_PAGE = 100
_SELECT = ["id", "start_time", "extra", "outputs"]

_Round = tuple[Mapping[str, Any], Mapping[str, Any]]
"""Metadata and outputs of a traced round."""


class LangSmithTrajectories:
    """The Protocol `Trajectories` over a project that runs were traced to, with their texts."""

    def __init__(self, project: str, *, run_id: str | None = None, client: Client | None = None) -> None:
        """Read `project`; with `run_id` only what that run folder traced."""
        self._project, self._run_id = project, run_id
        self._client = client or open_client()

    async def failures(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the failed rounds of an evaluation's threads on these documents, in order of document and round.

        A round that two sessions closed counts once, as it was last traced. Raises RunFailed when LangSmith does not
        answer, refuses, or has no such project.
        """
        try:
            found = await self._rounds(evaluation)
        except (LangsmithError, utils.LangSmithError, requests.RequestException) as error:
            brief = " ".join(str(error).split())[:200]
            raise RunFailed(f"LangSmith project {self._project!r} cannot be read: {brief}") from error
        order = {document: place for place, document in enumerate(documents)}
        wanted: dict[str, Failure] = {}
        for metadata, outputs in found:
            if self._run_id in {None, metadata.get("run_id")} and metadata.get("document_id") in order:
                failure = failure_of(metadata, outputs)
                wanted[failure.round_id] = failure
        return sorted(wanted.values(), key=lambda failure: (order[failure.document_id], failure.n))

    async def _rounds(self, evaluation: str) -> list[_Round]:
        """Return the rejected rounds of an evaluation, in the order in which they began."""
        tags = (f"kind:{SpanKind.ROUND.value}", f"evaluation:{evaluation}", "verdict:rejected")
        wanted = f"and({', '.join(f'has(tags, {_quoted(tag)})' for tag in tags)})"
        project = (await asyncio.to_thread(self._client.read_project, project_name=self._project)).id
        try:
            return await self._queried(project, wanted)
        except NotFoundError:  # a server older than 0.16 has no such path
            return await asyncio.to_thread(self._listed, project, wanted)

    async def _queried(self, project: UUID, wanted: str) -> list[_Round]:
        runs = await asyncio.to_thread(lambda: self._client.runs)  # it asks the server for its version
        pages = runs.query(
            project_ids=[str(project)],
            filter=wanted,
            min_start_time=_FIRST,
            page_size=_PAGE,
            selects=["ID", "START_TIME", "METADATA", "OUTPUTS"],
            extra_headers={"Connection": "close"},  # the client has no public way to close this connection later
        )
        found = [run async for run in pages]
        found.sort(key=lambda run: run.start_time or _FIRST)
        return [(run.metadata or {}, run.outputs or {}) for run in found]

    def _listed(self, project: UUID, wanted: str) -> list[_Round]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # only servers that lack its successor are asked by it
            runs = list(self._client.list_runs(project_id=project, filter=wanted, select=_SELECT))
        runs.sort(key=lambda run: run.start_time)
        return [(run.metadata, run.outputs or {}) for run in runs]


def failure_of(metadata: Mapping[str, Any], outputs: Mapping[str, Any]) -> Failure:
    """Return the failure that a traced round holds."""
    return Failure(
        round_id=str(outputs.get("round_id") or metadata["round_id"]),
        document_id=str(metadata["document_id"]),
        n=int(metadata["round"]),
        failure_mode=str(outputs.get("failure_mode") or metadata["failure_mode"]),
        reason=str(outputs.get("reason") or ""),
        candidate=outputs.get("candidate") or {},
        quality=outputs.get("quality"),
        weak_mean=outputs.get("weak_mean"),
        strong_mean=outputs.get("strong_mean"),
        feedback=str(outputs.get("feedback") or ""),
        exchanges=tuple(_exchange(attempt) for attempt in _attempts(outputs)),
    )


def _attempts(outputs: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return outputs.get("attempts") or ()


def _exchange(attempt: Mapping[str, Any]) -> Exchange:
    return Exchange(
        attempt_id=attempt["attempt_id"],
        stage=attempt["stage"],
        answer=attempt["answer"],
        score=attempt["score"],
        marks=tuple(attempt["marks"]),
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
