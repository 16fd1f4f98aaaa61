"""The written configuration: complete, true to the models, and loadable in every state."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from autodata.checkpoints.errors import UserError
from autodata.cli.app import app
from autodata.cli.init import configuration
from autodata.domains.acceptance.policies import PRESETS
from autodata.domains.domain import DOMAINS
from autodata.models.config import JUDGE, JUDGE_MODES, SOLVER_MODES, ModelsConfig, ModelSettings
from autodata.models.simulated.world import World
from autodata.prompts.roles import SOLVERS
from autodata.runner.config import RunConfig, load_config, read_config

EVERY_DOMAIN = pytest.mark.parametrize("domain", DOMAINS.values(), ids=list(DOMAINS))


def uncommented(text: str) -> str:
    return re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)


def named(text: str) -> str:
    return text.replace('model = ""', 'model = "m"')


def names_of(model: type[BaseModel]) -> set[str]:
    return set(model.model_fields)


@EVERY_DOMAIN
def test_every_setting_is_there(domain: Any) -> None:
    values = tomllib.loads(uncommented(configuration(domain)))
    assert set(values) == names_of(RunConfig)
    assert set(values["models"]) == names_of(ModelsConfig)
    assert set(values["models"]["default"]) == names_of(ModelSettings) - {*SOLVER_MODES, *JUDGE_MODES}
    for role in SOLVERS:
        assert set(values["models"][role]) == {"model", *SOLVER_MODES, *domain.role_defaults.get(role, {})}
    assert set(values["models"][JUDGE]) == {"model", *JUDGE_MODES, *domain.role_defaults.get(JUDGE, {})}
    for table in ("local", "retries", "budget", "documents", "checkpoints", "optimize", "tracing"):
        info = RunConfig.model_fields[table].annotation
        assert isinstance(info, type)
        assert set(values[table]) == names_of(info)
    assert set(values["simulated"]) == names_of(World)


@EVERY_DOMAIN
def test_every_setting_is_explained(domain: Any) -> None:
    settings = 0
    for block in configuration(domain).split("\n\n"):
        table = re.search(r"^\[(.+)\]$", block, re.MULTILINE)
        if table is None and re.search(r"^(# )?\w+ = ", block, re.MULTILINE):
            settings += 1
            assert re.match(r"# [A-Z`]", block), block
    assert settings > 40


@EVERY_DOMAIN
def test_it_loads_as_written_but_has_no_model(domain: Any, tmp_path: Path) -> None:
    path = tmp_path / "autodata.toml"
    path.write_text(configuration(domain))
    config = load_config(path)
    assert config == RunConfig(domain=domain.name, models=config.models)
    with pytest.raises(UserError, match="no model is named"):
        config.roles()


@EVERY_DOMAIN
def test_with_models_named_the_domain_s_defaults_hold(domain: Any) -> None:
    roles = read_config(named(configuration(domain)), "test").roles()
    assert set(roles) == set(domain.roles)
    for role in domain.roles:
        defaults = domain.role_defaults.get(role, {})
        expected = ModelSettings.model_validate({"provider": "openai", "model": "m", **defaults})
        assert roles[role] == expected


@EVERY_DOMAIN
def test_all_of_it_can_be_uncommented(domain: Any) -> None:
    config = read_config(uncommented(named(configuration(domain))), "test")
    config.roles()
    assert config.models.challenger.max_tokens == domain.role_defaults["challenger"]["max_tokens"]
    assert config.policy.name == (domain.acceptance if domain.loop_judge else "custom")


@pytest.mark.parametrize(
    "table", ["", "local", "simulated", "retries", "budget", "documents", "checkpoints", "optimize"]
)
def test_the_defaults_shown_are_the_defaults(table: str) -> None:
    config: Any = read_config(uncommented(configuration(DOMAINS["cs"])), "test")
    shown, default = (getattr(value, table) if table else value for value in (config, RunConfig()))
    for name in type(default).model_fields:
        if (
            name != "models"
            and getattr(default, name) is not None
            and not isinstance(getattr(default, name), BaseModel)
        ):
            assert getattr(shown, name) == getattr(default, name), name


def test_presets_are_listed_with_their_bounds() -> None:
    text = configuration(DOMAINS["facts"])
    for name in PRESETS:
        assert re.search(rf"^#   {name}( \(the default\))?: ", text, re.MULTILINE)
    assert "counts (the default): weak_right 1, strong_right 3" in text


def test_no_line_is_long() -> None:
    assert max(map(len, configuration(DOMAINS["cs"]).splitlines())) <= 120


def test_the_command_writes_and_does_not_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    result = CliRunner().invoke(app, ["init", "--out", str(path), "--domain", "facts"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"autodata doctor --config {path}" in result.stderr
    assert load_config(path).domain == "facts"
    path.write_text("mine")
    result = CliRunner().invoke(app, ["init", "--out", str(path)])
    assert isinstance(result.exception, UserError)
    assert "--force" in str(result.exception)
    assert path.read_text() == "mine"
    assert CliRunner().invoke(app, ["init", "--out", str(path), "--force"]).exit_code == 0
    assert load_config(path).domain == "cs"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "{tmp}/none/a.toml"], "cannot be written"),
        (["--out", "{tmp}", "--force"], "cannot be written"),
        (["--out", "{tmp}/a.toml", "--domain", "csx"], "unknown domain 'csx'"),
    ],
)
def test_mistakes(arguments: list[str], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["init", *(part.replace("{tmp}", str(tmp_path)) for part in arguments)])
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert list(tmp_path.iterdir()) == []
