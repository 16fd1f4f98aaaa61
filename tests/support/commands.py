"""Commands as a person types them, and what they print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from autodata.checkpoints.errors import UserError
from autodata.cli.app import app


def invoke(*arguments: str | Path, columns: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(columns)}).invoke(app, [str(argument) for argument in arguments])


def printed(*arguments: str | Path, columns: int = 80) -> str:
    result = invoke(*arguments, columns=columns)
    assert result.exit_code == 0, result.output
    return result.stdout


def parsed(*arguments: str | Path) -> Any:
    return json.loads(printed(*arguments))


def refusal(*arguments: str | Path) -> str:
    error = invoke(*arguments).exception
    assert isinstance(error, UserError), error
    assert "\n" not in str(error)
    return str(error)


def words(text: str) -> str:
    return " ".join(text.split())
