"""Failures read back from a traced LangSmith project, as the optimiser's analyst wants them."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import requests
from langsmith import Client, utils

from autodata.checkpoints.records import RunFailed
from autodata.nodes.optimizer.trajectories import Exchange, Failure
from autodata.tracing.langsmith import open_client
from autodata.tracing.spans import SpanKind

_SELECT = ["id", "name", "run_type", "start_time", "end_time", "extra", "outputs", "tags", "trace_id", "dotted_order"]


class LangSmithTrajectories:
    """The Protocol `Trajectories` over a project that runs were traced to, with their texts."""

    def __init__(self, project: str, *, run_id: str | None = None, client: Client | None = None) -> None:
        """Read `project`; with `run_id` only what that run folder traced."""
        self._project, self._run_id = project, run_id
        self._client = client or open_client()

    async def failures(self, evaluation: str, documents: tuple[str, ...]) -> list[Failure]:
        """Return the failed rounds of an evaluation's threads on these documents, in order of document and round.

        A round that two sittings closed counts once, as it was last traced. Raises RunFailed when LangSmith does not
        answer, refuses, or has no such project.
        """
        try:
            found = await asyncio.to_thread(lambda: list(self._rounds(evaluation)))
        except (utils.LangSmithError, requests.RequestException) as error:
            brief = " ".join(str(error).split())[:200]
            raise RunFailed(f"LangSmith project {self._project!r} cannot be read: {brief}") from error
        order = {document: place for place, document in enumerate(documents)}
        wanted: dict[str, Failure] = {}
        for metadata, outputs in found:
            if self._run_id in {None, metadata.get("run_id")} and metadata.get("document_id") in order:
                failure = failure_of(metadata, outputs)
                wanted[failure.round_id] = failure
        return sorted(wanted.values(), key=lambda failure: (order[failure.document_id], failure.n))

    def _rounds(self, evaluation: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        tags = (f"kind:{SpanKind.ROUND.value}", f"evaluation:{evaluation}", "verdict:rejected")
        wanted = f"and({', '.join(f'has(tags, {_quoted(tag)})' for tag in tags)})"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its successor is not on every server yet
            runs = list(self._client.list_runs(project_name=self._project, filter=wanted, select=_SELECT))
        for run in sorted(runs, key=lambda run: run.start_time):
            yield run.metadata, run.outputs or {}


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
