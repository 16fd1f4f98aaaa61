"""Formats of documents: each is read from a file that the test makes itself."""

from __future__ import annotations

import gzip
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
import pptx
import pyarrow as pa
import pytest
from pyarrow import parquet

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.records import Document, Skipped
from autodata.corpus.documents import read_documents
from autodata.corpus.loaders.base import Fields, File, Loader, Raw, Reading
from autodata.corpus.loaders.registry import FIRST, FORMATS, LOADERS
from autodata.corpus.sources import Source, address_of, sniffed

BODY = Fields(text="body")


def read(*sources: Source, reading: Reading | None = None, piped: bytes | None = None) -> list[Document | Skipped]:
    given = None if piped is None else lambda: piped
    return list(read_documents(sources, reading=reading, standard_input=given))


def only(*sources: Source, reading: Reading | None = None, piped: bytes | None = None) -> Document:
    (found,) = read(*sources, reading=reading, piped=piped)
    assert isinstance(found, Document), found
    return found


def reason(*sources: Source, reading: Reading | None = None) -> str:
    (found,) = read(*sources, reading=reading)
    assert isinstance(found, Skipped), found
    return found.reason


# Word, slides


def write_docx(path: Path) -> Path:
    made = docx.Document()
    made.add_heading("The Mast", 0)
    made.add_paragraph("It was raised in 1931.")
    made.add_heading("How it was built", 1)
    made.add_paragraph("Oak", style="List Bullet")
    made.add_paragraph("First the foot", style="List Number")
    made.add_paragraph("then the top", style="List Number")
    table = made.add_table(2, 2)
    for row, cells in enumerate([["part", "metres"], ["foot", "12"]]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    made.save(str(path))
    return path


@pytest.mark.slow
def test_word_keeps_headings_lists_and_tables(tmp_path: Path) -> None:
    found = only(write_docx(tmp_path / "a.docx"))
    assert found.title == "The Mast"
    assert found.text == (
        "# The Mast\n\nIt was raised in 1931.\n\n# How it was built\n\n- Oak\n\n1. First the foot\n2. then the top\n\n"
        "| part | metres |\n| --- | --- |\n| foot | 12 |"
    )


def write_pptx(path: Path) -> Path:
    made = pptx.Presentation()
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text = "The mast"
    first.placeholders[1].text = "oak\niron"
    first.notes_slide.notes_text_frame.text = "Say when."
    second = made.slides.add_slide(made.slide_layouts[5])
    table = second.shapes.add_table(2, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text, table.cell(0, 1).text, table.cell(1, 0).text = "part", "a|b", "foot"
    made.slides.add_slide(made.slide_layouts[6])
    made.save(str(path))
    return path


def test_slides_keep_their_order_titles_tables_and_notes(tmp_path: Path) -> None:
    found = only(write_pptx(tmp_path / "a.pptx"))
    assert found.title == "The mast"
    assert found.text == (
        "## The mast\n\n- oak\n- iron\n\nNotes: Say when.\n\n## Slide 2\n\n| part | a\\|b |\n| --- | --- |\n| foot |  |"
    )


@pytest.mark.parametrize("suffix", ["docx", "pptx"])
def test_an_office_file_that_is_none_is_reported(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(b"")
    assert reason(path) == "empty"
    path.write_bytes(b"words")
    assert reason(path).startswith(f"not a .{suffix} file: save it as .{suffix} again")
    path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    assert reason(path).startswith(f"encrypted, or not a .{suffix} file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.xml", "<a/>")
    assert reason(path).startswith(f"not a .{suffix} file: it has no ")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml" if suffix == "docx" else "ppt/presentation.xml", "<broken")
    assert reason(path).startswith(f"damaged .{suffix} file: ")


def test_an_office_file_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autodata.corpus.loaders.office.MOST_UNPACKED", 1000)
    assert reason(write_docx(tmp_path / "a.docx")) == "it unpacks to more than 1,000 bytes"


# Pages

HTML = """<!DOCTYPE html><html><head><title>The mast &amp; the sea</title><style>p {color: red}</style>
<script>alert("no")</script></head><body><nav><a href="/">Home</a></nav>%s<footer>Imprint</footer></body></html>"""


def test_a_page_is_what_a_reader_reads(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        HTML
        % "<main><h2>How it was built</h2><p>Of <b>oak</b>&nbsp;and <a href='x'>iron</a>, snake_case.</p><ul><li>one"
        "<li>two</ul><table><tr><th>part</th><th>m</th></tr><tr><td>foot</td><td>12</td></tr></table>"
        "<pre>x  =  1\ny</pre></main>"
    )
    found = only(tmp_path / "a.html")
    assert found.title == "The mast & the sea"
    assert found.text == (
        "## How it was built\n\nOf **oak** and iron, snake_case.\n\n- one\n- two\n\n"
        "| part | m |\n| --- | --- |\n| foot | 12 |\n\n```\nx  =  1\ny\n```"
    )


@pytest.mark.parametrize(
    "body",
    [
        "<article><p>Of oak and of iron.</p></article>",
        "<p>Of oak and of iron.</p>",
        "<p>Of oak and of iron.</p><main></main>",
        "<div role='main'><p>Of oak and of iron.</p></div>",
    ],
)
def test_a_page_is_read_whatever_marks_its_text(tmp_path: Path, body: str) -> None:
    (tmp_path / "a.htm").write_text(HTML % body)
    assert only(tmp_path / "a.htm").text == "Of oak and of iron."


def test_the_only_heading_of_a_page_is_its_title(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(HTML % "<h1>The mast</h1><p>Of oak.</p>")
    assert only(tmp_path / "a.html").title == "The mast"


def test_a_page_is_read_in_the_encoding_that_it_states(tmp_path: Path) -> None:
    page = HTML.replace("<title>", '<meta charset="iso-8859-2"><title>') % "<p>Łódź</p>"
    (tmp_path / "a.html").write_bytes(page.encode("iso-8859-2"))
    assert only(tmp_path / "a.html").text == "Łódź"


@pytest.mark.slow
def test_a_page_nested_beyond_measure_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<div><b>" * 5000 + "Of oak.")
    found = read(tmp_path / "a.html")[0]
    assert isinstance(found, Document) or found.reason.startswith("its elements stand too deep in one another")


# Texts with headings of their own


def test_restructured_text_gets_headings_by_the_order_of_its_adornments(tmp_path: Path) -> None:
    (tmp_path / "a.rst").write_text(
        "=====\nMasts\n=====\n\nIntro.\n\nBuilt\n-----\n\nOak.\n\n=====  =====\nA      B\n=====  =====\n1      2\n"
        "=====  =====\n\nFoot\n~~~~\n\nDeep.\n\nUsed\n----\n\nLong titles need long lines\n---\n"
    )
    found = only(tmp_path / "a.rst")
    assert found.title == "Masts"
    assert re.findall(r"^#+ .*", found.text, re.MULTILINE) == ["# Masts", "## Built", "### Foot", "## Used"]
    assert "=====  =====\nA      B" in found.text


def test_latex_is_its_body_with_headings_and_formulas(tmp_path: Path) -> None:
    (tmp_path / "a.tex").write_text(
        "\\documentclass{article}\n\\title{On \\emph{masts}}\n\\newcommand{\\x}{y}\n\\begin{document}\n\\maketitle\n"
        "\\section{Height {\\small of masts}}\nIt is 5\\% of $\\frac{a}{b}$. % a remark\n\\input{more}\n"
        "\\subsection*{Weight}\nHeavy.\n\\end{document}\nrest"
    )
    found = only(tmp_path / "a.tex")
    assert found.title == "On masts"
    assert found.text.startswith("## Height {\\small of masts}\n\nIt is 5\\% of $\\frac{a}{b}$.\n")
    assert "### Weight\n\nHeavy." in found.text
    assert not {"remark", "rest", "newcommand"} & set(re.findall(r"\w+", found.text))
    assert found.note == "the files that it includes are not read with it: more"


def test_code_is_read_as_it_is_and_called_by_its_file(tmp_path: Path) -> None:
    code = "# a comment is no heading\nclass Mast:\n    height = 41"
    (tmp_path / "mast.py").write_text(code)
    found = only(tmp_path / "mast.py")
    assert (found.text, found.title, found.layout) == (code, "mast.py", "code")


# Notebooks


def notebook(*cells: dict[str, Any]) -> str:
    return json.dumps({"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4})


def test_a_notebook_is_its_cells_in_order(tmp_path: Path) -> None:
    outputs = [
        {"output_type": "stream", "text": ["41\n"]},
        {"output_type": "execute_result", "data": {"text/plain": "42", "image/png": "iVBOR"}},
        {"output_type": "error", "ename": "ValueError", "evalue": "no mast"},
    ]
    (tmp_path / "a.ipynb").write_text(
        notebook(
            {"cell_type": "markdown", "source": ["# Masts\n", "Of oak."]},
            {"cell_type": "code", "source": "print(41)", "outputs": outputs},
            {"cell_type": "code", "source": "", "outputs": []},
        )
    )
    found = only(tmp_path / "a.ipynb")
    assert (found.title, found.note) == ("Masts", "")
    assert found.text == (
        "# Masts\nOf oak.\n\n```python\nprint(41)\n```\n\nOutput:\n\n```\n41\n\n42\nValueError: no mast\n```"
    )


def test_what_a_cell_printed_at_length_is_cut_and_reported(tmp_path: Path) -> None:
    outputs = [{"output_type": "stream", "text": "x" * 3000}]
    (tmp_path / "a.ipynb").write_text(notebook({"cell_type": "code", "source": "1", "outputs": outputs}))
    found = only(tmp_path / "a.ipynb")
    assert "x" * 2000 + " …" in found.text
    assert "x" * 2001 not in found.text
    assert found.note == "of what 1 cell printed the first 2,000 characters are kept"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"cells": 3}'])
def test_a_notebook_that_is_none_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    assert reason(tmp_path / "a.ipynb").startswith("not a notebook: ")


# Records

ROWS = [
    {"text": "Of oak.", "title": "Masts", "id": "m1", "body": "Of iron."},
    {"text": "Tall.", "id": "m2", "body": "B"},
]
TABLES = ("csv", "tsv", "semicolon.csv", "parquet", "json", "jsonl", "jsonl.gz", "json.gz", "csv.gz", "held.json")


def write_rows(folder: Path, kind: str) -> Path:
    path = folder / f"rows.{kind}"
    filled = [{"text": "", "title": "", **row} for row in ROWS]
    if "parquet" in kind:
        parquet.write_table(pa.Table.from_pylist([{"title": None, **row} for row in ROWS]), path)
        return path
    if "jsonl" in kind:
        text = "\n".join(map(json.dumps, ROWS))
    elif "json" in kind:
        text = json.dumps({"version": 1, "rows": ROWS} if "held" in kind else ROWS, indent=1)
    else:
        sign = "\t" if "tsv" in kind else ";" if "semicolon" in kind else ","
        columns = ["text", "title", "id", "body"]
        text = "\r\n".join([sign.join(columns), *(sign.join(row[name] for name in columns) for row in filled)])
    path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode("utf-8-sig"))
    return path


@pytest.mark.parametrize("kind", [kind for kind in TABLES if "jsonl" not in kind and kind != "held.json"])
def test_each_row_of_a_table_is_a_document(tmp_path: Path, kind: str) -> None:
    path = write_rows(tmp_path, kind)
    found = read(path)
    assert [(one.name, one.title, one.text) for one in found if isinstance(one, Document)] == [
        ("m1", "Masts", "Of oak."),
        ("m2", "rows" if kind != "semicolon.csv" else "rows semicolon", "Tall."),
    ]
    assert [one.source for one in found if isinstance(one, Document)] == [f"{path}#m1", f"{path}#m2"]


@pytest.mark.parametrize("kind", TABLES)
def test_another_field_is_read_where_it_is_named(tmp_path: Path, kind: str) -> None:
    found = read(write_rows(tmp_path, kind), reading=Reading(BODY))
    assert [one.text for one in found if isinstance(one, Document)] == ["Of iron.", "B"]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (Fields(text="prose"), r'no "prose" among its keys .*"text".*"body": name the key .* --text-field\)'),
        (Fields(title="head"), r'no "head" among its keys .*"text".*"body": name another .* --title-field\)'),
        (Fields(id="key"), r'no "key" among its keys .*"text".*"body": name another .* --id-field\)'),
    ],
)
def test_a_field_that_is_not_there_is_reported_with_those_that_are(
    tmp_path: Path, kind: str, fields: Fields, said: str
) -> None:
    found = read(write_rows(tmp_path, kind), reading=Reading(fields))
    assert found
    assert all(isinstance(one, Skipped) and re.search(said, one.reason) for one in found), found


def test_rows_that_cannot_be_used_are_reported_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,id\n"two\nlines",a\n,b\nlast,\nmore,c,extra\n')
    found = read(path)
    assert [(one.name, getattr(one, "text", "")) for one in found] == [
        ("a", "two\nlines"),
        ("b", ""),
        ("a.csv:5", "last"),
        ("a.csv:6", ""),  # an unquoted comma in its text would look the same
    ]
    assert isinstance(found[1], Skipped)
    assert isinstance(found[2], Document)
    assert found[2].source == "", "a row that only its place names is another one when the file has changed"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"text\0", "binary"),
        ("a.json", b"", "empty"),
        ("a.json", b"[1", "not JSON"),
        ("a.json", b"3", "neither a JSON object nor an array"),
        ("a.json", b'{"a": 1}', 'no "text" among its keys "a"'),
        ("a.json", b"{}", 'no "text", for it has no keys'),
        ("a.jsonl.gz", b"no gzip at all", "cannot be read: Not a gzipped file"),
        ("a.txt.gz", gzip.compress(b"words", mtime=0)[:-9], "damaged gzip file"),
        ("a.parquet", b"words", "damaged Parquet file"),
    ],
)
def test_records_that_are_none_are_reported(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert reason(tmp_path / name).startswith(said)


def test_one_object_is_one_document_known_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"text": "Of oak.", "title": "Masts"}))
    found = only(tmp_path / "a.json")
    assert (found.name, found.title, found.source) == ("a.json", "Masts", str(tmp_path / "a.json"))


# Encodings

GERMAN = "Prüfung für Größe, Übermaß, öfter, schöne Füße, Käse, Mädchen. Das ist über alle Maßen schön und gut gewesen."
RUSSIAN = "Мачта была поднята в тысяча девятьсот тридцать первом году и стоит на берегу моря до сих пор."  # noqa: RUF001 - it is Russian


@pytest.mark.parametrize(
    ("text", "encoding"), [(GERMAN, "cp1252"), (GERMAN, "latin-1"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r")]
)
def test_an_encoding_is_guessed_and_reported(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    found = only(tmp_path / "a.txt")
    assert found.text == text
    assert re.fullmatch(r"read as \w+, which was guessed", found.note)


@pytest.mark.parametrize(
    "data",
    ["Only one sign, a caf\u00e9.".encode("latin-1"), f"{GERMAN}{GERMAN}".encode() + b" and one damaged \xff byte"],
    ids=["too little to guess from", "damaged UTF-8"],
)
def test_an_encoding_in_doubt_is_not_guessed(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    assert re.fullmatch(
        r"not valid UTF-8 \(at byte \d+\): save it as UTF-8, or name its encoding in documents\.encoding",
        reason(tmp_path / "a.txt"),
    )


def test_an_encoding_that_is_named_is_used_where_it_is_no_unicode(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("caf\u00e9 \u2013 bar".encode("cp1252"))
    (tmp_path / "b.txt").write_text("caf\u00e9", "utf-8")
    found = read(tmp_path, reading=Reading(encoding="cp1252"))
    assert [(one.text, one.note) for one in found if isinstance(one, Document)] == [
        ("caf\u00e9 \u2013 bar", ""),
        ("caf\u00e9", ""),
    ]
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    assert reason(tmp_path / "a.txt", reading=Reading(encoding="ascii")).startswith("not valid ascii (at byte 3)")


@pytest.mark.parametrize("encoding", ["utf-32", "utf-16-le", "utf-16-be"])
def test_wide_text_is_read_with_or_without_a_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("The mast of 1931.".encode(encoding))
    assert only(tmp_path / "a.txt").text == "The mast of 1931."


# Standard input


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"%PDF-1.7", "pdf"),
        (b"PAR1....", "parquet"),
        (b"\xef\xbb\xbf<!DOCTYPE html><p>", "html"),
        (b'<?xml version="1.0"?>\n<html>', "html"),
        (b'{"text": "a"}\n{"text": "b"}', "jsonl"),
        (b'{\n "text": "a"\n}', "json"),
        (b'[\n {"text": "a"}]', "json"),
        (b"[a link] and words", "md"),
        (b"plain", "md"),
        (b"", "md"),
    ],
)
def test_what_has_no_name_is_known_by_how_it_begins(data: bytes, suffix: str) -> None:
    assert sniffed(data) == suffix


def test_standard_input_is_read(tmp_path: Path) -> None:
    found = only(Path("-"), piped=b"# Masts\n\nOf oak.")
    assert (found.name, found.title, found.text, found.source) == ("stdin", "Masts", "# Masts\n\nOf oak.", "")
    assert only(Path("-"), piped=b'{"text": "Of oak."}\n').text == "Of oak."
    assert only(Path("-"), piped=write_docx(tmp_path / "a").read_bytes()).title == "The Mast"


# The registry


def test_every_format_of_the_registry_is_read_from_a_folder(tmp_path: Path) -> None:
    names = sorted(
        name for name, loader in FORMATS.items() if loader.parts in {"paragraphs", "headings", "definitions"}
    )
    texts = {"ipynb": notebook({"cell_type": "markdown", "source": "Of %s."})}
    texts |= dict.fromkeys(("json", "jsonl", "ndjson"), '{"text": "Of %s."}') | dict.fromkeys(
        ("csv", "tsv"), "text\nOf %s."
    )
    for name in names:
        if name not in {"pdf", "docx", "parquet"}:
            (tmp_path / f"a.{name}").write_text(texts.get(name, "Of %s.") % name)
    found = read(tmp_path)
    assert [one for one in found if isinstance(one, Skipped)] == []
    assert {one.text for one in found if isinstance(one, Document)} == {
        f"Of {name}." for name in names if name not in {"pdf", "docx", "parquet"}
    }


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("a.html", "bs4", "docs"),
        ("a.html", "markdownify", "docs"),
        ("a.docx", "mammoth", "docs"),
        ("a.pptx", "pptx", "docs"),
        ("a.parquet", "pyarrow", "docs"),
        ("a.pdf", "pypdf", "pdf"),
        ("a.HTML.gz", "lxml", "docs"),
    ],
)
def test_a_missing_library_is_one_line_with_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, extra: str
) -> None:
    (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as error:
        read_documents([tmp_path])
    assert str(error.value).startswith(f"{tmp_path / name}: reading ")
    assert str(error.value).endswith(f"needs {module}: pip install 'autodata-langgraph[{extra}]'")


def test_without_a_library_that_guesses_nothing_is_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(GERMAN.encode("cp1252"))
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    assert reason(tmp_path / "a.txt").startswith("not valid UTF-8")


def test_rules_of_the_first_version_read_what_it_read(tmp_path: Path) -> None:
    for name in FORMATS:
        (tmp_path / f"a.{name}").write_text(json.dumps({"text": f"Of {name}."}) if "json" in name else f"Of {name}.")
    (tmp_path / "b.txt").write_bytes(GERMAN.encode("cp1252"))
    (tmp_path / "a.pdf").unlink()
    left_out: list[Skipped] = []
    found = list(read_documents([tmp_path], reading=Reading(version=1), passed_over=left_out))
    assert [one.text for one in found if isinstance(one, Document)] == ["Of jsonl.", "Of md.", "Of txt."]
    assert [one for one in found if isinstance(one, Skipped)] == [
        Skipped("b.txt", "not valid UTF-8 (at byte 2): save it as UTF-8")
    ]
    assert len(left_out) == len(FORMATS) - len(FIRST)


def test_a_loader_may_yield_documents_and_what_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
        for number, line in enumerate(file.text(reading)[0].splitlines(), 1):
            yield Raw(f"{file.name}:{number}", line, record=True) if line else Skipped(file.name, "a blank line")

    monkeypatch.setitem(LOADERS.shipped, "log", Loader(load, "logs"))
    (tmp_path / "a.log").write_text("one\n\ntwo")
    assert [one.name for one in read(tmp_path)] == ["a.log:1", "a.log", "a.log:3"]


def test_a_loader_that_fails_ends_its_own_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
        yield Raw(file.name, "The mast.")
        raise KeyError("its defect\nin two lines")

    monkeypatch.setitem(LOADERS.shipped, "log", Loader(load, "logs"))
    (tmp_path / "a.log").touch()
    (tmp_path / "b.txt").write_text("Of oak.")
    first, failed, second = read(tmp_path)
    assert (first.name, second.name) == ("a.log", "b.txt")
    assert failed == Skipped("a.log", r"its loader failed: KeyError: 'its defect\nin two lines'")


def test_a_packed_file_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autodata.corpus.loaders.base.MOST_UNPACKED", 1000)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"a" * 1001))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"a" * 1000))
    (tmp_path / "c.txt").write_bytes(b"b" * 2000)
    skipped, *rest = read(tmp_path)
    assert skipped == Skipped("a.txt.gz", "it unpacks to more than 1,000 bytes")
    assert all(isinstance(one, Document) for one in rest)


# Addresses


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://host/a.md", "https://host/a.md"),
        (Path("https://host/a.md?x=1"), "https://host/a.md?x=1"),
        (Path("HTTP://host/a"), "http://host/a"),
        ("hf://owner/name@train", "hf://owner/name@train"),
        (Path("hf:///data/set"), "hf://data/set"),
        ("papers/a.md", ""),
        ("ftp://host/a", ""),
        (Path("https"), ""),
    ],
)
def test_addresses_are_distinguished_from_paths(given: str | Path, address: str) -> None:
    assert address_of(given) == address


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://", "https://: no address"),
        ("https://me:secret@host/a", r"https://host/a: credentials do not belong in an address"),
        ("hf://", r"hf://: write hf://NAME"),
    ],
)
def test_an_address_that_cannot_be_asked_is_reported_at_once(address: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        read_documents([address])
    assert "secret" not in str(error.value)


def test_data_sets_need_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"hf://owner/name: reading data sets needs datasets: pip install .*\[hf\]'"):
        read_documents(["hf://owner/name"])
