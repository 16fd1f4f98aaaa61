"""Figures of mutation testing: the page holds what was tried; no reading hides a mutant of an unchanged line."""

from __future__ import annotations

import json

import pytest

from benchmarks.mutation import FIGURES, READ, ROOT, TARGETS, Target, table
from benchmarks.page import part_of
from benchmarks.reliability import RELIABILITY


def test_the_page_holds_the_figures_and_they_keep_the_aim() -> None:
    figures = json.loads(FIGURES.read_text("utf-8"))
    assert part_of("mutation", RELIABILITY.read_text("utf-8")) == table(figures), "type: make mutation"
    assert [*figures["modules"]] == [target.module for target in TARGETS]
    for found in figures["modules"].values():
        alive = [one for one in found["survivors"] if not any(part in line for line in one["diff"] for part in READ)]
        assert len(alive) < 0.05 * found["tried"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.module)
def test_a_reading_covers_a_changed_line_only(target: Target) -> None:
    source = (ROOT / f"{target.module}.py").read_text("utf-8")
    assert [part for part in READ if part in source] == []
    for name in target.tests:
        assert (ROOT / "tests" / "unit" / f"{name}.py").is_file()
