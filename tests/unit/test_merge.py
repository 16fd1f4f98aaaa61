"""Merging packs: the edits of two in one, where they touch other lines."""

from __future__ import annotations

from autodata.nodes.optimizer.estimate import Evidence
from autodata.nodes.optimizer.merge import common_base, merged
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.pack import lines_of, parse_prompt

CS = load_pack("cs")


def changed(role: str, *edits: tuple[int, int, str], pack: PromptPack = CS) -> PromptPack:
    """The pack with lines `start` up to before `end` replaced, the later ones first."""
    lines = lines_of(pack[role].text)
    for start, end, text in edits:
        lines[start:end] = [text] if text else []
    return PromptPack("cs", {**pack.prompts, role: parse_prompt(role, "".join(lines), role)})


def test_edits_of_other_files_and_other_lines_stand_together() -> None:
    one, other = changed("challenger", (13, 13, "First.\n")), changed("feedback", (9, 9, "Second.\n"))
    both = merged(CS, one, other)
    assert both is not None
    assert both["challenger"].text == one["challenger"].text
    assert both["feedback"].text == other["feedback"].text
    apart = merged(CS, one, changed("challenger", (19, 20, "Third.\n")))
    assert apart is not None
    assert "First.\n" in apart["challenger"].text
    assert "Third.\n" in apart["challenger"].text


def test_insertions_in_one_place_stand_one_behind_the_other_and_the_same_once() -> None:
    one = changed("challenger", (13, 13, "First.\n"))
    other = changed("challenger", (13, 13, "Second.\n"))
    both = merged(CS, one, other)
    assert both is not None
    assert "First.\nSecond.\n" in both["challenger"].text
    more = changed("challenger", (20, 21, "Fourth.\n"), pack=one)
    again = merged(CS, more, changed("feedback", (9, 9, "Third.\n"), pack=one))
    assert again is not None
    assert again["challenger"].text.count("First.\n") == 1


def test_the_same_lines_are_a_conflict_and_nothing_new_is_no_merge() -> None:
    one, other = changed("challenger", (13, 14, "First.\n")), changed("challenger", (13, 14, "Second.\n"))
    assert merged(CS, one, other) is None
    assert merged(CS, one, one) is None
    assert merged(CS, one, CS) is None


def test_a_base_is_the_youngest_common_ancestor_and_no_pack_is_merged_with_its_own() -> None:
    family = [
        Evidence("base"),
        Evidence("a", 1, ("base",)),
        Evidence("b", 2, ("a",)),
        Evidence("c", 3, ("a",)),
        Evidence("m", 4, ("b", "c")),
        Evidence("d", 5, ("base",)),
    ]
    assert common_base(family, "b", "c") == "a"
    assert common_base(family, "c", "d") == "base"
    assert common_base(family, "b", "m") is None
    assert common_base(family, "a", "b") is None
