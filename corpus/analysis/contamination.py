"""Whether examples stand in benchmarks already: a run of thirteen words in common, as is usual for this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from autodata.checkpoints.shingles import WORD
from autodata.corpus.exporters.rows import ExampleRow

WORDS: Final = 13
"""Words in a row that two texts must share; a shorter question must be found whole, from five words on."""
LEAST: Final = 5


def contaminated(rows: Sequence[ExampleRow], benchmarks: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return (example, where, words) of each example that is found in a benchmark, once a file."""
    wanted: dict[str, set[int]] = {}
    lengths = set()
    for number, row in enumerate(rows):
        for text in (row["question"], row["context"], row["reference_answer"]):
            for length, run in _runs(WORD.findall(text.lower())):
                wanted.setdefault(run, set()).add(number)
                lengths.add(length)
    found: dict[tuple[int, str], str] = {}
    for name, texts in benchmarks.items():
        for text in texts:
            words = WORD.findall(text.lower())
            for length in sorted(lengths, reverse=True):
                for start in range(len(words) - length + 1):
                    run = " ".join(words[start : start + length])
                    for number in wanted.get(run, ()):
                        found.setdefault((number, name), run)
    return [
        {"example": rows[number]["id"], "where": name, "words": run} for (number, name), run in sorted(found.items())
    ]


def _runs(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    if LEAST <= len(words) < WORDS:
        yield len(words), " ".join(words)
    for start in range(len(words) - WORDS + 1):
        yield WORDS, " ".join(words[start : start + WORDS])
