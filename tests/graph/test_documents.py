"""Documents on their way into a run: long ones in parts, changed ones, and what is said when none can be used."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import document_id, whole_id
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.records import Document, Skipped
from autodata.jobs.generate import generate
from autodata.jobs.inputs import Inputs
from autodata.runner.config import as_begun, read_config
from autodata.runner.fingerprint import fingerprint, kept_of
from autodata.runner.ingest import ingest
from autodata.runner.optimization.splits import require_splits
from autodata.runner.run_folder import require_room
from tests.support import pinned
from tests.support.commands import invoke, parsed, printed, refusal
from tests.support.runs import generated
from tests.support.stages import first_quick

MODELS = '[models.default]\nprovider = "simulated"\nmodel = "strong"\n[models.weak_solver]\nmodel = "weak"\n'


def section(name: str, sentences: int = 18) -> str:
    return f"## {name}\n\n" + " ".join(f"The {name} of station {n} has {n + 31} readings." for n in range(sentences))


LONG = "# Masts\n\n" + "\n\n".join(section(name) for name in ("foot", "gaff", "top", "stay"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "papers").mkdir()
    configure("max_chars = 1000")
    return tmp_path


def configure(documents: str, domain: str = "cs", more: str = "") -> None:
    Path("autodata.toml").write_text(
        f'domain = "{domain}"\nmax_rounds = 1\n{more}{MODELS}[documents]\n{documents}\n', "utf-8"
    )


def write(**texts: str) -> None:
    for name, text in texts.items():
        Path("papers", f"{name}.md").write_text(text, "utf-8")


def run(*more: str, command: str = "run") -> Result:
    result = invoke(command, "--documents", "papers", "--out", "out", *more, columns=300)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def rows() -> dict[str, dict[str, Any]]:
    """The documents of the run by name; of two of one name the newer."""
    with closing(sqlite3.connect("out/run.db")) as db:
        db.row_factory = sqlite3.Row
        return {row["name"]: dict(row) for row in db.execute("SELECT * FROM documents ORDER BY rowid")}


# Parts


@pytest.mark.parametrize("command", first_quick("run", "baseline"))
def test_a_long_document_is_worked_on_in_parts_and_this_is_said(here: Path, command: str) -> None:
    write(long=LONG, short="# Gaff\n\nThe gaff of 1931 is of old oak.")
    result = run(command=command)
    [said] = [line for line in result.stderr.splitlines() if line.startswith("parted: ")]
    assert said == "parted: 1 long document into 4 parts of at most 1,000 characters: long.md (4 parts)"
    found = rows()
    whole = document_id(LONG)
    assert [name for name in found if name.startswith("long")] == [f"long.md#{n}" for n in (1, 2, 3, 4)]
    assert found["long.md#3"]["document_id"] == f"{whole}#3"
    assert found["long.md#3"]["text"].startswith("# Masts\n\n## top\n\n")
    assert max(row["chars"] for row in found.values()) <= 1000
    assert found["short.md"]["document_id"] == document_id("# Gaff\n\nThe gaff of 1931 is of old oak.")
    assert {row["status"] for row in found.values()} <= {"accepted", "rejected"}
    assert "part 3 of 4" in printed("show", "out", columns=200)


@pytest.mark.slow
def test_an_exported_example_names_the_part_that_it_is_of(here: Path) -> None:
    write(long=LONG)
    run(command="baseline")  # it accepts whatever it has measured
    invoke("export", "out", "--format", "jsonl", "--out", "x.jsonl")
    made = [json.loads(line) for line in Path("x.jsonl").read_text("utf-8").splitlines()]
    assert made
    assert {whole_id(row["document_id"]) for row in made} == {document_id(LONG)}
    assert all(row["document_name"] == f"long.md#{row['document_id'].partition('#')[2]}" for row in made)


@pytest.mark.slow
def test_the_same_command_again_does_nothing_and_a_larger_limit_takes_further_parts(here: Path) -> None:
    write(long=LONG)
    run("--limit", "2")
    assert [*rows()] == ["long.md#1", "long.md#2"]
    before = parsed("status", "out", "--json")["calls"]
    run("--limit", "2")
    assert parsed("status", "out", "--json")["calls"] == before
    run("--limit", "9")
    assert [*rows()] == [f"long.md#{n}" for n in (1, 2, 3, 4)]


def test_parts_beyond_their_number_are_left_out_and_this_is_said(here: Path) -> None:
    configure("max_chars = 1000\nmax_chunks = 3")
    write(long=LONG)
    result = run()
    assert [*rows()] == [f"long.md#{n}" for n in (1, 2, 3)]
    [said] = [line for line in result.stderr.splitlines() if line.startswith("left out: ")]
    assert said.startswith("left out: the last 1 part of 1 document, ")
    assert said.endswith(": long.md (1): raise documents.max_chunks, now 3, to take them")


@pytest.mark.parametrize(
    ("domain", "documents", "names"),
    [
        ("cs", "max_chars = 1000", ["a.md#1", "a.md#2", "a.md#3", "a.md#4"]),
        ("legal", "max_chars = 1000", ["a.md#1", "a.md#2", "a.md#3", "a.md#4"]),
        ("science", "max_chars = 1000", ["a.md#1", "a.md#2", "a.md#3", "a.md#4"]),
        ("facts", "max_chars = 1000", ["a.md"]),
        ("facts", "max_chars = 1000\nchunk = true", ["a.md#1", "a.md#2", "a.md#3", "a.md#4"]),
        ("cs", "max_chars = 1000\nchunk = false", ["a.md"]),
        ("cs", 'max_chars = 1000\ntoo_long = "cut"', ["a.md"]),
        ("cs", 'max_chars = 1000\ntoo_long = "refuse"', ["a.md"]),
        ("cs", 'max_chars = 1000\ntoo_long = "refuse"\nchunk = true', ["a.md#1", "a.md#2", "a.md#3", "a.md#4"]),
        ("cs", "max_chars = 1000\nreader = 1", ["a.md"]),
        ("cs", "", ["a.md"]),
    ],
)
def test_which_domains_and_settings_part_documents(here: Path, domain: str, documents: str, names: list[str]) -> None:
    pytest.importorskip("mpmath")
    write(a=LONG)
    config = read_config(f'domain = "{domain}"\n{MODELS}[documents]\n{documents}\n', "test")
    assert [item.name for item in Inputs(config, [Path("papers")])] == names


# What the context leaves


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ("", 60_000),
        ("[models.default]\ncontext = 16000\nmax_tokens = 4000\n", (16_000 - 4_000 - 1_500) * 3),
        ("[models.default]\ncontext = 200000\n", 60_000),
        ("[models.default]\ncontext = 16000\n[documents]\nmax_chars = 700\n", 700),
        # The solvers see no document.
        ("[models.weak_solver]\ncontext = 4096\n", 60_000),
        ('[models.challenger]\nprovider = "local"\nmax_tokens = 1000\n[local]\nctx = 8192\n', (8_192 - 2_500) * 3),
        ('domain = "facts"\n[models.default]\ncontext = 4096\n', 60_000),
    ],
)
def test_the_longest_document_is_what_the_context_leaves(settings: str, most: int) -> None:
    named = '[models.default]\nmodel = "m"\n'
    text = settings.replace("[models.default]\n", named) if "[models.default]" in settings else settings + named
    config = read_config(text, "test")
    assert config.max_chars == most
    assert config.resolved("p")["documents"]["max_chars"] == most


def test_a_context_without_room_is_refused() -> None:
    config = read_config('[models.default]\nmodel = "m"\ncontext = 6000\nmax_tokens = 4500\n', "test")
    with pytest.raises(UserError, match=r"has no room for a document: models\.\w+\.context 6000 less max_tokens 4500"):
        require_room(config, config.roles())


# Documents that have changed


BECAME = {
    "accepted": "the example of its older version stays, and is marked so",
    "rejected": "its older version was rejected",
}


def changes(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("changed")]


@pytest.mark.slow
def test_a_changed_document_takes_the_place_of_its_older_version(here: Path) -> None:
    old, new = "The mast of 1931 is 41 metres tall.", "The mast of 1931 is 42 metres tall."
    write(a=old, b="The gaff of 1931 is of old oak.")
    configure("", more='acceptance = {preset = "paper", weak_mean = "<= 1", gap = ">= -1"}\n')
    run()
    before = rows()
    write(a=new)
    result = run()
    became = BECAME[before["a.md"]["status"]]
    assert changes(result) == [f"changed: a.md: its newer version is taken; {became}"]
    shown = {row["document_id"]: row for row in parsed("show", "out", "--json")}
    assert shown[document_id(old)]["status"] == before["a.md"]["status"]
    assert shown[document_id(old)]["note"] == "an older version: its source has another text now"
    assert shown[document_id(new)]["note"] == ""
    assert shown[document_id(new)]["status"] in {"accepted", "rejected"}
    assert changes(run()) == [], "said once"
    write(a=old)
    newer = BECAME[shown[document_id(new)]["status"]]
    assert changes(run()) == [
        f"changed: a.md: its newer version is taken; {newer}",
        "changed back: a.md: its text is as it was, and goes on",
    ]
    shown = {row["document_id"]: row for row in parsed("show", "out", "--json")}
    assert shown[document_id(old)]["note"] == ""
    assert shown[document_id(new)]["note"] == "an older version: its source has another text now"


def test_the_unfinished_work_of_an_older_version_is_set_aside(here: Path) -> None:
    write(a="The mast of 1931 is 41 metres tall.", b="The gaff of 1931 is of old oak.")
    run("--max-calls", "1")
    before = rows()
    assert before["a.md"]["status"] == before["b.md"]["status"] == "pending"
    write(a="The mast of 1931 is 42 metres tall.")
    result = run("--max-calls", "1", "--limit", "2")
    assert changes(result) == ["changed: a.md: its newer version is taken; its older version, pending, is set aside"]
    run("--limit", "2")
    shown = {row["document_id"]: row for row in parsed("show", "out", "--json")}
    old = shown[before["a.md"]["document_id"]]
    assert (old["status"], old["status_reason"]) == ("skipped", "set aside: its source has another text now")
    assert {row["status"] for row in shown.values() if row is not old} <= {"accepted", "rejected"}
    assert len(shown) == 3


def doc(text: str, source: str, name: str = "a.md", part: str = "") -> Document:
    return Document(document_id=document_id(text) + part, name=name, title="t", text=text, source=source)


async def test_where_an_older_version_stood_is_found_again(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        old = [doc(text, f"/{text}") for text in ("errored", "waiting", "pending", "skipped", "accepted")]
        await ingest(ledger, old)
        await ledger.save(
            documents=[
                {"document_id": one.document_id, "status": one.text, "settled": int(one.text == "accepted")}
                for one in old
            ],
            failures=[
                {"failure_id": "f", "document_id": old[0].document_id, "kind": "k", "message": "m", "created_at": "now"}
            ],
            rounds=[{"round_id": "r", "document_id": old[1].document_id, "thread_id": "t", "n": 1}],
            labels=[
                {"label_id": "l", "document_id": old[1].document_id, "thread_id": "t", "round_id": "r"}
                | {"candidate_id": "c", "verdict": "accept", "n": 1}
            ],
        )
        taken = await ingest(ledger, [doc(f"{one.text} anew", one.source) for one in old])
        assert taken.replaced == [("a.md", one.text) for one in old if one.text != "skipped"]
        read = "SELECT status, settled, replaced_by != '' AS replaced FROM documents ORDER BY rowid LIMIT 5"
        assert [(*row.values(),) for row in await ledger.read(read)] == [
            *[("skipped", 1, 1)] * 3,
            ("skipped", 0, 0),
            ("accepted", 1, 1),
        ]
        assert await ledger.documents() == sorted(
            [document_id(f"{one.text} anew") for one in old] + [old[3].document_id]
        ), "an older version is shown to nobody as another document"
        taken = await ingest(ledger, old)
        assert taken.back == ["a.md"] * 4
        assert [(*row.values(),) for row in await ledger.read(read)] == [
            ("errored", 0, 0),
            ("waiting", 0, 0),
            ("pending", 0, 0),
            ("skipped", 0, 0),
            ("accepted", 1, 0),
        ]


@pytest.mark.parametrize(
    ("before", "after", "replaced"),
    [
        # Another text of one source; and of what only its place names, of another place, or not given this time.
        ([doc("one", "/a")], [doc("two", "/a")], 1),
        ([doc("one", "")], [doc("two", "")], 0),
        ([doc("one", "/a")], [doc("two", "/b")], 0),
        ([doc("one", "/a")], [], 0),
        # Moved within its folder, whatever stands in its place now.
        ([doc("one", "/a")], [doc("one", "/b"), doc("two", "/a")], 0),
        # Parts of another version, and further parts of the same.
        ([doc("one", "/a", part="#1"), doc("one", "/a", part="#2")], [doc("two", "/a")], 2),
        ([doc("one", "/a", part="#1")], [doc("one", "/a", part="#1"), doc("one", "/a", part="#2")], 0),
        ([doc("one", "/a")], [Skipped("a.md", "empty")], 0),
    ],
)
async def test_what_counts_as_a_changed_document(
    tmp_path: Path, before: list[Document], after: list[Document | Skipped], replaced: int
) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        await ingest(ledger, before)
        assert len((await ingest(ledger, after)).replaced) == replaced


# Nothing usable


@pytest.mark.parametrize("command", ["run", "baseline"])
def test_nothing_usable_is_refused(here: Path, command: str) -> None:
    write(a="", b="\u200b", c="short")
    stderr = refusal(command, "--documents", "papers", "--out", "out")
    assert stderr == (
        "no document can be used: a.md: empty (and 2 more): mend them, or give others with --documents PATH"
    )
    result = invoke(command, "--documents", "papers", "--out", "out", columns=300)
    assert "skipped: b.md: empty: it holds no visible character" in result.stderr.splitlines()
    write(d="The mast of 1931 is 41 metres tall.")
    run(command=command)


def test_generate_refuses_it_too(here: Path) -> None:
    write(a="", b="short")
    with pytest.raises(UserError, match=r"no document can be used: a\.md: empty \(and 1 more\)"):
        generate(Path("papers"), config=Path("autodata.toml"), progress=False)


def test_optimize_says_what_it_skips_and_refuses_a_split_of_nothing(here: Path) -> None:
    for split, documents in {"train": generated(3), "validate": generated(6)[3:]}.items():
        Path(split).mkdir()
        for document in documents:
            Path(split, document.name).write_text(document.text, "utf-8")
    Path("train", "empty.md").touch()
    Path("none").mkdir()
    Path("none", "empty.md").touch()
    stderr = refusal("optimize", "--train", "none", "--validate", "validate", "--out", "opt")
    assert stderr.startswith("--train: no document can be used: empty.md: empty: mend them")
    result = invoke(
        "optimize", "--train", "train", "--validate", "validate", "--out", "opt", "--max-calls", "1", columns=300
    )
    assert result.exit_code == 0, (result.output, result.exception)
    assert "--train: skipped: empty.md: empty\n" in result.stderr


def test_parts_of_one_document_are_in_one_split_alone() -> None:
    one, other = (doc("Of oak.", "/a", part=part) for part in ("#1", "#2"))
    third = doc("Of iron.", "/b")
    require_splits({"train": [one, other], "validate": [third]})
    with pytest.raises(UserError, match=r"is in --train .* and in --validate: keep held-out documents out"):
        require_splits({"train": [one, third], "validate": [other]})


@pytest.mark.slow
def test_fields_of_records_are_options_of_every_command(here: Path) -> None:
    record = {"body": "The mast of 1931 is 41 metres tall.", "head": "Masts", "key": "m1"}
    Path("papers", "a.jsonl").write_text(json.dumps(record), "utf-8")
    stderr = refusal("run", "--documents", "papers", "--out", "out")
    assert 'no "text" among its keys "body", "head", "key": name the key that holds the text' in stderr
    run("--text-field", "body", "--title-field", "head", "--id-field", "key")
    assert [(row["name"], row["title"]) for row in rows().values() if row["chars"]] == [("m1", "Masts")]
    result = generate(Path("papers"), config=Path("autodata.toml"), progress=False, text_field="body", id_field="key")
    assert sum(result.counts.values()) == 1


# Folders of before


def old_folder(here: Path) -> Path:
    """A folder as the first reader left it, with the documents that it read."""
    return pinned.unpack("version-4", here / "old")


@pytest.mark.slow
def test_a_folder_of_before_reads_what_it_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old_folder(here).parent)
    Path("documents", "page.html").write_text("<p>The mast of 1931 is 41 metres tall.</p>")
    Path("documents", "long.md").write_text("The mast of 1931 is 41 metres tall. " * 3000)
    before = rows_of("run")
    begun = ("--config", "autodata.toml", "--prompts", "prompts", "--documents", "documents", "--out", "run")
    result = invoke("run", *begun, columns=300)
    assert result.exit_code in {0, 1}, (result.output, result.exception)
    assert "1 of kind .html" in result.stderr
    assert "cut: 1 document" in result.stderr
    assert [*rows_of("run")] == [*before, "long.md"]
    stderr = refusal("run", *begun, "--max-rounds", "1")
    assert "max_rounds: 3 -> 1" in stderr
    assert "documents" not in stderr.partition("):")[0]


def rows_of(run: str) -> dict[str, str]:
    return {row["name"]: row["document_id"] for row in parsed("show", run, "--json")}


def test_what_a_folder_was_begun_with_decides_what_was_left_open() -> None:
    config = read_config(MODELS, "test")
    assert config.chunks
    known = kept_of(fingerprint(config.resolved("p")))
    assert as_begun(config, {}) is config, "a new folder"
    assert as_begun(config, known) is config
    before = {
        name: value for name, value in fingerprint(config.resolved("p")).items() if not name.startswith("documents.")
    }
    old = kept_of({**before, "documents.max_chars": "30000", "documents.too_long": "cut"})
    began = as_begun(config, old)
    assert (began.chunks, began.documents.reader, began.max_chars) == (False, 1, 30_000)
    asked = as_begun(read_config(f"{MODELS}[documents]\nchunk = true\nmax_chars = 500\n", "test"), old)
    assert (asked.chunks, asked.documents.reader, asked.max_chars) == (True, 1, 500)
    second = kept_of({**fingerprint(config.resolved("p")), "documents.reader": "2"})
    assert as_begun(config, second).documents.reader == 2
    assert fingerprint(as_begun(config, second).resolved("p"))["documents.reader"] == "2"
    asked = as_begun(read_config(f"{MODELS}[documents]\nreader = 3\n", "test"), second)
    assert asked.documents.reader == 3
