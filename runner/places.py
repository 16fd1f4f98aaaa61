"""Where a run keeps its ledger and its checkpoints, and how its own model server works: tables of its configuration."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from autodata.models.config import Settings

DSN_ENV = "AUTODATA_POSTGRES_DSN"
"""The environment variable with a Postgres server's address, unless a setting names another."""


def _name_of_a_variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError("this is the name of an environment variable that holds the address, never the address")
    return name


class CheckpointsConfig(Settings):
    """Where a run's checkpoints are, and what stays of a document's once it has ended."""

    keep: Literal["rounds", "all", "none"] = "rounds"
    """The last one of each round, all of them, or none."""
    saver: Literal["sqlite", "postgres"] = "sqlite"
    """A file in the run folder, or a Postgres server that many runs may share (`autodata-langgraph[postgres]`)."""
    dsn_env: str = DSN_ENV
    """Name of the environment variable that holds the server's address, which itself never stands here."""

    _named = field_validator("dsn_env")(_name_of_a_variable)


class LedgerConfig(Settings):
    """Where a run's ledger is, with the journal of its calls."""

    store: Literal["sqlite", "postgres"] = "sqlite"
    """A file in the run folder, or a Postgres server where several machines may work on one run
    (`autodata-langgraph[postgres]`); checkpoints then go there too, unless checkpoints.saver says otherwise."""
    dsn_env: str = DSN_ENV
    """Name of the environment variable that holds the server's address, which itself never stands here."""

    _named = field_validator("dsn_env")(_name_of_a_variable)


class LocalConfig(Settings):
    """The embedded model server."""

    n_parallel: int = Field(default=4, ge=1, le=64)
    """Requests answered at once; of a checkpoint's folder, one."""
    ctx: int = Field(default=4096, ge=512)
    """Context of each, in tokens."""
    python: str = ""
    """The Python that serves a checkpoint's folder, for instance `.venv-train/bin/python`: it needs torch and
    transformers, and peft for an adapter. Empty: the one that runs Autodata."""
