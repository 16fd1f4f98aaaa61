"""docs/domains.md as written: every file block is written, every command is run, in the page's order."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from typing_extensions import get_protocol_members

from autodata.cli.app import main
from autodata.domains.tasks.base import Described, Extracting, Grounded, Judged, Needy, Ruled, Screened, TaskType, Voted
from autodata.domains.tasks.registry import TASK_TYPES
from autodata.prompts.roles import NEEDED, PLACEHOLDERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "domains.md"
TOKENS = MarkdownIt("commonmark").enable("table").parse(PAGE.read_text("utf-8"))


def steps() -> Iterator[tuple[str, str, str]]:
    """Yield what the page does: (`file`, name, text), (`run`, line, expected output)."""
    name = ""
    blocks = [(token, after) for token, after in pairwise([*TOKENS, TOKENS[-1]])]
    for token, after in blocks:
        if token.type == "inline" and (match := re.fullmatch(r"`([\w./-]+)`:", token.content)):
            name = match[1]
        elif token.type == "fence" and token.info == "sh":
            lines = token.content.splitlines()
            for line in lines:
                said = after.content if after.info == "text" and line == lines[-1] else ""
                yield "run", line, said
        elif token.type == "fence" and token.info != "text":
            assert name, f"line {(token.map or [0])[0]}: which file is this?"
            yield "file", name, token.content
            name = ""


def table(first: str) -> Mapping[str, str]:
    """Return a table's rows by its first head cell: first cell to last cell."""
    rows: dict[str, str] = {}
    cells: list[str] = []
    inside = False
    for token in TOKENS:
        if token.type == "tr_open":
            cells = []
        elif token.type == "inline" and token.level == 4:
            cells.append(token.content.strip("`"))
        elif token.type == "tr_close":
            inside = inside or cells[0] == first
            if inside:
                rows[cells[0]] = "|".join(cells[1:])
        elif token.type == "table_close":
            inside = False
    return {name: text for name, text in rows.items() if name != first}


def exit_code() -> object:
    """Run the command line on `sys.argv`."""
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    return 0


def test_the_page_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs: dict[str, str] = {}
    for what, name, text in steps():
        if what == "file":
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text(text, "utf-8")
            continue
        words = shlex.split(name)
        if words[0] == "PYTHONPATH=.":
            monkeypatch.syspath_prepend(tmp_path)
            del words[0]
        assert words[0] == "autodata"
        monkeypatch.setattr(sys, "argv", words)
        code = exit_code()
        captured = capsys.readouterr()
        outputs[name] = captured.out
        assert code == (2 if text else 0), (name, captured)
        assert text.strip() in captured.err, name
    written = [json.loads(line) for line in (tmp_path / "examples.jsonl").read_text("utf-8").splitlines()]
    assert written, "no example was made: choose another seed"
    assert {row["domain"] for row in written} == {"manuals"}
    assert "a technician must be able to answer" in outputs["autodata prompts show ./manuals challenger"]
    assert outputs["autodata prompts diff facts ./manuals"].count("--- a/") == 4
    assert len(list((tmp_path / "cs-prompts").glob("*.md"))) == len(list((PAGE.parents[1] / "prompts/cs").glob("*.md")))
    assert not (tmp_path / "runs" / "none").exists()


def test_the_table_of_placeholders_is_true() -> None:
    rows = table("role")
    assert set(rows) == set(PLACEHOLDERS)
    for role, text in rows.items():
        may, must = text.split("|")
        assert {*may.split(", ")} == PLACEHOLDERS[role], role
        assert set(must.split(", ")) == NEEDED[role], role


KIND_PARTS = (TaskType, Ruled, Described, Grounded, Extracting, Screened, Judged, Voted, Needy)


def test_every_part_of_a_task_type_is_described() -> None:
    members = {name for kind in KIND_PARTS for name in get_protocol_members(kind)}
    assert set(table("member")) == members


def test_every_task_type_is_described() -> None:
    assert {f"`{name}`" for name in TASK_TYPES} <= set(re.findall(r"`\w+`", PAGE.read_text("utf-8")))
