"""The figures of many documents: the page says what was measured, and everything that is measured can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import calls, savers, startup
from benchmarks import many_documents as bench
from benchmarks.page import DOCS, PAGE, part_of

STALE = "type: python -m benchmarks.many_documents"


def test_the_page_is_what_its_figures_say() -> None:
    figures = json.loads((DOCS / "many-documents.json").read_text("utf-8"))
    assert part_of("many documents", PAGE.read_text("utf-8")) == bench.rendered(figures), STALE
    assert tuple(figures["sizes"]) == bench.SIZES
    assert {name for size in bench.SIZES for name in figures["measured"][str(size)]} == {*bench.STAGES, "memory"}
    for name in bench.STAGES:
        few, many = (figures["measured"][str(size)][name] for size in bench.SIZES)
        assert many / few < 2 * bench.SIZES[1] / bench.SIZES[0], f"{name} grows faster than the documents"


@pytest.mark.parametrize(
    ("name", "part", "bench"),
    [("startup", "starting", startup), ("calls", "calls", calls), ("savers", "savers", savers)],
)
def test_other_parts_are_what_their_figures_say(name: str, part: str, bench: Any) -> None:
    figures = json.loads((DOCS / f"{name}.json").read_text("utf-8"))
    assert part_of(part, PAGE.read_text("utf-8")) == bench.rendered(figures), f"type: python -m benchmarks.{name}"


@pytest.mark.slow
async def test_every_stage_is_measured(tmp_path: Path) -> None:
    found = await bench.measure(5, tmp_path)
    assert set(found) == {*bench.STAGES, "memory"}
    assert all(value > 0 for value in found.values())
