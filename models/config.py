"""Who answers: model settings by role, retries and budgets, as one typed configuration (rule 8)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from autodata.checkpoints.errors import UserError
from autodata.models.values import true_for_number
from autodata.prompts.roles import MODEL_ROLES, ROLES, SOLVERS

OWN = "own"
"""What stands as the provider of a chat model that the caller made."""

SOLVER_MODES = ("privileged", "samples", "aggregate", "tools")
"""Model settings that only mean something for a solver; they are recorded with every attempt."""

JUDGE = "verifier"
"""The role that marks attempts."""

JUDGE_MODES = ("together",)
"""Model settings that only mean something for the judge of the attempts."""

_SECRET_KEY = re.compile(
    r"api[-_]?key|token|secret|password|credential|bearer|auth(?!or(?!i))|(?<![a-z])sig(?:nature)?(?![a-z])",
    re.IGNORECASE,
)


def _secret_in(value: object) -> str | None:
    """Return the first key at any depth that is named like a secret and holds no number."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if _SECRET_KEY.search(key) and not isinstance(inner, int | float):
                return str(key)
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return next((found for item in inside if (found := _secret_in(item))), None)


def _infinite_in(value: object) -> bool:
    """Whether there is a number at any depth that is no finite one: JSON has none, and no server takes it."""
    if isinstance(value, float):
        return not math.isfinite(value)
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(map(_infinite_in, inside))


LARGEST = 2**31 - 1
"""The largest whole number that a setting may have: what counts calls and tokens can hold it everywhere."""
SIMULATED = "simulated"
SIMULATED_NAMES: Mapping[str, str] = {"weak_solver": "weak", "strong_solver": "strong"}
SIMULATED_NAME = "judge"
"""What simulated models are called where no name is given: solvers as `[simulated]` knows them, others alike."""
LONGEST = 7 * 86_400.0
"""The longest time that a setting may ask for, in seconds: a week."""


class Settings(BaseModel):
    """Base of all configuration: unknown keys are refused, and so is a number that is infinite or none at all.

    The text below a field is its description: see `checkpoints.docstrings`.
    """

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where a number is wanted: pydantic would take them for 1 and 0."""
        if true_for_number(cls.model_fields[info.field_name or ""].annotation, value):
            raise ValueError("a number is needed, got true or false")
        return value


_NAME_OF_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_VARIABLE_IN_TEXT = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_ADDED_TO_AN_ADDRESS = re.compile(r"/(chat/completions|completions|responses|messages|models)/*$")


def variables_in(text: str) -> list[str]:
    """Return the names of the environment variables that a header's value names: `Bearer $NAME`."""
    return _VARIABLE_IN_TEXT.findall(text)


class AzureSettings(Settings):
    """A deployment of Azure OpenAI; `base_url` is the root of its resource."""

    deployment: str = ""
    """Name of the deployment. Empty: the model's name."""
    api_version: str = "2024-10-21"
    """Version of the interface, sent as `?api-version=`."""


def _address(url: str) -> str:
    """Return an address without space around it. Raises ValueError for what is none, or holds what does not belong."""
    url = url.strip()
    if not re.match(r"https?://", url):
        raise ValueError("an http:// or https:// address is needed")
    if "@" in urlsplit(url).netloc:
        raise ValueError("credentials do not belong in an address: use api_key_env")
    if "?" in url or "#" in url:  # whatever its name, it may be a key
        raise ValueError("an address ends before any ? or #: put keys in api_key_env, and other fields in query")
    return url


class ModelSettings(Settings):
    """How one role reaches its model.

    A key left out is inherited: from `models.default`, then the domain's default for the role, then the one here. A
    role with a provider or address of its own takes no address, key variable, extra body or price from
    `models.default`; one with a model of its own no price.
    """

    provider: str = "openai"
    """`openai` (any OpenAI-compatible endpoint), `local` (served here), `simulated`, or a LangChain provider."""
    model: str = ""
    """The model's name; for `local` a shipped name, the path of a GGUF file or the folder of a checkpoint of
    transformers or PEFT; for `simulated` the solver's name, which may be left out."""
    weights: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 that the files of a `local` model given by path must have; kept with the run. None: whatever they
    have."""
    base_url: str | None = None
    """Root of the endpoint, ending in /v1 as a rule. None: the provider's own."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key. Keys themselves are never configuration."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Further headers of each request. `$NAME` in a value stands for an environment variable, as keys must:
    `{cf-aig-authorization = "Bearer $GATEWAY_KEY"}`."""
    query: dict[str, str] = Field(default_factory=dict)
    """Fields behind the `?` of the address, for instance `{api-version = "2024-10-21"}`."""
    azure: AzureSettings | None = None
    """A deployment of Azure OpenAI: its `deployment`, where it is not called as its model, and `api_version`. The root
    of the resource is `base_url`, `https://NAME.openai.azure.com`."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """How freely replies are sampled; 0 is the likeliest reply."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Share of probability that replies are sampled from."""
    max_tokens: int = Field(default=4096, ge=1, le=LARGEST)
    """Longest reply in tokens, reasoning included. Always sent: an unbounded reply can cost without end."""
    context: int | None = Field(default=None, ge=512, le=LARGEST)
    """The model's context in tokens, prompt and reply together; from it documents.max_chars is found. None: not known;
    of a `local` model it is local.ctx."""
    timeout: float = Field(default=300.0, gt=0, le=LONGEST)
    """Seconds one request may take."""
    send_seed: bool = True
    """Whether the per-attempt seed is sent, for servers that refuse the field."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request body, for instance `{top_k = 20}`."""
    reasoning_effort: str | None = Field(default=None, pattern=r"^[a-z]+$")
    """How much a reasoning model thinks, for instance `low`; sent in the body. None: not sent."""
    privileged: bool | None = None
    """Solvers only: whether it sees the document too. None: as the domain has it."""
    samples: int = Field(default=1, ge=1, le=64)
    """Solvers only: replies of which one attempt is made, as `aggregate` says."""
    aggregate: Literal["majority", "choice", "synthesis"] = "majority"
    """Solvers only: the most frequent answer (short answers only), the sample that the model itself picks, or one
    answer that it writes from all of them."""
    tools: bool = False
    """Solvers only: whether it may ask for a calculator, by lines `CALC: expression`."""
    together: int = Field(default=1, ge=1, le=64)
    """Verifier only: attempts of one solver that one call marks at most, each as if alone. The reply then holds the
    marks of all: max_tokens must leave room. 1: a call for each attempt."""
    price_in: float | None = Field(default=None, ge=0)
    """US dollars per million input tokens."""
    price_out: float | None = Field(default=None, ge=0)
    """US dollars per million output tokens."""
    client: Literal["direct", "langchain"] = "direct"
    """What sends requests to OpenAI-compatible servers: ours, which takes less processor time, or LangChain's model
    by OpenAI's library. Replies and errors are the same."""
    max_concurrency: int = Field(default=16, ge=1, le=LARGEST)
    """Requests in flight at once to this model, all roles that share it together; the least of them counts."""

    @property
    def shown(self) -> str:
        """What an example says who answered: the model's name, and for a path its last part, with its weights' hash.

        Whatever leaves this machine names a model so: traces, trackers, exports.
        """
        path = Path(self.model).expanduser()
        name = path.name if self.weights or path.is_absolute() else self.model
        return f"{name}@{self.weights[:12]}" if self.weights else name

    @property
    def free(self) -> bool:
        """Whether nobody bills its calls: it runs in this process or beside it."""
        return self.provider in {"local", "simulated"}

    @field_validator("base_url")
    @classmethod
    def _no_credentials_in_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        url = _address(url)
        if found := _ADDED_TO_AN_ADDRESS.search(url):
            raise ValueError(f"/{found[1]} is added to an address: write {url[: found.start()]}")
        return url

    @field_validator("api_key_env")
    @classmethod
    def _name_of_a_variable(cls, name: str | None) -> str | None:
        if name is not None and not _NAME_OF_VARIABLE.fullmatch(name):
            raise ValueError("this is the name of an environment variable that holds the key, never the key itself")
        return name

    @field_validator("headers")
    @classmethod
    def _headers_can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
                raise ValueError(f"{name!r} is no name of a header")
            if not re.fullmatch(r"[\x20-\x7e]*", value):
                raise ValueError(f"{name!r} holds a line break or a letter that no header may hold")
            if _SECRET_KEY.search(name) and not variables_in(value):
                raise ValueError(f'{name!r} looks like a secret: name a variable that holds it, as in "Bearer $NAME"')
        return headers

    @field_validator("query")
    @classmethod
    def _no_secrets_in_query(cls, query: dict[str, str]) -> dict[str, str]:
        for name in query:
            if _SECRET_KEY.search(name) or name.lower() in {"key", "code"}:
                raise ValueError(f"{name!r} looks like a secret: put it in api_key_env or in headers, as $NAME")
        return query

    @model_validator(mode="after")
    def _azure_has_its_root(self) -> Self:
        if self.azure is not None and self.provider != "openai":
            raise ValueError("azure goes with provider 'openai'")
        if self.azure is not None and self.base_url and "/openai" in urlsplit(self.base_url).path:
            raise ValueError("with azure, base_url is the resource's root: leave out /openai and what follows")
        return self

    @property
    def address(self) -> str | None:
        """Where requests go, to an Azure deployment too; None where the provider has its own address."""
        if self.azure is None or self.base_url is None:
            return self.base_url
        return f"{self.base_url.rstrip('/')}/openai/deployments/{self.azure.deployment or self.model}"

    @property
    def key_variable(self) -> str | None:
        """Name of the variable that holds the key; None where no key is needed, or the provider knows its own."""
        if self.api_key_env or self.provider != "openai":
            return self.api_key_env
        if self.azure:
            return "AZURE_OPENAI_API_KEY"
        return None if self.base_url else "OPENAI_API_KEY"

    @field_validator("extra_body")
    @classmethod
    def _no_secrets_in_body(cls, body: dict[str, Any]) -> dict[str, Any]:
        if _infinite_in(body):
            raise ValueError("a number in it is infinite or no number: the body of a request holds finite ones")
        if secret := _secret_in(body):
            raise ValueError(f"{secret!r} looks like a secret: keys come from the environment (api_key_env)")
        return body


class _Models(Settings):
    """The `[models]` table: `default` and one table per role."""

    default: ModelSettings = ModelSettings()

    @model_validator(mode="after")
    def _modes_where_they_belong(self) -> Self:
        for role in ("default", *MODEL_ROLES):
            settings: ModelSettings = getattr(self, role)
            for name in SOLVER_MODES:
                if role not in SOLVERS and getattr(settings, name) != ModelSettings.model_fields[name].default:
                    raise ValueError(f"{role}.{name}: a mode of solvers: set it at {' or '.join(SOLVERS)}")
            if role != JUDGE and settings.together != 1:
                raise ValueError(f"{role}.together: a mode of the judge: set it at {JUDGE}")
        return self

    def resolve(
        self, domain_defaults: Mapping[str, Mapping[str, Any]], roles: Sequence[str] = ROLES
    ) -> dict[str, ModelSettings]:
        """Return the full settings of the given roles.

        What a role sets wins over `models.default`, that over the domain's defaults for the role. Raises UserError
        when a role ends up without a model.
        """
        resolved: dict[str, ModelSettings] = {}
        for role in roles:
            own: ModelSettings = getattr(self, role)
            default = self.default.model_dump(exclude_unset=True)
            for name in _not_inherited(own, self.default):
                default.pop(name, None)
            if "model" in own.model_fields_set and isinstance(azure := default.get("azure"), dict):
                default["azure"] = {name: value for name, value in azure.items() if name != "deployment"}
            merged = {**domain_defaults.get(role, {}), **default, **own.model_dump(exclude_unset=True)}
            if merged.get("provider") == SIMULATED and not merged.get("model"):
                merged["model"] = SIMULATED_NAMES.get(role, SIMULATED_NAME)
            try:
                resolved[role] = ModelSettings.model_validate(merged)
            except ValidationError as error:
                raise UserError(f"models.{role}: {error.errors()[0]['msg']}") from error
            if not resolved[role].model:
                raise UserError(f"models.{role}: no model is named: set models.default.model or models.{role}.model")
        return resolved


if TYPE_CHECKING:

    class ModelsConfig(_Models):
        def __getattr__(self, role: str) -> ModelSettings: ...

else:
    ModelsConfig = create_model(
        "ModelsConfig",
        __base__=_Models,
        __doc__=_Models.__doc__,
        __module__=__name__,
        **{role: (ModelSettings, ModelSettings()) for role in MODEL_ROLES},
    )


def _not_inherited(own: ModelSettings, default: ModelSettings) -> set[str]:
    """Return what a role must not take from the default: another endpoint has another key, another model its price.

    The same host keeps its key, and the headers that stand for one, under whatever path the role reaches it.
    """
    of_host = {"api_key_env", "headers"}
    of_model = {"price_in", "price_out", "context", "weights"}
    elsewhere = {"base_url", "azure", "query", "extra_body", "send_seed", *of_model, *of_host}
    if own.model_fields_set & {"provider", "base_url"}:
        here = own.provider == default.provider and _host(own) is not None and _host(own) == _host(default)
        return elsewhere - of_host if here else elsewhere
    return of_model if "model" in own.model_fields_set else set()


def _host(settings: ModelSettings) -> tuple[str, str] | None:
    if settings.base_url is None:
        return None
    parts = urlsplit(settings.base_url)
    return parts.scheme.lower(), parts.netloc.lower()


class RetryConfig(Settings):
    """How failed requests are tried again. Only infrastructure is retried, never a reply."""

    max_attempts: int = Field(default=6, ge=1, le=1000)
    """Requests made for one call before it is given up."""
    base_seconds: float = Field(default=1.0, ge=0, le=LONGEST)
    """Longest wait after the first failure; doubles with each further one. The wait is random below it."""
    max_seconds: float = Field(default=60.0, ge=0, le=LONGEST)
    """Longest of these waits."""
    retry_after_max_seconds: float = Field(default=900.0, ge=0, le=LONGEST)
    """Longest wait that a server's `Retry-After` is obeyed for; all calls to that endpoint are held back meanwhile."""
    unreached_tries: int = Field(default=3, ge=1, le=1000)
    """Requests that may find nothing at an address where nothing ever answered in this run (an unknown host, a refused
    connection) before the run pauses; by default it does within seconds. Raise it where a server is still starting."""
    unusable_tries: int = Field(default=4, ge=2, le=1000)
    """Replies asked for until one can be read; each request says what was wrong with the reply before."""
    pause_after: int = Field(default=3, ge=1)
    """Given-up calls to one endpoint in a row after which the whole run pauses."""
    probes: int | None = Field(default=None, ge=1)
    """Requests in a row after which an endpoint without a reply is given up, and the whole run pauses. They are sent
    one at a time, once several calls in a row had no reply; raise it to wait longer for an endpoint that comes back.
    None: four times max_attempts."""
    pause_after_documents: int = Field(default=5, ge=1)
    """Documents in a row that end errored for the same cause after which the whole run pauses."""


class BudgetConfig(Settings):
    """What a run may spend. None: no bound. Reaching one drains the run; the same command goes on later."""

    max_calls: int | None = Field(default=None, ge=1)
    """Paid model calls of the run folder, all its sessions together."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens of the run folder, prompts and replies of all its sessions. A call is sent only where the most it can take
    is left: its prompt, as estimated, and the role's `max_tokens`."""
    max_usd: float | None = Field(default=None, gt=0)
    """Money of the run folder, all its sessions together. A call is sent only where the most it can cost is left."""
    max_seconds: float | None = Field(default=None, gt=0)
    """Wall-clock seconds of this session."""
