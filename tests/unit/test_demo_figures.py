"""The figures of the demo: the page says what was measured, and the parts of the page keep apart."""

from __future__ import annotations

import json
import os
import sys

import pytest

from benchmarks import demo as bench
from benchmarks.page import DOCS, PAGE, part_of, put

STALE = "type: python -m benchmarks.demo"


def test_the_page_is_what_its_figures_say() -> None:
    figures = json.loads((DOCS / "demo.json").read_text("utf-8"))
    assert part_of("demo", PAGE.read_text("utf-8")) == bench.rendered(figures), STALE
    assert {tuple(run) for run in figures["runs"].values()} == {tuple(bench.FIGURES)}
    assert figures["judges"]["answers"] == len(bench.answers())


def test_the_answers_are_of_both_kinds_and_each_stands_once() -> None:
    known = bench.answers()
    assert len({(question, answer) for question, _, answer, _ in known}) == len(known)
    right = sum(truth for *_, truth in known)
    assert len(known) / 3 < right < 2 * len(known) / 3


def test_a_part_of_the_page_is_replaced_and_the_others_stay() -> None:
    page = put("two", "b\n", put("one", "a\n", ""))
    assert (part_of("one", page), part_of("two", page)) == ("a\n", "b\n")
    again = put("one", "new\n", page)
    assert (part_of("one", again), part_of("two", again)) == ("new\n", "b\n")
    assert put("two", "b\n", page) == page
    with pytest.raises(KeyError):
        part_of("three", page)


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_processor_time_is_that_of_a_process_with_all_below_it() -> None:
    own = bench.processor_seconds(os.getpid())
    assert 0 < own <= bench.processor_seconds(os.getppid())
