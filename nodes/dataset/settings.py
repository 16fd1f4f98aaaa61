"""Settings of the outer loop: the table `[lessons]` of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from autodata.checkpoints.shingles import THRESHOLD
from autodata.models.config import Settings


class LessonsConfig(Settings):
    """How a run learns from its own batches: `autodata run --lessons`."""

    enabled: bool = False
    """Documents in batches, with lessons from each for the next; otherwise each document stands alone."""
    batch: int = Field(default=8, ge=1, le=1000)
    """Documents of a batch."""
    new: int = Field(default=3, ge=0, le=10)
    """Lessons that a batch may add at most."""
    most: int = Field(default=12, ge=1, le=50)
    """Lessons in force at most: beyond, the analyst's oldest are switched off."""
    sample: int = Field(default=8, ge=1, le=50)
    """Rounds of a batch that the analyst reads, spread over what became of them."""
    steer: bool = True
    """Whether challengers are shown which skills and types of question were asked often and seldom, besides lessons."""
    near_duplicate: float = Field(default=THRESHOLD, gt=0, le=1)
    """Questions are refused that share this much of their words in threes with an accepted one."""
    patience: int = Field(default=10, ge=0)
    """Batches in a row without more accepted examples a call than the best before them, after which the run stops.
    0: it goes on to the last document."""


DATASET_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"dataset_analyst": {"temperature": 0.3, "max_tokens": 4096}}
"""Model settings of the outer loop's roles that a configuration may override."""

FREE = frozenset({"patience"})
"""Settings that may change between two sessions of a run."""
