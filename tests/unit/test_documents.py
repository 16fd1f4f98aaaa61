from __future__ import annotations

import json
import sys
import tracemalloc
from pathlib import Path

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject, StreamObject

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import document_id
from autodata.checkpoints.records import Document, Skipped
from autodata.corpus.documents import fit, read_documents
from autodata.corpus.loaders.records import MAX_BAD_LINES


def read(*paths: Path, limit: int | None = None) -> list[Document | Skipped]:
    return list(read_documents(paths, limit=limit))


def only(*paths: Path) -> Document | Skipped:
    (found,) = read(*paths)
    return found


def lines(*records: object) -> str:
    return "\n".join(item if isinstance(item, str) else json.dumps(item) for item in records)


def write_pdf(path: Path, text: str = "", password: str = "") -> Path:
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    if text:
        font = DictionaryObject(
            {NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1")}
        )
        font[NameObject("/BaseFont")] = NameObject("/Helvetica")
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(path)
    return path


def test_folder_is_read_in_order_with_names_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "sub" / ".git").mkdir(parents=True)
    (tmp_path / "b.md").write_text("bee")
    (tmp_path / "A.TXT").write_text("ay")
    (tmp_path / "sub" / "c.txt").write_text("sea")
    (tmp_path / "sub" / "d.jsonl").write_text(lines({"text": "dee"}))
    (tmp_path / ".hidden.txt").write_text("hidden")
    (tmp_path / "sub" / ".git" / "x.txt").write_text("hidden too")
    (tmp_path / "picture.png").write_bytes(b"\0")
    assert [item.name for item in read(tmp_path)] == ["A.TXT", "b.md", "sub/c.txt", "sub/d.jsonl:1"]


def test_files_and_folders_come_in_the_order_given(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("one")
    (tmp_path / "z.txt").write_text("two")
    assert [item.name for item in read(tmp_path / "z.txt", tmp_path / "folder")] == ["z.txt", "a.txt"]


def test_text_is_normalised_and_identified(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("cafe\u0301  \r\n\r\nnext\r\n".encode())
    found = only(path)
    assert isinstance(found, Document)
    assert found.text == "caf\u00e9\n\nnext"
    assert found.document_id == document_id(found.text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_encodings_with_a_mark_are_read(tmp_path: Path, encoding: str, name: str) -> None:
    path = tmp_path / name
    text = "zwölf Boxkämpfer"
    path.write_text(lines({"text": text}, {"text": "zwei"}) if name == "a.jsonl" else text, encoding=encoding)
    found = read(path)[0]
    assert isinstance(found, Document)
    assert found.text == text


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n\t\r\n", "empty"),
        ("a.txt", b"\xef\xbb\xbf", "empty"),
        ("a.pdf", b"", "empty"),
        ("a.txt", b"PK\0\1", "binary: it holds NUL characters"),
        ("a.txt", "a\0b".encode("utf-16"), "binary: it holds NUL characters"),
        ("a.txt", "na\u00efve".encode("latin-1"), "not valid UTF-8 (at byte 2): save it as UTF-8"),
        ("a.txt", b"\xff\xfea\0b", "not valid UTF-16-LE (at byte 4): save it as UTF-8"),
        ("a.doc", b"words", "unsupported kind of file '.doc': use .txt, .md, .markdown, .rst, .tex, .html, "),
        ("README", b"words", "unsupported kind of file 'without a suffix': use .txt, .md, .markdown, .rst, "),
        ("a.pdf", b"not a PDF at all", "damaged PDF: "),
        (
            "a.jsonl",
            '{"text": "a"}'.encode("utf-16") + b"\0",
            "not valid UTF-16 from about line 1 on: save it as UTF-8",
        ),
    ],
)
def test_unusable_file_is_skipped_with_its_reason(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    (tmp_path / "next.txt").write_text("next")
    first, second = read(path, tmp_path / "next.txt")
    assert isinstance(first, Skipped)
    assert first.name == name
    assert first.reason.startswith(reason)
    assert isinstance(second, Document)


def test_same_text_is_skipped_and_names_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("same\n")
    (tmp_path / "b.md").write_bytes(b"same  \r\n\r\n")
    first, second = read(tmp_path)
    assert isinstance(first, Document)
    assert second == Skipped("b.md", "the same text as a.txt")


def test_vanished_and_unreadable_files_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "c.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "d.txt").mkdir()
    found = read_documents([tmp_path])
    next(found)
    (tmp_path / "b.txt").unlink()
    assert list(found) == [
        Skipped("b.txt", "cannot be read: No such file or directory"),
        Skipped("c.txt", "cannot be read: No such file or directory"),
    ]


def test_missing_path_is_an_error_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(UserError, match=r"nowhere: no such file or folder: check"):
        read_documents([tmp_path / "a.txt", tmp_path / "nowhere"])


def test_folder_without_readable_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("a")
    (tmp_path / ".b.txt").write_text("b")
    with pytest.raises(UserError, match=r"no file in this folder that can be read: name files, or .* \(\.txt, \.md, "):
        read_documents([tmp_path])


def test_of_a_file_that_is_no_jsonl_the_first_bad_lines_are_reported_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    good = ['{"text": "eins"}', '{"\\u0074\\u0065xt": "zwei"}', '{ "text" : "drei" }']
    path.write_text("\n".join(["#"] * MAX_BAD_LINES + [good[0], "", "{}", good[1], "{", good[2], '{"text": 1}', "a"]))
    found = read(path)
    assert [item.text for item in found if isinstance(item, Document)] == ["eins", "zwei", "drei"]
    skipped = [item for item in found if isinstance(item, Skipped)]
    assert len(skipped) == MAX_BAD_LINES + 1
    last = MAX_BAD_LINES + 8
    assert skipped[-1] == Skipped("data.jsonl", f"4 more lines are no documents, the last of them line {last}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_one_more_bad_line_than_are_listed(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("[]\n" * (MAX_BAD_LINES + 1) + '{"text": "eins"}\n', encoding)
    *_, document, note = read(path)
    assert isinstance(document, Document)
    line = MAX_BAD_LINES + 1
    assert note == Skipped("data.jsonl", f"1 more line is no document, the last of them line {line}")


def test_jsonl_records_and_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    good = lines({"text": "one", "id": "first", "title": "The One", "more": 1}, {"text": "two", "id": 7, "title": None})
    bad = lines("{nope", '["text"]', {"id": 1}, {"text": 5}, {"text": "a", "id": 1.5}, {"text": "a", "id": True})
    rest = lines({"text": "a", "title": []}, '{"text": "\\ud800"}', {"text": " "}, {"text": "one"}, {"text": "last"})
    path.write_bytes(f"{good}\n\n{bad}\n{rest}\n".encode() + b'{"text": "\xff"}\n' + lines({"text": "x"}).encode())
    found = read(tmp_path)
    assert [(item.name, item.title) for item in found if isinstance(item, Document)] == [
        ("first", "The One"),
        ("7", "data"),
        ("data.jsonl:14", "data"),
        ("data.jsonl:16", "data"),
    ]
    assert [(item.name, item.reason) for item in found if isinstance(item, Skipped)] == [
        (
            "data.jsonl:4",
            "line 4: not JSON: Expecting property name enclosed in double quotes at column 2",
        ),
        ("data.jsonl:5", 'line 5: not a JSON object: write {"text": "..."}'),
        (
            "data.jsonl:6",
            'line 6: no "text" among its keys "id": name the key that holds the text (documents.text_field,'
            " --text-field)",
        ),
        ("data.jsonl:7", 'line 7: "text" is not a string'),
        ("data.jsonl:8", 'line 8: "id" is neither a string nor an integer'),
        ("data.jsonl:9", 'line 9: "id" is neither a string nor an integer'),
        ("data.jsonl:10", 'line 10: "title" is not a string'),
        ("data.jsonl:11", "not valid Unicode: it holds half a surrogate pair"),
        ("data.jsonl:12", "empty"),
        ("data.jsonl:13", "the same text as first"),
        (
            "data.jsonl:15",
            "line 15: not valid UTF-8 (at byte 10): save it as UTF-8, or name its encoding in documents.encoding",
        ),
    ]


def test_names_and_titles_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines({"text": "x", "id": "a\n b\u0000", "title": "t\r\n" + "t" * 999}))
    found = only(path)
    assert isinstance(found, Document)
    assert found.name == "a b"
    assert found.title.startswith("t ttt")
    assert len(found.title) == 200


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("a.md", "intro\n\n# The Title #\n\n# Other", "The Title"),
        ("a.md", "## Second level\n#hashtag\n# Real", "Real"),
        ("some-long_file.name.md", "```sh\n# a comment\n```\ntext", "some long file name"),
        ("TCP-loss.txt", "plain", "TCP loss"),
        ("-.txt", "plain", "-.txt"),
    ],
)
def test_title(tmp_path: Path, name: str, text: str, title: str) -> None:
    (tmp_path / name).write_text(text)
    found = only(tmp_path / name)
    assert isinstance(found, Document)
    assert found.title == title


def test_limit_counts_documents_only(tmp_path: Path) -> None:
    for name, text in {"a.txt": "", "b.txt": "b", "c.txt": "b", "d.txt": "d", "e.txt": "e"}.items():
        (tmp_path / name).write_text(text)
    assert [item.name for item in read(tmp_path, limit=2)] == ["a.txt", "b.txt", "c.txt", "d.txt"]
    assert read(tmp_path, limit=0) == []


def test_only_one_text_is_in_memory(tmp_path: Path) -> None:
    size = 500_000
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(str(number) + "x" * size)
    with (tmp_path / "z.jsonl").open("w") as stream:
        stream.writelines(json.dumps({"text": f"{number}y" + "y" * size}) + "\n" for number in range(20))
    tracemalloc.start()
    try:
        count = sum(isinstance(item, Document) for item in read_documents([tmp_path]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 40
    assert peak < 10 * size


def test_pdf_text_is_read(tmp_path: Path) -> None:
    found = only(write_pdf(tmp_path / "wave-heights.pdf", "Waves of 3 metres"))
    assert isinstance(found, Document)
    assert (found.text, found.title) == ("Waves of 3 metres", "wave heights")


@pytest.mark.parametrize(
    ("text", "password", "reason"),
    [
        ("", "", "PDF without text (a scan?): run character recognition (OCR) on it first"),
        ("secret", "pw", "encrypted PDF: save a copy without a password"),
    ],
)
def test_pdf_that_gives_no_text_is_skipped(tmp_path: Path, text: str, password: str, reason: str) -> None:
    assert only(write_pdf(tmp_path / "a.pdf", text, password)) == Skipped("a.pdf", reason)


def test_cut_pdf_is_skipped(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", "some text")
    data = path.read_bytes()
    for end in range(0, len(data), 50):
        path.write_bytes(data[:end])
        assert isinstance(only(path), Skipped | Document)
    path.write_bytes(data[:100])
    found = only(path)
    assert isinstance(found, Skipped)
    assert found.reason.startswith("damaged PDF: ")


@pytest.mark.parametrize("as_folder", [True, False])
def test_pdf_without_pypdf_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_folder: bool
) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(UserError, match=r"a\.pdf: .*pip install 'autodata-langgraph\[pdf\]'"):
        read_documents([tmp_path if as_folder else tmp_path / "a.pdf"])


def document(text: str, note: str = "") -> Document:
    return Document(document_id=document_id(text), name="n", title="t", text=text, note=note)


@pytest.mark.parametrize(
    ("text", "max_chars", "left"),
    [
        ("short", 5, "short"),
        ("One two.\n\nThree four five.", 24, "One two.\n\nThree four"),
        ("One two three.\n\nFour five six.", 20, "One two three."),
        ("One two three.\n\nFour.\n\nFive.", 21, "One two three.\n\nFour."),
        ("T\n\nOne two. Three four five", 20, "T\n\nOne two."),
        ("T\n\nIt is 3.5 m high (sic.) and more", 28, "T\n\nIt is 3.5 m high (sic.)"),
        ("T\n\none two three four", 15, "T\n\none two"),
        ("x" * 30, 10, "x" * 10),
        ("a " + "x" * 30, 10, "a " + "x" * 8),
    ],
)
def test_long_text_is_cut_where_a_reader_would(text: str, max_chars: int, left: str) -> None:
    found = fit(document(text), max_chars, "cut")
    assert isinstance(found, Document)
    assert found.text == left


def test_cut_is_noted_and_the_id_stays() -> None:
    whole = document(("word " * 999 + "end.\n\n") * 20, note="from a scan")
    found = fit(whole, 12_345, "cut")
    assert isinstance(found, Document)
    assert found.document_id == whole.document_id
    assert found.note == f"from a scan; cut from {len(whole.text):,} to 10,000 characters to fit the model's context"
    assert len(found.text) == 10_000
    assert fit(found, 12_345, "cut") is found


def test_long_text_is_refused_where_asked_for() -> None:
    found = fit(document("x" * 1001), 1000, "refuse")
    assert isinstance(found, Skipped)
    assert found.name == "n"
    assert "1,001 characters" in found.reason
    assert "1,000" in found.reason


@pytest.mark.parametrize("max_chars", [0, -5])
def test_no_room_at_all_is_refused(max_chars: int) -> None:
    assert isinstance(fit(document("x"), max_chars, "cut"), Skipped)


prose = st.text(alphabet="ab. \n!", min_size=1, max_size=80).map(str.strip).filter(bool)


@given(prose, st.integers(1, 80))
def test_cut_text_fits_and_begins_the_whole(text: str, max_chars: int) -> None:
    found = fit(document(text), max_chars, "cut")
    assert isinstance(found, Document)
    assert 0 < len(found.text) <= max_chars
    assert text.startswith(found.text)
    assert bool(found.note) == (found.text != text)


# What a PDF loses

CMAP = (
    b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <00> <FF> endcodespacerange"
    b" 1 beginbfchar <0C> <%s> endbfchar endcmap end end"
)


def write_pages(path: Path, *pages: bytes | None, letter: bytes = b"", **encryption: str) -> Path:
    """Write a PDF, a page a text; None is a page whose content is damaged. `letter` is what the byte 0C stands for."""
    writer = pypdf.PdfWriter()
    for text in pages:
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        if letter:
            mapped = DecodedStreamObject()
            mapped.set_data(CMAP % letter)
            font[NameObject("/ToUnicode")] = writer._add_object(mapped)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        if text is None:
            content: StreamObject = StreamObject()
            content._data = b"this is no deflate stream"
            content[NameObject("/Filter")] = NameObject("/FlateDecode")
        else:
            content = DecodedStreamObject()
            content.set_data(b"BT /F1 12 Tf 20 200 Td (" + text + b") Tj ET" if text else b"")
        page[NameObject("/Contents")] = writer._add_object(content)
    if encryption:
        writer.encrypt(**encryption)  # type: ignore[arg-type]
    writer.write(path)
    return path


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256-R5", "AES-256"])
def test_pdf_that_anybody_may_read_is_read(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "a.pdf"
    write_pages(path, b"The mast of 1931", user_password="", owner_password="keeper", algorithm=algorithm)
    found = only(path)
    assert isinstance(found, Document), found
    assert (found.text, found.note) == ("The mast of 1931", "")


@pytest.mark.parametrize(
    ("pages", "note"),
    [
        ([b"One", b"Two"], ""),
        ([b"One", None, b"Three"], "no text could be read from page 2 of 3"),
        ([None, b"Two"], "no text could be read from page 1 of 2"),
        ([b"One", b"", None], "no text could be read from pages 2, 3 of 3"),
        ([b"One", *[b""] * 7], "no text could be read from pages 2, 3, 4, 5, 6 and 2 more of 8"),
    ],
)
def test_lost_pages_of_a_pdf_are_noted(tmp_path: Path, pages: list[bytes | None], note: str) -> None:
    found = only(write_pages(tmp_path / "a.pdf", *pages))
    assert isinstance(found, Document)
    assert found.note == note


def test_pdf_whose_pages_are_all_lost_is_skipped(tmp_path: Path) -> None:
    assert isinstance(only(write_pages(tmp_path / "a.pdf", None, None)), Skipped)


@pytest.mark.parametrize(
    ("letter", "text", "note"),
    [
        (b"FB01", "specification verifies", ""),
        (b"0000", "speci\ufffdcation veri\ufffdes", "2 letters could not be read and stand as \ufffd in its words"),
        (b"FFFD", "speci\ufffdcation veri\ufffdes", "2 letters could not be read and stand as \ufffd in its words"),
        (b"D83D", "speci\ufffdcation veri\ufffdes", "2 letters could not be read and stand as \ufffd in its words"),
    ],
    ids=["a ligature", "NUL", "the sign itself", "half a surrogate pair"],
)
def test_letters_lost_out_of_words_are_noted(tmp_path: Path, letter: bytes, text: str, note: str) -> None:
    found = only(write_pages(tmp_path / "a.pdf", b"speci\\014cation veri\\014es", letter=letter))
    assert isinstance(found, Document)
    assert (found.text, found.note) == (text, note)


def test_notes_of_reading_and_cutting_stand_side_by_side(tmp_path: Path) -> None:
    found = only(write_pages(tmp_path / "a.pdf", b"One two three four", b""))
    assert isinstance(found, Document)
    left = fit(found, 10, "cut")
    assert isinstance(left, Document)
    assert left.note.startswith("no text could be read from page 2 of 2; cut from 18 to ")


# What shows nothing


@pytest.mark.parametrize(
    "text",
    [
        "\u200b\u200b\ufeff\u2060",
        "\u00a0\u2003\u3000",
        "\u00ad\u200e\u202e",
        "\u2028\u2029\x85",
        "\x01\x7f\x9b",
        "\u3164\u115f\u2800",
        "\u0301\ufe0f",
        "\ufffd\ufffd",
        "\U000e0041\U000e007f",
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.jsonl"])
def test_text_that_shows_nothing_is_empty(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(lines({"text": text}) if name == "a.jsonl" else text, "utf-8")
    found = only(path)
    assert isinstance(found, Skipped)
    assert found.reason.startswith("empty")


@pytest.mark.parametrize("text", ["a", "\u200b7", "\u6e2f", "?", "+", "\u0e01\u0e34"])
def test_text_that_shows_anything_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text, "utf-8")
    assert isinstance(only(tmp_path / "a.txt"), Document)


# Folders behind links


def names_of(folder: Path) -> tuple[list[str], dict[str, str]]:
    left_out: list[Skipped] = []
    found = [item.name for item in read_documents([folder], passed_over=left_out)]
    return found, {item.name: item.reason for item in left_out}


def test_folders_behind_links_are_read_once(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    (outside / "deep").mkdir(parents=True)
    (root / "real").mkdir(parents=True)
    for n, path in enumerate([outside / "o.md", outside / "deep" / "d.md", root / "real" / "r.md"]):
        path.write_text(f"Text {n}.")
    (root / "a-link").symlink_to(outside)
    (root / "b-link").symlink_to(outside / "deep")
    (root / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "real" / "back").symlink_to(root / "real")
    (outside / "deep" / "round").symlink_to(outside)
    found, left_out = names_of(root)
    assert found == ["a-link/deep/d.md", "a-link/o.md", "real/r.md"]
    assert left_out == {
        "b-link": "a link to a folder that is read already",
        "loop": "a link to a folder that is read already",
        "real/back": "a link to a folder that is read already",
        "a-link/deep/round": "a link to a folder that is read already",
        "up": "a link to a folder that holds this one",
    }


def test_a_real_folder_keeps_its_name_beside_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "z" / "y").mkdir(parents=True)
    (tmp_path / "z" / "y" / "a.md").write_text("Text.")
    (tmp_path / "a-link").symlink_to(tmp_path / "z" / "y")
    assert names_of(tmp_path) == (["z/y/a.md"], {"a-link": "a link to a folder that is read already"})


def test_a_folder_that_is_a_link_itself_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.md").write_text("Text.")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names_of(tmp_path / "link") == (["a.md"], {})


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    for name in (".hidden.md", "a.doc", "sub/b.PNG", "README", "c.md", ".git/x.md"):
        (tmp_path / name).write_text(name)
    found, left_out = names_of(tmp_path)
    assert found == ["c.md"]
    assert left_out == {
        ".git": "hidden",
        ".hidden.md": "hidden",
        "a.doc": "of kind .doc",
        "sub/b.PNG": "of kind .png",
        "README": "without a suffix",
    }
