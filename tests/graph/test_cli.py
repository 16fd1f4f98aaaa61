"""The commands that look into a run folder, over real runs of the simulated model."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject
from typer.testing import Result

from autodata.checkpoints.errors import RunFailed
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.ledger import open_readonly
from autodata.checkpoints.records import Document, Skipped
from autodata.cli import app as command_line
from autodata.corpus.summary import summarise
from autodata.runner.config import read_config
from autodata.runner.document_runner import open_runner
from autodata.runner.events import RunEvent
from autodata.runner.ingest import add_documents
from tests.graph.test_runner import QUICK
from tests.support.commands import invoke, parsed, printed, refusal, words
from tests.support.stages import first_quick

MODELS = '[models.default]\nprovider = "simulated"\nmodel = "strong"\n[models.weak_solver]\nmodel = "weak"\n'
COMMANDS = ("run", "baseline", "compare", "status", "show", "export", "init", "doctor", "demo", "graph")


async def _run(folder: Path, domain: str, max_rounds: int) -> None:
    config = read_config(f'domain = "{domain}"\nmax_rounds = {max_rounds}\n{MODELS}', "test")
    async with open_runner(config, folder) as runner:
        documents: list[Document | Skipped] = [*QUICK, Skipped(name="scan.pdf", reason="binary")]
        await add_documents(runner.ledger, documents)
        assert not (await runner.run()).stopped


@pytest.fixture(scope="module")
def cs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cs") / "run"
    asyncio.run(_run(folder, "cs", 3))
    return folder


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("facts") / "run"
    asyncio.run(_run(folder, "facts", 6))
    return folder


def summary_of(folder: Path) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        async with open_readonly(folder / "run.db") as ledger:
            return await summarise(ledger)

    return asyncio.run(read())


# status


@pytest.mark.parametrize("domain", first_quick("cs", "facts"))
def test_status_as_json_is_the_summary(domain: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(domain)
    found = parsed("status", folder, "--json")
    assert found == summary_of(folder)
    assert found["documents"] == 3
    assert found["accepted"] >= 1
    assert found["skipped"] == 1


def test_status_for_people(cs: Path) -> None:
    summary, text = summary_of(cs), printed("status", cs)
    assert f"{summary['accepted']} of 3 documents accepted" in words(text)
    for role, count in summary["calls_by_role"].items():
        assert f"│ {role} │ {count:,} │" in words(text)
    assert f"{summary['tokens_in']:,}" in text
    lines = {line.rsplit(maxsplit=2)[0].strip(): line for line in text.splitlines() if "█" in line}
    failed = {mode.replace("_", " "): count for mode, count in summary["failure_modes"].items() if count}
    assert {mode: int(line.split()[-2]) for mode, line in lines.items()} == failed
    bars = [line.count("█") for line in lines.values()]
    assert bars == sorted(bars, reverse=True)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


@pytest.mark.slow
def test_status_says_that_curtailed_attempts_have_no_mean(facts: Path) -> None:
    assert "no mean: attempts stopped once the verdict was settled" in words(printed("status", facts))


async def test_status_says_why_a_run_stopped_until_it_goes_on(tmp_path: Path) -> None:
    for most, stopped in ((12, True), (1000, False)):
        config = read_config(f'domain = "cs"\nmax_rounds = 2\n[budget]\nmax_calls = {most}\n{MODELS}', "test")
        async with open_runner(config, tmp_path / "run") as runner:
            await add_documents(runner.ledger, QUICK)
            await runner.run()
        shown = words(await asyncio.to_thread(printed, "status", tmp_path / "run"))
        assert ("stopped: the budget --max-calls 12 is spent" in shown) is stopped


@pytest.mark.slow
async def test_status_while_the_run_goes_on(tmp_path: Path) -> None:
    seen: list[Result] = []
    texts = [f"The pump of station {n} moved {30 + n} litres a minute in {1900 + n}." for n in range(3)]
    documents = [Document(document_id=document_id(t), name=t[:25], title="Pumps", text=t) for t in texts]
    async with open_runner(read_config(f"max_rounds = 2\n{MODELS}", "test"), tmp_path / "run") as runner:

        def look(event: RunEvent) -> None:
            if event.event == "mark" and not seen:
                with ThreadPoolExecutor(1) as pool:
                    seen.append(pool.submit(invoke, "status", tmp_path / "run", "--json").result())

        runner.on_event = look
        await add_documents(runner.ledger, documents)
        await runner.run()
    found = json.loads(seen[0].stdout)
    assert (found["documents"], found["pending"]) == (3, 3)
    assert found["calls"] > 0


# show


def test_the_list_of_documents(cs: Path) -> None:
    rows = parsed("show", cs, "--json")
    summary = summary_of(cs)
    assert [row["name"] for row in rows] == [*sorted(row["name"] for row in rows[:2]), "scan.pdf"]
    accepted = [row for row in rows if row["status"] == "accepted"]
    assert len(accepted) == summary["accepted"]
    assert sum(row["gap"] for row in accepted) / len(accepted) == pytest.approx(summary["gap_mean"])
    assert all(len(row["weak_scores"]) == 3 and len(row["strong_scores"]) == 3 for row in accepted)
    assert all(row["weak_mean"] is None for row in rows if row["status"] != "accepted")
    text = printed("show", cs)
    for row in rows[:2]:
        line = next(line for line in text.splitlines() if row["name"] in line)
        assert line.split()[:3] == [row["document_id"][:8], row["name"], row["status"]]
        if row["status"] == "accepted":
            assert line.split()[3:] == [str(row["rounds"]), f"{row['weak_mean']:.2f}", f"{row['strong_mean']:.2f}"]
    assert "scan.pdf skipped" in words(text)
    assert "binary" in text


@pytest.mark.slow
def test_the_list_counts_what_was_curtailed(facts: Path) -> None:
    curtailed = [row for row in parsed("show", facts, "--json") if row["strong_scores"] and row["strong_mean"] is None]
    assert curtailed
    for row in curtailed:
        line = next(line for line in printed("show", facts).splitlines() if row["name"] in line)
        assert "3 of 3" in line


@pytest.mark.parametrize("domain", first_quick("cs", "facts"))
def test_a_document_as_json_is_whole(domain: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(domain)
    for row in parsed("show", folder, "--json"):
        found = parsed("show", folder, row["document_id"], "--json")
        assert found["rounds_made"] == row["rounds"] == len(found["rounds"])
        assert [one["n"] for one in found["rounds"]] == list(range(1, row["rounds"] + 1))
        for one in found["rounds"]:
            for attempt in one["attempts"]:
                assert len(attempt["marks"]) == len(one["candidate"].get("rubric", [None]))
            if one["attempts"]:
                assert one["verdicts"][-1]["checks"]
        if row["status"] == "accepted":
            last = found["rounds"][-1]
            assert (last["outcome"], last["verdicts"][-1]["decision"]) == ("accepted", "accept")
            scores = [one["score_value"] for one in last["attempts"]]
            assert scores == row["weak_scores"] + row["strong_scores"]


@pytest.mark.parametrize("columns", first_quick(80, 120))
@pytest.mark.parametrize("domain", first_quick("cs", "facts"))
def test_a_document_for_people(domain: str, columns: int, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(domain)
    name = next(row["name"] for row in parsed("show", folder, "--json") if row["status"] == "accepted")
    found = parsed("show", folder, name, "--json")
    raw = printed("show", folder, name, "--full", columns=columns)
    text = words(raw)
    assert max(map(len, raw.splitlines())) <= columns
    assert "\x1b" not in raw
    for one in found["rounds"]:
        assert f"Round {one['n']}, {one['outcome']}" in text
        assert words(one["candidate"]["question"]) in text
        assert words(one["passage"]) in text
        assert words(one["feedback"]) in text
        for attempt in one["attempts"]:
            assert f"{attempt['stage'].capitalize()} attempt {attempt['idx'] + 1} {attempt['score_value']:.2f}" in text
            assert words(attempt["answer"]) in text
        for verdict in one["verdicts"][-1:]:
            for check in verdict["checks"]:
                sign = "✓" if check["passed"] else "✗"
                assert f"{sign} {check['name']} {check['value']} needed {check['bound']}" in text


def test_the_rubric_shows_who_met_what(cs: Path) -> None:
    name = next(row["name"] for row in parsed("show", cs, "--json") if row["status"] == "accepted")
    last = parsed("show", cs, name, "--json")["rounds"][-1]
    lines = printed("show", cs, name, "--round", str(last["n"]), columns=120).splitlines()
    assert "W1 W2 W3 S1 S2 S3" in words("\n".join(lines))
    for number, item in enumerate(last["candidate"]["rubric"], 1):
        line = next(line for line in lines if line.split()[:2] == [f"{number}.", f"{item['weight']:+d}"])
        signs = ["✓" if attempt["marks"][number - 1]["met"] else "✗" for attempt in last["attempts"]]
        assert line.split()[-6:] == signs
        assert item["criterion"] in line


def test_one_round_only(cs: Path) -> None:
    row = max(parsed("show", cs, "--json"), key=lambda row: row["rounds"])
    assert row["rounds"] >= 2
    text = printed("show", cs, row["document_id"], "--round", "2")
    assert "Round 2," in text
    assert "Round 1," not in text
    assert [one["n"] for one in parsed("show", cs, row["document_id"], "--round", "2", "--json")["rounds"]] == [2]
    assert f"its rounds are 1 to {row['rounds']}" in refusal("show", cs, row["name"], "--round", "99")
    assert "it has none yet" in refusal("show", cs, "scan.pdf", "--round", "1")


@pytest.mark.parametrize("wanted", ["concrete-curing.md", "concrete-curing", "concrete", "{id}", "{id:.5}"])
def test_a_document_is_found(cs: Path, wanted: str) -> None:
    identity = next(r["document_id"] for r in parsed("show", cs, "--json") if r["name"] == "concrete-curing.md")
    assert parsed("show", cs, wanted.format(id=identity), "--json")["document_id"] == identity


def test_a_document_is_not_found(cs: Path) -> None:
    said = refusal("show", cs, "concrete-cuering")
    assert "near are concrete-curing.md" in said
    assert f"autodata show {cs}" in said
    assert "none is near" in refusal("show", cs, "@@@@")


# export


@pytest.mark.parametrize("domain", first_quick("cs", "facts"))
def test_export(domain: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder, out = request.getfixturevalue(domain), tmp_path / "examples.jsonl"
    result = invoke("export", folder, "--format", "jsonl", "--out", out)
    accepted = [row for row in parsed("show", folder, "--json") if row["status"] == "accepted"]
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{len(accepted)} example" in result.stderr
    assert str(out) in result.stderr
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["document_id"] for row in rows] == [row["document_id"] for row in accepted]
    assert [row["gap"] for row in rows] == [row["gap"] for row in accepted]
    assert printed("export", folder, "--out", "-") == out.read_text("utf-8")


def test_exports_that_cannot_be(cs: Path, tmp_path: Path) -> None:
    assert "unknown format 'parquet': use --format with one of jsonl" in refusal(
        "export", cs, "--format", "parquet", "--out", tmp_path / "x"
    )
    assert "name a file in it" in refusal("export", cs, "--format", "jsonl", "--out", tmp_path)
    (tmp_path / "mine").write_text("mine")
    assert "holds other files than an export" in refusal("export", cs, "--out", tmp_path)
    assert "--split 2: two or three" in refusal("export", cs, "--out", tmp_path / "x", "--split", "2")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


# all of them


def test_the_graph_is_mermaid() -> None:
    text = printed("graph", "--domain", "cs")
    assert "graph TD;" in text
    for node in ("challenger", "quality_verifier", "weak_solver", "verifier", "strong_solver", "feedback", "accept"):
        assert f"{node}({node})" in text
    assert "feedback -.-> challenger;" in text
    assert "challenger -.-> __end__;" in text, "a way for whatever a client writes into the state"
    assert "unknown domain 'law'" in refusal("graph", "--domain", "law")


@pytest.mark.parametrize("command", ["status", "show", "export"])
def test_folders_that_are_no_runs(command: str, tmp_path: Path) -> None:
    more = ("--out", "-") if command == "export" else ()
    assert "no such folder" in refusal(command, tmp_path / "none", *more)
    assert "holds no run.db" in refusal(command, tmp_path, *more)
    (tmp_path / "run.db").write_bytes(b"no database at all, " * 100)
    assert "cannot be used as a ledger" in refusal(command, tmp_path, *more)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    assert f"Example: autodata {command}" in words(printed(command, "--help"))


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [(["status", "nowhere"], None, 2), (["status"], None, 2), (["status", "{run}"], RunFailed("disk: full"), 1)],
)
def test_exit_codes(
    arguments: list[str],
    error: Exception | None,
    code: int,
    cs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(run: Path) -> None:
        raise error or AssertionError

    if error:
        monkeypatch.setattr("autodata.cli.status.ledger_of", fail)
    monkeypatch.setattr(sys, "argv", ["autodata", *(part.replace("{run}", str(cs)) for part in arguments)])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.startswith("autodata: ") or "Usage" in said.err


def test_looking_changes_nothing(cs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(cs, copy)
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    for command in (("status",), ("show",), ("show", "concrete"), ("export", "--out", "-")):
        printed(command[0], copy, *command[1:])
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


# What a run says of the documents it was given


def _folder_with_losses(folder: Path) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "short.md").write_text("The mast of 1940 is 41 metres tall.")
    for n in range(5):
        (folder / f"long{n}.md").write_text(f"Mast {n}. " + "The mast was painted again. " * (100 + n))
    (folder / "a.doc").write_text("x")
    (folder / ".hidden.md").write_text("x")
    (folder / "sub" / "blank.txt").write_text("\u200b\ufeff")
    (folder / "sub" / "loop").symlink_to(folder)
    writer = PdfWriter()
    for text in (b"The pump of 1931 moved 30 litres.", b""):
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        content.set_data(b"BT /F1 12 Tf 20 200 Td (" + text + b") Tj ET" if text else b"")
        page[NameObject("/Contents")] = writer._add_object(content)
    writer.write(folder / "two.pdf")


@pytest.mark.parametrize("command", ["run", "baseline"])
@pytest.mark.slow
def test_what_is_cut_lost_or_left_out_is_said(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _folder_with_losses(tmp_path / "papers")
    (tmp_path / "autodata.toml").write_text(
        f'domain = "cs"\n{"max_rounds = 1" if command == "run" else ""}\n'
        f"documents = {{ max_chars = 1000, chunk = false }}\n{MODELS}"
    )
    result = invoke(command, "--documents", "papers", "--out", "out", columns=300)
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    [cut] = [line for line in lines if line.startswith("cut: ")]
    assert cut.startswith("cut: 5 documents to fit the model's context, ")
    assert "of 14,315 characters left out: long0.md (2,807 to " in cut
    assert cut.endswith(" and 2 more")
    assert "skipped: sub/blank.txt: empty: it holds no visible character" in lines
    assert "note: two.pdf: no text could be read from page 2 of 2" in lines
    [left_out] = [line for line in lines if line.startswith("left out of the folders: ")]
    assert left_out.startswith("left out of the folders: 3 entries, ")
    for reason in ("1 of kind .doc", "1 hidden", "1 a link to a folder that is read already"):
        assert reason in left_out
    notes = {row["name"]: row["note"] for row in parsed("show", "out", "--json")}
    assert notes["two.pdf"] == "no text could be read from page 2 of 2"
    assert notes["long0.md"].startswith("cut from 2,807 to ")
    assert "page 2 of 2" in printed("show", "out", columns=200)
    assert invoke(command, "--out", "out").exit_code == 0  # without documents nothing is said of them


def test_nothing_is_said_of_documents_that_lost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a.md").write_text("The mast of 1940 is 41 metres tall.")
    (tmp_path / "autodata.toml").write_text(f"max_rounds = 1\n{MODELS}")
    result = invoke("run", "--documents", "papers")
    assert not [
        line for line in result.stderr.splitlines() if line.startswith(("cut: ", "note: ", "skipped: ", "left out"))
    ]
