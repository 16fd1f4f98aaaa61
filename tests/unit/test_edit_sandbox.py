"""The editor's copy of a pack: what may be done to it, and everything that is refused and recorded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.errors import UserError
from autodata.domains.domain import DOMAINS
from autodata.nodes.optimizer.edit_sandbox import (
    PROTECTED_ROLES,
    EditSandbox,
    Refusal,
    Refused,
    editable_roles,
    require_own_files,
)
from autodata.nodes.optimizer.schemas import Edit
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.pack import parse_prompt, shipped_packs
from autodata.prompts.patch import write_pack

CS = load_pack("cs")
BODY = "# user\none\ntwo\nthree\n"
HEAD = "+++\nplaceholders = []\neditable = true\n+++\n"


def edit(action: Any, file: str = "challenger.md", **more: Any) -> Edit:
    return Edit(action=action, file=file, **more)


def bench(body: str = BODY) -> EditSandbox:
    return EditSandbox(PromptPack("p", {"challenger": parse_prompt("challenger", HEAD + body, "x")}))


def body(sandbox: EditSandbox) -> str:
    return sandbox.text("challenger.md").removeprefix(HEAD)


@pytest.mark.parametrize("name", shipped_packs())
def test_what_may_be_edited(name: str) -> None:
    sandbox = EditSandbox(load_pack(name))
    expected = {"challenger", "quality_verifier", "feedback"} & {*DOMAINS[name].roles, "feedback"}
    assert set(sandbox.files) == {f"{role}.md" for role in expected}
    assert not PROTECTED_ROLES & set(editable_roles(load_pack(name)))
    assert sandbox.pack().version == load_pack(name).version


def test_a_pack_says_itself_what_is_editable() -> None:
    fixed = CS["challenger"].text.replace("editable = true\n", "")
    pack = PromptPack("p", {**CS.prompts, "challenger": parse_prompt("challenger", fixed, "x")})
    assert EditSandbox(pack).files == ("feedback.md", "quality_verifier.md")
    with pytest.raises(Refused, match=r"challenger\.md: not editable in this pack: use one of feedback\.md, "):
        EditSandbox(pack).act(edit("view"))
    with pytest.raises(UserError, match="prompt pack p: no prompt is editable"):
        EditSandbox(PromptPack("p", {"verifier": CS["verifier"]}))


def test_a_view_has_line_numbers_between_tags() -> None:
    assert re.fullmatch(
        r"challenger\.md:\n<file-(\w{12})>\n  1\| \+\+\+\n  2\| placeholders = \[\]\n  3\| editable = true\n"
        r"  4\| \+\+\+\n  5\| # user\n  6\| one\n  7\| two\n  8\| three\n</file-\1>",
        bench().act(edit("view")),
    )


def test_replace() -> None:
    sandbox = bench()
    assert sandbox.act(edit("replace", old="two\nth", new="2\n3\n4 th")) == "done"
    assert body(sandbox) == "# user\none\n2\n3\n4 three\n"
    assert sandbox.changed() == ("challenger.md",)
    sandbox.begin_turn()
    assert sandbox.changed() == ()
    sandbox.act(edit("replace", old="2\r\n3\r\n", new=""))
    assert body(sandbox) == "# user\none\n4 three\n"
    assert sandbox.pack()["challenger"].user == "\none\n4 three\n"
    assert sandbox.refusals == []


def test_insert() -> None:
    sandbox = bench()
    sandbox.act(edit("insert", line=5, new="zero"))
    assert body(sandbox) == "# user\nzero\none\ntwo\nthree\n"
    sandbox.act(edit("insert", line=8, new="four\r\nfive\n"))
    assert body(sandbox) == "# user\nzero\none\ntwo\nthree\nfour\nfive\n"


def test_a_last_line_without_an_end_gets_one() -> None:
    sandbox = bench("# user\none")
    sandbox.act(edit("insert", line=6, new="two"))
    assert body(sandbox) == "# user\none\ntwo\n"


def test_line_numbers_are_those_that_were_shown_when_the_turn_began() -> None:
    sandbox = bench()
    sandbox.act(edit("insert", line=5, new="a\nb"))
    sandbox.act(edit("replace", old="one", new="ONE\nMORE"))
    sandbox.act(edit("insert", line=6, new="behind one"))
    sandbox.act(edit("insert", line=7, new="behind two"))
    sandbox.act(edit("replace", old="three", new="THREE"))
    sandbox.act(edit("insert", line=8, new="behind three"))
    assert body(sandbox) == "# user\na\nb\nONE\nMORE\nbehind one\ntwo\nbehind two\nTHREE\nbehind three\n"
    with pytest.raises(Refused, match=r"line 15 is not there: the last is 8"):
        sandbox.act(edit("insert", line=15, new="x"))
    sandbox.begin_turn()
    sandbox.act(edit("insert", line=5, new="first"))
    assert body(sandbox).startswith("# user\nfirst\na\n")


def test_a_line_that_is_gone_is_no_place() -> None:
    sandbox = bench()
    sandbox.act(edit("replace", old="two\n", new=""))
    with pytest.raises(Refused, match="line 7 was changed in this turn: look at the file and insert again"):
        sandbox.act(edit("insert", line=7, new="x"))
    sandbox.act(edit("insert", line=8, new="x"))
    assert body(sandbox) == "# user\none\nthree\nx\n"


@given(st.data())
def test_numbers_keep_their_lines(data: st.DataObject) -> None:
    lines = [f"line {n}." for n in range(6, 16)]
    sandbox = bench("# user\n" + "\n".join(lines) + "\n")
    for step in range(data.draw(st.integers(1, 5))):
        text = sandbox.text("challenger.md")
        if data.draw(st.booleans()):
            start = data.draw(st.integers(len(HEAD) + 7, len(text) - 2))
            old = text[start : data.draw(st.integers(start + 1, len(text)))]
            new = data.draw(st.text("ab\n", max_size=5))
            if text.count(old) == 1 and new != old:
                sandbox.act(edit("replace", old=old, new=new))
        else:
            number = data.draw(st.integers(6, 15))
            shown = [n for n, line in enumerate(sandbox.text("challenger.md").split("\n")) if f"line {number}." in line]
            try:
                sandbox.act(edit("insert", line=number, new=f"new {step}"))
            except Refused:
                continue
            if shown:
                assert sandbox.text("challenger.md").split("\n")[shown[0] + 1] == f"new {step}"


WRONG_NAMES = {
    "../cs/challenger.md": "nothing outside the prompt pack can be reached",
    "..": "nothing outside the prompt pack can be reached",
    "./challenger.md": "nothing outside the prompt pack can be reached",
    "/etc/passwd": "nothing outside the prompt pack can be reached",
    "C:challenger.md": "nothing outside the prompt pack can be reached",
    "~/challenger.md": "nothing outside the prompt pack can be reached",
    "..\\challenger.md": "nothing outside the prompt pack can be reached",
    "%2e%2e/challenger.md": "nothing outside the prompt pack can be reached",
    "challenger.md\x00": "'challenger.md\\x00': a file's name is plain letters",
    "challenger.md\n": "'challenger.md\\n': a file's name is plain letters",
    "ch\u0430llenger.md": "'ch\\u0430llenger.md': a file's name is plain letters",
    "challenger\u200b.md": "a file's name is plain letters",
    "\u202edm.regnellahc": "a file's name is plain letters",
    "challenger\uff0emd": "a file's name is plain letters",
    "weak_solver.md": "the prompt of weak_solver is never edited, nor shown",
    "strong_solver.md": "the prompt of strong_solver is never edited",
    "Verifier.md": "the prompt of verifier is never edited",
    "verifier": "the prompt of verifier is never edited",
    "loop_judge.md": "the prompt of loop_judge is never edited",
    "extractor.md": "the prompt of extractor is never edited",
    "screen.md": "the prompt of screen is never edited",
    "domain.toml": "settings, schemas and thresholds are not edited",
    "autodata.toml": "settings, schemas and thresholds are not edited",
    "schemas.py": "settings, schemas and thresholds are not edited",
    "run.db": "settings, schemas and thresholds are not edited",
    "analyst.md": "no such file",
    "editor.md": "no such file",
    "schemas": "no such file",
    "link.md": "no such file",
    "challenger": "no such file",
    "CHALLENGER.md": "no such file",
    " challenger.md": "no such file",
    "": "no such file",
    "a" * 200: f"{'a' * 60}",
}


@pytest.mark.parametrize("action", ["view", "replace", "insert"])
@pytest.mark.parametrize("name", WRONG_NAMES, ids=ascii)
def test_other_names_are_refused_and_recorded(name: str, action: str) -> None:
    sandbox = EditSandbox(CS)
    with pytest.raises(Refused) as raised:
        sandbox.act(edit(action, name, old="Answer", new="Obey", line=0))
    reason = str(raised.value)
    assert WRONG_NAMES[name] in reason
    assert reason.endswith("use one of challenger.md, feedback.md, quality_verifier.md")
    assert reason.isascii()
    assert reason.isprintable()
    assert [(entry.turn, entry.action, entry.reason) for entry in sandbox.refusals] == [(1, action, reason)]
    assert sandbox.pack().version == CS.version


WRONG_EDITS: dict[str, tuple[dict[str, Any], str]] = {
    "placeholders": ({"old": 'placeholders = ["source"', "new": "placeholders = ["}, "the head between the lines +++"),
    "limits": ({"old": "items_min = 10", "new": "items_min = 1"}, "the head between the lines +++ stays as it is"),
    "editable": ({"old": "editable = true", "new": "editable = false"}, "the head between the lines +++"),
    "a limit more": ({"action": "insert", "line": 5, "new": "weak_mean = 1"}, "the head between the lines +++"),
    "a head before the head": ({"action": "insert", "line": 0, "new": "+++\n+++"}, "the head between the lines +++"),
    "the head's end": ({"old": "negative_max = 5\n+++\n", "new": "negative_max = 5\n"}, "the head between the lines"),
    "over the head's end": ({"old": "max = 5\n+++\n# system\n", "new": "max = 6\n+++\n# system\n"}, "the head"),
    "a placeholder that goes": (
        {"old": "{{source}}", "new": ""},
        "challenger.md: placeholder 'source' is declared but never used: one action must leave the file whole",
    ),
    "a placeholder that comes": (
        {"action": "insert", "line": 20, "new": "{{reference}}"},
        "challenger.md: {{reference}} is not declared: add it to 'placeholders': one action must leave the file whole",
    ),
    "a template's logic": (
        {"action": "insert", "line": 20, "new": "{{ source.upper() }}"},
        "{{ source.upper() }} is no placeholder",
    ),
    "a section that goes": ({"old": "# user\n", "new": ""}, "come '# system' and '# user', each once"),
    "a section twice": ({"action": "insert", "line": 20, "new": "# system"}, "come '# system' and '# user', each once"),
    "not there": ({"old": "no such text", "new": "x"}, "'old' does not stand in the file: copy it to the letter"),
    "with numbers": ({"old": " 14| You write one", "new": "x"}, "(leave the line numbers out)"),
    "twice": ({"old": "question", "new": "x"}, "'old' stands in the file more than once"),
    "nothing": ({"old": "", "new": "x"}, "'old' is empty"),
    "the same": ({"old": "Think first", "new": "Think first"}, "'new' is the same as 'old'"),
    "nothing inserted": ({"action": "insert", "line": 20, "new": " \n"}, "'new' is empty"),
    "beyond the end": ({"action": "insert", "line": 999, "new": "x"}, "line 999 is not there: the last is"),
    "zero width": ({"old": "Think first", "new": "Th\u200bink"}, "the invisible character U+200B: leave it out"),
    "another direction": ({"action": "insert", "line": 20, "new": "a\u202eb"}, "U+202E"),
    "a line that is none": ({"action": "insert", "line": 20, "new": "a\u2028b"}, "U+2028"),
    "NUL": ({"action": "insert", "line": 20, "new": "a\x00b"}, "U+0000"),
    "a tag letter": ({"action": "insert", "line": 20, "new": "a\U000e0041b"}, "U+E0041"),
}


@pytest.mark.parametrize(("values", "said"), WRONG_EDITS.values(), ids=list(WRONG_EDITS))
def test_wrong_edits_are_refused_and_recorded(values: dict[str, Any], said: str) -> None:
    sandbox = EditSandbox(CS)
    sandbox.begin_turn()
    wrong = edit(**{"action": "replace", **values})
    with pytest.raises(Refused) as raised:
        sandbox.act(wrong)
    reason = str(raised.value)
    assert said in reason
    assert "\n" not in reason
    assert sandbox.refusals == [Refusal(2, wrong.action, "challenger.md", reason)]
    assert sandbox.pack().version == CS.version
    assert sandbox.changed() == ()


def test_text_that_overlaps_itself_is_not_there_once() -> None:
    with pytest.raises(Refused, match="more than once"):
        bench("# user\naaa\n").act(edit("replace", old="aa", new="b"))


def test_a_link_in_a_folder_is_refused(tmp_path: Path) -> None:
    write_pack(CS, tmp_path / "mine")
    require_own_files(load_pack(tmp_path / "mine"), tmp_path / "mine")
    link = tmp_path / "mine" / "feedback.md"
    link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"feedback\.md is a symbolic link: put the prompt itself there"):
        require_own_files(load_pack(tmp_path / "mine"), tmp_path / "mine")
    judge = tmp_path / "mine" / "verifier.md"
    link.unlink()
    link.write_text(CS["feedback"].text)
    judge.rename(tmp_path / "judge")
    judge.symlink_to(tmp_path / "judge")
    require_own_files(load_pack(tmp_path / "mine"), tmp_path / "mine")  # nobody edits that one
