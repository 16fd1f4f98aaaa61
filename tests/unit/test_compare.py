"""Comparisons over ledgers made by hand: every figure can be checked with the eye."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from autodata.checkpoints.ledger import Ledger
from autodata.cli.compare import FIGURES, to_markdown
from autodata.corpus.bootstrap import Figure, Median, Ratio, estimate
from autodata.corpus.compare import WANTED, compare
from autodata.corpus.paper import PAPER
from tests.support.commands import invoke, parsed, printed, refusal, words

WEAK_SCORES = {"d0": ["0", "1/2"], "d1": ["1/4", "1/4"], "d3": ["1"]}
"""Population deviations: 25 and 0 points; d3's attempts were curtailed."""


def an_example(
    k: int, weak: float | None, strong: float | None, rounds: int, suitability: str | None
) -> dict[str, Any]:
    judgement = {"judgement": {"grpo_suitability": suitability}} if suitability else {}
    row = {"example_id": f"e{k}", "document_id": f"d{k}", "round_id": f"r{k}", "rounds": rounds, "weak_mean": weak}
    gap = strong - weak if strong is not None and weak is not None else None
    return row | {"strong_mean": strong, "gap": gap, "example": {"domain": "legal", **judgement}}


def a_call(n: int, document: str | None, tokens_in: int | None, tokens_out: int) -> dict[str, Any]:
    row = {"key": f"k{n}", "role": "judge", "model": "m", "response": "x", "created_at": "2030-01-01T00:00:00Z"}
    return row | {"document_id": document, "tokens_in": tokens_in, "tokens_out": tokens_out}


def fill(folder: Path, **meta: str) -> Path:
    """Make a run folder of four documents, three of them accepted, and an input that was none."""
    folder.mkdir()
    asyncio.run(_fill(folder, meta))
    return folder


async def _fill(folder: Path, meta: Mapping[str, str]) -> None:
    async with Ledger.open(folder / "run.db") as ledger:
        await ledger.save(
            meta=[{"key": key, "value": value} for key, value in meta.items()],
            documents=[
                {"document_id": f"d{k}", "name": f"{k}.txt", "text": "x", "status": status}
                for k, status in enumerate(["accepted", "accepted", "errored", "accepted"])
            ]
            + [{"document_id": "skipped-1", "name": "scan.pdf", "status": "skipped"}],
            candidates=[
                {"candidate_id": f"c{k}", "question": "q" * (100 + k), "reference_answer": "", "candidate": candidate}
                for k, candidate in enumerate([{"rubric": [1, 2]}, {"rubric": [1, 2, 3]}, {}, {}])
            ],
            rounds=[
                {"round_id": f"r{k}", "document_id": f"d{k}", "thread_id": "t", "n": 1, "candidate_id": f"c{k}"}
                | {"outcome": outcome, "failure_mode": mode}
                for k, (outcome, mode) in enumerate(
                    [("accepted", None), ("accepted", None), ("open", "too_easy"), ("accepted", None)]
                )
            ]
            + [
                {"round_id": f"f{k}", "document_id": document, "thread_id": "t", "n": k, "outcome": "rejected"}
                | {"failure_mode": mode}
                for k, (document, mode) in enumerate(
                    [("d0", "too_easy"), ("d0", "too_easy"), ("d2", "failed_on_strong"), ("d2", "too_easy")], 2
                )
            ],
            attempts=[
                {"attempt_id": f"{key}/{stage}/{k}", "round_id": f"r{key[1]}", "candidate_id": "c", "stage": stage}
                | {"idx": k, "answer": "x", "score": score}
                for key, scores in WEAK_SCORES.items()
                for k, score in enumerate(scores)
                for stage in ("weak", "strong")
            ],
            examples=[
                an_example(0, 0.25, 0.75, 3, "high"),
                an_example(1, 0.25, 1.0, 1, "low"),
                an_example(3, None, None, 2, None),
            ],
            calls=[a_call(1, "d0", 10, 20), a_call(2, "d0", None, 30), a_call(3, "d2", 40, 50), a_call(4, None, 9, 9)],
        )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return fill(tmp_path / "run", kind="run", domain="legal")


VALUES = {
    "accepted_share": 3 / 4,
    "weak_mean": 0.25,
    "strong_mean": 0.875,
    "gap": 0.625,
    "weak_std": 12.5,
    "rounds_mean": 2.0,
    "rounds_median": 2,
    "rounds_max": 3,
    "question_chars": (100 + 101 + 103) / 3,
    "rubric_items": 2.5,
    "failed:too_easy": 3 / 4,
    "failed:failed_on_strong": 1 / 4,
    "grpo:high": 0.5,
    "grpo:medium": 0.0,
    "grpo:low": 0.5,
    "calls_per_accepted": 1.0,
    "tokens_per_accepted": 50.0,
}


async def _waits(folder: Path) -> None:
    async with Ledger.open(folder / "run.db") as ledger:
        rows = [{"document_id": "d8", "name": "8.txt", "text": "x", "status": "waiting"}]
        await ledger.save(documents=[*rows, {"document_id": "d9", "name": "9.txt", "text": "x"}])


@pytest.mark.slow
def test_documents_that_wait_or_are_open_are_said(run: Path) -> None:
    whole = words(printed("compare", run, "--markdown", "-"))
    assert "waiting for a person" not in whole
    asyncio.run(_waits(run))
    (found,) = parsed("compare", run, "--json")["runs"]
    assert (found["documents"], found["unfinished"], found["waiting"]) == (6, 3, 1)
    text = words(printed("compare", run, "--markdown", "-"))
    assert "| unfinished documents | 3 |" in text
    assert "| of these waiting for a person | 1 |" in text
    assert "may still move" in text
    assert "of these waiting" in words(printed("compare", run, columns=200))


def test_every_figure(run: Path) -> None:
    report = parsed("compare", run, "--json")
    (found,) = report["runs"]
    values = {name: figure["value"] for name, figure in found["figures"].items()}
    assert {name: values[name] for name in VALUES} == pytest.approx(VALUES)
    assert all(value == 0 for name, value in values.items() if name not in VALUES)
    assert set(values) == set(WANTED) | {"rounds_max"} == set(FIGURES)
    named = {name: found[name] for name in ("name", "kind", "domain", "over", "documents", "accepted", "unfinished")}
    assert named == {
        "name": str(run),
        "kind": "run",
        "domain": "legal",
        "over": "accepted examples",
        "documents": 4,
        "accepted": 3,
        "unfinished": 1,
    }
    assert found["signals"]["failed_on_strong"][0] == {"n": 1, "closed": 3, "failed": 0, "share": 0.0}
    assert report["paper"] == []
    assert report["intervals"]["resamples"] >= 2000


def test_intervals_hold_their_value_and_repeat(run: Path) -> None:
    report = parsed("compare", run, "--json")
    assert report == parsed("compare", run, "--json")
    for name, figure in report["runs"][0]["figures"].items():
        if name == "rounds_max":
            assert (figure["low"], figure["high"]) == (None, None)
        else:
            assert figure["low"] <= figure["value"] <= figure["high"], name
    wide = report["runs"][0]["figures"]
    assert (wide["weak_std"]["low"], wide["weak_std"]["high"]) == (0.0, 25.0)
    assert (wide["gap"]["low"], wide["gap"]["high"]) == (0.5, 0.75)


def test_the_table_for_people(run: Path) -> None:
    text = words(printed("compare", run, columns=200))
    assert "accepted of documents 75.0% [" in text
    assert "weak 0.250 [0.250, 0.250]" in text
    assert "gap 0.625 [0.500, 0.750]" in text
    assert "std of the weak attempts, points 12.50 [0.00, 25.00]" in text
    assert "rounds, max 3 " in text
    assert "failed rounds: too easy 75.0% [" in text
    assert "final check" not in text, "a failure that never came is no row"
    assert "grpo suitability medium 0.0% [0.0%, 0.0%]" in text
    assert "a run: over accepted examples" in text
    assert "unfinished documents 1" in text
    assert "paper" not in text
    assert "failed on strong, round 4 on" not in text
    assert "failed on strong, rounds 4-6" in text


@pytest.mark.slow
def test_a_baseline_beside_the_paper(run: Path, tmp_path: Path) -> None:
    base = fill(tmp_path / "base", kind="baseline", domain="legal")
    text = printed("compare", base, run, "--paper", "--markdown", "-")
    rows = {cells[0]: cells[1:] for line in text.splitlines() if (cells := [c.strip() for c in line.split("|")[1:-1]])}
    assert rows["figure"] == [
        *(str(base), str(run), "paper, legal: CoT Self-Instruct", "paper, legal: Agentic"),
    ]
    assert rows["figures are over"] == ["all examples that passed the quality check", "accepted examples", "", ""]
    assert rows["weak"] == ["0.250 [0.250, 0.250]"] * 2 + ["0.159", "0.283"]
    assert rows["std of the weak attempts, points"][2:] == ["7.93", "12.63"]
    assert rows["rounds, max"] == ["3", "3", "", "19"]
    assert rows["question, characters"][2:] == ["1,569", "900"]
    assert rows["grpo suitability high"][2:] == ["4.8%", "52.0%"]
    assert "a baseline: over all examples that passed the quality check; a run: over accepted examples" in text
    report = parsed("compare", base, run, "--paper", "--json")
    assert [column["method"] for column in report["paper"]] == ["CoT Self-Instruct", "Agentic"]
    assert to_markdown(report) == text


def test_the_papers_figures_are_figures_of_the_table() -> None:
    for columns in PAPER.values():
        for column in columns.values():
            assert set(column) <= set(FIGURES)
            assert column["strong_mean"] - column["weak_mean"] == pytest.approx(column["gap"])
    methods = PAPER["cs"]
    assert (methods["Agentic"]["rounds_mean"], methods["CoT Self-Instruct"]["question_chars"]) == (6.59, 723)
    assert sum(value for name, value in methods["Agentic"].items() if name.startswith("failed:")) == pytest.approx(1)


def test_an_older_folder_is_a_run_of_its_examples_domain(tmp_path: Path) -> None:
    (found,) = parsed("compare", fill(tmp_path / "old"), "--json")["runs"]
    assert (found["kind"], found["domain"]) == ("run", "legal")


async def test_a_run_without_documents(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        report = await compare({"empty": ledger}, paper=True)
        (found,) = report["runs"]
        assert {name for name, figure in found["figures"].items() if figure["value"] is not None} == set()
        assert (found["documents"], found["accepted"], report["paper"]) == (0, 0, [])
        assert "| documents | 0 |" in to_markdown(report)


def test_files_and_mistakes(run: Path, tmp_path: Path) -> None:
    assert invoke("compare", run, "--markdown", tmp_path / "t.md").stdout == ""
    assert (tmp_path / "t.md").read_text("utf-8") == printed("compare", run, "--markdown", "-")
    both = invoke("compare", run, "--json", "--markdown", tmp_path / "u.md")
    assert json.loads(both.stdout)["runs"]
    assert (tmp_path / "u.md").exists()
    assert "both write to standard output" in refusal("compare", run, "--json", "--markdown", "-")
    assert "choose another --markdown FILE" in refusal("compare", run, "--markdown", tmp_path / "no" / "t.md")
    assert "name a folder that" in refusal("compare", run, tmp_path / "none")
    assert invoke("compare").exit_code == 2


# Intervals


def test_an_interval_is_about_two_standard_errors() -> None:
    values = [float((k * 37) % 101) for k in range(100)]
    columns = {"value": values, "one": [1.0] * 100}
    found = estimate(columns, {"mean": Ratio("value", "one"), "median": Median("value", "one")}, seed=3)
    error = stdev(values) / 10
    assert found["mean"].value == pytest.approx(mean(values))
    assert found["mean"].low == pytest.approx(mean(values) - 1.96 * error, abs=0.3 * error)
    assert found["mean"].high == pytest.approx(mean(values) + 1.96 * error, abs=0.3 * error)
    assert found["median"].low is not None
    assert found["median"].low < 50 < (found["median"].high or 0)
    assert estimate(columns, {"mean": Ratio("value", "one")}, seed=4)["mean"] != found["mean"]


def test_one_document_has_no_interval_and_nothing_no_value() -> None:
    wanted: dict[str, Ratio | Median] = {"share": Ratio("part", "whole"), "median": Median("part", "whole")}
    assert estimate({"part": [1], "whole": [2]}, wanted) == {"share": Figure(0.5), "median": Figure(1)}
    assert estimate({"part": [1, 1], "whole": [0, 0]}, wanted) == {"share": Figure(None), "median": Figure(None)}
    assert estimate({}, wanted) == {"share": Figure(None), "median": Figure(None)}


def test_samples_without_the_figure_are_left_out() -> None:
    found = estimate({"part": [0, 3], "whole": [0, 2]}, {"share": Ratio("part", "whole")})
    assert found["share"] == Figure(1.5, 1.5, 1.5)


def test_a_mean_of_zero_has_an_interval_unless_all_is_zero() -> None:
    columns = {"both": [-1, 1], "none": [0, 0], "one": [1, 1]}
    found = estimate(columns, {"both": Ratio("both", "one"), "none": Ratio("none", "one")})
    assert found == {"both": Figure(0, -1, 1), "none": Figure(0, 0, 0)}
