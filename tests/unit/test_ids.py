"""Ids and names of parts: what a run folder and its exports say about where a document comes from."""

from __future__ import annotations

import pytest

from autodata.checkpoints.ids import attempt_id, digest, document_id, part_note, part_of, round_id, whole_name


@pytest.mark.parametrize(
    ("number", "count", "note"),
    [
        (1, 3, "part 1 of 3 of a document of 12,345 characters"),
        (1_234, 2_345, "part 1,234 of 2,345 of a document of 12,345 characters"),
    ],
)
def test_the_note_of_a_part_is_read_back(number: int, count: int, note: str) -> None:
    assert part_note(number, count, 12_345) == note
    for remarks in (note, f"2 pages lost; {note}", f"{note}; cut", f"2 pages lost; {note}; cut"):
        assert part_of(f"0123#{number}", remarks) == (number, count)


def test_only_a_part_has_a_number() -> None:
    note = part_note(2, 3, 9)
    assert part_of("0123", note) is None  # a whole document whose note quotes one
    assert part_of("0123#2", "2 pages lost") is None
    assert part_of("0123#2", "") is None
    assert part_of("0123#2", f"counterpart; not a {note}") is None


def test_a_name_loses_the_number_of_a_part_and_nothing_else() -> None:
    assert [whole_name(name) for name in ("a.txt#12", "a#1.txt", "a.txt", "#1#2")] == [
        "a.txt",
        "a#1.txt",
        "a.txt",
        "#1",
    ]


def test_a_digest_has_as_many_digits_as_are_asked_for() -> None:
    assert [len(digest("x", length)) for length in (1, 16, 64)] == [1, 16, 64]
    assert digest("x", 64).startswith(digest("x"))


def test_ids_of_rounds_and_attempts_say_what_they_belong_to() -> None:
    found = round_id("main/d", 2, "c")
    assert (found, attempt_id(found, "weak", 0)) == ("main/d/2/c", "main/d/2/c/weak/0")


@pytest.mark.parametrize(
    "text", ["Of oak.\nOf ash.", "Of oak.  \r\nOf ash.\t", "\n\nOf oak.\rOf ash.\n", "Of oak. \t\nOf ash."]
)
def test_blanks_and_ends_of_lines_make_no_other_document(text: str) -> None:
    assert document_id(text) == document_id("Of oak.\nOf ash.")
    assert document_id(text) != document_id("Of oak. Of ash.")
