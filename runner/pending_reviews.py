"""Documents that wait for a person: which of them have their answer, and how a thread goes on with it.

An answer is in table `labels` before anything is done with it, whoever wrote it there and when: a run that is killed
between the answer and the thread's next checkpoint finds it again. Answers by API or in Studio need none of this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langgraph.types import Command

from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.rounds import label_of


async def answer_to(ledger: Ledger, snapshot: Any) -> Command[Any] | None:
    """Return what a thread is resumed with: the stored answer to its open question; None when there is none."""
    row = await _label(ledger, snapshot)
    if row is None or row["decision"] is None:
        return None
    answer = {name: row[name] for name in ("label_id", "decision", "reason", "reviewer")} | {"at": row["created_at"]}
    if row["edited"]:
        answer["candidate"] = json.loads(row["edited"])
    return Command(resume=answer)


async def _label(ledger: Ledger, snapshot: Any) -> Mapping[str, Any] | None:
    for interrupt in snapshot.interrupts:
        if isinstance(interrupt.value, Mapping) and "label_id" in interrupt.value:
            return await label_of(ledger, interrupt.value["label_id"])
    return None
