"""Runs side by side, as the paper's tables 1 and 3 have them: every figure from `run.db` alone.

Figures are over accepted examples; in a baseline, which accepts whatever it has measured, these are all examples that
passed the quality check. The unit is the document: intervals are over documents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import pstdev
from typing import Any

from autodata.checkpoints.ledger import Reader
from autodata.checkpoints.queries.figures import failures_by_document, outcomes, weak_scores
from autodata.checkpoints.queries.meta import meta
from autodata.checkpoints.queries.usage import usage_by_document
from autodata.checkpoints.records import FailureMode
from autodata.corpus.bootstrap import CONFIDENCE, RESAMPLES, Figure, Median, Ratio, estimate
from autodata.corpus.paper import PAPER
from autodata.corpus.signals import signals

SUITABILITIES = ("high", "medium", "low")
OVER: Mapping[str, str] = {
    "run": "accepted examples",
    "run --server": "accepted examples",
    "baseline": "all examples that passed the quality check",
}
"""What the figures of a kind of run are over."""


_MEANS = ("weak_mean", "strong_mean", "gap", "weak_std", "question_chars", "rubric_items")
WANTED: Mapping[str, Ratio | Median] = {
    "accepted_share": Ratio("accepted", "documents"),
    **{name: Ratio(name, f"has:{name}") for name in _MEANS[:4]},
    "rounds_mean": Ratio("rounds", "accepted"),
    "rounds_median": Median("rounds", "accepted"),
    **{name: Ratio(name, f"has:{name}") for name in _MEANS[4:]},
    **{f"failed:{mode.value}": Ratio(f"failed:{mode.value}", "failed") for mode in FailureMode},
    **{f"grpo:{level}": Ratio(f"grpo:{level}", "has:suitability") for level in SUITABILITIES},
    "calls_per_accepted": Ratio("calls", "accepted"),
    "tokens_per_accepted": Ratio("tokens", "accepted"),
}
"""Every figure with an interval. Scores, gaps and shares are in 0..1, `weak_std` is in points of 100: the population
standard deviation of an example's weak attempts, averaged over examples."""


async def compare(ledgers: Mapping[str, Reader], *, paper: bool = False, seed: int = 0) -> dict[str, Any]:
    """Return the figures and signals of runs by name, as `autodata compare --json` prints them.

    With `paper`, the columns that the paper prints for the runs' domains come with them.
    """
    runs = [{"name": name, **await figures_of(ledger, seed)} for name, ledger in ledgers.items()]
    domains = dict.fromkeys(run["domain"] for run in runs)
    columns = [
        {"domain": domain, "method": method, "figures": dict(column)}
        for domain in domains
        for method, column in PAPER.get(domain, {}).items()
    ]
    intervals = {"method": "bootstrap over documents", "resamples": RESAMPLES, "confidence": CONFIDENCE, "seed": seed}
    return {"intervals": intervals, "runs": runs, "paper": columns if paper else []}


async def figures_of(ledger: Reader, seed: int = 0) -> dict[str, Any]:
    """Return one run's figures, each with `value`, `low` and `high`, and its signals."""
    documents = await outcomes(ledger)
    known = await meta(ledger)
    kind = known.get("kind", "run")
    found = estimate(await _columns(ledger, documents), WANTED, seed)
    rounds = [row["rounds"] for row in documents if row["accepted"]]
    found["rounds_max"] = Figure(max(rounds) if rounds else None)
    return {
        "kind": kind,
        "domain": known.get("domain") or next((row["domain"] for row in documents if row["domain"]), ""),
        "over": OVER[kind],
        "documents": len(documents),
        "accepted": len(rounds),
        "unfinished": sum(row["status"] in {"pending", "waiting", "errored"} for row in documents),
        "waiting": sum(row["status"] == "waiting" for row in documents),
        "figures": {name: asdict(figure) for name, figure in found.items()},
        "signals": await signals(ledger),
    }


async def _columns(ledger: Reader, documents: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return what every figure adds up, one entry a document."""
    scores: dict[str, list[float]] = defaultdict(list)
    for row in await weak_scores(ledger):
        scores[row["document_id"]].append(row["score_value"])
    failed: dict[str, Counter[str]] = defaultdict(Counter)
    for row in await failures_by_document(ledger):
        failed[row["document_id"]][row["failure_mode"]] = row["n"]
    spent = {row["document_id"]: row for row in await usage_by_document(ledger)}
    rows: list[dict[str, float]] = []
    for document in documents:
        key = document["document_id"]
        of_weak = scores.get(key)
        values = {**document, "weak_std": 100 * pstdev(of_weak) if of_weak else None}
        calls = spent.get(key, {"calls": 0, "tokens": 0})
        rows.append(
            {
                "documents": 1,
                "accepted": values["accepted"],
                "rounds": values["rounds"] or 0,
                "calls": calls["calls"],
                "tokens": calls["tokens"],
                "failed": failed[key].total(),
                "has:suitability": float(values["suitability"] is not None),
                **{name: values[name] or 0 for name in _MEANS},
                **{f"has:{name}": float(values[name] is not None) for name in _MEANS},
                **{f"failed:{mode.value}": failed[key][mode.value] for mode in FailureMode},
                **{f"grpo:{level}": float(values["suitability"] == level) for level in SUITABILITIES},
            }
        )
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
