"""What trackers are sent of a search's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autodata.runner.optimization.trackers import settings_of


@pytest.mark.parametrize(
    ("model", "sent"),
    [("gpt-5", "gpt-5"), ("org/name", "org/name"), ("{}/weak-2", "weak-2"), ("~/models/a.gguf", "a.gguf")],
)
def test_no_folder_of_this_machine_is_sent(model: str, sent: str, tmp_path: Path) -> None:
    resolved: dict[str, Any] = {
        "models": {"weak_solver": {"provider": "local", "model": model.format(tmp_path)}},
        "optimize": {"iterations": 3, "stop_file": str(tmp_path / "stop")},
        "domain_settings": {"name": "cs"},
        "seed": 0,
        "max_rounds": 4,
        "prompt_version": "v",
    }
    found = settings_of(resolved)
    assert found["models.weak_solver"] == f"local:{sent}"
    assert str(tmp_path) not in str(found)
