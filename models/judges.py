"""Further judges beside the verifier: a panel that votes, and a larger one for criteria that are in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from autodata.models.config import ModelSettings, Settings

PREFIX = "judge_"
"""What the roles of further judges begin with: `judge_2`, `judge_3`, ..., and `judge_larger`."""
LARGER = f"{PREFIX}larger"


class JudgesConfig(Settings):
    """Who marks the attempts beside `models.verifier`, and how several findings on a criterion become one."""

    panel: tuple[ModelSettings, ...] = Field(default=(), max_length=8)
    """Models that mark every attempt too, each a table as in `[models]`; what it leaves out is `models.default`'s."""
    rule: Literal["majority", "mean"] = "majority"
    """Whether a criterion is met when more than half of the findings say so, or counts by the share that do."""
    asks: int = Field(default=1, ge=1, le=9)
    """How often the verifier is asked about an attempt, each further time with the criteria in another order."""
    larger: ModelSettings | None = None
    """A larger model, whose finding alone counts for each criterion that the others disagree about; it is asked about
    an attempt only where they do. Without a panel the verifier is then asked twice at least."""

    @property
    def asked(self) -> int:
        """How often the verifier is asked: a larger judge needs two findings that may differ."""
        return max(self.asks, 2) if self.larger and not self.panel else self.asks

    @property
    def several(self) -> bool:
        """Whether an attempt is marked more than once."""
        return self.asked + len(self.panel) > 1

    @property
    def panel_roles(self) -> Mapping[str, ModelSettings]:
        """The members of the panel by the role that each plays."""
        return {f"{PREFIX}{number}": settings for number, settings in enumerate(self.panel, 2)}

    @property
    def roles(self) -> Mapping[str, ModelSettings]:
        """The same, and the larger judge where there is one."""
        return {**self.panel_roles, **({LARGER: self.larger} if self.larger else {})}


VERIFIER_ALONE = JudgesConfig()
"""No further judge."""
