"""The figures of the demo: the page says what was measured, and the parts of the page keep apart."""

from __future__ import annotations

import json
import os
import sys

import pytest

from autodata.cli.demo import LOCAL
from autodata.runner.config import read_config
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


def test_the_roles_of_the_demo_that_are_shown_the_passage_share_a_slot_of_the_server() -> None:
    config = read_config(LOCAL, "demo")
    domain, roles = (
        config.chosen_domain,
        config.models.resolve(config.chosen_domain.role_defaults, config.chosen_domain.roles),
    )
    slots = {role: settings.extra_body["id_slot"] for role, settings in roles.items()}
    assert set(slots) == set(domain.roles)
    pack = domain.pack()
    readers = {role for role in slots if "source" in pack[role].front.placeholders}
    assert readers == {"challenger", "quality_verifier", "strong_solver"}
    assert {slots[role] for role in readers} == {0}
    others = [slot for role, slot in slots.items() if role not in readers]
    assert sorted(others) == list(range(1, config.local.n_parallel))  # one each
    assert len({pack[role].user.split("{{source}}")[0] for role in readers}) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_processor_time_is_that_of_a_process_with_all_below_it() -> None:
    own = bench.processor_seconds(os.getpid())
    assert 0 < own <= bench.processor_seconds(os.getppid())
