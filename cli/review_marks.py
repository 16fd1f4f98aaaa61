"""What a reviewer finds of single criteria: a file with every answer and criterion, open for yes or no.

It does not show what the judge found: who sees a finding tends to agree with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_SAID: Mapping[bool | None, str] = {None: "", True: "yes", False: "no"}

HEAD = """\
Write "yes" beside each criterion that the answer meets, "no" beside each that it does not, and leave open what you do
not judge.
Nothing here changes the candidate: `autodata calibrate` compares it with the judge.
"""

Findings = dict[str, dict[str, bool]]
"""By attempt's id, and in it by the criterion's number from 1 as text: whether it is met."""


def form_of(shown: Mapping[str, Any], label_id: str) -> dict[str, Any]:
    """Return the file's tables for a whole round: one for each attempt that a judge marked by criteria.

    What was found under the label before stands in it.
    """
    known: Findings = {}
    for label in shown["labels"]:
        if label["label_id"] == label_id and label["marks"]:
            known = json.loads(label["marks"])
    return {
        name: {
            "answer": attempt["answer"],
            "criteria": {
                f"{mark['criterion']}. {mark['text']}": _SAID[
                    known.get(attempt["attempt_id"], {}).get(str(mark["criterion"]))
                ]
                for mark in attempt["marks"]
            },
        }
        for name, attempt in _attempts(shown).items()
    }


def findings_in(shown: Mapping[str, Any], written: Mapping[str, Any]) -> Findings:
    """Return what a person wrote into the file. Raises ValueError, naming the place, for what is no yes or no."""
    attempts = _attempts(shown)
    found: Findings = {}
    for name, table in written.items():
        criteria = table.get("criteria") if isinstance(table, Mapping) else None
        if name not in attempts or not isinstance(criteria, Mapping):
            raise ValueError(f"{name}: no attempt of this round: leave the tables' names as they are")
        known = {str(mark["criterion"]) for mark in attempts[name]["marks"]}
        for text, said in criteria.items():
            number = text.partition(".")[0]
            if number not in known:
                raise ValueError(f"{name}: {text[:60]!r} is no criterion of the rubric: leave their texts as they are")
            if said == "":
                continue
            if said not in {"yes", "no", True, False}:
                raise ValueError(f'{name}, criterion {number}: write "yes" or "no", or leave it open')
            found.setdefault(attempts[name]["attempt_id"], {})[number] = said in {"yes", True}
    return found


def _attempts(shown: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the attempts that a judge marked, by what the file calls them."""
    return {
        f"{attempt['stage']} {attempt['idx'] + 1}": attempt
        for attempt in shown["attempts"]
        if attempt["decided_by"] == "judge" and attempt["marks"]
    }
