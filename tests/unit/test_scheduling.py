"""The least time of a run, on jobs whose schedule can be worked out by hand."""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from contextlib import closing
from pathlib import Path

from benchmarks.calls import latency_of
from benchmarks.scheduling import Stage, scheduled, stages_of


def stage(*chains: tuple[float, ...]) -> Stage:
    return [deque(chain) for chain in chains]


def test_stages_follow_each_other_and_slots_bound_what_is_at_once() -> None:
    def one() -> list[Stage]:
        return [stage((1.0,)), stage((2.0,), (3.0,))]

    assert scheduled([one()], slots=2, documents=1) == 4
    assert scheduled([one()], slots=1, documents=1) == 6
    assert scheduled([one(), one()], slots=8, documents=1) == 8
    assert scheduled([one(), one()], slots=8, documents=2) == 4
    assert scheduled([[stage((1.0, 2.0), (2.5,))]], slots=2, documents=1) == 3


def test_latencies_are_of_their_seed_and_have_the_mean() -> None:
    found = [latency_of(seed, 2.0) for seed in range(2000)]
    assert found == [latency_of(seed, 2.0) for seed in range(2000)]
    assert 1.9 < sum(found) / len(found) < 2.1
    assert min(found) > 0


def test_a_mark_follows_its_attempt_and_waits_for_no_other(tmp_path: Path) -> None:
    calls = [
        ("quality_verifier", "0"),
        ("weak_solver", "0"),
        ("verifier", "weak/0"),
        ("weak_solver", "1"),
        ("verifier", "weak/1"),
        ("strong_solver", "0"),
        ("verifier", "strong/0"),
    ]
    with closing(sqlite3.connect(tmp_path / "run.db")) as db, db:
        db.execute("CREATE TABLE calls (document_id, n, node, idx, params)")
        for seed, (node, index) in enumerate(calls, 1):
            db.execute("INSERT INTO calls VALUES ('d', 1, ?, ?, ?)", (node, index, json.dumps({"seed": seed})))
    found = stages_of(tmp_path / "run.db", float)
    assert found == {"d": [[deque([1.0])], [deque([2.0, 3.0]), deque([4.0, 5.0])], [deque([6.0, 7.0])]]}
