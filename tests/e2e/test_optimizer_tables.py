"""The optimiser's tables: the page is what its figures say, and a slice of the figures comes out again."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from benchmarks import optimizer_tables as tables

STALE = "type: make tables"


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads((tables.DOCS / "optimizer-tables.json").read_text("utf-8"))


def test_the_page_is_what_its_figures_say(stored: Any) -> None:
    page = (tables.DOCS / "optimizer-tables.md").read_text("utf-8")
    assert page == tables.rendered(stored), STALE
    assert "**SIMULATION." in page
    assert set(stored["figures"]) == set(tables.VARIANTS)
    assert (stored["seeds"], stored["iterations"], stored["early"]) == (20, 124, 40)
    assert all(len(runs) == stored["seeds"] for runs in stored["figures"].values())


def test_a_slice_comes_out_again(stored: Any) -> None:
    assert tables.slice_of() == stored["slice"], STALE


def test_a_miss_is_reported(stored: Any) -> None:
    missed = json.loads(json.dumps(stored))
    for run in missed["figures"]["together, confirmed"]:
        run["at"][str(stored["iterations"])]["true"] = 0.5
    assert "It is missed; nothing was tuned to meet it." in tables.rendered(missed)


def test_who_never_gets_there_is_counted() -> None:
    assert tables.reached([[10, 0.5], [20, 0.7]], 0.6) == 20
    assert math.isinf(tables.reached([[10, 0.5]], 0.6))
    assert tables.ratio([0.5, 0.5, math.inf]).endswith(", 1 of 3 never")
