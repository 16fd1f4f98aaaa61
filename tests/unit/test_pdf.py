"""What a PDF gives: text without what is printed around every page, tables in rows, and a note of what was lost."""

from __future__ import annotations

from pathlib import Path

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf.constants import UserAccessPermissions
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from autodata.checkpoints.records import Document, Skipped
from autodata.corpus.documents import read_documents
from autodata.corpus.loaders.base import Reading
from autodata.corpus.loaders.pdf import with_ligatures, without_edges
from autodata.corpus.loaders.pdf_tables import with_tables

Placed = tuple[int, int, str]
"""Where a text begins on a page, from the left and from the bottom, and the text."""


def write(path: Path, *pages: list[Placed], drawn: str = "") -> Path:
    """Write a PDF of placed texts; `drawn` is put before them on each page as it is."""
    writer = pypdf.PdfWriter()
    for placed in pages:
        page = writer.add_blank_page(600, 800)
        names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Courier"}
        font = DictionaryObject({NameObject(key): NameObject(value) for key, value in names.items()})
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        shown = [f"BT /F1 10 Tf {x} {y} Td ({text}) Tj ET" for x, y, text in placed]
        content.set_data("\n".join([drawn, *shown]).encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(content)
    writer.write(path)
    return path


ALGORITHMS = ["RC4-40", "RC4-128", "AES-128", "AES-256-R5", "AES-256"]


def encrypt(path: Path, algorithm: str, *, user: str, owner: str) -> Path:
    """Write a PDF again, encrypted: the user's password opens it, the owner's lifts what it restricts."""
    writer = pypdf.PdfWriter(clone_from=path)
    writer.encrypt(user, owner, algorithm=algorithm, permissions_flag=UserAccessPermissions(0))
    writer.write(path)
    return path


def only(path: Path, version: int = 2) -> Document:
    (found,) = read_documents([path], reading=Reading(version=version))
    assert isinstance(found, Document), found
    return found


def page(number: int, *lines: str, head: str = "Annals of Masts", foot: str = "{}") -> list[Placed]:
    texts = [head.format(number), *lines, foot.format(number)]
    return [(50, 780 - 20 * place, text) for place, text in enumerate(texts)]


LINES = ["The mast of Gull Point", "was raised in 1931 and", "painted in 1950."]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_file_with_an_owner_password_alone_is_read_whatever_it_restricts(tmp_path: Path, algorithm: str) -> None:
    path = write(tmp_path / "a.pdf", page(1, *LINES))
    plain = only(path)
    assert pypdf.PdfReader(encrypt(path, algorithm, user="", owner="owner")).is_encrypted
    assert (only(path).text, only(path).note) == (plain.text, plain.note)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_file_that_a_password_opens_is_skipped_in_one_line(tmp_path: Path, algorithm: str) -> None:
    path = encrypt(write(tmp_path / "a.pdf", page(1, *LINES)), algorithm, user="secret", owner="owner")
    (found,) = read_documents([path], reading=Reading(version=2))
    assert found == Skipped("a.pdf", "encrypted PDF: save a copy without a password")


def test_headers_footers_and_page_numbers_are_left_out_and_reported(tmp_path: Path) -> None:
    pages = [page(n, *(f"{line} {'abcd'[n]}" for line in LINES), head="Annals of Masts, vol. {}") for n in range(4)]
    found = only(write(tmp_path / "a.pdf", *pages))
    assert found.text == "\n\n".join("\n".join(f"{line} {'abcd'[n]}" for line in LINES) for n in range(4))
    assert found.note == "8 lines of headers, footers and page numbers left out"


def test_as_the_first_version_read_it_all_lines_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pdf", *(page(n, *LINES) for n in range(4)))
    found = only(path, version=1)
    assert found.text.count("Annals of Masts") == 4
    assert found.note == ""


def test_what_stands_on_two_pages_is_no_header(tmp_path: Path) -> None:
    found = only(write(tmp_path / "a.pdf", *(page(n, *LINES) for n in range(2))))
    assert found.text.count("Annals of Masts") == 2
    assert found.note == ""


def lines_of(*pages: str) -> list[str]:
    return [page.replace("/", "\n") for page in pages]


@pytest.mark.parametrize(
    ("pages", "left", "out"),
    [
        # A number alone at the end is a page number where most pages have one, else it may be a value.
        (("a/b/c/1", "d/e/f/2", "g/h/i/3"), ("a/b/c", "d/e/f", "g/h/i"), 3),
        (("a/b/c/1", "d/e/f", "g/h/i/j", "k/l/m/n"), ("a/b/c/1", "d/e/f", "g/h/i/j", "k/l/m/n"), 0),
        (("Page 1 of 3/a/b/c", "Page 2 of 3/d/e/f", "Page 3 of 3/g/h/i"), ("a/b/c", "d/e/f", "g/h/i"), 3),
        (("a/b/c/- iv -", "d/e/f/- v -", "g/h/i/- vi -"), ("a/b/c", "d/e/f", "g/h/i"), 3),
        # Blank lines around a header go with it; a line that is repeated within pages stays.
        (("/H//a/x/b", "/H//c/x/d", "/H//e/x/f"), ("/a/x/b", "/c/x/d", "/e/x/f"), 3),
        # A page of one or two lines has no edges: nothing would be left of it.
        (("H/a", "H/b", "H/c"), ("H/a", "H/b", "H/c"), 0),
        (("H",) * 5, ("H",) * 5, 0),
        # Two lines of header, the inner one with another number on each page.
        (("H/Vol. 1/a/b/c", "H/Vol. 2/d/e/f", "H/Vol. 3/g/h/i"), ("a/b/c", "d/e/f", "g/h/i"), 6),
    ],
)
def test_edges_of_pages(pages: tuple[str, ...], left: tuple[str, ...], out: int) -> None:
    assert without_edges(lines_of(*pages)) == (lines_of(*left), out)


@given(st.lists(st.text(alphabet="ab1 \n", max_size=40), max_size=8))
def test_only_lines_at_edges_are_ever_left_out(pages: list[str]) -> None:
    left, out = without_edges(pages)
    assert len(left) == len(pages)
    assert all(kept in whole for kept, whole in zip(left, pages, strict=True))
    lost = sum(
        len([line for line in whole.split("\n") if line.strip()])
        - len([line for line in kept.split("\n") if line.strip()])
        for kept, whole in zip(left, pages, strict=True)
    )
    assert lost == out


@pytest.mark.parametrize(
    ("text", "mended", "count"),
    [
        (
            "The \ufffdrst specification; first things. Speci\ufffdcation",
            "The first specification; first things. Specification",
            2,
        ),
        ("specification verifies speci\ufffdcation", "specification verifies specification", 1),
        # Nothing like it elsewhere, or two words that it may be.
        ("speci\ufffdcation", "speci\ufffdcation", 0),
        ("fluff and fluf, flu\ufffd", "fluff and fluf, fluff", 1),
        ("a fir, a flr, a \ufffdr", "a fir, a flr, a \ufffdr", 0),
    ],
)
def test_a_lost_ligature_is_put_back_where_there_is_no_doubt(text: str, mended: str, count: int) -> None:
    assert with_ligatures(text) == (mended, count)


# Tables

ROWS = [("part", "metres", "made of"), ("foot", "12", "old oak"), ("top", "", "iron"), ("gaff", "7", "oak")]


def placed_table(top: int) -> list[Placed]:
    return [
        (x, top - 15 * number, text)
        for number, row in enumerate(ROWS)
        for x, text in zip((50, 200, 300), row, strict=True)
        if text
    ]


def test_a_table_keeps_its_rows_and_empty_cells(tmp_path: Path) -> None:
    text = [(50, 780, "The mast has these parts."), *placed_table(740), (50, 650, "It was raised in 1931.")]
    found = only(write(tmp_path / "a.pdf", text))
    assert found.text.split("\n") == [
        "The mast has these parts.",
        "",
        "| part | metres | made of |",
        "| foot | 12 | old oak |",
        "| top |  | iron |",
        "| gaff | 7 | oak |",
        "",
        "It was raised in 1931.",
    ]


@pytest.mark.parametrize("rise", [-6, -2, 2, 6])
def test_raised_and_lowered_letters_stay_in_their_line_beside_a_table(tmp_path: Path, rise: int) -> None:
    risen = f"BT /F1 10 Tf 50 780 Td (Its mass is x) Tj {rise} Ts /F1 7 Tf (5) Tj 0 Ts /F1 10 Tf ( tons.) Tj ET"
    found = only(write(tmp_path / "a.pdf", placed_table(740), drawn=risen))
    assert found.text.split("\n")[:3] == ["Its mass is x5 tons.", "", "| part | metres | made of |"]


def test_columns_of_prose_are_not_read_across(tmp_path: Path) -> None:
    left = [f"Line {n} of the left column is about the mast" for n in range(6)]
    right = [f"line {n} of the right one is about the sea." for n in range(6)]
    text = [(20, 780 - 15 * n, line) for n, line in enumerate(left)]
    text += [(310, 780 - 15 * n, line) for n, line in enumerate(right)]
    found = only(write(tmp_path / "a.pdf", text))
    assert "|" not in found.text
    assert found.text.index(left[5]) < found.text.index(right[0])


@pytest.mark.parametrize(
    ("plain", "laid_out"),
    [
        ("no table here", "no table here"),
        ("a b\nc d", "a    b\nc    d"),
        ("lost letters", "a    b\nc    d\ne    f"),
        ("one two\nthree four\nfive six", "one        two\n   three        four\nfive  six"),
    ],
    ids=["no gaps", "two rows", "other letters", "nothing in line"],
)
def test_a_page_without_a_table_is_left_as_it_is(plain: str, laid_out: str) -> None:
    assert with_tables(plain, laid_out) == plain


@given(st.text(alphabet="ab \n", max_size=120))
def test_no_letter_is_lost_for_a_table(laid_out: str) -> None:
    plain = " ".join(laid_out.split())
    found = with_tables(plain, laid_out)
    assert sorted(found.replace("|", "").split()) == sorted(plain.split())
