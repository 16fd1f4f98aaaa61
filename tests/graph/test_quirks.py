"""`autodata doctor` and `autodata run` on every endpoint of the quirk table: both get on with it, or neither does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from autodata.cli.app import app
from autodata.models import openai_chat
from tests.support.quirks import PROFILES, Profile, Quirky, in_process
from tests.support.stages import first_quick

DOCUMENT = "The mast of Gull Point was raised in 1907. It carries two lamps, and a horn that sounds in fog.\n" * 4
AZURE = {"base_url": "https://name.openai.azure.com", "azure": {}}


def configured(profile: Profile) -> dict[str, Any]:
    """Return a configuration for a profile: a stronger model and a weaker one on the same server."""
    default = {"model": "big", "api_key_env": "QUIRK_KEY", **profile.settings}
    default |= AZURE if profile.name.startswith("azure") else {"base_url": "https://quirky.test/v1"}
    return {
        "max_rounds": 1,
        "models": {"default": default, "weak_solver": {"model": "big-mini"}},
        "retries": {"base_seconds": 0},
    }


@pytest.fixture
def quirky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def begin(profile: Profile) -> tuple[Quirky, Path]:
        monkeypatch.setenv("QUIRK_KEY", "sk-quirk-0123456789")
        server = Quirky(profile)
        monkeypatch.setattr(openai_chat, "new_client", lambda: in_process(server))
        (tmp_path / "autodata.toml").write_text(tomli_w.dumps(configured(profile)))
        (tmp_path / "d").mkdir(exist_ok=True)
        (tmp_path / "d" / "a.md").write_text(DOCUMENT)
        return server, tmp_path

    return begin


def doctor(folder: Path) -> tuple[int, dict[str, Any], str]:
    result = CliRunner().invoke(app, ["doctor", "--config", str(folder / "autodata.toml"), "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout), result.output


def run(folder: Path, out: str = "run") -> tuple[int, str]:
    words = ["run", "--config", str(folder / "autodata.toml"), "--documents", str(folder / "d")]
    result = CliRunner().invoke(app, [*words, "--out", str(folder / out)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_every_profile_names_where_its_fact_is_from() -> None:
    for profile in PROFILES.values():
        assert re.match(r"https://", profile.source)
        assert profile.said or profile.usable


ONLY_DOCTOR = {"ollama", "lm-studio"}
"""What only doctor says: how long a prompt may be, and a format that is the usual one."""
ORDER = sorted(PROFILES, key=lambda name: name != "openai-o-series")


@pytest.mark.parametrize("name", first_quick(*ORDER))
def test_doctor_and_run_come_to_the_same_verdict(quirky: Any, name: str) -> None:
    profile = PROFILES[name]
    _, folder = quirky(profile)
    code, found, said = doctor(folder)
    assert (code == 0) is profile.usable, said
    assert found["usable"] is profile.usable
    _, folder = quirky(profile)
    ended, told = run(folder)
    assert (ended == 0) is profile.usable, told
    assert profile.said in said
    if name not in ONLY_DOCTOR:
        assert profile.said in " ".join(told.split())
