"""Where an exported row comes from: the same columns, with the same types, in every format that holds less than all."""

from __future__ import annotations

from typing_extensions import TypedDict

from autodata.corpus.exporters.rows import Attempted, ExampleRow, Played


class Provenance(TypedDict):
    """What a row of any format says of its origin, as `ExampleRow` has it."""

    document_id: str
    document_name: str
    document_sha256: str
    chunk: int | None
    chunks: int | None
    round: int
    prompt_version: str
    models: list[Played]
    weak_scores: list[float]
    strong_scores: list[float]
    weak_mean: float | None
    strong_mean: float | None
    gap: float | None
    confirmed_weak_mean: float | None
    """Of fresh attempts; null in a run that does not confirm, as are the next two."""
    confirmed_strong_mean: float | None
    confirmed_gap: float | None
    run: str
    source: str
    attempts: list[Attempted]
    """Every answer of both solvers, where they were asked for; else none."""


def provenance(row: ExampleRow, *, answers: bool = False) -> Provenance:
    """Return a row's origin; with `answers`, what the solvers answered too."""
    return {
        "document_id": row["document_id"],
        "document_name": row["document_name"],
        "document_sha256": row["document_sha256"],
        "chunk": row["chunk"],
        "chunks": row["chunks"],
        "round": row["round"],
        "prompt_version": row["prompt_version"],
        "models": row["models"],
        "weak_scores": row["weak_scores"],
        "strong_scores": row["strong_scores"],
        "weak_mean": row["weak_mean"],
        "strong_mean": row["strong_mean"],
        "gap": row["gap"],
        "confirmed_weak_mean": row["confirmed_weak_mean"],
        "confirmed_strong_mean": row["confirmed_strong_mean"],
        "confirmed_gap": row["confirmed_gap"],
        "run": row["run"],
        "source": row["source"],
        "attempts": row["attempts"] if answers else [],
    }
