"""The one table of roles: configuration, prompts, their checks, `doctor`, what is drawn and the docs derive from it.

A new role is one entry here, its node in `nodes/`, and its place in `graphs/self_instruct.py`; each domain that uses it
has a prompt `prompts/<domain>/<role>.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """A role: a part of a graph that reads a prompt. All but `feedback` also call a model."""

    name: str
    """The name of its node, of its prompt's file, and of its table below `[models]`."""
    help: str
    """What it does, in one line of the configuration."""
    placeholders: tuple[str, ...]
    """What it may be shown (law 6)."""
    needed: tuple[str, ...] = ()
    """Placeholders without which it could not do its work."""
    calls_model: bool = True
    """Whether a model plays it. One that none plays is a text only."""
    structured: bool = True
    """Whether its replies are read as JSON; solvers answer in plain text."""
    editable: bool = False
    """Whether the optimiser may edit its prompt. Those of solvers and judges never are (law 6)."""
    switch: str = ""
    """The setting of a domain without which the domain does not use it; empty for a role that every domain uses."""
    solver: bool = False
    """Whether it is one of the two solvers, which have modes of their own."""
    of_optimizer: bool = False
    """Whether it belongs to the optimiser's graph, not to the loop."""
    of_dataset: bool = False
    """Whether it belongs to the outer loop over a whole dataset: a run with lessons uses it, no other does."""
    nodes: tuple[str, ...] = ()
    """The nodes that it speaks in, where they are not the one of its own name alone."""
    colour: str = "blue"
    """What its calls are drawn in by `autodata trace`: a colour that rich knows."""
    answered: str = "challenge"
    """The stage (`jobs/standing.py`) that a document is in once it has answered; of a mark the attempt says it."""


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Rows of one table are alike in shape; what differs is the point of each.
TABLE = (
    Role(
        "extractor",
        help="Reads a document once and says what it holds, in a domain with an extractor.",
        placeholders=_names("source title schema"),
        needed=_names("source schema"),
        switch="extractor",
    ),
    Role(
        "challenger",
        help="Writes the questions.",
        placeholders=_names("source title anchor extract grounding angle failures schema"),
        needed=_names("source failures schema"),
        editable=True,
        colour="magenta",
        answered="quality",
    ),
    Role(
        "screen",
        help="Picks the promising of several candidates, in a domain with challengers side by side.",
        placeholders=_names("candidates schema"),
        needed=_names("candidates schema"),
        switch="screened",
        answered="quality",
    ),
    Role(
        "quality_verifier",
        help="Looks at each question before a solver is paid for.",
        placeholders=_names("source title candidate schema"),
        needed=_names("candidate schema"),
        editable=True,
        switch="quality_check",
        nodes=("quality_verifier", "accept"),
        answered="weak",
    ),
    Role(
        "weak_solver",
        help="Must fail, at least mostly: name a weaker model than the strong solver's.",
        placeholders=_names("context question"),
        needed=_names("question"),
        structured=False,
        solver=True,
        colour="cyan",
        answered="weak",
    ),
    Role(
        "strong_solver",
        help="Must succeed where the weak solver fails.",
        placeholders=_names("context question source"),  # `source` is for a privileged one
        needed=_names("question"),
        structured=False,
        solver=True,
        colour="green",
        answered="strong",
    ),
    Role(
        "verifier",
        help="Marks the solvers' answers.",
        placeholders=_names("context question criteria reference answer schema"),
        needed=_names("question answer schema"),
        colour="yellow",
    ),
    Role(
        "loop_judge",
        help="Reads the pattern over all attempts, in a domain with a loop judge.",
        placeholders=_names("packet schema"),
        needed=_names("packet schema"),
        switch="loop_judge",
        answered="strong",
    ),
    Role(
        "feedback",
        help="What the next challenger sees of the failures so far.",
        placeholders=_names("failures"),
        needed=_names("failures"),
        calls_model=False,
        structured=False,
        editable=True,
    ),
    Role(
        "analyst",
        help="Reads failures, and parts of training documents, and says what causes them: `autodata optimize` only.",
        placeholders=_names("prompts material history schema"),
        of_optimizer=True,
        nodes=("analyse",),
    ),
    Role(
        "editor",
        help="Edits the prompts: `autodata optimize` only. Name a strong model.",
        placeholders=_names("files analysis history schema"),
        of_optimizer=True,
        nodes=("edit",),
    ),
    Role(
        "dataset_analyst",
        help="Reads each batch of a run with lessons and says what the next questions should do: `--lessons` only.",
        placeholders=_names("figures coverage lessons material schema"),
        needed=_names("material schema"),
        of_dataset=True,
        nodes=("analyse_batch",),
    ),
    Role(
        "lessons",
        help="What a challenger is shown of the lessons in force, in a run with lessons.",
        placeholders=_names("lessons"),
        needed=_names("lessons"),
        calls_model=False,
        structured=False,
        of_dataset=True,
    ),
)
"""All roles, those of the loop in the order of its graph."""

ROLE: Mapping[str, Role] = {role.name: role for role in TABLE}
"""Each role by its name."""

PROMPTED = tuple(role.name for role in TABLE if not (role.of_optimizer or role.of_dataset))
"""The roles of the loop, `feedback` too: each has a prompt. A domain uses some of them."""

ROLES = tuple(name for name in PROMPTED if ROLE[name].calls_model)
"""The roles of the loop that call a model; a role is the name of its node. A domain uses some of them."""

OPTIMIZER_ROLES = tuple(role.name for role in TABLE if role.of_optimizer)
"""The roles of the optimiser that call a model: one reads failures, the other edits prompts."""

DATASET_ROLES = tuple(role.name for role in TABLE if role.of_dataset and role.calls_model)
"""The roles of the outer loop that call a model: one, which reads batches. Its prompts stand in the pack `dataset`."""

DATASET_PROMPTED = tuple(role.name for role in TABLE if role.of_dataset)
"""The roles of the outer loop that have a prompt: the analyst, and the section of lessons."""

MODEL_ROLES = (*ROLES, *OPTIMIZER_ROLES, *DATASET_ROLES)
"""All roles that call a model, in the order of the configuration."""

TEXTS = tuple(name for name in PROMPTED if not ROLE[name].calls_model)
"""The roles of the loop that are a text only: every domain has them."""

SOLVERS = tuple(role.name for role in TABLE if role.solver)
"""The two solvers, the weak one first."""

READERS_OF_SOURCE = tuple(name for name in ROLES if "source" in ROLE[name].placeholders and not ROLE[name].solver)
"""The roles that are shown a document whole, a privileged solver aside."""

STRUCTURED_ROLES = frozenset(role.name for role in TABLE if role.structured)
"""Roles whose replies must be read as JSON; solvers answer in plain text."""

EDITABLE = frozenset(role.name for role in TABLE if role.editable)
"""Roles whose prompts an optimiser may edit; solver and judge prompts never are (law 6)."""

PLACEHOLDERS: Mapping[str, frozenset[str]] = {name: frozenset(ROLE[name].placeholders) for name in PROMPTED}
"""What each role may be shown. Solvers see context + question (law 6); `source` is for a privileged strong solver."""

OPTIMIZER_PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    name: frozenset(ROLE[name].placeholders) for name in OPTIMIZER_ROLES
}
"""The same for the roles of the optimiser, which stand in a pack of their own, `optimizer`."""

NEEDED: Mapping[str, frozenset[str]] = {name: frozenset(ROLE[name].needed) for name in PROMPTED}
"""Placeholders without which a role could not do its work."""
