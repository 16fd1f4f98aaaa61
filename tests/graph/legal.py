"""Scripts of domain legal for the bench: a sound draft, an extract, and a judge who accepts."""

from __future__ import annotations

from typing import Any

from tests.graph.support import DEFAULTS, SCHEMAS, Answer, Bench, Call, Script, scored

ITEMS = 16


def draft(number: int, *, question: str = "", items: int = ITEMS, **more: Any) -> dict[str, Any]:
    """Return a sound draft: ten criteria worth 5 points each and six negative ones, or fewer."""
    classes = {"category": "rule", "capability": "issue_spotting"}
    rubric = [
        {
            **{"number": k, "criterion": f"Asserts point {k} of {number}", **classes},
            **({"weight_class": "important", "weight": 5} if k <= 10 else {"weight_class": "negative", "weight": -2}),
        }
        for k in range(1, items + 1)
    ]
    asked = question or f"My neighbour cut tree number {number} on my land. What can I ask for?"
    return {"target_capabilities": ["issue_spotting"], "question": asked, "rubric": rubric, **more}


def extract(**more: Any) -> dict[str, Any]:
    """Return an extract of a suitable document."""
    found = {
        "suitable_for_synthetic_question": True,
        "suitability_note": "it states a rule",
        "document_type": "opinion",
        "topic_keywords": ["trees", "trespass", "damages"],
        "issues": ["Whether cutting is a taking."],
        "facts": ["A tree was cut."],
        "holdings": ["Whoever cuts a neighbour's tree pays three times its worth."],
    }
    return found | more


def judgement(**more: Any) -> dict[str, Any]:
    """Return a loop judge's findings: accepted unless said otherwise."""
    texts = dict.fromkeys(("weak_pattern", "strong_pattern", "gap_interpretation", "rubric_concerns"), "looked at")
    rest = {"grpo_suitability": "high", "verdict": "accept", "verdict_reason": "it varies", "suggestion_for_writer": ""}
    return texts | rest | more


def improve(suggestion: str) -> dict[str, Any]:
    """Return findings that send a round back."""
    return judgement(verdict="improve", grpo_suitability="low", suggestion_for_writer=suggestion)


def mark(call: Call) -> Answer:
    """Meet as many of ten criteria as the answer says it is worth."""
    worth = int(call.fenced("answer").partition("worth ")[2].partition("/")[0])
    count = call.fenced("criteria").count("\n") + 1
    return {"marks": [{"number": k, "reason": f"seen {k}", "met": k <= worth} for k in range(1, count + 1)]}


SCHEMAS.update(
    {
        ("legal", "extractor"): "Extract",
        ("legal", "challenger"): "LegalDraft",
        ("legal", "verifier"): "RubricMarks",
        ("legal", "loop_judge"): "LoopJudgement",
    }
)
DEFAULTS["legal"] = {
    "extractor": lambda call: extract(),
    "challenger": lambda call: draft(call.number),
    "weak_solver": lambda call: scored(f"{call.number % 5}/10")[0],
    "strong_solver": lambda call: scored("8/10")[0],
    "verifier": mark,
    "loop_judge": lambda call: judgement(),
}


def legal(scripts: dict[str, Script] | None = None, **more: Any) -> Bench:
    """Return a bench of domain legal."""
    return Bench(scripts or {}, domain="legal", **more)
