"""Settings of the meta-optimiser (paper, section 6): the table `[optimize]` of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from autodata.models.config import Settings


class OptimizeConfig(Settings):
    """How `autodata optimize` searches for better prompts. The defaults read the paper with its waste taken out."""

    iterations: int = Field(default=40, ge=1, le=100_000)
    """Iterations in all: parents sampled, each analysed, edited and compared with its mutant."""
    parallel: int = Field(default=1, ge=1, le=64)
    """Iterations at once. Only 1 is reproducible to the bit: else the population sampled from depends on timing."""
    temperature: float = Field(default=0.1, gt=0)
    """T of the Boltzmann distribution over mean validation scores that parents are sampled from."""
    minibatch: int = Field(default=8, ge=1)
    """Training documents of an iteration, whose failures the analyst reads."""
    max_rounds: int = Field(default=3, ge=1, le=100)
    """Rounds after which a document counts as not passed, in place of the run's own."""
    curtail: bool = False
    """Whether attempts stop once the verdict is settled: fewer calls, but feedback gives the challenger no means."""
    reuse_parent: bool = True
    """Whether a parent's stored validation result is used again; otherwise it is evaluated anew in every iteration."""
    max_blocks: int = Field(default=5, ge=1)
    """Seed blocks a pack is validated on at most: a parent buys a further one every second time it is sampled."""
    racing: Literal["off", "exact", "paired"] = "exact"
    """Stop a mutant that can no longer win (`exact`), or that a sign test over the documents gives up (`paired`)."""
    racing_error: float = Field(default=0.05, gt=0, lt=0.5)
    """`paired` only: chance that a mutant as good as its parent is given up, over all looks together."""
    wave: int = Field(default=5, ge=1)
    """Validation documents between two looks at a race. A look waits for its whole batch: small ones cost time."""
    confirm: int = Field(default=0, ge=0, le=50)
    """Fresh blocks on which a new incumbent must beat the one before it on average, before it is believed."""
    failures: int = Field(default=6, ge=1, le=50)
    """Failed rounds that the analyst reads, whole, spread over the failure modes."""
    traces: Literal["ledger", "langsmith"] = "ledger"
    """Where failures are read from: the search's own ledger, or the LangSmith project that `[tracing]` sends it to."""
    editor_turns: int = Field(default=6, ge=1, le=50)
    """Turns of the editing agent, the checker's complaints included."""
    growth: float = Field(default=2.0, gt=0)
    """Longest prompt, as a multiple of the baseline's length; 1,000 characters are always allowed on top."""
    ngram: int = Field(default=8, ge=3)
    """Words in a row of a validation or test document that a prompt may not hold."""
    history: int = Field(default=12, ge=0, le=200)
    """Latest entries of the history log that analyst and editor are shown."""


OPTIMIZER_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "analyst": {"temperature": 0.7, "max_tokens": 4096},
    "editor": {"temperature": 1.0, "max_tokens": 8192},
}
"""Model settings of the optimiser's roles that a configuration may override."""

FREE = frozenset({"iterations", "parallel"})
"""Settings that may change between two sessions of a search."""
