"""Texts as points: groups, likeness and a plane from matrices whose answer is known, and vectors kept in a file."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from random import Random

import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.vectors import MOST_CHARS, NAME, embedded_text, hash_of, kept_vectors, to_bytes, vector_file
from autodata.corpus import vectors

TOPICS = (
    "tide moon harbour water rising salt",
    "proof lemma theorem bound induction axiom",
    "enzyme cell protein reaction membrane acid",
)


def talks(count: int, seed: int = 3) -> list[str]:
    """Texts of three topics in turn."""
    random = Random(seed)
    return [" ".join(random.choices(TOPICS[n % 3].split(), k=12)) + f" number{n}" for n in range(count)]


def test_texts_of_one_topic_are_one_group_called_by_its_words() -> None:
    texts = talks(60)
    labels = vectors.groups(vectors.lexical(texts), 3)
    assert len({(n % 3, label) for n, label in enumerate(labels)}) == 3
    names = vectors.names(texts, labels)
    for n, label in enumerate(labels[:3]):
        assert set(names[label].split(", ")) <= set(TOPICS[n].split())
    assert max(vectors.groups(vectors.lexical(texts))) + 1 == 5  # the root of half of them


def test_texts_without_spaces_are_grouped_by_pairs_of_letters() -> None:
    topics = (
        "潮汐港口盐水",
        "定理归纳证明",
        "细胞蛋白反应",
    )
    random = Random(3)
    texts = ["".join(random.choices([topics[n % 3][k : k + 2] for k in (0, 2, 4)], k=8)) for n in range(30)]
    labels = vectors.groups(vectors.lexical(texts), 3)
    assert len({(n % 3, label) for n, label in enumerate(labels)}) == 3


def test_groups_are_numbered_by_their_size_and_the_same_every_time() -> None:
    texts = talks(30) + talks(60, seed=4)[2::3]
    labels = vectors.groups(vectors.lexical(texts), 3)
    assert labels == vectors.groups(vectors.lexical(texts), 3)
    assert [labels.count(n) for n in range(3)] == [30, 10, 10]


def test_words_that_all_texts_share_name_no_group() -> None:
    texts = [f"which station kept readings {word}" for word in ("alpha", "alpha", "omega", "omega")]
    assert vectors.names(texts, [0, 0, 1, 1], most=1) == ["alpha", "omega"]
    assert vectors.names(["", "same", "same"], [0, 1, 2]) == ["no words", "same", "same (3)"]


def test_likeness_is_a_cosine_and_clusters_chain() -> None:
    rows = vectors.from_bytes([to_bytes(one) for one in ([2, 0], [3, 0.9], [1, 0.8], [0, 5], [-1, 0])])
    assert vectors.alike(rows, 0.9) == [0, 0, 0, 3, 4]
    assert vectors.alike(rows, 0.95) == [0, 0, 2, 3, 4]
    assert vectors.nearest(rows)[3] == pytest.approx(0.8 / 1.64**0.5)
    assert vectors.nearest(rows[:1]) == []


def test_the_plane_keeps_what_differs_most() -> None:
    rows = vectors.from_bytes([to_bytes([1, x / 10, y / 100]) for x, y in ((0, 0), (5, 3), (9, -3), (10, 0))])
    found = vectors.plane(rows)
    across = [x for x, _ in found]
    assert across in (sorted(across), sorted(across, reverse=True))
    assert {min(across), max(across)} == {0, 1}
    assert all(0 <= one <= 1 for point in found for one in point)


@pytest.mark.parametrize("texts", [[], ["one"], ["the same thing"] * 3, ["", "", "1 2 3"]])
def test_few_and_empty_texts_lie_in_the_middle(texts: list[str]) -> None:
    rows = vectors.lexical(texts)
    assert vectors.plane(rows) == [(0.5, 0.5)] * len(texts)
    assert vectors.groups(rows) == [0] * len(texts)


def test_without_numpy_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(UserError, match=r"autodata-langgraph\[export,report\]"):
        vectors.lexical(["a"])


# The file


def test_vectors_are_kept_by_what_was_sent_and_add_up(tmp_path: Path) -> None:
    with vector_file(tmp_path) as kept:
        kept.keep("m1", "m", {hash_of("why  so\nhigh"): [1, 2]}, tokens=3, charged=3, usd=0.5)
        kept.keep("m1", "m", {hash_of("how"): [3, 4]}, tokens=None, charged=9, usd=None)
        assert kept.found("m1", ["why so high", "other"]) == {hash_of("why so high"): to_bytes([1, 2])}
        assert kept.found("m2", ["how"]) == {}
        spent = kept.spent()
    assert (spent.requests, spent.texts, spent.tokens, spent.charged, spent.usd) == (2, 2, 3, 12, 0.5)
    assert kept_vectors(tmp_path, ["how", "why so high"]) == (
        "m",
        {"how": to_bytes([3, 4]), "why so high": to_bytes([1, 2])},
    )
    assert kept_vectors(tmp_path, ["how", "new"]) is None
    assert kept_vectors(tmp_path, []) is None
    assert kept_vectors(tmp_path / "none", ["how"]) is None
    assert embedded_text("x" * 5_000) == "x" * MOST_CHARS


def test_the_latest_model_counts(tmp_path: Path) -> None:
    with vector_file(tmp_path) as kept:
        for model in ("old", "new"):
            kept.keep(model, model, {hash_of("a"): [1]}, tokens=1, charged=1, usd=None)
        kept.keep("newest", "newest", {hash_of("b"): [1]}, tokens=1, charged=1, usd=None)
    found = kept_vectors(tmp_path, ["a"])
    assert found is not None
    assert found[0] == "new"


def test_a_file_that_is_none_is_one_line_and_no_report_fails_for_it(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("no database at all, but long enough to be taken for one" * 50)
    assert kept_vectors(tmp_path, ["a"]) is None
    with pytest.raises(UserError, match=r"embeddings\.db: .*vectors cannot be kept"), vector_file(tmp_path):
        pass


def test_two_at_once_do_not_pay_for_the_same_vectors(tmp_path: Path) -> None:
    with vector_file(tmp_path), pytest.raises(UserError, match="in use by another process"), vector_file(tmp_path):
        pass
    with vector_file(tmp_path):
        pass


def test_a_run_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="vectors cannot be kept"), vector_file(tmp_path / "none"):
        pass


def test_what_is_kept_is_plain(tmp_path: Path) -> None:
    with vector_file(tmp_path) as kept:
        kept.keep("m", "m", {"h": [0.5, -1]}, tokens=None, charged=1, usd=None)
    db = sqlite3.connect(tmp_path / NAME)
    assert db.execute("SELECT vector FROM vectors").fetchone() == (bytes.fromhex("0000003f000080bf"),)
    db.close()
