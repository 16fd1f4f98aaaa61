"""The simulated tables of the documentation: rendered from their figures, and figures that come out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import tables

STALE = "type: make tables"


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads((tables.DOCS / "tables.json").read_text("utf-8"))


def test_the_page_is_what_its_figures_say(stored: Any) -> None:
    path = tables.DOCS / "tables.md"
    page = path.read_text("utf-8")
    assert page == tables.rendered(stored) + tables.of_others(path), STALE
    assert "**SIMULATION." in page
    assert stored["simulation"] is True
    assert stored["documents"] >= 200
    assert set(stored["scenes"]) == set(tables.SCENES)


@pytest.mark.parametrize("domain", sorted(tables.SCENES))
async def test_a_slice_comes_out_again(domain: str, stored: Any, tmp_path: Path) -> None:
    again = await tables.play(domain, tables.SLICE, tmp_path)
    scene = stored["scenes"][domain]
    assert len(scene["slice"]["run"]) == tables.SLICE
    assert again["slice"] == scene["slice"], STALE


@pytest.mark.parametrize("domain", sorted(tables.SCENES))
def test_documents_are_many_and_the_same(domain: str) -> None:
    made = tables.documents(domain, tables.DOCUMENTS)
    assert len({document.document_id for document in made}) == tables.DOCUMENTS
    assert made[:5] == tables.documents(domain, 5)
    assert made[0] != tables.documents(domain, 1, seed=tables.SEED + 1)[0]
    sentences = {sentence for document in made for sentence in document.text.split(". ")}
    assert len(sentences) > 10 * tables.DOCUMENTS


def test_a_miss_is_reported(stored: Any) -> None:
    report = json.loads(json.dumps(stored["scenes"]["cs"]["report"]))
    assert "Up; the intervals do not overlap" in tables.rendered(stored)
    report["runs"][1]["figures"]["gap"] = dict.fromkeys(("value", "low", "high"), -0.1)
    page = tables.rendered({**stored, "scenes": {"cs": {"report": report}}})
    assert "NOT up; the intervals do not overlap" in page
