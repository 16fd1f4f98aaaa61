"""Texts of strangers on terminals of every encoding: nothing commands the terminal, nothing fails, data stays exact."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.records import Example
from autodata.checkpoints.texts import json_text
from autodata.cli.terminal import console, write_data
from autodata.jobs.printable import printable
from tests.support.commands import invoke
from tests.support.stages import first_quick

HOSTILE = (
    "\u6e2f \u2192 \u2248 [/red][bold]x[/] \x1b[31m \x1b]0;title\x07 \x9b31m \x7f \u202e \u2066 \u2028 \u2029 \x85 \x0b"
)
"""Letters that most encodings lack, markup, sequences that command a terminal, turns of direction, ends of lines."""

COMMANDING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    "code", [*range(0x20), *range(0x7F, 0xA0), 0x61C, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
)
def test_characters_that_command_a_terminal_are_shown_as_such(code: int) -> None:
    shown = printable(f"a{chr(code)}b")
    assert shown == (f"a{chr(code)}b" if chr(code) in "\t\n" else "a\ufffdb")


def test_a_console_cleans_whatever_is_printed_through_it() -> None:
    file = io.StringIO()
    out = console(file=file, width=300)
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    for one in (HOSTILE, Panel(HOSTILE, title=Text(HOSTILE)), table):
        out.print(one)
    shown = file.getvalue()
    assert not COMMANDING.search(shown)
    assert shown.count("[/red][bold]x[/]") == 7


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_json_says_the_same_without_commanding_anything(indent: int | None, ascii_only: bool) -> None:
    value = {HOSTILE: [HOSTILE, {"n": 1.5, "none": None, "\\\u2028": "\\\x85"}]}
    text = json_text(value, indent=indent, ascii_only=ascii_only)
    assert json.loads(text) == value
    assert not COMMANDING.search(text)
    assert indent or len(text.splitlines()) == 1
    assert ascii_only is text.isascii()


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_text(float("nan"))


async def _fill(folder: Path) -> None:
    candidate = {"question": HOSTILE, "reference_answer": HOSTILE, "context": HOSTILE}
    example = Example(
        example_id="e",
        document_id="d1",
        document_name=HOSTILE,
        domain="facts",
        candidate_id="c",
        candidate=candidate,
        rounds=1,
        weak_scores=(),
        strong_scores=(),
        weak_mean=None,
        strong_mean=None,
        gap=None,
        preset="x",
        checks=(),
        prompt_version="v",
        models={},
    )
    of_document = {"document_id": "d1", "thread_id": "main/d1"}
    async with Ledger.open(folder / "run.db") as ledger:
        await ledger.save(
            documents=[
                {"document_id": "d1", "name": HOSTILE, "title": HOSTILE, "text": HOSTILE, "status": "accepted"}
                | {"note": HOSTILE},
                {"document_id": "d2", "name": f"2 {HOSTILE}", "status": "errored", "status_reason": HOSTILE},
            ],
            candidates=[{**candidate, "candidate_id": "c", "candidate": candidate}],
            rounds=[{**of_document, "round_id": "r", "n": 1, "candidate_id": "c", "outcome": "accepted"}],
            attempts=[
                {"attempt_id": "a", "round_id": "r", "candidate_id": "c", "stage": "weak", "idx": 0, "answer": HOSTILE}
            ],
            examples=[
                {"document_id": "d1", "example_id": "e", "round_id": "r", "rounds": 1}
                | {"example": example.model_dump(mode="json")}
            ],
            spans=[
                {**of_document, "span_id": "s", "kind": "document", "name": HOSTILE, "started": "2030-01-01T00:00:00"}
                | {"ended": "2030-01-01T00:00:09", "error": HOSTILE, "status": "error"}
            ],
            failures=[
                {**of_document, "failure_id": "f", "kind": "defect", "message": HOSTILE, "created_at": "2030-01-01"}
            ],
        )


COMMANDS = {
    "list": ["show", "RUN"],
    "document": ["show", "RUN", "d1", "--full"],
    "errored": ["show", "RUN", "d2"],
    "status": ["status", "RUN"],
    "trace": ["trace", "RUN", "d1"],
    "unknown": ["show", "RUN", f"no {HOSTILE}"],
    "list.json": ["show", "RUN", "--json"],
    "document.json": ["show", "RUN", "d1", "--json"],
    "export.jsonl": ["export", "RUN", "--out", "-"],
    "compare.md": ["compare", "RUN", "--markdown", "-"],
}
MANY = """
import json, sys
from autodata.cli.app import main
ends = {}
for name, words in json.loads(sys.argv[1]).items():
    print(f"<<<{name}>>>", flush=True)
    sys.argv = ["autodata", *words]
    try:
        main()
    except SystemExit as error:
        ends[name] = error.code
    sys.stdout.flush()
print("<<<end>>>" + json.dumps(ends), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", first_quick("cp1252", "ascii"))
def test_every_command_survives_every_encoding_and_writes_data_exactly(tmp_path: Path, encoding: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    asyncio.run(_fill(run))
    commands = {name: [str(run) if word == "RUN" else word for word in words] for name, words in COMMANDS.items()}
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "200", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", MANY, json.dumps(commands)], capture_output=True, env=environment, check=False
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    parts = dict(re.findall(rb"<<<([a-z.]+)>>>\n?(.*?)(?=<<<|\Z)", done.stdout, re.DOTALL))
    ends = json.loads(parts.pop(b"end"))
    assert {name for name, code in ends.items() if code} == {"unknown"}
    assert not COMMANDING.search(done.stderr.decode(encoding, "replace"))
    shown: dict[str, bytes] = {name.decode(): text for name, text in parts.items()}
    assert shown.keys() == COMMANDS.keys()
    for name, text in shown.items():
        as_utf_8 = name in {"export.jsonl", "compare.md"}
        assert not COMMANDING.search(text.decode("utf-8" if as_utf_8 else encoding)), name
    rows: list[dict[str, Any]] = json.loads(shown["list.json"])
    assert [row["name"] for row in rows] == [HOSTILE, f"2 {HOSTILE}"]
    [line] = shown["export.jsonl"].decode("utf-8").splitlines()
    assert json.loads(line)["question"] == HOSTILE
    assert "\u6e2f".encode() in shown["export.jsonl"]


def test_a_page_holds_texts_of_strangers_as_texts(tmp_path: Path) -> None:
    asyncio.run(_fill(tmp_path))
    name = "<script>alert(1)</script><img src=x onerror=alert(1)> \x1b[31m"
    with closing(sqlite3.connect(tmp_path / "run.db")) as db, db:
        db.execute("UPDATE documents SET name = ?", (name,))
        db.execute("UPDATE spans SET name = ?, error = ?", (name, name))
    page = tmp_path / "page.html"
    assert invoke("trace", tmp_path, "d1", "--html", page).exit_code == 0
    text = page.read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script" not in text
    assert "<img" not in text
    assert not COMMANDING.search(text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_data_is_exact_in_a_file_and_cleaned_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    behind = io.BytesIO()
    file = io.TextIOWrapper(behind, encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", file)
    file.write("before ")
    write_data(HOSTILE)
    assert behind.getvalue() == b"before " + HOSTILE.encode()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    write_data(HOSTILE)
    assert terminal.getvalue() == printable(HOSTILE)
