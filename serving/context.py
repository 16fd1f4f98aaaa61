"""What a caller of a served graph may choose: the context schema of each domain, and what its values mean.

A caller names model profiles and writes prompt texts. Addresses, names of key variables, request bodies and providers
are the server's own and never taken from a caller: there is no field for them, and unknown fields are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, create_model
from pydantic.config import JsonDict

from autodata.checkpoints.errors import UserError
from autodata.domains.acceptance.parse import policy_of
from autodata.domains.acceptance.policies import PRESETS, AcceptancePolicy, LoopJudge, Thresholds
from autodata.domains.domain import Domain
from autodata.domains.loader import require_fitting
from autodata.models.validation import problems
from autodata.prompts import PromptPack
from autodata.prompts.pack import Prompt, parse_prompt
from autodata.prompts.roles import EDITABLE, MODEL_ROLES, OPTIMIZER_ROLES, PROMPTED, ROLES, TABLE, TEXTS
from autodata.runner.serve_config import CONFIGURED

MOST_CHARS = 40_000
"""Longest prompt that a caller may give, in characters."""

SHOWN_ON: Mapping[str, list[JsonValue]] = {role.name: list(role.nodes or (role.name,)) for role in TABLE}
"""The nodes on which a role's fields are shown."""

Allowed = Literal["all", "editable", "none"]
"""Whose prompts a caller may replace: `serve.prompts`."""

BOUNDS = ("weak_mean", "weak_best", "strong_mean", "gap")
COUNTS = ("weak_right", "strong_right")

Schema = TypeVar("Schema", bound="ServedContext")

_OWN_NAMES = frozenset({"thread_id", "run_id", "graph_id", "assistant_id", "user_id", "recursion_limit"})
"""Names that a server or a remote caller puts beside a context; they are not read."""


class ServedContext(BaseModel):
    """What a caller may choose for a run. Every field may be left out."""

    # A refused value may be a secret sent by mistake: an error never repeats it.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        str_max_length=MOST_CHARS,
        allow_inf_nan=False,
    )

    seed: int = 0
    """Seed of everything random in the run; another one draws again."""

    def profiles(self) -> dict[str, str]:
        """Return the profile chosen for each role."""
        chosen = {role: getattr(self, f"{role}_model", CONFIGURED) for role in MODEL_ROLES}
        return {role: name for role, name in chosen.items() if name != CONFIGURED}

    def prompts(self, roles: Sequence[str] = PROMPTED) -> dict[str, str]:
        """Return the prompt text given for each of these roles, line ends as in a file."""
        given = {role: getattr(self, f"{role}_prompt", "") for role in roles}
        return {role: text.replace("\r\n", "\n") for role, text in given.items() if text.strip()}


class RoundsContext(ServedContext):
    """A context of a graph that makes several rounds."""

    max_rounds: int | None = Field(default=None, ge=1, le=100, json_schema_extra={"langgraph_nodes": ["feedback"]})
    """Rounds after which a document is rejected. Left empty: as the server is configured."""


class LoopContext(RoundsContext):
    """A context of a graph that asks again and again."""

    review: Literal["none", "accepted", "borderline", "all"] = Field(
        default="none", json_schema_extra={"langgraph_nodes": ["human_review"]}
    )
    """Which candidates wait for a person: the run stops with a question, and goes on with the answer."""


_AT_VERIFIER: JsonDict = {"langgraph_nodes": ["verifier"]}
_PRESETS = tuple(name for name, policy in PRESETS.shipped.items() if not isinstance(policy, LoopJudge))


class BoundsContext(RoundsContext):
    """A context of a graph whose acceptance is decided by bounds, and that never asks a person."""

    acceptance: Literal[("", *_PRESETS)] = Field(default="", json_schema_extra=_AT_VERIFIER)  # type: ignore[valid-type]
    """Acceptance preset. Left empty: as the server is configured, else the domain's own."""
    weak_mean: str = Field(default="", json_schema_extra=_AT_VERIFIER)
    """Own bounds of the weak solver's mean score, such as `< 0.50` or `> 0.10, < 0.50`. Empty: the preset's."""
    weak_best: str = Field(default="", json_schema_extra=_AT_VERIFIER)
    """Own bounds of the weak solver's best score. Empty: the preset's."""
    strong_mean: str = Field(default="", json_schema_extra=_AT_VERIFIER)
    """Own bounds of the strong solver's mean score, such as `>= 0.65`. Empty: the preset's."""
    gap: str = Field(default="", json_schema_extra=_AT_VERIFIER)
    """Own bounds of strong mean minus weak mean, such as `>= 0.20`. Empty: the preset's."""
    weak_right: int | None = Field(default=None, ge=0, json_schema_extra=_AT_VERIFIER)
    """Counting presets: weak attempts that may be right at most. Empty: the preset's."""
    strong_right: int | None = Field(default=None, ge=0, json_schema_extra=_AT_VERIFIER)
    """Counting presets: strong attempts that must be right at least. Empty: the preset's."""


class GatedContext(BoundsContext, LoopContext):
    """A context of a graph whose acceptance is decided by bounds."""


_AT_EVALUATIONS: JsonDict = {"langgraph_nodes": ["evaluate_parent", "validate"]}


class SearchContext(ServedContext):
    """A context of the graph that searches for better prompts. A search keeps the one that it began with."""

    acceptance: Literal[("", *_PRESETS)] = Field(default="", json_schema_extra=_AT_EVALUATIONS)  # type: ignore[valid-type]
    """Acceptance preset of the evaluations. Left empty: as the server is configured, else the domain's own."""
    max_rounds: int | None = Field(default=None, ge=1, le=100, json_schema_extra=_AT_EVALUATIONS)
    """Rounds after which a document counts as not passed. Left empty: as the server is configured."""
    minibatch: int | None = Field(default=None, ge=1, json_schema_extra={"langgraph_nodes": ["evaluate_parent"]})
    """Training documents of an iteration, whose failures the analyst reads. Left empty: as configured."""
    selection_temperature: float | None = Field(
        default=None, gt=0, json_schema_extra={"langgraph_nodes": ["select_parent"]}
    )
    """T of the distribution that parents are sampled from, by mean validation score. Left empty: as configured."""
    racing: Literal["", "off", "exact", "paired"] = Field(
        default="", json_schema_extra={"langgraph_nodes": ["validate"]}
    )
    """Stop a mutant that can no longer win (exact), or that a sign test gives up (paired). Empty: as configured."""
    confirm: int | None = Field(default=None, ge=0, le=50, json_schema_extra={"langgraph_nodes": ["validate"]})
    """Fresh seed blocks on which a new record must win before it is believed. Left empty: as configured."""

    def optimize(self) -> dict[str, Any]:
        """Return the settings of table `[optimize]` that were chosen."""
        names = {name: name for name in ("max_rounds", "minibatch", "racing", "confirm")}
        names["temperature"] = "selection_temperature"
        return {name: value for name, field in names.items() if (value := getattr(self, field)) not in (None, "")}


def context_schema(domain: Domain, base: type[ServedContext], *, texts: bool = True) -> type[ServedContext]:
    """Return the context schema of a domain's graph: of each of its roles the model profile and the prompt.

    With `texts` a prompt's default is the domain's own text, so that a person has it before them to change.
    """
    pack = domain.pack() if texts else None
    fields: dict[str, Any] = {}
    for role in domain.roles:
        fields[f"{role}_model"] = (str, _model_field(role))
    for role in domain.prompted:
        fields[f"{role}_prompt"] = (str, _prompt_field(role, pack[role].text if pack else ""))
    name = "".join(part.title() for part in domain.name.split("_")) + base.__name__
    return _made(name, base, fields)


def union_schema(domains: Mapping[str, Domain], base: type[ServedContext]) -> type[ServedContext]:
    """Return the context schema of a graph that serves several domains: the fields of all their roles."""
    fields = _fields_of_all(domains, SHOWN_ON)
    return _made(f"Any{base.__name__}", base, fields)


def search_schema(domains: Mapping[str, Domain], optimizer: PromptPack) -> type[SearchContext]:
    """Return the context schema of the optimiser's graph: the roles of all domains, the analyst and the editor."""
    everywhere: list[JsonValue] = ["evaluate_parent", "validate"]
    shown = dict.fromkeys(PROMPTED, everywhere)
    fields = _fields_of_all(domains, shown)
    for role in OPTIMIZER_ROLES:
        fields[f"{role}_model"] = (str, _model_field(role))
        fields[f"{role}_prompt"] = (str, _prompt_field(role, optimizer[role].text))
    return _made("AnySearchContext", SearchContext, fields)


def with_profiles(schema: type[ServedContext], profiles: Sequence[str]) -> type[ServedContext]:
    """Return a context schema whose fields `ROLE_model` list what a server has: a client shows them as a choice.

    The list is for people who choose. A name that is none is refused by the server's configuration, not by the schema,
    so that a thread whose profile is gone gets an error that says so.
    """
    listed: list[JsonValue] = [CONFIGURED, *profiles]
    fields: dict[str, Any] = {}
    for name, field in schema.model_fields.items():
        if name.endswith("_model"):
            extra: Any = field.json_schema_extra
            shown = Field(
                default=field.default,
                max_length=60,
                description=field.description,
                json_schema_extra={**extra, "enum": listed},
            )
            fields[name] = (str, shown)
    return _made(schema.__name__, schema, fields)


def _made(name: str, base: type[Schema], fields: dict[str, Any]) -> type[Schema]:
    # What is made here stands in no file: to search files for its docstrings would take most of the time.
    without: dict[str, Any] = {"use_attribute_docstrings": False}
    return create_model(name, __base__=base, __doc__=base.__doc__, __cls_kwargs__=without, **fields)


def _fields_of_all(domains: Mapping[str, Domain], shown: Mapping[str, list[JsonValue]]) -> dict[str, Any]:
    roles = [role for role in ROLES if any(role in domain.roles for domain in domains.values())]
    fields: dict[str, Any] = {f"{role}_model": (str, _model_field(role, shown)) for role in roles}
    return fields | {f"{role}_prompt": (str, _prompt_field(role, "", shown)) for role in (*roles, *TEXTS)}


def _model_field(role: str, shown: Mapping[str, list[JsonValue]] = SHOWN_ON) -> Any:
    return Field(
        default=CONFIGURED,
        max_length=60,
        description=f"Model profile of the role {role}: a name from the server's configuration.",
        json_schema_extra={"langgraph_nodes": shown[role]},
    )


def _prompt_field(role: str, text: str, shown: Mapping[str, list[JsonValue]] = SHOWN_ON) -> Any:
    return Field(
        default=text,
        description=f"Prompt of the role {role}: the whole file, front matter included. Empty: the domain's own.",
        json_schema_extra={"langgraph_nodes": shown[role], "langgraph_type": "prompt"},
    )


def require_known(schema: type[ServedContext], given: Mapping[str, Any]) -> None:
    """Raise UserError for keys that a caller may not choose. A server drops them in silence before a graph sees them.

    Their values are not repeated: one may be a secret.
    """
    unknown = sorted(
        key
        for key in given
        if key not in schema.model_fields and key not in _OWN_NAMES and not re.match(r"__|langgraph_|checkpoint_", key)
    )
    if unknown:
        raise UserError(
            f"context.{unknown[0][:60]}: not for a caller to choose: models are named by profiles of the server's"
            f" configuration; the fields are {', '.join(schema.model_fields)}"
        )


def read_context(schema: type[ServedContext], given: Mapping[str, Any] | None) -> ServedContext:
    """Return a context's values as the schema has them. Raises UserError, which repeats no value."""
    require_known(schema, given or {})
    known = {key: value for key, value in (given or {}).items() if key in schema.model_fields}
    try:
        return schema.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise UserError(f"context.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def policy_for(domain: Domain, context: ServedContext, configured: str | dict[str, Any] | None) -> AcceptancePolicy:
    """Return the acceptance policy that a context asks for. `configured` is the server's own wish for this domain.

    Raises UserError for bounds that cannot be read, or that no scores can pass.
    """
    preset = getattr(context, "acceptance", "")
    own: dict[str, Any] = {}
    for name in BOUNDS:
        if value := getattr(context, name, ""):
            own[name] = [part.strip() for part in re.split(r",|\band\b", value)]
    own |= {name: value for name in COUNTS if (value := getattr(context, name, None)) is not None}
    wanted: Any = preset or configured or domain.acceptance
    if own:
        wanted = {"preset": wanted, **own} if isinstance(wanted, str) else {**wanted, **own}
    try:
        policy = policy_of(wanted)
        policy.require_possible(domain.planned)
    except (ValueError, ValidationError) as error:
        why = problems(error, Thresholds) if isinstance(error, ValidationError) else str(error)
        raise UserError(f"context: {why}") from None
    if isinstance(policy, LoopJudge) is not domain.loop_judge:
        raise UserError(f"context.acceptance: {policy.name!r} cannot be used in domain {domain.name}: leave it empty")
    return policy


def pack_for(domain: Domain, shipped: PromptPack, texts: Mapping[str, str], allowed: Allowed) -> PromptPack:
    """Return a domain's prompts with a caller's texts in place of its own.

    A text is checked as a file is: what a role may be shown, what it needs, its sections. Raises UserError.
    """
    pack = _replaced(shipped, texts, allowed, f"domain {domain.name}")
    if pack is not shipped:
        require_fitting(domain, pack, Path("context"))
    return pack


def optimizer_pack_for(shipped: PromptPack, texts: Mapping[str, str], allowed: Allowed) -> PromptPack:
    """Return the prompts of analyst and editor with a caller's texts in place of them.

    A text must show its role all that the shipped one shows it. Raises UserError.
    """
    pack = _replaced(shipped, texts, allowed, "the optimiser")
    for role, prompt in pack.prompts.items():
        if lacking := set(shipped[role].front.placeholders) - set(prompt.front.placeholders):
            raise UserError(f"context.{role}_prompt: it lacks {{{{{min(lacking)}}}}}: add it")
    return pack


def _replaced(shipped: PromptPack, texts: Mapping[str, str], allowed: Allowed, whose: str) -> PromptPack:
    replaced: dict[str, Prompt] = {}
    for role, text in texts.items():
        if role not in shipped.prompts:
            raise UserError(f"context.{role}_prompt: {whose} has no such role: leave it empty")
        if text.strip() == shipped[role].text.strip():
            continue
        if allowed == "none" or (allowed == "editable" and role not in EDITABLE):
            raise UserError(f"context.{role}_prompt: this server lets nobody replace it (serve.prompts = {allowed!r})")
        replaced[role] = parse_prompt(role, text if text.endswith("\n") else f"{text}\n", f"context.{role}_prompt")
    return PromptPack(shipped.name, {**shipped.prompts, **replaced}) if replaced else shipped
