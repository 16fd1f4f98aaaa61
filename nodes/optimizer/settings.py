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
    estimator: Literal["mean", "posterior", "lines"] = "posterior"
    """What a pack's rate is taken to be: its mean validation score (the paper), or what all trials of it and of its
    relatives say, by lineage (`posterior`) or by inserted lines (`lines`)."""
    effect: float = Field(default=0.05, gt=0, le=1)
    """`posterior` and `lines`: standard deviation of what an edit, or a line, is expected to do to the pass rate."""
    select: Literal["boltzmann", "thompson"] = "thompson"
    """How parents are sampled from the estimates: the paper's distribution, or the chance that a pack is the best."""
    temperature: float = Field(default=0.1, gt=0)
    """`boltzmann`: T of the distribution over estimated rates that parents are sampled from."""
    merge: float = Field(default=0.1, ge=0, le=1)
    """Share of iterations that combine two packs whose edits touch other lines, where there are such packs."""
    proposals: int = Field(default=1, ge=1, le=20)
    """Edits that are made from one analysis, each an iteration of its own."""
    minibatch: int = Field(default=8, ge=1)
    """Training documents of an iteration, whose failures the analyst reads."""
    max_rounds: int = Field(default=3, ge=1, le=100)
    """Rounds after which a document counts as not passed, in place of the run's own."""
    curtail: bool = False
    """Whether attempts stop once the verdict is settled: fewer calls, but feedback gives the challenger no means."""
    reuse_parent: bool = True
    """Whether a parent's stored validation result is used again; otherwise it is evaluated anew in every iteration."""
    max_blocks: int = Field(default=5, ge=1)
    """Seed blocks of a comparison at most. `strict`: those of a pack; a parent buys a further one every second time."""
    accept: Literal["strict", "sequential"] = "sequential"
    """When a mutant joins: strictly better on one shared block (the paper), or as soon as it is likely enough."""
    accept_above: float = Field(default=0.65, ge=0.5, lt=1)
    """`sequential`: accepted once it is better than its parent with a probability above this."""
    reject_below: float = Field(default=0.45, gt=0, le=0.5)
    """`sequential`: rejected once that probability is below this."""
    most_documents: int = Field(default=200, ge=1)
    """`sequential`: validation documents, with repetitions under other seeds, that a mutant is tried on at most."""
    racing: Literal["off", "exact", "paired"] = "exact"
    """`strict`: stop a mutant that can no longer win (`exact`), or that a sign test gives up (`paired`)."""
    racing_error: float = Field(default=0.05, gt=0, lt=0.5)
    """`paired` only: chance that a mutant as good as its parent is given up, over all looks together."""
    wave: int = Field(default=5, ge=1)
    """Validation documents between two looks. A look waits for its whole batch: small ones cost time."""
    confirm: int = Field(default=0, ge=0, le=50)
    """Fresh blocks on which a new incumbent must beat the one before it on average, before it is believed."""
    failures: int = Field(default=6, ge=1, le=50)
    """Failed rounds that the analyst reads, whole, spread over the failure modes."""
    contrast: int = Field(default=2, ge=0, le=20)
    """Accepted rounds of the same documents that it reads beside them."""
    excerpt: int = Field(default=1200, ge=0, le=20_000)
    """Characters of each document that it is shown; 0: none."""
    traces: Literal["ledger", "langsmith"] = "ledger"
    """Where failures are read from: the search's own ledger, or the LangSmith project that `[tracing]` sends it to."""
    editor_turns: int = Field(default=6, ge=1, le=50)
    """Turns of the editing agent, the checker's complaints included."""
    growth: float = Field(default=2.0, gt=0)
    """Longest prompt, as a multiple of the baseline's length; 1,000 characters are always allowed on top."""
    ngram: int = Field(default=8, ge=3)
    """Words in a row of any of the search's documents that a prompt may not hold."""
    history: int = Field(default=12, ge=0, le=200)
    """Latest entries of the history log that analyst and editor are shown."""


OPTIMIZER_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "analyst": {"temperature": 0.7, "max_tokens": 4096},
    "editor": {"temperature": 1.0, "max_tokens": 8192},
}
"""Model settings of the optimiser's roles that a configuration may override."""

BEFORE: Mapping[str, Any] = {
    "estimator": "mean",
    "accept": "strict",
    "select": "boltzmann",
    "merge": 0.0,
    "proposals": 1,
    "contrast": 0,
    "excerpt": 0,
    "effect": 0.05,
    "accept_above": 0.65,
    "reject_below": 0.45,
    "most_documents": 200,
}
"""Settings that searches from before them do not have: values that say what was done then, or play no part in it."""


def as_before(config: OptimizeConfig) -> OptimizeConfig:
    """Return the settings of a search from before `BEFORE` was there, which goes on as it was begun."""
    unset = {name: value for name, value in BEFORE.items() if name not in config.model_fields_set}
    return config.model_copy(update=unset)


FREE = frozenset({"iterations", "parallel"})
"""Settings that may change between two sessions of a search."""
