"""Runs with human review: documents that wait, the terminal queue, and what happens to answers at any death."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.records import Document
from autodata.cli.app import app
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.runner.config import read_config, stored_config
from autodata.runner.document_runner import Runner
from autodata.runner.events import RunEvent
from tests.graph.test_runner import LATE, QUICK, Watch, settings
from tests.support.commands import parsed, printed, refusal, words
from tests.support.runs import Session, run_session

EXAMPLES = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]


def reviewed(mode: str = "accepted", **changes: Any) -> dict[str, Any]:
    return settings("cs", review=mode, **changes)


def typed(keys: str, *arguments: str | Path) -> Result:
    """Type keys, a line each, into a command that reads no terminal."""
    runner = CliRunner(env={"COLUMNS": "100", "USER": "ada"})
    return runner.invoke(
        app, [str(argument) for argument in arguments], input="".join(f"{key}\n" for key in keys.split("|"))
    )


async def answers(folder: Path, **answer: Any) -> int:
    """Store the same answer to every open question, as the terminal queue does."""
    async with Ledger.open(folder / "run.db") as ledger:
        rows = await ledger.read("select label_id from labels where decision is null")
        made = {"reviewer": "ada", "created_at": "2026-01-01T00:00:00+00:00"}
        await ledger.save(labels=[{"label_id": row["label_id"], **answer, **made} for row in rows])
    return len(rows)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """The same run without review."""
    return asyncio.run(run_session(tmp_path_factory.mktemp("plain"), settings("cs"), EXAMPLES))


@pytest.mark.slow
async def test_what_is_accepted_waits_and_everything_else_goes_on(plain: Session, tmp_path: Path) -> None:
    watch = Watch()
    session = await run_session(tmp_path, reviewed(concurrency=1), EXAMPLES, watch)
    ended = {name: row["status"] for name, row in plain.documents.items()}
    for name, row in session.documents.items():
        final = plain.documents[name]["status_reason"] == "final_check"
        assert row["status"] == ("waiting" if ended[name] == "accepted" or final else ended[name])
    assert session.tables["examples"] == []
    assert watch.count("waiting") == session.statuses.count("waiting")
    assert (session.outcome.stopped, session.outcome.failed, session.outcome.errored) == ("", False, [])


@pytest.mark.slow
async def test_approving_everything_ends_as_without_review(plain: Session, tmp_path: Path) -> None:
    first = await run_session(tmp_path, reviewed(), EXAMPLES)
    idle = Watch()
    again = await run_session(tmp_path, reviewed(), EXAMPLES, idle)
    assert idle.names == [], "nothing is done while nobody has answered"
    assert again.tables == first.tables
    assert await answers(tmp_path, decision="approve") == first.statuses.count("waiting")
    last = await run_session(tmp_path, reviewed(), EXAMPLES)
    assert last.statuses == plain.statuses
    same = {name: rows for name, rows in last.tables.items() if name not in {"labels", "meta"}}
    assert same == {name: plain.tables[name] for name in same}
    assert last.calls[: len(first.calls)] == first.calls


@pytest.mark.slow
async def test_answers_given_meanwhile_are_taken_up_in_the_same_session(plain: Session, tmp_path: Path) -> None:
    """A reviewer writes to the file beside the run, and answers as soon as a document waits."""
    waiting: list[str] = []

    def watch(runner: Runner, event: RunEvent) -> None:
        if event.event == "waiting":
            waiting.append(event.document_id)
            with closing(sqlite3.connect(tmp_path / "run.db")) as db, db:
                db.execute("update labels set decision = 'approve' where document_id = ?", (event.document_id,))

    session = await run_session(tmp_path, reviewed(), EXAMPLES, watch)
    assert waiting
    assert session.statuses == plain.statuses


@pytest.mark.slow
async def test_a_rejection_goes_on_to_the_next_round_in_the_next_session(tmp_path: Path) -> None:
    first = await run_session(tmp_path, reviewed(max_rounds=8), EXAMPLES)
    await answers(tmp_path, decision="reject", reason="Too dry.")
    second = await run_session(tmp_path, reviewed(max_rounds=8), EXAMPLES)
    modes = [row["failure_mode"] for row in await read(tmp_path, "select failure_mode from rounds")]
    assert modes.count("rejected_by_reviewer") == first.statuses.count("waiting")
    assert len(second.calls) > len(first.calls)


async def read(folder: Path, sql: str) -> list[dict[str, Any]]:
    async with Ledger.open(folder / "run.db") as ledger:
        return await ledger.read(sql)


class Died(BaseException):
    """Stands for the end of the process."""


@pytest.mark.slow
@pytest.mark.parametrize("at", ["reviewed", "candidate", "quality", "accepted"])
async def test_a_death_between_answer_and_end_pays_nothing_again(at: str, tmp_path: Path) -> None:
    edit = at in {"candidate", "quality"}
    await run_session(tmp_path / "a", reviewed(), EXAMPLES[:3])
    await run_session(tmp_path / "b", reviewed(), EXAMPLES[:3])
    for folder in (tmp_path / "a", tmp_path / "b"):
        if edit:
            await answer_with_edits(folder)
        else:
            await answers(folder, decision="approve")
    whole = await run_session(tmp_path / "a", reviewed(), [])
    died: list[str] = []

    def watch(runner: Runner, event: RunEvent) -> None:
        if event.event == at and not died:
            died.append(at)
            raise Died

    with pytest.raises(BaseExceptionGroup):
        await run_session(tmp_path / "b", reviewed(), [], watch)
    again = await run_session(tmp_path / "b", reviewed(), [])
    assert died
    assert {row["key"] for row in again.calls} == {row["key"] for row in whole.calls}
    assert len(again.calls) == len(whole.calls)
    assert again.statuses == whole.statuses
    assert again.tables["labels"] == whole.tables["labels"]
    assert again.tables["examples"] == whole.tables["examples"]


async def answer_with_edits(folder: Path) -> None:
    config = stored_config(folder / "config.toml")
    async with Ledger.open(folder / "run.db") as ledger:
        rows = await ledger.read("select l.label_id, c.candidate from labels l join candidates c using (candidate_id)")
        for row in rows:
            found = json.loads(row["candidate"])
            candidate = config.chosen_domain.scorer.candidate({**found, "reference_answer": "Another answer."})
            values = {"edited": candidate.model_dump(mode="json"), "edited_id": candidate.candidate_id}
            await ledger.save(labels=[{"label_id": row["label_id"], "decision": "edit", "created_at": "now", **values}])


@pytest.mark.slow
async def test_a_death_before_the_document_is_marked_loses_no_question(tmp_path: Path) -> None:
    def watch(runner: Runner, event: RunEvent) -> None:
        if event.event == "review":
            raise Died

    with pytest.raises(BaseExceptionGroup):
        await run_session(tmp_path, reviewed(), EXAMPLES[:3], watch)
    assert not await read(tmp_path, "select * from documents where status = 'waiting'")
    assert await answers(tmp_path, decision="approve") == 1
    await run_session(tmp_path, reviewed(), [])
    await answers(tmp_path, decision="approve")
    again = await run_session(tmp_path, reviewed(), [])
    assert "waiting" not in again.statuses


@pytest.mark.slow
async def test_an_answer_that_cannot_be_used_is_set_aside(tmp_path: Path) -> None:
    first = await run_session(tmp_path, reviewed(), EXAMPLES)
    await answers(tmp_path, decision="reject")
    second = await run_session(tmp_path, reviewed(), [])
    assert second.statuses == first.statuses
    assert second.calls == first.calls
    assert len(second.outcome.errored) == first.statuses.count("waiting")
    assert all("the answer cannot be used: a rejection needs a reason" in line for line in second.outcome.errored)
    assert await answers(tmp_path, decision="approve") == first.statuses.count("waiting")


@pytest.mark.slow
def test_a_run_is_not_reviewed_otherwise_than_it_began(tmp_path: Path) -> None:
    asyncio.run(run_session(tmp_path, reviewed(), EXAMPLES[:1]))
    with pytest.raises(Exception, match="review: accepted -> none"):
        asyncio.run(run_session(tmp_path, settings("cs"), []))
    with pytest.raises(Exception, match="review: 'borderline' needs gates to be near to"):
        read_config('domain = "legal"\nreview = "borderline"', "test")


# The commands


@pytest.fixture(scope="module")
def left_waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by its command, with documents that wait, as it was left."""
    place = tmp_path_factory.mktemp("waiting")
    models = '[models.default]\nprovider = "simulated"\nmodel = "strong"\n[models.weak_solver]\nmodel = "weak"\n'
    (place / "given.toml").write_text(f"max_rounds = 3\n{models}", "utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        Path("papers").mkdir()
        for document in (LATE, QUICK[1]):
            shutil.copy(documents_folder() / document.name, "papers")
        result = run_again()
    assert result.exit_code == 0, result.output
    assert "wait for a person: autodata review run, then the same command goes on" in words(result.output)
    return place


@pytest.fixture
def waiting(left_waiting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run with documents that wait."""
    shutil.copytree(left_waiting, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


def run_again() -> Result:
    command = ["run", "--config", "given.toml", "--review", "accepted", "--out", "run", "papers"]
    return CliRunner(env={"COLUMNS": "100"}).invoke(app, command)


@pytest.mark.slow
def test_the_queue_is_answered_key_by_key(waiting: Path) -> None:
    asked = parsed("status", waiting, "--json")["awaiting_review"]
    assert asked >= 2
    text = typed("?|f|r||r|It asks for a number.|a|q", "review", waiting)
    assert text.exit_code == 0
    out = words(text.output)
    assert f"1 of {asked}: " in out
    assert "Every gate passed." in out
    assert "Rubric" in out
    assert "rejected: kept" in out
    assert f"2 answered (approve 1, reject 1), {asked - 2} left to look at" in out
    found = parsed("status", waiting, "--json")
    assert (found["awaiting_review"], found["waiting"]) == (asked - 2, asked)
    assert found["labels"] == {"approve": 1, "edit": 0, "reject": 1}
    rows = asyncio.run(read(waiting, "select decision, reason, reviewer from labels where decision is not null"))
    assert sorted(rows, key=lambda row: row["decision"]) == [
        {"decision": "approve", "reason": "", "reviewer": "ada"},
        {"decision": "reject", "reason": "It asks for a number.", "reviewer": "ada"},
    ]
    assert run_again().exit_code == 0
    assert parsed("status", waiting, "--json")["accepted"] + parsed("status", waiting, "--json")["rejected"] >= 1
    text_of_run = printed("show", waiting, rejected_document(waiting))
    assert "Review: rejected by ada" in text_of_run
    assert "rejected by reviewer" in text_of_run


def rejected_document(folder: Path) -> str:
    [row] = asyncio.run(read(folder, "select document_id from labels where decision = 'reject'"))
    return str(row["document_id"])


def editor(tmp_path: Path, *replacements: tuple[str, str]) -> str:
    """Return an editor command that replaces one text a call, taking the next pair each time."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import json, pathlib, sys\n"
        f"pairs = json.loads({json.dumps(json.dumps(replacements))})\n"
        f"count = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "n = int(count.read_text()) if count.exists() else 0\n"
        "count.write_text(str(n + 1))\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "pathlib.Path(str(count) + f'.{n}').write_text(path.read_text())\n"
        "old, new = pairs[n]\n"
        "text = path.read_text()\n"
        "assert old in text, text\n"
        "path.write_text(text.replace(old, new, 1))\n",
        "utf-8",
    )
    return shlex.join([sys.executable, str(script)])


@pytest.mark.slow
def test_an_edit_shows_what_is_wrong_until_it_is_sound(
    waiting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixes = [
        ("question = ", "qestion = "),
        ("qestion = ", "question = [1]\nunused = "),
        ("question = [1]\nunused = ", "question = "),
    ]
    fixes[-1] = ('question = [1]\nunused = "', 'question = "Changed: ')
    monkeypatch.setenv("EDITOR", editor(tmp_path, *fixes))
    monkeypatch.delenv("VISUAL", raising=False)
    out = words(typed("e|e|e|q", "review", waiting).output)
    assert "Not yet: unknown field qestion" in out
    assert "Not yet: unknown field unused" in out
    assert "edited: kept" in out
    assert (tmp_path / "count.1").read_text("utf-8").startswith("# Not yet: unknown field qestion")
    [row] = asyncio.run(read(waiting, "select edited, edited_id, candidate_id from labels where decision = 'edit'"))
    assert json.loads(row["edited"])["question"].startswith("Changed: ")
    assert row["edited_id"] != row["candidate_id"]
    assert run_again().exit_code == 0
    rounds = asyncio.run(read(waiting, f"select outcome from rounds where candidate_id = '{row['edited_id']}'"))
    assert len(rounds) == 1, "it was verified anew"


def test_criteria_are_marked_without_the_judges_marks_in_sight_and_calibrate_counts_them(
    waiting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixes = [(' = ""', ' = "perhaps"'), (' = "perhaps"', ' = "yes"'), (' = ""', ' = "no"')]
    monkeypatch.setenv("VISUAL", editor(tmp_path, *fixes))
    out = words(typed("m|e|m|q", "review", waiting).output)
    assert 'Not yet: weak 1, criterion 1: write "yes" or "no"' in out
    assert "1 marks: kept" in out
    assert "2 marks: kept" in out
    assert "0 answered" in out
    form = (tmp_path / "count.0").read_text("utf-8")
    assert form.count(' = ""') > 10
    assert '"yes"' not in form.replace('Write "yes"', "")
    assert ' = "yes"' in (tmp_path / "count.2").read_text("utf-8"), "what was marked before stands in it"
    [row] = asyncio.run(read(waiting, "select marks, decision, reviewer from labels where marks is not null"))
    assert (row["decision"], row["reviewer"]) == (None, "")
    [marks] = json.loads(row["marks"]).values()
    assert marks == {"1": True, "2": False}
    attempts = asyncio.run(read(waiting, "select attempt_id, criterion, met from marks order by attempt_id, criterion"))
    [attempt] = json.loads(row["marks"])
    run = [bool(one["met"]) for one in attempts if one["attempt_id"] == attempt][:2]
    found = parsed("calibrate", waiting, "--sample", "1", "--repeats", "1", "--json")["people"]
    assert list(found) == ["review"]
    assert (found["review"]["findings"], found["review"]["unknown"]) == (0, 2), "its round is still open"
    typed("a|q", "review", waiting)
    assert run_again().exit_code == 0
    found = parsed("calibrate", waiting, "--sample", "1", "--repeats", "1", "--json")
    assert (found["people"]["review"]["findings"], found["reviewed"]["verdicts"]) == (2, 1)
    assert found["people"]["review"]["agreement"]["value"] == sum(map(bool.__eq__, run, (True, False))) / 2
    assert found["reviewed"]["agreement"]["value"] == 1


@pytest.mark.slow
def test_an_edit_can_be_left(waiting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", editor(tmp_path, ("#", "#"), ("question = ", "qestion = ")))
    out = words(typed("e|e|x|q", "review", waiting).output)
    assert out.count("nothing is changed") == 2
    assert "0 answered" in out
    monkeypatch.setenv("VISUAL", "no-such-editor")
    assert "set EDITOR" in words(typed("e|q", "review", waiting).output)
    monkeypatch.setenv("VISUAL", "false")
    assert "failed with exit code 1: nothing was changed" in words(typed("e|q", "review", waiting).output)


@pytest.mark.slow
def test_the_queue_can_go_on_at_once(waiting: Path) -> None:
    asked = parsed("status", waiting, "--json")["awaiting_review"]
    result = typed("|".join("a" * asked), "review", waiting, "--go", "--reviewer", "Grace")
    assert result.exit_code == 0, result.output
    found = parsed("status", waiting, "--json")
    assert (found["waiting"], found["awaiting_review"], found["labels"]["approve"]) == (0, 0, asked)
    assert found["accepted"] >= 1
    rows = asyncio.run(read(waiting, "select distinct reviewer from labels"))
    assert rows == [{"reviewer": "Grace"}]


def test_what_waits_as_json(waiting: Path) -> None:
    listed = parsed("review", waiting, "--json")
    assert len(listed) == parsed("status", waiting, "--json")["awaiting_review"]
    assert {"label_id", "document_id", "name", "n", "verdict", "why", "round"} == set(listed[0])
    assert listed[0]["round"]["attempts"][0]["marks"]


def test_nothing_waits_and_no_folder(tmp_path: Path) -> None:
    assert "no such folder" in refusal("review", tmp_path / "none")
    asyncio.run(run_session(tmp_path, settings("cs"), QUICK[1:]))
    assert "0 answered, 0 left to look at" in words(printed("review", tmp_path))


@pytest.mark.slow
def test_an_answer_of_somebody_else_is_not_overwritten(waiting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile() -> str:
        with closing(sqlite3.connect(waiting / "run.db")) as db, db:
            db.execute("update labels set decision = 'reject', reason = 'no', reviewer = 'Grace'")
        return "a"

    monkeypatch.setattr("autodata.cli.review.read_key", meanwhile)
    out = words(printed("review", waiting))
    assert "Grace answered it meanwhile: left as it is" in out
    assert "0 answered" in out
