"""Picking passages: whole sentences, an anchor in each, and none twice too soon."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata.domains.tasks.passages import anchors, pick, sentences
from autodata.examples import documents_folder

EXAMPLES = sorted(documents_folder().glob("*.md"))


@pytest.mark.parametrize(
    ("paragraph", "parts"),
    [
        ("One here. Two there.", ["One here.", "Two there."]),
        ("It is 3.5 m long. Pi is 3.14159.", ["It is 3.5 m long.", "Pi is 3.14159."]),
        ("Really? Yes! Good.", ["Really?", "Yes!", "Good."]),
        ("Dr. Ada Hart met Mr. Bell. They talked.", ["Dr. Ada Hart met Mr. Bell.", "They talked."]),
        ("Use oxides, e.g. Fe2O3. It works.", ["Use oxides, e.g. Fe2O3.", "It works."]),
        ("Shown by Hart et al. 2019 in Fig. 3. Next.", ["Shown by Hart et al. 2019 in Fig. 3.", "Next."]),
        ("J. R. Hart sailed with the U.S. Navy. So it was.", ["J. R. Hart sailed with the U.S. Navy.", "So it was."]),
        ('She said "Stop." Then she left.', ['She said "Stop."', "Then she left."]),
        ("It froze (in 1969.) Nobody saw.", ["It froze (in 1969.)", "Nobody saw."]),
        ('He wrote "Go." "Why?" she asked.', ['He wrote "Go."', '"Why?" she asked.']),
        ("Broken\nover   lines. And\tmore.", ["Broken over lines.", "And more."]),
        ("no capital. follows here", ["no capital. follows here"]),
        ("In 1969. 1970 came.", ["In 1969.", "1970 came."]),
        ("", []),
    ],
)
def test_sentences(paragraph: str, parts: list[str]) -> None:
    assert sentences(paragraph) == parts


@given(st.text(alphabet="aB1.!?\"') \n", max_size=80))
def test_splitting_loses_nothing(paragraph: str) -> None:
    assert " ".join(sentences(paragraph)).split() == paragraph.split()


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("The log began in 2011 as a store.", 1),
        ("The log was begun by Dorota as a store.", 1),
        ("The log was begun early as a store.", 0),  # the first word alone is no name
        ("Begun in 2011.", 0),  # too short to say something
        ("# The log of 2011 was begun as a store", 0),
        ("- The log began in 2011 as a store.", 0),
        ("* The log began in 2011 as a store.", 0),
        ("1. The log began in 2011 as a store.", 0),
        ("| The log | began in 2011 | as a store |", 0),
        ("> The log began in 2011 as a store.", 0),
        ("```\nThe log began in 2011 as a store.\n\nThe log ended in 2012 as a ruin.\n```", 0),
        ("~~~\nThe log began in 2011 as a store.\n\nThe log ended in 2012 as a ruin.", 0),
        ("```\nx = 1\n```\n\nThe log began in 2011 as a store.", 1),
        ("**Velin**, a log, began in 2011 as a store.", 1),
        ("2011 saw the log begin as a store.", 1),
    ],
)
def test_what_is_an_anchor(block: str, found: int) -> None:
    assert len(anchors(f"Some words stand before.\n\n{block}\n\nSome words come after.")) == found


def test_a_sentence_longer_than_a_passage_is_no_anchor() -> None:
    long = f"In 2011 {'very ' * 30}late."
    assert anchors(long, 20) == []
    assert [passage.text for passage in anchors(long, 40)] == [" ".join(long.split())]


def test_a_passage_grows_to_both_sides_while_sentences_fit() -> None:
    before, anchor, after = (
        "Six words stand before this one.",
        "The log began in 2011 as a store.",
        "Four words come after.",
    )
    text = f"{before} {anchor} {after}"
    assert [passage.text for passage in anchors(text, 30)] == [text]
    assert [passage.text for passage in anchors(text, 13)] == [f"{anchor} {after}"]
    assert [passage.text for passage in anchors(text, 8)] == [anchor]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("max_words", [150, 40])
def test_passages_of_the_example_documents(path: Path, max_words: int) -> None:
    text = path.read_text("utf-8")
    blocks = [" ".join(block.split()) for block in re.split(r"\n\s*\n", text)]
    found = anchors(text, max_words)
    assert len(found) >= 15  # one a round, for max_rounds rounds
    for passage in found:
        assert passage.anchor in passage.text
        assert re.search(r"\d|[a-z,;] [A-Z]", passage.anchor)
        assert len(passage.text.split()) <= max_words
        (block,) = [block for block in blocks if passage.text in block]
        before, _, after = block.partition(passage.text)
        assert not block.startswith("#")
        assert before == "" or re.search(r"[.!?][\"')\]]* $", before)
        assert re.search(r"[.!?][\"')\]]*$", passage.text)
        assert after == "" or re.match(r" [\"'(\[]?[A-Z0-9]", after)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_passage_comes_twice_before_all_have_come_once(path: Path) -> None:
    text = path.read_text("utf-8")
    count = len(anchors(text))
    first, second = ([pick(text, n + again, seed=7) for n in range(1, count + 1)] for again in (0, count))
    assert len({passage.anchor for passage in first if passage}) == count
    assert first == second  # then they come again


@given(st.integers(1, 12), st.integers(0, 2**31 - 1))
def test_pick_goes_through_all_anchors(count: int, seed: int) -> None:
    text = "\n\n".join(f"The log number {n} was begun by somebody." for n in range(count))
    picked = [pick(text, n, seed) for n in range(1, count + 1)]
    assert sorted(passage.anchor for passage in picked if passage) == sorted(text.split("\n\n"))


def test_the_seed_sets_the_order_and_nothing_else_does() -> None:
    text = EXAMPLES[0].read_text("utf-8")
    orders = {seed: [pick(text, n, seed) for n in range(1, 10)] for seed in range(5)}
    assert len({str(order) for order in orders.values()}) == 5
    assert orders[3] == [pick(text, n, 3) for n in range(1, 10)]


@pytest.mark.parametrize("text", ["", "# Only a heading of 2011", "nothing is named or counted in here at all."])
def test_a_text_without_an_anchor_gives_no_passage(text: str) -> None:
    assert anchors(text) == []
    assert pick(text, 1, 0) is None
