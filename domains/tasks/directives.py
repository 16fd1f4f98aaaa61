"""Orders to whoever answers or marks a question, found in the texts of a candidate.

A question that tells a small model to fail widens the gap and teaches nothing (paper, section 6), and a rubric that
tells the judge to give full marks makes any answer right. A solver takes its question for what it is asked, so no fence
helps there: such a candidate goes back to the challenger. The phrases, by language, are those of `directives.txt`; a
text is read as it stands and as `checkpoints.folding.readings` lays it open. Who finds words that are not there gets
through: what holds then is that texts from outside stand in fences, and that code decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from autodata.checkpoints.folding import folded, readings

SOLVER: Final = "gives an order to whoever answers"
JUDGE: Final = "gives an order to whoever marks"
MARKUP: Final = "imitates the marks of a conversation or of a prompt"
_WHAT: Final = {"solver": SOLVER, "judge": JUDGE}
_UNBOUNDED: Final = frozenset({"zh", "ja", "ko", "hi", "ar"})
"""Languages whose words are not looked at whole: they join them, or lose parts of them in folding."""
_GAP: Final = r"[^.!?\u3002\uff01\uff1f]{0,40}?"
_MARKUP: Final = re.compile(
    r"<\|?/?(?:im_start|im_end|system|assistant|endoftext|eot_id|start_header_id|end_of_turn|start_of_turn)\b"
    r"|\[/?inst\]|<</?sys>>|</?(?:answer|criteria|candidate|reference|packet) ?>"
    r"|</?[a-z]{4,20}(?:-[a-z]{4,20})?-[0-9a-f]{6,64} ?>"
    r"|(?<![\w\s]) ?\b(?:system|assistant|developer)(?: (?:prompt|message|note|override))? ?: "
    r"|\"(?:met|correct|supported|marks|decision|accepted)\" ?: ?(?:true|false|\[|\"|1)"
)
"""In a folded text on one line."""
_SHORT: Final = 4
"""Words of fewer letters stand in most texts."""


@dataclass(frozen=True)
class Directive:
    """An order that was found: what it does, and the words that show it, folded."""

    what: str
    words: str

    def __str__(self) -> str:
        """Return it as a reason says it."""
        return f"it {self.what}: {self.words!r}"


@dataclass(frozen=True, order=True)
class _Phrase:
    number: int
    """Its place in the file, by which the first of several is named."""
    what: str
    needed: tuple[tuple[str, ...], ...]
    """Of each group one must stand in a text: quick to see, and most texts have none."""
    regex: re.Pattern[str]


def directives(texts: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a candidate's texts, by name, each name once; empty for texts without orders."""
    found = []
    for name, text in texts.items():
        if order := order_in(text):
            found.append(f"the {name} speaks to a model, not of the subject: {order}")
    return found


@lru_cache(maxsize=512)  # a candidate is looked at by the challenger's node, the quality verifier's and at the end
def order_in(text: str) -> Directive | None:
    """Return the first order in a text, or None."""
    for reading in readings(text):
        lined = f". {reading} "
        if match := _MARKUP.search(lined):
            return Directive(MARKUP, match[0].strip(" ."))
        for phrase in sorted(_possible(lined)):
            if match := phrase.regex.search(lined):
                return Directive(phrase.what, match[0].strip(" .,;:"))
    return None


def _possible(lined: str) -> set[_Phrase]:
    """Return the phrases of which every needed group has a word in a text."""
    plain, others = _by_word()
    return {
        phrase
        for table in ((plain,) if lined.isascii() else (plain, others))
        for word, phrases in table.items()
        if word in lined
        for phrase in phrases
        if all(any(word in lined for word in words) for words in phrase.needed)
    }


@cache
def _by_word() -> tuple[Mapping[str, Sequence[_Phrase]], Mapping[str, Sequence[_Phrase]]]:
    """Return the phrases by each word of one of their groups, the quickest to rule out: words of ASCII, then others."""

    def effort(words: Sequence[str]) -> tuple[bool, int, int]:
        shortest = min(map(len, words))
        return shortest < _SHORT, len(words), -shortest

    found: tuple[dict[str, list[_Phrase]], ...] = ({}, {})
    for phrase in _phrases():
        for word in min(phrase.needed, key=effort, default=("",)):
            found[not word.isascii()].setdefault(word, []).append(phrase)
    return found[0], found[1]


@cache
def _phrases() -> Sequence[_Phrase]:
    found: list[_Phrase] = []
    what, language = "", ""
    for line in Path(__file__).with_name("directives.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            who, language = line.strip("[]").split()
            what = _WHAT[who]
        elif line.strip() and not line.startswith("#"):
            found.append(_phrase(len(found), what, line, bounded=language not in _UNBOUNDED))
    return tuple(found)


def _phrase(number: int, what: str, line: str, *, bounded: bool) -> _Phrase:
    """Read a phrase: `...` is a gap, `(a|b)` a choice, and what stands before `?` may be missing."""
    pieces = [_piece(part) for part in line.strip().split(" ... ")]
    end = r"(?!\w)" if bounded else ""
    text = "".join(f"{regex}{end}{_GAP}" for regex, _ in pieces[:-1]) + pieces[-1][0]
    edge = r"(?:(?<!\w)|(?=\W))" if bounded else ""
    return _Phrase(number, what, tuple(words for _, groups in pieces for words in groups), re.compile(edge + text))


def _piece(part: str) -> tuple[str, list[tuple[str, ...]]]:
    """Return a part between gaps as a regular expression, and groups of words: of each one must stand in a text."""
    tokens = re.findall(r"\([^()]*\)\??|[^()]\?|[^()]", part)
    regex = "".join(_token(token) for token in tokens)
    groups = [token.strip("()").split("|") for token in tokens if token.startswith("(") and not token.endswith("?")]
    groups.append([re.sub(r"\([^()]*\)\??", " ", part)])
    needed = [tuple(folded(max(re.split(r".\?| ", choice), key=len)) for choice in group) for group in groups]
    return regex, [words for words in needed if all(words)]


def _token(token: str) -> str:
    optional = "?" if token.endswith("?") and len(token) > 1 else ""
    body = token.removesuffix("?") if optional else token
    if body.startswith("("):
        inner = "|".join("".join(_letters(choice)) for choice in body[1:-1].split("|"))
        return f"(?:{inner}){optional}"
    return "".join(_letters(body)) + optional


def _letters(text: str) -> Iterator[str]:
    """Yield the folded letters of a text, escaped; a space may be missing where letters were set apart."""
    for part in re.findall(r".\?|.", text):
        mark = "?" if len(part) == 2 else ""
        letters = folded(part[0])
        if letters == " ":
            yield " ?"
        elif mark and len(letters) > 1:
            yield f"(?:{re.escape(letters)})?"
        else:
            yield re.escape(letters) + mark
