"""What `autodata analyse` says of examples: each figure from examples made so that it is known."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.vectors import to_bytes
from autodata.cli.analyse import texts_of
from autodata.corpus.analysis.contamination import contaminated
from autodata.corpus.analysis.coverage import coverage, evenness
from autodata.corpus.analysis.doubles import doubles
from autodata.corpus.analysis.learnability import learnability
from autodata.corpus.analysis.likeness import Embedded, likeness
from autodata.corpus.analysis.rubrics import rubric_health
from autodata.corpus.exporters.rows import ExampleRow
from autodata.corpus.near_duplicates import clusters
from tests.support.commands import refusal
from tests.unit.test_export import rich

LONG = "Why does the water in a long harbour rise twice a day and not once, although there is one moon{}?"


def asked(number: int, question: str, **changes: Any) -> ExampleRow:
    return rich(number, candidate={"question": question, **changes})


def test_the_same_question_and_one_that_differs_in_a_word() -> None:
    rows = [
        asked(1, LONG.format("")),
        asked(2, LONG.format("")),
        asked(3, LONG.format(" alone")),
        asked(4, "Which wall holds back the tide, and what would it cost to raise it by a metre?"),
    ]
    found = doubles(rows)
    assert found["exact"] == {"groups": [["e1", "e2"]], "beyond_first": 1, "share": 0.25}
    assert found["near"] == {"groups": [["e1", "e2", "e3"]], "beyond_first": 2, "share": 0.5}
    assert doubles([])["near"] == {"groups": [], "beyond_first": 0, "share": None}


def test_operators_distinguish_questions() -> None:
    assert clusters(["x + 3 = 5", "x - 3 = 5"]) == [0, 1]


def test_where_nothing_stands_between_words_each_letter_is_one() -> None:
    """A sentence of such a script is no single word, which one changed letter would make another text."""
    text = "港口的水为什么每天涨两次而不是一次虽然只有一个月亮"
    assert clusters([text, f"{text}呢", "谁来支付加高这道堤坝的费用需要多少年才能还清"]) == [0, 0, 2]
    found = contaminated([asked(1, text)], {"b": [f"题目 {text}呢"], "c": ["谁来支付"]})
    assert [(one["example"], one["where"]) for one in found] == [("e1", "b")]


def test_a_context_out_of_a_benchmark_is_found_too() -> None:
    (found,) = contaminated([asked(1, "Why?", context=LONG.format(""))], {"b": [LONG.format("")]})
    assert found["example"] == "e1"


def test_near_duplicates_are_found_among_a_thousand_others() -> None:
    random = Random(5)
    texts = [" ".join(f"w{random.randrange(5_000)}" for _ in range(40)) for _ in range(1_000)]
    doubled = [*texts, *(f"{text} indeed" for text in texts[::10])]
    found = clusters(doubled)
    assert found[:1_000] == list(range(1_000))
    assert found[1_000:] == list(range(0, 1_000, 10))


def test_what_is_under_covered_is_named() -> None:
    rows = [asked(n, f"q{n}", skills=["Trade-offs", "cause"] if n < 9 else ["Proof"]) for n in range(10)]
    found = coverage(rows, ["left.md"])
    assert found["skills"]["counts"] == {"cause": 9, "trade-offs": 9, "proof": 1}
    assert found["skills"]["under_covered"] == ["proof"]
    assert found["documents"]["distinct"] == 1
    assert found["documents_without"] == ["left.md"]
    assert evenness({"a": 5, "b": 5}) == pytest.approx(1)
    assert evenness({"a": 9, "b": 1}) == pytest.approx(0.469, abs=1e-3)
    assert evenness({"a": 9}) is None


def test_criteria_that_distinguish_nothing() -> None:
    def marks(criterion: str, weight: int, weak: list[int], strong: list[int]) -> list[dict[str, Any]]:
        met = [("weak", one) for one in weak] + [("strong", one) for one in strong]
        return [
            {"example_id": "e", "criterion": criterion, "weight": weight, "stage": stage, "met": one}
            for stage, one in met
        ]

    found = rubric_health(
        [
            *marks("names it", 3, [1, 1], [1]),
            *marks("proves it", 3, [0, 0], [0]),
            *marks("guesses it", 3, [1, 1], [0]),
            *marks("names the moon and explains its pull", 3, [0, 0], [1]),
            *marks("denies it", -3, [0, 0], [0]),
            *marks("mocks it", -3, [1, 0], [0]),
        ]
    )
    counts = {name: part["count"] for name, part in found.items() if isinstance(part, dict)}
    assert found["criteria"] == 6
    assert counts == {"met_by_all": 1, "met_by_none": 1, "weak_only": 1, "never_fired": 1, "compound": 1}
    assert found["never_fired"]["shown"] == [{"example": "e", "criterion": "denies it"}]


def test_prompts_whose_attempts_are_alike_teach_a_group_nothing() -> None:
    rows = [rich(1, weak_scores=("0", "1"), strong_scores=("1", "1")), rich(2, weak_scores=("0", "0"))]
    weak, strong = learnability(rows)
    assert (weak["solver"], weak["prompts"], weak["vary"], weak["p_one_minus_p"], weak["std"]) == (
        "weak",
        2,
        0.5,
        0.125,
        0.25,
    )
    assert (strong["vary"], strong["p_one_minus_p"]) == (0.5, pytest.approx(0.875 * 0.125 / 2))


def test_what_stands_in_a_benchmark_is_found_by_thirteen_words(tmp_path: Path) -> None:
    rows = [
        asked(1, LONG.format("")),
        asked(2, "Who measured the tide?"),
        asked(3, "What is a short one of six words?"),
    ]
    (tmp_path / "b.jsonl").write_text(json.dumps({"q": [f"Well: {LONG.format('').upper()}"], "n": 3}) + "\n\n")
    (tmp_path / "b.txt").write_text("They asked: what is a short one of six words? And who measured it?")
    files = {path.name: list(texts_of(path)) for path in sorted(tmp_path.iterdir())}
    found = contaminated(rows, files)
    assert [(one["example"], one["where"]) for one in found] == [("e1", "b.jsonl"), ("e3", "b.txt")]
    assert found[0]["words"] == "why does the water in a long harbour rise twice a day and"


@pytest.mark.parametrize(("name", "text"), [("no.txt", None), ("bad.jsonl", "{"), ("deep.jsonl", "[" * 100_000)])
def test_a_benchmark_that_cannot_be_read_is_one_line(name: str, text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=r"^--against .*(cannot be read|line 1 is no JSON)"):
        list(texts_of(tmp_path / name))


TOPICS = ("tide moon harbour water", "proof lemma theorem bound")


def test_questions_of_one_topic_are_one_cluster_by_words() -> None:
    rows = [asked(n, f"Why {' '.join(Random(n).sample(TOPICS[n % 10 == 0].split(), 3))}?") for n in range(20)]
    found = likeness(rows, None, 0.9)
    assert found["semantic"] is None
    clusters_found = found["clusters"]
    assert clusters_found["by"] == "words"
    assert sum(clusters_found["counts"].values()) == 20
    assert all(not {"tide", "proof"} <= set(name.split(", ")) for name in clusters_found["counts"])


def test_questions_that_mean_the_same_are_found_by_their_vectors_alone() -> None:
    rows = [asked(1, "Why is the sea salty?"), asked(2, "What makes oceans saline?"), asked(3, "Who owns it?")]
    vectors = [[1.0, 0.0, 0.1], [1.0, 0.1, 0.1], [0.0, 1.0, 0.0]]
    kept = {row["question"]: to_bytes(vector) for row, vector in zip(rows, vectors, strict=True)}
    found = likeness([*rows, asked(4, "Accepted since?")], Embedded("m", kept), 0.9)
    semantic = found["semantic"]
    assert (semantic["groups"], semantic["beyond_first"], semantic["share"]) == (
        [["e1", "e2"]],
        1,
        pytest.approx(1 / 3),
    )
    assert semantic["nearest"] == pytest.approx(1.01 / (1.01**0.5 * 1.02**0.5))
    assert found["clusters"]["by"] == semantic["model"] == "m"
    assert likeness(rows, Embedded("m", kept), 0.999)["semantic"]["groups"] == []
    assert likeness([], Embedded("m", {}), 0.9)["semantic"]["groups"] == []
    assert doubles(rows)["near"]["groups"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--embeddings-url", "http://127.0.0.1:1/v1"), "--embeddings is needed"),
        (("--max-tokens", "5"), "--embeddings is needed"),
        (("--embeddings", "m", "--max-usd", "1"), "--max-usd needs --embeddings-price"),
        (("--embeddings", "m", "--embeddings-key-env", "KEY"), "goes with --embeddings-url"),
        (("--embeddings", "m", "--embeddings-url", "127.0.0.1"), "an http:// or https:// address is needed"),
        (("--embeddings", "m", "--embeddings-url", "http://a/v1", "--embeddings-key-env", "sk-1"), "never the key"),
    ],
)
def test_what_does_not_go_together_is_one_line(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    assert words in refusal("analyse", tmp_path, *options)
