"""A target on simulated models: exactly so many in a result and in an export, whatever was accepted beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from autodata import open_run
from autodata.checkpoints.ledger import Ledger
from autodata.runner.ingest import add_documents
from autodata.runner.remote import RemoteRun, RemoteRunner
from tests.graph.test_generate import ALL, make
from tests.support.commands import invoke, parsed, words
from tests.support.runs import generated

ANY: dict[str, Any] = {"preset": {"weak_mean": "<= 1", "strong_mean": ">= 0", "gap": ">= -1"}, "max_rounds": 15}
"""Whatever is asked well is accepted."""


def exported(run: Path, *more: str) -> tuple[list[str], str]:
    result = invoke("export", run, "--format", "jsonl", "--out", "-", *more)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["id"] for line in result.stdout.splitlines()], words(result.stderr)


@pytest.mark.slow
def test_what_is_accepted_beyond_a_target_is_kept_marked_and_taken_first(tmp_path: Path) -> None:
    """A session without a target accepts all; later ones take some of it without a call, and a drop makes room."""
    run = tmp_path / "run"
    every = make(ALL, out=run, **ANY)
    most = len(every)
    assert most >= 3
    ids = {row["id"] for row in every}
    fewer = make(out=run, documents=None, target=most - 2, **ANY)
    assert (len(fewer), fewer.usage.calls) == (most - 2, every.usage.calls)
    kept, said = exported(run)
    assert [row["id"] for row in fewer] == [row["id"] for row in open_run(run)] == kept
    assert f"2 examples beyond the target of {most - 2}: left out (--surplus keeps them)" in said
    assert set(exported(run, "--surplus")[0]) == ids
    assert open_run(run).export(tmp_path / "x.jsonl") == most - 2
    status = parsed("status", run, "--json")
    assert (status["target"], status["surplus"], status["accepted"]) == (most - 2, 2, most)
    shown = parsed("show", run, "--json")
    assert sum(row["surplus"] for row in shown) == 2
    assert invoke("drop", run, kept[0]).exit_code == 0
    room, said = exported(run)
    assert (len(room), kept[0] in room) == (most - 2, False)
    assert "1 example beyond the target" in said
    more = make(out=run, documents=None, target=most - 1, **ANY)
    assert (len(more), more.usage.calls) == (most - 1, every.usage.calls)
    assert len(make(out=run, documents=None, **ANY)) == most - 1
    assert parsed("status", run, "--json")["target"] is None


@pytest.mark.slow
def test_documents_accepted_at_once_give_no_more_than_the_target(tmp_path: Path) -> None:
    result = make(ALL, out=tmp_path / "run", target=1, concurrency=4, **ANY)
    assert (len(result), result.stopped) == (1, "target of 1 accepted reached")
    assert len(exported(tmp_path / "run")[0]) == 1


async def test_a_result_of_a_server_that_repeats_an_earlier_one_does_not_count(tmp_path: Path) -> None:
    documents = generated(3)
    questions = ("Why is it?", "why  is it", "Where is it?")
    async with Ledger.open(tmp_path / "run.db") as ledger:
        await add_documents(ledger, documents)
        client: Any = None  # it is never asked
        runner = RemoteRunner(
            RemoteRun("self_instruct_cs", {}, target=2), ledger, client, uuid4(), "http://127.0.0.1:1"
        )
        stopped = []
        for document, question in zip(documents, questions, strict=True):
            example: dict[str, Any] = {
                "example_id": document.document_id,
                "candidate": {"question": question},
                "rounds": 1,
            }
            closed: dict[str, Any] = {
                "round_id": document.document_id,
                "n": 1,
                "outcome": "accepted",
                "candidate_id": question,
            }
            closed["candidate"] = {"question": question, "reference_answer": "So."}
            result = {"status": "accepted", "status_reason": "", "history": [closed], "example": example}
            await runner._collect({"document_id": document.document_id, "name": document.name}, result)
            stopped.append(runner.outcome.stopped)
    assert stopped == ["", "", "target of 2 accepted reached"]
