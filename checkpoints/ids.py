"""The ids of what a run makes: each is made of the content it names, so the same content has the same id anywhere.

A document's is made of its text, a candidate's of its JSON, a round's and an attempt's of what they belong to.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_json(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, non-ASCII kept."""
    return _CANONICAL.encode(value)


def joined_json(parts: Mapping[str, str]) -> str:
    """Return the canonical JSON of an object whose values are given as canonical JSON, by their keys."""
    return "{" + ",".join(f"{canonical_json(name)}:{parts[name]}" for name in sorted(parts)) + "}"


def digest(value: object, length: int = 16) -> str:
    """Return the first `length` hex digits of the SHA-256 of a value's canonical JSON."""
    return digest_of_json(canonical_json(value), length)


def digest_of_json(text: str, length: int = 16) -> str:
    """Return the first `length` hex digits of the SHA-256 of a canonical JSON text."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def normalise_text(text: str) -> str:
    """Return text in NFC with unix newlines, no trailing blanks on lines and no blank ends."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    if " \n" not in text and "\t\n" not in text:  # most texts: there may be many lines
        return text.strip()
    return "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip()


def document_id(text: str) -> str:
    """Return the id of a document: 16 hex digits of the SHA-256 of its normalised text."""
    return hashlib.sha256(normalise_text(text).encode()).hexdigest()[:16]


PART = "#"
"""What stands between the id of a whole document and the number of one of its parts."""


def whole_id(of_document: str) -> str:
    """Return the id of the whole document that a document is a part of; its own when it is whole."""
    return of_document.partition(PART)[0]


_NUMBER_OF_PART = re.compile(rf"{PART}\d+$")
_OF_A_DOCUMENT = " of a document of"
_NOTE_OF_PART = re.compile(rf"(?:^|; )part ([\d,]+) of ([\d,]+){_OF_A_DOCUMENT} ")


def whole_name(of_document: str) -> str:
    """Return a document's name without the number of a part of it."""
    return _NUMBER_OF_PART.sub("", of_document)


def part_note(number: int, count: int, chars: int) -> str:
    """Return the note of part `number`, from 1, of a document of `chars` characters that was taken in `count` parts."""
    return f"part {number:,} of {count:,}{_OF_A_DOCUMENT} {chars:,} characters"


def part_of(of_document: str, note: str) -> tuple[int, int] | None:
    """Return which part of its document a document is, from 1, and of how many; None for a whole one.

    `note` is the one of `part_note`, other remarks before or behind it.
    """
    found = _NOTE_OF_PART.search(note) if PART in of_document else None
    return (_count(found[1]), _count(found[2])) if found else None


def _count(shown: str) -> int:
    return int(shown.replace(",", ""))


def round_id(thread_id: str, n: int, candidate_id: str) -> str:
    """Return the id of round `n` (1-based) of a thread with its candidate."""
    return f"{thread_id}/{n}/{candidate_id}"


def attempt_id(of_round: str, stage: str, index: int) -> str:
    """Return the id of the attempt `index` (0-based) of a solver within a round."""
    return f"{of_round}/{stage}/{index}"
