"""What the report's script decides, in a JavaScript engine without a browser: filters, search, differences, signs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pytest
import quickjs
from hypothesis import given
from hypothesis import strategies as st

from autodata.corpus.reporting.packing import Limit, _Table

LOGIC = (files("autodata.corpus.reporting.templates") / "logic.js").read_text("utf-8")


class Logic:
    """The script's own functions over the data of a page."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._engine = quickjs.Context()
        self._engine.eval(LOGIC + ";let page;")
        self._engine.eval(f"page = logic({json.dumps(data)})")

    def call(self, expression: str) -> Any:
        return json.loads(self._engine.eval(f"JSON.stringify({expression})"))

    def shown(self, **wanted: str) -> list[str]:
        """The keys of the documents that pass filters."""
        found: list[str] = self.call(f"page.items.filter(i => page.fits(i, {json.dumps(wanted)})).map(i => i.key)")
        return found


def a_round(n: int, **changes: Any) -> dict[str, Any]:
    return {"n": n, "outcome": "rejected", "mode": "too_easy", **changes}


@pytest.fixture(scope="module")
def page() -> Logic:
    texts = ["Why does the sea rise?", "The moon pulls.", ["The tide", 4_000, "zephyr harbour"], "cause"]
    documents = [
        {
            "name": "a.md",
            "status": "accepted",
            "text": "Of salt and stars.",
            "rounds": [
                a_round(1, weak=0.9, question=0, type=3),
                a_round(2, outcome="accepted", mode="", weak=0.25, strong=1.0, gap=0.75, type=3)
                | {"attempts": [{"answer": 1, "model": "m", "reasons": ["Named it"]}]},
            ],
        },
        {"name": "b.md", "status": "rejected", "text": 2, "rounds": [a_round(1, mode="gap_too_small", gap=0.1)]},
        {"name": "c.md", "status": "skipped", "rounds": []},
    ]
    second = [{"name": "d.md", "status": "accepted", "rounds": [a_round(1, gap=0.0, rubric=[[3, "Blames the wind"]])]}]
    return Logic({"texts": texts, "runs": [{"documents": documents}, {"documents": second}]})


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        ({}, ["0.0", "0.1", "0.2", "1.0"]),
        ({"run": "1"}, ["1.0"]),
        ({"run": "0", "outcome": "accepted"}, ["0.0"]),
        ({"mode": "gap_too_small"}, ["0.1"]),
        ({"type": "cause"}, ["0.0"]),
        ({"low": "0.1"}, ["0.0", "0.1"]),
        ({"low": "0", "high": "0.1"}, ["0.1", "1.0"]),
        ({"measure": "weak", "low": "0.9"}, ["0.0"]),
        ({"measure": "strong", "high": "1"}, ["0.0"]),  # a round that no strong solver answered has no mean
        ({"mode": "too_easy", "low": "0.7"}, []),  # one round must pass them all
        ({"text": "  MOON pulls "}, ["0.0"]),
        ({"text": "named it"}, ["0.0"]),
        ({"text": "wind"}, ["1.0"]),
        ({"text": "salt and"}, ["0.0"]),
        ({"text": "c.md"}, ["0.2"]),
        ({"text": "harbour"}, ["0.1"]),
        ({"text": "harbour zephyr"}, ["0.1"]),  # only its words are known
        ({"text": "harbour moon"}, []),
        ({"text": "stars salt"}, []),  # a whole text is searched as it stands
        ({"text": ".*"}, []),
    ],
)
def test_filters(wanted: dict[str, str], keys: list[str], page: Logic) -> None:
    assert page.shown(**wanted) == keys


def test_options_are_what_occurs(page: Logic) -> None:
    assert page.call("page.options") == {
        "outcome": ["accepted", "rejected", "skipped"],
        "mode": ["gap_too_small", "too_easy"],
        "type": ["cause"],
    }


def test_what_is_left_out_is_counted_by_characters_as_python_counts_them() -> None:
    text = "A\U0001f600" * 40
    table = _Table()
    table.add(text)
    page = Logic({"texts": table.cut(Limit(10, 10, 10, 10, 0)), "runs": []})
    assert page.call("page.plain(0)") == text[:10]
    assert page.call("page.leftOut(0)") == len(text) - 10


def test_a_document_that_is_shortened_is_found_by_its_rarest_words() -> None:
    table = _Table()
    table.add("Common words begin here, common words end: quokka.", "sources")
    table.add("Common words begin here, common words end: okapi.", "sources")
    cut = table.cut(Limit(9, 9, 9, 12, 1))
    assert cut[0] == ["Common words", 50, "quokka"]
    documents = [{"name": name, "status": "accepted", "rounds": [], "text": n} for n, name in enumerate("ab")]
    page = Logic({"texts": cut, "runs": [{"documents": documents}]})
    assert page.shown(text="quokka") == ["0.0"]
    assert page.shown(text="okapi") == ["0.1"]
    assert table.cut(Limit(9, 9, 9, 0, 0)) == ["", ""]


def test_differences_word_by_word(page: Logic) -> None:
    assert page.call('page.difference("the old sea", "the new sea")') == [
        ["span", "the "],
        ["del", "old"],
        ["ins", "new"],
        ["span", " sea"],
    ]
    assert page.call('page.difference("a ".repeat(3000), "b ".repeat(3000))') is None


WORDS = st.lists(st.sampled_from(["a", "b", "c", " ", "\n"]), max_size=12).map("".join)


@given(before=WORDS, after=WORDS)
def test_a_difference_holds_both_texts(before: str, after: str, page: Logic) -> None:
    found = page.call(f"page.difference({json.dumps(before)}, {json.dumps(after)})")
    assert "".join(text for tag, text in found if tag != "ins") == before
    assert "".join(text for tag, text in found if tag != "del") == after


def test_signs_that_turn_letters_are_named(page: Logic) -> None:
    assert page.call('page.signs("a\\u202eb\\u0000")') == ["a", "U+202E", "b", "U+0000", ""]
    assert page.call('page.signs("a\\tb\\n")') == ["a\tb\n"]
