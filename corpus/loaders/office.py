"""Documents and slides of office programs as Markdown: .docx by mammoth, .pptx by python-pptx."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, Final

from autodata.checkpoints.records import Skipped
from autodata.corpus.loaders.base import MOST_UNPACKED, File, Loader, Raw, Reading, Unreadable, one_line
from autodata.corpus.loaders.formulas import with_formulas
from autodata.corpus.loaders.marks import lowered, raised, spell_out
from autodata.corpus.loaders.pages import NEEDS, markdown_of

_DRAWN: Final = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_STYLES: Final = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def load_docx(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield a document with its headings, lists, tables and notes; pictures are left out."""
    import mammoth  # noqa: PLC0415 - an optional extra

    data = _unpackable(file, "word/document.xml")
    try:
        data = with_formulas(data)[0] if reading.spelled else data
        html = mammoth.convert_to_html(
            io.BytesIO(data),
            style_map=_STYLES,
            convert_image=mammoth.images.img_element(lambda image: {"src": ""}),
        ).value
    except Exception as error:  # a damaged file fails in whatever way the damage leads to
        raise Unreadable(f"damaged .docx file: {one_line(str(error)) or type(error).__name__}") from error
    yield Raw(file.name, markdown_of(_with_heads(html, spelled=reading.spelled)))


def _with_heads(html: str, *, spelled: bool) -> str:
    """Return HTML whose tables have a row of heads, as tables of Markdown do: their first one."""
    from bs4 import BeautifulSoup  # noqa: PLC0415 - an optional extra

    soup = BeautifulSoup(html, "html.parser")
    if spelled:
        spell_out(soup)
    for table in soup.find_all("table"):
        if not table.find("th") and (row := table.find("tr")):
            for cell in row.find_all("td"):
                cell.name = "th"
    return str(soup)


def load_pptx(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield slides in order: the title of each as a heading, its texts, tables and notes."""
    import pptx  # noqa: PLC0415 - an optional extra

    data = _unpackable(file, "ppt/presentation.xml")
    try:
        data = with_formulas(data)[0] if reading.spelled else data
        found = list(pptx.Presentation(io.BytesIO(data)).slides)
        slides = [_slide(number, slide, spelled=reading.spelled) for number, slide in enumerate(found, 1)]
        title = _title(found[0]) if found else ""
    except Exception as error:  # a damaged file fails in whatever way the damage leads to
        raise Unreadable(f"damaged .pptx file: {one_line(str(error)) or type(error).__name__}") from error
    yield Raw(file.name, "\n\n".join(filter(None, slides)), title)


def _title(slide: Any) -> str:
    title = slide.shapes.title
    return one_line(title.text_frame.text) if title is not None else ""


def _slide(number: int, slide: Any, *, spelled: bool) -> str:
    title = slide.shapes.title
    head = _title(slide)
    parts = [f"## {head or f'Slide {number}'}"]
    for shape in _flat(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if shape.has_text_frame:
            parts.append(_bullets(shape.text_frame.paragraphs, spelled=spelled))
        elif getattr(shape, "has_table", False):
            parts.append(table_text([[cell.text for cell in row.cells] for row in shape.table.rows]))
        elif spelled and getattr(shape, "has_chart", False):
            parts.append(_chart(shape.chart))
    if spelled:
        parts += _diagrams(slide)
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) and frame.text.strip():
        parts.append(f"Notes: {frame.text.strip()}")
    parts = [part for part in parts if part.strip()]
    return "\n\n".join(parts) if len(parts) > 1 or head else ""


def _flat(shapes: Any) -> Iterator[Any]:
    """Yield shapes, those of groups in the place of their group."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _flat(shape.shapes)
        else:
            yield shape


def _chart(chart: Any) -> str:
    """Return what a chart draws: its title, and a table of its series by category."""
    title = chart.chart_title.text_frame.text if chart.has_title and chart.chart_title.has_text_frame else ""
    tables = []
    for plot in chart.plots:
        series = list(plot.series)
        names = [str(category) for category in plot.categories]
        values = [["" if value is None else f"{value:g}" for value in one.values] for one in series]
        rows = [
            [name, *(row[n] if n < len(row) else "" for row in values)]
            for n, name in enumerate(names or map(str, range(1, 1 + max(map(len, values), default=0))))
        ]
        tables.append(table_text([["", *(one.name for one in series)], *rows]))
    return "\n\n".join([f"Chart: {one_line(title)}" if title.strip() else "Chart:", *tables])


def _diagrams(slide: Any) -> list[str]:
    """Return the texts of a slide's diagrams (SmartArt), each as a list."""
    from lxml import etree  # noqa: PLC0415 - an optional extra

    found = []
    for relation in slide.part.rels.values():
        if not relation.is_external and relation.reltype.endswith("/diagramData"):
            root = etree.fromstring(relation.target_part.blob, etree.XMLParser(resolve_entities=False, no_network=True))
            points = [" ".join("".join(point.itertext(f"{_DRAWN}t")).split()) for point in root.iter("{*}pt")]
            found.append("\n".join(f"- {point}" for point in points if point))
    return found


def _spelled(paragraph: Any) -> str:
    """Return a paragraph's text with raised and lowered letters as such."""
    parts: list[str] = []
    for child in paragraph._p:
        text = child.findtext(f"{_DRAWN}t") or ""
        look = child.find(f"{_DRAWN}rPr")
        baseline = look.get("baseline", "0") if look is not None else "0"
        if baseline.startswith("-"):
            text = lowered(text, "".join(parts)[-3:])
        elif baseline.strip("0%"):
            text = raised(text)
        parts.append("\v" if child.tag == f"{_DRAWN}br" else text)
    return "".join(parts)


def _bullets(paragraphs: Any, *, spelled: bool) -> str:
    texts = [(paragraph.level, _spelled(paragraph) if spelled else paragraph.text) for paragraph in paragraphs]
    lines = [(level, " ".join(text.split())) for level, text in texts]
    lines = [(level, line) for level, line in lines if line]
    if len(lines) == 1:
        return lines[0][1]
    return "\n".join(f"{'  ' * level}- {line}" for level, line in lines)


def table_text(table: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as a table of Markdown, the first row as its heads; empty for none."""
    if not table:
        return ""
    width = max(map(len, table))
    rows = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] + [""] * (width - len(row)) for row in table]
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * width, *rows[1:]])


def _unpackable(file: File, part: str) -> bytes:
    """Return the bytes of a file that is a zip archive with such a part. Raises Unreadable."""
    data = file.read()
    if not data:
        raise Unreadable("empty")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if part not in archive.namelist():
                raise Unreadable(f"not a {file.suffix} file: it has no {part}")
            if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
                raise Unreadable(f"it unpacks to more than {MOST_UNPACKED:,} bytes")
    except zipfile.BadZipFile as error:
        what = "encrypted, or " if data.startswith(b"\xd0\xcf\x11\xe0") else ""
        again = f"save it as {file.suffix} again, without a password"
        raise Unreadable(f"{what}not a {file.suffix} file: {again}") from error
    return data


DOCX = Loader(load_docx, "Word", needs={"mammoth": "docs", **NEEDS})
PPTX = Loader(load_pptx, "PowerPoint", parts="slides", needs={"pptx": "docs", "lxml": "docs", "bs4": "docs"})
