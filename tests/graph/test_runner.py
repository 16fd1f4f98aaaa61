"""Sessions of the document runner over the example documents, on the simulated model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.records import Document
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.runner.document_runner import Runner
from autodata.runner.events import RunEvent
from tests.support.runs import Session, run_session
from tests.support.stages import first_quick

EXAMPLES = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]
QUICK = [item for item in EXAMPLES if item.name in {"concrete-curing.md", "write-ahead-logging.md"}]
"""Of domain cs one is rejected after all its rounds, the other accepted in its first."""
LATE = next(item for item in EXAMPLES if item.name == "harmonic-tide-prediction.md")
"""Accepted in its third round."""
ENDED = {"accepted", "rejected"}


def settings(domain: str = "cs", **changes: Any) -> dict[str, Any]:
    """Return a configuration on the simulated model."""
    models = {"default": {"provider": "simulated", "model": "strong"}, "weak_solver": {"model": "weak"}}
    return {
        "domain": domain,
        "models": models,
        "max_rounds": 3 if domain == "cs" else 8,
        "retries": {"base_seconds": 0},
        **changes,
    }


class Watch:
    """Notes a session's events; drains the run at the event numbered `drain_at`."""

    def __init__(self, drain_at: int = 0) -> None:
        self.names: list[str] = []
        self.drain_at = drain_at

    def __call__(self, runner: Runner, event: RunEvent) -> None:
        self.names.append(event.event)
        if len(self.names) == self.drain_at:
            runner.drain("asked to")

    def count(self, name: str) -> int:
        return self.names.count(name)


@pytest.fixture(scope="module", params=first_quick("cs", "facts"))
def domain(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def whole(domain: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session]:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp(domain)
    return folder, asyncio.run(run_session(folder, settings(domain), EXAMPLES))


@pytest.mark.slow
async def test_all_example_documents_end(whole: tuple[Path, Session]) -> None:
    folder, session = whole
    assert len(session.documents) == 5
    assert set(session.statuses) <= ENDED
    assert "accepted" in session.statuses
    assert (session.outcome.stopped, session.outcome.failed, session.outcome.errored) == ("", False, [])
    assert session.tables["failures"] == []
    assert len(session.tables["examples"]) == session.statuses.count("accepted")
    assert (folder / "config.toml").exists()


@pytest.mark.slow
async def test_a_second_session_does_nothing_and_pays_nothing(whole: tuple[Path, Session], domain: str) -> None:
    folder, session = whole
    watch = Watch()
    again = await run_session(folder, settings(domain), EXAMPLES, watch)
    assert watch.names == []
    assert again.tables == session.tables
    assert again.calls == session.calls


@pytest.mark.slow
@pytest.mark.parametrize("every", first_quick(61, 17))
async def test_draining_again_and_again_changes_nothing(
    whole: tuple[Path, Session], domain: str, every: int, tmp_path: Path
) -> None:
    reference = whole[1]
    paid = sessions = 0
    while True:
        watch = Watch(every)
        session = await run_session(tmp_path, settings(domain, concurrency=2), EXAMPLES, watch)
        sessions += 1
        paid += watch.count("call")
        assert session.outcome.errored == []
        if not session.outcome.stopped:
            break
        assert (session.outcome.stopped, session.outcome.failed) == ("asked to", False)
        assert sessions < 500
    assert sessions > 2
    assert session.tables == reference.tables
    assert paid == len(reference.calls)


async def test_a_drained_document_stops_at_its_next_checkpoint(domain: str, tmp_path: Path) -> None:
    watch = Watch(3)  # started, the challenger's call, its candidate
    session = await run_session(tmp_path, settings(domain, concurrency=1), EXAMPLES, watch)
    assert watch.names == ["started", "call", "candidate", "drained"]
    assert session.statuses == ["pending"] * 5
    assert len(session.calls) == 1


@pytest.mark.slow
async def test_concurrency_changes_no_result(whole: tuple[Path, Session], domain: str, tmp_path: Path) -> None:
    """The undisturbed run had all five documents in work at once."""
    assert (await run_session(tmp_path, settings(domain, concurrency=1), EXAMPLES)).tables == whole[1].tables


@pytest.mark.slow
async def test_no_more_documents_are_in_work_than_concurrency_allows(domain: str, tmp_path: Path) -> None:
    most = 0
    in_work: set[str] = set()

    def watch(runner: Runner, event: RunEvent) -> None:
        nonlocal most
        if event.event == "started":
            in_work.add(event.document_id)
        if event.event == "ended":
            in_work.remove(event.document_id)
        most = max(most, len(in_work))

    await run_session(tmp_path, settings(domain, concurrency=3), EXAMPLES, watch)
    assert most == 3


@pytest.mark.slow
async def test_a_target_stops_the_run_and_a_higher_one_goes_on(
    whole: tuple[Path, Session], domain: str, tmp_path: Path
) -> None:
    target = settings(domain, concurrency=1, target=1)
    session = await run_session(tmp_path, target, EXAMPLES)
    assert session.outcome.stopped == "target of 1 accepted reached"
    assert not session.outcome.failed
    assert session.statuses.count("accepted") == 1
    assert "pending" in session.statuses
    watch = Watch()
    assert (await run_session(tmp_path, target, EXAMPLES, watch)).tables == session.tables
    assert watch.names == []
    last = await run_session(tmp_path, settings(domain, target=len(EXAMPLES) + 1), EXAMPLES)
    assert last.outcome.stopped == ""
    assert last.tables == whole[1].tables


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_max_calls_is_never_exceeded_and_a_higher_one_goes_on(
    whole: tuple[Path, Session], domain: str, concurrency: int, tmp_path: Path
) -> None:
    reference = whole[1]
    for most in (1, 13, len(reference.calls) - 1):
        values = settings(domain, concurrency=concurrency, budget={"max_calls": most})
        session = await run_session(tmp_path, values, EXAMPLES)
        assert len(session.calls) == most
        assert f"--max-calls {most}" in session.outcome.stopped
        assert not session.outcome.failed
        assert session.outcome.errored == []
        assert set(session.statuses) - ENDED == {"pending"}
    watch = Watch()
    again = await run_session(tmp_path, values, EXAMPLES, watch)
    assert watch.count("call") == 0, "what earlier sessions spent counts"
    assert len(again.calls) == most
    exact = settings(domain, budget={"max_calls": len(reference.calls)})
    last = await run_session(tmp_path, exact, EXAMPLES)
    assert last.outcome.stopped == ""
    assert last.tables == reference.tables


@pytest.mark.slow
async def test_max_usd_stops_the_run(whole: tuple[Path, Session], domain: str, tmp_path: Path) -> None:
    values = settings(domain, concurrency=1)
    models = {name: table | {"price_in": 1.0, "price_out": 1.0} for name, table in values["models"].items()}
    priced = values | {"models": models, "budget": {"max_usd": 0.02}}
    session = await run_session(tmp_path, priced, EXAMPLES)
    assert "--max-usd 0.02" in session.outcome.stopped
    costs = [row["cost_usd"] for row in session.calls]
    assert 0.02 - 0.02 / 2 < sum(costs) <= 0.02, "it ends where the longest reply to one more could not be paid for"
    last = await run_session(tmp_path, settings(domain), EXAMPLES)
    assert [len(rows) for rows in last.tables.values()] == [len(rows) for rows in whole[1].tables.values()]


@pytest.mark.slow
async def test_max_seconds_stops_the_run(whole: tuple[Path, Session], domain: str, tmp_path: Path) -> None:
    session = await run_session(tmp_path, settings(domain, budget={"max_seconds": 1e-9}), EXAMPLES)
    assert "--max-seconds 1e-09" in session.outcome.stopped
    assert not session.outcome.failed
    assert (session.calls, session.statuses) == ([], ["pending"] * 5)
    last = await run_session(tmp_path, settings(domain, budget={"max_seconds": 3600}), EXAMPLES)
    assert last.outcome.stopped == ""
    assert last.tables == whole[1].tables


async def test_a_run_without_documents_ends_at_once(domain: str, tmp_path: Path) -> None:
    session = await run_session(tmp_path, settings(domain), [])
    assert (session.documents, session.outcome.stopped) == ({}, "")
