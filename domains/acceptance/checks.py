"""What is looked at before an accepted candidate is trusted: canaries, and leaks of its answer."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import Field

from autodata.checkpoints.ids import digest
from autodata.models.config import Settings


class ChecksConfig(Settings):
    """Checks of a candidate besides the gates. Those that are paid for are made once it has passed them."""

    canaries: Literal["off", "sample", "always"] = "off"
    """Whether answers that are worth nothing are marked, each by one call of the judge: of a sample of candidates, or
    of each. One that scores refuses the candidate."""
    canary_share: float = Field(default=0.2, gt=0, le=1)
    """The share of candidates in a sample."""
    canary_score: float = Field(default=0.1, ge=0, lt=1)
    """The most that such an answer may score; one that scores more is marked again before it refuses anything."""
    closed_context: bool = False
    """Whether the weak model is asked to answer by what the context says alone: where it can, the context leaks."""
    closed_context_score: float = Field(default=0.5, gt=0, le=1)
    """From which score of that answer on the candidate is refused."""
    leakage: Literal["off", "note", "refuse"] = "note"
    """What is done with words of the answer or rubric in the question or context, and with references to the source
    in the rubric, which code finds: noted with the candidate, or refused."""

    @property
    def paid(self) -> bool:
        """Whether any of them makes calls."""
        return self.canaries != "off" or self.closed_context

    @property
    def canary_bound(self) -> Fraction:
        """The most that a canary may score, exactly as it is written."""
        return Fraction(str(self.canary_score))

    def tries_canaries(self, candidate_id: str) -> bool:
        """Whether canaries of a candidate are marked: of a sample by its id, so that it is always the same."""
        if self.canaries != "sample":
            return self.canaries == "always"
        return int(digest(["canary", candidate_id]), 16) < self.canary_share * 16**16


NO_CHECKS = ChecksConfig()
"""Nothing is paid for; leaks that code finds are noted."""
