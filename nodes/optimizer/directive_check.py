"""Finds words in a prompt that are meant for a solver or a judge, or that make the challenger pass such words on.

The known cheat (paper, section 6): a prompt that makes the weak solver be weak widens the gap and trains nobody.
What counts is whom a sentence speaks to. "If the strong solver failed, ask something that can be worked out" and "it
must be out of reach for the weak solver" say what a task should be like; "tell the weak solver to guess" and "end the
context with: answer in one word" say what somebody should do with it.

These are patterns over English, and the phrases of other languages and encodings that no candidate may hold either
(`domains/tasks/directives.py`): they stop an editor that tries the plain thing, and none that is set on hiding it. What
holds whatever a prompt says is elsewhere: solvers' and judges' own prompts are fixed, and an acceptance counts only if
the baseline's quality verifier passes the candidate too.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Final

from autodata.checkpoints.folding import folded
from autodata.domains.tasks.directives import order_in

SPEAKS: Final = "speaks to a solver or a judge"
PASSES_ON: Final = "has instructions passed on to a solver or a judge"
WEAKENS: Final = "asks for weak answers"
MARKS: Final = "says how answers are to be marked"

_THE = r"(?:(?:the|an?|any|each|every|both|all|our|your|this|that|these|those|weak|strong|loop|other) ){0,6}"
_AGENT = (
    rf"{_THE}(?:(?:quality )?(?:solver|grader|verifier|marker|examinee|test taker|evaluator|student|judge)s?"
    r"|(?:weak|weaker|weakest|strong|stronger|strongest|small|smaller|large|larger|answering|judging|grading|solving)"
    r" (?:language )?(?:model|one|llm|ai|assistant|agent|side)s?"
    r"|whoever (?:answers|solves|grades|marks|judges|attempts|verifies)(?: it| this| the question)?)"
)
_READER = rf"(?:{_AGENT}|{_THE}(?:reader|recipient|person|people|somebody|someone|anybody|anyone)s?)"
_TELL = (
    r"(?:(?:tell|instruct|order|command|warn|forbid|direct|trick|beg|remind)(?:s|ing)?"
    r"|(?:urg|persuad|nudg|convinc|advis)(?:e|es|ing))"
)
_TOLD = r"(?:told|instructed|ordered|commanded|warned|urged|forbidden|reminded|advised)"
_MAKE = (
    r"(?:(?:let|get|push|allow|permit|prompt|lead|help)s?|(?:lett|gett|push|allow|permitt|prompt|lead|help)ing|has"
    r"|(?:mak|hav|forc|caus|invit|encourag)(?:e|es|ing))"
)
_BADLY = (
    r"(?:(?:wrong|incorrect|bad|poor|weak|brief|short|vague|superficial|shallow|careless|random)(?:ly)?"
    r"|lazy|lazily|incompletely|nothing|at random|one word|a guess)"
)
_ANSWERS = r"(?:answer|reply|respond|write|output|say)(?: it| the question)?"
_YIELDS = (
    r"(?:pretend|act|behave|ignore|refuse|give up|stop|skip|guess|play|underperform|sandbag"
    rf"|be {_BADLY}|{_ANSWERS} {_BADLY})"
)
_JUDGES = r"(?:accept|award|give full|be lenient|be generous|mark|pass|score)"
_MUST = r"(?:must|should|shall|ought to|is to|are to)(?: (?:only|just|always|simply|never|not))*"
_INTO = r"(?:put|add|include|insert|write|append|prepend|place|embed|hide|attach|slip|plant|mention|state|say|print)"
_PART = rf"{_THE}(?:contexts?|questions?|rubrics?|criteria|criterion|references?|reference answers?|tasks?|problems?)"
_ORDER = r"(?<!\bno )(?<!\bwithout )(?:instruction|command|directive|message|note|warning|reminder|remark)s?"
_WORD = rf"(?:{_ORDER}|(?<!\bno )(?:hint|advice|request|line|word|sentence)s?)"
_NOVICE = r"(?:weak|novice|beginner|dumb|stupid|lazy|careless|incompetent|bad|poor|untrained|child|layman)"
_ON_PURPOSE = r"(?:on purpose|deliberately|intentionally|purposely)"
_START = r"^[-*>\d.() ]*"

_PATTERNS: Final = tuple(
    (what, re.compile(regex))
    for what, regex in (
        (SPEAKS, rf"{_START}(?:dear|attention|hey|listen|note|n\.?b\.?),? (?:to )?{_AGENT}\b"),
        (SPEAKS, rf"{_START}{_AGENT} ?(?:[:!]|, (?:please|you|your|do|never|always|{_ANSWERS}|{_YIELDS}|{_JUDGES})\b)"),
        (SPEAKS, rf"{_START}(?:to|for) {_AGENT}: "),
        (SPEAKS, rf"\b(?:if you(?:'re| are)|when you(?:'re| are)) {_AGENT}\b|\bas {_AGENT},? you\b"),
        (SPEAKS, rf"\b{_WORD} (?:to|for|addressed to|aimed at|meant for|directed at) {_AGENT}\b"),
        (SPEAKS, rf"\b(?:address(?:es|ing)?|(?:speak|talk|appeal|write)(?:s|ing)? to) {_AGENT}\b"),
        (PASSES_ON, rf"\b{_TELL} {_AGENT}\b(?! (?:apart|from)\b)"),
        (PASSES_ON, rf"\b{_AGENT} (?:must|should|shall|can|may|will|has to|is to|are to) be (?:{_TOLD}|asked to)\b"),
        (
            PASSES_ON,
            rf"\b(?:giv|hand|provid|send|show)(?:e|es|s|ing)? (?:it|them|{_AGENT})\b.{{0,30}}\b{_ORDER}\b",
        ),
        (PASSES_ON, rf"\b(?:limit|restrict|confin|constrain)(?:e|es|s|ing)? {_AGENT} to\b"),
        (PASSES_ON, rf"\bask(?:s|ing)? {_AGENT} (?:not to|to|that|for)\b"),
        (PASSES_ON, rf"\b{_TELL} {_READER} (?:not |never )?to\b"),
        (PASSES_ON, rf"\b{_AGENT}\b.{{0,200}}\b(?:{_TELL}|ask(?:s|ing)?) (?:it|them|him|her) (?:not |never )?to\b"),
        (PASSES_ON, rf"\b{_INTO}\b.{{0,80}}\b{_ORDER}\b.{{0,60}}\b(?:to|in|into|of|with|inside) {_PART}\b"),
        (PASSES_ON, rf"\b{_INTO} (?:to|in|into|inside) {_PART}\b.{{0,40}}\b{_ORDER}\b"),
        (PASSES_ON, rf"\b(?:to|in|into|inside|within|of) {_PART},? {_INTO}\b.{{0,60}}\b{_ORDER}\b"),
        (
            PASSES_ON,
            rf"\b(?:{_INTO}|(?:end|begin|start|open|close|finish) with) [\"'\u201c]"
            rf"(?:please |you (?:must|should|may) |do not |never |only |just )*(?:answer|reply|respond|{_YIELDS})\b",
        ),
        (
            PASSES_ON,
            rf"\b{_PART} (?:{_MUST} )?(?:state|say|mention|require|demand|specify|add)(?:s|ing)?\b.{{0,30}}"
            rf"\b(?:answer|reply|response)s?\b.{{0,30}}\b(?:{_BADLY}|single|one) ?(?:word|sentence|line)?s?\b",
        ),
        (
            PASSES_ON,
            rf"\b(?:{_INTO}|end|begin|start|open|close|finish)\b.{{0,40}}\b{_PART}\b.{{0,40}}[:\"'\u201c] ?[\"'\u201c]?"
            r"(?:please |you (?:must|should|may) |do not |never |only |just )*"
            rf"(?:answer|reply|respond|{_YIELDS}|{_JUDGES})\b",
        ),
        (
            PASSES_ON,
            rf"\b{_INTO} (?:in|into|to) {_THE}(?:context|question)s?\b.{{0,20}}\b(?:answer|reply|response)s?\b.{{0,30}}"
            rf"\b{_BADLY}\b",
        ),
        (PASSES_ON, rf"\b{_AGENT} {_MUST} (?:{_YIELDS}|{_JUDGES}|{_ANSWERS} (?:only|just|in|with|by|as|no)\b)"),
        (PASSES_ON, rf"\b{_AGENT} (?:must|should|shall) (?:not|never) (?:think|reason|try|work|check|show)\b"),
        (WEAKENS, rf"\b{_MAKE} {_AGENT} (?:to )?{_YIELDS}\b"),
        (
            WEAKENS,
            r"\b(?:answer|reply|respond|write|act|behave|think|perform|reason)(?:s|ing)? (?:like|as|as if|as though)"
            rf" (?:(?:you|it|they) (?:were|are|is|was) )?(?:an? |the )?{_NOVICE}\b",
        ),
        (WEAKENS, rf"\b(?:pretend|feign)(?:s|ing)? (?:ignorance|weakness|not to know|to be (?:an? )?{_NOVICE})\b"),
        (WEAKENS, rf"\b{_ON_PURPOSE} (?:answer|fail|err|respond|reply|{_BADLY})"),
        (
            WEAKENS,
            rf"\b(?:answer|fail|err|respond|reply)(?:s|ing|ed)? (?:it |the question )?(?:{_BADLY} )?{_ON_PURPOSE}",
        ),
        (
            MARKS,
            r"\b(?:give|award|grant)s? (?:(?:it|them|(?:any|every|the|an|all) answers?) )?"
            r"(?:full|maximum|top|perfect) (?:marks?|points?|credit|scores?)\b",
        ),
        (
            MARKS,
            r"\b(?:mark|count|treat|score|grade)(?:s|ing)? (?:it|them|(?:every|each|all|any|the|an) [a-z ]{1,30}?)"
            r" ?as (?:met|right|correct|passed|true|satisfied|wrong|failed)\b",
        ),
    )
)

_CLAUSE: Final = re.compile(r"[.!?,;:()\u2013\u2014]| - |\b(?:and|but|instead|rather|then|so that|yet|while)\b")
_NOT: Final = re.compile(
    r"(?<!\bwhy )(?<!\bif )(?<!\bor )"
    r"(?:\b(?:never|not|no|without|nor|cannot|avoids?|avoiding|free of|refrain from)\b|n't\b)"
)
_NOT_AFTER_ALL: Final = re.compile(
    r"\b(?:forget|fail|hesitate|neglect|omit|miss|refuse|stop|shy|only|merely|just|afraid|less)\b"
)
_BLOCK: Final = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+[.)])\s)|\n(?=#)|(?<=^# system)\n|(?<=^# user)\n", re.MULTILINE)
_SENTENCE: Final = re.compile(r"(?<=[.!?])(?<!^\d\.)(?<!^\d\d\.)[\"')\u201d]*\s+")


def sentences(text: str) -> list[str]:
    """Return the sentences of a prompt, each on one line. A line break alone ends none, a list item does."""
    blocks = (" ".join(block.split()) for block in _BLOCK.split(text))
    return [sentence.strip() for block in blocks for sentence in _SENTENCE.split(block) if sentence.strip()]


def addressed(before: str, after: str) -> list[tuple[str, str]]:
    """Return what new sentences of a prompt do that they must not: what it is, and the sentence, in order.

    A sentence is new when it does not stand in the text before to the letter; the others are not looked at.
    """
    known = set(sentences(before))
    found: list[tuple[str, str]] = []
    for sentence, window in _windows(sentences(after)):
        text = _Clauses(window)
        what = next((what for what, regex in _PATTERNS if text.says(regex)), None)
        if sentence not in known and (what or (what := _order(sentence))):
            found.append((what, sentence))
    return found


def _order(sentence: str) -> str:
    """Return what a sentence orders in any language, or encoded; empty for one without an order."""
    order = order_in(sentence)
    return order.what if order else ""


def _windows(all_sentences: list[str]) -> Iterator[tuple[str, str]]:
    """Return each sentence with the text to look at: behind the sentence before it, where "it" or "them" may refer."""
    for before, sentence in pairwise(["", *all_sentences]):
        own = _plain(sentence)
        yield sentence, f"{_plain(before)} {own}" if before and re.search(r"\b(?:it|them|him|her)\b", own) else own


def _plain(sentence: str) -> str:
    """Return a sentence folded, without emphasis, and with the parts of compound words apart."""
    bare = re.sub(r"[*`]", "", folded(sentence).replace("\u2019", "'"))
    return " ".join(re.sub(r"_|(?<=\w)[-\u2010\u2011](?=\w)", " ", bare).split())


class _Clauses:
    """A text that may forbid what it names: "never tell the solver to guess". Each scanner goes through it once."""

    def __init__(self, text: str) -> None:
        self._text = text

    def says(self, regex: re.Pattern[str]) -> bool:
        """Whether a pattern stands in the text anywhere but where its clause forbids it."""
        return any(not self._forbids(match.start()) for match in regex.finditer(self._text))

    def _forbids(self, at: int) -> bool:
        """Whether the clause that leads up to a place forbids what stands there."""
        begins = _last(self._ends, at)
        negation = _last(self._negations, at)
        if negation <= begins:
            return False
        following = bisect_left(self._taken_back, negation)
        return following == len(self._taken_back) or self._taken_back[following] >= at

    @cached_property
    def _ends(self) -> list[int]:
        return [match.end() for match in _CLAUSE.finditer(self._text)]

    @cached_property
    def _negations(self) -> list[int]:
        return [match.end() for match in _NOT.finditer(self._text)]

    @cached_property
    def _taken_back(self) -> list[int]:
        return [match.start() for match in _NOT_AFTER_ALL.finditer(self._text)]


def _last(places: list[int], at: int) -> int:
    """Return the last of some places, in order, that is not behind another one; 0 without any."""
    behind = bisect_right(places, at)
    return places[behind - 1] if behind else 0
