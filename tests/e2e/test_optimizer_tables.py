"""The optimiser's tables: the page is what its figures say, a slice of them comes out again, a stop loses nothing."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import optimizer_tables as tables
from benchmarks.fast_search import Found, Point

STALE = "type: make tables"


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads((tables.DOCS / "optimizer-tables.json").read_text("utf-8"))


def test_the_page_is_what_its_figures_say(stored: Any) -> None:
    page = (tables.DOCS / "optimizer-tables.md").read_text("utf-8")
    assert page == tables.rendered(stored), STALE
    assert "**SIMULATION." in page
    assert stored["seeds"] == list(tables.SEEDS)
    assert len(stored["seeds"]) >= 20
    for figures in stored["figures"].values():
        assert set(figures) == set(tables.VARIANTS)
        assert all({*map(int, rows)} <= {*tables.SEEDS} for rows in figures.values())
        assert len(figures["the defaults"]) == len(stored["seeds"])


def test_a_slice_comes_out_again(stored: Any) -> None:
    assert tables.slice_of() == stored["slice"], STALE


def test_a_miss_is_reported(stored: Any) -> None:
    missed = json.loads(json.dumps(stored))
    for row in missed["figures"]["alike"]["the defaults"].values():
        row["to"] = [None, None, None]
    assert re.search(r"\| alike \| never[^|]*\| 20 of 20 \|", tables.rendered(missed))
    assert "no; nothing was tuned to meet it" in tables.rendered(missed)


def test_a_search_that_beats_the_defaults_is_named(stored: Any) -> None:
    better = json.loads(json.dumps(stored))
    for name in ("the defaults", "GEPA"):
        for row in better["figures"]["alike"][name].values():
            row["true"][0] = 0.9 if name == "GEPA" else 0.8
    page = tables.rendered(better)
    assert "another search does better: here GEPA (alike, after 25,000 calls)." in page
    assert "| alike | GEPA | +0.100 [+0.100, +0.100] |" in page


def test_a_row_of_fewer_seeds_says_so(stored: Any) -> None:
    fewer = json.loads(json.dumps(stored))
    rows = fewer["figures"]["alike"]["the defaults"]
    fewer["figures"]["alike"]["the defaults"] = dict(list(rows.items())[:3])
    assert "| the defaults (3 seeds) |" in tables.rendered(fewer)


def test_figures_are_those_of_the_leader_that_there_was() -> None:
    points = [Point(10_000, 0.7, 0.8), Point(30_000, 0.8, 0.9), Point(60_000, 0.76, 0.95), Point(120_000, 0.9, 0.9)]
    found = tables.figures_of(Found(points, (0.7, 0.8), [(0.1, True), (0.0, False), (-0.1, False), (0.2, False)]))
    assert found["true"] == [0.7, 0.8, 0.76]
    assert found["reported"] == [0.8, 0.9, 0.95]
    assert found["to"] == [30_000, 30_000, None]
    assert found["decided"] == {"better": [1, 2], "same": [0, 1], "worse": [0, 1]}
    assert tables.calls_to([found], 2) == [math.inf]


def counted(job: tables.Job) -> dict[str, Any]:
    return {"seed": job[2]}


def test_a_second_call_goes_on_from_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SEEDS", range(2))
    path = tmp_path / "partial.jsonl"
    assert not tables.measure(path, 1, seconds=-1, run=counted), "one search, and none begins after it"
    lines = path.read_text("utf-8")
    assert lines.count("\n") == 1
    path.write_text(lines + '{"world": "alike", "vari\n', "utf-8")
    assert tables.measure(path, 1, seconds=math.inf, run=counted)
    written = path.read_text("utf-8").splitlines()
    assert len(written) == 1 + 2 * len(tables.VARIANTS) * len(tables.WORLDS)
    assert tables.known(path)["alike", "plain", 1] == {"seed": 1}


def test_what_the_page_has_is_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SEEDS", range(1))
    path = tmp_path / "partial.jsonl"
    of = tables.digest("alike", "plain")
    page: Any = {"of": {"alike": {"plain": of, "greedy": "other"}}, "figures": {"alike": {"plain": {"0": {"seed": 0}}}}}
    page["figures"]["alike"]["greedy"] = {"0": {"seed": 0}}
    tables.taken_over(page, path)
    tables.taken_over(page, path)
    assert tables.known(path) == {("alike", "plain", 0): {"seed": 0}}


def test_figures_of_other_settings_are_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SEEDS", range(1))
    path = tmp_path / "partial.jsonl"
    assert tables.measure(path, 1, seconds=math.inf, run=counted)
    monkeypatch.setattr(tables, "VARIANTS", {**tables.VARIANTS, "greedy": {**tables.VARIANTS["greedy"], "merge": 0.5}})
    known = tables.known(path)
    assert ("alike", "greedy", 0) not in known
    assert ("alike", "plain", 0) in known
