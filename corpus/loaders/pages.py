"""HTML as Markdown, by beautifulsoup4 and markdownify: what a reader of the page reads, without its menus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from autodata.checkpoints.records import Skipped
from autodata.corpus.loaders.base import File, Loader, Raw, Reading, Unreadable, as_text, one_line
from autodata.corpus.loaders.marks import spell_out

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

LEAVE_OUT: Final = ("script", "style", "noscript", "template", "iframe", "svg", "canvas", "form", "button", "select")
"""Elements that hold no text of the page."""
AROUND: Final = ("nav", "aside", "footer")
"""Elements that stand around the text."""

NEEDS: Final = {"bs4": "docs", "lxml": "docs", "markdownify": "docs"}

_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?\s*([\w-]{2,40})", re.IGNORECASE)
_BLANK_LINES: Final = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")


def load_page(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield the text of a page: its `main` or only `article` where it has one, else its body."""
    from bs4 import BeautifulSoup  # noqa: PLC0415 - an optional extra

    html, note = _page_text(file.read(), reading)
    try:
        soup = BeautifulSoup(html, "lxml")
        if reading.spelled:
            spell_out(soup)
        text, title = _read(soup)
    except RecursionError as error:
        raise Unreadable("its elements stand too deep in one another: save it as text") from error
    yield Raw(file.name, text, title, note)


def _read(soup: BeautifulSoup) -> tuple[str, str]:
    """Return what a page says as Markdown, and its title where no heading is one."""
    title = one_line(soup.title.get_text(" ")) if soup.title else ""
    for element in soup.find_all([*LEAVE_OUT, *AROUND]):
        element.decompose()
    mains = soup.find_all("main") or soup.find_all(role="main") or soup.find_all("article")
    whole = soup.body or soup
    chosen: Any = mains[0] if len(mains) == 1 else whole
    if len(chosen.get_text(strip=True)) * 2 < len(whole.get_text(strip=True)):
        chosen = whole  # it holds the smaller part of the page: not what was meant
    if chosen.find("h1"):
        title = ""
    return markdown_of(str(chosen)), title


def _page_text(data: bytes, reading: Reading) -> tuple[str, str]:
    """Return a page as text: in the encoding that it states, unless it is Unicode or another is named."""
    stated = _CHARSET.search(data[:4096])
    if stated and not reading.encoding:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            try:
                return data.decode(stated[1].decode("ascii"), "strict"), ""
            except (LookupError, UnicodeDecodeError):
                pass  # it states what it is not
    return as_text(data, reading)


def markdown_of(html: str) -> str:
    """Return HTML as Markdown: headings, lists, tables, code; pictures by what they say of themselves."""
    from markdownify import MarkdownConverter  # noqa: PLC0415 - an optional extra

    options: dict[str, Any] = {
        "heading_style": "atx",
        "bullets": "-",
        "strip": ["img", "a"],
        "escape_asterisks": False,
        "escape_underscores": False,
        "escape_misc": False,
    }
    text: str = MarkdownConverter(**options).convert(html)
    return _BLANK_LINES.sub("\n\n", text.replace("\xa0", " ")).strip()


PAGE = Loader(load_page, "HTML", needs=NEEDS)
