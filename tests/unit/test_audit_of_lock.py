"""The audit of locked dependencies: what is known fails it, what nobody answers is never taken for sound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.audit import LOCK, Ask, taken_back, verdict, vulnerabilities

SOUND = {"name": "jinja2", "version": "3.1.6", "vulns": []}
KNOWN = {"name": "jinja2", "version": "3.1.4", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
SKIPPED = {"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited: jinja2 (3.1.4)"}
AWAY = ("", "ConnectionError: no such host")


def services(**answers: tuple[str, str] | Sequence[Mapping[str, Any]]) -> Ask:
    """Return a pip-audit whose services answer so."""

    def ask(command: Sequence[str]) -> tuple[str, str]:
        found = answers[command[command.index("-s") + 1]]
        return found if isinstance(found, tuple) else (json.dumps({"dependencies": found, "fixes": []}), "")

    return ask


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ({"pypi": [SOUND]}, (0, 0), "0 of 1 dependencies"),
        ({"pypi": [KNOWN]}, (1, 1), "jinja2 3.1.4: PYSEC-1, PYSEC-2"),
        ({"pypi": [SKIPPED], "osv": [KNOWN]}, (1, 1), "jinja2 3.1.4: PYSEC-1, PYSEC-2"),
        ({"pypi": AWAY, "osv": [SOUND]}, (0, 0), "0 of 1 dependencies"),
        ({"pypi": AWAY, "osv": AWAY}, (2, 0), "not looked up: known vulnerabilities (pypi: ConnectionError"),
        ({"pypi": [SKIPPED], "osv": AWAY}, (2, 0), "pypi does not answer about 1, jinja2 for instance; osv: Conn"),
        ({"pypi": [KNOWN, {**SKIPPED, "name": "attrs"}], "osv": AWAY}, (1, 1), "jinja2 3.1.4: PYSEC-1, PYSEC-2"),
    ],
)
def test_what_is_known_fails_and_what_is_not_answered_is_said(
    answers: dict[str, Any], code: tuple[int, int], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    looked = [vulnerabilities(LOCK, services(**answers))]
    assert (verdict(looked, where_reachable=False), verdict(looked, where_reachable=True)) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(("yanked", "code"), [(True, 1), (False, 0), (None, 2)])
def test_a_release_that_was_taken_back_is_found_by_pips_report(yanked: bool | None, code: int) -> None:
    asked: list[str] = []

    def pip(command: Sequence[str]) -> tuple[str, str]:
        pins = Path(command[command.index("-r") + 1]).read_text("utf-8")
        asked.extend(pins.splitlines())
        if yanked is not None:
            item = {"metadata": {"name": "jinja2", "version": "3.1.6"}, "is_yanked": yanked}
            Path(command[command.index("--report") + 1]).write_text(json.dumps({"install": [item]}), "utf-8")
        return "", "no route to the index"

    assert verdict([taken_back(LOCK, pip)], where_reachable=False) == code
    lock = LOCK.read_text("utf-8")
    assert len(asked) == lock.count("==") - sum(line.partition(" ; ")[2].count("==") for line in asked)
    assert all("--hash" not in line for line in asked)
