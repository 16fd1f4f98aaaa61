"""Adaptive stopping in whole runs: one that is cut off decides as one that is not, and walking all changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.queries.stopping import losses_of_stopping
from tests.graph.test_runner import EXAMPLES, QUICK, Watch, settings
from tests.support.runs import run_session


def adaptive(domain: str, **changes: Any) -> dict[str, Any]:
    """Return a configuration that stops adaptively, one document after the other: a fit is of what has finished."""
    return settings(domain, concurrency=1, curtail="adaptive", curtail_error=0.2, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["facts", "cs"])
async def test_a_run_that_is_cut_off_again_and_again_decides_as_one_that_is_not(domain: str, tmp_path: Path) -> None:
    documents = QUICK if domain == "cs" else EXAMPLES[:3]
    whole = await run_session(tmp_path / "whole", adaptive(domain), documents)
    paid, sessions = 0, 0
    while True:
        watch = Watch(23)
        session = await run_session(tmp_path / "cut", adaptive(domain), documents, watch)
        sessions, paid = sessions + 1, paid + watch.count("call")
        assert session.outcome.errored == []
        if not session.outcome.stopped:
            break
    assert sessions > 1
    assert session.tables == whole.tables
    assert paid == len(whole.calls)


@pytest.mark.slow
async def test_candidates_that_are_walked_to_the_end_are_those_of_a_run_that_does_not_stop(tmp_path: Path) -> None:
    documents = EXAMPLES[:3]
    off = await run_session(tmp_path / "off", settings("facts", concurrency=1, curtail="off"), documents)
    walked = await run_session(tmp_path / "walked", adaptive("facts", curtail_walked=1), documents)
    for name in ("attempts", "marks", "verdicts", "examples", "calls"):
        assert walked.tables[name] == off.tables[name]
    async with open_readonly(tmp_path / "walked" / "run.db") as ledger:
        found = await losses_of_stopping(ledger)
    assert found["walked"] == found["candidates"] > 0
    assert found["accepted"] == len(off.tables["examples"])


async def test_accepted_examples_have_all_their_attempts_and_their_means(tmp_path: Path) -> None:
    session = await run_session(tmp_path, adaptive("facts", curtail_walked=0.01), EXAMPLES[:3])
    async with open_readonly(tmp_path / "run.db") as ledger:
        rows = await ledger.read("SELECT example, weak_mean, strong_mean FROM examples")
        [made] = await ledger.read("SELECT count(*) AS n FROM attempts")
        [rounds] = await ledger.read("SELECT count(DISTINCT round_id) AS n FROM attempts WHERE stage = 'weak'")
    assert len(rows) == session.statuses.count("accepted") > 0
    for row in rows:
        example = json.loads(row["example"])
        assert (len(example["weak_scores"]), len(example["strong_scores"])) == (4, 4)
        assert None not in (row["weak_mean"], row["strong_mean"])
    assert made["n"] < 8 * rounds["n"]
