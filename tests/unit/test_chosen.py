from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autodata.checkpoints.queries.chosen import choose


def asked(name: str, question: str, context: str | None = None) -> Mapping[str, Any]:
    return {"example_id": name, "question": question, "context": context}


def test_a_question_that_several_documents_led_to_is_kept_once_whatever_its_white_space() -> None:
    rows = [
        asked("e1", "Why\u2028so “high”?", "At sea."),
        asked("e2", "Why\u2028so “high”?", "At sea."),
        asked("e3", "Why\u2028 so  “high”?", " At\nsea. "),
        asked("e4", "Why\u2028so “high”?", "On land."),
        asked("e5", 'Why so "high"?'),
        asked("e6", "why so high", ""),
    ]
    chosen = choose(rows, None)
    assert sorted(chosen.repeated) == ["e2", "e3", "e6"]
    assert (len(chosen.surplus), chosen.beyond) == (0, 0)
    assert all(chosen.results(row["example_id"]) for row in rows), "without a target every one is a result"


def test_the_first_distinct_ones_count_and_what_repeats_a_surplus_one_is_beyond_too() -> None:
    rows = [asked("a", "One?"), asked("b", "One?"), asked("c", "Two?"), asked("d", "Three?"), asked("e", "Three?")]
    rows += [asked("f", "Two?"), asked("g", "Four?")]
    chosen = choose(rows, 2)
    held = {
        (repeats, surplus): "".join(
            row["example_id"] for row in rows if chosen.holds(row["example_id"], repeats=repeats, surplus=surplus)
        )
        for repeats in (False, True)
        for surplus in (False, True)
    }
    assert held == {
        (False, False): "ac",
        (True, False): "abcf",
        (False, True): "acdg",
        (True, True): "abcdefg",
    }
    assert chosen.beyond == 2
    assert [row["example_id"] for row in rows if chosen.results(row["example_id"])] == ["a", "c"]
    assert choose(rows, 4).beyond == choose(rows, 9).beyond == 0
