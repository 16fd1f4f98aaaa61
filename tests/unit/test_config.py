"""Configuration: what is wrong is said in one line, roles inherit, and no secret is ever written down."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from autodata.checkpoints.errors import UserError
from autodata.domains.acceptance.policies import PRESETS, Thresholds
from autodata.domains.domain import DOMAINS
from autodata.models.config import ModelSettings
from autodata.models.factory import require_keys
from autodata.runner.config import (
    RunConfig,
    load_config,
    read_config,
    read_resolved,
    stored_config,
    write_resolved,
)
from autodata.runner.fingerprint import CODE, VERSION, changed_since, differences, fingerprint, kept_of

BOUNDED = sorted({*PRESETS} - {"loop_judge"})
"""Presets that need no loop judge."""

MINIMAL = '[models.default]\nmodel = "m"\n'
SIMULATED = '[models.default]\nprovider = "simulated"\nmodel = "weak"\n'

# What is written, and what the one line must name beside the file.
WRONG: dict[str, tuple[str, list[str]]] = {
    "no TOML": ("max_rounds = ", ["not valid TOML"]),
    "unknown key": ("max_round = 3", ["unknown key 'max_round'", "max_rounds"]),
    "unknown table": ("[modles]", ["unknown key 'modles'", "models"]),
    "unknown role": ("[models.judge]\nmodel = 'm'", ["unknown key 'models.judge'", "verifier"]),
    "unknown key of a role": (
        "[models.verifier]\ntemprature = 0",
        ["unknown key 'models.verifier.temprature'", "temperature"],
    ),
    "unknown key of the world": (
        "[simulated.faults]\noutages = true",
        ["unknown key 'simulated.faults.outages'", "outage"],
    ),
    "a key as a setting": (
        '[models.default]\napi_key = "sk-1"',
        ["unknown key 'models.default.api_key'", "api_key_env"],
    ),
    "text for a number": ('max_rounds = "many"', ["max_rounds", "integer", "'many'"]),
    "true for a number": ("concurrency = true", ["concurrency", "a number is needed"]),
    "false for a number": ("seed = false", ["seed", "a number is needed"]),
    "true for a budget": ("[budget]\nmax_calls = true", ["budget.max_calls", "a number is needed"]),
    "true for a number of a role": ("[models.default]\ntemperature = true", ["models.default.temperature", "number"]),
    "true for a bound": ("[acceptance]\nweak_right = true\nstrong_right = 2", ["acceptance", "weak_right"]),
    "half a number": ("seed = 1.5", ["seed", "integer"]),
    "no rounds": ("max_rounds = 0", ["max_rounds", "greater than or equal to 1"]),
    "too many rounds": ("max_rounds = 101", ["max_rounds", "less than or equal to 100"]),
    "no concurrency": ("concurrency = 0", ["concurrency", "greater than or equal to 1"]),
    "table for a number": ("[limit]\nx = 1", ["limit", "integer"]),
    "number for a table": ("budget = 3", ["budget"]),
    "temperature": ("[models.default]\ntemperature = 2.5", ["models.default.temperature", "less than or equal to 2"]),
    "top_p": ("[models.weak_solver]\ntop_p = 0", ["models.weak_solver.top_p", "greater than 0"]),
    "no tokens": ("[models.default]\nmax_tokens = 0", ["models.default.max_tokens"]),
    "negative price": ("[models.default]\nprice_in = -1", ["models.default.price_in"]),
    "one try": ("[retries]\nunusable_tries = 1", ["retries.unusable_tries", "greater than or equal to 2"]),
    "free budget": ("[budget]\nmax_usd = 0", ["budget.max_usd", "greater than 0"]),
    "what to keep": ('[checkpoints]\nkeep = "some"', ["checkpoints.keep", "'rounds', 'all' or 'none'"]),
    "too long": ('[documents]\ntoo_long = "shrink"', ["documents.too_long", "'cut' or 'refuse'"]),
    "address": ('[models.default]\nbase_url = "localhost:8000/v1"', ["models.default.base_url", "http://"]),
    "unknown domain": ('domain = "law"', ["domain", "'law'", "cs, facts"]),
    "unknown preset": (
        'acceptance = "papers"',
        ["acceptance", "'papers'", "counts, deployed, loop_judge, majority, meta, paper"],
    ),
    "neither preset nor bounds": ("acceptance = 5", ["acceptance", "got 5"]),
    "number for a bound": ("[acceptance]\nweak_mean = 0.5", ["acceptance.weak_mean", "0.5 is no bound", "'< 0.50'"]),
    "text for a bound": ('[acceptance]\ngap = "at least 0.2"', ["acceptance.gap", "is no bound"]),
    "no bound at all": ("[acceptance]\nweak_zeros = false", ["acceptance", "weak_mean, strong_mean, gap"]),
    "unknown bound": ('[acceptance]\nweak_worst = "> 0"', ["unknown key 'acceptance.weak_worst'", "weak_best"]),
    "unknown bound over a preset": (
        '[acceptance]\npreset = "paper"\nweak_right = 1',
        ["unknown key 'acceptance.weak_right'", "gap"],
    ),
    "half of the counts": ("[acceptance]\nweak_right = 1", ["acceptance.strong_right", "required"]),
    "a preset without bounds": (
        '[acceptance]\npreset = "majority"\ngap = "> 0"',
        ["acceptance", "'majority' has no bounds"],
    ),
    "an unknown preset to change": ('[acceptance]\npreset = "law"', ["acceptance", "unknown preset 'law'"]),
    "a name that is none": ('[acceptance]\nname = ["x"]\ngap = "> 0"', ["acceptance.name"]),
    "an impossible gap": (
        '[acceptance]\nstrong_mean = "< 0.95"\ngap = ">= 0.96"',
        ["acceptance", "no scores can pass", "gap >= 0.96", "strong in [0.00, 0.95)"],
    ),
    "bounds that exclude each other": (
        '[acceptance]\nweak_mean = ["> 0.5", "< 0.4"]',
        ["acceptance", "the weak bounds exclude"],
    ),
    "more right than attempts": (
        'domain = "facts"\n[acceptance]\nweak_right = 1\nstrong_right = 5',
        ["acceptance", "strong_right >= 5 of 4"],
    ),
}


@pytest.mark.parametrize(("text", "named"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_reported_in_one_line(text: str, named: list[str], tmp_path: Path) -> None:
    path = tmp_path / "autodata.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError) as raised:
        load_config(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert all(part in message for part in named), message


SECRETS = {
    "password": 'base_url = "https://me:hunter2@host/v1"',
    "user": 'base_url = "https://hunter2@host/v1"',
    "key in the query": 'base_url = "https://host/v1?api_key=hunter2"',
    "token in the query": 'base_url = "https://host/v1?x=1&access_token=hunter2"',
    "any query": 'base_url = "https://host/v1?key=hunter2"',
    "any fragment": 'base_url = "https://host/v1#hunter2"',
    "signature": 'extra_body = {sig = "hunter2"}',
    "signature in a header": 'extra_body = {headers = {X-Sig = "hunter2"}}',
    "auth": 'extra_body = {xAuth = "hunter2"}',
    "credential": 'extra_body = {aws_credentials = "hunter2"}',
    "bearer": 'extra_body = {bearer = "hunter2"}',
    "key in the body": 'extra_body = {api_key = "hunter2"}',
    "header in the body": 'extra_body = {headers = {Authorization = "Bearer hunter2"}}',
    "secret in a list": 'extra_body = {tools = [{client_secret = "hunter2"}]}',
    "the key itself": 'api_key_env = "sk-hunter2"',
    "unknown key": 'api_key = "hunter2"',
}


@pytest.mark.parametrize("line", SECRETS.values(), ids=list(SECRETS))
def test_secrets_are_refused_and_not_repeated(line: str) -> None:
    with pytest.raises(UserError, match=r"^a\.toml: .*models\.default\.(base_url|extra_body|api_key)") as raised:
        read_config(f"[models.default]\n{line}", "a.toml")
    assert "hunter2" not in str(raised.value)
    assert "api_key_env" in str(raised.value) or "environment" in str(raised.value)


@pytest.mark.parametrize(
    "line",
    [
        'base_url = "https://host/@team/v1"',
        'base_url = "http://[::1]:8080/v1"',
        "extra_body = {max_completion_tokens = 5, chat = {stop_tokens = 3}}",
        'extra_body = {author = "me", design = "new", signal = "on"}',
        'api_key_env = "MY_KEY_2"',
    ],
)
def test_what_only_looks_like_a_secret_is_not(line: str) -> None:
    read_config(f"[models.default]\n{line}", "a.toml")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.toml: no such configuration: write one with 'autodata init'"):
        load_config(tmp_path / "missing.toml")
    with pytest.raises(UserError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'domain = "\xe9"')
    with pytest.raises(UserError, match=r"latin\.toml: cannot be read"):
        load_config(tmp_path / "latin.toml")


def test_flags_lie_over_the_file() -> None:
    text = "max_rounds = 3\n[budget]\nmax_calls = 10\nmax_usd = 1.0"
    config = read_config(text, "a.toml", {"max_rounds": 7, "budget.max_calls": 5, "acceptance": "meta", "limit": 2})
    assert (config.max_rounds, config.limit, config.policy.name) == (7, 2, "meta")
    assert (config.budget.max_calls, config.budget.max_usd) == (5, 1.0)
    assert load_config(None, {"budget.max_seconds": 9.0}).budget.max_seconds == 9.0


@pytest.mark.parametrize(("text", "flags"), [("budget = 3", {"budget.max_calls": 5}), ("", {"max_rounds": 0})])
def test_wrong_values_stay_wrong_under_flags(text: str, flags: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"a\.toml: (budget|max_rounds): "):
        read_config(text, "a.toml", flags)


def test_roles_inherit_from_default_then_domain_then_nothing() -> None:
    text = """
    domain = "facts"
    [models.default]
    model = "big"
    top_p = 0.9
    max_tokens = 500
    [models.weak_solver]
    model = "small"
    temperature = 0.1
    extra_body = {a = 1}
    """
    roles = read_config(text, "a.toml").roles()
    assert set(roles) == set(DOMAINS["facts"].roles)
    weak, strong, judge = roles["weak_solver"], roles["strong_solver"], roles["verifier"]
    assert (weak.model, weak.temperature, weak.top_p, weak.max_tokens, weak.extra_body) == (
        "small",
        0.1,
        0.9,
        500,
        {"a": 1},
    )
    assert (strong.model, strong.temperature, strong.top_p, strong.max_tokens) == ("big", 0.7, 0.9, 500)
    assert (judge.temperature, judge.timeout, judge.extra_body) == (0.0, ModelSettings().timeout, {})


def test_another_endpoint_takes_no_key_address_or_price_from_the_default() -> None:
    text = """
    [models.default]
    model = "big"
    base_url = "https://api.example.com/v1"
    api_key_env = "BIG_KEY"
    price_in = 2.0
    price_out = 8.0
    extra_body = {a = 1}
    max_tokens = 900
    [models.weak_solver]
    model = "small"
    base_url = "http://127.0.0.1:8000/v1"
    [models.verifier]
    model = "judge"
    [models.challenger]
    provider = "anthropic"
    """
    roles = read_config(text, "a.toml").roles()
    weak, judge, challenger = roles["weak_solver"], roles["verifier"], roles["challenger"]
    assert (weak.api_key_env, weak.price_in, weak.extra_body, weak.max_tokens) == (None, None, {}, 900)
    assert (judge.api_key_env, judge.base_url, judge.price_in) == ("BIG_KEY", "https://api.example.com/v1", None)
    assert (challenger.base_url, challenger.api_key_env, challenger.price_out) == (None, None, None)
    assert roles["strong_solver"].price_in == 2.0


def test_a_value_that_is_set_wins_even_if_it_is_the_default() -> None:
    assert read_config(f"{MINIMAL}max_tokens = 4096", "a").roles()["challenger"].max_tokens == 4096
    assert read_config(MINIMAL, "a").roles()["challenger"].max_tokens == 8192


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("", "challenger"),
        ('[models.challenger]\nmodel = "m"', "quality_verifier"),
        (f'{MINIMAL}[models.verifier]\nmodel = ""', "verifier"),
    ],
)
def test_every_role_needs_a_model(text: str, role: str) -> None:
    with pytest.raises(
        UserError, match=f"models.{role}: no model is named: set models.default.model or models.{role}.model"
    ):
        read_config(text, "a.toml").roles()


def test_a_missing_key_is_found_before_anything_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("SMALL_KEY", raising=False)
    own = {"base_url": "http://127.0.0.1:8000/v1"}
    require_keys(
        {"verifier": ModelSettings(model="m", **own), "challenger": ModelSettings(provider="simulated", model="m")}
    )
    with pytest.raises(UserError, match=r"models\.verifier: the environment variable OPENAI_API_KEY is not set"):
        require_keys({"verifier": ModelSettings(model="m")})
    named = {"weak_solver": ModelSettings(model="m", api_key_env="SMALL_KEY", **own)}
    with pytest.raises(UserError, match=r"models\.weak_solver: .* SMALL_KEY is not set: export SMALL_KEY="):
        require_keys(named)
    monkeypatch.setenv("SMALL_KEY", "x")
    require_keys(named)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("", "paper"), ('domain = "facts"', "counts"), ('domain = "legal"', "loop_judge")),
        *((f'acceptance = "{name}"', name) for name in BOUNDED),
    ],
)
def test_the_policy_is_a_preset_or_the_domains_own(text: str, name: str) -> None:
    assert read_config(text, "a.toml").policy is PRESETS[name]


def test_own_bounds_stand_alone_or_over_a_preset() -> None:
    alone = read_config('[acceptance]\nweak_mean = "< 0.4"', "a.toml").policy
    over = read_config('[acceptance]\npreset = "deployed"\nweak_mean = "< 0.4"\nstrong_zeros = true', "a.toml").policy
    deployed = PRESETS["deployed"]
    assert isinstance(alone, Thresholds)
    assert isinstance(over, Thresholds)
    assert isinstance(deployed, Thresholds)
    assert (alone.name, alone.weak_mean[0].number, alone.strong_mean, alone.gap) == ("custom", Fraction(2, 5), (), ())
    assert (over.name, over.weak_mean, over.weak_best) == ("custom", alone.weak_mean, deployed.weak_best)
    assert (over.strong_mean, over.gap, over.weak_zeros, over.strong_zeros) == (
        deployed.strong_mean,
        deployed.gap,
        False,
        True,
    )


FULL = """
max_rounds = 5
seed = 12
limit = 3
[acceptance]
weak_mean = "< 0.333333"
gap = [">= 0.2", "<= 0.9"]
[models.default]
model = "m"
base_url = "http://127.0.0.1:8000/v1"
api_key_env = "SMALL_KEY"
price_in = 0.1
[models.challenger]
temperature = 0.3
extra_body = {reasoning_effort = "low", nested = {deep = [1, 2]}}
[simulated]
abilities = {weak = -1.0, strong = 2.0}
"""


@pytest.mark.parametrize(
    "text",
    [
        *(MINIMAL, SIMULATED, FULL),
        *(f'domain = "{name}"\n{MINIMAL}' for name in ("facts", "legal")),
        *(f'acceptance = "{p}"\n{MINIMAL}' for p in BOUNDED),
    ],
)
def test_a_resolved_configuration_is_plain_and_makes_the_same_run(text: str, tmp_path: Path) -> None:
    config, path = read_config(text, "a.toml"), tmp_path / "config.toml"
    resolved = config.resolved("v1")
    write_resolved(path, resolved)
    assert read_resolved(path) == resolved
    again = stored_config(path)
    assert again.resolved("v1") == resolved
    assert again.policy == config.policy
    assert again.roles() == config.roles()
    assert differences(resolved, again.resolved("v1")) == []
    assert [file.name for file in tmp_path.iterdir()] == ["config.toml"]


def test_a_resolved_configuration_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_KEY", "hunter2")
    text = tomli_w.dumps(read_config(FULL, "a.toml").resolved("v1"))
    assert "hunter2" not in text
    assert "SMALL_KEY" in text


def test_a_stored_configuration_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for content in (b"= 3", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"config\.toml: the run's settings cannot be read"):
            stored_config(path)


KEPT = {
    "max_rounds": "max_rounds = 3\n",
    "seed": "seed = 1\n",
    "acceptance.gap": '[acceptance]\npreset = "paper"\nname = "paper"\ngap = ">= 0.3"\n',
    "documents.max_chars": "[documents]\nmax_chars = 1000\n",
    "documents.too_long": '[documents]\nchunk = false\ntoo_long = "refuse"\n',
    "documents.chunk": "[documents]\nchunk = true\n",
    "documents.reader": "[documents]\nchunk = false\nreader = 2\n",
    "models.verifier.model": '[models.verifier]\nmodel = "other"\n',
    "models.verifier.provider": '[models.verifier]\nprovider = "local"\n',
    "models.verifier.temperature": "[models.verifier]\ntemperature = 0.5\n",
    "models.verifier.top_p": "[models.verifier]\ntop_p = 0.5\n",
    "models.verifier.max_tokens": "[models.verifier]\nmax_tokens = 5\n",
    "models.verifier.send_seed": "[models.verifier]\nsend_seed = false\n",
    "models.verifier.extra_body.top_k": "[models.verifier]\nextra_body = {top_k = 5}\n",
}
_PARTING = {
    "documents.max_chars": ["documents.chunk", "documents.max_chunks"],
    "documents.chunk": ["documents.max_chunks"],
}
"""What comes along with a setting of documents: without parts their number changes nothing."""

FREE = [
    "concurrency = 3\n",
    "limit = 2\n",
    '[documents]\ntext_field = "body"\ntitle_field = "head"\nid_field = "key"\nencoding = "latin-1"\n',
    "[models.verifier]\ncontext = 9000\n",
    "target = 2\n",
    "[budget]\nmax_calls = 5\nmax_usd = 1.0\nmax_seconds = 5.0\n",
    "[retries]\nmax_attempts = 2\npause_after = 9\n",
    '[checkpoints]\nkeep = "all"\n',
    "[local]\nn_parallel = 2\n",
    '[models.verifier]\nbase_url = "http://127.0.0.1:1/v1"\napi_key_env = "K"\n',
    "[models.verifier]\ntimeout = 5\nmax_concurrency = 2\nprice_in = 1\nprice_out = 2\n",
    "[simulated]\nspread = 0.1\n",  # nobody is simulated here
]


def changed(extra: str, base: str = MINIMAL) -> RunConfig:
    tables = extra.startswith("[")
    return read_config(base + extra if tables else extra + base, "a.toml")


@pytest.mark.parametrize(("field", "extra"), KEPT.items(), ids=list(KEPT))
def test_fields_that_results_depend_on_are_named(field: str, extra: str) -> None:
    base = {"documents.reader": "[documents]\nchunk = false\nreader = 1\n"}.get(
        field, "[documents]\nchunk = false\n" if field.startswith("documents.") else ""
    )
    before, after = changed(base).resolved("v1"), changed(extra).resolved("v1")
    found = [line.partition(": ")[0] for line in differences(before, after)]
    assert set(found) - {"acceptance.name", "local.ctx", *_PARTING.get(field, ())} == {
        field
    }  # a first local model brings its context along
    assert all(" -> " in line for line in differences(after, before))


@pytest.mark.parametrize("extra", FREE)
def test_other_fields_may_change(extra: str) -> None:
    assert differences(changed("").resolved("v1"), changed(extra).resolved("v1")) == []


def test_old_and_new_value_are_reported() -> None:
    before, after = (
        changed("").resolved("v1"),
        changed("max_rounds = 3\n[models.verifier]\nextra_body={k=1}\n").resolved("v2"),
    )
    assert sorted(differences(before, after)) == [
        "max_rounds: 15 -> 3",
        "models.verifier.extra_body.k: not set -> 1",
        "prompt_version: v1 -> v2",
    ]


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        ("[simulated]\nspread = 0.1\n", ["simulated.spread"]),
        ("[simulated]\nabilities = {weak = 1.0}\n", ["simulated.abilities.strong", "simulated.abilities.weak"]),
        ("[simulated.faults]\nmalformed = 0.5\n", ["simulated.faults.malformed"]),
        ("[simulated.faults]\ntruncated = 0.5\n", ["simulated.faults.truncated"]),
        ("[simulated.faults]\nrate_limited = 0.5\noutage = true\nlatency_s = 0.1\n", []),
    ],
)
def test_a_simulated_run_depends_on_the_simulated_world(extra: str, fields: list[str]) -> None:
    before, after = changed("", SIMULATED).resolved("v1"), changed(extra, SIMULATED).resolved("v1")
    assert [line.partition(": ")[0] for line in differences(before, after)] == fields


def test_a_folder_of_an_earlier_version_goes_on_and_one_of_a_later_version_is_refused_in_a_line() -> None:
    now = fingerprint(changed("").resolved("v1"))
    kept = kept_of(now)
    assert changed_since(kept, now, "out") == []
    assert changed_since({"bearing": kept["bearing"]}, now, "out") == []  # folders of before had no version
    assert changed_since({}, now, "out") == []
    assert changed_since(kept, {**now, CODE: "essay:Kind 1a2b"}, "out") == []  # nor what was added since
    assert changed_since(kept, {**now, "seed": "8"}, "out") == [f"seed: {now['seed']} -> 8"]
    with pytest.raises(UserError, match=rf"^out was made by a later version .*fingerprint {VERSION + 1}.*[^\n]*$"):
        changed_since({**kept, "bearing_version": str(VERSION + 1)}, now, "out")
