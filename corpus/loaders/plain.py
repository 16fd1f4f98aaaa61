"""Formats that are text as they are: plain text, Markdown, code; reStructuredText and LaTeX get Markdown's headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from autodata.checkpoints.records import Skipped
from autodata.corpus.loaders.base import File, Loader, Raw, Reading, one_line
from autodata.corpus.loaders.tex import without_comments

CODE_SUFFIXES: Final = (
    *("py", "js", "ts", "jsx", "tsx", "java", "kt", "scala", "c", "h", "cc", "cpp", "hpp", "cs", "go", "rs", "rb"),
    *("php", "swift", "r", "jl", "lua", "pl", "sh", "sql", "hs", "ml", "ex", "erl", "clj", "f90", "m"),
)


def load_text(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield a text as it is."""
    text, note = file.text(reading)
    yield Raw(file.name, text, note=note)


_STATED: Final = re.compile(r"\A---[ \t]*\n(?:(?!---)[^\n]*\n){0,50}?title:[ \t]*([^\n]+)\n")


def load_markdown(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield Markdown as it is; its title is what its front matter states, where it has some."""
    text, note = file.text(reading)
    stated = _STATED.match(text.replace("\r\n", "\n")) if reading.spelled else None
    yield Raw(file.name, text, stated[1].strip().strip("\"'") if stated else "", note=note)


def load_code(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield a source file as it is; its title is the file's name, for a `#` begins a comment there."""
    text, note = file.text(reading)
    yield Raw(file.name, text, file.name.rpartition("/")[2], note, layout="code")


_ADORNED: Final = re.compile(
    r"^(?:(?P<over>([=\-~^\"'`#*+.:_<>])\2{2,})[ \t]*\n)?(?P<title>[^\s\n][^\n]*|[ ]+[^\s\n][^\n]*)\n"
    r"(?P<under>([=\-~^\"'`#*+.:_<>])\5{2,})[ \t]*$",
    re.MULTILINE,
)


def rst_headings(text: str) -> str:
    """Return reStructuredText with its titles as Markdown headings; levels go by the order of their adornments."""
    levels: list[tuple[str, bool]] = []

    def heading(match: re.Match[str]) -> str:
        title, under, over = match["title"].strip(), match["under"], match["over"]
        if len(under) < len(title) or (over and over != under):
            return match[0]  # a rule of a table, or a line between two paragraphs
        kind = (under[0], bool(over))
        if kind not in levels:
            levels.append(kind)
        return f"{'#' * min(6, levels.index(kind) + 1)} {title}"

    return _ADORNED.sub(heading, text)


def load_rst(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield reStructuredText with its titles as Markdown has them."""
    text, note = file.text(reading)
    text = text.replace("\r\n", "\n")
    included = _includes(_RST_INPUT.findall(text)) if reading.spelled else ""
    yield Raw(file.name, rst_headings(text), note="; ".join(filter(None, (note, included))))


_RST_INPUT: Final = re.compile(r"^[ \t]*\.\. (?:literal)?include::[ \t]*(\S[^\n]{0,300})$", re.MULTILINE)


def _includes(names: Sequence[str]) -> str:
    """Return the note on files that a text includes; empty where it includes none."""
    included = list(dict.fromkeys(map(one_line, names)))
    return f"the files that it includes are not read with it: {', '.join(included[:5])}" if included else ""


_COMMENT: Final = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
_BODY: Final = re.compile(r"\\begin\{document\}(.*?)(?:\\end\{document\}|\Z)", re.DOTALL)
_TITLE: Final = re.compile(r"\\title(?:\[[^\]\n]{0,300}\])?\{")
_SECTION: Final = re.compile(
    r"\\(?P<kind>part|chapter|section|subsection|subsubsection|paragraph)\*?(?:\[[^\]\n]{0,300}\])?\{"
)
_DEPTH: Final = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}
_COMMAND: Final = re.compile(r"\\(?:\\|[A-Za-z]+\*?)|[{}~]")
_INPUT: Final = re.compile(r"\\(?:input|include|subfile)\{([^}\n]{0,300})\}")
_MOST_BRACED: Final = 2_000
"""Longest title of a section, in characters; what is longer is no title but a brace that is never closed."""


def _braced(text: str, start: int) -> int:
    """Return where the brace that was opened before `start` is closed; -1 when it is not, or far away."""
    depth = 1
    for place in range(start, min(len(text), start + _MOST_BRACED)):
        if text[place] == "\\":
            continue
        if text[place] in "{}" and text[place - 1] != "\\":
            depth += 1 if text[place] == "{" else -1
            if not depth:
                return place
    return -1


def tex_text(text: str, *, verbatim: bool = True) -> tuple[str, str, str]:
    """Return LaTeX without comments and preamble, sections as Markdown headings; its title; and a note.

    Formulas stay as they are: models read them. Without `verbatim`, a `%` begins a comment even in code and addresses.
    Files that it includes are not followed, and the note names them.
    """
    text = text.replace("\r\n", "\n")
    text = without_comments(text) if verbatim else _COMMENT.sub(r"\1", text)
    title = ""
    if (found := _TITLE.search(text)) and (end := _braced(text, found.end())) >= 0:
        title = one_line(_COMMAND.sub(" ", text[found.end() : end]))
        title = re.sub(r"\\([%&#_$])", r"\1", title) if verbatim else title
    if body := _BODY.search(text):
        text = body[1]
    parts, place = [], 0
    for match in _SECTION.finditer(text):
        end = _braced(text, match.end())
        if match.start() < place or end < 0:
            continue
        name = one_line(text[match.end() : end])
        parts += [text[place : match.start()], f"\n\n{'#' * _DEPTH[match['kind']]} {name}\n\n"]
        place = end + 1
    text = "".join([*parts, text[place:]]).replace("\\maketitle", "")
    return re.sub(r"\n{3,}", "\n\n", text), title, _includes(_INPUT.findall(text))


def load_tex(file: File, reading: Reading) -> Iterator[Raw | Skipped]:
    """Yield the body of a LaTeX file."""
    text, guessed = file.text(reading)
    body, title, note = tex_text(text, verbatim=reading.spelled)
    yield Raw(file.name, body, title, "; ".join(filter(None, (guessed, note))))


TEXT = Loader(load_text, "plain text", parts="paragraphs")
MARKDOWN = Loader(load_markdown, "Markdown")
RST = Loader(load_rst, "reStructuredText")
TEX = Loader(load_tex, "LaTeX")
CODE = Loader(load_code, "code", parts="definitions")
