"""Which saver a configuration names, and what is said when it cannot be had."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from autodata.checkpoints.errors import UserError
from autodata.checkpoints.ledger import Ledger
from autodata.checkpoints.saver import FileSaver
from autodata.checkpoints.server import connection_arguments
from autodata.runner.checkpointer import describe_saver, known_prefix, open_kept, open_run_saver, run_prefix
from autodata.runner.config import read_config
from autodata.runner.fingerprint import fingerprint
from autodata.runner.places import CheckpointsConfig
from tests.support.commands import parsed, printed

SHARED = CheckpointsConfig(saver="postgres")


async def test_a_file_in_the_folder_is_the_default(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        async with open_kept(CheckpointsConfig(), tmp_path, ledger) as none:
            assert none is None
        async with open_run_saver(CheckpointsConfig(), tmp_path, ledger) as saver:
            assert isinstance(saver, FileSaver)
        assert (tmp_path / "checkpoints.db").exists()
        async with open_kept(CheckpointsConfig(), tmp_path, ledger) as kept:
            assert isinstance(kept, FileSaver)
        assert await ledger.read("select * from meta where key = 'run_id'") == []
    assert await describe_saver(CheckpointsConfig()) == ""


async def test_a_run_that_shares_no_server_has_no_id_until_it_needs_one(tmp_path: Path) -> None:
    async with Ledger.open(tmp_path / "run.db") as ledger:
        assert await known_prefix(ledger) is None
        made = await run_prefix(ledger)
        assert await known_prefix(ledger) == made


async def test_missing_libraries_are_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHARED.dsn_env, "postgresql://127.0.0.1:1/x")
    monkeypatch.delitem(sys.modules, "autodata.checkpoints.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    async with Ledger.open(tmp_path / "run.db") as ledger:
        with pytest.raises(UserError, match=r"pip install 'autodata-langgraph\[postgres\]'") as refused:
            async with open_run_saver(SHARED, tmp_path, ledger):
                pass
    assert "psycopg" in str(refused.value)
    with pytest.raises(UserError, match=r"autodata-langgraph\[postgres\]"):
        await describe_saver(SHARED)


async def test_the_address_is_asked_for_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_DATABASE", raising=False)
    with pytest.raises(UserError, match="the environment variable MY_DATABASE is not set: export MY_DATABASE="):
        await describe_saver(CheckpointsConfig(saver="postgres", dsn_env="MY_DATABASE"))


@pytest.mark.parametrize("value", ["postgresql://me:very-secret@host/x", "host=h password=very-secret", ""])
def test_an_address_in_place_of_the_name_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(
        UserError, match=r"checkpoints\.dsn_env: this is the name of an environment variable"
    ) as refused:
        read_config(f'checkpoints.dsn_env = "{value}"', "here")
    assert "very-secret" not in str(refused.value)


def test_the_saver_may_change_between_two_sessions() -> None:
    text = '[models.default]\nprovider = "simulated"\nmodel = "m"\n[checkpoints]\nsaver = "{}"\n'
    file, server = (read_config(text.format(name), "here").resolved("") for name in ("sqlite", "postgres"))
    assert fingerprint(file) == fingerprint(server)
    assert server["checkpoints"] == {"keep": "rounds", "saver": "postgres", "dsn_env": "AUTODATA_POSTGRES_DSN"}


def test_the_doctor_says_nothing_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "autodata.toml"
    path.write_text('[models.default]\nprovider = "simulated"\nmodel = "m"\n')
    found: Any = parsed("doctor", "--config", path, "--json")
    assert found["checkpoints"] is None
    assert "Checkpoints" not in printed("doctor", "--config", path)


def test_a_server_that_is_gone_without_a_word_is_noticed_within_a_minute_or_as_the_address_says() -> None:
    found = connection_arguments("postgresql://somewhere/base", "DSN")
    assert found["keepalives_idle"] + found["keepalives_interval"] * found["keepalives_count"] <= 60
    assert found["tcp_user_timeout"] <= 60_000
    own = connection_arguments("postgresql://somewhere/base?keepalives_idle=7", "DSN")
    assert own["keepalives_idle"] == "7"
