"""What a server's thread began with, kept for as long as it lives.

LangGraph hands a run its own context, and a run that only answers a question or goes on brings none. So a thread keeps
a reference to what its first run chose, and every later one works with that: bounds, rounds, review, models and prompts
do not change under an open question. Texts of prompts are long, so they lie in the server's ledger, by content.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ids import canonical_json, digest
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.queries.meta import meta_value
from autodata.checkpoints.writes import record_meta
from autodata.domains.acceptance.borderline import Reviewing, ReviewMode
from autodata.domains.acceptance.parse import policy_of
from autodata.domains.acceptance.policies import AcceptancePolicy, Measure
from autodata.serving.context import ServedContext, read_context

GONE = "state.pinned: this thread's settings are not on this server: send its input again"


@dataclass(frozen=True)
class Pinned:
    """What a thread began with: the caller's choices, and what the server's configuration said then."""

    context: ServedContext
    policy: AcceptancePolicy
    max_rounds: int
    seed: int
    review: Reviewing

    def values(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        policy: Any = self.policy
        return {
            "context": self.context.model_dump(mode="json", exclude_defaults=True),
            "acceptance": None if type(policy) is Measure else policy.model_dump(mode="json"),
            "max_rounds": self.max_rounds,
            "seed": self.seed,
            "review": [self.review.mode, str(self.review.margin)],
        }

    @classmethod
    def of(cls, schema: type[ServedContext], values: dict[str, Any]) -> Pinned:
        """Read it back. Raises UserError for choices that this version does not know."""
        mode: ReviewMode
        mode, margin = values["review"]
        return cls(
            context=read_context(schema, values["context"]),
            policy=policy_of(values["acceptance"]) if values["acceptance"] else Measure(),
            max_rounds=values["max_rounds"],
            seed=values["seed"],
            review=Reviewing(mode, Fraction(margin)),
        )


async def keep(ledger: Ledger, pinned: Pinned) -> str:
    """Store what a thread begins with; return the reference that its state keeps."""
    values = canonical_json(pinned.values())
    reference = digest(values, 24)
    await record_meta(ledger, {f"pinned/{reference}": values})
    return reference


async def kept(ledger: Ledger, schema: type[ServedContext], reference: Any) -> Pinned:
    """Return what a thread began with. Raises UserError when nothing is known under the reference."""
    known = await meta_value(ledger, f"pinned/{reference}")
    if not isinstance(reference, str) or known is None:
        raise UserError(GONE)
    return Pinned.of(schema, json.loads(known))
