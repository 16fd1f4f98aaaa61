"""What a server's configuration may not ask for is refused in one line, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from autodata.checkpoints.errors import UserError
from autodata.serving.runtime import CONFIG_VARIABLE, server_config

MODELS = {"models": {"default": {"provider": "simulated", "model": "judge"}}}


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"confirm": {"attempts": 2}}, "confirm.attempts: "),
        ({"checks": {"canaries": "sample"}}, "checks.canaries: "),
        ({"checks": {"closed_context": True}}, "checks.closed_context: "),
        ({"judges": {"asks": 2}}, "judges: "),
        ({"judges": {"panel": [{"model": "second"}]}, "confirm": {"attempts": 1}}, "confirm.attempts, judges: "),
    ],
)
def test_what_its_graphs_do_not_do_is_refused(
    table: dict[str, object], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server.toml"
    path.write_text(tomli_w.dumps({**MODELS, **table}), "utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    with pytest.raises(UserError) as refused:
        server_config()
    said = str(refused.value)
    assert said.startswith(f"{path}: {named}")
    assert "autodata run" in said
    assert "\n" not in said


def test_what_it_does_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "server.toml"
    path.write_text(tomli_w.dumps({**MODELS, "checks": {"leakage": "refuse"}, "confirm": {"attempts": 0}}), "utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(path))
    config, simulated = server_config()
    assert not simulated
    assert not config.confirm.attempts
