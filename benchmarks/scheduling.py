"""The least time of a run: list scheduling of its calls, each as long as its server took, and nothing besides.

A document's calls come in stages, as the graph makes them: those of a stage side by side, the repairs of one call one
after the other. An attempt and its mark are such a chain, too: it is marked once its answer is in, whatever the others
do. A stage begins once the one before it is over. At most `slots` calls are in flight, in the order in
which they are ready, and at most `documents` documents are in work, in the order of the run's queue.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import groupby
from pathlib import Path

Stage = list[deque[float]]
"""Chains of seconds that run side by side."""


def stages_of(path: Path, latency_of: Callable[[int], float]) -> dict[str, list[Stage]]:
    """Return the stages of each document of a ledger, in the order of their calls; `latency_of` knows a seed's."""
    query = "SELECT document_id, n, node, idx, params FROM calls ORDER BY document_id, rowid"
    with closing(sqlite3.connect(path)) as base:
        rows = base.execute(query).fetchall()
    found: dict[str, list[Stage]] = {}
    for document, of_document in groupby(rows, key=lambda row: row[0]):
        for _, of_stage in groupby(of_document, key=lambda row: (row[1], _place(row[2], row[3])[0])):
            chains: dict[str, deque[float]] = {}
            for _, _, node, index, params in of_stage:
                chain = chains.setdefault(_place(node, index)[1], deque())
                chain.append(latency_of(json.loads(params)["seed"]))
            found.setdefault(document, []).append([*chains.values()])
    return found


def _place(node: str, index: str) -> tuple[str, str]:
    """Return the stage that a call of a round is in, and its chain there."""
    if node in {"weak_solver", "strong_solver"}:
        return node, index.partition("/")[0]
    if node == "verifier" and "/" in index:
        solver, _, attempt = index.partition("/")
        return f"{solver}_solver", attempt
    return f"{node} {index.partition('/')[0] * ('/' in index)}", index


def scheduled(jobs: Iterable[list[Stage]], *, slots: int, documents: int) -> float:
    """Return when the last call is over, in seconds."""
    waiting = deque(deque(stages) for stages in jobs)
    ready: deque[tuple[deque[float], int]] = deque()
    running: list[tuple[float, int, deque[float], int]] = []
    of_document: dict[int, deque[Stage]] = {}
    left: dict[int, int] = {}
    now, taken = 0.0, 0

    def next_stage(document: int) -> None:
        stages = of_document[document]
        if not stages:
            del of_document[document]
            begin()
            return
        stage = stages.popleft()
        left[document] = len(stage)
        ready.extend((chain, document) for chain in stage)

    def begin() -> None:
        nonlocal taken
        if waiting:
            taken += 1
            of_document[taken] = waiting.popleft()
            next_stage(taken)

    for _ in range(documents):
        begin()
    order = 0
    while ready or running:
        while ready and len(running) < slots:
            chain, document = ready.popleft()
            order += 1
            heapq.heappush(running, (now + chain.popleft(), order, chain, document))
        now, _, chain, document = heapq.heappop(running)
        if chain:
            ready.append((chain, document))
            continue
        left[document] -= 1
        if not left[document]:
            next_stage(document)
    return now


def least_time(path: Path, latency_of: Callable[[int], float], *, slots: int, documents: int) -> tuple[int, int, float]:
    """Return calls and rounds of a run's ledger, and the least seconds that its calls could have taken."""
    jobs = stages_of(path, latency_of)
    with closing(sqlite3.connect(path)) as base:
        rounds = int(base.execute("SELECT count(*) FROM rounds").fetchone()[0])
        order = [row[0] for row in base.execute("SELECT document_id FROM documents ORDER BY rowid")]
    calls = sum(len(chain) for stages in jobs.values() for stage in stages for chain in stage)
    return (
        calls,
        rounds,
        scheduled((jobs[document] for document in order if document in jobs), slots=slots, documents=documents),
    )
