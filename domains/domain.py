"""A domain as one value: which task type, how many attempts, which policy, which prompts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, field_validator

from autodata.checkpoints.errors import UserError
from autodata.domains.acceptance.policies import Planned
from autodata.domains.tasks.base import TaskType, extract_of, judgement_of
from autodata.domains.tasks.judgement import Extract, LoopJudgement
from autodata.domains.tasks.plugin import SPEC
from autodata.domains.tasks.registry import TASK_TYPES, find_task_type
from autodata.models.config import Settings
from autodata.prompts import PromptPack, load_pack
from autodata.prompts.roles import DATASET_PROMPTED, PROMPTED, ROLE


class Domain(Settings):
    """Everything in which one kind of data set differs from another. A new domain is one value and a prompt pack."""

    name: str = Field(pattern=r"^[A-Za-z0-9][\w-]*$", max_length=60)
    """What the domain is called in examples: letters, digits, - and _. Of one's own: else the folder's name."""
    kind: str
    """What a candidate is: `rubric`, `reference`, `legal`, `verifiable`, or `module:attribute` of one's own."""
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
    """Attempts of the weak solver at each question."""
    strong_attempts: int = Field(default=3, ge=1)
    """Attempts of the strong solver, made only behind the weak gate."""
    acceptance: str | dict[str, Any] = "paper"
    """The preset, or own bounds, that a run uses unless its configuration says otherwise."""
    curtail: bool = False
    """Whether attempts stop once the verdict is settled: with any policy but a loop judge, verdict and failure mode are
    those of all attempts. Curtailed scores are kept out of means."""
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
    _folder: Path | None = PrivateAttr(default=None)

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if not SPEC.fullmatch(kind) and kind not in TASK_TYPES:
            raise ValueError(f"unknown kind {kind!r}: use one of {', '.join(TASK_TYPES)}, or module:attribute")
        return kind

    @property
    def folder(self) -> Path | None:
        """Where a domain of one's own stands, as an absolute path; None for one that comes with the package."""
        return self._folder

    def at(self, folder: Path) -> Domain:
        """Return this domain as the one of a folder, whose prompts it then uses."""
        placed = self.model_copy()
        placed._folder = folder.absolute()
        return placed

    def curtailed(self, curtail: bool) -> Domain:
        """Return this domain with attempts that stop once the verdict is settled, or without."""
        changed = self.model_copy(update={"curtail": curtail})
        changed._folder = self._folder
        return changed

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles this domain calls a model for, in the order of the graph."""
        return tuple(name for name in self.prompted if ROLE[name].calls_model)

    @property
    def prompted(self) -> tuple[str, ...]:
        """The roles this domain has a prompt for: those that call a model, and `feedback`."""
        return tuple(name for name in PROMPTED if not ROLE[name].switch or getattr(self, ROLE[name].switch))

    @property
    def screened(self) -> bool:
        """Whether several challengers write side by side, so that a screen picks among their candidates."""
        return self.challengers > 1

    @property
    def planned(self) -> Planned:
        """How many attempts a round plans."""
        return Planned(self.weak_attempts, self.strong_attempts, self.curtail)

    @property
    def scorer(self) -> TaskType:
        """The task type: the shape of a candidate, with its checks and its scorer."""
        return find_task_type(self.kind)

    @property
    def extract(self) -> type[Extract]:
        """What the extractor is asked for."""
        return extract_of(self.scorer)

    @property
    def judgement(self) -> type[LoopJudgement]:
        """What the loop judge is asked for."""
        return judgement_of(self.scorer)

    def pack(self, folder: Path | None = None) -> PromptPack:
        """Load the domain's prompts, or a folder's. Raises UserError when a solver would see more than it may."""
        pack = load_pack(folder or self._folder or self.name)
        if missing := [role for role in self.prompted if role not in pack.prompts]:
            raise UserError(
                f"prompt pack {folder or pack.name}: {missing[0]}.md is missing: domain {self.name} needs it"
            )
        if not self.privileged_strong and "source" in pack["strong_solver"].front.placeholders:
            raise UserError(f"prompt pack {pack.name}: strong_solver may not see {{{{source}}}}: it is not privileged")
        return PromptPack(pack.name, {k: v for k, v in pack.prompts.items() if k not in DATASET_PROMPTED})

    def lessons_pack(self, folder: Path | None = None) -> PromptPack:
        """Load the prompts of the outer loop: the shipped ones, but for those that the domain's or a folder has.

        Raises UserError for one that lacks a placeholder it cannot do without.
        """
        shipped = load_pack("dataset")
        if (own := folder or self._folder) is None:
            return shipped
        found = {role: prompt for role, prompt in load_pack(own).prompts.items() if role in DATASET_PROMPTED}
        for role, prompt in found.items():
            if missing := {*ROLE[role].needed} - {*prompt.front.placeholders}:
                raise UserError(f"{own / f'{role}.md'}: {{{{{min(missing)}}}}} is missing: {role} cannot do without it")
        return PromptPack(shipped.name, {**shipped.prompts, **found})


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

LEGAL = Domain(
    name="legal",
    kind="legal",
    extractor=True,
    quality_check=False,
    loop_judge=True,
    weak_attempts=5,
    strong_attempts=3,
    acceptance="loop_judge",
    final_check=False,
    role_defaults={
        "extractor": _EXACT,
        "challenger": {"temperature": 1.0, "max_tokens": 8192},
        "weak_solver": _FREE,
        "strong_solver": _FREE,
        "verifier": _EXACT,
        "loop_judge": _EXACT,
    },
)
"""Clients' questions over a source of law: rubric in bands, 5 + 3 attempts, a loop judge (paper, section 4)."""

SCIENCE = Domain(
    name="science",
    kind="verifiable",
    challengers=4,
    grounding=3,
    quality_check=False,
    probe=True,
    weak_attempts=4,
    strong_attempts=4,
    acceptance="counts",
    final_check=False,
    role_defaults={
        "challenger": {"temperature": 1.0, "max_tokens": 4096},
        "screen": {"temperature": 0.0, "max_tokens": 2048},
        "weak_solver": _FREE,
        "strong_solver": _FREE,
        "verifier": {"temperature": 0.0, "max_tokens": 1024},
    },
)
"""Mathematics and physics with exact answers: four challengers and a screen, 4 + 4 attempts (paper, section 5)."""

DOMAINS: Mapping[str, Domain] = {domain.name: domain for domain in (CS, FACTS, LEGAL, SCIENCE)}
"""The domains that come with the package; commands, servers and docs derive from it. Each has a pack `prompts/NAME`."""

_NOT_SERVED = frozenset({"facts"})
"""Made for small models on one's own machine."""

SERVED: Mapping[str, Domain] = {name: domain for name, domain in DOMAINS.items() if name not in _NOT_SERVED}
"""Those of which a server has a graph, `self_instruct_NAME`; langgraph.json names each."""


def one_shot(domain: Domain) -> Domain:
    """Return a domain without all that makes it a loop: one challenger, all attempts, no final check."""
    return domain.model_copy(update={"challengers": 1, "curtail": False, "final_check": False})
