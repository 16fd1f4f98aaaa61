"""A run's whole configuration: one typed value, validated before anything is spent (rule 8)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import tomli_w
from pydantic import Field, ValidationError, model_validator

from autodata.checkpoints.errors import DiskFailed, UserError
from autodata.domains.acceptance.borderline import Reviewing, ReviewMode
from autodata.domains.acceptance.checks import NO_CHECKS, ChecksConfig
from autodata.domains.acceptance.confirming import ConfirmConfig, require_confirmable
from autodata.domains.acceptance.parse import policy_of
from autodata.domains.acceptance.policies import PRESETS, AcceptancePolicy, LoopJudge, Measure
from autodata.domains.domain import Domain, one_shot
from autodata.domains.loader import find_domain, require_fitting
from autodata.domains.tasks.plugin import hashed
from autodata.domains.tasks.registry import code_of
from autodata.models.config import BudgetConfig, ModelsConfig, ModelSettings, RetryConfig, Settings
from autodata.models.judges import JudgesConfig
from autodata.models.local.weights import with_weights
from autodata.models.simulated.world import World
from autodata.models.validation import problems
from autodata.nodes.dataset.settings import DATASET_DEFAULTS, LessonsConfig
from autodata.nodes.optimizer.settings import BEFORE, OptimizeConfig, as_before
from autodata.prompts import PromptPack
from autodata.prompts.roles import DATASET_ROLES
from autodata.runner.documents_config import DocumentsConfig
from autodata.runner.fingerprint import LESSONS_VERSION, READER, fingerprint
from autodata.runner.judges import judges_of, resolved_judges, without_judges
from autodata.runner.places import CheckpointsConfig, LedgerConfig, LocalConfig
from autodata.runner.rooms import MOST_CHARS, most_chars
from autodata.runner.serve_config import ServeConfig
from autodata.runner.weak_from import with_weak
from autodata.tracing.config import TracingConfig

Configured = TypeVar("Configured", bound="RunConfig")

SESSION = frozenset({"limit", "target", "budget"})
"""What holds for one session only, and is not kept with the run."""


class RunConfig(Settings):
    """The configuration file, with the flags of the command line laid over it."""

    kind: ClassVar[str] = "run"
    """What the folder holds; the command of the same name made it, and only that one goes on with it."""

    domain: str = "cs"
    """What kind of examples to make: cs (research questions with a rubric), facts (one precise fact each), legal
    (clients' questions over a source of law), science (questions with a checkable answer), or a folder: ./mydomain."""
    acceptance: str | dict[str, Any] | None = None
    """A preset's name, or own bounds, perhaps over a preset. None: the domain's own preset."""
    prompts: str | None = None
    """Folder of prompts to use in place of the domain's own, for instance the winner of an optimisation."""
    max_rounds: int = Field(default=15, ge=1, le=100)
    """Rounds after which a document is rejected."""
    seed: int = 0
    """Seed of everything random in a run."""
    concurrency: int | None = Field(default=None, ge=1, le=1000)
    """Documents in work at once. None: one and a half for each request that the endpoints take at once."""
    review: ReviewMode = "none"
    """Which candidates wait for a person, who approves, edits or rejects them: none, accepted (all that pass every
    gate), borderline (those that nearly failed, or failed nearly) or all (every one with a verdict)."""
    review_margin: float = Field(default=0.05, ge=0, le=1)
    """How near to a bound a score is borderline. A count is when one attempt made the difference."""
    curtail: Literal["off", "exact", "adaptive"] | None = None
    """When a round's attempts stop: off (all are made), exact (once the verdict is settled, whatever the missing ones
    would score) or adaptive (once acceptance has become most unlikely). None: off or exact, as the domain has it."""
    curtail_error: float = Field(default=0.01, ge=0, le=0.2)
    """The share of acceptances that adaptive stopping may lose."""
    curtail_walked: float = Field(default=0.1, ge=0.01, le=1)
    """The share of candidates, by lot, that adaptive stopping walks to the end, to measure what it loses."""
    limit: int | None = Field(default=None, ge=1)
    """Documents to take at most."""
    target: int | None = Field(default=None, ge=1)
    """Stop once the run holds this many accepted examples; documents in work may add to them."""
    models: ModelsConfig = ModelsConfig()
    local: LocalConfig = LocalConfig()
    simulated: World = World()
    retries: RetryConfig = RetryConfig()
    budget: BudgetConfig = BudgetConfig()
    documents: DocumentsConfig = DocumentsConfig()
    ledger: LedgerConfig = LedgerConfig()
    checkpoints: CheckpointsConfig = CheckpointsConfig()
    tracing: TracingConfig = TracingConfig()
    judges: JudgesConfig = JudgesConfig()
    checks: ChecksConfig = ChecksConfig()
    confirm: ConfirmConfig = ConfirmConfig()
    lessons: LessonsConfig = LessonsConfig()
    optimize: OptimizeConfig = OptimizeConfig()
    serve: ServeConfig = ServeConfig()

    @model_validator(mode="before")
    @classmethod
    def _one_server(cls, values: Any) -> Any:
        """Put checkpoints where the ledger is, unless they are said to be elsewhere."""
        ledger = values.get("ledger") if isinstance(values, dict) else None
        chosen = ledger if isinstance(ledger, dict) else {}
        checkpoints = values.get("checkpoints") or {} if isinstance(values, dict) else {}
        if chosen.get("store") != "postgres" or not isinstance(checkpoints, dict) or "saver" in checkpoints:
            return values
        variable = {"dsn_env": chosen["dsn_env"]} if "dsn_env" in chosen else {}
        return {**values, "checkpoints": {"saver": "postgres", **variable, **checkpoints}}

    @model_validator(mode="after")
    def _possible(self) -> RunConfig:
        try:
            domain = self.chosen_domain
        except UserError as error:
            raise ValueError(f"domain: {error}") from error
        policy = self.policy
        # The policy of a baseline goes with every domain: it gates nothing, whatever a judge says.
        if isinstance(policy, LoopJudge) is not domain.loop_judge and type(policy) is not Measure:
            has = "has a loop judge: leave acceptance out" if domain.loop_judge else "has no loop judge: choose another"
            raise ValueError(f"acceptance: {policy.name!r} cannot be used, for domain {domain.name!r} {has}")
        try:
            policy.require_possible(domain.planned)
        except ValueError as error:
            raise ValueError(f"acceptance: {error}") from error
        try:
            require_confirmable(self.confirm, policy, domain.planned)
        except ValueError as error:
            raise ValueError(f"confirm.require: {error}") from error
        if self.curtail in {"exact", "adaptive"} and domain.loop_judge:
            raise ValueError(f"curtail: a loop judge reads all attempts: leave {self.curtail!r} out, or write 'off'")
        if self.curtail == "adaptive" and self.kind != RunConfig.kind:
            raise ValueError(f"curtail: 'adaptive' is for runs: of a {self.kind} write 'off' or 'exact'")
        if self.review == "borderline" and domain.loop_judge:
            raise ValueError("review: 'borderline' needs gates to be near to, and a judge decides here: choose another")
        return self

    @cached_property
    def chosen_domain(self) -> Domain:
        """The domain that `domain` names, curtailed as `curtail` says; a folder of one's own is read once."""
        domain = find_domain(self.domain)
        if self.curtail is None or (self.curtail == "exact") is domain.curtail:
            return domain
        return domain.curtailed(self.curtail == "exact")

    @property
    def policy(self) -> AcceptancePolicy:
        """The acceptance policy that `acceptance` describes. Raises ValueError when it describes none."""
        return policy_of(self.acceptance or self.chosen_domain.acceptance)

    def pack(self) -> PromptPack:
        """Load the prompts. Raises UserError when there are none, or they do not fit the domain."""
        if not self.prompts:
            return self.chosen_domain.pack()
        folder = Path(self.prompts).expanduser()
        pack = self.chosen_domain.pack(folder)
        require_fitting(self.chosen_domain, pack, folder)
        return pack

    def lessons_pack(self) -> PromptPack:
        """Load the prompts of the outer loop: those in the folder of prompts take the place of the shipped ones."""
        return self.chosen_domain.lessons_pack(Path(self.prompts).expanduser() if self.prompts else None)

    @property
    def max_chars(self) -> int:
        """The longest document in characters that is used whole; below 1 where a model's context has no room for any.

        Without models, which is reported elsewhere, no context is known.
        """
        if self.documents.max_chars is not None:
            return self.documents.max_chars
        if self.chosen_domain.passage_words is not None and not self.chunks:
            return MOST_CHARS  # nobody reads more than a passage
        try:
            return most_chars(self.roles(), self.local.ctx)
        except UserError:
            return MOST_CHARS

    @property
    def chunks(self) -> bool:
        """Whether longer documents are parted. What picks passages takes documents of any length."""
        return self.chunks_of(self.chosen_domain)

    def chunks_of(self, domain: Domain) -> bool:
        """Whether longer documents of a domain are parted, for what works on several domains."""
        if self.documents.chunk is not None or self.documents.reader == 1:
            return bool(self.documents.chunk)
        return domain.passage_words is None and "too_long" not in self.documents.model_fields_set

    @property
    def reviewing(self) -> Reviewing:
        """Which candidates wait for a person, as the nodes read it."""
        return Reviewing(self.review, Fraction(str(self.review_margin)))

    def roles(self) -> dict[str, ModelSettings]:
        """Return every role's full model settings. Raises UserError when one has no model."""
        defaults: Mapping[str, Mapping[str, Any]] = self.chosen_domain.role_defaults
        roles: Sequence[str] = self.chosen_domain.roles
        if self.lessons.enabled:
            defaults, roles = {**DATASET_DEFAULTS, **defaults}, (*roles, *DATASET_ROLES)
        resolved = {**self.models.resolve(defaults, roles), **judges_of(self.judges, self.models, defaults)}
        return {role: with_weights(settings) for role, settings in resolved.items()}

    def resolved(self, prompt_version: str) -> dict[str, Any]:
        """Return everything as plain values, defaults filled in and roles resolved: what `RUN/config.toml` holds."""
        plain = self.model_dump(
            mode="json", exclude_none=True, exclude={"models", "acceptance", "optimize", "serve", *SESSION}
        )
        domain, acceptance = self.chosen_domain, self.policy
        plain["domain"] = str(domain.folder or domain.name)
        plain["documents"] |= {"max_chars": max(1, self.max_chars), "chunk": self.chunks}
        if not self.chunks:
            del plain["documents"]["max_chunks"]
        plain["domain_settings"] = domain.model_dump(mode="json", exclude_none=True)
        if code := "; ".join(filter(None, (code_of(domain.kind), code_of_policy(acceptance)))):
            plain["domain_settings"]["code"] = code
        if isinstance(acceptance, Settings):
            plain["acceptance"] = acceptance.model_dump(mode="json", exclude_none=True)
        plain["models"] = {
            role: settings.model_dump(mode="json", exclude_none=True) for role, settings in self.roles().items()
        }
        resolved_judges(self.judges, plain)
        if self.checks == NO_CHECKS:
            del plain["checks"]
        own = {LESSONS_VERSION: self.lessons_pack().version} if self.lessons.enabled else {}
        return {"kind": self.kind, "prompt_version": prompt_version, **own, **plain}


def code_of_policy(policy: AcceptancePolicy) -> str:
    """Return what names the code of an acceptance policy that an entry point adds, `SPEC HASH`; empty for ours."""
    spec = PRESETS.spec(policy.name) if policy.name in PRESETS.plugins else ""
    return hashed(spec) if spec else ""


def at_defaults(resolved: Mapping[str, Any]) -> frozenset[str]:
    """Return the names in a configuration's fingerprint whose settings are at their defaults.

    A setting that a later version adds has what was done before it as its default, so one that is at its default now
    was so in a folder from before it. Without this every new setting would refuse the run folders that people paid for.
    """
    plain = RunConfig().model_dump(mode="json", exclude_none=True, exclude={"domain", "models", "acceptance", *SESSION})
    of_domain = {
        name: field.default
        for name, field in Domain.model_fields.items()
        if isinstance(field.default, bool | int | float | str)
    }
    of_model = ModelSettings().model_dump(mode="json", exclude_none=True, exclude={"provider", "model"})
    unset = {**resolved, **{name: value for name, value in plain.items() if name in resolved}}
    unset["domain_settings"] = {**resolved.get("domain_settings", {}), **of_domain}
    unset["models"] = {role: {**settings, **of_model} for role, settings in resolved["models"].items()}
    defaults = fingerprint(unset)
    return frozenset(name for name, value in fingerprint(resolved).items() if defaults.get(name) == value)


def reading_fingerprint(config: RunConfig) -> dict[str, str]:
    """Return the settings of reading documents that results depend on; another machine has all other settings."""
    return {
        **({READER: str(config.documents.reader)} if config.documents.reader != 1 else {}),
        **({"documents.chunk": "True", "documents.max_chars": str(config.max_chars)} if config.chunks else {}),
    }


def as_begun(config: Configured, known: Mapping[str, str]) -> Configured:
    """Return a configuration as a folder was begun that holds `known` in its table `meta`.

    One from before documents were parted, and more formats were read, goes on without, unless the
    configuration asks for it. A search from before its rules could be chosen goes on by those of then.
    """
    before: dict[str, str] = json.loads(known.get("bearing", "{}"))
    if "optimize.temperature" in before and not any(f"optimize.{name}" in before for name in BEFORE):
        config = config.model_copy(update={"optimize": as_before(config.optimize)})
    if not before or READER in before:
        return config
    unset: dict[str, int | bool] = {"reader": 1, "chunk": False}
    if (most := before.get("documents.max_chars", "")).isdigit():
        unset["max_chars"] = int(most)
    unset = {name: value for name, value in unset.items() if name not in config.documents.model_fields_set}
    return config.model_copy(update={"documents": config.documents.model_copy(update=unset)})


def read_config(text: str, where: str, flags: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a TOML configuration with flags over it. Raises UserError naming `where`, the key and what is wrong."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{where}: not valid TOML: {error}") from error
    given = dict(flags or {})
    weak = given.pop("weak_from", None)
    for name, value in given.items():
        table, _, key = name.rpartition(".")
        place = values.setdefault(table, {}) if table else values
        if isinstance(place, dict):  # what is no table is reported below
            place[key] = value
    if weak is not None and isinstance(values.setdefault("models", {}), dict):
        values["models"] = with_weak(values["models"], str(weak))
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {problems(error, RunConfig)}") from error


def require_kind(resolved: Mapping[str, Any], kind: str, folder: Path) -> None:
    """Raise UserError unless a stored configuration is of this kind: `run` or `baseline`."""
    stored = resolved.get("kind", RunConfig.kind)
    if stored != kind:
        what = "search" if stored == "optimize" else stored
        raise UserError(f"{folder} holds a {what}: go on with 'autodata {stored}', or use another --out")


def stored_config(path: Path, flags: Mapping[str, Any] | None = None, kind: str = "run") -> RunConfig:
    """Return the configuration a run folder was made with, with flags over it. Raises UserError."""
    values = read_resolved(path)
    require_kind(values, kind, path.parent)
    values.pop("kind", None)
    values.pop("prompt_version", None)
    values.pop(LESSONS_VERSION, None)
    values.pop("domain_settings", None)
    without_judges(values)
    if isinstance(tracing := values.get("tracing"), dict) and tracing.get("langsmith"):
        del tracing["langsmith"]  # it was the default once: what is sent is asked for anew
    return read_config(tomli_w.dumps(values), str(path), flags)


def load_config(path: Path | None, flags: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a configuration file; None stands for an empty one. Raises UserError."""
    if path is None:
        return read_config("", "command line", flags)
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such configuration: write one with 'autodata init'") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return read_config(text, str(path), flags)


def read_resolved(path: Path) -> dict[str, Any]:
    """Read a run's stored configuration. Raises UserError when it cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the run's settings cannot be read ({error}): move the folder away") from error


def write_resolved(path: Path, resolved: Mapping[str, Any]) -> None:
    """Write a resolved configuration, atomically."""
    part = path.with_suffix(".part")
    try:
        part.write_bytes(tomli_w.dumps(dict(resolved)).encode())
        part.replace(path)
    except OSError as error:
        raise DiskFailed(f"{path}: {error.strerror}: make room and make the folder writable") from error


class BaselineConfig(RunConfig):
    """A run's configuration, read as a baseline: one round, the policy `measure`, the domain as `one_shot` has it."""

    kind: ClassVar[str] = "baseline"

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return the baseline of a run: its bounds and its number of rounds take no part."""
        return cls.model_validate(
            {**config.model_dump(exclude_unset=True), "acceptance": None, "max_rounds": 1, "review": "none"}
            | {"lessons": {}, "confirm": {}, "checks": {}, "curtail": None}
        )

    @property
    def chosen_domain(self) -> Domain:
        """The domain that `domain` names, in one shot."""
        return one_shot(super().chosen_domain)

    @property
    def policy(self) -> AcceptancePolicy:
        """Measure, whatever the domain's preset is."""
        return Measure()

    def resolved(self, prompt_version: str) -> dict[str, Any]:
        """Return everything as plain values, but for the acceptance, which is no choice here."""
        return {name: value for name, value in super().resolved(prompt_version).items() if name != "acceptance"}
