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


@dataclass(frozen=True)
class Directive:
    """An order that was found: what it does, and the words that show it, folded."""

    what: str
    words: str

    def __str__(self) -> str:
        """Return it as a reason says it."""
        return f"it {self.what}: {self.words!r}"


@dataclass(frozen=True)
class _Phrase:
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
        for phrase in _phrases():
            if all(any(word in lined for word in words) for words in phrase.needed) and (
                match := phrase.regex.search(lined)
            ):
                return Directive(phrase.what, match[0].strip(" .,;:"))
    return None


@cache
def _phrases() -> Sequence[_Phrase]:
    found, what, language = [], "", ""
    for line in Path(__file__).with_name("directives.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            who, language = line.strip("[]").split()
            what = _WHAT[who]
        elif line.strip() and not line.startswith("#"):
            found.append(_phrase(what, line, bounded=language not in _UNBOUNDED))
    return tuple(found)


def _phrase(what: str, line: str, *, bounded: bool) -> _Phrase:
    """Read a phrase: `...` is a gap, `(a|b)` a choice, and what stands before `?` may be missing."""
    pieces = [_piece(part) for part in line.strip().split(" ... ")]
    end = r"(?!\w)" if bounded else ""
    text = "".join(f"{regex}{end}{_GAP}" for regex, _ in pieces[:-1]) + pieces[-1][0]
    edge = r"(?:(?<!\w)|(?=\W))" if bounded else ""
    return _Phrase(what, tuple(words for _, words in pieces if words), re.compile(edge + text))


def _piece(part: str) -> tuple[str, tuple[str, ...]]:
    """Return a part between gaps as a regular expression, and the words of which one must stand in a text."""
    tokens = re.findall(r"\([^()]*\)\??|[^()]\?|[^()]", part)
    regex = "".join(_token(token) for token in tokens)
    choices = [token for token in tokens if token.startswith("(") and not token.endswith("?")]
    if not choices:
        bare = re.sub(r"\([^()]*\)\??", " ", part)
        plain = max(re.split(r".\?| ", bare), key=len)
        return regex, (folded(plain),) if plain else ()
    words = tuple(folded(max(re.split(r".\?", choice), key=len)) for choice in choices[-1].strip("()").split("|"))
    return regex, words if all(words) else ()


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
