"""Grounding by code on pairs written by hand: no wrong answer passes, and what is refused wrongly is listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autodata.domains.tasks.grounding import unfounded

ROOT = Path(__file__).resolve().parents[2]
PAIRS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("grounding_pairs.tsv").read_text("utf-8").splitlines()
    if not line.startswith("# ")
]
THERE = [pair[1:] for pair in PAIRS if pair[0] == "there"]
NOT_THERE = [pair[1:] for pair in PAIRS if pair[0] == "not"]
FALSE_ALARMS = {
    "eight cylinders": ["eight"],
    "4096 bytes": ["4096"],
    "in the third quarter of 2004": ["third"],
    "five children": ["five"],
    "about 351 K": ["351 K"],
    "route N27": ["N27"],
    "for 12 years": ["12"],
}
"""Answers that their passages do say and that are refused, with what is said to be lacking: sums, conversions and
roundings, and numbers within a name."""


def test_the_table_is_whole() -> None:
    assert {len(pair) for pair in PAIRS} == {4}
    assert {pair[0] for pair in PAIRS} == {"there", "not"}
    assert len(set(PAIRS)) == len(PAIRS)
    assert len(THERE) >= 60
    assert len(NOT_THERE) >= 40


@pytest.mark.parametrize(("question", "passage", "answer"), NOT_THERE)
def test_no_answer_passes_whose_passage_does_not_say_it(question: str, passage: str, answer: str) -> None:
    assert unfounded(answer, question, [passage])


def test_every_false_alarm_is_known_and_counted_in_the_manual() -> None:
    """The figures of docs/domains.md are those of the table as it stands."""
    found = {
        answer: lacking for question, passage, answer in THERE if (lacking := unfounded(answer, question, [passage]))
    }
    assert found == FALSE_ALARMS
    share = f"{100 * len(found) / len(THERE):.1f}"
    said = re.sub(r"\s+", " ", (ROOT / "docs" / "domains.md").read_text("utf-8"))
    assert (
        f"Of {len(THERE)} pairs of our own whose passage says the answer, {len(found)} are refused ({share} %); of"
        f" {len(NOT_THERE)} whose passage does not, none passes."
    ) in said
