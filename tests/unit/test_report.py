"""The report on one page: its figures from rows made by hand, and that no text of a stranger becomes markup."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import math
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.vectors import to_bytes
from autodata.cli.report import names_of
from autodata.cli.view import Pages
from autodata.corpus.reporting import Source, plots, read_source, report_page
from autodata.corpus.reporting.figures import (
    STEPS,
    Gate,
    Step,
    by_round,
    funnel,
    gap_histogram,
    gates,
    last_step,
    modes_in_order,
    points,
)
from autodata.corpus.reporting.maps import question_map
from autodata.corpus.reporting.packing import LIMITS, pack
from autodata.corpus.reporting.search import Iteration, PackScore, Search, lineage
from autodata.corpus.reporting.search_picture import search_picture
from autodata.corpus.reporting.trajectories import trajectory_round
from tests.support.commands import invoke, refusal
from tests.support.stages import first_quick

SUMMARY = (
    "documents accepted weak_mean strong_mean gap_mean rounds_per_accepted calls_per_accepted cost_usd rejected skipped"
    " errored pending waiting dropped"
).split()
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]> &lt;b&gt; \u2028 \x00\x1b[31m",
    "\u202egnirts desrever\u202c \u2066isolated",
    "{{ 7 * 7 }} {% raw %}",
    "'\"><svg/onload=alert(1)>",
]


def candidate(question: str = "Why so high?", **changes: Any) -> dict[str, Any]:
    rubric = [{"criterion": "Names the moon", "weight": 3}, {"criterion": "Blames the wind", "weight": -2}]
    found = {"question": question, "context": "At sea.", "reference_answer": "The moon.", "rubric": rubric}
    return {**found, "question_type": "cause", "skills": ["tides"], **changes}


def checks(weak: float, strong: float | None = None) -> list[dict[str, Any]]:
    found = [{"name": "weak mean", "value": f"{weak}", "bound": "< 0.50", "passed": weak < 0.5}]
    if strong is not None:
        found += [{"name": "strong mean", "value": f"{strong}", "bound": ">= 0.65", "passed": strong >= 0.65}]
        found += [{"name": "gap", "value": f"{strong - weak}", "bound": ">= 0.20", "passed": True}]
    return found


QUALITY = {"candidate_id": "c2", "leaks": False, "passed": True, "why": "none"}


async def write_run(
    folder: Path, question: str = "Why so high?", answer: str = "The moon.", name: str = "a.md"
) -> None:
    """Write two documents: one rejected as too easy and then accepted, the other refused and then an error."""
    rows: dict[str, list[dict[str, Any]]] = {
        "documents": [
            {"document_id": "d1", "name": name, "title": name, "status": "accepted", "text": "t", "rounds": 2},
            {"document_id": "d2", "name": "b.md", "status": "errored", "status_reason": question, "rounds": 1},
            {"document_id": "skipped-1", "name": "c.md", "status": "skipped"},
            {"document_id": "d3", "name": "left out.md", "status": "dropped"},
        ],
        "failures": [
            {"failure_id": "f", "document_id": "d2", "kind": "endpoint", "message": answer, "created_at": "2030"}
        ],
        "candidates": [
            {"candidate_id": key, "question": question, "reference_answer": "r", "candidate": candidate(question)}
            for key in ("c1", "c2")
        ],
        "rounds": [
            {"round_id": "r1", "document_id": "d1", "thread_id": "main/d1", "n": 1, "candidate_id": "c1"}
            | {"outcome": "rejected", "failure_mode": "too_easy", "weak_mean": 0.75, "feedback": answer},
            {"round_id": "r2", "document_id": "d1", "thread_id": "main/d1", "n": 2, "candidate_id": "c2"}
            | {"outcome": "accepted", "weak_mean": 0.25, "strong_mean": 1.0, "gap": 0.75, "quality": QUALITY},
            {"round_id": "r3", "document_id": "d2", "thread_id": "main/d2", "n": 1}
            | {"outcome": "rejected", "failure_mode": "malformed_candidate", "reason": question},
        ],
        "attempts": [
            {"attempt_id": f"{of}{stage}", "round_id": of, "candidate_id": "c", "stage": stage, "idx": 0, "model": "m"}
            | {"answer": answer, "score": score, "truncated": stage == "weak"}
            for of, stage, score in (("r1", "weak", "3/4"), ("r2", "strong", "1"), ("r2", "weak", "1/4"))
        ],
        "marks": [
            {
                "attempt_id": "r2strong",
                "criterion": 0,
                "text": "Names the moon",
                "weight": 3,
                "met": 1,
                "reason": answer,
            },
            {"attempt_id": "r2strong", "criterion": 1, "text": "Blames the wind", "weight": -2, "met": 0},
        ],
        "verdicts": [
            {"round_id": "r1", "stage": "weak", "preset": "paper", "decision": "reject", "failure_mode": "too_easy"}
            | {"checks": checks(0.75)},
            {"round_id": "r2", "stage": "strong", "preset": "paper", "decision": "accept", "checks": checks(0.25, 1.0)},
        ],
        "calls": [
            {"key": "k", "role": "weak_solver", "model": "m", "response": "x", "created_at": "2030"}
            | {"cost_usd": 0.5, "tokens_in": 1234, "tokens_out": 7}
        ],
        "examples": [
            {"example_id": "e", "document_id": "d1", "round_id": "r2", "example": {}, "rounds": 2}
            | {"weak_mean": 0.25, "strong_mean": 1.0, "gap": 0.75}
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a folder of a test
    async with Ledger.open(folder / "run.db") as ledger:
        await ledger.save(meta=[{"key": "kind", "value": "run"}, {"key": "domain", "value": "cs"}], **rows)


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Source]:
    await write_run(tmp_path)
    async with Ledger.open(tmp_path / "run.db") as ledger:
        yield await read_source(ledger, "first")


class Page(HTMLParser):
    """A page as a browser reads it: its elements, its text, its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._within = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.scripts[-1] += data
        else:
            self.text += data

    @property
    def data(self) -> dict[str, Any]:
        """What the script of the page reads."""
        (packed,) = (attrs["data-packed"] for tag, attrs in self.elements if attrs.get("id") == "data")
        text = self.scripts[0]
        found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(text)) if packed == "gzip" else text)
        return found


# Figures


async def test_every_round_with_what_belongs_to_it(source: Source) -> None:
    first, second, skipped = source.documents
    assert (first["id"], first["status"], [row["n"] for row in first["rounds"]]) == ("d1", "accepted", [1, 2])
    easy, kept = first["rounds"]
    assert (easy["outcome"], easy["mode"], easy["weak"], easy["strong"]) == ("rejected", "too_easy", 0.75, None)
    assert easy["feedback"] == "The moon."
    assert (kept["question"], kept["type"], kept["skills"]) == ("Why so high?", "cause", ["tides"])
    assert kept["rubric"] == [[3, "Names the moon", ""], [-2, "Blames the wind", ""]]
    assert [(one["stage"], one["score"], one["cut"]) for one in kept["attempts"]] == [
        ("weak", 0.25, True),
        ("strong", 1.0, False),
    ]
    assert kept["attempts"][1]["marks"] == [
        ["Names the moon", 3, True, "The moon."],
        ["Blames the wind", -2, False, ""],
    ]
    assert kept["verdicts"][0]["checks"][1] == ["strong mean", "1.0", ">= 0.65", True]
    assert kept["quality"] == "passed: yes\nleaks: no\nwhy: none"
    assert second["errors"] == ["endpoint: The moon."]
    assert skipped["rounds"] == []


async def test_the_funnel_the_gates_and_the_points(source: Source) -> None:
    assert funnel(source.documents) == [
        Step("documents given", 3, 0),
        Step("documents that can be used", 2, 0),
        Step("a question was asked", 2, 3),
        Step("well-formed and new", 1, 2),
        Step("passed the quality check", 1, 2),
        Step("passed the weak gate", 1, 1),
        Step("passed the strong gate", 1, 1),
        Step("accepted", 1, 1),
    ]
    bounds = [Gate("weak mean", "<", 0.5), Gate("strong mean", ">=", 0.65), Gate("gap", ">=", 0.2)]
    assert gates(source.documents) == bounds
    assert [(dot.weak, dot.strong, dot.accepted) for dot in points(source.documents)] == [
        (0.75, None, False),
        (0.25, 1.0, True),
    ]
    histogram = gap_histogram(source.documents)
    assert sum(map(sum, histogram)) == 1
    assert histogram[17] == (1, 0)  # 0.7 to 0.8
    columns = by_round(source.documents)
    assert [(column.n, column.closed, column.accepted, column.modes) for column in columns] == [
        (1, 2, 0, {"too_easy": 1, "malformed_candidate": 1}),
        (2, 1, 1, {}),
    ]
    assert modes_in_order(columns) == ["malformed_candidate", "too_easy"]


@pytest.mark.parametrize(
    ("mode", "stages", "step"),
    [
        ("duplicate_question", (), 0),
        ("failed_quality_check", (), 1),
        ("degenerate_weak", ("weak",), 2),
        ("gap_too_small", ("weak", "strong"), 3),
        ("post_filter", (), 1),
        ("post_filter", ("weak", "strong"), 4),
        ("rejected_by_reviewer", ("weak",), 2),
        ("one of a package", ("weak", "strong"), 4),
    ],
)
def test_how_far_a_rejected_round_came(mode: str, stages: Sequence[str], step: int) -> None:
    row = {"outcome": "rejected", "mode": mode, "attempts": [{"stage": stage} for stage in stages]}
    assert last_step(row) == step
    assert last_step({**row, "outcome": "accepted"}) == len(STEPS) - 1


def a_row(**changes: Any) -> dict[str, Any]:
    names = "failure_mode feedback passage weak_mean strong_mean gap quality judgement"
    return {"n": 1, **dict.fromkeys(names.split()), "outcome": "accepted", "candidate": "", "reason": "", **changes}


def an_attempt(stage: str, score: float | None) -> tuple[dict[str, Any], Sequence[Mapping[str, Any]]]:
    row = {"stage": stage, "idx": 0, "answer": "x", "score_value": score, "decided_by": None, "model": "m"}
    return row | {"truncated": 0, "answered": 1}, ()


def test_means_of_attempts_that_stopped_early_are_those_of_the_attempts_made() -> None:
    attempts = [an_attempt("weak", 0.0), an_attempt("weak", 0.5), an_attempt("strong", 1.0), an_attempt("strong", None)]
    found = trajectory_round(a_row(), attempts)
    assert (found["weak"], found["strong"], found["gap"], found["partial"]) == (0.25, 1.0, 0.75, True)
    assert trajectory_round(a_row(), attempts[:1])["strong"] is None
    whole = trajectory_round(a_row(weak_mean=0.4, strong_mean=0.8, gap=0.4), attempts)
    assert (whole["weak"], whole["strong"], whole["gap"], whole["partial"]) == (0.4, 0.8, 0.4, False)


async def test_pictures_stay_within_their_area(source: Source) -> None:
    bounds = [*gates(source.documents), Gate("gap", ">=", -0.3), Gate("gap", "<", 2.0)]
    drawn = plots.scatter(points(source.documents), bounds)
    assert [line.label for line in drawn.lines] == [str(gate) for gate in bounds[:-1]]
    assert all(0 <= at <= plots.SIDE for line in drawn.lines for at in (line.x1, line.y1, line.x2, line.y2))
    assert [dot.kind for dot in drawn.dots] == ["unasked", "yes"]
    columns = by_round(source.documents)
    for picture in (
        plots.gaps(gap_histogram(source.documents), bounds),
        plots.modes(columns, modes_in_order(columns)),
        plots.gaps([(0, 0)] * 20, ()),
        plots.modes([], []),
    ):
        assert all(bar.y >= -0.1 and bar.y + bar.height <= plots.SIDE + 0.1 for bar in picture.bars)


# The page


def refers_elsewhere(page: Page, html: str) -> list[str]:
    """Whatever on a page would make a browser ask another place, or run what is not ours."""
    found = []
    for tag, attrs in page.elements:
        found += [tag] * (tag in {"link", "iframe", "object", "embed", "base", "img", "audio", "video"})
        for name, value in attrs.items():
            link = name in {"href", "src", "srcset", "action", "data", "poster", "xlink:href"}
            found += [f"{tag} {name}={value}"] * ((link and not (value or "").startswith("#")) or name.startswith("on"))
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    found += re.findall(r"url\(|@import", style)
    return found + re.findall(
        r"\bfetch\(|XMLHttpRequest|WebSocket|EventSource|\bimport\b|innerHTML|eval\(", page.scripts[1]
    )


async def test_the_page_holds_all_it_needs_and_says_the_figures(source: Source) -> None:
    html = report_page([source]).html
    page = Page(html)
    assert refers_elsewhere(page, html) == []
    assert len(page.scripts) == 2
    (policy,) = (attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv"))
    assert (policy or "").startswith("default-src 'none';")
    assert page.data["runs"][0]["documents"][0]["name"] == "a.md"
    for figure in ("1,234", "gates: weak mean < 0.50, strong mean >= 0.65, gap >= 0.20", "too easy", "0.5000", "0.75"):
        assert figure in page.text
    assert sum(tag == "circle" for tag, _ in page.elements) == 2
    assert "1 were dropped" in page.text
    assert "left out.md" not in html
    assert report_page([source]).html == html
    assert {"outcome", "mode", "type", "measure", "low", "high", "text"} == {
        attrs["name"] for tag, attrs in page.elements if tag in {"select", "input"}
    }


async def test_confirmed_figures_stand_beside_the_selecting_ones(source: Source) -> None:
    assert "Confirmed by fresh attempts" not in report_page([source]).html
    side = {"selecting": 0.5, "confirmed": 0.375, "low": 0.25, "high": 0.5}
    found = {"attempts": 4, "candidates": 1200, "refused": 3, "weak": side, "strong": side, "gap": side}
    found["shrinkage"] = {"value": 0.125, "low": 0.0, "high": None}
    html = report_page([replace(source, summary={**source.summary, "confirmed": found})]).html
    assert '<th scope="row">gap</th><td>0.50</td><td>0.38</td><td>0.25 to 0.50</td>' in html
    assert "Over 1,200 candidates with 4 + 4 fresh attempts each" in html
    assert "3 of them were refused" in html


def test_a_script_would_be_found_to_refer_elsewhere() -> None:
    html = (
        "<style>a{background:url(x)}</style><img onerror=a><a href=http://x><script>1</script><script>fetch(1)</script>"
    )
    assert len(refers_elsewhere(Page(html), html)) == 5


@pytest.mark.parametrize("text", first_quick(*HOSTILE, quick=2))
async def test_hostile_text_stays_text(text: str, tmp_path: Path) -> None:
    await write_run(tmp_path, question=text, answer=text, name=text)
    async with Ledger.open(tmp_path / "run.db") as ledger:
        read = await read_source(ledger, text)
    html = report_page([read, replace(read, name="other")]).html
    page = Page(html)
    assert refers_elsewhere(page, html) == []
    assert len(page.scripts) == 2
    texts = page.data["texts"]
    document = page.data["runs"][0]["documents"][0]
    shown = document["name"]
    assert (texts[shown] if isinstance(shown, int) else shown) == text
    # Neither markup nor what a parser of HTML looks for in a script stands in the data.
    assert not re.search("[<>&\u2028\u202e\u2066]", page.scripts[0])
    safe = report_page([replace(read, name="plain")]).html
    assert [tag for tag, _ in Page(safe).elements] == [tag for tag, _ in Page(report_page([read]).html).elements]


@pytest.mark.slow
async def test_a_line_of_a_megabyte_is_shortened_and_the_page_says_so(tmp_path: Path) -> None:
    letters = Random(3)
    line = "".join(letters.choices("abcdefghijklmnopqrstuvwxyz<&é", k=1_000_000))
    await write_run(tmp_path, answer=line)
    async with Ledger.open(tmp_path / "run.db") as ledger:
        read = await read_source(ledger, "first")
    whole = report_page([read])
    assert whole.limit is None
    assert line in Page(whole.html).data["texts"]
    small = report_page([read], most_bytes=120_000)
    assert small.size <= 120_000
    assert small.limit is not None
    page = Page(small.html)
    assert [line[: small.limit.answers], 1_000_000] in page.data["texts"]
    assert f"answers and other texts are shortened to {small.limit.answers:,} characters" in page.text


async def test_documents_are_on_the_page_and_shortened_before_all_else(source: Source) -> None:
    words = " ".join(f"word{n}" for n in range(3_000))
    documents = [{**one, "text": f"{one['name']} {words}"} for one in source.documents]
    whole = Page(report_page([replace(source, documents=documents)]).html).data
    assert any(one == f"a.md {words}" for one in whole["texts"])
    room = report_page([source]).size + 5_000
    report = report_page([replace(source, documents=documents)], most_bytes=room)
    assert report.size <= room
    assert report.limit is not None
    assert report.limit.sources < len(words)
    page = Page(report.html)
    (cut,) = (one for one in page.data["texts"] if isinstance(one, list) and one[0].startswith("a.md"))
    assert cut[1] == len(words) + 5
    assert len(cut[2].split()) <= report.limit.words
    assert f"Documents' own texts are shortened to {report.limit.sources:,} characters" in page.text


def many(documents: int, random: Random) -> list[dict[str, Any]]:
    """Documents whose texts are words at random, so that they compress no better than what models write."""
    words = ["".join(random.choices("etaoinshrdlu", k=random.randint(2, 9))) for _ in range(6_000)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(len(words))))  # as often as words of a language are

    def said(count: int) -> str:
        return " ".join(random.choices(words, cum_weights=weights, k=count))

    def of_round(n: int) -> dict[str, Any]:
        rubric = [[3, said(15), ""] for _ in range(12)]
        attempts = [
            {"stage": stage, "index": index, "score": 0.5, "answer": said(250), "model": "m", "by": "judge"}
            | {"cut": False, "unanswered": False, "marks": [[text, 3, True, said(12)] for _, text, _ in rubric]}
            for stage in ("weak", "strong")
            for index in range(3)
        ]
        found = trajectory_round(a_row(n=n, weak_mean=0.3, strong_mean=0.7, gap=0.4, feedback=said(150), passage=""))
        return found | {"question": said(60), "context": said(120), "rubric": rubric, "attempts": attempts}

    names = ("title", "why", "note")
    return [
        {"id": f"{n:016x}", "name": f"{n}.md", "status": "accepted", "errors": [], **dict.fromkeys(names, "")}
        | {"rounds": [of_round(1), of_round(2), of_round(3)]}
        for n in range(documents)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("documents", "most"), [(30, 200_000), (1_000, 5_000_000)])
async def test_the_page_stays_small(documents: int, most: int, source: Source) -> None:
    read = replace(source, documents=many(documents, Random(1)))
    report = report_page([read], most_bytes=most)
    assert report.size <= most
    data = Page(report.html).data
    assert len(data["runs"][0]["documents"]) == documents
    assert report.limit is not None
    assert report.limit.questions >= 400
    assert documents > 100 or report_page([read], most_bytes=10 * most).limit is None


def test_what_cannot_fit_is_as_short_as_it_can_be() -> None:
    packed = pack({"runs": [{"name": "r", "documents": many(5, Random(2))}]}, 100)
    assert (packed.compressed, packed.limit) == (True, LIMITS[-1])


async def test_nothing_of_an_attempt_is_lost_on_the_page(source: Source) -> None:
    first = dict(source.documents[0])
    row = dict(first["rounds"][1])
    row["attempts"] = [{**row["attempts"][0], "score": 0.0}, row["attempts"][1]]
    data = Page(report_page([replace(source, documents=[first | {"rounds": [row]}])]).html).data
    weak, strong = data["runs"][0]["documents"][0]["rounds"][0]["attempts"]
    assert (weak["index"], weak["score"], weak["cut"], weak["met"]) == (0, 0.0, True, "")
    assert (strong["score"], strong["met"], strong["reasons"]) == (1.0, "10", ["The moon.", ""])
    assert "criteria" not in strong  # they are the rubric's


async def test_marks_of_other_criteria_than_the_rubrics_bring_their_own(source: Source) -> None:
    first = dict(source.documents[0])
    row = {**first["rounds"][1], "rubric": []}
    data = Page(report_page([replace(source, documents=[first | {"rounds": [row]}])]).html).data
    strong = data["runs"][0]["documents"][0]["rounds"][0]["attempts"][1]
    texts = data["texts"]
    assert [[weight, texts[text]] for weight, text, _ in strong["criteria"]] == [
        [3, "Names the moon"],
        [-2, "Blames the wind"],
    ]


async def test_two_runs_stand_side_by_side_and_a_search_shows_its_line(source: Source) -> None:
    versions: dict[str, dict[str, Any]] = {
        "p0": {"parent": None, "iteration": 0, "summary": "", "diff": ""},
        "p1": {"parent": "p0", "iteration": 2, "summary": "asks <b>harder</b>", "diff": "+ harder"},
    }
    rows = [
        Iteration(1, "p0", "p9", "rejected", "0.50 against 0.50", 0.5, 0.5, False),
        Iteration(2, "p0", "p1", "accepted", "better", 0.5, 0.75, True),
    ]
    packs = [
        PackScore("p0", 0, (), 0.5, 0.4, 0.6, member=True, winner=False),
        PackScore("p9", 1, ("p0",), 0.5, None, None, member=False, winner=False),
        PackScore("p1", 2, ("p0", "gone"), 0.75, 0.7, 0.8, member=True, winner=True),
    ]
    search = Search(packs, rows, lineage(versions, "p1"))
    assert [version.pack for version in search.lineage] == ["p0", "p1"]
    assert lineage({"a": {**versions["p0"], "parent": "a"}}, "a")[0].pack == "a"  # a circle ends
    html = report_page([source, replace(source, name="second"), Source("found", search=search)]).html
    page = Page(html)
    assert "Side by side" in page.text
    assert "asks <b>harder</b>" in page.text
    assert "1 accepted, 1 rejected" in page.text
    assert [run["name"] for run in page.data["runs"]] == ["first", "second"]
    alone = Page(report_page([Source("found", search=search)]).html)
    assert alone.scripts == []
    assert "0.750 (0.700 to 0.800)" in page.text
    picture = search_picture(search)
    half = plots.SIDE / 2
    assert [(dot.kind, dot.x, dot.y) for dot in picture.dots] == [
        ("yes", 0, half),
        ("no", half, half),
        ("best", plots.SIDE, half / 2),
    ]
    assert picture.dots[0].label == "baseline, p0: 0.500 (0.400 to 0.600)"
    assert [(line.kind, line.x1, line.y1, line.x2, line.y2) for line in picture.lines] == [
        ("gate", 0, half, plots.SIDE, half),
        ("interval", 0, plots.SIDE * 0.6, 0, plots.SIDE * 0.4),
        ("edge", 0, half, half, half),
        ("best", 0, half, plots.SIDE, half / 2),
        ("interval", plots.SIDE, plots.SIDE - 224, plots.SIDE, plots.SIDE - 256),
    ]
    assert search_picture(Search((), (), ())).dots == []


def questions(count: int) -> list[dict[str, Any]]:
    """Documents with a question each; every fourth was rejected."""
    topics = ("tide moon harbour water", "proof lemma theorem bound", "enzyme cell protein acid")
    random = Random(5)
    return [
        {"id": str(n), "name": f"{n}.md", "status": "accepted", "errors": [], "title": "", "why": "", "note": ""}
        | {
            "rounds": [
                trajectory_round(a_row(n=2, outcome="rejected" if n % 4 == 3 else "accepted", feedback="", passage=""))
                | {"question": f"Why {' '.join(random.choices(topics[n % 3].split(), k=6))}{n}?"}
            ]
        }
        for n in range(count)
    ]


def test_the_map_places_like_questions_together() -> None:
    documents = questions(40)
    found = question_map(documents)
    assert found is not None
    assert (found.model, found.rejected, len(found.picture.dots)) == ("", True, 40)
    assert sum(count for _, count in found.groups) == 30
    assert {dot.kind for dot in found.picture.dots} <= {"no", *(f"mode{n}" for n in range(12))}
    assert all(0 <= at <= plots.SIDE for dot in found.picture.dots for at in (dot.x, dot.y))
    places = {dot.document: (dot.x, dot.y) for dot in found.picture.dots}
    apart = [math.dist(places[n], places[m]) for n in range(9) for m in range(n) if n % 3 != m % 3]
    together = [math.dist(places[n], places[m]) for n in range(9) for m in range(n) if n % 3 == m % 3]
    assert sum(together) / len(together) < 0.5 * sum(apart) / len(apart)
    assert question_map(documents[:2]) is None


def test_the_map_of_an_embedding_model_holds_accepted_questions_alone_and_names_it() -> None:
    documents = questions(8)
    kept = {one["rounds"][0]["question"]: to_bytes([1, n, 0]) for n, one in enumerate(documents)}
    found = question_map(documents, ("<b>m</b>", kept))
    assert found is not None
    assert (found.rejected, sorted(dot.document for dot in found.picture.dots)) == (False, [0, 1, 2, 4, 5, 6])
    read = Source("r", summary=dict.fromkeys(SUMMARY), documents=documents, embedded=("<b>m</b>", kept))
    page = Page(report_page([replace(read, summary={**read.summary, "truncation": {"by_role": {}}})]).html)
    assert "as the embedding model <b>m</b> has it" in page.text


# Commands


def test_folders_are_called_by_what_distinguishes_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="named twice"):
        names_of([tmp_path / "run", tmp_path / "run" / ".." / "run"])
    assert names_of([tmp_path / "a" / "run", tmp_path / "b" / "run"]) == ["a/run", "b/run"]
    assert names_of([tmp_path / "run"]) == ["run"]


def test_a_page_is_written_whole_and_what_is_wrong_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, out = tmp_path / "run", tmp_path / "report.html"
    asyncio.run(write_run(run))
    assert "MB written to" in invoke("report", str(run), "--out", str(out)).stderr
    assert Page(out.read_text("utf-8")).data["runs"][0]["name"] == "run"
    assert "no such folder" in refusal("report", str(tmp_path / "none"), "--out", str(out))
    assert "named twice" in refusal("report", str(run), f"{run}/", "--out", str(out))
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert "autodata-langgraph[report]" in refusal("report", str(run), "--out", str(out))


def test_a_served_page_is_made_anew_when_the_run_went_on(tmp_path: Path) -> None:
    asyncio.run(write_run(tmp_path))
    pages = Pages([tmp_path], 5)
    first = pages.page()
    assert pages.page() is first
    assert "Load again" in Page(first.decode()).text

    async def goes_on() -> None:
        async with Ledger.open(tmp_path / "run.db") as ledger:
            await ledger.save(documents=[{"document_id": "d4", "name": "new.md"}])

    asyncio.run(goes_on())
    assert b"new.md" in pages.page()


async def test_the_script_knows_every_name_of_the_data(source: Source) -> None:
    row = {**source.documents[0]["rounds"][1], "rubric": [], "labels": ["asked"], "partial": True, "passage": "Here."}
    page = Page(report_page([replace(source, documents=[{**source.documents[0], "rounds": [row]}])]).html)
    names: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            names.update(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    walk(page.data)
    assert {"rounds", "question", "passage", "criteria", "reasons", "labels", "partial"} <= names
    unread = {name for name in names if not re.search(rf"\b{name}\b", page.scripts[1])}
    assert unread <= {"id"}
