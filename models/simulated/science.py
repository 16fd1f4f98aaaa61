"""The simulated world's part of the domain `science`: problems with made-up exact answers, the screen, the solvers."""

from __future__ import annotations

import random
import re
from typing import Any

from autodata.checkpoints.ids import digest

PROBLEM = "What is the exact value of the constant of"
"""Begins every simulated problem: by it a solver knows what it is asked."""

_ITEM = re.compile(r"\[item d=[-+.\d]+ a=[.\d]+ fault=(\w+)\]")
PROBE = "2 + 2"


def exact(question: str) -> tuple[int, int]:
    """Return a problem's made-up answer sqrt(p)/q as (p, q): the same for whoever knows it."""
    number = int(digest(question.strip(), 8), 16)
    return (2, 3, 5, 7, 11, 13, 17, 19)[number % 8], 2 + number // 8 % 97


def draft(subject: str, item: str) -> dict[str, Any]:
    """Return a challenger's draft about a subject."""
    question = f"{PROBLEM} {subject}? {item}"
    p, q = exact(question)
    return {"question": question, "answer": f"sqrt({p})/{q}"}


def solution(question: str, level: float, rng: random.Random) -> str:
    """Return a solver's text: the answer in one of its forms with probability `level`, else another number."""
    p, q = exact(question)
    draw = f"{rng.getrandbits(32):08x}"
    if rng.random() >= level:
        q += rng.randint(1, 9)
    form = rng.choice((f"sqrt({p})/{q}", rf"$\frac{{\sqrt{{{p}}}}}{{{q}}}$", f"{p}/({q}*sqrt({p}))"))
    return f"A simulated derivation. [level p={level:.4f} draw={draw}]\nAnswer: {form}"


def screening(prompt: str, detects: float, false_alarms: float, rng: random.Random) -> dict[str, Any]:
    """Return the screen's findings on the candidates of a prompt, in the order in which they stand there."""
    findings = []
    for number, fault in enumerate(_ITEM.findall(prompt), 1):
        seen = rng.random() < (false_alarms if fault == "none" else detects)
        reason = "simulated: looks faulty" if seen else "simulated: worth solving"
        findings.append({"number": number, "reason": reason, "promising": not seen})
    return {"candidates": findings}


def choice(prompt: str, rng: random.Random) -> dict[str, Any]:
    """Return a pick among as many samples as the prompt shows."""
    return {"number": rng.randint(1, max(1, len(re.findall(r"^<sample-\d+-[0-9a-f]+>$", prompt, re.MULTILINE))))}
