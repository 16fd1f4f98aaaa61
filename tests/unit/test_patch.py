"""Packs as diffs and as folders: what applies, what is refused, what is never followed or overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.errors import PatchError, UserError
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.pack import parse_prompt
from autodata.prompts.patch import apply_diff, write_pack

HEAD = "+++\nplaceholders = []\n+++\n# user\n"
CS = load_pack("cs")


def pack_of(**bodies: str) -> PromptPack:
    return PromptPack("p", {role: parse_prompt(role, HEAD + body, role) for role, body in bodies.items()})


LINES = st.lists(
    st.sampled_from(["a", "b", "", " ", "-", "+x", "@@ -1 +1 @@", "--- a/feedback.md", "\\ No newline at end of file"])
    | st.text(st.characters(exclude_characters="\n{}#", exclude_categories=["Cs"]), max_size=6),
    max_size=25,
)
BODIES = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n", "\n\n"]))


@given(BODIES, BODIES, BODIES)
def test_a_diff_applied_is_the_other_pack(one: str, other: str, same: str) -> None:
    before, after = pack_of(challenger=one, feedback=same), pack_of(challenger=other, feedback=same)
    applied = apply_diff(before, before.diff(after))
    assert applied.version == after.version
    assert applied.name == before.name
    assert apply_diff(after, after.diff(before)).version == before.version


@given(BODIES, BODIES, BODIES, BODIES)
def test_several_files_in_one_diff(one: str, other: str, more: str, last: str) -> None:
    before, after = pack_of(challenger=one, feedback=more), pack_of(challenger=other, feedback=last)
    assert apply_diff(before, before.diff(after)).version == after.version


def test_no_diff_is_no_change() -> None:
    assert apply_diff(CS, "").version == CS.version


def test_lines_that_are_far_apart_are_hunks_of_their_own() -> None:
    lines = [f"line {n}" for n in range(60)]
    before = pack_of(challenger="\n".join(lines))
    lines[3], lines[40:42] = "changed", []
    after = pack_of(challenger="\n".join([*lines, "more"]))
    diff = before.diff(after)
    assert diff.count("@@ -") == 3
    assert apply_diff(before, diff).version == after.version


BEFORE = pack_of(challenger="one\ntwo\nthree\n", feedback="same\n")
DIFF = BEFORE.diff(pack_of(challenger="one\n2\nthree\n", feedback="same\n"))
HUNK = DIFF.split("\n", 2)[2]

REFUSED = {
    "no diff at all": ("hello\n", "line 1 of the diff: '--- a/ROLE.md'"),
    "text before it": ("diff --git a/challenger.md b/challenger.md\n" + DIFF, "line 1 of the diff"),
    "text behind it": (DIFF + "the end\n", "line 10 of the diff"),
    "a path": (DIFF.replace("challenger.md", "../challenger.md"), "'../challenger.md': no prompt of the pack"),
    "an absolute path": (DIFF.replace("challenger.md", "/challenger.md"), "'/challenger.md': no prompt of the pack"),
    "settings": (DIFF.replace("challenger.md", "domain.toml"), "'domain.toml': no prompt of the pack"),
    "no ending": (DIFF.replace("challenger.md", "challenger"), "'challenger': no prompt of the pack"),
    "a role that is not there": (DIFF.replace("challenger.md", "verifier.md"), "it has challenger, feedback"),
    "a new file": (DIFF.replace("--- a/challenger.md", "--- /dev/null"), "line 1 of the diff"),
    "a new file of the pack's": (BEFORE.diff(pack_of(challenger="", feedback="", screen="x")), "no prompt of the pack"),
    "a deleted file": (BEFORE.diff(pack_of(challenger="one\ntwo\nthree\n")), "feedback.md: a prompt starts with TOML"),
    "a renamed file": (DIFF.replace("+++ b/challenger", "+++ b/feedback"), "'challenger.md': no file can be created"),
    "a rename as git writes it": ("rename from challenger.md\nrename to feedback.md\n", "line 1 of the diff"),
    "a binary file": ("Binary files a/challenger.md and b/challenger.md differ\n", "line 1 of the diff"),
    "a file twice": (DIFF + DIFF, "challenger.md: stands in the diff twice"),
    "other context": (DIFF.replace(" one", " won"), "challenger.md: the hunk at line 3 does not fit"),
    "other lines to remove": (DIFF.replace("-two", "-too"), "the hunk at line 3 does not fit"),
    "an offset": (DIFF.replace("@@ -3", "@@ -2"), "the hunk at line 2 does not fit"),
    "another place": (DIFF.replace("+3,5", "+4,5"), "the hunk at line 3 does not fit"),
    "beyond the end": (DIFF.replace("@@ -3", "@@ -90").replace("+3", "+90"), "the hunk at line 90 does not fit"),
    "a wrong length": (
        DIFF.replace("-3,5", "-3,4"),
        "line 9 of the diff: challenger.md: the hunk is longer than it says",
    ),
    "a length too long": (DIFF.replace("-3,5", "-3,6").replace("+3,5", "+3,6"), "the hunk ends too early"),
    "no hunk": (DIFF.replace(HUNK, ""), "'@@ -N,N +N,N @@' is expected"),
    "a cut end": (DIFF[:-1], "the hunk ends too early"),
    "an empty hunk": (DIFF.replace(HUNK, "@@ -3,0 +3,0 @@\n"), "line 4 of the diff: challenger.md: the hunk is empty"),
    "line ends of another system": (DIFF.replace("\n", "\r\n"), "'challenger.md\\r': no prompt of the pack"),
    "a line without an end in the middle": (
        DIFF.replace("+2\n", "+2\n\\ No newline at end of file\n"),
        "a line in the middle would have no end",
    ),
    "no end where there is one": (
        DIFF.replace(" three\n", " three\n\\ No newline at end of file\n"),
        "does not fit the file",
    ),
    "an end that ends nothing": (DIFF.replace(HUNK, "") + "@@ -1 +1 @@\n\\ No newline at end of file\n", "follows no"),
    "a result that is no prompt": (
        BEFORE.diff(pack_of(challenger="one\n2\n", feedback="same\n")).replace("+2", "+{{source}}"),
        "challenger.md: {{source}} is not declared",
    ),
}


@pytest.mark.parametrize(("diff", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_not_such_a_diff_is_refused_in_one_line(diff: str, said: str) -> None:
    assert diff != DIFF
    with pytest.raises(PatchError) as raised:
        apply_diff(BEFORE, diff)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


# folders


def test_a_written_pack_is_the_pack(tmp_path: Path) -> None:
    write_pack(CS, tmp_path / "a" / "b")
    assert load_pack(tmp_path / "a" / "b").version == CS.version
    assert sorted(os.listdir(tmp_path / "a" / "b")) == sorted(f"{role}.md" for role in CS.prompts)


def test_nothing_is_overwritten_or_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    with pytest.raises(UserError, match=r"link is a symbolic link: name the folder"):
        write_pack(CS, link)
    target = tmp_path / "target"
    (real / "feedback.md").symlink_to(target)
    with pytest.raises(UserError, match=r"feedback\.md exists: choose another folder"):
        write_pack(CS, real)
    assert not target.exists()
    assert os.listdir(real) == ["feedback.md"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: cannot be written"):
        write_pack(CS, tmp_path / "file")


def test_a_full_disk_leaves_no_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_pack(CS, tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []
