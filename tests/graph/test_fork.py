"""Time travel: a document taken back to a round and sent on with something changed, in the graph and by the command."""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.ledger_file import connect
from autodata.checkpoints.records import Document
from autodata.corpus.documents import read_documents
from autodata.examples import documents_folder
from autodata.nodes.context import Context
from autodata.runner.config import RunConfig
from autodata.runner.fork import Change, find_moment, make_fork
from tests.graph.support import Bench, review
from tests.graph.test_runner import LATE, QUICK, settings
from tests.support.commands import invoke, parsed, printed, refusal, words
from tests.support.runs import read_tables, run_session
from tests.support.stages import first_quick

EXAMPLES = [item for item in read_documents([documents_folder()]) if isinstance(item, Document)]


async def before(bench: Bench, node: str, n: int) -> Any:
    """Return the checkpoint at which a node is next in a round, as a person picks one in Studio."""
    async for snapshot in bench.graph.aget_state_history(bench.config):
        if snapshot.next == (node,) and snapshot.values.get("n") == n:
            return snapshot
    raise AssertionError(f"{node} is never next in round {n}")


async def going_on(bench: Bench, config: Any) -> dict[str, Any]:
    return dict(await bench.graph.ainvoke(None, config, context=Context(bench.services)))


@pytest.mark.parametrize("changed", first_quick("question", "rubric"))
async def test_a_candidate_or_rubric_edited_at_a_checkpoint_is_verified_anew(changed: str) -> None:
    bench = Bench({"quality_verifier": lambda call: review(leaks=call.number == 1)})
    await bench.run()
    paid = bench.counts()
    at = await before(bench, "quality_verifier", 2)
    mine = {**at.values["candidate"], **({"question": "Why does it fail late?"} if changed == "question" else {})}
    if changed == "rubric":
        mine["rubric"] = [*mine["rubric"][:12], {**mine["rubric"][12], "criterion": "Another error"}]
    config = await bench.graph.aupdate_state(at.config, {"candidate": mine}, as_node="challenger")
    state = await going_on(bench, config)
    assert (state["status"], state["example"]["candidate"]) == ("accepted", mine)
    grown = {role: n - paid[role] for role, n in bench.counts().items()}
    solved = 0 if changed == "rubric" else 3
    assert grown == {
        "challenger": 0,
        "quality_verifier": 2,
        "weak_solver": solved,
        "strong_solver": solved,
        "verifier": 6,
    }


async def test_feedback_edited_at_a_checkpoint_is_what_the_challenger_sees() -> None:
    bench = Bench({"quality_verifier": lambda call: review(leaks=call.number == 1)})
    await bench.run()
    at = await before(bench, "challenger", 1)
    config = await bench.graph.aupdate_state(at.config, {"feedback": "Ask about the coil."}, as_node="feedback")
    state = await going_on(bench, config)
    assert state["status"] == "accepted"
    prompt = bench.of("challenger")[-1].prompt
    assert "Ask about the coil." in prompt
    assert "leakage" not in prompt


# The command


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "run"
    asyncio.run(run_session(folder, settings("cs", max_rounds=4), [LATE, QUICK[1]]))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def rows(folder: Path, sql: str, *values: Any) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        async with open_readonly(folder / "run.db") as ledger:
            return await ledger.read(sql, values)

    return asyncio.run(read())


def refused_rounds(folder: Path) -> tuple[str, int]:
    """Return a document with at least two rounds, of which the first was rejected on its scores."""
    found = rows(
        folder,
        "select r.document_id as id from rounds r join rounds s using (document_id)"
        " where r.n = 1 and s.n = 2 and r.failure_mode in ('too_easy', 'failed_on_strong') order by r.rowid",
    )
    return str(found[0]["id"]), 1


@pytest.mark.slow
def test_feedback_is_changed_and_the_run_stays_as_it_was(run: Path) -> None:
    document, n = refused_rounds(run)
    untouched, status, exported = (
        read_tables(run),
        parsed("status", run, "--json"),
        printed("export", run, "--out", "-"),
    )
    result = invoke("fork", run, document, "--round", str(n), "--feedback", "Ask about the cold.", columns=200)
    assert result.exit_code == 0, result.output
    fork = run / "forks" / "1"
    assert f"{fork}: goes on from round 1 of {document}, feedback changed" in words(result.output)
    now = read_tables(run)
    assert len(now.pop("forks")) == 1
    assert untouched.pop("forks") == []
    assert now == untouched
    assert parsed("status", run, "--json") == status
    assert printed("export", run, "--out", "-") == exported
    [kept] = rows(fork, "select value from meta where key = 'fork_of'")
    assert json.loads(kept["value"])["change"] == "Ask about the cold."
    first, second, *_ = rows(fork, "select * from rounds order by n")
    original = rows(run, "select * from rounds where document_id = ? order by n", document)
    assert first == original[0]
    assert second["candidate_id"] != original[1]["candidate_id"]
    [document_row] = rows(fork, "select * from documents")
    assert document_row["status"] in {"accepted", "rejected"}
    paid = {row["key"] for row in rows(run, "select key from calls where document_id = ?", document)}
    calls = {row["key"]: row["n"] for row in rows(fork, "select key, n from calls")}
    assert {n for key, n in calls.items() if key in paid} == {0, 1} - ({0} - set(calls.values()))
    assert {n for key, n in calls.items() if key not in paid}
    shown = printed("show", run, document, columns=120)
    assert f"Fork forks/1, {document_row['status']}" in shown
    assert "feedback after round 1 changed" in shown
    assert parsed("show", run, document, "--json")["forks"][0]["changed"] == "feedback"
    assert parsed("show", fork, "--json")[0]["document_id"] == document


@pytest.mark.slow
def test_a_round_that_was_rejected_before_any_attempt_stays_closed_in_a_fork(tmp_path: Path) -> None:
    run = tmp_path / "run"
    asyncio.run(run_session(run, settings("cs", max_rounds=2), QUICK[:1]))
    [first, *_] = rows(run, "select * from rounds where failure_mode = 'failed_quality_check' order by n")
    result = invoke("fork", run, first["document_id"], "--round", str(first["n"]), "--feedback", "Ask.", columns=200)
    assert result.exit_code == 0, result.output
    copied = rows(run / "forks" / "1", "select * from rounds where n = ?", first["n"])
    assert copied == [first]


@pytest.mark.slow
def test_a_rubric_is_changed_and_its_answers_are_not_paid_again(run: Path, tmp_path: Path) -> None:
    document, _ = refused_rounds(run)
    of_first = "select c.* from rounds join candidates c using (candidate_id) where document_id = ? and n = 1"
    [old] = rows(run, of_first, document)
    rubric = json.loads(old["candidate"])["rubric"]
    file = tmp_path / "rubric.toml"
    changed = [{**rubric[0], "criterion": f"{rubric[0]['criterion']} In full."}, *rubric[1:]]
    file.write_text(tomli_w.dumps({"rubric": changed}), "utf-8")
    result = invoke("fork", run, document[:8], "--round", "1", "--candidate", file)
    assert result.exit_code == 0, result.output
    fork = run / "forks" / "1"
    first = rows(fork, "select * from rounds order by n, rowid")[0]
    [candidate_row] = rows(fork, "select * from candidates where candidate_id = ?", first["candidate_id"])
    assert json.loads(candidate_row["candidate"]) == {**json.loads(old["candidate"]), "rubric": changed}
    assert first["outcome"] in {"accepted", "rejected"}
    paid = {row["key"] for row in rows(run, "select key from calls where document_id = ?", document)}
    new = rows(fork, "select key, role, n from calls where n = 1")
    fresh = {row["role"] for row in new if row["key"] not in paid}
    assert fresh >= {"quality_verifier"}
    assert not fresh & {"challenger"}
    weak = rows(fork, "select count(*) as n from calls where n = 1 and role = 'weak_solver'")
    assert weak == [{"n": 3}], "the weak answers are those that were paid for"
    assert rows(run, "select changed from forks") == [{"changed": "rubric"}]
    assert "candidate of round 1 changed: rubric" in words(printed("show", run, document))


@pytest.mark.slow
def test_a_candidate_is_changed_in_the_editor(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document, _ = refused_rounds(run)
    last = rows(run, "select max(n) as n from rounds where document_id = ?", document)[0]["n"]
    script = tmp_path / "editor.sh"
    script.write_text('sed -i \'s/^reference_answer = .*/reference_answer = "Mine."/\' "$1"\n', "utf-8")
    monkeypatch.setenv("VISUAL", f"sh {script}")
    result = invoke("fork", run, document, "--round", str(last), "--edit")
    assert result.exit_code == 0, result.output
    fork = run / "forks" / "1"
    assert [json.loads(row["change"]) for row in rows(run, "select * from forks")] == [{"reference_answer": "Mine."}]
    numbers = [row["n"] for row in rows(fork, "select n from rounds order by n")]
    assert numbers[:last] == list(range(1, last + 1))
    monkeypatch.setenv("VISUAL", "true")
    assert "nothing is changed: no fork was made" in refusal("fork", run, document, "--round", "1", "--edit")
    assert not (run / "forks" / "2").exists()


@pytest.mark.slow
def test_a_fork_of_a_fork_and_a_second_one(run: Path) -> None:
    document, _ = refused_rounds(run)
    for text in ("Ask about the cold.", "Ask about the heat."):
        assert invoke("fork", run, document, "--round", "1", "--feedback", text).exit_code == 0
    assert [row["fork"] for row in rows(run, "select fork from forks order by rowid")] == ["1", "2"]
    inner = run / "forks" / "2"
    assert invoke("fork", inner, document, "--round", "1", "--feedback", "Ask about both.").exit_code == 0
    assert (inner / "forks" / "1" / "run.db").exists()


@pytest.mark.slow
async def test_a_fork_that_is_killed_goes_on_by_the_run_command(run: Path) -> None:
    config = RunConfig.model_validate(settings("cs", max_rounds=4))
    found = await asyncio.to_thread(refused_rounds, run)
    moment = await find_moment(config, run, found[0], 1)
    folder = await make_fork(config, moment, Change(feedback="Ask about the cold."))
    session = await run_session(folder, settings("cs", max_rounds=4), [])
    assert set(session.statuses) <= {"accepted", "rejected"}
    again = await run_session(folder, settings("cs", max_rounds=4), [])
    assert again.calls == session.calls


def test_a_fork_fences_answers_as_its_run_does(run: Path) -> None:
    with closing(connect(run / "run.db", "rw")) as db, db:
        db.execute("update meta set value = '1' where key = 'fences'")
    document, n = refused_rounds(run)
    assert invoke("fork", run, document, "--round", str(n), "--feedback", "Ask about the cold.").exit_code == 0
    assert rows(run / "forks" / "1", "select value from meta where key = 'fences'") == [{"value": "1"}]


@pytest.mark.slow
def test_science_forks_carry_the_documents_that_are_shown(tmp_path: Path) -> None:
    pytest.importorskip("mpmath")
    folder = tmp_path / "run"
    asyncio.run(run_session(folder, settings("science", max_rounds=3), EXAMPLES))
    document = rows(folder, "select document_id from rounds where failure_mode is not null order by rowid")[0]
    result = invoke("fork", folder, document["document_id"], "--round", "1", "--feedback", "Ask about a spring.")
    assert result.exit_code == 0, result.output
    statuses = [row["status"] for row in rows(folder / "forks" / "1", "select status from documents order by rowid")]
    assert len(statuses) == 4
    assert statuses.count("skipped") == 3


def test_what_cannot_be_forked(run: Path, tmp_path: Path) -> None:
    document, _ = refused_rounds(run)
    fork = ("fork", run, document, "--round")
    assert refusal(*fork, "1").startswith("say what is changed: one of --candidate FILE, --edit and --feedback TEXT")
    assert "has no round 9: its rounds are 1 to " in refusal(*fork, "9", "--feedback", "x")
    assert "has no document 'zebra'" in refusal("fork", run, "zebra", "--round", "1", "--feedback", "x")
    file = tmp_path / "c.json"
    file.write_text('{"qestion": "Why?"}', "utf-8")
    assert "the changed candidate cannot be used: unknown field qestion" in refusal(*fork, "1", "--candidate", file)
    file.write_text('{"question": ""}', "utf-8")
    assert "question: String should have at least 1 character" in refusal(*fork, "1", "--candidate", file)
    file.write_text("{", "utf-8")
    assert "cannot be read as a candidate" in refusal(*fork, "1", "--candidate", file)
    feedback = rows(run, "select feedback from rounds where document_id = ? and n = 1", document)[0]["feedback"]
    file.write_text(feedback, "utf-8")
    assert "nothing is changed" in refusal(*fork, "1", "--feedback", file)
    accepted = rows(run, "select document_id as id, n from rounds where outcome = 'accepted'")[0]
    assert "no challenger saw feedback after round" in refusal(
        "fork", run, accepted["id"], "--round", str(accepted["n"]), "--feedback", "x"
    )
    assert not (run / "forks").exists()
    (run / "checkpoints.db").unlink()
    assert "the checkpoint of round 1" in refusal(*fork, "1", "--feedback", "x")


@pytest.mark.slow
def test_a_run_that_keeps_no_checkpoints_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    asyncio.run(run_session(folder, settings("cs", checkpoints={"keep": "none"}), EXAMPLES[:1]))
    problem = refusal("fork", folder, EXAMPLES[0].document_id, "--round", "1", "--feedback", "x")
    assert 'is gone (checkpoints.keep = "none")' in problem
