"""A domain as one value: which kind of candidate, how many attempts, which policy, which prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from autodata.checkpoints.records import UserError
from autodata.models.config import ROLES, Settings
from autodata.nodes.acceptance import Planned
from autodata.nodes.kinds import KINDS, Kind
from autodata.prompts import PromptPack, load_pack


class Domain(Settings):
    """Everything in which one kind of data set differs from another. A new domain is one value and a prompt pack."""

    name: str
    kind: Literal["rubric", "reference", "legal", "verifiable"]
    extractor: bool = False
    """Whether an extractor reads the document once, before the first round, and may find it unsuitable."""
    challengers: int = Field(default=1, ge=1, le=8)
    """Challengers side by side, each from another angle; a screen picks which candidates are worth solver money."""
    grounding: int = Field(default=0, ge=0, le=10)
    """Other documents of the run that a challenger is shown as examples."""
    quality_check: bool = True
    """Whether a quality verifier looks at each candidate before any solver is paid for."""
    loop_judge: bool = False
    """Whether a judge reads the pattern over all attempts; the acceptance preset is then `loop_judge`."""
    probe: bool = False
    """Whether empty answers count as failures once the endpoint has answered a trivial question."""
    weak_attempts: int = Field(default=3, ge=1)
    strong_attempts: int = Field(default=3, ge=1)
    acceptance: str = "paper"
    """The preset a run uses unless its configuration says otherwise."""
    curtail: bool = False
    """Whether attempts stop once the verdict is settled. Curtailed counts are kept out of means."""
    passage_words: int | None = Field(default=None, ge=20)
    """Longest passage, in words, that code picks for each round; None: the whole document is the source."""
    privileged_strong: bool = False
    """Whether the strong solver sees the source too: the one exception to context + question only."""
    show_rejected: bool = True
    """Whether feedback quotes rejected questions. Small models copy what they are shown."""
    final_check: bool = True
    """Whether an accepted item meets the quality verifier and code's own checks once more."""
    role_defaults: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Model settings of roles that a configuration may override."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles this domain calls a model for, in the order of the graph."""
        optional = {
            "extractor": self.extractor,
            "screen": self.challengers > 1,
            "quality_verifier": self.quality_check,
            "loop_judge": self.loop_judge,
        }
        return tuple(role for role in ROLES if optional.get(role, True))

    @property
    def planned(self) -> Planned:
        """How many attempts a round plans."""
        return Planned(self.weak_attempts, self.strong_attempts, self.curtail)

    @property
    def scorer(self) -> Kind:
        """The kind of candidate, with its checks and its scorer."""
        return KINDS[self.kind]

    def pack(self) -> PromptPack:
        """Load the domain's prompts. Raises UserError when a solver would see more than it may."""
        pack = load_pack(self.name)
        if not self.privileged_strong and "source" in pack["strong_solver"].front.placeholders:
            raise UserError(f"prompt pack {pack.name}: strong_solver may not see {{{{source}}}}: it is not privileged")
        return pack


_FREE = {"temperature": 1.0, "max_tokens": 4096}
_EXACT = {"temperature": 0.0, "max_tokens": 4096}

CS = Domain(
    name="cs",
    kind="rubric",
    role_defaults={
        "challenger": {"temperature": 1.0, "max_tokens": 8192},
        "quality_verifier": _EXACT,
        "weak_solver": _FREE,
        "strong_solver": _FREE,
        "verifier": _EXACT,
    },
)
"""Research questions over a technical document: rubric, 3 + 3 attempts (paper, section 3)."""

FACTS = Domain(
    name="facts",
    kind="reference",
    weak_attempts=4,
    strong_attempts=4,
    acceptance="counts",
    curtail=True,
    passage_words=150,
    privileged_strong=True,
    show_rejected=False,
    final_check=False,
    role_defaults={
        "challenger": {"temperature": 0.7, "max_tokens": 300},
        "quality_verifier": {"temperature": 0.0, "max_tokens": 200},
        "weak_solver": {"temperature": 0.7, "max_tokens": 64},
        "strong_solver": {"temperature": 0.7, "max_tokens": 64},
        "verifier": {"temperature": 0.0, "max_tokens": 200},
    },
)
"""One precise fact of any prose: short answers, right or wrong, made for small local models."""

DOMAINS: Mapping[str, Domain] = {"cs": CS, "facts": FACTS}


def find_domain(name: str) -> Domain:
    """Return a domain by name. Raises UserError naming the ones there are."""
    if name not in DOMAINS:
        raise UserError(f"unknown domain {name!r}: use one of {', '.join(sorted(DOMAINS))}")
    return DOMAINS[name]
