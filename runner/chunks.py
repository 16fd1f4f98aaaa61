"""Long documents in parts: at their own headings, or at a program's definitions, and never without a word.

A document that fits is one part, itself. Parts of another are documents of their own, `ID#1`, `ID#2` and so on: the
id before the sign is the whole document's, so whatever must treat the parts of a document alike goes by `whole_id`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from autodata.checkpoints.ids import PART, normalise_text, part_note
from autodata.checkpoints.records import Document
from autodata.checkpoints.texts import cut_position

PLAIN: Final = 9
"""The level of a place between two paragraphs: below that of every heading."""
_ROW: Final = 10
_INSIDE: Final = 11
"""The levels of places within a paragraph: before a row or an item, and before any line of code."""
HEAD_SHARE: Final = 4
"""What stands above a part, its title and headings, takes at most this part of the room."""
LEAST_SHARE: Final = 3
"""A part takes at least this part of the room, unless what follows is too long for any."""

_HEADING: Final = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_FENCE: Final = re.compile(r"[ \t]*(?:```|~~~)")
_ITEM: Final = re.compile(r"[ \t]*(?:[-*+|]|\d{1,3}[.)])(?:[ \t]|$)")
_OPENS: Final = re.compile(
    r"(?:export\s+|public\s+|private\s+|static\s+|final\s+|abstract\s+|async\s+|default\s+|pub\s+)*"
    r"(?:class|struct|interface|trait|impl|enum|module|namespace|object|def|fn|func|function)\b"
)


class _Block(NamedTuple):
    """Lines that belong together, and how good a place before them is to part: 1 is the best."""

    start: int
    level: int
    heading: str = ""


@dataclass(frozen=True)
class Parts:
    """A document in parts, and what of it was left out for want of room in their number."""

    parts: tuple[Document, ...]
    left_out: int = 0
    """Parts that were left out, behind those that are there."""
    left_out_chars: int = 0


def chunked(document: Document, max_chars: int, most: int | None = None) -> Parts:
    """Return a document in parts of at most `max_chars` characters, the first `most` of them.

    Each part but the first begins with the title and the headings above it. The notes of parts say which they are, and
    the last one's what was left out. The same document gives the same parts. `max_chars` is at least 1.
    """
    if len(document.text) <= max_chars:
        return Parts((document,))
    blocks = _code_blocks(document.text) if document.layout == "code" else _prose_blocks(document.text)
    texts = list(_parted(document, blocks, max_chars))
    kept = texts[:most]
    count, chars = len(texts), len(document.text)
    out = sum(map(len, texts[len(kept) :]))
    parts = []
    for number, text in enumerate(kept, 1):
        notes = [document.note] if document.note and number == 1 else []
        notes.append(part_note(number, count, chars))
        if number == len(kept) < count:
            notes.append(f"the {count - number:,} parts behind it, {out:,} characters, left out (documents.max_chunks)")
        changed = {
            "document_id": f"{document.document_id}{PART}{number}",
            "name": f"{document.name}{PART}{number}",
            "title": f"{document.title} (part {number:,} of {count:,})",
            "text": text,
            "note": "; ".join(notes),
        }
        parts.append(document.model_copy(update=changed))
    return Parts(tuple(parts), count - len(kept), out)


def _prose_blocks(text: str) -> list[_Block]:
    """Return the headings and paragraphs of a text; within them, as worse places, rows, items and lines of code."""
    blocks: list[_Block] = []
    place, fence, blank = 0, "", True
    for line in text.split("\n"):
        heading = None if fence else _HEADING.fullmatch(line)
        if heading:
            blocks.append(_Block(place, len(heading[1]), line))
        elif line.strip():
            level = _INSIDE if fence else PLAIN if blank else _ROW if _ITEM.match(line) else 0
            if level:
                blocks.append(_Block(place, level))
        if found := _FENCE.match(line):
            mark = found[0].strip()
            fence = "" if mark == fence else fence or mark
        blank = not fence and (not line.strip() or bool(heading))
        place += len(line) + 1
    return blocks


def _code_blocks(text: str) -> list[_Block]:
    """Return the lines of a program; the best are at its margin behind a blank line, where definitions begin."""
    blocks: list[_Block] = []
    place, blank = 0, True
    for line in text.split("\n"):
        if code := line.lstrip():
            opens = code[0].isalpha() and _OPENS.match(line) is not None
            if blank and code[0] not in ")]}":
                indent = len(line) - len(code)
                level = min(PLAIN, 2 + indent) if indent else 1
            else:
                level = 2 if opens else _INSIDE
            blocks.append(_Block(place, level, line if opens else ""))
        blank = not code
        place += len(line) + 1
    return blocks


def _parted(document: Document, blocks: Sequence[_Block], max_chars: int) -> Iterator[str]:
    """Yield the texts of a document's parts, what stands above them included."""
    text, starts = document.text, [block.start for block in blocks]
    path: list[_Block] = []
    start, reached = 0, 0
    while start < len(text):
        while reached < len(blocks) and blocks[reached].start < start:
            if path or blocks[reached].heading:
                path = _under(path, blocks[reached])
            reached += 1
        here = [block for block in blocks[reached : reached + 1] if block.start == start]
        above = [block for block in path if not here or block.level < here[0].level]
        head = "" if start == 0 else _head(document, above, max_chars // HEAD_SHARE)
        end = _end(text, blocks, starts, start, max_chars - len(head))
        yield normalise_text(head + text[start:end].rstrip())
        start = _next(text, end)


def _under(path: Sequence[_Block], block: _Block) -> list[_Block]:
    """Return the headings, or openings of definitions, that what follows a block is under."""
    above = [one for one in path if one.level < block.level]
    return [*above, block] if block.heading else above


def _next(text: str, end: int) -> int:
    """Return where the text goes on behind a part; the indentation of a line stays."""
    if end < len(text) and text[end - 1] != "\n" and text[end] == " ":
        end += 1
    while end < len(text) and text[end] == "\n":
        end += 1
    return end


def _end(text: str, blocks: Sequence[_Block], starts: Sequence[int], start: int, room: int) -> int:
    """Return where a part that begins at `start` ends: at the best place of those that leave parts of like lengths."""
    left = len(text) - start
    if left <= room:
        return len(text)
    wanted = start + left / -(-left // room)
    least, most = start + room // LEAST_SHARE, start + room
    first, last = bisect_right(starts, least), bisect_right(starts, most + 1)
    between = blocks[first:last]
    if not between:
        return start + cut_position(text[start : most + 2], room)
    best = min(between, key=lambda block: (block.level, abs(block.start - wanted), block.start))
    return best.start


def _head(document: Document, path: Sequence[_Block], room: int) -> str:
    """Return what stands above a part: the document's title and the headings it is under; of many the nearest ones."""
    lines = [block.heading for block in path]
    if document.layout == "code":
        lines, separator = [document.title, *lines], "\n"
    else:
        separator = "\n\n"
        if not lines or lines[0].strip("# \t") != document.title:
            lines = [f"# {document.title}", *lines]
    while len(lines) > 1 and len(separator.join(lines)) + 2 > room:
        del lines[1]
    head = separator.join(lines)
    return f"{head}\n\n" if len(head) + 2 <= room else ""
