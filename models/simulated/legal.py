"""The legal roles of the simulated model: extractor, writer, loop judge. Placeholders, as all it says.

The writer's question carries its item and, now and then, a fault that code refuses: a forbidden phrase, too many
characters, or too small a rubric. The loop judge reads the packet's numbers and suggests an easier question or a harder
one, in words that the writer obeys.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

CLIENT = "I need advice"
"""What marks a client's question, so that a solver answers it at length."""
EASIER = "Let the client tell more of the deciding facts"
HARDER = "Let several rules of the document meet in one situation"

_UNFIT = re.compile(r"summary disposition|affirmed without (?:an )?opinion|no reasons are given", re.IGNORECASE)
_CLASSES = (("critical", 8, 10), ("important", 5, 7), ("important", 5, 7), ("slight", 2, 4))
_CAPABILITIES = ("issue_spotting", "rule_statement", "rule_application", "risk_assessment", "remedy_selection")
_WORDS = re.compile(r"[A-Za-z]{6,}")


def hints_for_easier(prompt: str) -> int:
    """Return how many suggestions in a prompt ask for an easier question, less those that ask for a harder one."""
    return prompt.count(EASIER) - prompt.count(HARDER)


def extract(document: str, rng: random.Random) -> dict[str, Any]:
    """Find every document fit but those that say themselves that they decide nothing."""
    unfit = _UNFIT.search(document)
    words = sorted({word.lower() for word in _WORDS.findall(document)}) or ["subject"]
    topics = [words[rng.randrange(len(words))] for _ in range(3)]
    return {
        "suitable_for_synthetic_question": unfit is None,
        "suitability_note": f"it says {unfit[0]!r}" if unfit else "it states rules that decide other cases",
        "document_type": "opinion",
        "topic_keywords": topics,
        "issues": [f"Whether {topics[0]} needs {topics[1]}."],
        "facts": [f"There was {topics[2]}."],
        "holdings": [f"{topics[0].capitalize()} needs {topics[1]} unless there is {topics[2]}."],
    }


def draft(subject: str, item: str, criterion_spread: float, rng: random.Random) -> dict[str, Any]:
    """Write a client's question about a subject, with its rubric in bands."""
    fault = re.search(r"fault=(\w+)", item)
    kind = fault[1] if fault else "none"
    negative = rng.randint(1, 3)
    items = 14 if kind == "rubric" else rng.randint(15, 22)
    rubric = [_item(k, k > items - negative, subject, criterion_spread, rng) for k in range(1, items + 1)]
    story = f"I run a small business and have trouble with {subject}. The other side refuses to pay since last month."
    story += " They told me on appeal nothing would change." if kind == "leak" else ""
    story += " And then there is more to tell, at great length and in every detail." * (15 if kind == "recall" else 4)
    capabilities = sorted({row["capability"] for row in rubric})
    question = f"{story} {CLIENT}: what can I do, and what do I risk? {item}"
    return {"target_capabilities": capabilities[:4], "question": question, "rubric": rubric}


def judgement(packet: str, rng: random.Random) -> dict[str, Any]:
    """Judge by the packet's numbers: weak attempts that vary, a gap, and no rubric eased since the last round."""
    found = json.loads(packet)
    weak, strong, spread = found["weak"]["mean"]["value"], found["strong"]["mean"]["value"], found["weak"]["std_points"]
    gap = found["gap"]["value"]
    changes = found["eased_since_last_round"] or {}
    gaming = changes.get("fewer_items", False) and changes.get("lower_positive_mean", False)
    suitability = "high" if spread >= 12 else "medium" if spread >= 8 else "low"
    fit = spread >= 8 and gap >= 0.15 and 0.1 <= weak <= 0.65 and not gaming
    advice = HARDER if weak > 0.5 else EASIER
    return {
        "weak_pattern": f"a spread of {spread} points around {weak}",
        "strong_pattern": f"a mean of {strong}",
        "gap_interpretation": f"a gap of {gap}",
        "rubric_concerns": "easier than the rubric before" if gaming else "",
        "grpo_suitability": suitability,
        "verdict": "accept" if fit else "improve",
        "verdict_reason": "weak attempts vary" if fit else "there is too little to learn from",
        "suggestion_for_writer": "" if fit else f"{advice}, so that attempts differ (note {rng.getrandbits(16):04x}).",
    }


def _item(number: int, negative: bool, subject: str, spread: float, rng: random.Random) -> dict[str, Any]:
    name, low, high = ("negative", -10, -3) if negative else rng.choice(_CLASSES)
    does = "Commits the error of asserting" if negative else "Asserts"
    return {
        "number": number,
        "criterion": f"{does} proposition {number} about {subject} [b={rng.gauss(0, spread):+.2f}]",
        "category": "error" if negative else "rule",
        "capability": rng.choice(_CAPABILITIES),
        "weight_class": name,
        "weight": rng.randint(low, high),
    }
