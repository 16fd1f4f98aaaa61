"""Long documents in parts: at their headings, within the room there is, the same each time, nothing lost unsaid."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.checkpoints.ids import document_id, whole_id
from autodata.checkpoints.records import Document
from autodata.runner.chunks import chunked


def document(text: str, title: str = "Masts", **more: str) -> Document:
    return Document(document_id=document_id(text), name="a.md", title=title, text=text, **more)


def parts(text: str, most: int, **more: str) -> list[str]:
    return [part.text for part in chunked(document(text, **more), most).parts]


def para(word: str, chars: int) -> str:
    return (f"{word} " * chars)[:chars].rstrip() + "."


def test_a_document_that_fits_is_itself() -> None:
    whole = document("# Masts\n\nOf oak.")
    found = chunked(whole, len(whole.text))
    assert found.parts == (whole,)
    assert found.parts[0] is whole


@pytest.mark.parametrize(
    ("most", "heads"),
    [
        (800, [["# Masts", "## Built"], ["# Masts", "## Built", "### Of oak", "### Of iron"], ["# Masts", "## Used"]]),
        (900, [["# Masts", "## Built", "### Of oak"], ["# Masts", "## Built", "### Of iron", "## Used"]]),
    ],
)
def test_parts_begin_at_headings_under_the_title_and_the_headings_above(most: int, heads: list[list[str]]) -> None:
    text = "\n\n".join(
        [
            "# Masts",
            para("intro", 200),
            "## Built",
            para("built", 300),
            "### Of oak",
            para("oak", 300),
            "### Of iron",
            para("iron", 300),
            "## Used",
            para("used", 300),
        ]
    )
    found = parts(text, most)
    assert [re.findall(r"^#+ .*", part, re.MULTILINE) for part in found] == heads


def test_the_highest_heading_is_the_best_place() -> None:
    text = "\n\n".join(
        [
            "# M",
            para("a", 150),
            "### x",
            para("b", 100),
            "## y",
            para("c", 150),
            "### z",
            para("d", 100),
            para("e", 100),
        ]
    )
    first, *_ = parts(text, 450, title="M")
    assert first.endswith(para("b", 100)), "the second-level heading begins the next part, not the third-level one"


def test_parts_say_which_they_are_and_share_the_id_of_the_whole() -> None:
    whole = document("\n\n".join(para("word", 90) for _ in range(9)), note="read as cp1252", source="/a.md")
    found = chunked(whole, 300)
    count = len(found.parts)
    assert count > 2
    assert [part.document_id for part in found.parts] == [f"{whole.document_id}#{n + 1}" for n in range(count)]
    assert [part.name for part in found.parts] == [f"a.md#{n + 1}" for n in range(count)]
    assert found.parts[1].title == f"Masts (part 2 of {count})"
    assert found.parts[1].note == f"part 2 of {count} of a document of {len(whole.text):,} characters"
    assert found.parts[0].note.startswith("read as cp1252; part 1 of ")
    assert {whole_id(part.document_id) for part in found.parts} == {whole.document_id}
    assert {part.source for part in found.parts} == {"/a.md"}


def test_what_is_left_out_for_its_number_is_reported() -> None:
    whole = document("\n\n".join(para("word", 90) for _ in range(30)))
    every = chunked(whole, 300).parts
    found = chunked(whole, 300, 3)
    assert [part.text for part in found.parts] == [part.text for part in every[:3]]
    assert found.left_out == len(every) - 3
    assert found.left_out_chars == sum(len(part.text) for part in every[3:])
    assert found.parts[2].note.endswith(
        f"the {found.left_out} parts behind it, {found.left_out_chars:,} characters, left out (documents.max_chunks)"
    )


def test_no_tail_is_left_over() -> None:
    found = parts("\n\n".join(para("word", 99) for _ in range(11)), 1000)
    assert len(found) == 2
    assert min(map(len, found)) > 400


def test_one_long_paragraph_is_parted_at_its_sentences() -> None:
    text = " ".join(f"Sentence {n} is about the mast." for n in range(100))
    found = parts(text, 500)
    assert all(part.endswith("mast.") for part in found)
    assert all(part.startswith("# Masts\n\nSentence") for part in found[1:])


def test_rows_and_lines_of_code_are_not_torn() -> None:
    table = "\n".join(["| a | b |", "| --- | --- |", *(f"| row {n} | value {n} |" for n in range(60))])
    code = "\n".join(["```python", *(f"x{n} = compute({n})" for n in range(60)), "```"])
    for text in (table, code):
        lines = set(text.split("\n"))
        for part in parts(text, 400):
            assert set(part.split("\n")) - {"# Masts", ""} <= lines


def test_code_is_parted_at_its_definitions() -> None:
    classes = [
        "\n".join(
            [f"class Mast{k}:", f'    """Mast {k}."""']
            + [f"\n    def height{n}(self) -> int:\n        return {n}  # {'x' * 60}" for n in range(4)]
        )
        for k in range(4)
    ]
    text = "\n\n\n".join(["import os", *classes])
    found = parts(text, 700, title="mast.py", layout="code")
    assert all(len(part) <= 700 for part in found)
    assert all(part.startswith("mast.py\n") for part in found[1:])
    starts = [part.split("\n\n", 1)[1].split("\n", 1)[0] for part in found[1:]]
    assert all(re.match(r"class Mast\d:|    def height\d", start) for start in starts), starts
    for part in found[1:]:
        head, body = part.split("\n\n", 1)
        if body.startswith("    def"):
            assert re.fullmatch(r"mast\.py\nclass Mast\d:", head), "a method stands under its class"


def test_a_heading_in_a_fence_is_code() -> None:
    text = "\n\n".join([para("a", 150), "```sh\n# no heading\nls\n```", para("b", 150), para("c", 100)])
    assert all("# no heading\n\n" not in part for part in parts(text, 250))


pieces = st.lists(
    st.sampled_from(
        ["# A", "## Bee", "### Sea", "word " * 7, "x" * 60, "One. Two. Three.", "```", "| a | b |", "- item", "    y"]
    ),
    min_size=1,
    max_size=40,
)


@given(pieces, st.sampled_from(["\n", "\n\n"]), st.integers(40, 300), st.sampled_from(["prose", "code"]))
def test_parts_fit_lose_nothing_and_are_the_same_each_time(
    lines: list[str], between: str, most: int, layout: str
) -> None:
    text = between.join(lines).strip()
    if not text:
        return
    whole = document(text, title="T", layout=layout)
    found = chunked(whole, most).parts
    assert chunked(whole, most).parts == found
    assert all(0 < len(part.text) <= most for part in found)
    kept = "".join("".join(part.text.split()) for part in found)
    place = 0
    for letter in "".join(text.split()):  # every letter of the text is there, in its order
        place = kept.index(letter, place) + 1


@pytest.mark.parametrize("most", [1, 2, 7])
def test_even_the_least_room_is_kept_to(most: int) -> None:
    found = parts("# Title\n\nSome words here, and more.", most)
    assert all(0 < len(part) <= most for part in found)
