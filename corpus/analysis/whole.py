"""The whole analysis of a run, as `autodata analyse --json` prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.documents import documents_with_examples
from autodata.checkpoints.queries.rounds import marks_of_examples
from autodata.checkpoints.records import DocumentStatus
from autodata.corpus.analysis.contamination import contaminated
from autodata.corpus.analysis.coverage import coverage
from autodata.corpus.analysis.doubles import doubles
from autodata.corpus.analysis.learnability import learnability
from autodata.corpus.analysis.likeness import SIMILAR, Embedded, likeness
from autodata.corpus.analysis.rubrics import rubric_health
from autodata.corpus.exporters.rows import read_rows
from autodata.corpus.signals import tied_examples

UNDECIDED = frozenset({DocumentStatus.PENDING.value, DocumentStatus.WAITING.value})

MEANINGS: Mapping[str, str] = {
    "examples": "Accepted examples.",
    "doubles": (
        "Questions that are the same to the letter, and clusters of near duplicates (MinHash over word triples, from an"
        " estimated similarity of 0.7 on): the ids of each group, and the share of examples beyond the first of each."
        " `semantic` are those whose vectors of an embedding model have a cosine from `threshold` on, with the median"
        " cosine of a question to its `nearest` one; null where no model was asked."
    ),
    "coverage": (
        "Distinct skills, question types and documents with how many examples each has; `even` is the entropy of the"
        " counts over that of as many equal ones, 0..1; `under_covered` has less than half of an equal share;"
        " `clusters` are groups of like questions, called by their words, made `by` an embedding model or, without one,"
        " by the words that questions share (TF-IDF and LSA: no meaning), with the mean cosine to the `nearest` one;"
        " `documents_without` those that ended without an example."
    ),
    "rubrics": (
        "Criteria by how attempts met them: `met_by_all` and `met_by_none` distinguish nothing, `weak_only` were met"
        " more often by the weak solver than by the strong one, `never_fired` are negative ones that no attempt met,"
        " `compound` join two demands; each a count, its share, and up to ten criteria by example."
    ),
    "learnability": (
        "For group-relative training, by solver and domain: the share of prompts whose attempts vary, the mean of"
        " p(1-p) with p an example's mean score, and the mean standard deviation of its attempts."
    ),
    "tied_to_numbers": (
        "Examples whose question holds a number of its document, and their share, as `autodata status` counts them."
    ),
    "contamination": (
        "Examples whose question, context or reference answer shares a run of thirteen words with a text of the files"
        " given, with the file and the words; null without files."
    ),
}
"""What each part of an analysis means."""


async def analysed(
    ledger: Reader,
    benchmarks: Mapping[str, Sequence[str]] | None = None,
    embedded: Embedded | None = None,
    similar: float = SIMILAR,
) -> dict[str, Any]:
    """Return the analysis of a run, by the keys of `MEANINGS`; `benchmarks` are texts by the file they are from.

    Raises UserError where the libraries of the extra `export` are missing.
    """
    rows = await read_rows(ledger)
    ended = [
        row["name"]
        for row in await documents_with_examples(ledger)
        if row["example"] is None and row["status"] not in UNDECIDED
    ]
    tied, questions = await tied_examples(ledger)
    alike = likeness(rows, embedded, similar)
    return {
        "examples": len(rows),
        "doubles": {**doubles(rows), "semantic": alike["semantic"]},
        "coverage": {**coverage(rows, ended), "clusters": alike["clusters"]},
        "rubrics": rubric_health(await marks_of_examples(ledger)),
        "learnability": learnability(rows),
        "tied_to_numbers": {"share": len(tied) / questions if questions else None, "examples": tied},
        "contamination": None if benchmarks is None else contaminated(rows, benchmarks),
    }
