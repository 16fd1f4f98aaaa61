"""Reasoning that models write before their answer, in the marks of many dialects, is taken away.

The marks are data: what is new in the field is a word more in a table here.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from autodata.models.scan import Unusable, values_in

MAX_MARKS: Final = 4000
"""A reply with more marks of reasoning than this is a model that repeats itself: it holds no answer."""

_REASONING: Final = frozenset(
    """think thinking thinks thought thoughts thought_process thinking_process think_process thinking_budget reasoning
    reasoning_process reasoning_content reason reflection reflect reflecting rethink self_reflection analysis
    analyzing analysing deliberation deliberate scratchpad scratch_pad scratch inner_monologue internal_monologue
    monologue inner_thought inner_thoughts internal_thought internal_thoughts internal_reasoning
    antthinking ant_thinking longcat_think cot chain_of_thought chainofthought cot_budget_reflect planning rationale
    brainstorm brainstorming contemplation contemplator musing unused16""".split()
)
"""Names of tags around reasoning: `<think>`, `[THINK]`, `◁think▷`, `<|begin_of_thought|>`, `<|START_THINKING|>`."""
_ANSWER: Final = frozenset("answer final_answer finalanswer final solution response output conclusion".split())
"""Names of tags around an answer; they are taken off where nothing else is left."""
_SQUARE: Final = frozenset({"think", "thinking", "thought", "thoughts", "reasoning", "reflection", "analysis"})
"""Names that count in square brackets, which are common in prose."""
_PAIRED: Final = {
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|channel>thought": "<channel|>",
    "[unused16]": "[unused17]",
    "<unused94>thought": "<unused95>",
    "Here is my thought process:": "Here is my response:",
    "Here's my thought process:": "Here's my response:",
    "<|im_start|>think": "<|im_start|>answer",
}
"""Marks whose end has a name of its own."""
_END: Final = re.compile(
    r"(?:<[|\uff5c](?:im_end|end|return|eot_id|eom_id|endoftext|end[_▁]of[_▁](?:text|turn|sentence|box)|END_OF_TURN_TOKEN"
    r"|END_RESPONSE|END_OF_TEXT)[|\uff5c]>|</s>|<end_of_turn>|\[e~\[)\Z"
)
"""A mark at the very end of a reply that a server should have kept to itself; at most 40 characters."""
_BLANK: Final = " \t\r\n\ufeff"
_HEADER: Final = re.compile(
    r"(?:<\|start\|>[^<>|\n]{0,40})?<\|channel\|>[ \t]*(?P<name>\w{1,30})[^<>|]{0,80}"
    r"(?:<\|constrain\|>[^<>|]{0,40})?<\|message\|>"
)
_HEADER_END: Final = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_BARE_FINAL: Final = re.compile(r"assistant\s?final(?:\s?json(?=\s*[{\[]))?")
_BARE_ANALYSIS: Final = re.compile(r"(?:assistant)?(?:analysis|commentary)(?=[A-Z][a-z]*[ ,'\u2019.])")


def _either(words: Iterable[str]) -> str:
    return "|".join(re.escape(word).replace(r"\ ", "[ ]") for word in words)


_MARK: Final = re.compile(
    r"""(?P<fence>^[ ]{0,3}(?P<ticks>`{3,}|~{3,})(?P<info>[^\n`]*)$)
    | (?P<code>(?P<tick>`{1,2})(?!`)[^`\n]++(?P=tick))
    | (?P<quoted>(?<![\w.,!?)\]}>])"(?=[\w<◁\[ ])[^"\n]{1,400}"(?!\w))
    | (?P<pair_open>PAIR_OPEN)
    | (?P<pair_shut>PAIR_SHUT)
    | (?:<|&lt;)(?P<shut>\s?/)?\s?(?P<tag>[A-Za-z][\w:.-]{0,39})(?P<more>\s[^<>]{0,300}?)?(?P<alone>/)?\s?(?:>|&gt;)
    | <[|\uff5c](?P<bar_shut>/)?(?P<bar>[A-Za-z][\w\u2581-]{0,39})[|\uff5c]>
    | \[(?P<square_shut>/)?(?P<square>[A-Za-z][\w ]{0,29})\](?![(\[:])
    | [◁【«](?P<odd_shut>/)?(?P<odd>[A-Za-z][\w ]{0,29})[▷】»]""".replace("PAIR_OPEN", _either(_PAIRED)).replace(
        "PAIR_SHUT", _either(_PAIRED.values())
    ),
    re.VERBOSE | re.MULTILINE,
)
_FOLDED: Final = re.compile(r"reason|think|thought", re.IGNORECASE)
_FENCED: Final = re.compile(r"(?P<ticks>`{3,}|~{3,})[ \t]*(?P<name>\w+)[ \t]*\n.*?^(?P=ticks)[ \t]*$", re.DOTALL | re.M)
"""A code fence that is named after reasoning, at the start of a reply."""
_OPENS: Final = re.compile(r"^(?:begin|start)(?:_of)?_|_(?:begin|start)$")
_SHUTS: Final = re.compile(r"^end(?:_of)?_|_end$")


@dataclass(frozen=True)
class _Mark:
    """A mark of reasoning (or, `answer`, around an answer) in a text."""

    start: int
    end: int
    name: str
    kind: str
    """`open`, `shut` or `alone` (a tag that opens and shuts itself)."""
    answer: bool = False
    quoted: bool = False
    starts_line: bool = False
    ends_line: bool = False


def strip_reasoning(text: str) -> str:
    """Return a reply without its blocks of reasoning, and without blank ends.

    A block counts when its opening mark starts a line. A reply that begins inside a block loses all up to the closing
    mark; one that begins with a block that never closes is all reasoning, so nothing is left. Marks that the answer
    only mentions (inside a JSON value, in quotes, backticks or code, in the middle of a line) stay. Where a reply has
    channels (`<|channel|>final<|message|>`), the last final one is the answer.

    Where a reply begins with a block, and a closing mark comes again with a text before it, nobody can say whether the
    reasoning or the answer mentions it: nothing is left, unless all JSON of the rest stands behind the last such mark.
    """
    text = _without_end(text)
    if (fenced := _FENCED.match(text)) and fenced["name"].lower() in _REASONING:
        text = text[fenced.end() :].strip()
    literal = _Literal(text)
    final = _final_channel(text, literal)
    if final is not None:
        text, literal = final, _Literal(final)
    marks = _marks(text, literal)
    if len(marks) > MAX_MARKS:
        return ""
    reader = _read_blocks(text, [mark for mark in marks if not mark.answer])
    blocks = reader.done()
    if reader.unclear is not None:
        since, end = reader.unclear
        if literal.first_from(since) < end or literal.first_from(end) == len(text):
            return ""
        return text[end:].strip()
    return _without_wrapper(_without(text, blocks))


class _Literal:
    """The stretches of a text that are JSON values: what stands in them is only mentioned. Looked for when needed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans: tuple[list[int], list[int]] | None = None

    def _found(self) -> tuple[list[int], list[int]]:
        if self._spans is None:
            try:
                values = [item for item in values_in(self._text)[0] if item.error is None]
            except Unusable:
                values = []
            self._spans = [item.start for item in values], [item.end for item in values]
        return self._spans

    def first_from(self, place: int) -> int:
        """Return where the first value from a place on begins; the text's length where there is none."""
        starts, _ = self._found()
        at = bisect_left(starts, place)
        return starts[at] if at < len(starts) else len(self._text)

    def __contains__(self, place: int) -> bool:
        starts, ends = self._found()
        before = bisect_right(starts, place) - 1
        return before >= 0 and place < ends[before]


def _final_channel(text: str, literal: _Literal) -> str | None:
    """Return the answer of a reply in channels, nothing when none is final; None for a reply without channels."""
    headers = [
        header for header in _HEADER.finditer(text) if not _mentioned(text, header) and header.start() not in literal
    ]
    if headers:
        finals = [header for header in headers if header["name"] == "final"]
        if not finals:
            return ""
        start = finals[-1].end()
        end = _HEADER_END.search(text, start)
        return text[start : end.start() if end else len(text)].strip()
    bare = [
        final for final in _BARE_FINAL.finditer(text) if not _mentioned(text, final) and final.start() not in literal
    ]
    if bare and (_BARE_ANALYSIS.match(text) or text[bare[-1].end() :][:1].strip() or bare[-1].start() == 0):
        return text[bare[-1].end() :].strip()
    return "" if _BARE_ANALYSIS.match(text) else None


def _without_end(text: str) -> str:
    """Return a text without blank ends and without the marks of a server at its end."""
    text = text.strip().strip(_BLANK).strip()
    end = len(text)
    while match := _END.search(text, max(0, end - 40), end):
        end = match.start()
        while end and text[end - 1] in _BLANK:
            end -= 1
    return text[:end]


def _mentioned(text: str, match: re.Match[str]) -> bool:
    around = text[max(0, match.start() - 1) : match.start()], text[match.end() : match.end() + 1]
    return around in {("`", "`"), ('"', '"'), ("'", "'"), ("“", "”")}


def _marks(text: str, literal: _Literal) -> list[_Mark]:
    """Return the marks of a text in order, without those in JSON values; those in quotes or code are `quoted`."""
    found: list[_Mark] = []
    fences: list[re.Match[str]] = []
    for match in _MARK.finditer(text):
        if match["fence"] is not None:
            fences.append(match)
        elif match["code"] is not None or match["quoted"] is not None:
            inner = match.start() + 1
            while (within := _MARK.search(text, inner, match.end() - 1)) is not None:
                inner = within.end()
                if within["fence"] is None and within["code"] is None and (mark := _read(text, within, quoted=True)):
                    found.append(mark)
        elif mark := _read(text, match):
            found.append(mark)
        if len(found) > MAX_MARKS or len(fences) > MAX_MARKS:
            break
    shut = {mark.name for mark in found if mark.kind == "shut"} | {"think", "thinking"}
    found = [
        mark
        for mark in found
        if mark.start not in literal and (text[mark.start] != "[" or mark.name in shut or mark.name in _PAIRED)
    ]
    return _in_code(found, _code(fences))


def _read(text: str, match: re.Match[str], *, quoted: bool = False) -> _Mark | None:
    """Return the mark that a match is; None for a tag of another name."""
    if match["pair_open"] or match["pair_shut"]:
        pair = match["pair_open"] or next(a for a, b in _PAIRED.items() if b == match["pair_shut"])
        name, kind = pair, "open" if match["pair_open"] else "shut"
    else:
        raw = match["tag"] or match["bar"] or match["square"] or match["odd"] or ""
        name = re.sub(r"[\s▁-]+", "_", raw.strip()).lower().rpartition(":")[2]
        shut = match["shut"] or match["bar_shut"] or match["square_shut"] or match["odd_shut"]
        kind = "shut" if shut else "alone" if match["alone"] else "open"
        if (bare := _OPENS.sub("", name, count=1)) != name:
            name = bare
        elif not shut and (bare := _SHUTS.sub("", name, count=1)) != name:
            name, kind = bare, "shut"
        known = _SQUARE if match["square"] or match["odd"] else _REASONING | _ANSWER
        folded = name == "details" and (kind == "shut" or _FOLDED.search(match["more"] or ""))
        if name not in known and not folded:
            return None
    start, end = match.span()
    return _Mark(
        start,
        end,
        name,
        kind,
        answer=name in _ANSWER,
        quoted=quoted or _mentioned(text, match),
        starts_line=_blank_before(text, start),
        ends_line=_blank_after(text, end),
    )


def _blank_before(text: str, place: int, since: int = 0, blank: str = " \t>*_") -> bool:
    """Whether nothing but blanks stands between a place and the start of its line, or `since`."""
    while place > since and text[place - 1] in blank:
        place -= 1
    return place <= since or text[place - 1] == "\n"


def _blank_after(text: str, place: int) -> bool:
    while place < len(text) and text[place] in " \t*_":
        place += 1
    return place == len(text) or text[place] == "\n"


def _code(fences: list[re.Match[str]]) -> list[tuple[int, int]]:
    """Return the stretches between code fences that close. A fence with a language begins anew."""
    spans: list[tuple[int, int]] = []
    opened: re.Match[str] | None = None
    for fence in fences:
        ticks = fence["ticks"]
        if opened is None or (ticks[0] == opened["ticks"][0] and fence["info"].strip()):
            opened = fence
        elif ticks[0] == opened["ticks"][0] and len(ticks) >= len(opened["ticks"]):
            spans.append((opened.end(), fence.start()))
            opened = None
    return spans


def _in_code(marks: list[_Mark], spans: list[tuple[int, int]]) -> list[_Mark]:
    """Return the marks, those in code being quoted, save for one that closes what was not opened in that code."""
    starts = [start for start, _ in spans]
    opened: Counter[int] = Counter()
    found = []
    for mark in marks:
        place, quoted = bisect_right(starts, mark.start) - 1, mark
        if place >= 0 and mark.start < spans[place][1]:
            opened[place] += {"open": 1, "shut": -1}.get(mark.kind, 0)
            if opened[place] >= 0 or not mark.starts_line:
                quoted = replace(mark, quoted=True)
            opened[place] = max(0, opened[place])
        found.append(quoted)
    return found


def _read_blocks(text: str, marks: list[_Mark]) -> _Blocks:
    """Follow the marks of a text, in order."""
    reader = _Blocks(text, begins_with_block=bool(marks) and marks[0].start == 0 and marks[0].kind != "shut")
    for mark in marks:
        if mark.quoted:
            reader.quoted(mark)
        elif mark.kind == "alone":
            reader.alone(mark)
        elif mark.kind == "open":
            reader.open(mark)
        elif reader.stack:
            reader.shut(mark)
        else:
            reader.shut_unopened(mark)
    return reader


class _Blocks:
    """Follows the marks of a text, and holds the blocks that they make so far."""

    def __init__(self, text: str, *, begins_with_block: bool) -> None:
        self.stack: list[_Mark] = []
        """The marks of the present block that were opened and not yet shut; the first began it."""
        self.unclear: tuple[int, int] | None = None
        """Where the last block ended before closing marks that came again behind a text, and the end of the last."""
        self._text, self._begins_with_block = text, begins_with_block
        self._blocks: list[tuple[int, int]] = []
        self._names: Counter[str] = Counter()
        self._mentions = self._last_shut = self._quoted_shut = 0

    def quoted(self, mark: _Mark) -> None:
        if self.stack and mark.kind == "shut":
            self._quoted_shut = mark.end

    def alone(self, mark: _Mark) -> None:
        if self._starts_line(mark) and not self.stack:
            self._blocks.append((mark.start, mark.end))

    def open(self, mark: _Mark) -> None:
        if self.stack or self._starts_line(mark):
            self.stack.append(mark)
            self._names[mark.name] += 1
        else:
            self._mentions += 1

    def shut(self, mark: _Mark) -> None:
        """Shut what was opened under the same name, and what was opened inside it: that was only mentioned."""
        first, self._last_shut = self.stack[0], mark.end
        while self.stack:
            name = self.stack.pop().name
            self._names[name] -= 1
            if name == mark.name or not self._names[mark.name]:
                break
        if not self.stack:
            self._blocks.append((first.start, mark.end))

    def shut_unopened(self, mark: _Mark) -> None:
        """Take all before a mark for reasoning that began before the reply, unless the mark is only mentioned."""
        if (self._mentions and not self._starts_line(mark)) or mark.name == "details" or mark.name.startswith("Here"):
            self._mentions = max(0, self._mentions - 1)
        elif not self._begins_with_block:
            self._blocks, self._mentions = [(0, mark.end)], 0
        elif _blank_before(self._text, mark.start, self._end, _BLANK):
            self._blocks.append((mark.start, mark.end))  # shut twice
        else:
            self.unclear = (self.unclear[0] if self.unclear else self._end), mark.end

    def done(self) -> list[tuple[int, int]]:
        """Return the blocks. One that never shut ends with the last mark that shut another, else with the text.

        After an answer it counts only where its mark has a line of its own.
        """
        if self.stack:
            first = self.stack[0]
            end = max(self._last_shut, self._quoted_shut)
            if end > first.start:
                self._blocks.append((first.start, end))
            elif first.ends_line or not _without(self._text[: first.start], self._blocks):
                self._blocks.append((first.start, len(self._text)))
        return self._blocks

    @property
    def _end(self) -> int:
        return self._blocks[-1][1] if self._blocks else 0

    def _starts_line(self, mark: _Mark) -> bool:
        return _blank_before(self._text, mark.start, self._end)


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """Return a text without the given spans, which are in order and do not overlap, and without blank ends."""
    kept, position = [], 0
    for start, end in spans:
        kept.append(text[position:start])
        position = end
    kept.append(text[position:])
    return "".join(kept).strip()


def _without_wrapper(text: str) -> str:
    """Return an answer without the tags that stand around all of it (`<answer>`, `<|begin_of_solution|>`)."""
    if text[:1] not in {"<", "[", "&"}:
        return text
    marks = [mark for mark in _marks(text, _Literal(text)) if mark.answer]
    if not marks or marks[0].start or marks[0].kind != "open":
        return text
    first, last = marks[0], marks[-1]
    if len(marks) == 1:
        return text[first.end :].strip()
    if len(marks) == 2 and last.kind == "shut" and last.name == first.name and last.end == len(text):
        return text[first.end : last.start].strip()
    return text
