"""Exports of a whole run, from the command line and from Python."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from autodata import generate, open_run
from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import digest
from autodata.corpus.exporters.provenance import Provenance
from autodata.corpus.exporters.registry import EXPORTERS
from autodata.domains.domain import DOMAINS
from autodata.examples import documents_folder
from autodata.jobs.challenger_turns import challenger_turns
from tests.support.commands import invoke, parsed, printed, words
from tests.support.hub import ADDRESS, TOKEN, Hub


@pytest.fixture(scope="module")
def cs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cs") / "run"
    models = {"default": "simulated:strong", "weak_solver": "simulated:weak"}
    assert len(generate(documents_folder(), models=models, out=folder, progress=False)) > 1
    return folder


@pytest.mark.slow
def test_an_export_has_attempts_and_sources(cs: Path, tmp_path: Path) -> None:
    """A folder is for the Hugging Face hub unless a format is named; splits hold whole documents."""
    done = invoke("export", cs, "--out", tmp_path / "hf", "--split", "0.5/0.5", "--source")
    assert done.exit_code == 0
    sides = {path.name.split("-")[0]: read_table(path).to_pylist() for path in (tmp_path / "hf" / "data").iterdir()}
    rows = [row for side in sides.values() for row in side]
    assert sides.keys() == {"train", "test"}
    assert f"examples by split: {len(sides['train'])} train, {len(sides['test'])} test\n" in done.stderr
    assert all(row["source"] and row["document_sha256"] and row["run"] for row in rows)
    for row in rows:
        scores = {
            stage: [one["score"] for one in row["attempts"] if one["stage"] == stage] for stage in ("weak", "strong")
        }
        assert scores == {"weak": row["weak_scores"], "strong": row["strong_scores"]}
    assert open_run(cs).export(tmp_path / "mine.jsonl") == len(rows)
    kept = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text("utf-8").splitlines()]
    assert open_run(cs).examples == kept
    assert invoke("export", cs, "--format", "trl-grpo", "--out", tmp_path / "grpo").exit_code == 0
    assert "{{criteria}}" in json.loads((tmp_path / "grpo" / "judge.json").read_text("utf-8"))["user"]
    temporary = replace(open_run(cs), run_folder=None)
    with pytest.raises(UserError, match="give out="):
        temporary.export(tmp_path / "none")


def test_a_judge_whose_prompt_changed_since_is_no_secret(cs: Path, tmp_path: Path) -> None:
    """A reward by another prompt than the run's looks right and is not: it is said, and stands on the card."""
    done = invoke("export", cs, "--format", "trl-grpo", "--out", tmp_path / "grpo")
    card = (tmp_path / "grpo" / "README.md").read_text("utf-8")
    pack = DOMAINS["cs"].pack()
    assert f"- prompt of `verifier`: version {pack['verifier'].version}\n" in card
    assert "changed" not in done.stderr + card
    changed = tmp_path / "changed"
    shutil.copytree(cs, changed)
    with closing(sqlite3.connect(changed / "run.db")) as db, db:
        db.execute("update calls set prompt_version = 'other' where role = 'verifier'")
    said = "the judge's prompt has changed since the run, which was marked by version other"
    done = invoke("export", changed, "--format", "trl-grpo", "--out", tmp_path / "grpo")
    assert said in done.stderr
    assert said in (tmp_path / "grpo" / "README.md").read_text("utf-8")
    assert said not in invoke("export", changed, "--out", tmp_path / "hf").stderr, "it has no judge"


def test_a_split_that_nothing_is_left_for_is_said(cs: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(cs, alone)
    with closing(sqlite3.connect(alone / "run.db")) as db, db:
        db.execute("delete from examples where rowid > (select min(rowid) from examples)")
    done = invoke("export", alone, "--out", tmp_path / "out", "--split", "0.9/0.1")
    assert "1 train, 0 test (a document, and near duplicates, stay in one: there are too few)" in done.stderr


def turns_of(folder: Path, config: str) -> list[dict[str, object]]:
    return [row for path in sorted((folder / config).iterdir()) for row in read_table(path).to_pylist()]


def test_the_challengers_turns_are_what_it_was_asked_and_what_came_of_it(cs: Path, tmp_path: Path) -> None:
    """What was asked is checked against the journal's hashes, so a changed document leaves its turns out."""
    out = tmp_path / "turns"
    done = invoke("export", cs, "--format", "challenger", "--out", out, "--split", "0.5/0.5")
    assert done.exit_code == 0
    assert "turns by split: " in done.stderr
    with closing(sqlite3.connect(cs / "run.db")) as db:
        db.row_factory = sqlite3.Row
        rounds = [dict(row) for row in db.execute("select * from rounds")]
        hashes = {row[0]: row[1] for row in db.execute("select substr(key, 1, 16), messages_hash from calls")}
        documents = {row["document_id"]: dict(row) for row in db.execute("select * from documents")}
    turns = turns_of(out, "turns")
    assert f"{len(turns)} turns of the challenger written" in done.stderr
    known = {(row["document_id"], row["n"]): row for row in rounds}
    assert {(turn["document_id"], turn["round"]) for turn in turns} == known.keys()
    later = 0
    for turn in turns:
        row = known[turn["document_id"], turn["round"]]
        assert (turn["outcome"], turn["label"]) == (row["outcome"], row["outcome"] == "accepted")
        assert turn["failure_mode"] == (row["failure_mode"] or "")
        assert (turn["weak_mean"], turn["gap"]) == (row["weak_mean"], row["gap"])
        assert turn["document_name"] == documents[str(turn["document_id"])]["name"]
        assert digest(turn["prompt"], 64) == hashes[str(turn["id"])]
        assert str(turn["question"]) in turn["completion"][0]["content"]  # type: ignore[index]
        later += row["n"] > 1
    assert later, "some were asked again, with feedback"
    chats = turns_of(out, "sft")
    assert all(isinstance(chat["weak_mean"], float) and isinstance(chat["strong_mean"], float) for chat in chats)
    assert [chat["id"] for chat in chats] == [turn["id"] for turn in turns if turn["label"]]
    side = {
        turn["document_id"]: path.name for path in (out / "turns").iterdir() for turn in read_table(path).to_pylist()
    }
    assert len(set(side.values())) == 2
    assert all(
        side[turn["document_id"]] == path.name
        for path in (out / "turns").iterdir()
        for turn in read_table(path).to_pylist()
    )
    again = tmp_path / "again"
    assert invoke("export", cs, "--format", "challenger", "--out", again, "--split", "0.5/0.5").exit_code == 0
    first, second = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in (out, again))
    assert first == second

    changed = tmp_path / "changed"
    shutil.copytree(cs, changed)
    gone = str(turns[0]["document_id"])
    with closing(sqlite3.connect(changed / "run.db")) as db, db:
        db.execute("update documents set text = text || '!' where document_id = ?", (gone,))
    done = invoke("export", changed, "--format", "challenger", "--out", tmp_path / "less")
    lost = sum(turn["document_id"] == gone for turn in turns)
    assert len(turns_of(tmp_path / "less", "turns")) == len(turns) - lost
    assert f"{'1 turn is' if lost == 1 else f'{lost} turns are'} left out" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("domain", ["facts", "legal", "science"])
def test_turns_are_known_in_every_domain(domain: str, tmp_path: Path) -> None:
    """Passages, extracts, examples shown and angles come out again as they were asked."""
    models = {"default": "simulated:strong", "weak_solver": "simulated:weak"}
    folder = tmp_path / "run"
    result = generate(documents_folder(), models=models, domain=domain, out=folder, progress=False)
    turns = asyncio.run(challenger_turns(folder))
    with closing(sqlite3.connect(folder / "run.db")) as db:
        [asked] = db.execute("select count(*) from calls where role = 'challenger' and try = 0").fetchone()
    assert len(turns.turns) + turns.unknown == asked
    assert sum(turn["label"] for turn in turns.turns) == len(result)
    assert not turns.unknown or domain == "science", "only drafts that were never tried are not known"


def test_every_format_says_of_each_row_where_it_comes_from(cs: Path, tmp_path: Path) -> None:
    names = set(Provenance.__annotations__) - {"attempts"}
    rows = open_run(cs).examples
    for name in sorted(set(EXPORTERS.shipped) - {"jsonl", "hf", "challenger"}):
        out = tmp_path / name
        assert open_run(cs).export(out, format=name) == len(rows)
        found: list[dict[str, object]] = []
        for path in out.rglob("*train*"):
            if path.suffix == ".parquet":
                found += [row.get("extra_info", row) for row in read_table(path).to_pylist()]
            else:
                found += [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        assert found, name
        by_document = {row["document_id"]: row for row in rows}
        for row in found:
            whole = by_document[row["document_id"]]
            assert {key: row[key] for key in names} == {key: whole[key] for key in names}, name
            assert row["attempts"] == [], "an option"
    answered = tmp_path / "answered"
    assert invoke("export", cs, "--format", "messages", "--out", answered, "--answers").exit_code == 0
    chats = [json.loads(line) for line in (answered / "train.jsonl").read_text("utf-8").splitlines()]
    assert [chat["attempts"] for chat in chats] == [row["attempts"] for row in rows]
    assert names <= set(rows[0])


def test_what_an_analysis_says_is_what_the_rows_hold(cs: Path, tmp_path: Path) -> None:
    rows, run, benchmark = open_run(cs).examples, tmp_path / "run", tmp_path / "benchmark.txt"
    shutil.copytree(cs, run)
    with closing(sqlite3.connect(run / "run.db")) as db, db:
        db.execute("update examples set tied = (example_id = ?)", (rows[1]["id"],))
    benchmark.write_text(f"A benchmark asks: {rows[0]['context']}", "utf-8")
    found = parsed("analyse", run, "--against", benchmark, "--json")
    assert found["examples"] == len(rows)
    assert found["tied_to_numbers"] == {"share": 1 / len(rows), "examples": [rows[1]["id"]]}
    assert [one["example"] for one in found["contamination"]] == [rows[0]["id"]]
    assert found["rubrics"]["criteria"] == sum(len(row["rubric"]) for row in rows)
    negative = sum(item["weight"] < 0 for row in rows for item in row["rubric"])
    assert 0 < found["rubrics"]["never_fired"]["count"] <= negative
    by_solver = {one["solver"]: one for one in found["learnability"]}
    for solver, scores in (
        ("weak", [row["weak_scores"] for row in rows]),
        ("strong", [row["strong_scores"] for row in rows]),
    ):
        assert by_solver[solver]["domain"] == "cs"
        assert by_solver[solver]["vary"] == sum(len(set(one)) > 1 for one in scores) / len(rows)
    shown = words(printed("analyse", run, columns=200))
    assert f"tied to numbers 1 ({1 / len(rows):.0%}) {rows[1]['id']}" in shown


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_push_to_the_hub_says_what_it_sends_and_waits_for_a_yes(cs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", ADDRESS)
    rows = len(open_run(cs))
    with Hub().connected() as hub:
        asked = invoke("push", "hf", cs, "--dataset", "ann/tides")
        assert isinstance(asked.exception, UserError)
        assert f"This sends {rows} examples with all their answers, without the documents' texts" in asked.stderr
        assert f"to the dataset ann/tides at {ADDRESS}, which is private." in asked.stderr
        assert "nothing was sent: give --yes" in str(asked.exception)
        assert not hub.requests
        command = ("push", "hf", cs, "--dataset", "ann/tides", "--split", "0.5/0.5", "--licence", "mit", "--yes")
        assert f"{rows} examples pushed to Hugging Face dataset ann/tides" in invoke(*command).stderr
        assert (
            f"0 examples pushed to Hugging Face dataset ann/tides, private, {rows} were there"
            in invoke(*command).stderr
        )
        files = hub.datasets["ann/tides"].files
    assert len(hub.datasets["ann/tides"].commits) == 1
    assert b'license: "mit"' in files["README.md"]
    refused = invoke("push", "langsmith", cs, "--public")
    assert "--split, --source and --public go with hf" in str(refused.exception)
