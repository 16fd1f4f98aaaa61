"""PDF, by pypdf: pages as text, without what is printed around every page; a note says what was lost."""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from autodata.checkpoints.records import Skipped
from autodata.checkpoints.texts import is_blank
from autodata.corpus.loaders.base import File, Loader, Raw, Reading, Unreadable, one_line
from autodata.corpus.loaders.pdf_tables import with_tables

EDGE_LINES: Final = 3
"""Lines at either end of a page that may be a header or footer."""
LEAST_PAGES: Final = 3
"""Pages on which a line stands at the same end before it is taken for a header or footer."""

LIGATURES: Final = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)
_LETTERS: Final = ("ff", "fi", "fl", "ffi", "ffl")
_WORD: Final = re.compile(r"[^\W\d_]+")
_READ_OR_NOT: Final = re.compile(r"(?:[^\W\d_]|\ufffd)+")
_NUMBER: Final = re.compile(r"\d+")
_PAGE_NUMBER: Final = re.compile(
    r"[\W_]*(?:(?:page|p\.|seite|p\u00e1gina)\s*)?(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:/|of|von|de|sur)\s*\d{1,4})?[\W_]*",
    re.IGNORECASE,
)


def load_pdf(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield the text of a PDF, pages parted by blank lines. Raises Unreadable for one that gives none."""
    cleaned = reading.version > 1
    pages, whole = _pages(file, tables=cleaned)
    # pypdf may give one letter as the two halves of a pair; half of one is no letter.
    pages = [page.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for page in pages]
    if is_blank("".join(pages).replace("\0", "")):
        raise Unreadable("PDF without text (a scan?): run character recognition (OCR) on it first")
    notes = []
    if lost := [str(n) for n, page in enumerate(pages, 1) if is_blank(page.replace("\0", ""))]:
        shown = ", ".join(lost[:5]) + (f" and {len(lost) - 5:,} more" if len(lost) > 5 else "")
        what = "page" if len(lost) == 1 else "pages"
        notes.append(f"no text could be read from {what} {shown} of {whole:,}")
    if cleaned:
        pages, around = without_edges([page.translate(LIGATURES) for page in pages])
        if around:
            what = "1 line" if around == 1 else f"{around:,} lines"
            notes.append(f"{what} of headers, footers and page numbers left out")
    text = "\n\n".join(pages).replace("\0", "\ufffd")
    if cleaned:
        text, mended = with_ligatures(text)
        if mended:
            what = "1 ligature" if mended == 1 else f"{mended:,} ligatures"
            notes.append(f"{what} that could not be read put back, as the same words have them elsewhere")
    if unread := text.count("\ufffd"):
        what = "1 letter" if unread == 1 else f"{unread:,} letters"
        notes.append(f"{what} could not be read and stand as \ufffd in its words")
    yield Raw(file.name, text, note="; ".join(notes))


def with_ligatures(text: str) -> tuple[str, int]:
    """Return a text whose unread signs are ligatures again where that leaves no doubt, and how many were.

    It does where a word with one of them, and with no other, stands elsewhere in the same text.
    """
    known = {word.casefold() for word in _WORD.findall(text)}
    count = 0

    def mended(match: re.Match[str]) -> str:
        nonlocal count
        if "\ufffd" not in match[0]:
            return match[0]
        found = [letters for letters in _LETTERS if match[0].replace("\ufffd", letters).casefold() in known]
        if len(found) != 1:
            return match[0]
        count += match[0].count("\ufffd")
        return match[0].replace("\ufffd", found[0])

    return (_READ_OR_NOT.sub(mended, text), count) if "\ufffd" in text else (text, 0)


def _pages(file: File, *, tables: bool) -> tuple[list[str], int]:
    """Return the text of every page, and how many there are. Raises Unreadable."""
    import pypdf  # noqa: PLC0415 - an optional extra
    from pypdf.errors import DependencyError, PyPdfError  # noqa: PLC0415 - an extra

    # Damaged files make pypdf fail in whatever way the damage leads to.
    faults = (PyPdfError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError)
    more_faults = (NotImplementedError, RecursionError, zlib.error, struct.error)
    pages: list[str] = []
    with file.opened() as stream:
        if not stream.read(1):
            raise Unreadable("empty")
        stream.seek(0)
        try:
            with pypdf.PdfReader(stream) as reader:
                # A file that only restricts what may be done with it has the empty password: anybody may read it.
                if reader.is_encrypted and not reader.decrypt(""):
                    raise Unreadable("encrypted PDF: save a copy without a password")
                for page in reader.pages:
                    try:
                        plain = page.extract_text()
                    except (*faults, *more_faults):
                        pages.append("")
                        continue
                    try:
                        pages.append(with_tables(plain, _laid_out(page)) if tables and plain.strip() else plain)
                    except (*faults, *more_faults):
                        pages.append(plain)  # its layout is unknown: the text is there all the same
        except DependencyError as error:
            what = f"encrypted PDF ({one_line(str(error))})"
            raise Unreadable(f"{what}: pip install 'autodata-langgraph[pdf]'") from error
        except (*faults, *more_faults) as error:
            raise Unreadable(f"damaged PDF: {one_line(str(error)) or type(error).__name__}") from error
    return pages, len(pages)


def _laid_out(page: Any) -> str:
    """Return a page's text as it is laid out: what stands apart is parted by blanks.

    Raised and lowered letters (`Ts`) stay in their lines: where they stand, pypdf would begin lines of their own.
    """
    contents = page.get_contents()
    if contents is not None and b"Ts" in contents.get_data():
        from pypdf.generic import ContentStream, NameObject  # noqa: PLC0415 - an extra

        level = ContentStream(contents, None, "bytes")
        level.operations = [(operands, operator) for operands, operator in level.operations if operator != b"Ts"]
        page[NameObject("/Contents")] = level
    return str(page.extract_text(extraction_mode="layout", layout_mode_space_vertically=False))


def without_edges(pages: Sequence[str]) -> tuple[list[str], int]:
    """Return pages without headers, footers and page numbers, and how many lines were left out.

    A header or footer is a line that stands at the same end of at least three pages and of a third of them, whatever
    numbers are in it. A page number is a line of nothing else at an end of a page, where most pages have one.
    """
    lines = [page.split("\n") for page in pages]
    counted = _edges_of(lines)
    printed = sum(not is_blank(page) for page in pages)
    repeated = {key for key, count in counted.items() if count >= max(LEAST_PAGES, printed / 3)}
    numbered = {
        end for end in (0, -1) if sum(_is_numbered(of_page, end) for of_page in lines) >= max(LEAST_PAGES, printed / 2)
    }
    left, out = [], 0
    for of_page in lines:
        kept = of_page
        for end in (0, -1):
            kept, gone = _trimmed(kept, end, repeated, numbered=end in numbered)
            out += gone
        left.append("\n".join(kept))
    return left, out


def _edges_of(pages: Sequence[Sequence[str]]) -> Counter[tuple[int, str]]:
    counted: Counter[tuple[int, str]] = Counter()
    for lines in pages:
        for end in (0, -1):
            counted.update({(end, _key(line)) for line in _edge(lines, end)})
    return counted


def _edge(lines: Sequence[str], end: int) -> list[str]:
    """Return the lines at one end of a page, the outermost first; a page of few lines has no ends."""
    shown = [line for line in lines if not is_blank(line)]
    if len(shown) <= 2:
        return []
    most = min(EDGE_LINES, len(shown) // 2)
    return shown[:most] if end == 0 else shown[::-1][:most]


def _key(line: str) -> str:
    return _NUMBER.sub("0", " ".join(line.split())).casefold()


def _is_numbered(lines: Sequence[str], end: int) -> bool:
    return any(_PAGE_NUMBER.fullmatch(line.strip()) for line in _edge(lines, end)[:1])


def _trimmed(
    lines: Sequence[str], end: int, repeated: set[tuple[int, str]], *, numbered: bool
) -> tuple[list[str], int]:
    """Return a page's lines without those at one end that stand around every page, from the outermost inwards."""
    inner = 0
    for line in _edge(lines, end):
        is_number = numbered and bool(_PAGE_NUMBER.fullmatch(line.strip()))
        if not is_number and (end, _key(line)) not in repeated:
            break
        numbered = numbered and not is_number  # a page has one number at an end
        inner += 1
    left = list(lines)
    for _ in range(inner):
        while is_blank(left[end]):
            left.pop(end)
        left.pop(end)
    return left, inner


PDF = Loader(load_pdf, "PDF", parts="paragraphs", needs={"pypdf": "pdf"})
