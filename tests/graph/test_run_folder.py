"""A run folder over several sessions: changed configurations, faults, edited documents, what stays of checkpoints."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from autodata.checkpoints.errors import RunFailed, UserError
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.records import Document, Skipped
from autodata.models import openai_chat
from autodata.models.simulated.chat_model import SimulatedChatModel, SimulatedError
from autodata.runner.config import RunConfig, read_resolved
from autodata.runner.document_runner import Runner, open_runner
from autodata.runner.events import RunEvent
from autodata.runner.ingest import add_documents
from tests.graph.test_runner import EXAMPLES, QUICK, settings
from tests.support.runs import Session, read_tables, run_session
from tests.support.stages import first_quick

DOCUMENTS = EXAMPLES[:3]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """An undisturbed run."""
    return asyncio.run(run_session(tmp_path_factory.mktemp("whole"), settings(), DOCUMENTS))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session]:
    """A run that was stopped on its way, after its second feedback."""
    seen = Counter[str]()

    def stop(runner: Runner, event: RunEvent) -> None:
        seen[event.event] += 1
        if seen["feedback"] == 2:
            runner.drain("asked to")

    folder = tmp_path_factory.mktemp("stopped")
    session = asyncio.run(run_session(folder, settings(), DOCUMENTS, stop))
    assert session.statuses == ["pending"] * 3
    return folder, session


@pytest.fixture
def half(stopped: tuple[Path, Session], tmp_path: Path) -> Path:
    """A copy of the stopped run's folder."""
    return Path(shutil.copytree(stopped[0], tmp_path / "half"))


async def refusal(folder: Path, values: dict[str, Any]) -> str:
    """Return why a folder is not opened with a configuration."""
    with pytest.raises(UserError) as refused:
        async with open_runner(RunConfig.model_validate(values), folder):
            pass
    assert "\n" not in str(refused.value)
    return str(refused.value)


def with_model(role: str, **changes: Any) -> dict[str, Any]:
    models = settings()["models"]
    return {"models": models | {role: models.get(role, {}) | changes}}


@pytest.fixture
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request to an endpoint is refused."""
    transport = httpx.MockTransport(lambda request: httpx.Response(401, json={"error": "no such key"}))
    monkeypatch.setattr(openai_chat, "new_client", lambda: httpx.AsyncClient(transport=transport))


async def refused_at_once(folder: Path, values: dict[str, Any]) -> None:
    """Begin a run whose first request is refused: a mistake in the configuration, and nothing was answered."""
    async with open_runner(RunConfig.model_validate(values), folder) as runner:
        await add_documents(runner.ledger, DOCUMENTS[:1])
        assert (await runner.run()).failed


MISTAKEN: dict[str, Any] = {
    "models": {"default": {"model": "m", "base_url": "http://127.0.0.1:9/v1"}, "weak_solver": {"model": "w"}},
    "retries": {"max_attempts": 1, "base_seconds": 0, "pause_after": 1},
}


@pytest.mark.usefixtures("no_key")
async def test_a_configuration_is_mended_in_a_folder_where_nothing_was_answered(tmp_path: Path) -> None:
    await refused_at_once(tmp_path, MISTAKEN)
    mended = settings() | {"max_rounds": 1}
    async with open_runner(RunConfig.model_validate(mended), tmp_path) as runner:
        await add_documents(runner.ledger, DOCUMENTS[:1])
        outcome = await runner.run()
    assert not outcome.failed
    assert any("goes on with the changed configuration" in note for note in outcome.notes)
    assert read_resolved(tmp_path / "config.toml")["max_rounds"] == 1
    message = await refusal(tmp_path, settings() | {"seed": 5, "max_rounds": 1})
    assert "seed: 0 -> 5" in message, "once something was answered, another configuration is refused"


@pytest.mark.usefixtures("no_key")
async def test_what_shapes_documents_is_not_changed_once_there_are_some(tmp_path: Path) -> None:
    await refused_at_once(tmp_path, MISTAKEN)
    assert "documents.max_chars: 60000 -> 1000" in await refusal(
        tmp_path, MISTAKEN | {"documents": {"max_chars": 1000}}
    )
    assert "domain: cs -> legal" in await refusal(tmp_path, MISTAKEN | {"domain": "legal"})
    empty = tmp_path / "empty"
    async with open_runner(RunConfig.model_validate(MISTAKEN), empty):
        pass
    async with open_runner(RunConfig.model_validate(MISTAKEN | {"domain": "legal"}), empty):
        pass
    assert read_resolved(empty / "config.toml")["domain"] == "legal"


@pytest.mark.parametrize(
    ("changes", "named"),
    first_quick(
        ({"max_rounds": 2}, ["max_rounds: 3 -> 2"]),
        ({"seed": 1}, ["seed: 0 -> 1"]),
        ({"acceptance": "meta"}, ["acceptance.weak_mean: ['< 0.50'] -> ['<= 0.65']", "acceptance.name: paper -> meta"]),
        ({"domain": "facts"}, ["domain: cs -> facts", "prompt_version: "]),
        ({"documents": {"max_chars": 1000}}, ["documents.max_chars: 60000 -> 1000"]),
        ({"simulated": {"judge_noise": 0.2}}, ["simulated.judge_noise: 0.03 -> 0.2"]),
        (with_model("weak_solver", model="other"), ["models.weak_solver.model: weak -> other"]),
        (with_model("weak_solver", temperature=0.3), ["models.weak_solver.temperature: 1.0 -> 0.3"]),
        (with_model("verifier", max_tokens=99), ["models.verifier.max_tokens: 4096 -> 99"]),
        (with_model("verifier", extra_body={"effort": "low"}), ["models.verifier.extra_body.effort: not set -> low"]),
        quick=5,
    ),
)
async def test_another_configuration_is_refused_with_the_fields_that_differ(
    changes: dict[str, Any], named: list[str], half: Path
) -> None:
    before = read_tables(half), read_resolved(half / "config.toml")
    message = await refusal(half, settings() | changes)
    assert message.startswith(f"{half} was made with another configuration (")
    assert [part for part in named if part in message] == named, message
    assert (read_tables(half), read_resolved(half / "config.toml")) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    first_quick(
        {"concurrency": 1},
        {"limit": 3},
        {"target": 9},
        {"budget": {"max_calls": 10_000, "max_usd": 5.0, "max_seconds": 600.0}},
        {"retries": {"base_seconds": 0, "max_attempts": 9, "pause_after": 4}},
        {"checkpoints": {"keep": "all"}},
        {"local": {"n_parallel": 2}},
        {"simulated": {"faults": {"rate_limited": 0.5}}},
        with_model("default", price_in=1.0, price_out=2.0),
        with_model("default", max_concurrency=2, timeout=9.0),
    ),
)
async def test_what_no_result_depends_on_may_change(changes: dict[str, Any], half: Path, whole: Session) -> None:
    other = await run_session(half, settings() | changes, DOCUMENTS)
    assert other.outcome.stopped == ""
    for name in other.tables.keys() - {"calls"}:
        assert other.tables[name] == whole.tables[name]
    assert {row["key"] for row in other.calls} == {row["key"] for row in whole.calls}
    assert any(row["cost_usd"] for row in other.calls) is ("price_in" in str(changes))


@pytest.mark.slow
async def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    async with open_runner(RunConfig.model_validate(settings()), tmp_path):
        assert "is in use by another process" in await refusal(tmp_path, settings())
    assert (await run_session(tmp_path, settings(), QUICK[1:])).outcome.stopped == ""


@pytest.mark.parametrize("file", first_quick("run.db", "checkpoints.db"))
async def test_a_corrupt_file_is_refused_and_not_touched(file: str, tmp_path: Path) -> None:
    await run_session(tmp_path, settings(), QUICK[1:])
    spoilt = b"This is no database. " * 500
    (tmp_path / file).write_bytes(spoilt)
    message = await refusal(tmp_path, settings())
    assert str(tmp_path / file) in message
    assert "not a database" in message
    assert (tmp_path / file).read_bytes() == spoilt


async def test_the_ledger_knows_the_configuration_whatever_becomes_of_the_file(tmp_path: Path) -> None:
    await run_session(tmp_path, settings(), QUICK[1:])
    before = read_resolved(tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text("domain = ")
    assert "max_rounds: 3 -> 2" in await refusal(tmp_path, settings(max_rounds=2))
    (tmp_path / "config.toml").unlink()
    assert "max_rounds: 3 -> 2" in await refusal(tmp_path, settings(max_rounds=2))
    await run_session(tmp_path, settings(), QUICK[1:])
    assert read_resolved(tmp_path / "config.toml") == before


def remove_checkpoints(folder: Path) -> None:
    for file in folder.glob("checkpoints.db*"):
        file.unlink()


@pytest.mark.slow
async def test_lost_checkpoints_cost_no_money(half: Path, whole: Session, stopped: tuple[Path, Session]) -> None:
    remove_checkpoints(half)
    seen = Counter[str]()
    last = await run_session(half, settings(), DOCUMENTS, lambda runner, event: seen.update([event.event]))
    assert last.tables == whole.tables
    assert seen["call"] == len(whole.calls) - len(stopped[1].calls)


@pytest.mark.slow
async def test_errored_documents_are_taken_up_again_with_the_next_epoch(tmp_path: Path) -> None:
    """With replies malformed half of the time, and only two tries, some document errs in every session."""
    values = settings(simulated={"faults": {"malformed": 0.3}}, retries={"base_seconds": 0, "unusable_tries": 2})
    sessions = [await run_session(tmp_path, values, EXAMPLES)]
    assert "errored" in sessions[0].statuses
    while "errored" in sessions[-1].statuses:
        before = sessions[-1]
        sessions.append(await run_session(tmp_path, values, EXAMPLES))
        for name, row in before.documents.items():
            now = sessions[-1].documents[name]
            assert now["epoch"] == row["epoch"] + (row["status"] == "errored")
        new = sessions[-1].calls[len(before.calls) :]
        epochs = {row["document_id"]: row["epoch"] for row in sessions[-1].documents.values()}
        assert all(call["epoch"] == epochs[call["document_id"]] for call in new)
        assert sessions[-1].calls[: len(before.calls)] == before.calls
        assert len(sessions) < 40
    last = sessions[-1]
    assert set(last.statuses) <= {"accepted", "rejected"}
    assert len(last.tables["failures"]) == sum(row["epoch"] for row in last.documents.values())
    for session in sessions:
        lines = session.outcome.errored
        assert len(lines) == session.statuses.count("errored")
        assert all("unusable_reply: " in line for line in lines)
        assert not session.outcome.failed


@pytest.mark.slow
async def test_an_outage_pauses_the_run_and_errs_no_document(whole: Session, tmp_path: Path) -> None:
    out = settings(simulated={"faults": {"outage": True}})
    folder = tmp_path / "paused"
    for _ in range(2):
        session = await run_session(folder, out, DOCUMENTS)
        assert session.outcome.failed
        assert "simulated endpoint answered 503" in session.outcome.stopped
        assert (session.outcome.errored, session.statuses, session.calls) == ([], ["pending"] * 3, [])
    last = await run_session(folder, settings(), DOCUMENTS)
    for name in last.tables.keys() - {"failures"}:
        assert last.tables[name] == whole.tables[name]


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", first_quick(2, 1, 8))
async def test_one_role_s_dead_endpoint_pauses_the_run_although_others_answer(
    concurrency: int, whole: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = settings(concurrency=concurrency)
    values["models"] = values["models"] | {"verifier": {"model": "judge"}, "quality_verifier": {"model": "judge"}}
    answer = SimulatedChatModel.reply
    dead = True

    def reply(self: SimulatedChatModel, turns: Sequence[Mapping[str, str]], seed: int) -> tuple[str, str]:
        if dead and self.solver == "judge":
            raise SimulatedError(503)
        return answer(self, turns, seed)

    monkeypatch.setattr(SimulatedChatModel, "reply", reply)
    session = await run_session(tmp_path, values, DOCUMENTS)
    assert session.outcome.failed
    assert "simulated:judge" in session.outcome.stopped
    assert (session.outcome.errored, session.statuses) == ([], ["pending"] * 3)
    dead = False
    last = await run_session(tmp_path, values, DOCUMENTS)
    assert (last.outcome.stopped, set(last.statuses)) == ("", {"accepted", "rejected"})
    assert len(last.calls) > len(session.calls) > 0


@pytest.mark.slow
async def test_a_defect_ends_one_document_and_is_recorded_whole(whole: Session, tmp_path: Path) -> None:
    def fault(runner: Runner, event: RunEvent) -> None:
        if event.event == "quality" and event.document_id == DOCUMENTS[1].document_id:
            raise RuntimeError("a defect of ours")

    session = await run_session(tmp_path, settings(), DOCUMENTS, fault)
    assert session.outcome.errored == [f"{DOCUMENTS[1].name}: defect: a defect of ours"]
    assert session.documents[DOCUMENTS[1].name]["status_reason"] == "defect: a defect of ours"
    assert session.statuses.count("errored") == 1
    assert "pending" not in session.statuses
    [failure] = session.tables["failures"]
    assert "Traceback" in str(failure)
    name = DOCUMENTS[1].name
    assert {k: v["status"] for k, v in session.documents.items() if k != name} == {
        k: v["status"] for k, v in whole.documents.items() if k != name
    }
    healed = await run_session(tmp_path, settings(), DOCUMENTS)
    assert set(healed.statuses) <= {"accepted", "rejected"}
    assert healed.documents[name]["epoch"] == 1


@pytest.mark.slow
async def test_a_document_edited_between_sessions_is_a_new_one(tmp_path: Path) -> None:
    first = await run_session(tmp_path, settings(), DOCUMENTS)
    old = DOCUMENTS[0]
    text = old.text + "\n\nIn 1999 the valve was replaced."
    edited = old.model_copy(update={"document_id": document_id(text), "text": text})
    renamed = DOCUMENTS[1].model_copy(update={"name": "other.txt"})
    second = await run_session(tmp_path, settings(), [edited, renamed, *DOCUMENTS[2:]])
    rows = Counter(row["document_id"] for row in second.calls[len(first.calls) :])
    assert set(rows) == {edited.document_id}, "a renamed document is the same one"
    assert len(second.tables["documents"]) == 4
    kept = [row for row in second.tables["examples"] if edited.document_id not in map(str, row)]
    assert kept == first.tables["examples"]


async def test_skipped_inputs_are_recorded_and_not_counted_as_failures(tmp_path: Path) -> None:
    bad = [Skipped("empty.txt", "empty"), Skipped("image.md", "binary")]
    async with open_runner(RunConfig.model_validate(settings()), tmp_path) as runner:
        assert await add_documents(runner.ledger, [bad[0], DOCUMENTS[0], bad[1]]) == bad
        assert await add_documents(runner.ledger, [bad[0], DOCUMENTS[0], bad[1]]) == bad
        outcome = await runner.run()
        rows = await runner.ledger.read("select name, status, status_reason from documents order by name")
    assert (outcome.stopped, outcome.errored) == ("", [])
    assert [row["status"] for row in rows][1:] == ["skipped", "skipped"]
    assert {row["name"]: row["status_reason"] for row in rows if row["status"] == "skipped"} == {
        "empty.txt": "empty",
        "image.md": "binary",
    }


async def test_a_document_of_facts_without_an_anchor_is_skipped(tmp_path: Path) -> None:
    text = "Nothing in here has a name.\n\nnor any number, nor a date."
    plain = Document(document_id=document_id(text), name="plain.txt", title="Plain", text=text)
    session = await run_session(tmp_path, settings("facts"), [plain])
    assert (session.statuses, session.calls) == (["skipped"], [])
    assert "no sentence with a name" in session.documents["plain.txt"]["status_reason"]


def checkpoints(folder: Path) -> dict[str, int]:
    """Return how many checkpoints each thread has."""
    with closing(sqlite3.connect(folder / "checkpoints.db")) as db:
        return dict(db.execute("select thread_id, count(*) from checkpoints group by thread_id"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "drained"), first_quick(("rounds", True), ("rounds", False), ("all", False), ("none", True))
)
async def test_checkpoints_that_stay(keep: str, drained: bool, tmp_path: Path) -> None:
    values = settings(checkpoints={"keep": keep})
    count = 0

    def stop(runner: Runner, event: RunEvent) -> None:
        nonlocal count
        count += 1
        if drained and count % 41 == 0:
            runner.drain("asked to")

    while (session := await run_session(tmp_path, values, DOCUMENTS, stop)).outcome.stopped:
        assert count < 5000
    held = checkpoints(tmp_path)
    rounds = {f"main/{row['document_id']}": row["rounds"] for row in session.documents.values()}
    if keep == "none":
        assert held == {}
    elif keep == "rounds":
        assert held == {thread: n + 1 for thread, n in rounds.items()}, "one a round, and the state before the first"
    else:
        assert set(held) == set(rounds)
        assert all(held[thread] > 3 * n for thread, n in rounds.items())


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot be made" in await refusal(tmp_path / "file", settings())


@pytest.mark.slow
async def test_a_ledger_that_cannot_be_written_fails_the_run_and_no_document(whole: Session, tmp_path: Path) -> None:
    async with open_runner(RunConfig.model_validate(settings()), tmp_path) as runner:
        await add_documents(runner.ledger, DOCUMENTS)
        save = runner.ledger.save

        async def failing(**tables: Any) -> None:
            if "marks" in tables:
                raise RunFailed("run.db: the disk is full")
            await save(**tables)

        object.__setattr__(runner.ledger, "save", failing)
        with pytest.raises(RunFailed, match="disk is full"):
            await runner.run()
        assert runner.outcome.failed
    assert (await run_session(tmp_path, settings(), DOCUMENTS)).tables == whole.tables
