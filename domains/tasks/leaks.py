"""Leaks that code finds in a candidate: its answer or rubric given away, and references to a source not shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from autodata.checkpoints.records import Candidate
from autodata.checkpoints.shingles import UNSPACED, WORD
from autodata.domains.tasks.base import TaskType
from autodata.domains.tasks.questions import paper_references

RUN = 8
"""Words in a row that an answer or criterion must share with the question or context to count as given away."""
EVIDENCE_CHARS = 160
LETTERS_A_WORD = 2
"""Letters that count as one word in scripts that put no space between words."""
_LETTER = re.compile(rf"[{UNSPACED}]")
_GAP = re.compile(rf"(?<=[{UNSPACED}]) (?=[{UNSPACED}])")


@dataclass(frozen=True)
class Leak:
    """One leak: which check found it, where, and the words that show it."""

    check: str
    """`answer_in_question`, `answer_in_context`, `rubric_in_question`, `rubric_in_context` or `source_in_rubric`."""
    where: str
    evidence: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.check} ({self.where}): {self.evidence!r}"

    def plain(self) -> dict[str, str]:
        """Return it as a round's quality holds it."""
        return {"check": self.check, "where": self.where, "evidence": self.evidence}


def leaks(task_type: TaskType, candidate: Candidate) -> list[Leak]:
    """Return the leaks of a candidate, of each check the one with the longest evidence.

    Criteria that describe errors are left out: to name an error tells nothing of the answer. A text of fewer than `RUN`
    words counts where all of it stands there, from five words on.
    """
    shown = {"question": candidate.question, "context": candidate.context}
    criteria = [(n, text) for n, (text, weight) in enumerate(task_type.criteria(candidate), 1) if weight > 0]
    # The one criterion of a reference answer is that answer.
    rubric = {f"criterion {n}": text for n, text in criteria} if len(criteria) > 1 else {}
    found = [*_told("answer", {"reference answer": candidate.reference_answer}, shown), *_told("rubric", rubric, shown)]
    for where, text in rubric.items():
        found += [Leak("source_in_rubric", where, phrase) for phrase in paper_references(text)[:1]]
    longest: dict[str, Leak] = {}
    for leak in found:  # a round's notes travel in its state
        if leak.check not in longest or len(leak.evidence) > len(longest[leak.check].evidence):
            longest[leak.check] = leak
    return list(longest.values())


def _told(what: str, parts: Mapping[str, str], shown: Mapping[str, str]) -> list[Leak]:
    found = []
    for place, text in shown.items():
        words = WORD.findall(text.lower())
        for where, part in parts.items():
            if run := longest_run(WORD.findall(part.lower()), words):
                found.append(Leak(f"{what}_in_{place}", where, _GAP.sub("", " ".join(run))[:EVIDENCE_CHARS]))
    return found


def longest_run(part: Sequence[str], words: Sequence[str]) -> Sequence[str]:
    """Return the longest run of words that both texts hold, empty where it is too short to tell anything.

    A letter of a script without spaces is a word of its own here, and `LETTERS_A_WORD` of them are needed for one.
    """
    letters = sum(1 for word in part if _LETTER.fullmatch(word))
    times = LETTERS_A_WORD if 2 * letters > len(part) else 1
    needed = min(RUN * times, max(5 * times, len(part)))
    if len(part) < needed:
        return ()
    starts: dict[tuple[str, ...], list[int]] = {}
    for place in range(len(words) - needed + 1):
        starts.setdefault(tuple(words[place : place + needed]), []).append(place)
    best: Sequence[str] = ()
    begin = 0
    while begin <= len(part) - needed:
        length = 0
        for place in starts.get(tuple(part[begin : begin + needed]), ())[:20]:
            pairs = zip(part[begin + needed :], words[place + needed :], strict=False)
            reach = needed + sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            length = max(length, reach)
        if length > len(best):
            best = part[begin : begin + length]
        begin += max(1, length - needed + 1) if length else 1
    return best
